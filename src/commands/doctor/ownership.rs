//! Files and directories of act-claude's that belong to others, or that others can change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::system::file;
use crate::system::owner;
use crate::text::shell::shell_word;

/// A file or directory that other users can change.
#[derive(Debug)]
pub struct Exposed {
    /// The file or directory.
    pub path: PathBuf,
    /// How others can change it.
    pub how: How,
    /// What to do: a command, or a sentence.
    pub fix: String,
}

/// How others can change a file.
#[derive(Debug, Clone, Copy)]
pub enum How {
    /// Its mode lets others write to it.
    Mode(u32),
    /// It belongs to this other user.
    Owner(u32),
}

/// Which of a configuration file and its directory other users can change.
pub fn exposed(file: &Path) -> Vec<Exposed> {
    let user = nix::unistd::geteuid().as_raw();
    let look = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        let is_shared = metadata.mode() & 0o1000 != 0;
        let how = if metadata.uid() != user && metadata.uid() != 0 {
            How::Owner(metadata.uid())
        } else if metadata.mode() & 0o022 != 0 && !is_shared {
            How::Mode(metadata.mode() & 0o7777)
        } else {
            return None;
        };
        let word = shell_word(path);
        let fix = match how {
            How::Owner(owner) => owner::own_fix(owner, path, &word),
            How::Mode(_) => format!("{}chmod go-w {word}", owner::sudo_for(&metadata)),
        };
        Some(Exposed { path: path.to_path_buf(), how, fix })
    };
    [file.parent(), Some(file)].into_iter().flatten().filter_map(look).collect()
}

/// Whether a directory exists and belongs to another user.
pub fn is_foreign(directory: &Path) -> bool {
    std::fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir() && !file::is_own(&metadata))
}
