//! The members of a large object as places in the text.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Fault, Member, Members, Node, Source};

/// One member of an object, as offsets into the text: for objects with thousands of members, of which few are looked at.
#[derive(Debug, Clone, Copy)]
pub struct MemberSpan {
    key: u32,
    key_length: u32,
    value: u32,
}

impl MemberSpan {
    /// Of offsets. A configuration has at most 16 MiB.
    fn new(key: usize, key_length: usize, value: usize) -> Self {
        let number = |number: usize| u32::try_from(number).unwrap_or_default();
        Self { key: number(key), key_length: number(key_length), value: number(value) }
    }

    /// The key.
    pub fn key(self, source: &Arc<Source>) -> Node<'_> {
        Node { source, raw: self.raw_key(source) }
    }

    /// The key as it is written.
    pub fn raw_key(self, source: &Source) -> &str {
        &source.text[self.key as usize..][..self.key_length as usize]
    }

    /// The value.
    pub fn value(self, source: &Arc<Source>) -> Node<'_> {
        let start = self.value as usize;
        let text = &source.text[start..];
        let raw = match end_of_string(source.text.as_bytes(), start) {
            Some(end) => &source.text[start..end],
            None => first_value(text).unwrap_or(text),
        };
        Node { source, raw }
    }

    /// Whether the value starts with this text, which is JSON as it is written.
    pub fn value_starts_with(self, source: &Source, raw: &[u8]) -> bool {
        source.text.as_bytes()[self.value as usize..].starts_with(raw)
    }
}

/// A member of a text's root.
#[derive(Debug)]
pub struct RootMember<'a> {
    /// The member.
    pub member: Member<'a>,
    /// The members of its value, where they were found on the way.
    pub(super) spans: Vec<MemberSpan>,
}

impl<'a> RootMember<'a> {
    /// The members of the value, an object called `name` in messages: [`Node::members`].
    pub fn members(&self, name: &str) -> Result<Vec<Member<'a>>, Fault> {
        let (node, source) = (self.member.value, self.member.value.source);
        if self.spans.is_empty() {
            return node.members(name);
        }
        node.named(self.spans.iter().map(|span| (span.raw_key(source), span.value(source).raw)))
    }

    /// The places of these members, repeated ones included.
    pub fn into_spans(self, name: &str) -> Result<Vec<MemberSpan>, Fault> {
        if !self.spans.is_empty() {
            return Ok(self.spans);
        }
        let node = self.member.value;
        let Ok(Members(members)) = serde_json::from_str(node.raw) else {
            return Err(node.mismatch(name, "an object"));
        };
        let place = |raw: &RawValue| raw.get().as_ptr() as usize - node.source.text.as_ptr() as usize;
        let span = |(key, value): (&RawValue, _)| MemberSpan::new(place(key), key.get().len(), place(value));
        Ok(members.into_iter().map(span).collect())
    }
}

/// Keys and values as they are written, and the members of each value that is a flat object.
type Found<'a> = (Vec<(&'a str, &'a str)>, Vec<Vec<MemberSpan>>);

/// The members of the root, each byte looked at once. `None` where the root is no object, its syntax is wrong, or a key has escapes.
pub(super) fn of_root(text: &str) -> Option<Found<'_>> {
    let bytes = text.as_bytes();
    let (mut members, mut all_spans) = (Vec::new(), Vec::new());
    let mut at = after(bytes, skip_blanks(bytes, 0), b'{')?;
    loop {
        let key_end = end_of_string(bytes, at)?;
        let value = after(bytes, skip_blanks(bytes, key_end), b':')?;
        let (value_end, spans) = match flat_object(bytes, value) {
            Some(flat) => flat,
            None => (value + first_value(&text[value..])?.len(), Vec::new()),
        };
        members.push((&text[at..key_end], &text[value..value_end]));
        all_spans.push(spans);
        let end = skip_blanks(bytes, value_end);
        match after(bytes, end, b',') {
            Some(next) => at = next,
            None => return (after(bytes, end, b'}')? == bytes.len()).then_some((members, all_spans)),
        }
    }
}

/// The end and the members of the object that starts at `at`, where all values are strings or `null`, and no string has escapes. This
/// is so for most large ones; reading each member with `serde_json` takes three times as long.
fn flat_object(text: &[u8], at: usize) -> Option<(usize, Vec<MemberSpan>)> {
    let mut members = Vec::new();
    let mut at = after(text, at, b'{')?;
    loop {
        let key_end = end_of_string(text, at)?;
        let value = after(text, skip_blanks(text, key_end), b':')?;
        let value_end = match text.get(value)? {
            b'"' => end_of_string(text, value)?,
            _ if text[value..].starts_with(b"null") => value + 4,
            _ => return None,
        };
        if members.is_empty() {
            // Memory that is not needed is not touched.
            members.reserve_exact((text.len() - at) / SHORT + 1);
        }
        members.push(MemberSpan::new(at, key_end - at, value));
        let end = skip_blanks(text, value_end);
        match after(text, end, b',') {
            Some(next) => at = next,
            None => return (text.get(end) == Some(&b'}')).then_some((end + 1, members)),
        }
    }
}

