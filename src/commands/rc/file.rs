//! Reads and changes an rc file: links are followed, and what is not the user's own stays as it is.
//!
//! A new file takes the old one's place, so that a shell never reads half of it. Where the new file would not be like the old one
//! (another group, an access control list, a second name), the old one is changed in place.

use std::fs::{File, Metadata};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::system::error::plain;
use crate::system::file::{self, OpenError};

/// The largest file that is changed, in bytes.
const LARGEST: u64 = 4 << 20;

/// An rc file that can be changed.
#[derive(Debug)]
pub struct RcFile {
    /// Its path, as the shell names it.
    pub path: PathBuf,
    /// Its content; empty where it does not exist.
    pub content: Vec<u8>,
    /// The file that its links lead to.
    target: PathBuf,
    /// `None`: it does not exist.
    metadata: Option<Metadata>,
}

/// What a shell's file contains. A pipe, a device or a file that is too large is an error, and nothing is waited for.
pub fn content(path: &Path) -> io::Result<Vec<u8>> {
    file::read_regular(path, LARGEST)
}

/// Reads `path`. An error says why it can't be changed.
pub fn read(path: &Path) -> Result<RcFile, String> {
    let target = match path.canonicalize() {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match path.symlink_metadata() {
                Ok(_) => Err("it is a link that leads nowhere".to_owned()),
                Err(_) => new(path),
            };
        }
        Err(error) => return Err(plain(&error)),
    };
    let (file, metadata) = file::open_regular(&target).map_err(|error| match error {
        OpenError::Link => "it is a link that changes".to_owned(),
        OpenError::Special => "it is not a regular file".to_owned(),
        OpenError::System(error) => plain(&error),
    })?;
    if !file::is_own(&metadata) {
        return Err(format!("it belongs to user {}", metadata.uid()));
    }
    // Root may write to any file, but a file without the right to write is meant to stay as it is.
    if metadata.mode() & 0o200 == 0 || access(&target, AccessFlags::W_OK).is_err() {
        return Err("it is read-only".to_owned());
    }
    let content = file::read_opened(&file, &metadata, LARGEST).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => "it is too large".to_owned(),
        _ => plain(&error),
    })?;
    Ok(RcFile { path: path.to_path_buf(), content, target, metadata: Some(metadata) })
}

/// A file that does not exist yet. It may be made only in a directory of the user's own: root in another user's home would leave a
/// file there that its owner can't change.
fn new(path: &Path) -> Result<RcFile, String> {
    let above = path.ancestors().skip(1).find_map(|above| std::fs::metadata(above).ok());
    match above {
        Some(above) if above.is_dir() && file::is_own(&above) => {
            Ok(RcFile { path: path.into(), content: Vec::new(), target: path.into(), metadata: None })
        }
        _ => Err("it does not exist, and its directory is not yours".to_owned()),
    }
}

impl RcFile {
    /// Whether `path` leads to this file.
    pub fn is(&self, path: &Path) -> bool {
        path == self.path || path.canonicalize().is_ok_and(|target| target == self.target)
    }

    /// Replaces the content. It fails where the file has changed since it was read.
    pub fn write(&self, content: &[u8]) -> Result<(), String> {
        let Some(metadata) = &self.metadata else { return self.create(content).map_err(|error| plain(&error)) };
        if read(&self.path)?.content != self.content {
            return Err("it has changed in the meantime".to_owned());
        }
        let replaced = match self.must_stay(metadata) {
            true => Ok(false),
            false => self.replace(content, metadata),
        };
        replaced.and_then(|done| if done { Ok(()) } else { self.change(content) }).map_err(|error| plain(&error))
    }

    /// Whether the file has something that a new one in its place would not have: another name that leads to it, or extended
    /// attributes, as access control lists are kept in. On macOS those lists are elsewhere, and are not looked for.
    fn must_stay(&self, metadata: &Metadata) -> bool {
        let mut names = [0_u8; 1024];
        // A file system without extended attributes has none to lose.
        let has_attributes = match rustix::fs::listxattr(&self.target, &mut names[..]) {
            Ok(length) => length > 0,
            Err(error) => error == rustix::io::Errno::RANGE,
        };
        metadata.nlink() > 1
            || cfg!(target_os = "macos")
            || access(file::parent(&self.target), AccessFlags::W_OK).is_err()
            || has_attributes
    }

    /// Puts a new file in the place of the old one. `false`: it would have another owner or group, as in a directory that hands
    /// its own group on; nothing was changed.
    fn replace(&self, content: &[u8], metadata: &Metadata) -> io::Result<bool> {
        let directory = file::parent(&self.target);
        let mut file = tempfile::Builder::new().prefix(file::UNFINISHED).tempfile_in(directory)?;
        let new = file.as_file().metadata()?;
        if (new.uid(), new.gid()) != (metadata.uid(), metadata.gid()) {
            return Ok(false);
        }
        file.as_file().set_permissions(metadata.permissions())?;
        file.write_all(content)?;
        file::sync(file.as_file())?;
        file.persist(&self.target)?;
        file::sync_directory(directory)?;
        Ok(true)
    }

