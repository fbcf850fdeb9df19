//! The usage in the report is the sum of what the real clients export.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use act_claude::claude::measured::Measured;
use act_claude::usage::Disposition;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::{Value, json};

use crate::support::client::{BOTH, Lab, NEW};
use crate::support::sandbox::Text;
use crate::support::usage::ledger;
use crate::support::{eventually, program, skip};

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
        let history = lab.sandbox.act_claude(&["act", "history", "--json"]).output().unwrap().out();
        let history: Value = serde_json::from_str(&history).expect("JSON");
        let noted: f64 = ledger(&lab.sandbox.state()).rows.iter().map(|row| row.measured.cost_usd).sum();
        for found in [&history["sessions"][0]["usage"], &history["totals"]["today"]["usage"]] {
            assert!((found["cost_usd"].as_f64().unwrap() - noted).abs() < 1e-9, "{version}: {found} {noted}");
        }
    }
}

#[test]
fn the_session_that_passes_a_notice_says_so() {
    let Some(lab) = Lab::start(NEW, &["work"]) else { return };
    lab.sandbox.configure_one(&lab.act.endpoint());
    let config = std::fs::read(lab.sandbox.config_file()).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    config["aliases"]["billing"]["notice"] = json!({"day": 1});
    lab.sandbox.configure(&config);
    let said = || {
        let output = lab.act_claude("work", &["-p", "hi", "--report", "always"]).output().unwrap();
        (output.status.success(), output.err().contains("more than the $1 of its \"notice\""))
    };
    assert_eq!(said(), (true, false), "little was used");
    let one: f64 = ledger(&lab.sandbox.state()).rows.iter().map(|row| row.measured.cost_usd).sum();
    // Together with the first session, a half of a session's cost is left.
    let used = json!([[Zoned::now().date(), null, 1, 0, 0, 1.0 - 1.5 * one]]);
    let place = json!({"alias": "billing", "account": "acme"});
    let note = json!({"v": 1, "seq": 0, "state": "delivered", "place": place, "use": used});
    let notes = lab.sandbox.state().join("usage/sessions/of-an-earlier-session");
    std::fs::write(&notes, note.to_string()).unwrap();
    assert_eq!([said(), said()], [(true, true), (true, false)], "once: it stops nothing");
}

/// A data point: when it was measured, its alias, model and metric, and its value.
struct Point {
    day: Date,
    alias: String,
    model: Option<String>,
    measured: Measured,
}

/// The data points of all exports that ACT has got.
fn points(lab: &Lab) -> Vec<Point> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut points = Vec::new();
    for request in lab.act.requests() {
        let alias = request.header("x-alias-id").expect("an alias").trim_start_matches("id-").to_owned();
        let resources = list(&request.json(), "resourceMetrics");
        let scopes = resources.iter().flat_map(|resource| list(resource, "scopeMetrics"));
        for metric in scopes.flat_map(|scope| list(&scope, "metrics")) {
            for point in list(&metric["sum"], "dataPoints") {
                let text = |key: &str| {
                    let attributes = list(&point, "attributes");
                    let attribute = attributes.iter().find(|attribute| attribute["key"] == key)?;
                    Some(attribute["value"]["stringValue"].as_str()?.to_owned())
                };
                let nanoseconds: i128 = point["timeUnixNano"].as_str().expect("a time").parse().unwrap();
                let time = Timestamp::from_nanosecond(nanoseconds).unwrap();
                let value = point["asDouble"].as_f64().or_else(|| point["asInt"].as_f64()).expect("a number");
                let mut measured = Measured { points: 1, ..Measured::default() };
                measured.add(metric["name"].as_str().unwrap(), text("type").as_deref(), value);
                let day = time.to_zoned(TimeZone::system()).date();
                points.push(Point { day, alias: alias.clone(), model: text("model"), measured });
            }
        }
    }
    points
}

