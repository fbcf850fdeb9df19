//! The file system as the spool uses it: few operations, so that a test can stand in and forget, or fail at,
//! whatever was not synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// A file system.
pub trait Disk {
    /// A file open for writing.
    type File;
    /// Makes a directory (0700); one that is there is good, too.
    fn make_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes a new file (0600).
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Appends.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Until the file's content is on disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Until the directory's entries are on disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Bytes free for this user.
    fn free(&self, path: &Path) -> io::Result<u64>;
}

/// The real one.
#[derive(Debug, Default, Clone, Copy)]
pub struct System;

impl Disk for System {
    type File = File;

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        File::options().write(true).create_new(true).mode(0o600).open(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        let status = nix::sys::statvfs::statvfs(path)?;
        // The types differ between systems.
        #[allow(clippy::unnecessary_cast)]
        Ok(status.blocks_available() as u64 * status.fragment_size() as u64)
    }
}
