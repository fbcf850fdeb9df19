//! OTLP/JSON metrics: counted, repaired, redacted (pure).
//!
//! The text is cut, not parsed and printed again: what neither repair nor redaction touches goes on byte for
//! byte, numbers of any size and fields of any name included.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::state::record::Total;
use crate::text::json::members;

/// What an export holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Its data points.
    pub points: u64,
    /// The sums of its metrics, by name.
    pub totals: BTreeMap<String, Total>,
}

const KINDS: [&str; 5] = ["sum", "gauge", "histogram", "exponentialHistogram", "summary"];

/// Reads an export; `None` where the body is none.
pub fn read(body: &[u8]) -> Option<Content> {
    let mut content = Content::default();
    for resource in elements(member(text(body)?, "resourceMetrics")?)? {
        let scopes = list(resource, "scopeMetrics");
        for metric in scopes.into_iter().flat_map(|scope| list(scope, "metrics")) {
            for (kind, data) in members(metric).unwrap_or_default() {
                if !KINDS.contains(&kind.as_ref()) {
                    continue;
                }
                let points = list(data, "dataPoints");
                content.points += points.len() as u64;
                if kind == "sum" && !points.is_empty() {
                    let total = content.totals.entry(string(metric, "name")).or_default();
                    total.unit = string(metric, "unit");
                    total.value += points.into_iter().filter_map(value).sum::<f64>();
                }
            }
        }
    }
    Some(content)
}

fn value(point: &str) -> Option<f64> {
    let written = member(point, "asDouble").or_else(|| member(point, "asInt"))?;
    // A 64-bit integer is a string in JSON.
    written.trim_matches('"').parse().ok().filter(|value: &f64| value.is_finite())
}

/// Puts back each required resource attribute that is missing, and drops the attributes whose keys are in
/// `redact`. If neither applies, the very same bytes go on.
pub fn repair<'a>(body: &'a [u8], required: &[(String, String)], redact: &[String]) -> Cow<'a, [u8]> {
    let Some(text) = text(body) else { return Cow::Borrowed(body) };
    let redacted = if redact.is_empty() { None } else { redacted(text, redact) };
    let repaired = repaired(redacted.as_deref().unwrap_or(text), required);
    match repaired.or(redacted) {
        Some(text) => Cow::Owned(text.into_bytes()),
        None => Cow::Borrowed(body),
    }
}

/// The text without the attributes of these keys, wherever they stand: in resources, scopes, points, exemplars
/// or inside other attributes. `None`: there are none.
fn redacted(text: &str, keys: &[String]) -> Option<String> {
    if let Some(members) = members(text) {
        let edits = members.iter().filter_map(|(_, inner)| Some((*inner, redacted(inner, keys)?)));
        return splice(text, edits);
    }
    let elements = elements(text)?;
    // Any "key" counts: of repeated members ACT may take another than we would.
    let is_redacted = |(name, value): &(Cow<'_, str>, &str)| {
        name == "key" && serde_json::from_str(value).is_ok_and(|key: String| keys.contains(&key))
    };
    let is_kept = |element: &&str| !crate::text::json::members(element).unwrap_or_default().iter().any(is_redacted);
    if elements.iter().all(is_kept) {
        return splice(text, elements.iter().filter_map(|element| Some((*element, redacted(element, keys)?))));
    }
    let kept = elements.iter().filter(|element| is_kept(element));
    let kept: Vec<Cow<'_, str>> =
        kept.map(|element| redacted(element, keys).map_or(Cow::Borrowed(*element), Cow::Owned)).collect();
    Some(format!("[{}]", kept.join(",")))
}

/// The text with all required resource attributes. `None`: nothing is missing.
fn repaired(text: &str, required: &[(String, String)]) -> Option<String> {
    let resources = elements(member(text, "resourceMetrics")?)?;
    splice(text, resources.iter().filter_map(|resource| with_attributes(resource, required)))
}

/// The part of one `resourceMetrics` entry to replace, and by what.
fn with_attributes<'a>(entry: &'a str, required: &[(String, String)]) -> Option<(&'a str, String)> {
    let list = |missing: &[&(String, String)]| {
        let attributes = missing
            .iter()
            .map(|(key, value)| format!("{{\"key\":{},\"value\":{{\"stringValue\":{}}}}}", quoted(key), quoted(value)));
        attributes.collect::<Vec<_>>().join(",")
    };
    let all: Vec<_> = required.iter().collect();
    if all.is_empty() {
        return None;
    }
    members(entry)?;
    let resource = match member(entry, "resource") {
        None => {
            return Some((
                opening(entry),
                inserted(entry, &format!("\"resource\":{{\"attributes\":[{}]}}", list(&all))),
            ));
        }
        Some("null") => return Some((member(entry, "resource")?, format!("{{\"attributes\":[{}]}}", list(&all)))),
        Some(resource) => resource,
    };
    members(resource)?;
    let attributes = match member(resource, "attributes") {
        None => return Some((opening(resource), inserted(resource, &format!("\"attributes\":[{}]", list(&all))))),
        Some("null") => return Some((member(resource, "attributes")?, format!("[{}]", list(&all)))),
        Some(attributes) => attributes,
    };
    let present: Vec<String> = elements(attributes)?.into_iter().map(|attribute| string(attribute, "key")).collect();
    let missing: Vec<_> = required.iter().filter(|(key, _)| !present.contains(key)).collect();
    if missing.is_empty() {
        return None;
    }
    let closing = &attributes[attributes.len() - 1..];
    let comma = if present.is_empty() { "" } else { "," };
    Some((closing, format!("{comma}{}]", list(&missing))))
}

