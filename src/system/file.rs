//! Opens, makes and replaces files in directories where another process may have put something else in their place: a link, a
//! pipe, a device.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc::{EINVAL, ENOTSUP, ENOTTY};

/// Why a file is not opened.
#[derive(Debug)]
pub enum OpenError {
    /// It is a symbolic link.
    Link,
    /// It is not a regular file, but a directory, a pipe, a socket or a device.
    Special,
    /// The system refuses to open it.
    System(io::Error),
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Link => Self::from(Errno::ELOOP),
            OpenError::Special => Self::new(io::ErrorKind::InvalidInput, "not a regular file"),
            OpenError::System(error) => error,
        }
    }
}

impl From<io::Error> for OpenError {
    /// The kind of file that an error of [`open`] stands for.
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ELOOP) => Self::Link,
            // A socket, or a pipe that nobody reads; a directory, opened for writing.
            Some(Errno::ENXIO | Errno::EISDIR) => Self::Special,
            // macOS returns this error for a socket.
            #[cfg(not(target_os = "linux"))]
            Some(Errno::EOPNOTSUPP) => Self::Special,
            _ => Self::System(error),
        }
    }
}

/// Opens `path` as `options` say. If its last component is a symbolic link, that is an error. Opening a pipe does not wait for
/// its other end, and a terminal does not become this process's controlling terminal. The result may be a directory, a pipe
/// or a device: the caller has to check that.
///
/// # Errors
///
/// The system refuses. [`OpenError`] tells a link and a special file from other reasons.
pub fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    open_with(path, options, OFlag::O_NOFOLLOW)
}

/// Opens `path` as [`open`] does, but follows symbolic links.
///
/// # Errors
///
/// The system refuses.
pub fn open_through_links(path: &Path, options: &OpenOptions) -> io::Result<File> {
    open_with(path, options, OFlag::empty())
}

fn open_with(path: &Path, options: &OpenOptions, more: OFlag) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | more;
    options.clone().custom_flags(flags.bits()).open(path)
}

/// Opens `path` for an exclusive lock, as [`open`] does: for reading and writing, because Linux has such a lock on NFS only through
/// a descriptor that can write. (A directory is locked there as elsewhere.) What can't be opened for writing is opened for
/// reading, which is enough on other file systems.
///
/// # Errors
///
/// The system refuses.
pub fn open_to_lock(path: &Path) -> io::Result<File> {
    open(path, File::options().read(true).write(true)).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => open(path, File::options().read(true)),
        _ => Err(error),
    })
}

/// Opens a regular file for reading, as [`open`] does.
///
/// # Errors
///
/// `path` is a symbolic link or another kind of file, or the system refuses.
pub fn open_regular(path: &Path) -> Result<(File, Metadata), OpenError> {
    regular(open(path, File::options().read(true))?)
}

/// Opens a regular file for reading, as [`open_through_links`] does.
///
/// # Errors
///
/// `path` leads to another kind of file, or the system refuses.
pub fn open_regular_through_links(path: &Path) -> Result<(File, Metadata), OpenError> {
    regular(open_through_links(path, File::options().read(true))?)
}

fn regular(file: File) -> Result<(File, Metadata), OpenError> {
    let metadata = file.metadata().map_err(OpenError::System)?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(OpenError::Special) }
}

/// Reads a regular file of at most `largest` bytes. Symbolic links are followed. Nothing is waited for: a pipe, a device or a
/// socket is not read.
///
/// # Errors
///
/// `path` leads to another kind of file or to a larger one, or the system refuses.
pub fn read_regular(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open_regular_through_links(path)?;
    read_opened(&file, &metadata, largest)
}

/// Reads an opened file of at most `largest` bytes.
///
/// # Errors
///
/// The file is larger ([`io::ErrorKind::FileTooLarge`]), or the system refuses.
pub fn read_opened(file: &File, metadata: &Metadata, largest: u64) -> io::Result<Vec<u8>> {
    // One byte more than the file has: so its end is seen without a larger buffer.
    let mut content = Vec::with_capacity(usize::try_from(metadata.len().min(largest)).unwrap_or_default() + 1);
    file.take(largest + 1).read_to_end(&mut content)?;
    if content.len() as u64 > largest {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than expected"));
    }
    Ok(content)
}

