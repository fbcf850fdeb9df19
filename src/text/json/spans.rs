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
    fn raw_key(self, source: &Source) -> &str {
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

    /// The bytes of the key as it is written.
    pub fn key_bytes(self, source: &Source) -> &[u8] {
        &source.text.as_bytes()[self.key as usize..][..self.key_length as usize]
    }

    /// Whether the value starts with this text, which is JSON as it is written.
    pub fn value_starts_with(self, source: &Source, raw: &[u8]) -> bool {
        let value = &source.text.as_bytes()[self.value as usize..];
        // It is short: a call of the C library's comparison would take longer.
        value.len() >= raw.len() && value.iter().zip(raw).all(|(one, other)| one == other)
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
    let (words, rest) = inner.as_chunks();
    let is_special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    let length = match words.iter().enumerate().find_map(|(index, word)| Some(index * 8 + first_special(*word)?)) {
        Some(length) => length,
        None => words.len() * 8 + rest.iter().position(is_special)?,
    };
    (inner[length] == b'"').then_some(at + 1 + length + 1)
}

/// Where the plain part of a string ends among these bytes: a quote, an escape, or what may not stand in one. All are looked at in one
/// number, because a decision for each byte takes longer than all else about it.
fn first_special(bytes: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    let bytes = u64::from_le_bytes(bytes);
    // A byte's highest bit is set where it is less than `limit`; those above the first one may be set by mistake.
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
    let is = |byte: u8| below(bytes ^ (ONES * u64::from(byte)), 1);
    let special = (below(bytes, 0x20) | is(b'"') | is(b'\\')) & (ONES << 7);
    (special != 0).then_some(special.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw<'a>(member: &Member<'a>) -> (&'a str, &'a str) {
        (member.key_node.raw, member.value.raw)
    }

    #[test]
    fn a_string_ends_at_its_first_special_byte() {
        for special in (0..0x20).chain(*b"\"\\") {
            for place in 0..20 {
                let text =
                    [b"\"", &b" !#[]~\x7f\x80\xc3\xa4\xff0123456789"[..place], &[special], b"x\"\\\x01"].concat();
                let expected = (special == b'"').then_some(place + 2);
                assert_eq!(end_of_string(&text, 0), expected, "{text:?}");
            }
        }
        assert_eq!([end_of_string(b"\"", 0), end_of_string(b"\"abcdefghi", 0), end_of_string(b"", 0)], [None; 3]);
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
