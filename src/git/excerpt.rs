//! The sections of a configuration file that somebody asks for.
//!
//! A repository's file may have thousands of sections for branches, and is read at each launch. Each page of memory that is touched
//! for the first time takes 3 µs: so a file is read in blocks, and only what is asked for is kept. `gix-config` needs 1.4 ms for
//! 1,000 branches (116 KB), more than all else of a launch.

use std::io::{self, Read};

/// So much is read at once, in bytes. A longer line takes more.
const BLOCK: usize = 4096;

/// The sections in `wanted` (lower case), as they are written. `None` where it is not sure what is a section's name: a line that goes
/// on in the next one may have anything there, and two names may stand in one line.
///
/// # Errors
///
/// The file can't be read.
pub fn of(file: impl Read, wanted: &[&str]) -> io::Result<Option<Vec<u8>>> {
    in_blocks(file, wanted, BLOCK)
}

fn in_blocks(mut file: impl Read, wanted: &[&str], block: usize) -> io::Result<Option<Vec<u8>>> {
    let initials = wanted.iter().fold(0, |initials, name| initials | letter(name.as_bytes()));
    let mut excerpt = Excerpt { wanted, initials, is_wanted: false, goes_on: false, kept: Vec::new() };
    let mut text = Vec::with_capacity(block);
    let mut is_start = true;
    loop {
        if text.len() == text.capacity() {
            text.reserve(block);
        }
        let room = text.capacity() - text.len();
        let is_end = file.by_ref().take(room as u64).read_to_end(&mut text)? < room;
        if std::mem::take(&mut is_start) && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        let end = if is_end { text.len() } else { memchr::memrchr(b'\n', &text).map_or(0, |last| last + 1) };
        if end > 0 && excerpt.take(&text[..end]).is_none() {
            return Ok(None);
        }
        if is_end {
            return Ok(Some(excerpt.kept));
        }
        text.drain(..end);
    }
}

/// What may stand before the first line.
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

struct Excerpt<'a> {
    wanted: &'a [&'a str],
    /// Their first letters: most names of sections start with another one, which is quickly seen.
    initials: u32,
    /// Whether somebody asks for the section at hand.
    is_wanted: bool,
    /// Whether the last line goes on in the next one.
    goes_on: bool,
    kept: Vec<u8>,
}

impl Excerpt<'_> {
    /// Takes whole lines.
    fn take(&mut self, lines: &[u8]) -> Option<()> {
        let mut from = 0;
        for bracket in memchr::memchr_iter(b'[', lines) {
            let name = &lines[bracket + 1..];
            let may_be_wanted = letter(name) & self.initials != 0;
            let is_name = may_be_wanted && self.wanted.iter().any(|wanted| is_section(name, wanted));
            if !is_name && !self.is_wanted {
                continue;
            }
            let before = &lines[..bracket];
            let blanks = before.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
            let before = &before[..before.len() - blanks];
            match before.last() {
                None if self.goes_on => return None,
                Some(b'\n') if goes_on(before) => return None,
                None | Some(b'\n') => {}
                Some(b']') if is_name && !self.is_wanted => return None,
                Some(_) => continue,
            }
            if self.is_wanted {
                self.kept.extend_from_slice(&lines[from..bracket]);
            }
            (from, self.is_wanted) = (bracket, is_name);
        }
        if self.is_wanted {
            self.kept.extend_from_slice(&lines[from..]);
        }
        self.goes_on = goes_on(lines);
        Some(())
    }
}

/// Whether the last one of whole lines goes on in the next one. It may seem so where a backslash stands for itself.
fn goes_on(lines: &[u8]) -> bool {
    let Some(line) = lines.strip_suffix(b"\n") else { return false };
    line.strip_suffix(b"\r").unwrap_or(line).ends_with(b"\\")
}

/// The bit of the first letter, in either case.
fn letter(name: &[u8]) -> u32 {
    name.first().map_or(0, |byte| 1 << (byte & 0x1f))
}

/// Whether a section's name stands here, after the bracket.
fn is_section(text: &[u8], name: &str) -> bool {
    let is_name = text.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes()));
    is_name && matches!(text.get(name.len()), Some(b']' | b'.' | b' ' | b'\t' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_kept_wherever_a_block_ends() {
        for (text, expected) in [
            ("", Some("")),
            ("[core]\n\tx = y\n", Some("")),
            ("[remote \"a\"]\nurl = x\n", Some("[remote \"a\"]\nurl = x\n")),
            ("\u{feff}[URL]\n", Some("[URL]\n")),
            ("[a]\nb = c [remote]\n\r\n \t[remote.b]\r\n# d\n[e]\nf", Some("[remote.b]\r\n# d\n")),
            ("[url]\na = b [c]\nd\n[urls]\ne\n[url \"f\"]g", Some("[url]\na = b [c]\nd\n[url \"f\"]g")),
            ("[url][a]\nb\n", Some("[url][a]\nb\n")),
            // Where it is not sure what is a section's name.
            ("[a][url]\n", None),
            ("[a]\nb = \\\n[url]\n", None),
            ("[a]\nb = \\\r\n  [url]\r\n", None),
            ("[url]\nb = \\\n[c]\n", None),
            // A line that goes on, and has nothing that is asked for.
            ("[a]\nb = \\\n[c]\n[url]\n", Some("[url]\n")),
        ] {
            for block in [4, 5, 7, 16, BLOCK] {
                let excerpt = in_blocks(text.as_bytes(), &["remote", "url"], block).unwrap();
                let shown = excerpt.map(|excerpt| String::from_utf8(excerpt).unwrap());
                assert_eq!(shown.as_deref(), expected, "{text:?} in blocks of {block}");
            }
        }
    }
}
