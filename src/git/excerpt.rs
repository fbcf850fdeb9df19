//! The sections of a configuration file that somebody asks for.
//!
//! A repository's file may have thousands of sections for branches, and is read at each launch. Each page of memory that is touched
//! for the first time takes 3 µs: so a file is read in blocks, on the stack, which was as deep before, and only what is asked for is
//! kept. `gix-config` needs 1.4 ms for 1,000 branches (116 KB), more than all else of a launch.

use std::io::{self, ErrorKind, Read};

use crate::text::lanes;

/// So much is read at once, in bytes.
const BLOCK: usize = 8192;

/// The sections in `wanted` (lower case), as they are written. `None` where it is not sure what is a section's name: a line that goes
/// on in the next one may have anything there, and two names may stand in one line. Also where a line is longer than a block.
///
/// # Errors
///
/// The file can't be read.
pub fn of(file: impl Read, wanted: &[&str]) -> io::Result<Option<Vec<u8>>> {
    in_blocks(file, wanted, &mut [0; BLOCK])
}

fn in_blocks(mut file: impl Read, wanted: &[&str], block: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
    let initials = wanted.iter().fold(0, |initials, name| initials | letter(name.as_bytes()));
    let mut excerpt = Excerpt { wanted, initials, is_wanted: false, goes_on: false, kept: Vec::new() };
    let (mut filled, mut is_start) = (0, true);
    loop {
        let read = match file.read(&mut block[filled..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        filled += read;
        let is_end = read == 0;
        let end = if is_end { filled } else { line_start(&block[..filled]) };
        if end > 0 {
            let mut lines = &block[..end];
            if std::mem::take(&mut is_start) {
                lines = lines.strip_prefix(BYTE_ORDER_MARK).unwrap_or(lines);
            }
            if excerpt.take(lines).is_none() {
                return Ok(None);
            }
        }
        if is_end {
            return Ok(Some(excerpt.kept));
        }
        block.copy_within(end..filled, 0);
        filled -= end;
        if filled == block.len() {
            return Ok(None);
        }
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
    /// The first bracket from `at` on with which a section may start that somebody asks for, or with which one may end.
    fn bracket(&self, lines: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let bracket = lanes::position(lines, at, b'[')?;
            at = bracket + 1;
            if self.is_wanted || letter(&lines[at..]) & self.initials != 0 {
                return Some(bracket);
            }
        }
    }

    /// Takes whole lines.
    fn take(&mut self, lines: &[u8]) -> Option<()> {
        let (mut from, mut at) = (0, 0);
        while let Some(bracket) = self.bracket(lines, at) {
            at = bracket + 1;
            let is_name = self.wanted.iter().any(|wanted| is_section(&lines[at..], wanted));
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

/// Where the line starts that is not whole yet.
fn line_start(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1)
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

    /// A file that is read in small parts.
    struct Slowly<'a> {
        text: &'a [u8],
        at_once: usize,
    }

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.at_once);
            self.text.read(&mut buffer[..length])
        }
    }

    #[test]
    fn a_line_that_is_longer_than_a_block_is_not_split() {
        for length in BLOCK - 2..BLOCK + 3 {
            let text = format!("[a]\n{}\n[url]\n", "#".repeat(length - 1));
            let excerpt = of(text.as_bytes(), &["url"]).unwrap();
            assert_eq!(excerpt.as_deref(), (length <= BLOCK).then_some(&b"[url]\n"[..]), "{length}");
        }
    }

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
            let longest = text.split_inclusive('\n').map(str::len).max().unwrap_or_default();
            for block in [longest + 1, longest + 2, longest + 5, BLOCK] {
                for at_once in [1, 3, BLOCK] {
                    let file = Slowly { text: text.as_bytes(), at_once };
                    let excerpt = in_blocks(file, &["remote", "url"], &mut vec![0; block]).unwrap();
                    let shown = excerpt.map(|excerpt| String::from_utf8(excerpt).unwrap());
                    assert_eq!(shown.as_deref(), expected, "{text:?} in blocks of {block}, {at_once} at once");
                }
            }
        }
    }
}
