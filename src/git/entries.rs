//! The syntax of git's configuration files (pure).

use super::excerpt::BYTE_ORDER_MARK;
use crate::text::lanes;

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The section, in lower case.
    pub section: String,
    /// The subsection: `origin` in `[remote "origin"]`.
    pub subsection: Vec<u8>,
    /// The variable, in lower case.
    pub key: String,
    /// Its value; `None` where it has no `=`.
    pub value: Option<Vec<u8>>,
}

/// A line that git can't read; lines are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine(pub usize);

/// The variables of the sections in `wanted` (lower case), in order.
///
/// # Errors
///
/// A line that is not in git's syntax.
pub fn entries(text: &[u8], wanted: &[&str]) -> Result<Vec<Entry>, BadLine> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let (section, subsection) = (String::new(), Vec::new());
    let mut reader = Reader { text, at: 0, start: 0, wanted, section, subsection, is_wanted: false };
    let mut entries = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return Ok(entries),
            Err(()) => return Err(BadLine(memchr::memchr_iter(b'\n', &text[..reader.start]).count() + 1)),
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the section's name or the variable starts that is being read.
    start: usize,
    wanted: &'a [&'a str],
    section: String,
    subsection: Vec<u8>,
    /// Whether somebody asks for the section at hand.
    is_wanted: bool,
}

impl Reader<'_> {
    /// The next byte; `\r\n` is one line end.
    fn byte(&mut self) -> Option<u8> {
        let mut byte = *self.text.get(self.at)?;
        self.at += 1;
        if byte == b'\r' && self.text.get(self.at) == Some(&b'\n') {
            self.at += 1;
            byte = b'\n';
        }
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_line(&mut self) {
        self.at = lanes::position(self.text, self.at, b'\n').map_or(self.text.len(), |end| end + 1);
    }

    fn next(&mut self) -> Result<Option<Entry>, ()> {
        loop {
            self.start = self.at;
            match self.peek() {
                None => return Ok(None),
                Some(b'#' | b';') => self.skip_line(),
                Some(byte) if is_blank(byte) => {
                    self.byte();
                }
                Some(b'[') => self.header()?,
                Some(byte) if byte.is_ascii_alphabetic() => {
                    let entry = self.variable()?;
                    if self.is_wanted {
                        return Ok(Some(entry));
                    }
                }
                Some(_) => return Err(()),
            }
        }
    }

    /// `[section]`, `[section "subsection"]`, or the older `[section.subsection]`.
    fn header(&mut self) -> Result<(), ()> {
        self.byte();
        let mut name = Vec::new();
        let mut is_quoted = false;
        self.subsection.clear();
        loop {
            match self.byte() {
                Some(b']') => break,
                Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => {
                    name.push(byte.to_ascii_lowercase());
                }
                Some(b' ' | b'\t' | b'\r') => {
                    self.quoted_subsection()?;
                    is_quoted = true;
                    break;
                }
                _ => return Err(()),
            }
        }
        // `[remote.a "b"]` is `[remote "a.b"]`.
        if let Some(dot) = name.iter().position(|&byte| byte == b'.') {
            let mut subsection = name.split_off(dot)[1..].to_vec();
            if is_quoted {
                subsection.push(b'.');
                subsection.append(&mut self.subsection);
            }
            self.subsection = subsection;
        }
        self.section = String::from_utf8(name).map_err(|_| ())?;
        self.is_wanted = self.wanted.contains(&self.section.as_str());
        Ok(())
    }

    fn quoted_subsection(&mut self) -> Result<(), ()> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) && self.byte() != Some(b'\n') {}
        if self.byte() != Some(b'"') {
            return Err(());
        }
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => match self.byte() {
                    Some(byte) if byte != b'\n' => self.subsection.push(byte),
                    _ => return Err(()),
                },
                Some(byte) if byte != b'\n' => self.subsection.push(byte),
                _ => return Err(()),
            }
        }
        if self.byte() == Some(b']') { Ok(()) } else { Err(()) }
    }

    fn variable(&mut self) -> Result<Entry, ()> {
        let mut key = String::new();
        while let Some(byte) = self.peek().filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
            key.push(char::from(byte.to_ascii_lowercase()));
            self.at += 1;
        }
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let value = match self.byte() {
            None | Some(b'\n') => None,
            Some(b'=') => Some(self.value()?),
            Some(_) => return Err(()),
        };
        Ok(Entry { section: self.section.clone(), subsection: self.subsection.clone(), key, value })
    }

    fn value(&mut self) -> Result<Vec<u8>, ()> {
        let mut value = Vec::new();
        // The length without blanks at the end.
        let mut length = 0;
        let mut is_quoted = false;
        loop {
            match self.byte() {
                None | Some(b'\n') if is_quoted => return Err(()),
                None | Some(b'\n') => break,
                Some(b'#' | b';') if !is_quoted => {
                    self.skip_line();
                    break;
                }
                Some(byte) if is_blank(byte) && !is_quoted => {
                    if !value.is_empty() {
                        value.push(byte);
                    }
                    continue;
                }
                Some(b'"') => {
                    is_quoted = !is_quoted;
                    // Blanks before a quote belong to the value.
                    length = value.len();
                    continue;
                }
                Some(b'\\') => match self.byte() {
                    Some(b'\n') | None => {}
                    Some(b't') => value.push(b'\t'),
                    Some(b'b') => value.push(8),
                    Some(b'n') => value.push(b'\n'),
                    Some(byte @ (b'\\' | b'"')) => value.push(byte),
                    _ => return Err(()),
                },
                Some(byte) => value.push(byte),
            }
            length = value.len();
        }
        value.truncate(length);
        Ok(value)
    }
}

