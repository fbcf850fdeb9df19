//! Walks through JSON text without copying it or building a tree: elements and members are slices of the text, found one
//! at a time. So the memory for an export does not depend on how many parts it has.
//!
//! The text has been checked before (`serde_json`), so each value ends where its brackets and quotes say.

use std::borrow::Cow;

use crate::text::json;

/// The elements of a list, in order; `None` where the text is not a list.
pub fn elements(text: &str) -> Option<Elements<'_>> {
    text.starts_with('[').then(|| Elements(Cursor::inside(text)))
}

/// The members of an object in order, repeated ones included, with the text of their names; `None` where the text is not an
/// object.
pub fn members(text: &str) -> Option<Members<'_>> {
    text.starts_with('{').then(|| Members(Cursor::inside(text)))
}

/// The first member of this name.
pub fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    members(text)?.find_map(|(key, value)| (key == name).then_some(value))
}

/// The elements of the list that is the first member of this name; none where there is no such list.
pub fn list<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    member(text, name).and_then(elements).into_iter().flatten()
}

/// The text of the first member of this name; empty where there is none or it is not a string.
pub fn string(text: &str, name: &str) -> String {
    member(text, name).and_then(|value| serde_json::from_str(value).ok()).unwrap_or_default()
}

/// Iterates over the elements of a list.
pub struct Elements<'a>(Cursor<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.skip_to_value()?;
        Some(self.0.value())
    }
}

/// Iterates over the members of an object.
pub struct Members<'a>(Cursor<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.skip_to_value()?;
        let name = self.0.value();
        self.0.skip_to_value()?;
        Some((json::text_of(name), self.0.value()))
    }
}

/// A position in a list or an object.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The position after the opening bracket.
    fn inside(text: &'a str) -> Self {
        Self { text, at: 1 }
    }

    /// Moves to the start of the next value; `None` at the closing bracket.
    fn skip_to_value(&mut self) -> Option<()> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => self.at += 1,
                b']' | b'}' => return None,
                _ => return Some(()),
            }
        }
    }

    /// The value that begins here.
    fn value(&mut self) -> &'a str {
        let start = self.at;
        self.at = end_of_value(self.text.as_bytes(), start);
        &self.text[start..self.at]
    }
}

/// The end of the value that begins at `at`.
fn end_of_value(bytes: &[u8], mut at: usize) -> usize {
    match bytes[at] {
        b'"' => end_of_string(bytes, at),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            while let Some(byte) = bytes.get(at) {
                at += 1;
                match byte {
                    b'"' => at = end_of_string(bytes, at - 1),
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            at
        }
        _ => {
            let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
            bytes[at..].iter().position(is_end).map_or(bytes.len(), |length| at + length)
        }
    }
}

/// The position after the closing quote of the string that begins at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_as_they_are_written() {
        let text = "[ 1 ,\"a\\\"],b\\\\\", {\"x\":[\"}\",{}]} ,[], null\n,true,-1.5e3]";
        let found: Vec<_> = elements(text).unwrap().collect();
        assert_eq!(found, ["1", "\"a\\\"],b\\\\\"", "{\"x\":[\"}\",{}]}", "[]", "null", "true", "-1.5e3"]);
        assert_eq!(elements("[ ]").unwrap().count(), 0);
        assert!(elements("{}").is_none() && elements("7").is_none() && elements("\"[\"").is_none());
    }

    #[test]
    fn members_are_found_by_the_text_of_their_names() {
        let text = "{ \"a\" : 1,\"\\u0061\":{\"b\":2} ,\"\\ud800\":[3]}";
        let found: Vec<_> = members(text).unwrap().collect();
        let expected = [("a", "1"), ("a", "{\"b\":2}"), ("\"\\ud800\"", "[3]")];
        assert_eq!(found, expected.map(|(name, value)| (Cow::Borrowed(name), value)));
        assert_eq!(member(text, "a"), Some("1"));
        assert_eq!(members("{}").unwrap().count(), 0);
        assert!(members("[]").is_none());
        assert_eq!(list("{\"l\":[1,2],\"n\":null}", "l").count(), 2);
        assert_eq!(list("{\"l\":[1,2],\"n\":null}", "n").count(), 0);
        assert_eq!((string(r#"{"s":"\u00e4"}"#, "s"), string("{\"s\":1}", "s")), ("ä".to_owned(), String::new()));
    }
}
