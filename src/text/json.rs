//! JSON values that know their position, so that every error names file, line and column.
//!
//! Values stay unparsed slices of the text (`serde_json::value::RawValue`); a position is the slice's offset,
//! computed only when an error or an explanation asks for it.

mod places;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::shell::shell_word;

pub use places::{MemberPlace, PlainEnd, RootMember};

/// A file's text with its path.
#[derive(Debug)]
pub struct Source {
    /// The path as shown to users.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// A position in a file. Line and column are counted only when it is shown.
#[derive(Debug, Clone)]
pub struct Origin {
    source: Arc<Source>,
    /// Byte offset; `None` where only the file is known.
    offset: Option<usize>,
}

impl Origin {
    /// A whole file.
    pub fn file(path: &Path) -> Self {
        Self { source: Arc::new(Source { path: path.into(), text: String::new() }), offset: None }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Byte offset, where more than the file is known.
    pub fn offset(&self) -> Option<usize> {
        self.offset
    }

    /// Line and column, both from 1, the column in characters.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        let text = &self.source.text;
        let before = &text[..self.offset?];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some((before.bytes().filter(|&byte| byte == b'\n').count() + 1, before[line_start..].chars().count() + 1))
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.source.path == other.source.path && self.offset == other.offset
    }
}

impl Eq for Origin {}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.source.path.display())?;
        match self.line_and_column() {
            Some((line, column)) => write!(out, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// An error at a position in a file, with its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it is.
    pub origin: Origin,
    /// What is wrong.
    pub what: String,
    /// What the user can do about it; may be empty.
    pub fix: String,
}

impl Fault {
    /// A fault without a fix, for a message that is enough by itself.
    pub fn new(origin: Origin, what: impl Into<String>) -> Self {
        Self { origin, what: what.into(), fix: String::new() }
    }

    /// Adds the fix.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.origin, self.what)?;
        if !self.fix.is_empty() {
            write!(out, ": {}", self.fix)?;
        }
        Ok(())
    }
}

/// A value inside a [`Source`].
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    source: &'a Arc<Source>,
    raw: &'a str,
}

/// One member of an object.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The key as a node (for "unknown key" errors).
    pub key_node: Node<'a>,
    /// The value.
    pub value: Node<'a>,
}

impl Source {
    /// The document's root, after its syntax was checked.
    pub fn root(self: &Arc<Self>) -> Result<Node<'_>, Fault> {
        match serde_json::from_str::<&RawValue>(self.content()) {
            Ok(raw) => Ok(Node { source: self, raw: raw.get() }),
            Err(error) => Err(self.syntax_fault(&error)),
        }
    }

    /// The members of the document's root, an object called `name` in messages. `plain_end` is asked for the keys of large objects.
    pub fn members(self: &Arc<Self>, name: &str, plain_end: PlainEnd) -> Result<Vec<RootMember<'_>>, Fault> {
        // The syntax is checked on the way, so a good text is read once.
        let (members, places) = match places::of_root(&self.text, plain_end) {
            Some((members, places)) => (Node { source: self, raw: &self.text }.named(members.into_iter())?, places),
            None => (self.root()?.members(name)?, Vec::new()),
        };
        let places = places.into_iter().chain(std::iter::repeat_with(Vec::new));
        Ok(members.into_iter().zip(places).map(|(member, places)| RootMember { member, places }).collect())
    }

    /// The text without the byte order mark that some editors write.
    fn content(&self) -> &str {
        self.text.strip_prefix('\u{feff}').unwrap_or(&self.text)
    }

    fn syntax_fault(self: &Arc<Self>, error: &serde_json::Error) -> Fault {
        let line_start =
            self.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let mark = if error.line() > 1 { 0 } else { self.text.len() - self.content().len() };
        let mut offset = (line_start + mark + error.column().saturating_sub(1)).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let mut what = error.to_string();
        if let Some(end) = what.rfind(" at line ") {
            what.truncate(end);
        }
        let fault = |offset, what: &str| {
            Fault::new(Origin { source: self.clone(), offset: Some(offset) }, format!("not valid JSON ({what})"))
        };
        let before = self.text.as_bytes()[..offset].trim_ascii_end();
        if self.content().trim_ascii().is_empty() {
            let fault = Fault::new(Origin { source: self.clone(), offset: Some(0) }, "the file is empty");
            return fault.fix(format!("echo '{{}}' >{}", shell_word(&self.path)));
        }
        let closes = matches!(self.text.as_bytes().get(offset), Some(b'}' | b']'));
        if closes && before.ends_with(b",") {
            return fault(before.len() - 1, "trailing comma").fix("remove this comma");
        }
        fault(offset, &what)
    }
}

