//! Where git would find the repository of a directory: gitrepository-layout(5), and `GIT_DIR` of git(1).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::variables::is_true;
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::file::{self, OpenError};
use crate::text::lanes;

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

impl Checkout {
    fn new(top: &Path, directory: &Path, common: PathBuf) -> Self {
        Self { top: top.to_owned(), directory: directory.to_owned(), common }
    }
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

/// A directory on the way up to the root, and the number of the device that it is on (`None`: not known).
pub type Level<'a> = (&'a Path, Option<u64>);

/// A directory and those above it.
pub fn levels(directory: &Path) -> impl Iterator<Item = Level<'_>> {
    directory.ancestors().map(|path| (path, fs::metadata(path).map(|metadata| metadata.dev()).ok()))
}

/// The repositories that a directory is in, the nearest first, with the directory that each one is the top of. `levels` are the
/// directory and those above it, as far as anything is asked for.
pub fn above<'a>(
    levels: impl IntoIterator<Item = Level<'a>>,
    environment: &Environment,
) -> Vec<(PathBuf, Result<Checkout, Unusable>)> {
    let mut levels = levels.into_iter().peekable();
    let Some((directory, start)) = levels.peek().copied() else { return Vec::new() };
    if let Some(named) = named(directory, environment) {
        let top = named.as_ref().map_or(directory, |checkout| &checkout.top).to_owned();
        return vec![(top, named)];
    }
    let crosses = environment.get("GIT_DISCOVERY_ACROSS_FILESYSTEM").is_some_and(|value| is_true(value.as_bytes()));
    let start = start.filter(|_| !crosses);
    let ceilings = environment.get("GIT_CEILING_DIRECTORIES").map(std::env::split_paths).into_iter().flatten();
    let ceilings: Vec<PathBuf> =
        ceilings.filter(|path| path.is_absolute()).filter_map(|ceiling| ceiling.canonicalize().ok()).collect();
    let is_seen = |(level, device): &Level<'_>| {
        *level == directory
            || (start.is_none_or(|start| *device == Some(start)) && !ceilings.iter().any(|ceiling| ceiling == level))
    };
    let found =
        |(level, _): Level<'_>| Some((level.to_owned(), at(level)?.map(|found| shared(found, directory, environment))));
    levels.take_while(is_seen).filter_map(found).collect()
}

/// The repository that git finds at one level on the way up. `None` where git looks in the directory above.
fn at(level: &Path) -> Option<Result<Checkout, Unusable>> {
    let dot_git = level.join(".git");
    match fs::metadata(&dot_git) {
        Ok(metadata) if metadata.is_file() => {
            return Some(linked(level, &dot_git).and_then(|(directory, shared)| {
                own(&dot_git, &metadata)?;
                of(level, &directory, shared)
            }));
        }
        // Git looks further up where `.git` is another directory, and fails where it is another file.
        Ok(metadata) if metadata.is_dir() => {
            if let Some(shared) = shared_by(&dot_git) {
                return Some(own(&dot_git, &metadata).map(|()| Checkout::new(level, &dot_git, shared)));
            }
        }
        _ => {}
    }
    // Most directories are no bare repository. To see that takes half as long as to try to open the file.
    fs::symlink_metadata(level.join("HEAD")).ok()?;
    shared_by(level).map(|shared| of(level, level, shared))
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
    Some(of(&top, &git, common).map(|checkout| shared(checkout, directory, environment)))
}

/// With the common directory that `GIT_COMMON_DIR` names, from the point of view of `directory`.
fn shared(checkout: Checkout, directory: &Path, environment: &Environment) -> Checkout {
    match environment.path("GIT_COMMON_DIR") {
        Some(common) => Checkout { common: directory.join(common), ..checkout },
        None => checkout,
    }
}

/// A checkout whose git directory was not asked for its owner yet.
fn of(top: &Path, directory: &Path, common: PathBuf) -> Result<Checkout, Unusable> {
    let metadata = fs::metadata(directory).map_err(|error| Unusable::new(directory, plain(&error)))?;
    own(directory, &metadata)?;
    Ok(Checkout::new(top, directory, common))
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
    let line = head_line(&directory.join("HEAD"))?;
    let name = line.strip_prefix(b"ref:").map(|name| name.trim_ascii_start().starts_with(b"refs/"));
    if !name.unwrap_or_else(|| line.len() >= 40 && line.iter().take(40).all(u8::is_ascii_hexdigit)) {
        return None;
    }
    let common = common(directory).unwrap_or_else(|| directory.to_owned());
    (common.join("objects").is_dir() && common.join("refs").is_dir()).then_some(common)
}

/// The path in a line of one of git's files.
pub(super) fn path_of(line: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(line.trim_ascii()))
}

/// The line of a `HEAD`. An old git made it a symbolic link to the branch.
pub(super) fn head_line(head: &Path) -> Option<Vec<u8>> {
    match file::open_regular(head) {
        Ok((file, metadata)) => file::read_opened(&file, &metadata, LARGEST).ok().map(first_line),
        Err(OpenError::Link) => match fs::read_link(head) {
            Ok(branch) if branch.starts_with("refs") => Some([b"ref: ", branch.as_os_str().as_bytes()].concat()),
            _ => read_line(head),
        },
        Err(OpenError::Special | OpenError::System(_)) => None,
    }
}

/// The first line of one of git's files. `None` where it can't be read.
pub(super) fn read_line(path: &Path) -> Option<Vec<u8>> {
    file::read_regular(path, LARGEST).ok().map(first_line)
}

fn first_line(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(lanes::position(&text, 0, b'\n').unwrap_or(text.len()));
    text
}
