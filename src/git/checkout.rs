//! Where git would find the repository of a directory: gitrepository-layout(5), and `GIT_DIR` of git(1).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::variables::is_true;
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::file;

/// The largest `HEAD`, `.git` or other file of one line that is read, in bytes.
const LARGEST: u64 = 8192;

/// A repository, and the directory tree that it is checked out in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The top of the working tree. Of a bare repository: its own directory.
    pub top: PathBuf,
    /// Git's directory for this working tree: `.git`, or `.git/worktrees/NAME`.
    pub directory: PathBuf,
    /// The directory that all working trees of the repository share; `directory` where there is only one.
    pub common: PathBuf,
}

/// A file or directory of git's that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// Its path.
    pub path: PathBuf,
    /// Why not.
    pub why: String,
    /// It belongs to neither the user nor root, so what it says does not count. Otherwise what it says is not known.
    pub is_a_strangers: bool,
}

impl Unusable {
    pub(super) fn new(path: &Path, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), why: why.into(), is_a_strangers: false }
    }
}

/// The repositories that a directory is in, the nearest first, with the directory that each one is the top of. `levels` are the
/// directory and those above it, as far as anything is asked for.
pub fn above<'a>(
    levels: impl IntoIterator<Item = &'a Path>,
    environment: &Environment,
) -> Vec<(PathBuf, Result<Checkout, Unusable>)> {
    let mut levels = levels.into_iter().peekable();
    let Some(directory) = levels.peek().copied() else { return Vec::new() };
    if let Some(named) = named(directory, environment) {
        let top = named.as_ref().map_or(directory, |checkout| &checkout.top).to_owned();
        return vec![(top, named)];
    }
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let crosses = environment.get("GIT_DISCOVERY_ACROSS_FILESYSTEM").is_some_and(|value| is_true(value.as_bytes()));
    let start = device(directory).filter(|_| !crosses);
    let ceilings = environment.get("GIT_CEILING_DIRECTORIES").map(std::env::split_paths).into_iter().flatten();
    let ceilings: Vec<PathBuf> =
        ceilings.filter(|path| path.is_absolute()).filter_map(|ceiling| ceiling.canonicalize().ok()).collect();
    let is_seen = |level: &&Path| {
        *level == directory
            || (start.is_none_or(|start| device(level) == Some(start))
                && !ceilings.iter().any(|ceiling| ceiling == level))
    };
    let found = |level: &Path| Some((level.to_owned(), at(level)?.map(|found| shared(found, directory, environment))));
    levels.take_while(is_seen).filter_map(found).collect()
}

/// The repository that git finds at one level on the way up. `None` where git looks in the directory above.
fn at(level: &Path) -> Option<Result<Checkout, Unusable>> {
    let dot_git = level.join(".git");
    match fs::metadata(&dot_git) {
        Ok(metadata) if metadata.is_file() => {
            return Some(match linked(level, &dot_git) {
                Ok((directory, shared)) => of(level, &directory, shared, &[&dot_git, &directory]),
                Err(unusable) => Err(unusable),
            });
        }
        // Git looks further up where `.git` is another directory, and fails where it is another file.
        Ok(metadata) if metadata.is_dir() => {
            if let Some(shared) = shared_by(&dot_git) {
                return Some(of(level, &dot_git, shared, &[&dot_git]));
            }
        }
        _ => {}
    }
    shared_by(level).map(|shared| of(level, level, shared, &[level]))
}

/// The repository that `GIT_DIR` names, from the point of view of `directory`. `None` where it is not set.
fn named(directory: &Path, environment: &Environment) -> Option<Result<Checkout, Unusable>> {
    let git = directory.join(environment.path("GIT_DIR")?);
    // It may be the `.git` file of a worktree or a submodule.
    let git = read_line(&git).and_then(|line| named_by(&line, git.parent()?)).unwrap_or(git);
    let top = environment.path("GIT_WORK_TREE").map(|top| directory.join(top));
    let top = top.and_then(|top| top.canonicalize().ok()).unwrap_or_else(|| directory.to_owned());
    let Some(common) = shared_by(&git) else {
        return Some(Err(Unusable::new(&git, "GIT_DIR names it, and it is no git repository")));
    };
    Some(of(&top, &git, common, &[&git]).map(|checkout| shared(checkout, directory, environment)))
}

