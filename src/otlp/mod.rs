//! OTLP/JSON metrics: counted, repaired, redacted (pure).
//!
//! The text is edited in place, not parsed and printed again: parts that neither repair nor redaction changes stay the same
//! byte for byte, numbers of any size and fields of any name included. Memory is bounded: the text itself, and a changed
//! copy of it that has a limit.

mod content;
mod edit;
mod redact;
mod repair;
mod scan;

use std::borrow::Cow;

use serde_json::value::RawValue;

pub use content::{Content, Portion, add_total, read};
pub use edit::NoResult;

/// Adds each required resource attribute that is missing, and removes the attributes whose keys are in
/// `redact`. If neither applies, the result is the same bytes. The result has at most `largest` bytes where something is added.
pub fn repair<'a>(
    body: &'a [u8],
    required: &[(String, String)],
    redact: &[String],
    largest: usize,
) -> Result<Cow<'a, [u8]>, NoResult> {
    let Some(text) = text(body) else { return Ok(Cow::Borrowed(body)) };
    // Redaction only removes, so its result needs no limit.
    let redacted = if redact.is_empty() { None } else { redact::redacted(text, redact)? };
    let repaired = repair::repaired(redacted.as_deref().unwrap_or(text), required, largest)?;
    Ok(match repaired.or(redacted) {
        Some(text) => Cow::Owned(text.into_bytes()),
        None => Cow::Borrowed(body),
    })
}

/// What a copy has of an export: it lacks the resource attributes whose keys are in `strip`, and all attributes whose keys are in
/// `redact`.
pub fn copied<'a>(body: &'a [u8], strip: &[String], redact: &[String]) -> Result<Cow<'a, [u8]>, NoResult> {
    let Some(text) = text(body) else { return Ok(Cow::Borrowed(body)) };
    let stripped = if strip.is_empty() { None } else { redact::stripped(text, strip)? };
    let rest = stripped.as_deref().unwrap_or(text);
    let redacted = if redact.is_empty() { None } else { redact::redacted(rest, redact)? };
    Ok(match redacted.or(stripped) {
        Some(text) => Cow::Owned(text.into_bytes()),
        None => Cow::Borrowed(body),
    })
}

fn text(body: &[u8]) -> Option<&str> {
    let raw: &RawValue = serde_json::from_slice(body).ok()?;
    Some(raw.get()).filter(|text| is_shallow(text))
}

/// The deepest nesting of objects and lists that is accepted. No export of claude is nested so deep, and each level costs a
/// stack frame and a pass.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn required() -> Vec<(String, String)> {
        [("providerType", "P"), ("team", "a \"b\"")].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
    }

    fn repair(body: &str, required: &[(String, String)], redact: &[&str]) -> String {
        let redact: Vec<String> = redact.iter().map(|key| (*key).to_owned()).collect();
        String::from_utf8(super::repair(body.as_bytes(), required, &redact, 1 << 20).unwrap().into_owned()).unwrap()
    }

    /// OpenTelemetry sends running totals where the user's settings ask for them: adding them up would count values twice.

    #[test]
    fn what_needs_nothing_goes_on_as_it_is() {
        let attributes = r#"{"key":"providerType","value":{}},{"key":"team","value":{"intValue":"1"}}"#;
        let body = format!(
            r#" {{"resourceMetrics": [ {{"resource":{{"attributes":[{attributes}]}},"x":1e400,"scopeMetrics":[]}} ]}} "#
        );
        // A limit that is too low has no effect: nothing is added.
        let same = super::repair(body.as_bytes(), &required(), &["user.email".to_owned()], 1);
        assert!(matches!(same, Ok(Cow::Borrowed(_))));
        for other in ["{}", "x", r#"{"resourceMetrics":[]}"#, r#"{"resourceMetrics":[7,{"resource":7}]}"#] {
            assert!(matches!(super::repair(other.as_bytes(), &required(), &[], 1), Ok(Cow::Borrowed(_))), "{other}");
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
        // Half of a surrogate pair, as JavaScript writes it, beside an attribute that is removed.
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

    #[test]
    fn what_is_added_has_a_limit() {
        let body = r#"{"resourceMetrics":[{},{}]}"#;
        let whole = repair(body, &required(), &[]);
        let within = |largest: usize| super::repair(body.as_bytes(), &required(), &[], largest).map(Cow::into_owned);
        assert_eq!(within(whole.len()), Ok(whole.clone().into_bytes()));
        assert_eq!(within(whole.len() - 1), Err(NoResult::TooLarge));
    }
}