/// Sums by a group, rounded to what is shown.
fn summed(parts: impl Iterator<Item = (String, Measured)>) -> BTreeMap<String, Vec<String>> {
    let mut sums: BTreeMap<String, Measured> = BTreeMap::new();
    parts.for_each(|(group, measured)| sums.entry(group).or_default().join(&measured));
    let shown = |measured: Measured| measured.numbers().iter().map(|number| format!("{number:.9}")).collect();
    sums.into_iter().map(|(group, measured)| (group, shown(measured))).collect()
}

/// The library that gives a program another clock.
fn faketime() -> Option<PathBuf> {
    program("faketime")?;
    let places = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let found = places.map(|place| place.path().join("faketime/libfaketime.so.1")).find(|path| path.exists());
    assert!(found.is_some(), "faketime is installed without its library");
    found
}

#[test]
fn the_usage_ledger_has_every_point_that_act_has_by_day_alias_and_model() {
    for version in BOTH {
        let Some(lab) = Lab::start(version, &["one", "two"]) else { return };
        let Some(clock_library) = faketime() else { return };
        let alias = |name: &str| json!({"account": "acme", "id": format!("id-{name}"), "provider_type": "P"});
        lab.sandbox.configure(&json!({
            "accounts": {"acme": lab.sandbox.account(&lab.act.endpoint())},
            "aliases": {"billing": alias("billing"), "web": alias("web")},
            "directories": {"~/one": "billing", "~/two": "web"},
        }));
        let sessions = [
            ("one", "-3d", "claude-opus-4-1"),
            ("one", "-1d", "claude-sonnet-4-5"),
            ("two", "-1d", "claude-opus-4-1"),
            ("two", "+0", "claude-haiku-4-5"),
        ];
        for (directory, clock, model) in sessions {
            // Only claude's clock is another one.
            let script = format!(
                "#!/bin/sh\nLD_PRELOAD={} FAKETIME={clock} FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DISABLE_SHM=1 exec '{}' \"$@\"\n",
                clock_library.display(),
                lab.claude.display()
            );
            let claude = lab.sandbox.script("dated/claude", &script);
            let path = std::env::join_paths(
                [claude.parent().unwrap().to_owned()]
                    .into_iter()
                    .chain(std::env::split_paths(lab.sandbox.get("PATH").expect("a PATH"))),
            );
            let mut command = lab.act_claude(directory, &["-p", "hi", "--model", model]);
            command.env("PATH", path.unwrap());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{version} {model}: {}", output.err());
        }
        eventually("all notes", || {
            let rows = ledger(&lab.sandbox.state()).rows;
            let open = rows.iter().any(|row| row.disposition != Disposition::Delivered);
            (!open && !rows.is_empty()).then_some(())
        });
        let (points, rows) = (points(&lab), ledger(&lab.sandbox.state()).rows);
        let days: BTreeSet<Date> = points.iter().map(|point| point.day).collect();
        let models: BTreeSet<_> = points.iter().filter_map(|point| point.model.clone()).collect();
        assert!(days.len() == 3 && models.len() >= 3, "{version}: {days:?} {models:?}");
        for group in [0, 1, 2, 3] {
            let of = |day: Date, alias: &str, model: Option<&str>| match group {
                0 => day.to_string(),
                1 => alias.to_owned(),
                2 => model.unwrap_or("none").to_owned(),
                _ => format!("{day} {alias} {model:?}"),
            };
            let sent = points.iter().map(|point| (of(point.day, &point.alias, point.model.as_deref()), point.measured));
            let noted = rows.iter().map(|row| (of(row.day, &row.place.alias, row.model.as_deref()), row.measured));
            assert_eq!(summed(noted), summed(sent), "{version}, group {group}");
        }
        shown_by_every_group(&lab, &points);
    }
}

