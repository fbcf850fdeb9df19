//! Locks one stored export. Only the process that holds the lock may send, remove or reject it (promises B7 to B9). Where its
//! file can lie is in the table of `spool`.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;

use super::entry::{self, Fault, Header, LARGEST_FILE};
use super::{Spool, dead_letters, shared};
use crate::system::file::{self, OpenError};

/// The largest file that is read into memory: four times the largest that this version writes, because an earlier version stored
/// larger ones.
pub(super) const LARGEST: u64 = 4 * LARGEST_FILE;

/// A claimed export.
#[derive(Debug)]
pub struct Claim {
    /// The export's header.
    pub header: Header,
    bytes: Vec<u8>,
    /// Where in `bytes` the body begins.
    body_start: usize,
    spool: Spool,
    name: String,
    /// The lock is released when this is dropped.
    _file: File,
}

/// Why a file could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Another process has claimed it.
    Busy,
    /// It is not to be sent: it has left the spool, or ACT has it.
    Gone,
    /// A newer act-claude wrote it, with this version of the format: it stays unchanged.
    Newer(u32),
    /// Its content is not what was written: it is moved to the dead letters.
    Corrupt,
    /// Its content is not what was written, and it can't be moved to the dead letters.
    CorruptStays(Errno),
    /// It can't be read now, or is too large to be read. Its content may be intact: it stays.
    Unreadable(Errno),
    /// The spool is not writable, so the file could not be removed after it was sent.
    ReadOnly(Errno),
}

impl Refusal {
    /// Whether the problem concerns this process or the whole spool, and not only this file.
    pub fn affects_all_files(self) -> bool {
        matches!(
            self,
            Self::ReadOnly(_)
                | Self::Unreadable(
                    Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EINTR | Errno::EAGAIN | Errno::ENOLCK
                )
        )
    }
}

impl Claim {
    /// Claims a file of `spool/new`, and checks every byte of it.
    pub fn take(spool: &Spool, name: &str) -> Result<Self, Refusal> {
        let path = spool.queue().join(name);
        let file = file::open_to_lock(&path)
            .map_err(|error| refusal_of_open(&error.into()).unwrap_or_else(|| move_to_corrupt(spool, name)))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refusal::Busy),
            // On NFS a file that can't be written to can't be locked.
            Err(TryLockError::Error(error)) => {
                return Err(is_writable(spool).err().unwrap_or_else(|| unreadable(&error)));
            }
        }
        // Between opening and locking, another process may have sent this file. Then the name no longer leads to it.
        let metadata = file.metadata().map_err(|error| unreadable(&error))?;
        match fs::symlink_metadata(&path) {
            Ok(linked) if (linked.dev(), linked.ino()) == (metadata.dev(), metadata.ino()) => {}
            Ok(_) => return Err(Refusal::Gone),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refusal::Gone),
            Err(error) => return Err(unreadable(&error)),
        }
        if spool.is_decided(name) {
            let _ = dequeue(spool, name);
            return Err(Refusal::Gone);
        }
        // In a directory that is not writable the file can't be removed after it was sent, and every process would send it again.
        // So it is not sent.
        is_writable(spool)?;
        if !metadata.is_file() {
            return Err(move_to_corrupt(spool, name));
        }
        if metadata.len() > LARGEST {
            return Err(too_large(spool, name, &file));
        }
        let mut bytes = Vec::new();
        let size = usize::try_from(metadata.len()).unwrap_or_default();
        bytes.try_reserve_exact(size).map_err(|_| Refusal::Unreadable(Errno::ENOMEM))?;
        (&file).take(LARGEST).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        match entry::read(&bytes) {
            // The checksum does not cover the name. So the name must match the header.
            Ok((header, body_start)) if super::name(&header.session, header.sequence) == name => {
                let (bytes, body_start) = match &header.shared {
                    None => (bytes, body_start),
                    Some(shared) => match shared::read(spool, name, shared) {
                        Ok(bytes) => (bytes, usize::try_from(shared.start).unwrap_or(usize::MAX)),
                        Err(Refusal::Corrupt) => return Err(move_to_corrupt(spool, name)),
                        Err(refusal) => return Err(refusal),
                    },
                };
                Ok(Self { header, bytes, body_start, spool: spool.clone(), name: name.to_owned(), _file: file })
            }
            Err(Fault::Newer(version)) => Err(Refusal::Newer(version)),
            // An earlier attempt marked it as delivered, because it could not be removed. That is tried again.
            Err(Fault::Delivered) => {
                let _ = dequeue(spool, name);
                Err(Refusal::Gone)
            }
            Ok(_) | Err(_) => Err(move_to_corrupt(spool, name)),
        }
    }

    /// The body to send; of a copy with [`Header::shared`], the one that its body is made from.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body_start..]
    }

    /// Its file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// ACT has it, or the user discarded it. Returns an error if the file can neither be removed nor marked as delivered.
    /// Then this process remembers it, and another process sends it again.
    pub fn done(self) -> io::Result<()> {
        dequeue(&self.spool, &self.name)
    }

    /// ACT will never accept it. Returns an error if the file can't be moved to the dead letters; then it stays.
    pub fn reject(self) -> io::Result<()> {
        let moved = dead_letters::rejected(&self.spool, &self.name);
        if moved.is_err() {
            self.spool.remember(&self.name);
        }
        moved
    }
}

