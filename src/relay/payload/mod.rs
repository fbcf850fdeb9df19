//! OTLP/JSON metrics: counted, repaired, redacted (pure).
//!
//! The text is edited in place, not parsed and printed again: parts that neither repair nor redaction changes stay the same
//! byte for byte, numbers of any size and fields of any name included. Memory is bounded: the text itself, and a changed
//! copy of it that has a limit.

mod edit;
mod redact;
mod repair;
mod scan;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use edit::NoResult;
use scan::{elements, list, member, members, string};

use crate::claude::metrics;
use crate::state::record::Total;

/// The content of an export, as far as it is counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Its data points.
    pub points: u64,
    /// The sums of its metrics by name, for the first [`NAMES`] names.
    pub totals: BTreeMap<String, Total>,
}

/// Claude has fewer metrics than this. Totals for any number of names would let a record grow without limit.
pub const NAMES: usize = 256;

const KINDS: [&str; 5] = ["sum", "gauge", "histogram", "exponentialHistogram", "summary"];

/// Reads an export; `None` where the body is not an export.
pub fn read(body: &[u8]) -> Option<Content> {
    let mut content = Content::default();
    for resource in elements(member(text(body)?, "resourceMetrics")?)? {
        for metric in list(resource, "scopeMetrics").flat_map(|scope| list(scope, "metrics")) {
            for (kind, data) in members(metric).into_iter().flatten() {
                if KINDS.contains(&kind.as_ref()) {
                    content.add(metric, &kind, data);
                }
            }
        }
    }
    Some(content)
}

impl Content {
    fn add(&mut self, metric: &str, kind: &str, data: &str) {
        let mut points = list(data, "dataPoints").peekable();
        if kind != "sum" || points.peek().is_none() {
            self.points += points.count() as u64;
            return;
        }
        let (name, unit) = (string(metric, "name"), string(metric, "unit"));
        let total = if is_delta(data) {
            let kinds = metrics::kinds(&name);
            let mut total = Total { unit, ..Total::default() };
            for point in points {
                self.points += 1;
                let point = Point::of(point);
                point.value().iter().for_each(|value| total.add(*value, point.kind(kinds)));
            }
            total
        } else {
            // Running totals: their sum says nothing.
            self.points += points.count() as u64;
            Total::unknown(unit)
        };
        add_total(&mut self.totals, name, &total);
    }
}

/// Adds a sum to the others. A sum with a new name is added only while there are fewer than [`NAMES`].
pub fn add_total(totals: &mut BTreeMap<String, Total>, name: String, more: &Total) {
    if totals.len() < NAMES || totals.contains_key(&name) {
        let total = totals.entry(name).or_default();
        total.join(more);
    }
}

/// Whether the points of a sum are changes since the export before. The encoding allows the number and the name.
fn is_delta(sum: &str) -> bool {
    matches!(member(sum, "aggregationTemporality"), Some("1" | "\"AGGREGATION_TEMPORALITY_DELTA\""))
}

/// The parts of a data point that are looked at, as they are written. Of a repeated one, the first.
#[derive(Default)]
struct Point<'a> {
    double: Option<&'a str>,
    int: Option<&'a str>,
    attributes: Option<&'a str>,
}

impl<'a> Point<'a> {
    /// Finds them all in one pass, because the attributes are long.
    fn of(written: &'a str) -> Self {
        let mut point = Self::default();
        for (name, value) in members(written).into_iter().flatten() {
            let part = match name.as_ref() {
                "asDouble" => &mut point.double,
                "asInt" => &mut point.int,
                "attributes" => &mut point.attributes,
                _ => continue,
            };
            part.get_or_insert(value);
        }
        point
    }

