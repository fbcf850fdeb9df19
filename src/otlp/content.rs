//! What an export says: its data points, and their sums (pure).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scan::{elements, list, member, members, string};
use super::text;
use crate::claude::measured::Measured;
use crate::claude::metrics;
use crate::state::total::Total;
use crate::text::json;

/// The content of an export, as far as it is counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Its data points.
    pub points: u64,
    /// The sums of its metrics by name, for the first [`NAMES`] names.
    pub totals: BTreeMap<String, Total>,
    /// The same points by time and model, for the first [`PORTIONS`] of these.
    #[serde(skip)]
    pub portions: Vec<Portion>,
}

/// The points of an export that were measured at one time and belong to one model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Portion {
    /// When they were measured, in seconds since 1970; `None` where they do not say.
    pub second: Option<i64>,
    /// The model; `None` for points that have none.
    pub model: Option<String>,
    /// Their sums.
    pub measured: Measured,
}

/// Claude has fewer metrics than this. Totals for any number of names would let a record grow without limit.
pub const NAMES: usize = 256;
/// An export of claude has few portions. What is beyond belongs to one without time and model.
const PORTIONS: usize = 64;
/// The longest name of a model, in bytes. A longer one is no model's.
const LONGEST_MODEL: usize = 128;

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
            self.unsummed(points.count() as u64);
            return;
        }
        let (name, unit) = (string(metric, "name"), string(metric, "unit"));
        let total = if is_delta(data) {
            let kinds = metrics::kinds(&name);
            let mut total = Total { unit, ..Total::default() };
            for point in points {
                self.points += 1;
                let point = Point::of(point);
                let (value, [kind, model]) = (point.value(), point.attributes(["type", "model"]));
                let kind = kind.and_then(|text| kinds.iter().find(|kind| **kind == text).copied());
                let measured = self.portion(point.second(), model);
                measured.points += 1;
                if let Some(value) = value {
                    total.add(value, kind);
                    measured.add(&name, kind, value);
                } else {
                    // With a point that is no number, the sum is not known.
                    total.value = f64::NAN;
                    measured.unsummed += 1;
                }
            }
            total
        } else {
            // Running totals: their sum says nothing.
            self.unsummed(points.count() as u64);
            Total::unknown(unit)
        };
        add_total(&mut self.totals, name, &total);
    }

    /// Adds points that no sum has.
    fn unsummed(&mut self, count: u64) {
        self.points += count;
        if count > 0 {
            let measured = self.portion(None, None);
            measured.points += count;
            measured.unsummed += count;
        }
    }

    fn portion(&mut self, second: Option<i64>, model: Option<Cow<'_, str>>) -> &mut Measured {
        let model = model.filter(|model| model.len() <= LONGEST_MODEL);
        let is_it = |portion: &Portion| portion.second == second && portion.model.as_deref() == model.as_deref();
        if let Some(at) = self.portions.iter().rposition(is_it) {
            return &mut self.portions[at].measured;
        }
        if self.portions.len() >= PORTIONS && (second, &model) != (None, &None) {
            return self.portion(None, None);
        }
        let at = self.portions.len();
        self.portions.push(Portion { second, model: model.map(Cow::into_owned), measured: Measured::default() });
        &mut self.portions[at].measured
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
    time: Option<&'a str>,
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
                "timeUnixNano" => &mut point.time,
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

    /// When it was measured, in seconds since 1970. Zero means that this is not known.
    fn second(&self) -> Option<i64> {
        let nanoseconds: u64 = self.time?.trim_matches('"').parse().ok()?;
        i64::try_from(nanoseconds / 1_000_000_000).ok().filter(|second| *second > 0)
    }

    /// The texts of the attributes with these keys, found in one pass. Of a repeated one, the first.
    fn attributes<const N: usize>(&self, keys: [&str; N]) -> [Option<Cow<'a, str>>; N] {
        let mut found = [const { None }; N];
        for attribute in self.attributes.and_then(elements).into_iter().flatten() {
            let Some(key) = member(attribute, "key") else { continue };
            let Some(at) = keys.iter().position(|wanted| key.trim_matches('"') == *wanted) else { continue };
            if found[at].is_none() {
                let text = member(attribute, "value").and_then(|value| member(value, "stringValue"));
                found[at] = text.filter(|text| text.starts_with('"')).map(json::text_of);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(content.totals["none"].known(), None, "0 is claimed of nothing");
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
        for no_number in ["1e400", "null", "\"NaN\""] {
            let known = [total(&points(no_number, 1)), total(&format!("{},{}", points("1", 1), points(no_number, 1)))];
            assert!(known.iter().all(|value| value.is_nan()), "{no_number}: {known:?}");
        }
        let mut totals = BTreeMap::new();
        for index in 0..NAMES + 9 {
            add_total(&mut totals, format!("m{index}"), &Total { value: 1.0, ..Total::default() });
        }
        let more = |value| Total { value, unit: "t".to_owned(), ..Total::default() };
        add_total(&mut totals, "m0".to_owned(), &more(1.0));
        assert_eq!((totals.len(), &totals["m0"]), (NAMES, &more(2.0)));
    }

    #[test]
    fn points_are_parted_by_time_and_model() {
        let point = |second: u64, model: &str, value: f64| {
            format!(
                r#"{{"timeUnixNano":"{second}000000009","attributes":[{{"key":"model","value":{{"stringValue":"{model}"}}}}],"asDouble":{value}}}"#
            )
        };
        let points =
            [point(7, "opus", 0.5), point(7, "haiku", 0.25), point(7, "opus", 1.0), point(8, "opus", 2.0)].join(",");
        let body = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[
            {{"name":"claude_code.cost.usage","sum":{{"aggregationTemporality":1,"dataPoints":[{points}]}}}},
            {{"name":"claude_code.session.count","sum":{{"aggregationTemporality":2,"dataPoints":[{{"asInt":"1"}},{{"asInt":"9"}}]}}}},
            {{"name":"claude_code.commit.count","sum":{{"aggregationTemporality":1,"dataPoints":[{{"asInt":"1"}},{{"asInt":"x"}}]}}}}]}}]}}]}}"#
        );
        let content = read(body.as_bytes()).unwrap();
        let portions: Vec<_> = content
            .portions
            .iter()
            .map(|Portion { second, model, measured }| {
                (*second, model.as_deref(), measured.points, measured.unsummed, measured.cost_usd, measured.commits)
            })
            .collect();
        assert_eq!(
            portions,
            [
                (Some(7), Some("opus"), 2, 0, 1.5, 0.0),
                (Some(7), Some("haiku"), 1, 0, 0.25, 0.0),
                (Some(8), Some("opus"), 1, 0, 2.0, 0.0),
                (None, None, 4, 3, 0.0, 1.0),
            ]
        );
        assert_eq!(content.points, portions.iter().map(|portion| portion.2).sum::<u64>());
    }

    #[test]
    fn any_number_of_models_is_counted_and_few_are_kept() {
        let point = |index: usize| {
            format!(r#"{{"attributes":[{{"key":"model","value":{{"stringValue":"m{index}"}}}}],"asDouble":1}}"#)
        };
        let points: Vec<_> = (0..PORTIONS + 9).map(point).collect();
        let body = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"claude_code.cost.usage","sum":{{"aggregationTemporality":1,"dataPoints":[{}]}}}}]}}]}}]}}"#,
            points.join(",")
        );
        let content = read(body.as_bytes()).unwrap();
        assert_eq!(content.portions.len(), PORTIONS + 1);
        let last = &content.portions[PORTIONS];
        assert_eq!((last.model.as_deref(), last.measured.cost_usd), (None, 9.0));
        let long = body.replace("\"m0\"", &format!("\"{}\"", "m".repeat(LONGEST_MODEL + 1)));
        assert_eq!(read(long.as_bytes()).unwrap().portions[0].model, None);
    }
}
