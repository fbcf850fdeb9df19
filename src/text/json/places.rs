//! The members of a large object as places in the text.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Fault, Member, Members, Node, Source};
use crate::text::lanes;

/// One member of an object, as the place of its key: for objects with thousands of members, of which few are looked at. It takes four
/// bytes, because memory that is touched for the first time takes longer than to look for the key's end once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberPlace(u32);

/// Gives the end of the string that starts at a place of a text, where it is one that a reader of the object knows well. Such a string
/// has no escapes.
pub type PlainEnd = fn(&[u8], usize) -> Option<usize>;

impl MemberPlace {
    const PLAIN: u32 = 1 << 31;
    const STRING: u32 = 1 << 30;
    const REPEATED: u32 = 1 << 29;

    /// Of the offset of the key. A configuration has at most 16 MiB.
    fn new(key: usize, flags: u32) -> Self {
        let key = u32::try_from(key).ok().filter(|key| *key < Self::REPEATED);
        Self(key.unwrap_or_default() | flags)
    }

    fn offset(self) -> usize {
        (self.0 & (Self::REPEATED - 1)) as usize
    }

    /// Whether the key's end was found by [`PlainEnd`].
    pub fn is_plain(self) -> bool {
        self.0 & Self::PLAIN != 0
    }

    /// Whether the value is known to be a string.
    pub fn is_string(self) -> bool {
        self.0 & Self::STRING != 0
    }

    /// Whether the value is known to be the last string before it.
    pub fn is_repeated(self) -> bool {
        self.0 & Self::REPEATED != 0
    }

    /// It is no longer known what was before: some members were removed.
    pub fn forget_repeated(&mut self) {
        self.0 &= !Self::REPEATED;
    }

    /// The text from the key on, which starts with its quote.
    pub fn text(self, source: &Source) -> &[u8] {
        source.text.as_bytes().get(self.offset()..).unwrap_or_default()
    }

    /// The key.
    pub fn key(self, source: &Arc<Source>) -> Node<'_> {
        Node { source, raw: value_at(&source.text, self.offset()) }
    }

    /// The value.
    pub fn value(self, source: &Arc<Source>) -> Node<'_> {
        let key_end = self.offset() + self.key(source).raw.len();
        let value = value_after(source.text.as_bytes(), key_end).unwrap_or(key_end);
        Node { source, raw: value_at(&source.text, value) }
    }
}

/// The place of a member's value, after the key that ends at `key_end`.
#[inline(always)]
fn value_after(text: &[u8], key_end: usize) -> Option<usize> {
    after(text, skip_blanks(text, key_end), b':')
}

/// The value that starts at `at`, as it is written.
fn value_at(text: &str, at: usize) -> &str {
    match end_of_string(text.as_bytes(), at) {
        Some(end) => &text[at..end],
        None => first_value(&text[at..]).unwrap_or(&text[at..]),
    }
}

/// A member of a text's root.
#[derive(Debug)]
pub struct RootMember<'a> {
    /// The member.
    pub member: Member<'a>,
    /// The members of its value, where they were found on the way.
    pub(super) places: Vec<MemberPlace>,
}

impl<'a> RootMember<'a> {
    /// The members of the value, an object called `name` in messages: [`Node::members`].
    pub fn members(&self, name: &str) -> Result<Vec<Member<'a>>, Fault> {
        let (node, source) = (self.member.value, self.member.value.source);
        if self.places.is_empty() {
            return node.members(name);
        }
        node.named(self.places.iter().map(|place| (place.key(source).raw, place.value(source).raw)))
    }

    /// The places of these members, repeated ones included.
    pub fn into_places(self, name: &str) -> Result<Vec<MemberPlace>, Fault> {
        if !self.places.is_empty() {
            return Ok(self.places);
        }
        let node = self.member.value;
        let Ok(Members(members)) = serde_json::from_str(node.raw) else {
            return Err(node.mismatch(name, "an object"));
        };
        let start = node.source.text.as_ptr() as usize;
        let place = |(key, _): (&RawValue, _)| MemberPlace::new(key.get().as_ptr() as usize - start, 0);
        Ok(members.into_iter().map(place).collect())
    }
}

/// Keys and values as they are written, and the members of each value that is a flat object.
type Found<'a> = (Vec<(&'a str, &'a str)>, Vec<Vec<MemberPlace>>);

/// The members of the root, each byte looked at once. `None` where the root is no object, its syntax is wrong, or a key has escapes.
pub(super) fn of_root(text: &str, plain_end: PlainEnd) -> Option<Found<'_>> {
    let bytes = text.as_bytes();
    let (mut members, mut all_places) = (Vec::new(), Vec::new());
    let mut at = after(bytes, skip_blanks(bytes, 0), b'{')?;
    loop {
        let key_end = end_of_string(bytes, at)?;
        let value = value_after(bytes, key_end)?;
        let (value_end, places) = match flat_object(bytes, value, plain_end) {
            Some(flat) => flat,
            None => (value + first_value(&text[value..])?.len(), Vec::new()),
        };
        members.push((&text[at..key_end], &text[value..value_end]));
        all_places.push(places);
        let end = skip_blanks(bytes, value_end);
        match after(bytes, end, b',') {
            Some(next) => at = next,
            None => return (after(bytes, end, b'}')? == bytes.len()).then_some((members, all_places)),
        }
    }
}