    fn value(&self) -> Option<f64> {
        // A 64-bit integer is a string in JSON.
        self.double.or(self.int)?.trim_matches('"').parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// Its kind, if that is one of `kinds`.
    fn kind(&self, kinds: &[&'static str]) -> Option<&'static str> {
        let attributes = self.attributes.filter(|_| !kinds.is_empty())?;
        let of_type = elements(attributes)?.find(|attribute| member(attribute, "key") == Some("\"type\""))?;
        let text = member(member(of_type, "value")?, "stringValue")?.trim_matches('"');
        kinds.iter().find(|kind| **kind == text).copied()
    }
}

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

    #[test]
    fn points_and_totals() {
        let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
            {"name":"tokens","unit":"t","sum":{"aggregationTemporality":1,"dataPoints":[{"asInt":"3"},{"asInt":4},{"asDouble":0.5}]}},
            {"name":"tokens","unit":"t","sum":{"dataPoints":[{"asInt":"1"}],"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"}},
            {"name":"level","gauge":{"dataPoints":[{"asInt":1}]}},
            {"name":"odd","sum":"x"},{"name":"none","sum":{"aggregationTemporality":1,"dataPoints":[{},{"asDouble":"NaN"}]}},
            {"name":"h","histogram":{"dataPoints":[{"sum":1}]}}]},{}]},{"scopeMetrics":null}]}"#;
        let content = read(body.as_bytes()).unwrap();
        assert_eq!(content.points, 8);
        assert_eq!(content.totals["tokens"], Total { value: 8.5, unit: "t".to_owned(), ..Total::default() });
        assert_eq!(content.totals["none"].value, 0.0);
        assert_eq!(content.totals.keys().collect::<Vec<_>>(), ["none", "tokens"]);
        for none in ["", "[]", "{", "{}", "7", r#"{"resourceLogs":[]}"#, r#"{"resourceMetrics":7}"#] {
            assert_eq!(read(none.as_bytes()), None, "{none}");
        }
        assert_eq!(read(br#"{"resourceMetrics":[]}"#).unwrap().points, 0);
    }

    #[test]
    fn tokens_are_summed_by_kind_and_nothing_else_of_a_point_is_kept() {
        let point = |kind: &str, value: u64| {
            format!(
                r#"{{"attributes":[{{"key":"session.id","value":{{"stringValue":"s"}}}},{{"key":"type","value":{{"stringValue":"{kind}"}}}}],"asInt":"{value}"}}"#
            )
        };
        let points = [point("input", 3), point("cacheRead", 40), point("input", 4), point("secret", 5)].join(",");
        let body = |name: &str| {
            format!(
                r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"{name}","unit":"tokens","sum":{{"aggregationTemporality":1,"dataPoints":[{points}]}}}}]}}]}}]}}"#
            )
        };
        let written = |name: &str| serde_json::to_string(&read(body(name).as_bytes()).unwrap()).unwrap();
        assert_eq!(
            written("claude_code.token.usage"),
            r#"{"points":4,"totals":{"claude_code.token.usage":{"value":52.0,"unit":"tokens","kinds":{"cacheRead":40.0,"input":7.0}}}}"#
        );
        assert_eq!(written("other"), r#"{"points":4,"totals":{"other":{"value":52.0,"unit":"tokens"}}}"#);
    }

    /// OpenTelemetry sends running totals where the user's settings ask for them: adding them up would count values twice.
    #[test]
    fn only_changes_are_summed() {
        let content = |temporality: &str| {
            let body = format!(
                r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","sum":{{{temporality}"dataPoints":[{{"asInt":"3"}},{{"asInt":"4"}}]}}}}]}}]}}]}}"#
            );
            read(body.as_bytes()).unwrap()
        };
        for (temporality, sum) in [
            (r#""aggregationTemporality":1,"#, Some(7.0)),
            (r#""aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","#, Some(7.0)),
            (r#""aggregationTemporality":2,"#, None),
            (r#""aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","#, None),
            ("", None),
        ] {
            let content = content(temporality);
            assert_eq!((content.points, content.totals["m"].known()), (2, sum), "{temporality}");
        }
    }

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

    #[test]
    fn totals_are_finite_and_few() {
        let points = |value: &str, count: usize| vec![format!("{{\"asDouble\":{value}}}"); count].join(",");
        let body = |points: &str| {
            format!(
                r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","sum":{{"aggregationTemporality":1,"dataPoints":[{points}]}}}}]}}]}}]}}"#
            )
        };
        let total = |points: &str| read(body(points).as_bytes()).unwrap().totals["m"].value;
        assert_eq!(total(&points("1e308", 2)), f64::MAX);
        assert_eq!(total(&points("-1e308", 3)), f64::MIN);
        assert_eq!(total(&points("1e400", 1)), 0.0, "no number: counted as a point, not as a value");
        let mut totals = BTreeMap::new();
        for index in 0..NAMES + 9 {
            add_total(&mut totals, format!("m{index}"), &Total { value: 1.0, ..Total::default() });
        }
        let more = |value| Total { value, unit: "t".to_owned(), ..Total::default() };
        add_total(&mut totals, "m0".to_owned(), &more(1.0));
        assert_eq!((totals.len(), &totals["m0"]), (NAMES, &more(2.0)));
    }
}
