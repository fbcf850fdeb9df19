//! Changes as splices into JSON text: everything but the changed member stays byte for byte (pure).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::text::json::{Fault, Node, Source};

use super::layout::{self, Insertion};

/// One change: the member at `path` gets `value`, or is removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    path: Vec<String>,
    value: Option<Value>,
}

impl Change {
    /// Gives the member at `path` a value; missing objects on the way are created.
    pub fn set<'a>(path: impl IntoIterator<Item = &'a str>, value: impl Into<Value>) -> Self {
        Self { path: path.into_iter().map(str::to_owned).collect(), value: Some(value.into()) }
    }

    /// Removes the member at `path`, if it exists.
    pub fn remove<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { path: path.into_iter().map(str::to_owned).collect(), value: None }
    }
}

/// `text` of the file `path` with all `changes`. A file that is missing or blank starts as an empty object.
pub fn apply(path: &Path, text: &str, changes: &[Change]) -> Result<String, Fault> {
    let mut text = if text.trim().is_empty() { "{}\n".to_owned() } else { text.to_owned() };
    for change in changes {
        let source = Arc::new(Source { path: path.to_path_buf(), text });
        let splice = Target::find(source.root()?, change)?.splice(&source.text, change);
        text = source.text.clone();
        if let Some((range, with)) = splice {
            text.replace_range(range, &with);
        }
    }
    Ok(text)
}

/// The place of a change: the innermost existing object, and its member, if it has it.
struct Target {
    object: Range<usize>,
    /// How many keys of the path lead to the object.
    depth: usize,
    members: Vec<Span>,
    /// The index of the member that the next key names.
    member: Option<usize>,
}

/// The place of a member, from the quote of its key on, and that of its value.
struct Span {
    start: usize,
    value: Range<usize>,
    same: Option<Value>,
}

impl Target {
    fn find(root: Node<'_>, change: &Change) -> Result<Self, Fault> {
        let mut node = root;
        let mut name = "the configuration";
        for (depth, key) in change.path.iter().enumerate() {
            let members = node.members(name)?;
            let found = members.iter().position(|member| member.key == key.as_str());
            if let Some(index) = found
                && depth + 1 < change.path.len()
            {
                node = members[index].value;
                name = key;
                continue;
            }
            let object = node.span();
            let text = node.whole_text();
            let mut end = object.start + 1;
            let spans = members.iter().map(|member| {
                let between = text[end..].find('"').unwrap_or(0);
                let value = member.value.span();
                let start = std::mem::replace(&mut end, value.end) + between;
                Span { start, same: serde_json::from_str(member.value.raw()).ok(), value }
            });
            return Ok(Self { members: spans.collect(), object, depth, member: found });
        }
        Err(root.fault("a change must name a member"))
    }

    fn splice(&self, text: &str, change: &Change) -> Option<(Range<usize>, String)> {
        match (&change.value, self.member) {
            (Some(value), Some(index)) => self.replace(text, &self.members[index], value),
            (Some(value), None) => Some(self.insert(text, &change.path[self.depth..], value)),
            (None, Some(index)) if self.depth + 1 == change.path.len() => Some(self.remove(text, index)),
            (None, _) => None,
        }
    }

    /// Replaces a value; an equal one keeps its spelling.
    fn replace(&self, text: &str, member: &Span, value: &Value) -> Option<(Range<usize>, String)> {
        if member.same.as_ref() == Some(value) {
            return None;
        }
        let place = Insertion::within(text, member.value.start, self.depth + 1);
        Some((member.value.clone(), layout::value(value, &place)))
    }

    fn insert(&self, text: &str, keys: &[String], value: &Value) -> (Range<usize>, String) {
        let nested = keys[1..].iter().rev().fold(value.clone(), |inner, key| super::object([(key.as_str(), inner)]));
        let Some(last) = self.members.last() else {
            let place = Insertion::within(text, self.object.start, self.depth);
            return (self.object.clone(), layout::value(&super::object([(keys[0].as_str(), nested)]), &place));
        };
        let first = &self.members[0];
        let at = last.value.end;
        // Aligned with its siblings: below the last one that starts a line, otherwise below the first.
        let sibling = self.members.iter().rev().find(|member| layout::starts_line(text, member.start));
        let is_broken = sibling.is_some();
        let sibling = sibling.unwrap_or(first);
        let newline = layout::newline(text);
        let broken = || {
            let indent = layout::indent(text, sibling.start);
            let place = Insertion::indented(text, &indent, &keys[0], self.depth + 1);
            format!(",{newline}{indent}{}", layout::member(&keys[0], &nested, &place))
        };
        if is_broken {
            return (at..at, broken());
        }
        let inline = format!(", {}", layout::one_line_member(&keys[0], &nested));
        let fits = layout::width_with(text, at, &inline) <= layout::WIDTH;
        (at..at, if fits || self.depth > 1 { inline } else { broken() })
    }

    fn remove(&self, text: &str, index: usize) -> (Range<usize>, String) {
        let gone = &self.members[index];
        match (index.checked_sub(1).map(|before| &self.members[before]), self.members.get(index + 1)) {
            (_, Some(after)) => (gone.start..after.start, String::new()),
            (Some(before), None) => (before.value.end..gone.value.end, String::new()),
            (None, None) => {
                debug_assert!(text[self.object.clone()].starts_with('{'));
                (self.object.clone(), "{}".to_owned())
            }
        }
    }
}
