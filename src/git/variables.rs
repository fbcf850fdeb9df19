//! Git's configuration of a repository: all files and variables of the environment, in git's order, with what they include:
//! git-config(1), "FILES", "ENVIRONMENT" and "Includes".
//!
//! A repository's own file may be hostile (an unpacked archive has one): so files are bounded in number and size, and a pipe or a
//! device is never waited for.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::checkout::{self, Checkout, Unusable};
use super::condition::{self, Condition, Origin};
use super::entries::{Entry, entries};
use super::head::Head;
use super::{excerpt, parameters, system_file};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::file::{self, OpenError};

/// The sections that decide about remotes.
const WANTED: [&str; 5] = ["remote", "url", "include", "includeif", "extensions"];
/// The largest file, in bytes.
const LARGEST: u64 = 4 << 20;
/// So deep may one file include another, as in git.
const DEEPEST: usize = 10;
/// So many files are read.
const MOST: usize = 500;
/// So many variables about remotes are taken, of all files.
const MOST_VARIABLES: usize = 20_000;
/// So many steps may all conditions take: the product of the lengths of pattern and text, added up.
const MOST_STEPS: usize = 50_000_000;

/// The variables of a repository's configuration, in order.
///
/// # Errors
///
/// A file of it that git could not read either, or that is too large.
pub fn of(checkout: &Checkout, environment: &Environment) -> Result<Vec<Entry>, Unusable> {
    let urls =
        |variables: &[Entry]| -> Vec<Vec<u8>> { super::remote::all_urls(variables).map(<[u8]>::to_vec).collect() };
    let mut reader = Reader::new(checkout, environment, None);
    reader.read_all()?;
    if reader.asks_for_urls {
        // A file may be included because of a remote's URL, wherever that is set.
        reader = Reader::new(checkout, environment, Some(urls(&reader.entries).into()));
        reader.read_all()?;
    }
    Ok(reader.entries)
}

struct Reader<'a> {
    checkout: &'a Checkout,
    environment: &'a Environment,
    /// The URLs of all remotes, once they are known.
    urls: Option<Rc<[Vec<u8>]>>,
    /// A condition asks for the URLs.
    asks_for_urls: bool,
    head: OnceCell<Head>,
    entries: Vec<Entry>,
    files: usize,
    steps: usize,
}

/// Whose file it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The user's: git ignores one that it may not read.
    User,
    /// The repository's: only one of the user or of root counts.
    Repository,
    /// The system's, or one that another file includes.
    Other,
}

impl<'a> Reader<'a> {
    fn new(checkout: &'a Checkout, environment: &'a Environment, urls: Option<Rc<[Vec<u8>]>>) -> Self {
        let (head, entries) = (OnceCell::new(), Vec::new());
        Self { checkout, environment, urls, asks_for_urls: false, head, entries, files: 0, steps: 0 }
    }

    fn read_all(&mut self) -> Result<(), Unusable> {
        if let Some(system) = system_file::path(self.environment) {
            self.file(&system, Whose::User, 0)?;
        }
        match self.environment.get("GIT_CONFIG_GLOBAL") {
            Some(global) => self.file(Path::new(global), Whose::User, 0)?,
            None => {
                let home = self.environment.path("HOME");
                let xdg = self.environment.path("XDG_CONFIG_HOME").map(Path::to_owned);
                let xdg = xdg.or_else(|| Some(home?.join(".config")));
                for path in [xdg.map(|xdg| xdg.join("git/config")), home.map(|home| home.join(".gitconfig"))] {
                    path.map_or(Ok(()), |path| self.file(&path, Whose::User, 0))?;
                }
            }
        }
        let before = self.entries.len();
        self.file(&self.checkout.common.join("config"), Whose::Repository, 0)?;
        let extension = self.entries[before..].iter().rfind(|entry| {
            entry.section == "extensions" && entry.subsection.is_empty() && entry.key == "worktreeconfig"
        });
        if extension.is_some_and(|entry| entry.value.as_deref().is_none_or(is_true)) {
            self.file(&self.checkout.directory.join("config.worktree"), Whose::Repository, 0)?;
        }
        let given = parameters::entries(self.environment);
        self.take(given, None, 0)
    }

    /// Reads one file, if it exists, with what it includes.
    fn file(&mut self, path: &Path, whose: Whose, depth: usize) -> Result<(), Unusable> {
        self.files += 1;
        if self.files > MOST {
            return Err(Unusable::new(path, "git's configuration includes more than 500 files"));
        }
        match opened(path, whose)? {
            Some((file, metadata)) => self.take(of_file(path, &file, &metadata)?, Some(path), depth),
            None => Ok(()),
        }
    }

    /// Takes the variables of `from`, and reads the files that they include.
    fn take(&mut self, entries: Vec<Entry>, from: Option<&Path>, depth: usize) -> Result<(), Unusable> {
        for entry in entries {
            if entry.value.is_none() && ["url", "insteadof", "path"].contains(&entry.key.as_str()) {
                let file = from.unwrap_or(Path::new("GIT_CONFIG_PARAMETERS"));
                return Err(Unusable::new(file, format!("{}.{} has no value", entry.section, entry.key)));
            }
            let includes = match entry.section.as_str() {
                _ if entry.key != "path" => false,
                "include" => entry.subsection.is_empty(),
                "includeif" => self.holds(&entry.subsection, from)?,
                _ => false,
            };
            let included = entry.value.as_deref().filter(|_| includes);
            match included.map(|path| self.included(path, from)).transpose()? {
                Some(path) if depth < DEEPEST => {
                    let before = self.entries.len();
                    self.file(&path, Whose::Other, depth + 1)?;
                    let is_by_url = entry.subsection.starts_with(condition::OF_URL);
                    if is_by_url && super::remote::all_urls(&self.entries[before..]).next().is_some() {
                        let why = "it sets a remote's URL, and is included because of a remote's URL";
                        return Err(Unusable::new(&path, why));
                    }
                }
                Some(path) => {
                    return Err(Unusable::new(&path, "it is included by more than 10 files, each by the next"));
                }
                None if self.entries.len() == MOST_VARIABLES => {
                    let why = "git's configuration has more than 20,000 variables about remotes";
                    return Err(Unusable::new(from.unwrap_or(Path::new("GIT_CONFIG_PARAMETERS")), why));
                }
                None => self.entries.push(entry),
            }
        }
        Ok(())
    }

