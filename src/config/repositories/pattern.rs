//! The pattern of a rule by repository (pure).

use std::path::Path;

use percent_encoding::percent_decode_str;

use crate::git::address::Address;
use crate::git::wildmatch;

/// A pattern of host and path, in lower case, because hosts of repositories ignore case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// What is wrong with a pattern, and the correction.
type Wrong = (&'static str, String);

impl Pattern {
    /// Reads a key of `repositories`. `~/` is the directory `home`.
    ///
    /// # Errors
    ///
    /// What is wrong, in words that follow the key, and the fix. Neither repeats a URL's user or password.
    pub fn read(text: &str, home: Option<&Path>) -> Result<Self, Wrong> {
        if is_canonical(text.as_bytes()) { Ok(Self(text.to_owned())) } else { Self::read_other(text, home) }
    }

    fn read_other(text: &str, home: Option<&Path>) -> Result<Self, Wrong> {
        if text.contains("://") || text.contains(['@', ':']) {
            return Err(("is a URL: a repository is written as host/path", as_written(text)));
        }
        // As it is copied from a browser: `My%20Project`. In the name of a file, % has no meaning.
        let text = match text.starts_with(['/', '~']) {
            true => text.into(),
            false => percent_decode_str(text).decode_utf8().unwrap_or(text.into()),
        };
        let text = &*text;
        if let Some(bad) = text.chars().find(|c| c.is_control() || "?[]{}\\\"".contains(*c)) {
            return Err(("holds a character that has no meaning here", format!("remove {bad:?}")));
        }
        let text = match text.strip_prefix("~/").zip(home) {
            Some((rest, home)) => format!("{}/{rest}", home.display()),
            None => text.to_owned(),
        };
        let text = text.strip_suffix('/').unwrap_or(&text).to_lowercase();
        let text = if may_be_other(text.as_bytes()) { canonical(&text) } else { text };
        let parts: usize = text.split('/').filter(|part| !part.is_empty()).count();
        if text.split('/').skip(1).any(str::is_empty) || text.trim() != text || parts == 0 {
            return Err(("is no host/path", "write it like github.com/acme/billing".to_owned()));
        }
        if text.split('/').any(|part| part.contains("**") && part != "**") {
            return Err(("has ** within a part", "write ** between slashes, or *".to_owned()));
        }
        if parts == 1 && text != "**" && !text.starts_with('/') {
            return Err(("has no path", format!("write {text}/** for all repositories of this host")));
        }
        Ok(Self(text))
    }

    /// The pattern for exactly this repository. `None` where its name can't be written as one: with `*` in it, the rule would be
    /// for other repositories, too.
    pub fn exactly(address: &Address) -> Option<Self> {
        let key = address.key();
        Self::read(&key, None).ok().filter(|pattern| pattern.0 == key && !key.contains('*'))
    }

    /// The pattern, in the one way to write it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its host, where that is no pattern.
    pub fn host(&self) -> Option<&str> {
        let host = self.0.split('/').next()?;
        (!host.contains('*')).then_some(host)
    }

    /// Whether it matches a repository, given as [`Address::key`].
    pub(super) fn matches(&self, key: &str) -> bool {
        match self.0.split_once('*') {
            None => self.0 == key,
            // Most rules are about other repositories.
            Some((start, _)) if !key.starts_with(start) => false,
            Some(_) => {
                let (own, parts): (Vec<&str>, Vec<&str>) = (self.0.split('/').collect(), key.split('/').collect());
                holds(&own, &parts, &is_matched)
            }
        }
    }

    /// Whether it matches every repository that `other` matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let is_covered = |own: &str, other: &str| {
            other != "**" && (own == other || (!other.contains('*') && is_matched(own, other)) || own == "*")
        };
        holds(&self.0.split('/').collect::<Vec<_>>(), &other.0.split('/').collect::<Vec<_>>(), &is_covered)
    }
}

/// Whether one part matches.
fn is_matched(pattern: &str, part: &str) -> bool {
    pattern == part || (pattern.contains('*') && wildmatch::matches(pattern.as_bytes(), part.as_bytes(), false))
}