/// Removes a session's own export that nobody sends any more, also while this process still sends it.
pub fn discard(spool: &Spool, name: &str) -> io::Result<()> {
    dequeue(spool, name)
}

/// Removes the file of an export with a final state from `spool/new`. If it can't be removed, it is renamed; if that fails, too,
/// it gets the marker "delivered".
fn dequeue(spool: &Spool, name: &str) -> io::Result<()> {
    let path = spool.queue().join(name);
    let removed = match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(name, %error, "can't be unlinked");
            // On a full disk a rename may still work, and so may overwriting existing bytes.
            fs::rename(&path, spool.tmp().join(name)).or_else(|_| mark_delivered(&path)).map_err(|_| error)
        }
        _ => Ok(()),
    };
    match &removed {
        Ok(()) => {
            let _ = fs::remove_file(spool.deferred().join(name));
            shared::unlink(spool, name);
        }
        Err(_) => spool.remember(name),
    }
    removed
}

fn mark_delivered(path: &Path) -> io::Result<()> {
    let file = file::open(path, File::options().write(true))?;
    file.write_all_at(entry::DELIVERED, 0)?;
    file::sync_content(&file)
}

fn is_writable(spool: &Spool) -> Result<(), Refusal> {
    nix::unistd::access(&spool.queue(), nix::unistd::AccessFlags::W_OK).map_err(Refusal::ReadOnly)
}

/// Moves a file with wrong content to the dead letters.
fn move_to_corrupt(spool: &Spool, name: &str) -> Refusal {
    match dead_letters::corrupt(spool, name) {
        Ok(()) => Refusal::Corrupt,
        Err(error) => Refusal::CorruptStays(errno(&error)),
    }
}

/// The refusal of a file that is too large to be read into memory. If its checksum is correct, it stays.
fn too_large(spool: &Spool, name: &str, file: &File) -> Refusal {
    match entry::check(file) {
        Ok(Ok(())) => Refusal::Unreadable(Errno::EFBIG),
        Ok(Err(Fault::Newer(version))) => Refusal::Newer(version),
        Ok(Err(_)) => move_to_corrupt(spool, name),
        Err(error) => unreadable(&error),
    }
}

/// The refusal of a file that can't be opened; `None`: it is a kind of file that act-claude never writes.
fn refusal_of_open(error: &OpenError) -> Option<Refusal> {
    match error {
        OpenError::Link | OpenError::Special => None,
        OpenError::System(error) => Some(match errno(error) {
            Errno::ENOENT => Refusal::Gone,
            errno => Refusal::Unreadable(errno),
        }),
    }
}

fn unreadable(error: &io::Error) -> Refusal {
    Refusal::Unreadable(errno(error))
}

