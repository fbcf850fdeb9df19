//! What the file system says about a directory: its levels, their repository files, its main checkout.
//!
//! Directories are compared by device and inode, so that symbolic links, bind mounts and file systems that
//! ignore case need no rules of their own.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::system::environment::Environment;
use crate::system::error::plain;

use super::repository::{self, Content, RepositoryFile};

/// Device and inode.
pub type Identity = (u64, u64);

/// A directory on the way up.
#[derive(Debug, Clone)]
pub struct Level {
    /// Its physical path.
    pub path: PathBuf,
    /// Which directory it is.
    pub identity: Identity,
    /// The `.act-claude.json` in it.
    pub file: Option<RepositoryFile>,
}

/// The main checkout of a linked worktree.
#[derive(Debug, Clone)]
pub struct Worktree {
    /// Its directory (of a bare repository: the repository).
    pub main: PathBuf,
    /// From there up to the root.
    pub levels: Vec<Level>,
}

/// Everything resolution needs to know about a directory.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// From the directory up to the root, physically.
    pub levels: Vec<Level>,
    /// `$PWD`, where it is the same directory under another spelling.
    pub logical: Option<PathBuf>,
    /// The main checkout, where the directory lies in a linked git worktree.
    pub worktree: Option<Worktree>,
    /// For each rule of the configuration, in order: the directory it names, if that exists.
    pub rules: Vec<Option<Identity>>,
}

/// The largest `.act-claude.json` worth reading, in bytes.
const LARGEST_FILE: u64 = 64 * 1024;

impl Place {
    /// Looks at `directory` (physical, absolute).
    pub fn of(directory: &Path, environment: &Environment, config: &Config) -> Self {
        let levels = levels(directory);
        let logical = logical(directory, environment, levels.first().map(|level| level.identity));
        Self {
            worktree: main_checkout(&levels).map(|main| Worktree { levels: self::levels(&main), main }),
            logical,
            rules: config.directories.iter().map(|rule| identity(&rule.path)).collect(),
            levels,
        }
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
            })
        })
        .collect()
}

fn logical(directory: &Path, environment: &Environment, here: Option<Identity>) -> Option<PathBuf> {
    let logical = PathBuf::from(environment.get("PWD")?);
    let absolute = logical.is_absolute() && !logical.components().any(|part| part.as_os_str() == "..");
    (absolute && logical != directory && here.is_some() && identity(&logical) == here).then_some(logical)
}

/// Opens without following a link or waiting for a pipe's writer: the directory may be hostile.
fn open_regular(path: &Path) -> std::io::Result<File> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

fn repository_file(path: PathBuf) -> Option<RepositoryFile> {
    let content = match open_regular(&path) {
        Ok(file) => read_repository_file(file),
        Err(error) => match error.raw_os_error().map(nix::errno::Errno::from_raw) {
            Some(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR | nix::errno::Errno::EACCES) => return None,
            Some(nix::errno::Errno::ELOOP) => Content::Unusable("it is a symbolic link".to_owned()),
            _ => Content::Unusable(plain(&error)),
        },
    };
    Some(RepositoryFile { path, content })
}

fn read_repository_file(file: File) -> Content {
    let metadata = match file.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return Content::Unusable(plain(&error)),
    };
    if !metadata.is_file() {
        return Content::Unusable("it is not a regular file".to_owned());
    }
    if ![0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid()) {
        return Content::Stranger { uid: metadata.uid() };
    }
    let mut text = String::new();
    match file.take(LARGEST_FILE + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > LARGEST_FILE => Content::Unusable("it is larger than 64 KiB".to_owned()),
        Ok(_) => Content::Text(text),
        Err(error) => Content::Unusable(plain(&error)),
    }
}

/// The main checkout of the linked worktree the levels lie in. The link is checked both ways: a `.git` file
/// that merely claims to belong to someone's repository is not believed.
fn main_checkout(levels: &[Level]) -> Option<PathBuf> {
    for level in levels {
        let dot_git = level.path.join(".git");
        let Ok(metadata) = fs::symlink_metadata(&dot_git) else {
            continue;
        };
        if metadata.is_dir() {
            return None;
        }
        let Some(git_directory) = read_line(&dot_git)
            .and_then(|line| Some(level.path.join(line.strip_prefix("gitdir:")?.trim())))
            .and_then(|path| path.canonicalize().ok())
        else {
            continue;
        };
        // A submodule has no common directory: its superproject is further up.
        let Some(common) = read_line(&git_directory.join("commondir")) else {
            continue;
        };
        let back = git_directory.join(read_line(&git_directory.join("gitdir"))?.trim());
        if identity(&back)? != (metadata.dev(), metadata.ino()) {
            return None;
        }
        let common = git_directory.join(common.trim()).canonicalize().ok()?;
        return match common.file_name() {
            Some(name) if name == ".git" => common.parent().map(Path::to_path_buf),
            _ => Some(common),
        };
    }
    None
}

fn read_line(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = open_regular(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(8192).read_to_string(&mut text).ok()?;
    Some(text.lines().next()?.to_owned())
}
