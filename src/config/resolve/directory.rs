//! Facts of the file system about a directory: its levels, their repository files, its main checkout.
//!
//! Directories are compared by device and inode, so that symbolic links, bind mounts and file systems that
//! ignore case need no rules of their own.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::config::Config;
use crate::git::worktree::MainCheckout;
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::file::{self, OpenError};

use super::repository::{self, Content, RepositoryFile};
use super::working_tree::{self, WorkingTree};

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
        let paths = levels.iter().map(|level| level.path.as_path());
        let (worktree, lost_worktree) = match MainCheckout::of(paths) {
            Some(MainCheckout::At(main)) => (Some(Worktree { levels: self::levels(&main), main }), None),
            Some(MainCheckout::Lost(file)) => (None, Some(file)),
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
        Ok((file, metadata)) => read_repository_file(&file, &metadata),
        Err(OpenError::Link) => Content::Unusable("it is a symbolic link".to_owned()),
        Err(OpenError::Special) => Content::Unusable("it is not a regular file".to_owned()),
        Err(OpenError::System(error)) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => return None,
            _ => Content::Unusable(plain(&error)),
        },
    };
    Some(RepositoryFile { path, content })
}

fn read_repository_file(file: &fs::File, metadata: &fs::Metadata) -> Content {
    if metadata.uid() != 0 && !file::is_own(metadata) {
        return Content::Stranger { uid: metadata.uid() };
    }
    match file::read_opened(file, metadata, LARGEST_FILE) {
        Err(error) if error.kind() == ErrorKind::FileTooLarge => {
            Content::Unusable("it is larger than 64 KiB".to_owned())
        }
        Err(error) => Content::Unusable(plain(&error)),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(_) => Content::Unusable("it is not UTF-8 text".to_owned()),
        },
    }
}
