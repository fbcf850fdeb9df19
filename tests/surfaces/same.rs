//! What must be equal in two runs: everything but ids, times and costs.

use std::collections::HashMap;

use serde_json::Value;

/// Parts of keys whose values measure time or contain a process id.
const MEASURED: [&str; 4] = ["_ms", "timestamp", "cost", "socket"];

/// Asserts that two runs printed the same.
pub fn assert_alike(ours: Vec<Value>, bare: Vec<Value>, what: &str) {
    let (ours, bare) = (alike(ours), alike(bare));
    let kinds = |lines: &[Value]| lines.iter().map(|line| format!("{} {}", line["type"], line["subtype"])).collect();
    let (own_kinds, bare_kinds): (Vec<String>, Vec<String>) = (kinds(&ours), kinds(&bare));
    assert_eq!(own_kinds, bare_kinds, "{what}: {ours:#?}");
    for (own, bare) in ours.iter().zip(&bare) {
        let mut differences = Vec::new();
        compare(own, bare, "", &mut differences);
        assert!(differences.is_empty(), "{what}, {} {}: {differences:#?}", own["type"], own["subtype"]);
    }
}

fn compare(own: &Value, bare: &Value, path: &str, differences: &mut Vec<String>) {
    match (own, bare) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            keys.iter().for_each(|key| compare(&own[*key], &bare[*key], &format!("{path}.{key}"), differences));
        }
        _ if own != bare => differences.push(format!("{path}: {own}, without act-claude {bare}")),
        _ => {}
    }
}

/// The lines with ids numbered in the order in which they occur, and without times and costs.
fn alike(mut lines: Vec<Value>) -> Vec<Value> {
    let id = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("a pattern");
    let mut ids = HashMap::new();
    lines.iter_mut().for_each(|line| without_chance(line, &id, &mut ids));
    lines
}

fn without_chance(value: &mut Value, id: &regex::Regex, ids: &mut HashMap<String, usize>) {
    match value {
        Value::String(text) => {
            *text = id
                .replace_all(text, |found: &regex::Captures<'_>| {
                    let next = ids.len() + 1;
                    format!("id {}", ids.entry(found[0].to_owned()).or_insert(next))
                })
                .into_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_chance(item, id, ids)),
        Value::Object(entries) => {
            for (key, value) in entries.iter_mut() {
                let is_measured = !value.is_object() && MEASURED.iter().any(|part| key.to_lowercase().contains(part));
                if is_measured {
                    *value = Value::Null;
                } else {
                    without_chance(value, id, ids);
                }
            }
        }
        _ => {}
    }
}