/// The brace that opens an object.
fn opening(object: &str) -> &str {
    &object[..1]
}

/// The brace, then a new first member.
fn inserted(object: &str, new: &str) -> String {
    let comma = if members(object).is_some_and(|members| members.is_empty()) { "" } else { "," };
    format!("{{{new}{comma}")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `text` with parts of it replaced, in order; `None` where there are none.
fn splice<'a>(text: &'a str, edits: impl Iterator<Item = (&'a str, String)>) -> Option<String> {
    let mut result = String::new();
    let mut done = 0;
    for (part, new) in edits {
        let at = part.as_ptr() as usize - text.as_ptr() as usize;
        result.push_str(&text[done..at]);
        result.push_str(&new);
        done = at + part.len();
    }
    if done == 0 {
        return None;
    }
    result.push_str(&text[done..]);
    Some(result)
}

fn text(body: &[u8]) -> Option<&str> {
    let raw: &RawValue = serde_json::from_slice(body).ok()?;
    Some(raw.get()).filter(|text| is_shallow(text))
}

/// More objects and lists within each other than any export has: they would cost a stack frame and a pass each.
const DEEPEST: usize = 128;

fn is_shallow(json: &str) -> bool {
    let (mut depth, mut is_string) = (0_usize, false);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_string = !is_string,
            b'\\' => drop(bytes.next()),
            b'{' | b'[' if !is_string => depth += 1,
            b'}' | b']' if !is_string => depth -= 1,
            _ => continue,
        }
        if depth > DEEPEST {
            return false;
        }
    }
    true
}

/// An array's elements; `None` where the text is no array.
fn elements(text: &str) -> Option<Vec<&str>> {
    if !text.starts_with('[') {
        return None;
    }
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    members(text)?.into_iter().find_map(|(key, value)| (key == name).then_some(value))
}

fn list<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    member(text, name).and_then(elements).unwrap_or_default()
}