/// The end and the members of the object that starts at `at`, where all values are strings or `null`, and no string has escapes. This
/// is so for most large ones; reading each member with `serde_json` takes three times as long.
fn flat_object(text: &[u8], at: usize, plain_end: PlainEnd) -> Option<(usize, Vec<MemberPlace>)> {
    let mut members = Vec::new();
    let mut at = after(text, at, b'{')?;
    // The last value that is a string.
    let mut last: Option<&[u8]> = None;
    loop {
        let (key_end, plain) = match plain_end(text, at) {
            Some(end) => (end, MemberPlace::PLAIN),
            None => (end_of_string(text, at)?, 0),
        };
        let value = value_after(text, key_end)?;
        let (value_end, kind) = match last {
            // Neighbours often have the same value.
            Some(last) if lanes::starts_with(&text[value..], last) => {
                (value + last.len(), MemberPlace::STRING | MemberPlace::REPEATED)
            }
            _ if text[value..].starts_with(b"null") => (value + 4, 0),
            _ => {
                let end = end_of_string(text, value)?;
                last = Some(&text[value..end]);
                (end, MemberPlace::STRING)
            }
        };
        if members.is_empty() {
            // Memory that is not needed is not touched.
            members.reserve_exact((text.len() - at) / SHORT + 1);
        }
        members.push(MemberPlace::new(at, plain | kind));
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
#[inline(always)]
fn after(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (text.get(at) == Some(&byte)).then(|| skip_blanks(text, at + 1))
}

/// The first place from `at` on that is no white space.
#[inline(always)]
fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The end of the string that has to start at `at`. `None` where it has escapes, or is wrong.
fn end_of_string(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let mut end = at + 1;
    loop {
        match lanes::first(special(lanes::word(text, end))) {
            Some(length) => {
                end += length;
                return (text.get(end) == Some(&b'"')).then_some(end + 1);
            }
            None => end += 8,
        }
    }
}

/// What ends the plain part of a string, among eight bytes: a quote, an escape, or what may not stand in a string. Those behind the
/// first one may be found by mistake.
#[inline(always)]
fn special(bytes: u64) -> u64 {
    // A quote is 0x22. With this bit changed it is 0x20, next to what may not stand in a string.
    lanes::below(bytes ^ lanes::all(2), 0x21) | lanes::equal(bytes, b'\\')
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
    fn a_place_says_what_was_seen_on_the_way() {
        let plain_end = |text: &[u8], at: usize| text.get(at..)?.starts_with(b"\"plain\"").then_some(at + 7);
        for (object, expected) in [
            (r#"{"plain": "a", "b": "a", "plain" : null, "c":"a","plain":"ab"}"#, ["ps ", " sr", "p  ", " sr", "ps "]),
            (r#"{"a": null, "plain": "a", "plain2": "", "b": "", "c": "a"}"#, ["   ", "ps ", " s ", " sr", " s "]),
            // It is read otherwise.
            (r#"{"plain": "a", "b": "a", "c": "\u0061", "d": 1, "e": "a"}"#, ["   "; 5]),
        ] {
            let source = Arc::new(Source { path: "c.json".into(), text: format!(r#"{{"x": {object}}}"#) });
            let mut places = source.members("it", plain_end).unwrap().remove(0).into_places("x").unwrap();
            let flag = |is: bool, letter: char| if is { letter } else { ' ' };
            let shown = |place: &MemberPlace| -> String {
                [flag(place.is_plain(), 'p'), flag(place.is_string(), 's'), flag(place.is_repeated(), 'r')]
                    .iter()
                    .collect()
            };
            assert_eq!(places.iter().map(shown).collect::<Vec<_>>(), expected, "{object}");
            places.iter_mut().for_each(MemberPlace::forget_repeated);
            let expected = expected.map(|shown| shown.replace('r', " "));
            assert_eq!(places.iter().map(shown).collect::<Vec<_>>(), expected, "{object}");
        }
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
            let found = source.members("it", |_, _| None).ok();
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
            let places = member.into_places("x").unwrap();
            let shown: Vec<_> = places.iter().map(|place| (place.key(&source).raw, place.value(&source).raw)).collect();
            assert_eq!(shown, expected, "{object}");
        }
        let source = Arc::new(Source { path: "c.json".into(), text: r#"{"x": []}"#.into() });
        assert_eq!(
            source.members("it", |_, _| None).unwrap().remove(0).into_places("x").unwrap_err().to_string(),
            "c.json:1:7: x must be an object, not a list"
        );
    }
}
