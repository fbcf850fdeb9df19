//! The operations on the file system that the spool uses. There are few of them, so that a test can replace them, make them
//! fail, and lose data that was not synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::state;
use crate::system::file;

/// A file system.
pub trait Disk {
    /// A file open for writing.
    type File;
    /// Makes a directory (0700); no error if it exists.
    fn make_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes the state directory (0700) and missing parents; one of another user is refused.
    fn make_state(&self, path: &Path) -> io::Result<()> {
        self.make_directory(path)
    }
    /// Makes a new file (0600).
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Appends bytes to a file.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Waits until the file's content is on disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name; a file that had it loses it.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until the directory's entries are on disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Bytes free for this user.
    fn free(&self, path: &Path) -> io::Result<u64>;
}

/// The real file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct System;

impl Disk for System {
    type File = File;

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        state::make_private(path)
    }

    fn make_state(&self, path: &Path) -> io::Result<()> {
        state::prepare(path)?;
        // Its name has to survive a crash, too. Where the parent directory can't be opened, nothing more can be done.
        path.parent().and_then(|parent| File::open(parent).ok()).map_or(Ok(()), |parent| file::sync(&parent))
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        file::create_private(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file::sync(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        super::shared::link(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        file::sync_directory(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        let status = nix::sys::statvfs::statvfs(path)?;
        // A file system without a size, such as a tmpfs without a limit.
        if status.blocks() == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // The types differ between systems.
        #[allow(clippy::unnecessary_cast)]
        Ok(status.blocks_available() as u64 * status.fragment_size() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_one_says_what_the_system_says() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        System.make_directory(&path("d")).unwrap();
        System.make_directory(&path("d")).expect("there already");
        assert!(path("d").is_dir());
        assert!(System.make_directory(&path("none/d")).is_err());
        let mut file = System.create(&path("d/f")).unwrap();
        assert!(System.create(&path("d/f")).is_err(), "never another's file");
        System.write(&mut file, b"whole").unwrap();
        System.sync(&file).unwrap();
        System.rename(&path("d/f"), &path("d/g")).unwrap();
        System.sync_directory(&path("d")).unwrap();
        assert_eq!(fs::read(path("d/g")).unwrap(), b"whole");
        System.remove(&path("d/g")).unwrap();
        assert_eq!(fs::read_dir(path("d")).unwrap().count(), 0);
        // A file that can't be synced is not durable: that is an error.
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        assert!(System.sync(&reader.into()).is_err());
        assert!(System.sync_directory(&path("none")).is_err());
        assert!(System.rename(&path("d/f"), &path("d/g")).is_err());
        assert!(System.remove(&path("d/g")).is_err());
    }

    #[test]
    fn free_is_counted_in_bytes() {
        let root = tempfile::tempdir().unwrap();
        let blocks = nix::sys::statvfs::statvfs(root.path()).unwrap().blocks_available();
        let free = System.free(root.path()).unwrap();
        // Other processes write meanwhile. No block is smaller than 512 bytes.
        assert!(u128::from(free / 256) > u128::from(blocks), "{free} bytes in {blocks} blocks");
        assert!(System.free(&root.path().join("none")).is_err());
    }
}
