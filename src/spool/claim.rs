//! Taking an export out of the spool: whoever holds the file's lock, and nobody else, decides about it
//! (promises B7 to B9).

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::Spool;
use super::entry::{self, Fault, Header};

/// No file is larger: an export's limit, and its head.
const LARGEST: u64 = 24 << 20;

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
            Err(error) => {
                return match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::ENOENT) => Err(Refusal::Gone),
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EINTR) => Err(Refusal::Unreadable),
                    _ => set_aside(),
                };
            }
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
