//! What is checked out: the branch and the commit, as `HEAD` says it.

use std::fs;
use std::path::Path;

use super::checkout::{Checkout, head_line, read_line};
use crate::system::file;

/// The state of a working tree. What can't be read is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The branch: `feature/x`. `None` also where no branch is checked out.
    pub branch: Option<String>,
    /// The commit, in hexadecimal digits. `None` also where there is none yet.
    pub revision: Option<String>,
}

/// The largest `packed-refs` that is read, in bytes.
const LARGEST: u64 = 64 << 20;
/// So many symbolic references are followed, as by git.
const DEEPEST: usize = 5;

impl Head {
    /// Reads the state of a working tree. Git may keep references in a format that is not files (`reftable`); then the branch and
    /// the commit are not known.
    pub fn of(checkout: &Checkout) -> Self {
        let head = checkout.directory.join("HEAD");
        let is_branch = fs::read_link(&head).is_ok_and(|branch| branch.starts_with("refs"));
        let Some(line) = head_line(&head).filter(|_| is_branch || is_own(&head, "HEAD")) else {
            return Self::default();
        };
        let Some(name) = reference(&line) else {
            return Self { branch: None, revision: commit(&line) };
        };
        // What git writes into `HEAD` for programs that do not know the other format.
        if name == "refs/heads/.invalid" {
            return Self::default();
        }
        Self { branch: name.strip_prefix("refs/heads/").map(str::to_owned), revision: resolve(checkout, name, DEEPEST) }
    }
}

/// The name in `ref: refs/heads/main`. A name that leads out of the directory is no reference.
fn reference(line: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(line.strip_prefix(b"ref:")?).ok()?.trim();
    let is_fit = name.starts_with("refs/") && !name.split('/').any(|part| matches!(part, "" | "." | ".."));
    is_fit.then_some(name)
}

/// Whether a path leads to a file of this name, through links or not. A link of an unpacked archive may lead to any file of the user's,
/// whose content would be sent: a key may look like a commit.
fn is_own(path: &Path, name: &str) -> bool {
    path.canonicalize().is_ok_and(|path| path.ends_with(name))
}

fn commit(line: &[u8]) -> Option<String> {
    let line = line.trim_ascii();
    let is_commit = matches!(line.len(), 40 | 64) && line.iter().all(u8::is_ascii_hexdigit);
    is_commit.then(|| String::from_utf8_lossy(line).to_ascii_lowercase())
}

/// The commit of a reference: of the working tree's own, of the repository's, or among the packed ones.
fn resolve(checkout: &Checkout, name: &str, depth: usize) -> Option<String> {
    let loose = [&checkout.directory, &checkout.common].into_iter().find_map(|within| {
        let path = within.join(name);
        read_line(&path).filter(|_| is_own(&path, name))
    });
    match loose {
        Some(line) => match reference(&line) {
            Some(other) if depth > 0 => resolve(checkout, other, depth - 1),
            Some(_) => None,
            None => commit(&line),
        },
        None => Some(checkout.common.join("packed-refs"))
            .filter(|path| is_own(path, "packed-refs"))
            .and_then(|path| packed(&path, name)),
    }
}

/// The commit of a reference in `packed-refs`: lines of commit, blank and name.
fn packed(path: &Path, name: &str) -> Option<String> {
    let text = file::read_regular(path, LARGEST).ok()?;
    let wanted = format!(" {name}");
    memchr::memmem::find_iter(&text, wanted.as_bytes()).find_map(|at| {
        let end = at + wanted.len();
        if !matches!(text.get(end), None | Some(b'\n' | b'\r')) {
            return None;
        }
        let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |line| line + 1);
        commit(&text[start..at])
    })
}
