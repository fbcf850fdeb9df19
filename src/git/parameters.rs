//! Git's configuration in the environment (pure): `GIT_CONFIG_COUNT`, and `GIT_CONFIG_PARAMETERS`, which `git -c` sets for the
//! programs that it starts.

use std::os::unix::ffi::OsStrExt;

use super::entries::Entry;
use crate::system::environment::Environment;

/// At most so many are read.
const MOST: usize = 1000;

/// The variables, in git's order.
pub fn entries(environment: &Environment) -> Vec<Entry> {
    let count = environment.text("GIT_CONFIG_COUNT").and_then(|count| count.parse::<usize>().ok()).unwrap_or(0);
    let counted = (0..count.min(MOST)).map_while(|index| {
        let key = environment.text(&format!("GIT_CONFIG_KEY_{index}"))?;
        let value = environment.get(&format!("GIT_CONFIG_VALUE_{index}"))?;
        entry(key.as_bytes(), Some(value.as_bytes().to_vec()))
    });
    let given = environment.get("GIT_CONFIG_PARAMETERS").map(|given| parameters(given.as_bytes())).unwrap_or_default();
    counted.chain(given).collect()
}

/// `section.subsection.key`, as an entry.
fn entry(name: &[u8], value: Option<Vec<u8>>) -> Option<Entry> {
    let first = name.iter().position(|&byte| byte == b'.')?;
    let last = name.iter().rposition(|&byte| byte == b'.')?;
    let lower = |bytes: &[u8]| String::from_utf8(bytes.to_ascii_lowercase()).ok();
    let subsection = if first < last { name[first + 1..last].to_vec() } else { Vec::new() };
    Some(Entry { section: lower(&name[..first])?, subsection, key: lower(&name[last + 1..])?, value })
}

/// `'name'='value' 'name=value' …`
fn parameters(text: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = text.trim_ascii_start();
    while let Some((name, after)) = unquoted(rest) {
        let (name, value, after) = match after.strip_prefix(b"=") {
            Some(after) => match unquoted(after) {
                Some((value, after)) => (name, Some(value), after),
                None => (name, None, after),
            },
            None => match name.iter().position(|&byte| byte == b'=') {
                Some(at) => (name[..at].to_vec(), Some(name[at + 1..].to_vec()), after),
                None => (name, None, after),
            },
        };
        entries.extend(entry(&name, value));
        rest = after.trim_ascii_start();
    }
    entries
}

/// The text of one word in single quotes, and what follows it.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text.strip_prefix(b"'")?;
    loop {
        let end = memchr::memchr(b'\'', rest)?;
        word.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        // `'\''` and `'\!'` are a quote and an exclamation mark within the word.
        match rest {
            [b'\\', byte @ (b'\'' | b'!'), b'\'', after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            _ => return Some((word, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_parameters() {
        for (text, expected) in [
            ("'remote.origin.url'='x'", vec!["remote/origin/url=x"]),
            ("'Remote.Origin.URL=x' 'a.b'=", vec!["remote/Origin/url=x", "a//b=-"]),
            ("'url.https://h/?a=b/.insteadOf'='it'\\''s'", vec!["url/https://h/?a=b//insteadof=it's"]),
            ("", vec![]),
            ("garbage", vec![]),
        ] {
            let environment: Environment = [("GIT_CONFIG_PARAMETERS", text)].into_iter().collect();
            let shown = entries(&environment).into_iter().map(|entry| {
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                let value = entry.value.map_or("-".to_owned(), text);
                format!("{}/{}/{}={value}", entry.section, text(entry.subsection), entry.key)
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
