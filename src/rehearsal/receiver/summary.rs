//! Summarises a metric: its sum and its parts.

use super::payload::{Attributes, Metric, Number};

/// The attributes by which the breakdown splits a metric, besides the model.
const KINDS: [&str; 3] = ["tool_name", "type", "decision"];

/// The sum over all points, and its breakdown by kind, such as `input 10, output 5`. The breakdown is also by model where there
/// are several models or no kinds. Parts that are 0 are left out. A single part is named without its value: `claude-opus-5-5`.
pub fn summary(metric: &Metric) -> (Number, String) {
    let total = metric.points.iter().fold(Number::Int(0), |sum, point| sum.plus(point.value));
    let models = distinct(metric.points.iter().map(|point| text(&point.attributes, "model")));
    let kinds = distinct(metric.points.iter().map(|point| kind(&point.attributes)));
    let by_model = models.len() > 1 || kinds.iter().all(String::is_empty);
    let label = |attributes: &Attributes| {
        let model = if by_model { text(attributes, "model") } else { String::new() };
        [model, kind(attributes)].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let mut parts: Vec<(String, Number)> = Vec::new();
    for point in &metric.points {
        let label = label(&point.attributes);
        match parts.iter_mut().find(|(known, _)| *known == label) {
            Some((_, sum)) => *sum = sum.plus(point.value),
            None => parts.push((label, point.value)),
        }
    }
    if parts.len() == 1 {
        return (total, parts.remove(0).0);
    }
    let parts = parts.iter().filter(|(_, value)| value.as_f64() != 0.0);
    let parts = parts.map(|(label, value)| {
        let label = if label.is_empty() { "other" } else { label };
        format!("{label} {}", number(*value))
    });
    (total, parts.collect::<Vec<_>>().join(", "))
}

/// A value for people. Whole numbers are exact, others have six significant digits, or from 1,000 on two decimals.
pub fn number(value: Number) -> String {
    let value = match value {
        Number::Int(value) => return value.to_string(),
        Number::Double(value) => value,
    };
    if !value.is_finite() || value.fract() == 0.0 {
        return value.to_string();
    }
    let rounded = if value.abs() >= 1000.0 { format!("{value:.2}") } else { format!("{value:.5e}") };
    rounded.parse::<f64>().unwrap_or(value).to_string()
}

fn kind(attributes: &Attributes) -> String {
    KINDS.iter().map(|key| text(attributes, key)).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn text(attributes: &Attributes, key: &str) -> String {
    attributes.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

fn distinct(words: impl Iterator<Item = String>) -> Vec<String> {
    words.fold(Vec::new(), |mut known, word| {
        if !known.contains(&word) {
            known.push(word);
        }
        known
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::receiver::payload::Point;
    use serde_json::{Value, json};

    fn of(points: &[(Value, f64)]) -> (String, String) {
        let points = points.iter().map(|(attributes, value)| Point {
            attributes: attributes.as_object().unwrap().clone(),
            value: Number::Double(*value),
        });
        let metric = Metric { points: points.collect(), ..Metric::default() };
        let (total, breakdown) = summary(&metric);
        (number(total), breakdown)
    }

    fn pair(total: &str, breakdown: &str) -> (String, String) {
        (total.to_owned(), breakdown.to_owned())
    }

    #[test]
    fn breakdowns() {
        let token = |model: &str, kind: &str, value| (json!({"model": model, "type": kind}), value);
        assert_eq!(of(&[]), pair("0", ""));
        assert_eq!(of(&[(json!({"session.id": "x"}), 1.0)]), pair("1", ""));
        assert_eq!(
            of(&[token("m", "input", 10.0), token("m", "output", 5.0), token("m", "cacheRead", 0.0)]),
            pair("15", "input 10, output 5")
        );
        assert_eq!(
            of(&[token("m", "input", 10.0), token("n", "input", 1.0), token("m", "input", 2.0)]),
            pair("13", "m input 12, n input 1")
        );
        assert_eq!(of(&[(json!({"model": "m"}), 0.1), (json!({"model": "m"}), 0.2)]), pair("0.3", "m"));
        assert_eq!(of(&[(json!({"model": "m"}), 0.5), (json!({"model": "n"}), 0.25)]), pair("0.75", "m 0.5, n 0.25"));
        assert_eq!(of(&[(json!({"type": "cli"}), 2.0)]), pair("2", "cli"));
        assert_eq!(of(&[(json!({"type": "cli"}), 2.0), (json!({}), 1.0)]), pair("3", "cli 2, other 1"));
        assert_eq!(
            of(&[
                (json!({"tool_name": "Edit", "decision": "accept"}), 2.0),
                (json!({"tool_name": "Write", "decision": "reject"}), 1.0)
            ]),
            pair("3", "Edit accept 2, Write reject 1")
        );
    }

    #[test]
    fn numbers() {
        let table = [
            (0.000_140_000_000_000_000_01, "0.00014"),
            (0.247, "0.247"),
            (12.0, "12"),
            (1_234_567.891, "1234567.89"),
            (999.123_456, "999.123"),
            (-0.5, "-0.5"),
            (f64::NAN, "NaN"),
        ];
        for (value, shown) in table {
            assert_eq!(number(Number::Double(value)), shown);
        }
        assert_eq!(number(Number::Int(9_007_199_254_740_993)), "9007199254740993");
    }
}
