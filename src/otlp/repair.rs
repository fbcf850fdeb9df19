//! Adds resource attributes that are missing.

use super::edit::{Edited, NoResult};
use super::scan::{elements, member, members, string};

/// The text with all required resource attributes, of at most `largest` bytes. `None`: nothing is missing.
pub fn repaired(text: &str, required: &[(String, String)], largest: usize) -> Result<Option<String>, NoResult> {
    let entries = member(text, "resourceMetrics").and_then(elements).filter(|_| !required.is_empty());
    let required: Vec<Attribute<'_>> = required.iter().map(|(key, value)| Attribute::new(key, value)).collect();
    let mut edited = Edited::new(text, largest);
    for (part, new) in entries.into_iter().flatten().filter_map(|entry| with_attributes(entry, &required)) {
        edited.replace(part, &new)?;
    }
    edited.finish()
}

/// An attribute that every resource must have.
struct Attribute<'a> {
    key: &'a str,
    /// Its JSON text.
    written: String,
}

impl<'a> Attribute<'a> {
    fn new(key: &'a str, value: &str) -> Self {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let written = format!("{{\"key\":{},\"value\":{{\"stringValue\":{}}}}}", quoted(key), quoted(value));
        Self { key, written }
    }
}

/// The part of one `resourceMetrics` entry to replace, and its replacement.
fn with_attributes<'a>(entry: &'a str, required: &[Attribute<'_>]) -> Option<(&'a str, String)> {
    let all = || listed(required.iter());
    members(entry)?;
    let resource = match member(entry, "resource") {
        None => {
            let new = format!("\"resource\":{{\"attributes\":[{}]}}", all());
            return Some((opening(entry), inserted(entry, &new)));
        }
        Some(null @ "null") => return Some((null, format!("{{\"attributes\":[{}]}}", all()))),
        Some(resource) => resource,
    };
    members(resource)?;
    let present = match member(resource, "attributes") {
        None => return Some((opening(resource), inserted(resource, &format!("\"attributes\":[{}]", all())))),
        Some(null @ "null") => return Some((null, format!("[{}]", all()))),
        Some(attributes) => attributes,
    };
    let mut is_missing = vec![true; required.len()];
    let mut is_empty = true;
    for attribute in elements(present)? {
        is_empty = false;
        let key = string(attribute, "key");
        for (index, _) in required.iter().enumerate().filter(|(_, required)| required.key == key) {
            is_missing[index] = false;
        }
    }
    let missing = listed(required.iter().zip(&is_missing).filter(|(_, missing)| **missing).map(|(one, _)| one));
    if missing.is_empty() {
        return None;
    }
    let closing = &present[present.len() - 1..];
    let comma = if is_empty { "" } else { "," };
    Some((closing, format!("{comma}{missing}]")))
}

fn listed<'a>(attributes: impl Iterator<Item = &'a Attribute<'a>>) -> String {
    attributes.map(|attribute| attribute.written.as_str()).collect::<Vec<_>>().join(",")
}

/// The brace that opens an object.
fn opening(object: &str) -> &str {
    &object[..1]
}

/// The opening brace of an object, then a new first member.
fn inserted(object: &str, new: &str) -> String {
    let is_empty = members(object).is_some_and(|mut members| members.next().is_none());
    let comma = if is_empty { "" } else { "," };
    format!("{{{new}{comma}")
}
