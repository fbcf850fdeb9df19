//! The pattern of a rule by repository (pure).

use std::path::Path;

use percent_encoding::percent_decode_str;

use crate::git::address::Address;
use crate::git::wildmatch;
use crate::text::lanes;

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
        let host = text.split('/').next().unwrap_or_default();
        let text = if may_be_other(text.as_bytes(), host.as_bytes()) { canonical(&text) } else { text };
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

    /// Of a text whose end is that of [`plain_end`].
    pub(super) fn plain(text: &str) -> Self {
        Self(text.to_owned())
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

/// The end of the JSON string that has to start at `at`, where it is a pattern in the one way to write it, of plain characters only:
/// `a` to `z`, `0` to `9` and ``+,-./_` ``. This is so for most patterns, and quickly seen: eight characters at a time. `None` also
/// where a closer look is needed.
pub fn plain_end(text: &[u8], at: usize) -> Option<usize> {
    let pattern = text.get(at..)?.strip_prefix(b"\"")?;
    // A slash at the start is taken for the second of two.
    let (mut length, mut host, mut doubled, mut before) = (0, 0, 0, lanes::HIGHEST);
    for word in pattern.as_chunks().0 {
        let word = u64::from_le_bytes(*word);
        let other = lanes::HIGHEST & !(lanes::in_range(word, b'+', b'9') | lanes::in_range(word, b'_', b'z'));
        let mut slashes = lanes::in_range(word, b'/', b'/');
        if slashes != 0 {
            slashes = lanes::before(slashes, other);
            doubled |= slashes & (slashes << 8 | before >> 56);
            if host == 0 && slashes != 0 {
                host = length + lanes::place(slashes);
            }
        }
        before = slashes;
        if other != 0 {
            length += lanes::place(other);
            let (pattern, rest) = pattern.split_at_checked(length)?;
            let is_plain = rest.first() == Some(&b'"') && doubled == 0 && host != 0 && pattern.last() != Some(&b'/');
            return (is_plain && !may_be_other(pattern, &pattern[..host])).then_some(at + 1 + length + 1);
        }
        length += 8;
    }
    None
}

/// Whether [`canonical`] may change the pattern with this host.
fn may_be_other(text: &[u8], host: &[u8]) -> bool {
    // Most texts are none of these. Short arrays are compared as one number, and not by the C library.
    let is_first = |start: &[u8; 4]| text.first_chunk() == Some(start);
    if text.last_chunk() == Some(b".git") || is_first(b"ssh.") || is_first(b"alts") {
        return true;
    }
    let is_last = |end: &[u8; 8]| host.last_chunk() == Some(end);
    (is_last(b"zure.com") && host.ends_with(b"dev.azure.com"))
        || (is_last(b"udio.com") && host.ends_with(b".visualstudio.com"))
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

    /// [`plain_end`], as all patterns are read.
    fn slow_end(text: &str, at: usize) -> Option<usize> {
        let inner = text.get(at..)?.strip_prefix('"')?;
        let length = inner.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "+,-./_`".contains(c)))?;
        let is_same = Pattern::read(&inner[..length], None).is_ok_and(|pattern| pattern.text() == &inner[..length]);
        // A path on this machine starts with a slash.
        (is_same && !inner.starts_with('/') && inner[length..].starts_with('"')).then_some(at + length + 2)
    }

    #[test]
    fn a_plain_pattern_is_read_as_it_is_written() {
        let beginnings =
            ["github.com/", "a/", "/", "", "ssh.github.com/x/", "altssh.gitlab.com/", "dev.azure.com/o/p/_git/"];
        let others = ["a.b.visualstudio.com/", "a.visualstudio.com/b/", "bdev.azure.com/o/"];
        let ends = ["", "*", "A", "ä", "%20", "~", "`", ":", ",", "^", "{", "//", "/", ".git", "/.x", "\\u0041", " "];
        for beginning in beginnings.into_iter().chain(others) {
            for length in 0..20 {
                let middle = &"acme/0123456789._-z/a_b-c.d"[..length];
                for end in ends {
                    for before in ["", "{ä "] {
                        let text = format!("{before}\"{beginning}{middle}{end}\": \"alias\"");
                        let (plain, slow) = (plain_end(text.as_bytes(), before.len()), slow_end(&text, before.len()));
                        let closer = may_be_other(
                            format!("{beginning}{middle}{end}").as_bytes(),
                            beginning.split('/').next().unwrap().as_bytes(),
                        );
                        assert_eq!(plain, slow.filter(|_| !closer), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn each_character_is_known() {
        for byte in 0..0x80 {
            for place in 0..18 {
                let mut text = b"\"github.com/acme/bill\": null}".to_vec();
                text[1 + place] = byte;
                let text = String::from_utf8(text).unwrap();
                assert_eq!(plain_end(text.as_bytes(), 0), slow_end(&text, 0), "{text:?}");
            }
        }
        for text in ["", "\"", "\"a/b", "\"a/b\"", "a/b\": null}}}}"] {
            assert_eq!(plain_end(text.as_bytes(), 0), None, "{text}");
        }
    }

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