/// The entries of a directory; none where it does not exist.
///
/// # Errors
///
/// It can't be read: it may have entries.
pub fn entries(directory: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>> + use<>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    Ok(entries.into_iter().flatten())
}

/// Makes a new file (0600) for writing.
///
/// # Errors
///
/// `path` exists already, even as a link that leads nowhere; or the system refuses.
pub fn create_private(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes a new file (0600) with its content. It is there with all of the content, or not at all.
///
/// # Errors
///
/// `path` exists already, even as a link that leads nowhere; or the system refuses.
pub fn create_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".act-claude-").tempfile_in(parent(path))?;
    file.write_all(content)?;
    file.persist_noclobber(path)?;
    Ok(())
}

/// Makes a directory (0700), and those above it that are missing.
///
/// # Errors
///
/// `path` exists and is not a directory, or the system refuses.
pub fn create_directories(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// How the name of a file starts that exists only while another one is replaced. One is left where a process was killed meanwhile.
pub const UNFINISHED: &str = ".act-claude-";

/// Whether a file has such a name.
pub fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()))
}

/// What is on disk after a crash of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The new content and its name are on disk when the call returns.
    Synced,
    /// The old content, no content, or a part of the new one may be on disk. The call does not wait for the disk.
    Unsynced,
}

/// Replaces the file `path`, or makes it, with the permissions `mode`. A reader sees either the old content or the new one, each
/// complete. If `path` is a symbolic link, the link is replaced, not the file that it leads to.
///
/// # Errors
///
/// The system refuses. Then the old file is unchanged, except where only the last step failed, the sync of the directory.
pub fn replace(path: &Path, content: &[u8], mode: u32, durability: Durability) -> io::Result<()> {
    let directory = parent(path);
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    if durability == Durability::Unsynced {
        file.persist(path)?;
        return Ok(());
    }
    sync(file.as_file())?;
    file.persist(path)?;
    sync_directory(directory)
}

/// Waits until a file is on disk.
///
/// # Errors
///
/// The disk fails.
pub fn sync(file: &File) -> io::Result<()> {
    or_plainly(file.sync_all(), || Ok(nix::unistd::fsync(file)?))
}

/// Waits until the content of a file is on disk; its times may follow later.
///
/// # Errors
///
/// The disk fails.
pub fn sync_content(file: &File) -> io::Result<()> {
    or_plainly(file.sync_data(), || Ok(nix::unistd::fsync(file)?))
}

/// The standard library syncs on macOS with F_FULLFSYNC, which also empties the disk's own cache. Some file systems (network,
/// FAT) do not have it, and have fsync.
fn or_plainly(synced: io::Result<()>, plainly: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let is_missing = |error: &io::Error| matches!(error.raw_os_error(), Some(EINVAL | ENOTSUP | ENOTTY));
    match synced {
        Err(error) if is_missing(&error) => plainly(),
        synced => synced,
    }
}

/// Waits until the entries of a directory are on disk.
///
/// # Errors
///
/// The directory can't be opened, or the disk fails.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    sync(&File::open(path)?)
}

/// The directory that `path` lies in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a file belongs to this process's user.
pub fn is_own(metadata: &Metadata) -> bool {
    metadata.uid() == nix::unistd::geteuid().as_raw()
}

