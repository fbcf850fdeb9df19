//! The file of the page.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::system::error::plain;
use crate::system::file::{self, Durability, OpenError};
use crate::text::shell::shell_word;

/// The first line of every page: only a file that begins with it is replaced.
pub const FIRST_LINE: &str = "<!doctype html><!-- act-claude act usage -->";

/// Writes the page into a new file that only the user can read, or in place of an older page.
///
/// # Errors
///
/// The file is something else, or the system refuses: a sentence with what to do.
pub fn write(path: &Path, page: &str) -> Result<(), String> {
    let shown = path.display();
    let failed = |error: &io::Error| format!("--html: {shown} can't be written ({}): name another file", plain(error));
    match file::open_regular(path) {
        Ok((opened, _)) if is_page(&opened).map_err(|error| failed(&error))? => {
            file::replace(path, page.as_bytes(), 0o600, Durability::Unsynced).map_err(|error| failed(&error))
        }
        Err(OpenError::System(error)) if error.kind() == ErrorKind::NotFound => {
            file::create_whole(path, page.as_bytes()).map_err(|error| failed(&error))
        }
        Err(OpenError::System(error)) => Err(failed(&error)),
        // A device such as /dev/null, and the link /dev/stdout, are not to be removed.
        Err(OpenError::Link | OpenError::Special) => {
            Err(format!("--html: {shown} is not a regular file: name another file"))
        }
        Ok(_) => {
            let word = shell_word(path);
            Err(format!("--html: {shown} exists, and act usage did not write it: name another file, or: rm {word}"))
        }
    }
}

fn is_page(mut file: &std::fs::File) -> io::Result<bool> {
    let mut first = [0; FIRST_LINE.len()];
    match io::Read::read_exact(&mut file, &mut first) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
        Ok(()) => Ok(first == FIRST_LINE.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn only_a_page_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let page = |text: &str| format!("{FIRST_LINE}\n{text}");
        write(&path("page"), &page("one")).unwrap();
        write(&path("page"), &page("two")).unwrap();
        assert_eq!(fs::read_to_string(path("page")).unwrap(), page("two"));
        assert_eq!(fs::metadata(path("page")).unwrap().mode() & 0o7777, 0o600);
        fs::write(path("mine"), "<!doctype html>mine and longer than the first line of a page").unwrap();
        fs::write(path("short"), "").unwrap();
        symlink(path("page"), path("link")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        for (name, expected) in [
            ("mine", " exists, and act usage did not write it: name another file, or: rm "),
            ("short", " exists, and act usage did not write it: name another file, or: rm "),
            ("link", "link is not a regular file: name another file"),
            ("directory", "directory is not a regular file: name another file"),
        ] {
            let why = write(&path(name), &page("three")).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        assert!(fs::read_to_string(path("mine")).unwrap().ends_with("first line of a page"));
        let why = write(&path("none/page"), "").unwrap_err();
        assert!(why.ends_with("can't be written (No such file or directory): name another file"), "{why}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 5, "nothing is left behind");
    }
}
