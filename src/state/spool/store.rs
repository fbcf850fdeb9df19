//! Stores an export in the spool: durably before it is acknowledged (promise B1), and within limits (promise B10).

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::disk::{Disk, System};
use super::entry::{self, Header};
use super::{Spool, list};
use crate::state;
use crate::system::file;

/// How much `new` may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes, in all files together.
    pub bytes: u64,
    /// The most files.
    pub files: u64,
    /// This many bytes of the file system stay free.
    pub reserve: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, files: 10_000, reserve: 8 << 20 }
    }
}

impl Limits {
    /// An error if a file of this size may not be added.
    fn check(&self, usage: list::Usage, size: u64) -> Result<(), NotStored> {
        if usage.files + 1 > self.files {
            return Err(NotStored::TooMany(self.files));
        }
        if usage.bytes + size > self.bytes {
            return Err(NotStored::TooLarge(self.bytes));
        }
        Ok(())
    }
}

/// Why an export was not stored.
#[derive(Debug)]
pub enum NotStored {
    /// There are already as many files as the limit allows.
    TooMany(u64),
    /// With it there would be more bytes than the limit allows.
    TooLarge(u64),
    /// The file system has no more free space than the reserve.
    NoRoom,
    /// The system returned an error.
    Failed(io::Error),
}

impl fmt::Display for NotStored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(files) => write!(out, "{files} exports are waiting already"),
            Self::TooLarge(bytes) => write!(out, "{} MiB are waiting already", bytes >> 20),
            Self::NoRoom => out.write_str("the disk is full"),
            Self::Failed(error) => out.write_str(&crate::system::error::plain(error)),
        }
    }
}

impl From<io::Error> for NotStored {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// How long a count of the spool is used, because other processes add and remove files, too.
const FRESH: Duration = Duration::from_secs(60);
/// How long a count that shows a full spool is used.
const CLOSE: Duration = Duration::from_secs(1);

/// Whether a count of this age has to be repeated.
fn is_stale(age: Duration, is_full: bool) -> bool {
    age > if is_full { CLOSE } else { FRESH }
}

/// Writes to a spool.
#[derive(Debug)]
pub struct Store<D = System> {
    spool: Spool,
    disk: D,
    limits: Limits,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    ready: bool,
    at: Option<Instant>,
    usage: list::Usage,
}

impl<D: Disk> Store<D> {
    /// A store. It does not access the disk yet.
    pub fn new(spool: Spool, disk: D, limits: Limits) -> Self {
        Self { spool, disk, limits, counted: Mutex::default() }
    }

    /// The spool it writes to.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Stores an export. After `Ok` it is durable; after an error no part of it is in the spool.
    pub fn append(&self, header: &Header, body: &[u8]) -> Result<(), NotStored> {
        self.append_after(header, body, &mut |_, _| ())
    }

    /// Stores an export. `copy` is called before it is in the spool, with its file, which is on disk, and the offset of the body
    /// in it: so every export that is stored has its copies. It may be called twice.
    pub fn append_after(
        &self,
        header: &Header,
        body: &[u8],
        copy: &mut dyn FnMut(&Path, u64),
    ) -> Result<(), NotStored> {
        let head = entry::head(header, body)?;
        let start = head.len() as u64;
        let write = |name: &str| self.write(name, &head, body, &mut |file| copy(file, start));
        let size = start + body.len() as u64;
        self.put(header, size, size, write)
    }

    /// Stores a copy whose body is made from ACT's export, which is the file `act` of this many bytes.
    pub fn append_shared(&self, header: &Header, act: &Path, bytes: u64) -> Result<(), NotStored> {
        let head = entry::head(header, &[])?;
        let write = |name: &str| {
            self.disk.link(act, &self.spool.bodies().join(name))?;
            self.disk.sync_directory(&self.spool.bodies())?;
            let written = self.write(name, &head, &[], &mut |_| ());
            if written.is_err() {
                let _ = self.disk.remove(&self.spool.bodies().join(name));
            }
            written
        };
        // The body is on disk already; without ACT's name of it, it counts as this one's.
        self.put(header, head.len() as u64 + bytes, head.len() as u64, write)
    }

