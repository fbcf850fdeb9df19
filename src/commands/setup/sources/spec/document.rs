//! Parses a document from bytes, within limits. A Monitoring Spec has a few kilobytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

use super::format;

/// The size of the largest document that is read, in bytes.
pub const LARGEST: usize = 4 * 1024 * 1024;

/// Parses a document and checks that it is OpenAPI 3.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > LARGEST {
        return Err("it is larger than 4 MiB; a Monitoring Spec has some kilobytes".to_owned());
    }
    if let Some(kind) = format::of_bytes(bytes) {
        return Err(kind.to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let text = text.trim_start_matches('\u{feff}');
    if let Some(kind) = format::of_text(text) {
        return Err(kind.to_owned());
    }
    let is_json = text.trim_start().starts_with(['{', '[', '/']);
    let Unique(document) = if is_json { json(text) } else { yaml(text) }?;
    format::of_document(&document).map_or(Ok(document), Err)
}

/// Parses JSON. A text that starts as JSON may still be YAML's flow style, such as `{openapi: 3.0.3}`.
fn json(text: &str) -> Result<Unique, String> {
    let error = match serde_json::from_str(text) {
        Ok(document) => return Ok(document),
        Err(error) => error,
    };
    let is_json = |text: &str| serde_json::from_str::<Unique>(text).is_ok();
    if format::without_comments(text).is_some_and(|plain| is_json(&plain)) {
        return Err("it is JSON with comments, which JSON does not have: remove them".to_owned());
    }
    let is_flow = |document: &Unique| document.0.is_object();
    match yaml(text) {
        Ok(document) if error.classify() == Category::Syntax && is_flow(&document) => Ok(document),
        _ => Err(format!("it is not valid JSON ({error})")),
    }
}

/// Parses YAML. The limits count the nodes after anchors and merge keys are expanded, because these can make a small file expand
/// without bound.
fn yaml(text: &str) -> Result<Unique, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: 100_000, max_events: 200_000, max_depth: 100, max_documents: 1 },
        with_snippet: false,
    };
    let count = format::documents(text);
    if count > 1 {
        return Err(format!(
            "it is {count} YAML documents in one file: a Monitoring Spec is one; leave out the others"
        ));
    }
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim();
        // The library's message about its limits is not suited for users.
        let is_budget = first.starts_with("budget breached");
        let first =
            if is_budget { "with all repetitions expanded, it is far larger than a Monitoring Spec" } else { first };
        format!("it is not usable YAML ({first})")
    })
}

/// A value in which no object has a key twice. A repeated key is refused, because it is not clear which of its values is meant.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Build;
        impl<'de> Visitor<'de> for Build {
            type Value = Unique;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Unique, E> {
                Ok(Unique(Value::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
                Ok(Unique(Number::from_f64(value).map_or(Value::Null, Value::Number)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
                let mut list = Vec::new();
                while let Some(Unique(item)) = items.next_element()? {
                    list.push(item);
                }
                Ok(Unique(Value::Array(list)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
                let mut map = Map::new();
                while let Some(Key(key)) = members.next_key()? {
                    let Unique(value) = members.next_value()?;
                    if map.contains_key(&key) {
                        return Err(A::Error::custom(format_args!("the key \"{key}\" occurs twice in one object")));
                    }
                    map.insert(key, value);
                }
                Ok(Unique(Value::Object(map)))
            }
        }
        deserializer.deserialize_any(Build)
    }
}

/// A key. In YAML a key need not be a string, for example a response code; it is read as a string.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Key)
    }
}
