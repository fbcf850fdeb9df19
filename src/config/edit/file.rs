//! Replaces a file completely or not at all, and keeps the previous text beside it.

use std::fs::File;
use std::io::Result;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::system::file::{self, Durability};

/// Makes the directory of `path` (0700) and locks it, so that two edits don't overwrite each other. A directory can be locked
/// without being open for writing also where a file can't (`system::file::open_to_lock`).
pub fn lock(path: &Path) -> Result<Flock<File>> {
    let directory = file::parent(path);
    file::create_directories(directory)?;
    Flock::lock(File::open(directory)?, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}

/// Replaces `path`, or creates it. A symbolic link stays one: the file that it leads to is replaced.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    file::replace(&target, content, mode, Durability::Synced)
}

/// The file that keeps what `path` had before its last change.
pub fn backup(path: &Path) -> PathBuf {
    let mut backup = path.as_os_str().to_owned();
    backup.push(".bak");
    PathBuf::from(backup)
}