    /// Writes an export that counts for `size` bytes, where there is room for it, and on disk for `new` bytes.
    fn put(
        &self,
        header: &Header,
        size: u64,
        new: u64,
        mut write: impl FnMut(&str) -> io::Result<()>,
    ) -> Result<(), NotStored> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if !counted.ready {
            self.prepare()?;
            counted.ready = true;
        }
        self.check_room(&mut counted, size, new)?;
        let name = super::name(&header.session, header.sequence);
        let stored = match write(&name) {
            // The directories were removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.prepare()?;
                write(&name)
            }
            result => result,
        };
        stored?;
        counted.usage.files += 1;
        counted.usage.bytes += size;
        Ok(())
    }

    /// Makes the directories, and syncs them; also the state directory, if it was removed.
    pub fn prepare(&self) -> io::Result<()> {
        let (root, place) = (self.spool.root(), self.spool.place());
        match self.disk.make_directory(&root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.disk.make_state(self.spool.state())?;
                if self.spool.destination().is_some() {
                    self.disk.make_directory(file::parent(&place))?;
                    self.disk.make_directory(&place)?;
                    self.disk.sync_directory(file::parent(&place))?;
                }
                self.disk.make_directory(&root)?;
            }
            made => made?,
        }
        for directory in [self.spool.tmp(), self.spool.queue(), self.spool.rejected(), self.spool.corrupt()] {
            self.disk.make_directory(&directory)?;
        }
        if self.spool.destination().is_some() {
            self.disk.make_directory(&self.spool.bodies())?;
        }
        self.disk.sync_directory(&root)?;
        if self.spool.destination().is_some() {
            self.disk.sync_directory(&place)?;
        }
        self.disk.sync_directory(self.spool.state())
    }

    fn check_room(&self, counted: &mut Counted, size: u64, new: u64) -> Result<(), NotStored> {
        let is_full = self.limits.check(counted.usage, size).is_err();
        if counted.at.is_none_or(|at| is_stale(at.elapsed(), is_full)) {
            // If it can't be counted, the earlier count is used.
            match list::usage(&self.spool) {
                Ok(usage) => *counted = Counted { ready: true, at: Some(Instant::now()), usage },
                Err(error) => tracing::debug!(%error, "the spool can't be counted"),
            }
        }
        self.limits.check(counted.usage, size)?;
        if self.disk.free(&self.spool.root()).is_ok_and(|free| free < self.limits.reserve.saturating_add(new)) {
            return Err(NotStored::NoRoom);
        }
        Ok(())
    }

    fn write(&self, name: &str, head: &[u8], body: &[u8], copy: &mut dyn FnMut(&Path)) -> io::Result<()> {
        let (from, to) = (self.spool.tmp().join(name), self.spool.queue().join(name));
        let mut file = self.disk.create(&from)?;
        let stored = (|| {
            self.disk.write(&mut file, head)?;
            self.disk.write(&mut file, body)?;
            self.disk.sync(&file)?;
            copy(&from);
            self.disk.rename(&from, &to)?;
            self.disk.sync_directory(&self.spool.queue())
        })();
        if stored.is_err() {
            // An error of any step means "not stored": the file must not appear later as a second copy.
            let _ = self.disk.remove(&from);
            let _ = self.disk.remove(&to);
        }
        stored
    }
}

impl Store {
    /// The spool of a state directory, which is made if it does not exist. One of another user is refused.
    pub fn open(state: &Path, limits: Limits) -> io::Result<Self> {
        state::prepare(state)?;
        Ok(Self::new(Spool::of(state), System, limits))
    }