/// With the common directory that `GIT_COMMON_DIR` names, from the point of view of `directory`.
fn shared(checkout: Checkout, directory: &Path, environment: &Environment) -> Checkout {
    match environment.path("GIT_COMMON_DIR") {
        Some(common) => Checkout { common: directory.join(common), ..checkout },
        None => checkout,
    }
}

fn of(top: &Path, directory: &Path, common: PathBuf, owned: &[&Path]) -> Result<Checkout, Unusable> {
    for path in owned {
        let metadata = fs::metadata(path).map_err(|error| Unusable::new(path, plain(&error)))?;
        own(path, &metadata)?;
    }
    Ok(Checkout { top: top.to_owned(), directory: directory.to_owned(), common })
}

/// An error where the owner is neither the user nor root.
pub(super) fn own(path: &Path, metadata: &fs::Metadata) -> Result<(), Unusable> {
    if metadata.uid() == 0 || file::is_own(metadata) {
        return Ok(());
    }
    let why = format!("it belongs to user {}, neither to you nor to root", metadata.uid());
    Err(Unusable { path: path.to_owned(), why, is_a_strangers: true })
}

/// The directory that a `.git` file names, and its common directory.
fn linked(level: &Path, dot_git: &Path) -> Result<(PathBuf, PathBuf), Unusable> {
    let line = read_line(dot_git).ok_or_else(|| Unusable::new(dot_git, "it can't be read"))?;
    let directory = named_by(&line, level).ok_or_else(|| Unusable::new(dot_git, "it is no file of git's"))?;
    match shared_by(&directory) {
        Some(shared) => Ok((directory, shared)),
        None => Err(Unusable::new(dot_git, "it names a directory that is no git repository: git worktree repair")),
    }
}

/// The directory that the line of a `.git` file in `level` names.
pub(super) fn named_by(line: &[u8], level: &Path) -> Option<PathBuf> {
    Some(level.join(path_of(line.strip_prefix(b"gitdir:")?)))
}

/// The directory that all working trees of a repository share, where `directory` belongs to one of several.
pub(super) fn common(directory: &Path) -> Option<PathBuf> {
    Some(directory.join(path_of(&read_line(&directory.join("commondir"))?)))
}

/// The common directory of a directory that git takes for a repository: it has a valid `HEAD`, and the common directory, which may be
/// itself, `objects` and `refs`.
fn shared_by(directory: &Path) -> Option<PathBuf> {
    let head = directory.join("HEAD");
    let is_link = || fs::read_link(&head).is_ok_and(|target| target.starts_with("refs"));
    let is_head = |line: Vec<u8>| {
        let name = line.strip_prefix(b"ref:").map(|name| name.trim_ascii_start().starts_with(b"refs/"));
        name.unwrap_or_else(|| line.len() >= 40 && line.iter().take(40).all(u8::is_ascii_hexdigit))
    };
    if !is_link() && !read_line(&head).is_some_and(is_head) {
        return None;
    }
    let common = common(directory).unwrap_or_else(|| directory.to_owned());
    (common.join("objects").is_dir() && common.join("refs").is_dir()).then_some(common)
}

/// The path in a line of one of git's files.
pub(super) fn path_of(line: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(line.trim_ascii()))
}

/// The first line of one of git's files. `None` where it can't be read.
pub(super) fn read_line(path: &Path) -> Option<Vec<u8>> {
    let text = file::read_regular(path, LARGEST).ok()?;
    text.split(|&byte| byte == b'\n').next().map(<[u8]>::to_vec)
}
