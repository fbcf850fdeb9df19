//! The members of a large object as places in the text.

use std::sync::Arc;

use super::{Fault, Node, Source};

/// One member of an object, as offsets into the text: for objects with thousands of members, of which few are looked at.
#[derive(Debug, Clone, Copy)]
pub struct MemberSpan {
    key: (u32, u32),
    value: (u32, u32),
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
}

impl Node<'_> {
    /// The members of an object, in order, repeated ones included. The syntax was checked when the value around it was read, so only
    /// the ends of its parts are looked for.
    pub fn member_spans(&self, name: &str) -> Result<Vec<MemberSpan>, Fault> {
        if !self.raw.starts_with('{') {
            return Err(self.mismatch(name, "an object"));
        }
        let (text, start) = (self.raw.as_bytes(), self.span().start);
        // A configuration has at most 16 MiB.
        let place = |from: usize, to: usize| {
            (u32::try_from(start + from).unwrap_or_default(), u32::try_from(to - from).unwrap_or_default())
        };
        let mut members = Vec::with_capacity(text.len() / 32);
        let mut at = skip_blanks(text, 1);
        while text.get(at) == Some(&b'"') {
            let key_end = end_of(text, at);
            let value = skip_blanks(text, skip_blanks(text, key_end) + 1);
            let value_end = end_of(text, value);
            members.push(MemberSpan { key: place(at, key_end), value: place(value, value_end) });
            at = skip_blanks(text, skip_blanks(text, value_end) + 1);
        }
        Ok(members)
    }
}

impl Source {
    fn node(self: &Arc<Self>, (start, length): (u32, u32)) -> Node<'_> {
        let start = start as usize;
        Node { source: self, raw: &self.text[start..start + length as usize] }
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
            let found: Vec<_> = spans.iter().map(|span| (span.key(&source).raw, span.value(&source).raw)).collect();
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