    /// The file that `path` names in the file `from`. Where git doesn't know which file that is, it stops, too.
    fn included(&self, path: &[u8], from: Option<&Path>) -> Result<PathBuf, Unusable> {
        let unknown = || {
            let why = format!("it includes {}, and it is not known which file that is", String::from_utf8_lossy(path));
            Unusable::new(from.unwrap_or(Path::new("GIT_CONFIG_PARAMETERS")), why)
        };
        let path = expanded(path, self.environment, Path::to_owned).ok_or_else(unknown)?;
        if path.is_absolute() {
            return Ok(path);
        }
        Ok(from.and_then(Path::parent).ok_or_else(unknown)?.join(path))
    }

    /// Whether the condition of an `includeIf` holds.
    fn holds(&mut self, condition: &[u8], from: Option<&Path>) -> Result<bool, Unusable> {
        let origin = Origin { file: from, environment: self.environment };
        let (pattern, texts) = match Condition::read(condition, origin) {
            Some(Condition::Directory(pattern)) => {
                let path = &self.checkout.directory;
                let physical = path.canonicalize().ok();
                let paths = physical.iter().chain([path]);
                (pattern, paths.map(|path| path.as_os_str().as_bytes().to_vec()).collect::<Rc<[_]>>())
            }
            Some(Condition::Branch(pattern)) => {
                let head = self.head.get_or_init(|| Head::of(self.checkout));
                (pattern, head.branch.iter().map(|branch| branch.as_bytes().to_vec()).collect())
            }
            Some(Condition::Url(pattern)) => {
                self.asks_for_urls = true;
                // Git reads the file also while it looks for the URLs: to refuse one in it.
                let Some(urls) = &self.urls else { return Ok(true) };
                (pattern, urls.clone())
            }
            None => return Ok(false),
        };
        for text in texts.iter() {
            self.steps = self.steps.saturating_add(condition.len().saturating_mul(text.len()));
            if self.steps > MOST_STEPS {
                let why = "git's configuration has conditions that take too long";
                return Err(Unusable::new(from.unwrap_or(Path::new("GIT_CONFIG_PARAMETERS")), why));
            }
            if pattern.matches(text) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Opens a file, if it exists.
fn opened(path: &Path, whose: Whose) -> Result<Option<(File, Metadata)>, Unusable> {
    if path == Path::new("/dev/null") {
        return Ok(None);
    }
    let (file, metadata) = match file::open_regular_through_links(path) {
        Ok(opened) => opened,
        Err(OpenError::System(error)) => {
            return match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(None),
                ErrorKind::PermissionDenied if whose == Whose::User => Ok(None),
                _ => Err(Unusable::new(path, plain(&error))),
            };
        }
        Err(OpenError::Link | OpenError::Special) => return Err(Unusable::new(path, "it is not a regular file")),
    };
    if whose == Whose::Repository {
        checkout::own(path, &metadata)?;
    }
    Ok(Some((file, metadata)))
}

/// The variables of a file. It is read as a whole only where an excerpt is not enough, also to say which line is wrong.
fn of_file(path: &Path, mut file: &File, metadata: &Metadata) -> Result<Vec<Entry>, Unusable> {
    let mut limited = file.take(LARGEST + 1);
    if let Ok(Some(text)) = excerpt::of(&mut limited, &WANTED)
        && limited.limit() > 0
        && let Ok(entries) = entries(&text, &WANTED)
    {
        return Ok(entries);
    }
    let whole = file.rewind().and_then(|()| file::read_opened(file, metadata, LARGEST));
    let text = whole.map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => Unusable::new(path, "it is larger than 4 MiB"),
        _ => Unusable::new(path, plain(&error)),
    })?;
    entries(&text, &WANTED).map_err(|line| Unusable::new(path, format!("line {} is not in git's syntax", line.0)))
}

/// A path with the home directory of `~/…`, as `of_home` gives it, or of `~user/…`. `None` where that is not known.
pub(super) fn expanded(path: &[u8], environment: &Environment, of_home: impl Fn(&Path) -> PathBuf) -> Option<PathBuf> {
    let Some(rest) = path.strip_prefix(b"~") else { return Some(OsStr::from_bytes(path).into()) };
    let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    let home = match std::str::from_utf8(&rest[..end]).ok()? {
        "" => of_home(environment.path("HOME")?),
        user => nix::unistd::User::from_name(user).ok()??.dir,
    };
    Some(home.join(OsStr::from_bytes(rest[end..].strip_prefix(b"/").unwrap_or_default())))
}

/// Whether git takes a value for true.
pub(super) fn is_true(value: &[u8]) -> bool {
    let is = |word: &str| value.eq_ignore_ascii_case(word.as_bytes());
    let number = std::str::from_utf8(value).ok().and_then(|value| value.parse::<i64>().ok());
    is("true") || is("yes") || is("on") || number.is_some_and(|number| number != 0)
}