impl<'a> Node<'a> {
    /// The value's position.
    pub fn origin(&self) -> Origin {
        Origin { source: self.source.clone(), offset: Some(self.span().start) }
    }

    /// A fault at this value.
    pub fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::new(self.origin(), what)
    }

    /// The range of its bytes in the whole text.
    pub fn span(&self) -> std::ops::Range<usize> {
        let start = self.raw.as_ptr() as usize - self.source.text.as_ptr() as usize;
        start..start + self.raw.len()
    }

    /// The whole text that contains it.
    pub fn whole_text(&self) -> &'a str {
        &self.source.text
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.raw == "null"
    }

    /// The value as JSON text.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The kind of value, in words for a message.
    pub fn kind(&self) -> &'static str {
        match self.raw.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// The members of an object, in order. A repeated key is a fault, because it is not clear which value is meant.
    pub fn members(&self, name: &str) -> Result<Vec<Member<'a>>, Fault> {
        let Ok(Members(members)) = serde_json::from_str::<Members<'a>>(self.raw) else {
            return Err(self.mismatch(name, "an object"));
        };
        self.named(members.into_iter().map(|(key, value)| (key.get(), value.get())))
    }

    /// The members of an object with their names.
    fn named(&self, members: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Member<'a>>, Fault> {
        let mut found: Vec<Member<'a>> = Vec::with_capacity(members.len());
        let mut seen = std::collections::HashSet::with_capacity(members.len());
        for (key, value) in members {
            let value = Node { source: self.source, raw: value };
            let key_node = Node { source: self.source, raw: key };
            let Some(key) = unquoted(key) else {
                return Err(key_node.fault(format!("the key {key} contains an incomplete character")));
            };
            if !seen.insert(key.clone()) {
                return Err(key_node
                    .fault(format!("\"{key}\" occurs twice in this object"))
                    .fix("remove one of the two"));
            }
            found.push(Member { key, key_node, value });
        }
        Ok(found)
    }

    /// The text that the value is in.
    pub fn source(&self) -> &Arc<Source> {
        self.source
    }

    /// A string.
    pub fn string(&self, name: &str) -> Result<String, Fault> {
        serde_json::from_str(self.raw).map_err(|_| self.mismatch(name, "a string"))
    }

    /// `true` or `false`.
    pub fn boolean(&self, name: &str) -> Result<bool, Fault> {
        serde_json::from_str(self.raw).map_err(|_| self.mismatch(name, "true or false"))
    }

    /// A whole number within `range`.
    pub fn integer(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, Fault> {
        serde_json::from_str(self.raw)
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.mismatch(name, &format!("a whole number from {} to {}", range.start(), range.end())))
    }

    /// The items of a list, in order. `None` where it is not a list.
    pub fn items(&self) -> Option<Vec<Node<'a>>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.raw).ok()?;
        Some(items.into_iter().map(|item| Node { source: self.source, raw: item.get() }).collect())
    }

    /// A list of strings.
    pub fn strings(&self, name: &str) -> Result<Vec<String>, Fault> {
        serde_json::from_str(self.raw).map_err(|_| self.mismatch(name, "a list of strings"))
    }

    fn mismatch(&self, name: &str, expected: &str) -> Fault {
        let shown: String = self.raw.chars().take(40).collect();
        match self.raw.as_bytes().first() {
            Some(b'{' | b'[') => self.fault(format!("{name} must be {expected}, not {}", self.kind())),
            _ => self.fault(format!("{name} must be {expected}, not {shown}")),
        }
    }
}

