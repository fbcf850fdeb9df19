//! The members of a large object as places in the text.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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
    /// The members of an object, in order, repeated ones included.
    pub fn member_spans(&self, name: &str) -> Result<Vec<MemberSpan>, Fault> {
        let mut deserializer = serde_json::Deserializer::from_str(self.raw);
        let spans = Spans { text: &self.source.text, likely: self.raw.len() / 32 };
        deserializer.deserialize_map(spans).map_err(|_| self.mismatch(name, "an object"))
    }
}

impl Source {
    fn node(self: &Arc<Self>, (start, length): (u32, u32)) -> Node<'_> {
        let start = start as usize;
        Node { source: self, raw: &self.text[start..start + length as usize] }
    }
}

/// Collects the places of an object's members.
struct Spans<'a> {
    text: &'a str,
    /// How many members there may be.
    likely: usize,
}

impl<'de> Visitor<'de> for Spans<'_> {
    type Value = Vec<MemberSpan>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<MemberSpan>, A::Error> {
        let place = |raw: &RawValue| {
            let start = raw.get().as_ptr() as usize - self.text.as_ptr() as usize;
            // A configuration has at most 16 MiB.
            (u32::try_from(start).unwrap_or_default(), u32::try_from(raw.get().len()).unwrap_or_default())
        };
        let mut members = Vec::with_capacity(self.likely);
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.push(MemberSpan { key: place(key), value: place(value) });
        }
        Ok(members)
    }
}
