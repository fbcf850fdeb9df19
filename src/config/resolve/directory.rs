//! Facts of the file system about a directory: its levels, their repository files, its main checkout.
//!
//! Directories are compared by device and inode, so that symbolic links, bind mounts and file systems that
//! ignore case need no rules of their own.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::config::Config;
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::file::{self, OpenError};

use super::repository::{self, Content, RepositoryFile};
use super::working_tree::{self, WorkingTree};
use crate::git::checkout::{path_of, read_line};

/// Device and inode.
pub type Identity = (u64, u64);

/// A directory on the way up to the root.
#[derive(Debug, Clone)]
pub struct Level {
    /// Its physical path.
    pub path: PathBuf,
    /// Its identity.
    pub identity: Identity,
    /// The `.act-claude.json` in it.
    pub file: Option<RepositoryFile>,
    /// What git says of it, where it is the top of a repository's working tree and a rule needs to know.
    pub tree: Option<WorkingTree>,
}

/// The main checkout of a linked worktree.
#[derive(Debug, Clone)]
pub struct Worktree {
    /// Its directory (of a bare repository: the repository).
    pub main: PathBuf,
    /// The directories from there up to the root.
    pub levels: Vec<Level>,
}

/// Everything resolution needs to know about a directory.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The directories from this one up to the root, by physical paths.
    pub levels: Vec<Level>,
    /// `$PWD`, where it is the same directory under another spelling.
    pub logical: Option<PathBuf>,
    /// The main checkout, where the directory lies in a linked git worktree.
    pub worktree: Option<Worktree>,
    /// The `.git` file of a linked worktree whose main checkout does not know it.
    pub lost_worktree: Option<PathBuf>,
    /// For each rule of the configuration, in order: the directory it names, if that exists.
    pub rules: Vec<Option<Identity>>,
}

/// The largest `.act-claude.json` that is read, in bytes.
pub const LARGEST_FILE: u64 = 64 * 1024;

impl Directory {
    /// Examines `directory` (physical, absolute).
    pub fn of(directory: &Path, environment: &Environment, config: &Config) -> Self {
        let mut levels = levels(directory);
        let rules: Vec<Option<Identity>> = config.directories.iter().map(|rule| identity(&rule.path)).collect();
        if !config.repositories.is_empty() || config.broken.repository.is_some() {
            working_tree::read(&mut levels, &rules, environment, config);
        }
        let logical = logical(directory, environment, levels.first().map(|level| level.identity));
        let (worktree, lost_worktree) = match main_checkout(&levels) {
            Some(Checkout::Main(main)) => (Some(Worktree { levels: self::levels(&main), main }), None),
            Some(Checkout::Lost(file)) => (None, Some(file)),
            None => (None, None),
        };
        Self { worktree, lost_worktree, logical, rules, levels }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn levels(directory: &Path) -> Vec<Level> {
    directory
        .ancestors()
        .filter_map(|path| {
            Some(Level {
                path: path.to_path_buf(),
                identity: identity(path)?,
                file: repository_file(path.join(repository::NAME)),
                tree: None,
            })
        })
        .collect()
}

fn logical(directory: &Path, environment: &Environment, here: Option<Identity>) -> Option<PathBuf> {
    let logical = PathBuf::from(environment.get("PWD")?);
    let absolute = logical.is_absolute() && !logical.components().any(|part| part.as_os_str() == "..");
    (absolute && logical != directory && here.is_some() && identity(&logical) == here).then_some(logical)
}

/// The repository's file, where there is one that can be read. The directory may be hostile.
fn repository_file(path: PathBuf) -> Option<RepositoryFile> {
    let content = match file::open_regular(&path) {
        Ok((file, metadata)) => read_repository_file(file, &metadata),
        Err(OpenError::Link) => Content::Unusable("it is a symbolic link".to_owned()),
        Err(OpenError::Special) => Content::Unusable("it is not a regular file".to_owned()),
        Err(OpenError::System(error)) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => return None,
            _ => Content::Unusable(plain(&error)),
        },
    };
    Some(RepositoryFile { path, content })
}

fn read_repository_file(file: fs::File, metadata: &fs::Metadata) -> Content {
    if metadata.uid() != 0 && !file::is_own(metadata) {
        return Content::Stranger { uid: metadata.uid() };
    }
    let mut text = String::new();
    match file.take(LARGEST_FILE + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > LARGEST_FILE => Content::Unusable("it is larger than 64 KiB".to_owned()),
        Ok(_) => Content::Text(text),
        Err(error) => Content::Unusable(plain(&error)),
    }
}

/// The main checkout that a worktree names.
enum Checkout {
    /// It exists.
    Main(PathBuf),
    /// This file of the worktree names a directory that does not refer back to it.
    Lost(PathBuf),
}

/// The main checkout of the linked worktree that the levels are in. The link is checked in both directions: a `.git` file that
/// merely claims to belong to someone's repository is not trusted.
fn main_checkout(levels: &[Level]) -> Option<Checkout> {
    for level in levels {
        let dot_git = level.path.join(".git");
        let Ok(metadata) = fs::symlink_metadata(&dot_git) else {
            continue;
        };
        if metadata.is_dir() {
            return None;
        }
        let Some(line) = read_line(&dot_git) else { continue };
        let Some(named) = line.strip_prefix(b"gitdir:").map(|path| level.path.join(path_of(path))) else { continue };
        let Ok(git_directory) = named.canonicalize() else {
            // A worktree's directory is `…/worktrees/NAME`. Any other is a submodule's, and is ignored.
            let is_worktree = named.parent().is_some_and(|parent| parent.ends_with("worktrees"));
            return is_worktree.then_some(Checkout::Lost(dot_git));
        };
        // A submodule has no common directory. Its superproject is in a directory above.
        let Some(common) = read_line(&git_directory.join("commondir")) else {
            continue;
        };
        let back = read_line(&git_directory.join("gitdir")).map(|back| git_directory.join(path_of(&back)));
        if back.and_then(|back| identity(&back)) != Some((metadata.dev(), metadata.ino())) {
            return Some(Checkout::Lost(dot_git));
        }
        let common = git_directory.join(path_of(&common)).canonicalize().ok()?;
        // The two directories may both lie where a stranger made them; the checkout they name must know them, too.
        let worktrees = common.join("worktrees").canonicalize().ok();
        if worktrees.as_deref() != git_directory.parent() {
            return Some(Checkout::Lost(dot_git));
        }
        return Some(Checkout::Main(match common.file_name() {
            Some(name) if name == ".git" => common.parent()?.to_path_buf(),
            _ => common,
        }));
    }
    None
}
