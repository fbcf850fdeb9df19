//! Taking an export out of the spool: whoever holds the file's lock, and nobody else, decides about it
//! (promises B7 to B9).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::Spool;
use super::entry::{self, Fault, Header, LARGEST_FILE as LARGEST};

/// A claimed export.
#[derive(Debug)]
pub struct Claim {
    /// Whose it is.
    pub header: Header,
    bytes: Vec<u8>,
    body: usize,
    spool: Spool,
    name: String,
    /// Held until decided.
    _lock: Flock<File>,
}

/// Why a file could not be claimed.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another process is at it.
    Busy,
    /// It has left the spool.
    Gone,
    /// A newer act-claude wrote it, in this format: left alone.
    Newer(u32),
    /// It was not what had been written, and has been set aside.
    Corrupt,
    /// It can't be read, or could not be removed, now.
    Unreadable,
}

impl Claim {
    /// Claims a file of `new`, and checks every byte of it.
    pub fn take(spool: &Spool, name: &str) -> Result<Self, Refusal> {
        let path = spool.waiting().join(name);
        let set_aside = || {
            super::aside::corrupt(spool, name);
            Err(Refusal::Corrupt)
        };
        // Neither a link nor a pipe may lead or hold us elsewhere.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = match File::options().read(true).custom_flags(flags.bits()).open(&path) {
            Ok(file) => file,
            Err(error) => return of_error(&error).map_or_else(set_aside, Err),
        };
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Err(Refusal::Busy),
            Err(_) => return Err(Refusal::Unreadable),
        };
        // Whoever held the lock before may have sent it: then its name has gone, or is another file's.
        let Ok(metadata) = file.metadata() else { return Err(Refusal::Unreadable) };
        let is_linked = fs::symlink_metadata(&path)
            .is_ok_and(|linked| (linked.dev(), linked.ino()) == (metadata.dev(), metadata.ino()));
        if !is_linked {
            return Err(Refusal::Gone);
        }
        // What could not be removed afterwards would be sent again by everyone.
        if nix::unistd::access(&spool.waiting(), nix::unistd::AccessFlags::W_OK).is_err() {
            return Err(Refusal::Unreadable);
        }
        if !metadata.is_file() || metadata.len() > LARGEST {
            return set_aside();
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        if (&*file).take(LARGEST).read_to_end(&mut bytes).is_err() {
            return set_aside();
        }
        match entry::read(&bytes) {
            // The name is no claim of the file's own: both must agree.
            Ok((header, body)) if super::name(&header.session, header.sequence) == name => {
                Ok(Self { header, bytes, body, spool: spool.clone(), name: name.to_owned(), _lock: file })
            }
            Ok(_) | Err(Fault::Corrupt) => set_aside(),
            Err(Fault::Newer(version)) => Err(Refusal::Newer(version)),
        }
    }

    /// What is to be sent.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body..]
    }

    /// ACT has it, or the user gave it up.
    pub fn done(self) {
        let _ = fs::remove_file(self.path());
    }

    /// ACT will never take it.
    pub fn reject(self) {
        super::aside::rejected(&self.spool, &self.name);
    }

    fn path(&self) -> PathBuf {
        self.spool.waiting().join(&self.name)
    }
}

/// What it means that a file can't be opened; `None`: it is nothing that was written here.
fn of_error(error: &io::Error) -> Option<Refusal> {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => Some(Refusal::Gone),
        // A shortage of ours says nothing about the file.
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EINTR) => Some(Refusal::Unreadable),
        _ => None,
    }
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
    fn b9_one_at_a_time_decides_and_then_it_has_left() {
        let (_state, spool) = stored(2);
        let claim = Claim::take(&spool, "s-00000001").unwrap();
        assert_eq!((&claim.header, claim.body()), (&header(1), &b"{\"body\":1}"[..]));
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Busy);
        claim.done();
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Gone);
        Claim::take(&spool, "s-00000002").unwrap().reject();
        assert_eq!(refusal(&spool, "s-00000002"), Refusal::Gone);
        assert!(spool.rejected().join("s-00000002").exists());
        assert_eq!(fs::read_dir(spool.corrupt()).unwrap().count(), 0);
    }

    #[test]
    fn b8_what_was_not_written_here_is_set_aside_and_never_sent() {
        let (_state, spool) = stored(1);
        let path = |name: &str| spool.waiting().join(name);
        // A good file under another's name; a link to one; a directory; more than anything that was ever written.
        fs::copy(path("s-00000001"), path("s-00000002")).unwrap();
        std::os::unix::fs::symlink(path("s-00000001"), path("s-00000003")).unwrap();
        fs::create_dir(path("s-00000004")).unwrap();
        File::create(path("s-00000005")).unwrap().set_len(LARGEST + 1).unwrap();
        // Last: without O_NONBLOCK this one waits for a writer.
        nix::unistd::mkfifo(&path("s-00000006"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for number in 2..=6 {
            let name = crate::state::spool::name("s", number);
            assert_eq!(refusal(&spool, &name), Refusal::Corrupt, "{name}");
            assert!(fs::symlink_metadata(spool.corrupt().join(&name)).is_ok(), "{name}");
        }
        assert!(Claim::take(&spool, "s-00000001").is_ok());
    }

    /// One limit for writing and reading: what was acknowledged can be sent.
    #[test]
    fn b10_the_largest_that_is_written_is_read_and_nothing_larger_is_written() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path(), Limits::default()).unwrap();
        let mut header = header(1);
        let rest = serde_json::to_vec(&header).unwrap().len() - header.alias.len() + 1;
        // With the longest head, too.
        header.alias = "a".repeat(entry::LONGEST_HEAD - rest);
        let body = vec![b'x'; crate::state::spool::LONGEST_BODY];
        store.append(&header, &body).unwrap();
        let claim = Claim::take(store.spool(), "s-00000001").expect("whole");
        assert!(claim.header == header && claim.body() == body);
        let error = store.append(&super::tests::header(2), &[&body[..], b"x"].concat()).unwrap_err();
        assert_eq!(error.to_string(), "an export is larger than 24 MiB");
        assert!(!store.spool().waiting().join("s-00000002").exists());
    }

    #[test]
    fn b8_a_newer_format_is_left_alone() {
        let (_state, spool) = stored(0);
        fs::write(spool.waiting().join("s-00000001"), "act-claude-export/9 x\n").unwrap();
        assert_eq!(refusal(&spool, "s-00000001"), Refusal::Newer(9));
        assert!(spool.waiting().join("s-00000001").exists());
    }

    #[test]
    fn b8_a_shortage_is_no_reason_to_set_anything_aside() {
        for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EINTR] {
            assert_eq!(of_error(&errno.into()), Some(Refusal::Unreadable), "{errno}");
        }
        assert_eq!(of_error(&Errno::ENOENT.into()), Some(Refusal::Gone));
        assert_eq!(of_error(&Errno::ELOOP.into()), None);
    }
}
