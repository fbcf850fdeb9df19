//! The conditions of git's `includeIf`: git-config(1), "Conditional includes" (pure, but for links in paths).

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::variables::expanded;
use super::wildmatch;
use crate::system::environment::Environment;

/// How a condition starts that asks for the URL of a remote.
pub(super) const OF_URL: &[u8] = b"hasconfig:remote.*.url:";

/// A condition.
#[derive(Debug)]
pub enum Condition {
    /// `gitdir:` and `gitdir/i:`: git's directory.
    Directory(Pattern),
    /// `onbranch:`: the branch that is checked out.
    Branch(Pattern),
    /// `hasconfig:remote.*.url:`: the URL of a remote.
    Url(Pattern),
}

/// A pattern, with a part before it that has to be equal.
#[derive(Debug)]
pub struct Pattern {
    prefix: Vec<u8>,
    pattern: Vec<u8>,
    fold: bool,
}

/// Where a condition stands.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The file; `None`: a variable of the environment.
    pub file: Option<&'a Path>,
    /// Where the home directory is.
    pub environment: &'a Environment,
}

impl Condition {
    /// Reads a condition. `None`: git does not know it, so it does not hold.
    pub fn read(text: &[u8], origin: Origin<'_>) -> Option<Self> {
        if let Some(pattern) = text.strip_prefix(b"gitdir:") {
            return Some(Self::Directory(Pattern::of_directory(pattern, false, origin)?));
        }
        if let Some(pattern) = text.strip_prefix(b"gitdir/i:") {
            return Some(Self::Directory(Pattern::of_directory(pattern, true, origin)?));
        }
        let plain = |pattern: &[u8]| Pattern { prefix: Vec::new(), pattern: pattern.to_vec(), fold: false };
        if let Some(pattern) = text.strip_prefix(b"onbranch:") {
            return Some(Self::Branch(plain(&with_all_below(pattern.to_vec()))));
        }
        text.strip_prefix(OF_URL).map(|pattern| Self::Url(plain(pattern)))
    }
}

/// A pattern that ends with a slash means everything below.
fn with_all_below(mut pattern: Vec<u8>) -> Vec<u8> {
    if pattern.ends_with(b"/") {
        pattern.extend(b"**");
    }
    pattern
}

impl Pattern {
    fn of_directory(pattern: &[u8], fold: bool, origin: Origin<'_>) -> Option<Self> {
        if let Some(rest) = pattern.strip_prefix(b"./") {
            let file = origin.file?.canonicalize().ok()?;
            let mut prefix = file.parent()?.as_os_str().as_bytes().to_vec();
            prefix.push(b'/');
            return Some(Self { prefix, pattern: with_all_below(rest.to_vec()), fold });
        }
        // Git compares with the physical home directory.
        let home = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut pattern = expanded(pattern, origin.environment, home)?.into_os_string().as_bytes().to_vec();
        if !pattern.starts_with(b"/") {
            pattern.splice(0..0, *b"**/");
        }
        Some(Self { prefix: Vec::new(), pattern: with_all_below(pattern), fold })
    }

    /// Whether it matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let Some((prefix, rest)) = text.split_at_checked(self.prefix.len()) else { return false };
        let is_same = if self.fold { prefix.eq_ignore_ascii_case(&self.prefix) } else { prefix == self.prefix };
        is_same && wildmatch::matches(&self.pattern, rest, self.fold)
    }
}