/// The length of a short member, in bytes.
const SHORT: usize = 32;

/// The first value of a text that starts with one.
fn first_value(text: &str) -> Option<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    Some(values.next()?.ok()?.get())
}

/// The first place that is no white space, after the `byte` that has to stand at `at`.
fn after(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (text.get(at) == Some(&byte)).then(|| skip_blanks(text, at + 1))
}

/// The first place from `at` on that is no white space.
fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The end of the string that has to start at `at`. `None` where it has escapes, or is wrong.
fn end_of_string(text: &[u8], at: usize) -> Option<usize> {
    let inner = text.get(at..)?.strip_prefix(b"\"")?;
    let length = inner.iter().position(|&byte| IS_SPECIAL[usize::from(byte)])?;
    (inner[length] == b'"').then_some(at + 1 + length + 1)
}

/// The bytes that end the plain part of a string: quotes, escapes, and what may not stand in one.
const IS_SPECIAL: [bool; 256] = {
    let mut is_special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        is_special[byte] = true;
        byte += 1;
    }
    is_special[b'"' as usize] = true;
    is_special[b'\\' as usize] = true;
    is_special
};

#[cfg(test)]
mod tests {
    use super::*;

    fn raw<'a>(member: &Member<'a>) -> (&'a str, &'a str) {
        (member.key_node.raw, member.value.raw)
    }

    #[test]
    fn the_members_are_those_that_the_reader_finds() {
        for object in [
            "{}",
            "{ }",
            r#"{"a":"b"}"#,
            r#"{"a":null}"#,
            " { \"a\" : \"b\" ,\n\t\"a\" : null,\r\n \"\":\"\" } ",
            r#"{"a" : "b" , "a" : null,"c":12.5e3 ,"d":true}"#,
            r#"{"quo\"te": "\\", "x\\": {"y": ["}", {"z": "]"}]}, "l": [1, "\"]"], "last": false }"#,
            r#"{"ä": "\u00e4", "b": ""}"#,
            r#"{"a": {"b": "c"}, "d": "e"}"#,
            r#"{"a": nullx}"#,
            r#"{"a": "b",}"#,
            r#"{"a": "b" "c": "d"}"#,
            r#"{"a": "b"]"#,
            r#"{"a" "b"}"#,
            r#"{"a": "b"#,
            "{\"a\": \"\u{1}\"}",
            "{\"a\": \"\n\"}",
            r#"{a: "b"}"#,
            r#"{,}"#,
            r#"["a"]"#,
            r#"{"a": "b"} {}"#,
            r#"{"a": 01}"#,
            "",
        ] {
            let text = format!(r#"{{"first": 1, "x": {object}, "last": [true]}}"#);
            let source = Arc::new(Source { path: "c.json".into(), text });
            let found = source.members("it").ok();
            let whole = serde_json::from_str::<Members<'_>>(&source.text).ok();
            assert_eq!(found.is_some(), whole.is_some(), "{object}");
            let Some((mut found, Members(whole))) = found.zip(whole) else { continue };
            let shown: Vec<_> = found.iter().map(|root| raw(&root.member)).collect();
            let expected: Vec<_> = whole.iter().map(|(key, value)| (key.get(), value.get())).collect();
            assert_eq!(shown, expected, "{object}");
            let Ok(Members(members)) = serde_json::from_str(whole[1].1.get()) else { continue };
            let expected: Vec<_> = members.iter().map(|(key, value)| (key.get(), value.get())).collect();
            let member = found.remove(1);
            if let Ok(members) = member.members("x") {
                assert_eq!(members.iter().map(raw).collect::<Vec<_>>(), expected, "{object}");
            }
            let spans = member.into_spans("x").unwrap();
            let shown: Vec<_> = spans.iter().map(|span| (span.raw_key(&source), span.value(&source).raw)).collect();
            assert_eq!(shown, expected, "{object}");
        }
        let source = Arc::new(Source { path: "c.json".into(), text: r#"{"x": []}"#.into() });
        assert_eq!(
            source.members("it").unwrap().remove(0).into_spans("x").unwrap_err().to_string(),
            "c.json:1:7: x must be an object, not a list"
        );
    }
}