/// What git takes for white space.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::super::excerpt;
    use super::*;

    /// The variables, which have to be the same in an excerpt.
    fn read(text: &str) -> Result<Vec<String>, BadLine> {
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let wanted = ["remote", "url"];
        let entries = entries(text.as_bytes(), &wanted)?;
        if let Some(excerpt) = excerpt::of(text.as_bytes(), &wanted).unwrap() {
            assert_eq!(super::entries(&excerpt, &wanted).as_ref(), Ok(&entries), "{text}");
        }
        let shown = entries.into_iter().map(|entry| {
            let value = entry.value.map_or("-".to_owned(), |value| show(&value));
            format!("{}.{}.{}={value}", entry.section, show(&entry.subsection), entry.key)
        });
        Ok(shown.collect())
    }

    #[test]
    fn the_syntax() {
        for (text, expected) in [
            ("[remote \"a\"]\n\turl = x\n", vec!["remote.a.url=x"]),
            ("[REMOTE \"A\"] URL=x", vec!["remote.A.url=x"]),
            ("[remote.A]\nurl = x", vec!["remote.a.url=x"]),
            ("[remote \"a\\\"b\\\\\"]\nurl=x ; comment\n", vec!["remote.a\"b\\.url=x"]),
            ("[remote \"a\"]\nurl = \" x \" # c\nurl=a  b \n", vec!["remote.a.url= x ", "remote.a.url=a  b"]),
            ("[remote \"a\"]\nurl = a\\\n b\\\\\n", vec!["remote.a.url=a b\\"]),
            ("[remote \"a\"]\r\nurl = x\r\n", vec!["remote.a.url=x"]),
            ("[remote \"a\"]\nurl\n", vec!["remote.a.url=-"]),
            ("[remote \"a\"]\nurl = \"a;b\"\n", vec!["remote.a.url=a;b"]),
            // A section that is not asked for is skipped, with values that look like sections.
            ("[core]\nx = \\\n[remote \"a\"]\n[url \"b\"]\ninsteadOf=c\n", vec!["url.b.insteadof=c"]),
            ("[core]\nx=1\n# [remote \"z\"]\n  [remote \"a\"]url=x\n", vec!["remote.a.url=x"]),
            ("[core][remote \"a\"]url=x", vec!["remote.a.url=x"]),
            ("[core] [other \"b\"] [remote \"a\"]url=x", vec!["remote.a.url=x"]),
            ("[remote.A \"B\"]\nurl=x", vec!["remote.a.B.url=x"]),
            ("[remote \"a\"]\nurl=x\u{c}\\", vec!["remote.a.url=x\u{c}"]),
            ("\u{feff}[remote \"a\"]\nurl=x", vec!["remote.a.url=x"]),
        ] {
            assert_eq!(read(text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn a_hostile_file_takes_bounded_time() {
        for text in [
            "[a]\n".repeat(500_000) + "x=\\\n[b]",
            "[a]".repeat(500_000),
            "[a]\n[b] [c] x=\\\n[d]\n".repeat(100_000),
            "[a] x=\\\n[url]\n".repeat(200_000),
            "[a] x=[url]\n".repeat(200_000),
        ] {
            let begun = std::time::Instant::now();
            assert_eq!(read(&text), Ok(Vec::new()));
            assert!(begun.elapsed().as_secs() < 20, "{:?}", &text[..20]);
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line) in [
            ("[remote \"a\"]\nurl = \"x\n", 2),
            ("[remote \"a\"\nurl = x", 1),
            ("[remote \"a\"]\n1 = x", 2),
            ("[remote \"a\"]\nurl = \\x", 2),
            ("[remote a]\n", 1),
        ] {
            assert_eq!(read(text), Err(BadLine(line)), "{text}");
        }
    }
}