/// The text of a JSON string. `None` where it holds half of a surrogate pair, which JSON can express and UTF-8 can't.
pub fn unquoted(string: &str) -> Option<Cow<'_, str>> {
    if string.contains('\\') {
        return serde_json::from_str(string).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(&string[1..string.len() - 1]))
}

/// The text of a JSON string. With half of a surrogate pair in it, it is returned as it is written, quotes included.
pub fn text_of(string: &str) -> Cow<'_, str> {
    unquoted(string).unwrap_or(Cow::Borrowed(string))
}

/// An object's members in order, repeated ones included, with unescaped names. `None` where it is not an object.
pub fn members(object: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let Members(members) = serde_json::from_str(object).ok()?;
    Some(members.into_iter().map(|(name, value)| (text_of(name.get()), value.get())).collect())
}

/// An object's members in order, keys and values as they are written.
pub struct Members<'a>(pub Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Collect<'a> {
            type Value = Members<'a>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source { path: "c.json".into(), text: text.into() })
    }

    #[test]
    fn every_value_knows_its_place() {
        let source = source("{\n  \"ä\": 1, \"b\": {\"c\": \"x\"}\n}\n");
        let members = source.root().unwrap().members("the file").unwrap();
        assert_eq!(members[0].value.origin().to_string(), "c.json:2:8");
        assert_eq!(members[1].key_node.origin().to_string(), "c.json:2:11");
        let escaped = Arc::new(Source { path: "c.json".into(), text: r#"{"\u0061": 1}"#.into() });
        let member = escaped.root().unwrap().members("the file").unwrap().remove(0);
        assert_eq!((member.key.as_ref(), member.key_node.origin().to_string()), ("a", "c.json:1:2".to_owned()));
        let inner = members[1].value.members("b").unwrap();
        assert_eq!(inner[0].value.origin().to_string(), "c.json:2:22");
        assert_eq!(
            inner[0].value.boolean("c").unwrap_err().to_string(),
            "c.json:2:22: c must be true or false, not \"x\""
        );
    }

    #[test]
    fn syntax_errors_have_a_place() {
        let fault = source("{\n  \"a\": 1,\n}").root().unwrap_err();
        assert_eq!(fault.to_string(), "c.json:2:9: not valid JSON (trailing comma): remove this comma");
        for empty in ["", " \n", "\u{feff}\n"] {
            let fault = source(empty).members("the file", |_, _| None).unwrap_err();
            assert_eq!(fault.to_string(), "c.json:1:1: the file is empty: echo '{}' >c.json", "{empty:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_fault() {
        let marked = source("\u{feff}{\"a\": 1}");
        assert_eq!(marked.members("the file", |_, _| None).unwrap()[0].member.key, "a");
        let fault = source("\u{feff}{\"a\": x}").root().unwrap_err();
        assert_eq!(fault.origin.offset(), Some("\u{feff}{\"a\": ".len()));
    }

    #[test]
    fn half_a_character_is_no_key() {
        let source = source(r#"{"a": 1, "\ud800": 2}"#);
        let fault = source.root().unwrap().members("the file").unwrap_err();
        assert_eq!(fault.to_string(), r#"c.json:1:10: the key "\ud800" contains an incomplete character"#);
    }

    #[test]
    fn a_repeated_key_is_a_fault() {
        let source = source(r#"{"a": 1, "a": 2}"#);
        let fault = source.root().unwrap().members("the file").unwrap_err();
        assert_eq!(fault.to_string(), "c.json:1:10: \"a\" occurs twice in this object: remove one of the two");
    }
}
