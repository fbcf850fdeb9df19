//! The members of a large object as places in the text.

use std::sync::Arc;

use super::{Fault, Node, Source};

/// One member of an object, as offsets into the text: for objects with thousands of members, of which few are looked at. Each new
/// page of memory takes 3 µs, so the ends are not kept.
#[derive(Debug, Clone, Copy)]
pub struct MemberSpan {
    key: u32,
    value: u32,
}

impl MemberSpan {
    /// The key.
    pub fn key(self, source: &Arc<Source>) -> Node<'_> {
        source.node(self.key)
    }

    /// The value.
    pub fn value(self, source: &Arc<Source>) -> Node<'_> {
        source.node(self.value)
    }

    /// Whether the key starts with this text, which is JSON as it is written.
    pub fn key_starts_with(self, source: &Source, raw: &[u8]) -> bool {
        source.text.as_bytes()[self.key as usize..].starts_with(raw)
    }

    /// Whether the value starts with this text, which is JSON as it is written.
    pub fn value_starts_with(self, source: &Source, raw: &[u8]) -> bool {
        source.text.as_bytes()[self.value as usize..].starts_with(raw)
    }
}

impl<'a> Node<'a> {
    /// The members of an object, in order, repeated ones included. The syntax was checked when the value around it was read, so only
    /// the ends of its parts are looked for.
    pub fn member_spans(&self, name: &str) -> Result<MemberSpans<'a>, Fault> {
        if !self.raw.starts_with('{') {
            return Err(self.mismatch(name, "an object"));
        }
        Ok(MemberSpans { text: self.raw, start: self.span().start, at: skip_blanks(self.raw.as_bytes(), 1) })
    }
}

/// Goes through the members of an object: each with its key as it is written.
#[derive(Debug)]
pub struct MemberSpans<'a> {
    /// The object.
    text: &'a str,
    /// Where it starts in the whole text.
    start: usize,
    /// Where the next member starts.
    at: usize,
}

impl<'a> Iterator for MemberSpans<'a> {
    type Item = (MemberSpan, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (text, key) = (self.text.as_bytes(), self.at);
        if text.get(key) != Some(&b'"') {
            return None;
        }
        let key_end = end_of_string(text, key);
        let value = skip_blanks(text, skip_blanks(text, key_end) + 1);
        let value_end = end_of(text, value);
        self.at = skip_blanks(text, skip_blanks(text, value_end) + 1);
        // A configuration has at most 16 MiB.
        let place = |at| u32::try_from(self.start + at).unwrap_or_default();
        Some((MemberSpan { key: place(key), value: place(value) }, &self.text[key..key_end]))
    }
}

impl Source {
    fn node(self: &Arc<Self>, start: u32) -> Node<'_> {
        let start = start as usize;
        Node { source: self, raw: &self.text[start..end_of(self.text.as_bytes(), start)] }
    }
}

/// The first place from `at` on that is no white space.
fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The end of the value that starts at `at`.
fn end_of(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => end_of_string(text, at),
        Some(b'{' | b'[') => {
            let (mut depth, mut at) = (0, at);
            while let Some(byte) = text.get(at) {
                match byte {
                    b'"' => {
                        at = end_of_string(text, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    break;
                }
            }
            at
        }
        _ => {
            let length =
                text[at..].iter().take_while(|byte| !matches!(byte, b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t'));
            at + length.count()
        }
    }
}

/// The end of the string whose first quote is at `at`.
fn end_of_string(text: &[u8], at: usize) -> usize {
    let mut from = at + 1;
    while let Some(length) = memchr::memchr2(b'"', b'\\', &text[from..]) {
        let found = from + length;
        if text[found] == b'"' {
            return found + 1;
        }
        from = found + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_are_those_that_the_reader_finds() {
        for object in [
            "{}",
            "{ }",
            r#"{"a":"b"}"#,
            r#" { "a" : "b" , "a" : null,"c":12.5e3 ,"d":true}"#,
            r#"{"quo\"te": "\\", "x\\": {"y": ["}", {"z": "]"}]}, "l": [1, "\"]"], "last": false }"#,
        ] {
            let source = Arc::new(Source { path: "c.json".into(), text: format!("[{object}, 1]") });
            let whole = source.root().unwrap();
            let length = object.trim_start().len();
            let start = whole.raw.find('{').unwrap();
            let node = Node { source: &source, raw: &whole.raw[start..start + length] };
            let spans = node.member_spans("x").unwrap();
            let found: Vec<_> = spans
                .map(|(span, key)| {
                    assert_eq!(span.key(&source).raw, key);
                    (key, span.value(&source).raw)
                })
                .collect();
            let super::super::Members(members) = serde_json::from_str(node.raw).unwrap();
            let expected: Vec<_> = members.into_iter().map(|(key, value)| (key.get(), value.get())).collect();
            assert_eq!(found, expected, "{object}");
        }
        let source = Arc::new(Source { path: "c.json".into(), text: "[]".into() });
        assert_eq!(
            source.root().unwrap().member_spans("x").unwrap_err().to_string(),
            "c.json:1:1: x must be an object, not a list"
        );
    }
}