pub(super) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::spool::{Limits, Store};

    fn header(sequence: u64) -> Header {
        entry::sample("s", sequence)
    }

    /// Exports 1 to `count` of session s.
    fn stored(count: u64) -> (tempfile::TempDir, Spool) {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path(), Limits::default()).unwrap();
        store.prepare().unwrap();
        for sequence in 1..=count {
            store.append(&header(sequence), b"{\"body\":1}").unwrap();
        }
        (state, store.spool().clone())
    }

    fn refusal(spool: &Spool, name: &str) -> Refusal {
        Claim::take(spool, name).expect_err(name)
    }

    #[test]
    fn b9_one_process_claims_a_file_and_then_it_is_gone() {
        let (_state, spool) = stored(2);
        let claim = Claim::take(&spool, "s-00000001").unwrap();
        assert_eq!((&claim.header, claim.body()), (&header(1), &b"{\"body\":1}"[..]));
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Busy);
        claim.done().unwrap();
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Gone);
        Claim::take(&spool, "s-00000002").unwrap().reject().unwrap();
        assert_eq!(refusal(&spool, "s-00000002"), Refusal::Gone);
        assert!(spool.rejected().join("s-00000002").exists());
        assert_eq!(fs::read_dir(spool.corrupt()).unwrap().count(), 0);
    }

    #[test]
    fn b8_what_was_not_written_here_is_set_aside_and_never_sent() {
        let (_state, spool) = stored(1);
        let path = |name: &str| spool.queue().join(name);
        // A valid file under another file's name; a link to one; a directory; a file larger than any that was ever written.
        fs::copy(path("s-00000001"), path("s-00000002")).unwrap();
        std::os::unix::fs::symlink(path("s-00000001"), path("s-00000003")).unwrap();
        fs::create_dir(path("s-00000004")).unwrap();
        File::create(path("s-00000005")).unwrap().set_len(LARGEST + 1).unwrap();
        // This is the last one: without O_NONBLOCK, opening it waits for a writer.
        nix::unistd::mkfifo(&path("s-00000006"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for number in 2..=6 {
            let name = crate::state::spool::name("s", number);
            assert_eq!(refusal(&spool, &name), Refusal::Corrupt, "{name}");
            assert!(fs::symlink_metadata(spool.corrupt().join(&name)).is_ok(), "{name}");
        }
        assert!(Claim::take(&spool, "s-00000001").is_ok());
    }

    /// There is one limit for writing and reading: every export that was acknowledged can be sent.
    #[test]
    fn b10_the_largest_that_is_written_is_read_and_nothing_larger_is_written() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path(), Limits::default()).unwrap();
        let mut header = header(1);
        let rest = serde_json::to_vec(&header).unwrap().len() - header.alias.len() + 1;
        // This also holds with the longest header.
        header.alias = "a".repeat(entry::LONGEST_HEAD - rest);
        let body = vec![b'x'; crate::state::spool::LONGEST_BODY];
        store.append(&header, &body).unwrap();
        let claim = Claim::take(store.spool(), "s-00000001").expect("whole");
        assert!(claim.header == header && claim.body() == body);
        let error = store.append(&super::tests::header(2), &[&body[..], b"x"].concat()).unwrap_err();
        assert_eq!(error.to_string(), "an export is larger than 24 MiB");
        assert!(!store.spool().queue().join("s-00000002").exists());
    }

    #[test]
    fn b8_a_newer_format_is_left_alone() {
        let (_state, spool) = stored(0);
        fs::write(spool.queue().join("s-00000001"), "act-claude-export/9 x\n").unwrap();
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Newer(9));
        assert!(spool.queue().join("s-00000001").exists());
    }

    #[test]
    fn b8_an_open_error_is_not_corruption() {
        for (errno, affects_all_files) in [
            (Errno::EMFILE, true),
            (Errno::ENFILE, true),
            (Errno::ENOMEM, true),
            (Errno::EINTR, true),
            (Errno::EIO, false),
            (Errno::EACCES, false),
            (Errno::EPERM, false),
            (Errno::ESTALE, false),
            (Errno::ENODEV, false),
        ] {
            let refusal = refusal_of_open(&io::Error::from(errno).into()).unwrap();
            assert_eq!(
                (refusal, refusal.affects_all_files()),
                (Refusal::Unreadable(errno), affects_all_files),
                "{errno}"
            );
        }
        assert_eq!(refusal_of_open(&io::Error::from(Errno::ENOENT).into()), Some(Refusal::Gone));
        assert_eq!(refusal_of_open(&io::Error::from(Errno::ELOOP).into()), None);
    }

    /// An earlier act-claude stored an export of any size after repair.
    #[test]
    fn b8_what_is_too_large_to_be_read_is_neither_damaged_nor_gone() {
        let (_state, spool) = stored(0);
        let body = vec![b' '; usize::try_from(LARGEST).unwrap()];
        let second = [serde_json::to_vec(&header(1)).unwrap(), b"\n".to_vec()].concat();
        let bytes = [entry::compose(&second, &body), body].concat();
        fs::write(spool.queue().join("s-00000001"), &bytes).unwrap();
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Unreadable(Errno::EFBIG));
        fs::write(spool.queue().join("s-00000002"), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(refusal(&spool, "s-00000002"), Refusal::Corrupt);
        assert!(spool.queue().join("s-00000001").exists());
        fs::write(spool.queue().join("s-00000003"), b"act-claude-export/2 x\n").unwrap();
        File::options().write(true).open(spool.queue().join("s-00000003")).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(refusal(&spool, "s-00000003"), Refusal::Newer(2));
    }

    /// A directory that is not empty has the target's name: only this makes a rename fail for root, too.
    #[test]
    fn b7_what_can_t_be_set_aside_stays_and_that_is_said() {
        let (_state, spool) = stored(1);
        fs::remove_dir(spool.corrupt()).unwrap();
        fs::write(spool.queue().join("s-00000001"), "torn").unwrap();
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Corrupt, "the directory is made again");
        fs::create_dir_all(spool.corrupt().join("s-00000002/full")).unwrap();
        fs::write(spool.queue().join("s-00000002"), "torn").unwrap();
        assert!(matches!(refusal(&spool, "s-00000002"), Refusal::CorruptStays(_)));
        assert!(spool.queue().join("s-00000002").exists());
    }

    /// After `done` the file is removed, or it has the marker, or this process remembers its name.
    #[test]
    fn b12_what_act_has_is_not_sent_again() {
        let (_state, spool) = stored(2);
        // Its file is removed.
        let claim = Claim::take(&spool, "s-00000001").unwrap();
        claim.done().unwrap();
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Gone);
        // Its file has the marker.
        let path = spool.queue().join("s-00000002");
        mark_delivered(&path).unwrap();
        assert_eq!(refusal(&spool, "s-00000002"), Refusal::Gone);
        assert!(!path.exists(), "it could be removed by then");
        // None of this was possible: this process remembers it, and tries again.
        let (_state, spool) = stored(1);
        spool.remember("s-00000001");
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Gone);
        assert_eq!(fs::read_dir(spool.queue()).unwrap().count(), 0);
    }
}