    fn create(&self, content: &[u8]) -> io::Result<()> {
        std::fs::create_dir_all(file::parent(&self.target))?;
        let mut file = File::options().write(true).create_new(true).open(&self.target)?;
        file.write_all(content)?;
        file::sync(&file)
    }

    /// Writes what differs, and leaves what comes before it. Where that fails, the file gets its old content back.
    fn change(&self, content: &[u8]) -> io::Result<()> {
        let same = self.content.iter().zip(content).take_while(|(before, after)| before == after).count();
        let mut file = file::open(&self.target, File::options().write(true))?;
        let mut put = |content: &[u8]| {
            file.seek(SeekFrom::Start(same as u64))?;
            file.write_all(&content[same..])?;
            file.set_len(content.len() as u64)?;
            file::sync(&file)
        };
        put(content).inspect_err(|_| drop(put(&self.content)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_file_keeps_its_links_and_its_mode() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("dotfiles")).unwrap();
        for (name, mode) in [("plain", 0o640), ("dotfiles/linked", 0o600), ("hard", 0o644)] {
            fs::write(path(name), "one\n").unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("dotfiles/linked", path("link")).unwrap();
        fs::hard_link(path("hard"), path("other")).unwrap();
        for (name, target, mode) in
            [("plain", "plain", 0o640), ("link", "dotfiles/linked", 0o600), ("hard", "other", 0o644)]
        {
            for content in ["one\ntwo\n", "one\n", "three\n"] {
                read(&path(name)).unwrap().write(content.as_bytes()).unwrap();
                assert_eq!(fs::read_to_string(path(target)).unwrap(), content);
                assert_eq!(fs::metadata(path(target)).unwrap().mode() & 0o7777, mode, "{name}");
            }
        }
        assert!(path("link").symlink_metadata().unwrap().is_symlink());
        let new = read(&path("none/yet/rc")).unwrap();
        assert!(new.content.is_empty());
        new.write(b"x\n").unwrap();
        assert_eq!(fs::read(path("none/yet/rc")).unwrap(), b"x\n");
        assert!(new.write(b"y\n").is_err(), "somebody else has made it in the meantime");
    }

    #[test]
    fn the_file_keeps_its_attributes_and_its_group() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let inode = |name: &str| fs::metadata(path(name)).unwrap().ino();
        fs::write(path("plain"), "one\n").unwrap();
        let before = inode("plain");
        read(&path("plain")).unwrap().write(b"two\n").unwrap();
        assert_eq!(inode("plain") == before, cfg!(target_os = "macos"), "a reader sees the old file or the new one");

        fs::write(path("listed"), "one\n").unwrap();
        let set = |value: &[u8]| {
            rustix::fs::setxattr(path("listed"), "user.act", value, rustix::fs::XattrFlags::empty()).is_ok()
        };
        // Some file systems have no such attributes.
        if set(b"x") {
            read(&path("listed")).unwrap().write(b"one\ntwo\n").unwrap();
            let mut value = [0_u8; 8];
            assert_eq!(rustix::fs::getxattr(path("listed"), "user.act", &mut value[..]), Ok(1));
            assert_eq!(fs::read(path("listed")).unwrap(), b"one\ntwo\n");
        }

        // Only root may give a directory to any group.
        fs::create_dir(path("shared")).unwrap();
        fs::write(path("shared/rc"), "one\n").unwrap();
        if std::os::unix::fs::chown(path("shared"), None, Some(4321)).is_ok() {
            fs::set_permissions(path("shared"), fs::Permissions::from_mode(0o2755)).unwrap();
            let before = fs::metadata(path("shared/rc")).unwrap();
            read(&path("shared/rc")).unwrap().write(b"two\n").unwrap();
            let after = fs::metadata(path("shared/rc")).unwrap();
            assert_eq!((after.gid(), after.ino()), (before.gid(), before.ino()));
            assert_eq!(fs::read(path("shared/rc")).unwrap(), b"two\n");
            assert_eq!(fs::read_dir(path("shared")).unwrap().count(), 1, "nothing is left behind");
        }
    }

    #[test]
    fn what_is_not_the_user_s_to_change_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("read-only"), "").unwrap();
        fs::set_permissions(path("read-only"), fs::Permissions::from_mode(0o444)).unwrap();
        symlink("read-only", path("to-read-only")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        symlink("circle", path("circle")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write(path("large"), vec![b'#'; (4 << 20) + 1]).unwrap();
        for (name, why) in [
            ("read-only", "it is read-only"),
            ("to-read-only", "it is read-only"),
            ("dangling", "it is a link that leads nowhere"),
            ("circle", ""),
            ("directory", "it is not a regular file"),
            ("pipe", "it is not a regular file"),
            ("large", "it is too large"),
        ] {
            let error = read(&path(name)).unwrap_err();
            assert!(why.is_empty() || error == why, "{name}: {error}");
        }
        fs::write(path("changing"), "one\n").unwrap();
        let before = read(&path("changing")).unwrap();
        fs::write(path("changing"), "another\n").unwrap();
        assert_eq!(before.write(b"mine").unwrap_err(), "it has changed in the meantime");
        assert_eq!(fs::read(path("changing")).unwrap(), b"another\n");
    }
}
