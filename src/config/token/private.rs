//! Files that hold a secret, and that only the user can read.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::TokenError;
use super::wanted::Wanted;
use crate::system::error::plain;
use crate::system::file::{self, OpenError};
use crate::system::owner;
use crate::text::shell::shell_word;

/// Opens a file that only the user can read: a regular file of the user's own, mode 0600, in a directory that others can't write
/// to or that has the sticky bit (promise C4).
pub(super) fn open(wanted: Wanted<'_>, path: &Path) -> Result<File, TokenError> {
    let word = shell_word(path);
    let refuse = |what: String, fix: String| TokenError { what: format!("{} {what}", wanted.file(path)), fix };
    let unreadable = |error: std::io::Error| {
        refuse(format!("cannot be read ({})", plain(&error)), owner::access_fix(path, "600", shell_word))
    };
    let (file, metadata) = file::open_regular(path).map_err(|error| match error {
        OpenError::Link => {
            refuse("is a symbolic link".to_owned(), "name the file itself in the configuration".to_owned())
        }
        OpenError::Special => {
            refuse("is not a regular file".to_owned(), format!("rm -r {word} && {}", wanted.command_for(path)))
        }
        OpenError::System(error) if error.kind() == std::io::ErrorKind::NotFound => {
            refuse("does not exist".to_owned(), wanted.written_again(path))
        }
        OpenError::System(error) => unreadable(error),
    })?;
    if !file::is_own(&metadata) {
        let owner = metadata.uid();
        return Err(refuse(format!("belongs to user {owner}"), owner::own_fix(owner, path, &word)));
    }
    if !file::is_private(&metadata) {
        return Err(refuse(
            format!("can be read by others (mode {:04o})", metadata.mode() & 0o7777),
            format!("chmod 600 {word}"),
        ));
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    let metadata = std::fs::metadata(directory).map_err(unreadable)?;
    let sticky = metadata.mode() & 0o1000 != 0;
    if metadata.mode() & 0o022 != 0 && !sticky {
        return Err(refuse(
            format!("is in a directory that others can write to (mode {:04o})", metadata.mode() & 0o7777),
            format!("{}chmod go-w {}", owner::sudo_for(&metadata), shell_word(directory)),
        ));
    }
    Ok(file)
}
