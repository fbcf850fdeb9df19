//! Stores a token in a file that only its owner can read.

use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::system::file;
use crate::system::owner;
use crate::text::shell::shell_word;

/// A token file that was written. When it is dropped, the file that was there before is deleted.
#[derive(Debug)]
pub struct Written {
    path: PathBuf,
    /// The file that was there before, under another name in the same directory.
    earlier: Option<TempPath>,
}

/// Writes the token into a new file under its final name, so that no other file ever holds this token.
///
/// # Errors
///
/// The system refuses. Then the file is as it was before.
pub fn write(path: &Path, token: &str) -> Result<Written> {
    file::create_directories(file::parent(path))?;
    let written = Written { path: path.to_path_buf(), earlier: set_aside(path)? };
    match fill(path, token) {
        Ok(()) => Ok(written),
        Err(error) => {
            written.take_back()?;
            Err(error)
        }
    }
}

fn fill(path: &Path, token: &str) -> Result<()> {
    let mut file = file::create_private(path)?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file::sync(&file)?;
    file::sync_directory(file::parent(path))
}

/// Gives what is at `path` another name. `None`: nothing is there.
fn set_aside(path: &Path) -> Result<Option<TempPath>> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        // A new file in its place would be this process's user's.
        Ok(metadata) if !file::is_own(&metadata) => {
            let owner = metadata.uid();
            let fix = owner::own_fix(owner, path, &shell_word(path));
            return Err(Error::other(format!("it belongs to user {owner}: {fix}")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let rename = |aside: &Path| std::fs::rename(path, aside);
    let aside = tempfile::Builder::new().prefix(file::UNFINISHED).make_in(file::parent(path), rename)?;
    Ok(Some(aside.into_temp_path()))
}

impl Written {
    /// Takes the token back: the file that was there before is there again, unchanged, or there is none.
    ///
    /// # Errors
    ///
    /// The system refuses. The error names the file that holds the earlier token.
    pub fn take_back(self) -> Result<()> {
        let directory = file::parent(&self.path);
        match self.earlier {
            Some(earlier) => earlier.persist(&self.path).map_err(|failed| {
                let why = failed.error;
                match failed.path.keep() {
                    Ok(kept) => Error::new(why.kind(), format!("{why}; what it was before is in {}", kept.display())),
                    Err(_) => why,
                }
            })?,
            None => match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
        file::sync_directory(directory)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_was_there_before_comes_back_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("old"), "earlier\n").unwrap();
        fs::set_permissions(path("old"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("elsewhere", path("link")).unwrap();
        for name in ["old", "link", "new"] {
            let written = write(&path(name), "token").unwrap();
            assert_eq!(fs::read_to_string(path(name)).unwrap(), "token\n");
            assert_eq!(path(name).symlink_metadata().unwrap().permissions().mode(), 0o100600, "{name}");
            written.take_back().unwrap();
        }
        assert_eq!(fs::read_to_string(path("old")).unwrap(), "earlier\n");
        assert_eq!(fs::metadata(path("old")).unwrap().permissions().mode(), 0o100640);
        assert_eq!(fs::read_link(path("link")).unwrap(), Path::new("elsewhere"));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2, "nothing is left behind");
        drop(write(&path("old"), "token").unwrap());
        assert_eq!(fs::read_to_string(path("old")).unwrap(), "token\n");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2, "the earlier token is gone");
        fs::create_dir(path("directory")).unwrap();
        assert_eq!(write(&path("directory"), "token").unwrap_err().kind(), ErrorKind::IsADirectory);
        assert!(path("directory").is_dir());
    }
}
