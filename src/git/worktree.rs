//! The main checkout of a linked worktree: git-worktree(1), "DETAILS".

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::checkout::{common, named_by, path_of, read_line};

/// The main checkout that a worktree names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MainCheckout {
    /// Its directory. Of a bare repository: the repository.
    At(PathBuf),
    /// This `.git` file of the worktree names a directory that does not refer back to it.
    Lost(PathBuf),
}

impl MainCheckout {
    /// The main checkout of the linked worktree that the first of `levels` is in; the others are the directories above. The link
    /// is checked in both directions: a `.git` file that merely claims to belong to someone's repository is not trusted.
    pub fn of<'a>(levels: impl IntoIterator<Item = &'a Path>) -> Option<Self> {
        for level in levels {
            let dot_git = level.join(".git");
            let Ok(metadata) = fs::symlink_metadata(&dot_git) else { continue };
            if metadata.is_dir() {
                return None;
            }
            let Some(named) = read_line(&dot_git).and_then(|line| named_by(&line, level)) else { continue };
            let Ok(directory) = named.canonicalize() else {
                // A worktree's directory is `…/worktrees/NAME`. Any other is a submodule's, and is ignored.
                let is_worktree = named.parent().is_some_and(|parent| parent.ends_with("worktrees"));
                return is_worktree.then_some(Self::Lost(dot_git));
            };
            // A submodule has no common directory. Its superproject is in a directory above.
            let Some(common) = common(&directory) else { continue };
            let back = read_line(&directory.join("gitdir")).map(|back| directory.join(path_of(&back)));
            let back = back.and_then(|back| fs::metadata(back).ok());
            if back.is_none_or(|back| (back.dev(), back.ino()) != (metadata.dev(), metadata.ino())) {
                return Some(Self::Lost(dot_git));
            }
            let common = common.canonicalize().ok()?;
            // The two directories may both lie where a stranger made them; the checkout they name must know them, too.
            let worktrees = common.join("worktrees").canonicalize().ok();
            if worktrees.as_deref() != directory.parent() {
                return Some(Self::Lost(dot_git));
            }
            return Some(Self::At(match common.file_name() {
                Some(name) if name == ".git" => common.parent()?.to_path_buf(),
                _ => common,
            }));
        }
        None
    }
}