fn string(text: &str, name: &str) -> String {
    member(text, name).and_then(|value| serde_json::from_str(value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required() -> Vec<(String, String)> {
        [("providerType", "P"), ("team", "a \"b\"")].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
    }

    fn repair(body: &str, required: &[(String, String)], redact: &[&str]) -> String {
        let redact: Vec<String> = redact.iter().map(|key| (*key).to_owned()).collect();
        String::from_utf8(super::repair(body.as_bytes(), required, &redact).into_owned()).unwrap()
    }

    #[test]
    fn points_and_totals() {
        let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
            {"name":"tokens","unit":"t","sum":{"dataPoints":[{"asInt":"3"},{"asInt":4},{"asDouble":0.5}]}},
            {"name":"tokens","unit":"t","sum":{"dataPoints":[{"asInt":"1"}]}},
            {"name":"level","gauge":{"dataPoints":[{"asInt":1}]}},
            {"name":"odd","sum":"x"},{"name":"none","sum":{"dataPoints":[{},{"asDouble":"NaN"}]}},
            {"name":"h","histogram":{"dataPoints":[{"sum":1}]}}]},{}]},{"scopeMetrics":null}]}"#;
        let content = read(body.as_bytes()).unwrap();
        assert_eq!(content.points, 8);
        assert_eq!(content.totals["tokens"], Total { value: 8.5, unit: "t".to_owned() });
        assert_eq!(content.totals["none"].value, 0.0);
        assert_eq!(content.totals.keys().collect::<Vec<_>>(), ["none", "tokens"]);
        for none in ["", "[]", "{", "{}", "7", r#"{"resourceLogs":[]}"#, r#"{"resourceMetrics":7}"#] {
            assert_eq!(read(none.as_bytes()), None, "{none}");
        }
        assert_eq!(read(br#"{"resourceMetrics":[]}"#).unwrap().points, 0);
    }

    #[test]
    fn what_needs_nothing_goes_on_as_it_is() {
        let attributes = r#"{"key":"providerType","value":{}},{"key":"team","value":{"intValue":"1"}}"#;
        let body = format!(
            r#" {{"resourceMetrics": [ {{"resource":{{"attributes":[{attributes}]}},"x":1e400,"scopeMetrics":[]}} ]}} "#
        );
        assert!(matches!(super::repair(body.as_bytes(), &required(), &["user.email".to_owned()]), Cow::Borrowed(_)));
        for other in ["{}", "x", r#"{"resourceMetrics":[]}"#, r#"{"resourceMetrics":[7,{"resource":7}]}"#] {
            assert!(matches!(super::repair(other.as_bytes(), &required(), &[]), Cow::Borrowed(_)), "{other}");
        }
    }

    #[test]
    fn every_shape_of_resource_is_repaired() {
        let added =
            r#"{"key":"providerType","value":{"stringValue":"P"}},{"key":"team","value":{"stringValue":"a \"b\""}}"#;
        let team = r#"{"key":"team","value":{"stringValue":"a \"b\""}}"#;
        let own = r#"{"key":"providerType","value":{"stringValue":"own"}}"#;
        for (entry, expected) in [
            ("{}", format!(r#"{{"resource":{{"attributes":[{added}]}}}}"#)),
            (r#"{"z":1}"#, format!(r#"{{"resource":{{"attributes":[{added}]}},"z":1}}"#)),
            (r#"{"resource":null,"z":1}"#, format!(r#"{{"resource":{{"attributes":[{added}]}},"z":1}}"#)),
            (r#"{"resource":{}}"#, format!(r#"{{"resource":{{"attributes":[{added}]}}}}"#)),
            (r#"{"resource":{"k":0.10}}"#, format!(r#"{{"resource":{{"attributes":[{added}],"k":0.10}}}}"#)),
            (r#"{"resource":{"attributes":null}}"#, format!(r#"{{"resource":{{"attributes":[{added}]}}}}"#)),
            (r#"{"resource":{"attributes":[ ]}}"#, format!(r#"{{"resource":{{"attributes":[ {added}]}}}}"#)),
            (
                r#"{"resource":{"attributes":[{"key":"providerType","value":{"stringValue":"own"}} ]},"n":9007199254740993123}"#,
                format!(r#"{{"resource":{{"attributes":[{own} ,{team}]}},"n":9007199254740993123}}"#),
            ),
        ] {
            let body = |entry: &str| format!(r#"{{"resourceMetrics": [{entry},{entry}],"later": 1.50}}"#);
            let result = repair(&body(entry), &required(), &[]);
            assert_eq!(result, body(&expected));
            assert!(serde_json::from_str::<serde_json::Value>(&result).is_ok());
        }
    }

    #[test]
    fn redacted_keys_go_wherever_they_stand() {
        let email = r#"{"key":"user\u002eemail","value":{"stringValue":"u@x"}}"#;
        let kept = r#"{"key": "session.id","value":{"stringValue":"s"}}"#;
        let body = |email: &str, comma: &str| {
            format!(
                r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{email}]}},"scopeMetrics":[{{"scope":{{"attributes":[{kept}{comma}{email}]}},
                "metrics":[{{"name":"user.email","metadata":[{email}],"sum":{{"dataPoints":[{{"attributes":[{email}{comma}{kept}],"asDouble": 1.0,
                "exemplars":[{{"filteredAttributes":[{email}]}}]}},{{"attributes":[{{"key":"k","value":{{"kvlistValue":{{"values":[{email}]}}}}}}]}}]}}}}]}}]}}]}}"#
            )
        };
        assert_eq!(repair(&body(email, ","), &[], &["user.email", "other"]), body("", ""));
        let both = repair(&body(email, ","), &required(), &["user.email"]);
        assert!(both.contains(r#""resource":{"attributes":[{"key":"providerType""#) && !both.contains("u@x"), "{both}");
    }

    #[test]
    fn redaction_heeds_every_spelling_of_a_key() {
        let body = |attributes: &str, more: &str| {
            format!(r#"{{"resourceMetrics":[{{{more}"resource":{{"attributes":[{attributes}]}}}}]}}"#)
        };
        let twice = r#"{"key":"a","key":"user.email","value":{}}"#;
        assert_eq!(repair(&body(twice, ""), &[], &["user.email"]), body("", ""));
        // Half of a surrogate pair, as JavaScript writes it, beside what is to go.
        let half = r#""\ud800":1,"#;
        let email = r#"{"key":"user.email","value":{"stringValue":"\udc00"}}"#;
        assert_eq!(repair(&body(email, half), &[], &["user.email"]), body("", half));
    }

    #[test]
    fn what_is_nested_too_deep_is_no_export() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            format!(r#"{{"resourceMetrics":[],"x":"[[\"[[","y":{open}{close}}}"#)
        };
        assert!(read(nested(DEEPEST).as_bytes()).is_some());
        for deep in [DEEPEST + 1, 200_000] {
            assert_eq!(read(nested(deep).as_bytes()), None);
            assert_eq!(repair(&nested(deep), &required(), &["user.email"]), nested(deep));
        }
    }
}