    /// The spool of the copies for one destination.
    pub fn open_copies(state: &Path, destination: &str, limits: Limits) -> io::Result<Self> {
        state::prepare(state)?;
        Ok(Self::new(Spool::of_copies(state, destination), System, limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn header(sequence: u64) -> Header {
        entry::sample("s", sequence)
    }

    /// The size of export 1 with the body `{}`.
    fn size() -> u64 {
        entry::head(&header(1), b"{}").unwrap().len() as u64 + 2
    }

    fn store(limits: Limits) -> (tempfile::TempDir, Store) {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path(), limits).unwrap();
        (state, store)
    }

    fn refused(store: &Store, sequence: u64) -> String {
        store.append(&header(sequence), b"{}").expect_err("no room").to_string()
    }

    #[test]
    fn b10_as_many_files_as_there_may_be_and_no_more() {
        let (_state, store) = store(Limits { files: 2, ..Limits::default() });
        store.append(&header(1), b"{}").unwrap();
        store.append(&header(2), b"{}").unwrap();
        assert_eq!(refused(&store, 3), "2 exports are waiting already");
        assert_eq!(list::usage(store.spool()).unwrap(), list::Usage { files: 2, bytes: 2 * size() });
        // Another process made room: this is noticed once the count is older than a second.
        fs::remove_file(store.spool().queue().join("s-00000001")).unwrap();
        let counted = |age: u64| {
            store.counted.lock().unwrap().at = Instant::now().checked_sub(Duration::from_secs(age));
        };
        counted(2);
        store.append(&header(3), b"{}").unwrap();
        assert_eq!(refused(&store, 4), "2 exports are waiting already");
    }

    #[test]
    fn b10_as_many_bytes_as_there_may_be_and_no_more() {
        let (_state, exact) = store(Limits { bytes: 2 * size(), ..Limits::default() });
        exact.append(&header(1), b"{}").unwrap();
        exact.append(&header(2), b"{}").unwrap();
        assert_eq!(refused(&exact, 3), "0 MiB are waiting already");
        let (_state, less) = store(Limits { bytes: 2 * size() - 1, ..Limits::default() });
        less.append(&header(1), b"{}").unwrap();
        assert!(matches!(less.append(&header(2), b"{}"), Err(NotStored::TooLarge(_))));
    }

    #[test]
    fn b10_what_is_counted_is_counted_again_in_time() {
        for (seconds, is_full, expected) in [
            (0, false, false),
            (60, false, false),
            (61, false, true),
            (0, true, false),
            (1, true, false),
            (2, true, true),
        ] {
            assert_eq!(is_stale(Duration::from_secs(seconds), is_full), expected, "{seconds} {is_full}");
        }
    }

    #[test]
    fn directories_that_somebody_removed_are_made_again() {
        let (_state, store) = store(Limits::default());
        store.append(&header(1), b"{}").unwrap();
        fs::remove_dir_all(store.spool().root()).unwrap();
        store.append(&header(2), b"{}").unwrap();
        assert!(store.spool().queue().join("s-00000002").exists());
    }

    #[test]
    fn a_state_directory_that_somebody_removed_is_made_again_for_its_user_alone() {
        use std::os::unix::fs::MetadataExt;
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("share/act-claude");
        let store = Store::open(&state, Limits::default()).unwrap();
        store.append(&header(1), b"{}").unwrap();
        fs::remove_dir_all(root.path().join("share")).unwrap();
        store.append(&header(2), b"{}").unwrap();
        for directory in [store.spool().state().to_owned(), store.spool().root(), store.spool().queue()] {
            assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700, "{}", directory.display());
        }
        assert_eq!(list::sessions(store.spool()).unwrap()["s"], ["s-00000002"]);
    }

    #[test]
    fn why_nothing_was_stored_is_said() {
        for (why, words) in [
            (NotStored::TooMany(10_000), "10000 exports are waiting already"),
            (NotStored::TooLarge(64 << 20), "64 MiB are waiting already"),
            (NotStored::NoRoom, "the disk is full"),
            (io::Error::from(nix::errno::Errno::EROFS).into(), "Read-only file system"),
        ] {
            assert_eq!(why.to_string(), words);
        }
    }
}