/// Whether the parts match one by one, where `**` takes any number of them, and at least one at the end.
fn holds(pattern: &[&str], parts: &[&str], is_matched: &dyn Fn(&str, &str) -> bool) -> bool {
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    for (index, part) in pattern.iter().enumerate() {
        let mut next = vec![false; reached.len()];
        for at in 0..reached.len() {
            next[at] = match *part {
                "**" if index + 1 == pattern.len() => at > 0 && (reached[at - 1] || next[at - 1]),
                "**" => reached[at] || (at > 0 && next[at - 1]),
                part => at > 0 && reached[at - 1] && is_matched(part, parts[at - 1]),
            };
        }
        reached = next;
    }
    reached[parts.len()]
}

/// Whether a pattern is written the one way already, with plain characters only. This is so for most, and quickly seen: no decision
/// depends on a single byte.
pub(super) fn is_canonical(text: &[u8]) -> bool {
    let (mut all, mut doubled, mut before) = (0, 0, SLASH);
    for &byte in text {
        let kind = KINDS[usize::from(byte)];
        all |= kind;
        doubled |= kind & before;
        before = kind;
    }
    all == SLASH && doubled == 0 && before != SLASH && !may_be_other(text)
}

const SLASH: u8 = 1;
const OTHER: u8 = 2;

/// The kinds of bytes in a pattern: 0 for those that mean themselves.
const KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let plain = b"abcdefghijklmnopqrstuvwxyz0123456789._-";
    let mut at = 0;
    while at < plain.len() {
        kinds[plain[at] as usize] = 0;
        at += 1;
    }
    kinds[b'/' as usize] = SLASH;
    kinds
};

/// Whether [`canonical`] may change the pattern.
fn may_be_other(text: &[u8]) -> bool {
    // Most texts are none of these. Arrays of four bytes are compared as one number, and not by the C library.
    let is_first = |start: &[u8; 4]| text.first_chunk() == Some(start);
    if text.last_chunk() == Some(b".git") || is_first(b"ssh.") || is_first(b"alts") {
        return true;
    }
    let host = text.split(|&byte| byte == b'/').next().unwrap_or_default();
    host.last_chunk() == Some(b".com") && (host.ends_with(b"dev.azure.com") || host.ends_with(b".visualstudio.com"))
}

/// The pattern in the way in which the addresses of remotes are written.
fn canonical(text: &str) -> String {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let path: Vec<String> = path.split('/').map(str::to_owned).collect();
    let address = Address { host: host.to_owned(), path };
    address.canonical().map_or_else(|| text.to_owned(), |address| address.key())
}

/// The fix for a URL in place of a pattern: what to write instead.
fn as_written(url: &str) -> String {
    if let Some((host, rest)) = url.split_once(':')
        && let Some((port, path)) = rest.split_once('/')
        && port.parse::<u16>().is_ok()
    {
        return format!("write {host}/{path}, without the port");
    }
    match Address::of(url.as_bytes(), Path::new("/"), |_| None) {
        Ok(address) if !address.is_local() => format!("write {}", address.key()),
        _ => "write it like github.com/acme/billing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pattern_says_what_to_write() {
        for (text, what, fix) in [
            (
                "https://you:pw@github.com/acme/x.git",
                "is a URL: a repository is written as host/path",
                "write github.com/acme/x",
            ),
            ("git@github.com:acme/x.git", "is a URL: a repository is written as host/path", "write github.com/acme/x"),
            (
                "github.com:8443/acme/x",
                "is a URL: a repository is written as host/path",
                "write github.com/acme/x, without the port",
            ),
            ("github.com", "has no path", "write github.com/** for all repositories of this host"),
            ("*", "has no path", "write */** for all repositories of this host"),
            ("github.com/acme/**x", "has ** within a part", "write ** between slashes, or *"),
            ("github.com//x", "is no host/path", "write it like github.com/acme/billing"),
            ("", "is no host/path", "write it like github.com/acme/billing"),
            ("/", "is no host/path", "write it like github.com/acme/billing"),
            ("github.com/acme/x ", "is no host/path", "write it like github.com/acme/billing"),
            ("github.com/acme/[ab]", "holds a character that has no meaning here", "remove '['"),
        ] {
            assert_eq!(Pattern::read(text, None), Err((what, fix.to_owned())), "{text}");
        }
    }
}
