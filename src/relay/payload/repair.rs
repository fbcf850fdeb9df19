//! Puts back resource attributes that are missing.

use super::edit::{Edited, NoResult};
use super::scan::{elements, member, members, string};

/// The text with all required resource attributes, of at most `largest` bytes. `None`: nothing is missing.
pub fn repaired(text: &str, required: &[(String, String)], largest: usize) -> Result<Option<String>, NoResult> {
    let entries = member(text, "resourceMetrics").and_then(elements).filter(|_| !required.is_empty());
    let mut edited = Edited::new(text, largest);
    for (part, new) in entries.into_iter().flatten().filter_map(|entry| with_attributes(entry, required)) {
        edited.replace(part, &new)?;
    }
    edited.finish()
}

/// The part of one `resourceMetrics` entry to replace, and by what.
fn with_attributes<'a>(entry: &'a str, required: &[(String, String)]) -> Option<(&'a str, String)> {
    let all = || attributes(required.iter());
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
        for (index, _) in required.iter().enumerate().filter(|(_, (name, _))| *name == key) {
            is_missing[index] = false;
        }
    }
    let missing = attributes(required.iter().zip(&is_missing).filter(|(_, missing)| **missing).map(|(pair, _)| pair));
    if missing.is_empty() {
        return None;
    }
    let closing = &present[present.len() - 1..];
    let comma = if is_empty { "" } else { "," };
    Some((closing, format!("{comma}{missing}]")))
}

fn attributes<'a>(attributes: impl Iterator<Item = &'a (String, String)>) -> String {
    let written = attributes
        .map(|(key, value)| format!("{{\"key\":{},\"value\":{{\"stringValue\":{}}}}}", quoted(key), quoted(value)));
    written.collect::<Vec<_>>().join(",")
}

/// The brace that opens an object.
fn opening(object: &str) -> &str {
    &object[..1]
}

/// The brace, then a new first member.
fn inserted(object: &str, new: &str) -> String {
    let is_empty = members(object).is_some_and(|mut members| members.next().is_none());
    let comma = if is_empty { "" } else { "," };
    format!("{{{new}{comma}")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
