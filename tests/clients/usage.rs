//! The usage in the report is the sum of what the real clients export.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::client::{BOTH, Lab};
use crate::support::sandbox::Text;

/// The sums of a metric's points in the exports that ACT has got, by the attribute `type`; "" is all of them.
fn sums(lab: &Lab, name: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    for request in lab.act.requests() {
        let resources = list(&request.json(), "resourceMetrics");
        let scopes = resources.iter().flat_map(|resource| list(resource, "scopeMetrics"));
        for metric in scopes.flat_map(|scope| list(&scope, "metrics")).filter(|metric| metric["name"] == name) {
            assert_eq!(metric["sum"]["aggregationTemporality"], 1, "changes: {metric}");
            for point in list(&metric["sum"], "dataPoints") {
                let value = point["asDouble"].as_f64().or_else(|| point["asInt"].as_f64()).expect("a number");
                let kind = list(&point, "attributes").into_iter().find(|attribute| attribute["key"] == "type");
                let kind = kind.and_then(|kind| Some(kind["value"]["stringValue"].as_str()?.to_owned()));
                for kind in [Some(String::new()), kind].into_iter().flatten() {
                    *sums.entry(kind).or_default() += value;
                }
            }
        }
    }
    sums
}

#[test]
fn the_report_has_what_claude_exported() {
    for version in BOTH {
        let Some(lab) = Lab::start(version, &["work"]) else { return };
        lab.sandbox.configure_one(&lab.act.endpoint());
        let output = lab.act_claude("work", &["-p", "hi", "--report", "json"]).env("CI", "1").output().unwrap();
        let report: Value = serde_json::from_str(output.err().trim()).expect("one JSON object");
        let (cost, tokens) = (sums(&lab, "claude_code.cost.usage"), sums(&lab, "claude_code.token.usage"));
        let usage = &report["usage"];
        assert!((usage["cost_usd"].as_f64().unwrap() - cost[""]).abs() < 1e-9, "{version}: {report} {cost:?}");
        let count = |kind: &str| json!(tokens.get(kind).map(|sum| *sum as u64));
        let expected = json!({
            "total": count(""), "input": count("input"), "output": count("output"), "cache_read": count("cacheRead"),
            "cache_creation": count("cacheCreation"),
        });
        assert_eq!(usage["tokens"], expected, "{version}");
        let known = ["input", "output", "cacheRead", "cacheCreation"].map(|kind| tokens.get(kind).copied());
        assert!(known.iter().all(Option::is_some), "{version}: all kinds are known: {tokens:?}");
        assert_eq!(known.into_iter().flatten().sum::<f64>(), tokens[""], "{version}: and there is no other kind");
        assert_eq!((usage["complete"].as_bool(), report["session"].is_string()), (Some(true), true), "{version}");
    }
}