/// Whether nobody but its owner (and root) can read or write a file.
pub fn is_private(metadata: &Metadata) -> bool {
    metadata.mode() & 0o077 == 0
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        create_private(&path("file")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        symlink("file", path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        let (_file, metadata) = open_regular(&path("file")).unwrap();
        assert!(is_own(&metadata) && is_private(&metadata));
        assert!(matches!(open_regular(&path("link")), Err(OpenError::Link)));
        for name in ["directory", "pipe", "socket"] {
            assert!(matches!(open_regular(&path(name)), Err(OpenError::Special)), "{name}");
        }
        assert!(matches!(open_regular(&path("none")), Err(OpenError::System(_))));
        assert!(open_through_links(&path("link"), File::options().read(true)).is_ok());
        assert_eq!(read_regular(&path("link"), 0).unwrap(), b"");
        for name in ["directory", "pipe", "socket", "none"] {
            assert!(read_regular(&path(name), 9).is_err(), "{name}");
        }
        assert!(read_regular(Path::new("/dev/zero"), 9).is_err());
        fs::write(path("file"), "12345").unwrap();
        assert_eq!(read_regular(&path("link"), 5).unwrap(), b"12345");
        assert_eq!(read_regular(&path("link"), 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        // Nobody reads the pipe: a writer is not kept waiting, either.
        let error = open(&path("pipe"), File::options().write(true)).unwrap_err();
        assert!(matches!(error.into(), OpenError::Special));
    }

    #[test]
    fn a_lock_s_descriptor_can_write_where_the_file_can_be_written_to() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let mode = |file: &File| {
            let flags = nix::fcntl::fcntl(file, nix::fcntl::F_GETFL).unwrap();
            OFlag::from_bits_retain(flags) & OFlag::O_ACCMODE
        };
        fs::write(path("file"), "content").unwrap();
        symlink("file", path("link")).unwrap();
        assert_eq!(mode(&open_to_lock(&path("file")).unwrap()), OFlag::O_RDWR);
        assert_eq!(fs::read(path("file")).unwrap(), b"content");
        for name in ["link", "none"] {
            assert!(open_to_lock(&path(name)).is_err() && !path("none").exists(), "{name}");
        }
        assert!(matches!(open_to_lock(root.path()).unwrap_err().into(), OpenError::Special));
        // Nobody may write to it, not even root.
        let sealed = Path::new("/sys/kernel/uevent_seqnum");
        if sealed.exists() {
            assert_eq!(mode(&open_to_lock(sealed).unwrap()), OFlag::O_RDONLY);
        }
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("target"), "target").unwrap();
        symlink("target", path("file")).unwrap();
        for (content, mode, durability) in [("one", 0o600, Durability::Synced), ("two", 0o644, Durability::Unsynced)] {
            replace(&path("file"), content.as_bytes(), mode, durability).unwrap();
            assert_eq!(fs::read_to_string(path("file")).unwrap(), content);
            assert_eq!(fs::symlink_metadata(path("file")).unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(fs::read_to_string(path("target")).unwrap(), "target");
        fs::create_dir(path("directory")).unwrap();
        assert!(replace(&path("directory"), b"", 0o600, Durability::Synced).is_err());
        assert!(replace(&path("none/file"), b"", 0o600, Durability::Synced).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3, "nothing is left behind");
        assert_eq!((parent(Path::new("file")), parent(Path::new("/a/b"))), (Path::new("."), Path::new("/a")));
    }

    #[test]
    fn where_the_full_sync_is_missing_the_plain_one_decides() {
        let failed = |errno| Err(io::Error::from_raw_os_error(errno));
        let result = |full: io::Result<()>, plain: io::Result<()>| {
            or_plainly(full, || plain).map_err(|error| error.raw_os_error().unwrap())
        };
        let (io, full) = (nix::libc::EIO, nix::libc::ENOSPC);
        for missing in [EINVAL, ENOTSUP, ENOTTY] {
            assert_eq!(result(failed(missing), Ok(())), Ok(()), "{missing}");
            assert_eq!(result(failed(missing), failed(io)), Err(io), "{missing}");
        }
        // A disk that fails is not asked a second time: it may then say that all is well.
        assert_eq!([result(failed(io), Ok(())), result(failed(full), Ok(()))], [Err(io), Err(full)]);
        assert_eq!(or_plainly(Ok(()), || unreachable!("not needed")).ok(), Some(()));
        let file = tempfile::tempfile().unwrap();
        assert!(sync(&file).is_ok() && sync_content(&file).is_ok());
    }

    #[test]
    fn a_new_file_takes_nobody_s_place() {
        let root = tempfile::tempdir().unwrap();
        symlink("elsewhere", root.path().join("link")).unwrap();
        assert!(create_private(&root.path().join("link")).is_err());
        assert!(!root.path().join("elsewhere").exists());
        assert!(create_private(&root.path().join("new")).is_ok() && create_private(&root.path().join("new")).is_err());
        assert_eq!(create_whole(&root.path().join("link"), b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(create_whole(&root.path().join("new"), b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        create_whole(&root.path().join("whole"), b"x").unwrap();
        assert!(is_private(&fs::metadata(root.path().join("whole")).unwrap()));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3, "nothing is left behind");
    }
}
