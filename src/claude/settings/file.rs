//! Reads a settings file, without opening anything that blocks.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::system::error::plain;
use crate::system::file;

use super::unread::Reason;

/// The largest file that is read. Observed: current clients read 2 MiB, old ones any size.
pub const LARGEST: u64 = 16 * 1024 * 1024;

/// The contents of a file; `None` where there is none, or a directory, which no client reads.
pub fn bytes(path: &Path) -> Option<Result<Vec<u8>, Reason>> {
    let refused = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => None,
        _ => Some(Err(Reason::Refused(plain(&error)))),
    };
    // The file is checked before it is opened, because opening a pipe already affects its writer.
    match fs::metadata(path).map(|metadata| unreadable(&metadata)) {
        Ok(None) => {}
        Ok(Some(FileKind::Directory)) => return None,
        Ok(Some(FileKind::Special(kind))) => return Some(Err(Reason::Special(kind))),
        Err(error) => return refused(error),
    }
    match file::read_regular(path, LARGEST) {
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Some(Err(Reason::TooLarge { limit: LARGEST })),
        Ok(content) => Some(Ok(content)),
        Err(error) => refused(error),
    }
}

enum FileKind {
    Directory,
    Special(&'static str),
}

fn unreadable(metadata: &Metadata) -> Option<FileKind> {
    let kind = metadata.file_type();
    Some(match () {
        () if kind.is_file() => return None,
        () if kind.is_dir() => FileKind::Directory,
        () if kind.is_fifo() => FileKind::Special("a pipe"),
        () if kind.is_socket() => FileKind::Special("a socket"),
        () => FileKind::Special("a device"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_absent() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), b"{}\xff").unwrap();
        fs::create_dir(path("directory")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (name, target) in [("link", "file"), ("dangling", "nothing"), ("loop", "loop"), ("null", "/dev/null")] {
            std::os::unix::fs::symlink(target, path(name)).unwrap();
        }
        for (name, content) in [("at-most", LARGEST), ("too-large", LARGEST + 1)] {
            fs::File::create(path(name)).unwrap().set_len(content).unwrap();
        }
        assert_eq!(bytes(&path("file")), Some(Ok(b"{}\xff".to_vec())));
        assert_eq!(bytes(&path("link")), bytes(&path("file")));
        for name in ["nothing", "dangling", "directory", "file/below"] {
            assert_eq!(bytes(&path(name)), None, "{name}");
        }
        assert_eq!(bytes(&path("pipe")), Some(Err(Reason::Special("a pipe"))));
        assert_eq!(bytes(&path("null")), Some(Err(Reason::Special("a device"))));
        assert!(matches!(bytes(&path("loop")), Some(Err(Reason::Refused(_)))));
        assert_eq!(bytes(&path("at-most")).unwrap().unwrap().len() as u64, LARGEST);
        assert_eq!(bytes(&path("too-large")), Some(Err(Reason::TooLarge { limit: LARGEST })));
    }
}