/// `act usage` says the same for each way to make groups.
fn shown_by_every_group(lab: &Lab, points: &[Point]) {
    let monday = |day: Date| day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days());
    let directory =
        |alias: &str| lab.sandbox.directory(if alias == "web" { "two" } else { "one" }).display().to_string();
    for by in ["alias", "day", "week", "month", "model", "directory", "repository", "session"] {
        let args = ["act", "usage", "--json", "--since", "30d", "--by", by];
        let shown: Value =
            serde_json::from_slice(&lab.sandbox.act_claude(&args).output().unwrap().stdout).expect("JSON");
        let numbers = |sums: &Value| -> Vec<String> {
            let numbers = Measured::NAMES.iter().filter(|name| **name != "sessions");
            numbers.map(|name| format!("{:.9}", sums[name].as_f64().expect("a number"))).collect()
        };
        let groups = shown["groups"].as_array().expect("groups").iter();
        let groups = groups.filter(|group| group["points"] != 0);
        let found: BTreeMap<String, Vec<String>> =
            groups.map(|group| (group["name"].as_str().unwrap_or("none").to_owned(), numbers(group))).collect();
        let of = |point: &Point| match by {
            "alias" => point.alias.clone(),
            "day" => point.day.to_string(),
            "week" => monday(point.day).to_string(),
            "month" => point.day.first_of_month().to_string(),
            "model" => point.model.clone().unwrap_or_else(|| "none".to_owned()),
            "directory" => directory(&point.alias),
            _ => "none".to_owned(),
        };
        let mut sent = summed(points.iter().map(|point| (of(point), point.measured)));
        // The last number is the sessions that claude counted. act-claude counts its own.
        sent.values_mut().for_each(|numbers| drop(numbers.pop()));
        if by == "session" {
            assert_eq!(found.len(), 4, "each session: {found:?}");
        } else {
            assert_eq!(found, sent, "--by {by}");
        }
        let total = summed(points.iter().map(|point| (String::new(), point.measured)));
        assert_eq!(numbers(&shown["total"]), total[""][..total[""].len() - 1], "--by {by}");
        assert_eq!(shown["total"]["sessions"], 4, "--by {by}");
        assert_eq!(shown["total"]["act"]["points"], points.len(), "--by {by}");
    }
}

/// ccusage reads the transcripts that claude keeps. Its prices may be others.
#[test]
fn the_tokens_are_those_that_ccusage_finds() {
    let ccusage = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node_modules/ccusage/dist/index.js");
    if !ccusage.exists() {
        return skip("ccusage is not in target/tools: tests/run installs it");
    }
    let Some(node) = program("node") else { return };
    for version in BOTH {
        let Some(lab) = Lab::start(version, &["work"]) else { return };
        lab.sandbox.configure_one(&lab.act.endpoint());
        for model in ["claude-opus-4-1", "claude-haiku-4-5", "claude-haiku-4-5"] {
            let output = lab.act_claude("work", &["-p", "hi", "--model", model]).output().unwrap();
            assert!(output.status.success(), "{version}: {}", output.err());
        }
        let output = lab.sandbox.command(&node).arg(&ccusage).args(["daily", "--json", "--offline"]).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", output.err()));
        let models = found["daily"].as_array().expect("days").iter().flat_map(|day| {
            let day_of =
                |model: &Value| format!("{} {}", day["date"].as_str().unwrap(), model["modelName"].as_str().unwrap());
            day["modelBreakdowns"].as_array().expect("models").iter().map(move |model| (day_of(model), model.clone()))
        });
        let names = ["inputTokens", "outputTokens", "cacheReadTokens", "cacheCreationTokens"];
        let found: BTreeMap<String, [f64; 4]> =
            models.map(|(name, model)| (name, names.map(|name| model[name].as_f64().expect("a number")))).collect();
        let mut noted: BTreeMap<String, [f64; 4]> = BTreeMap::new();
        for row in ledger(&lab.sandbox.state()).rows {
            let Some(model) = row.model else { continue };
            let sums = noted.entry(format!("{} {model}", row.day)).or_default();
            let Measured { input, output, cache_read, cache_creation, .. } = row.measured;
            sums.iter_mut().zip([input, output, cache_read, cache_creation]).for_each(|(sum, more)| *sum += more);
        }
        assert_eq!(noted, found, "{version}");
        assert!(
            noted.len() >= 2 && noted.values().all(|tokens| tokens.iter().all(|kind| *kind > 0.0)),
            "{version}: {noted:?}"
        );
    }
}
