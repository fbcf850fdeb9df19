//! What real clients export reaches ACT and each other receiver, the user's own pipeline included.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use act_claude::state::outcome::State;
use act_claude::state::record;
use serde_json::{Value, json};

use crate::support::act::{Act, resource_attributes};
use crate::support::client::{BOTH, Lab, NEW};
use crate::support::eventually;
use crate::support::http::Request;
use crate::support::receivers::{Receiver, Rotel, Taken, TestAgent};
use crate::support::sandbox::{TOKEN, Text};

/// Adds something to the configuration.
fn configure(lab: &Lab, more: &Value) {
    lab.sandbox.configure_one(&lab.act.endpoint());
    let mut config: Value = serde_json::from_slice(&std::fs::read(lab.sandbox.config_file()).unwrap()).unwrap();
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    lab.sandbox.configure(&config);
}

/// Waits until the latest session's relay has ended.
fn ended(lab: &Lab) -> record::Record {
    eventually("the relay's end", || {
        let record = record::read_all(&lab.sandbox.state()).into_iter().next()?;
        record.end.is_some().then_some(record)
    })
}

/// An export without the resource attributes that act-claude adds for ACT, and without the attributes that have these keys.
fn without(request: &Request, resource: &[&str], anywhere: &[&str]) -> Value {
    fn remove(value: &mut Value, keys: &[&str]) {
        match value {
            Value::Array(list) => {
                list.retain(|item| !item["key"].as_str().is_some_and(|key| keys.contains(&key)));
                list.iter_mut().for_each(|item| remove(item, keys));
            }
            Value::Object(object) => object.values_mut().for_each(|item| remove(item, keys)),
            _ => {}
        }
    }
    let mut body = request.json();
    for entry in body["resourceMetrics"].as_array_mut().expect("an export") {
        remove(&mut entry["resource"]["attributes"], resource);
    }
    remove(&mut body, anywhere);
    body
}

const OF_ACT: [&str; 3] = ["providerType", "operation", "promptType"];

#[test]
fn each_receiver_gets_what_claude_sent() {
    for version in BOTH {
        let Some(lab) = Lab::start(version, &["work"]) else { return };
        let (one, two) = (Act::start(), Act::start());
        let key = lab.sandbox.write("key", "canary-of-one");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let url = |act: &Act| format!("{}/v1/metrics", act.origin());
        configure(
            &lab,
            &json!({"copies": {
                "one": {"endpoint": url(&one), "headers": {"X-Key": {"file": key}}},
                "two": {"endpoint": url(&two), "redact": ["user.id", "session.id"]},
            }}),
        );
        let output = lab.act_claude("work", &["-p", "hi", "--report", "always"]).env("CI", "1").output().unwrap();
        assert_eq!(output.code(), 0, "{version}: {}", output.err());
        assert!(!output.err().contains("copy"), "{version}: nothing is to be done: {}", output.err());
        let record = ended(&lab);
        let act = lab.act.requests();
        assert!(!act.is_empty() && record.copies.len() == 2, "{version}");
        for (receiver, redact) in [(&one, &[][..]), (&two, &["user.id", "session.id"][..])] {
            let got: Vec<Value> = receiver.requests().iter().map(Request::json).collect();
            let sent: Vec<Value> = act.iter().map(|request| without(request, &OF_ACT, redact)).collect();
            assert_eq!(got, sent, "{version}: the same exports in the same order");
            for request in receiver.requests() {
                assert!(!format!("{request:?}").contains(TOKEN), "{version}");
                assert_eq!(request.header("content-type"), Some("application/json"));
            }
        }
        assert!(one.requests().iter().all(|request| request.header("x-key") == Some("canary-of-one")));
        assert!(two.requests().iter().chain(&act).all(|request| !format!("{request:?}").contains("canary-of-one")));
        let count = |name: &str| record.copies[name].count(State::Delivered);
        assert_eq!([count("one"), count("two")], [record.outcome.exports; 2], "{version}");
    }
}

/// The variables of a pipeline at `endpoint`, for all signals.
fn pipeline(endpoint: &str) -> Vec<(&'static str, String)> {
    let text = str::to_owned;
    vec![
        ("CLAUDE_CODE_ENABLE_TELEMETRY", text("1")),
        ("OTEL_METRICS_EXPORTER", text("otlp")),
        ("OTEL_LOGS_EXPORTER", text("otlp")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", text("http/json")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", text(endpoint)),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            text(
                "Authorization=Bearer%20canary-own, X-Two = a%2Cb ,X-Three=all,X-Five=d;e=f,X-Six=a = b=,none,X-Seven=,X-Eight=1,X-Eight=2,X-Nine=all",
            ),
        ),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", text("x-three=metrics,X-Four=c==,X-Nine=metrics")),
        ("OTEL_RESOURCE_ATTRIBUTES", text("team=platform")),
    ]
}

/// What a receiver gets, as far as it is the same in each session: paths, headers, resource attributes and metrics.
fn essence(requests: &[Request]) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut paths = BTreeSet::new();
    let mut all = BTreeSet::new();
    for request in requests {
        paths.insert(request.path.clone());
        if !request.path.ends_with("/v1/metrics") {
            continue;
        }
        for name in [
            "authorization",
            "x-two",
            "x-three",
            "x-four",
            "x-five",
            "x-six",
            "x-seven",
            "x-eight",
            "x-nine",
            "content-type",
            "x-alias-id",
            "origin",
        ] {
            all.insert(format!("{name}: {:?}", request.header(name)));
        }
        let body = request.json();
        all.insert(format!("{:?}", resource_attributes(&body).keys().collect::<Vec<_>>()));
        all.insert(format!("{:?}", resource_attributes(&body).get("team")));
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        for scope in list(&body["resourceMetrics"][0], "scopeMetrics") {
            for metric in list(&scope, "metrics") {
                all.insert(format!("{} {}", metric["name"], metric["sum"]["aggregationTemporality"]));
            }
        }
    }
    (paths, all)
}

#[test]
fn the_users_own_pipeline_gets_what_it_got_before_and_act_does_too() {
    for version in BOTH {
        for in_settings in [false, true] {
            let Some(lab) = Lab::start(version, &["work"]) else { return };
            let own = Act::start();
            configure(&lab, &json!({"own_pipeline": "copy"}));
            let variables = pipeline(&format!("{}/base", own.origin()));
            if in_settings {
                let env: serde_json::Map<_, _> =
                    variables.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                lab.sandbox.write(".claude/settings.json", json!({ "env": env }).to_string());
            }
            let with = |mut command: std::process::Command| {
                if !in_settings {
                    command.envs(variables.iter().map(|(name, value)| (*name, value)));
                }
                command.output().unwrap()
            };
            assert_eq!(with(lab.claude("work", &["-p", "hi"])).code(), 0);
            let bare = own.requests();
            let output = with(lab.act_claude("work", &["-p", "hi", "--report", "always"]));
            assert_eq!(output.code(), 0, "{}", output.err());
            assert!(output.err().contains("billing: ") && output.err().contains("delivered"), "{}", output.err());
            let record = ended(&lab);
            let later: Vec<Request> = own.requests().split_off(bare.len());
            let what = format!("{version}, in settings: {in_settings}");
            let ((paths, expected), (copied_paths, copied)) = (essence(&bare), essence(&later));
            assert!(expected.iter().any(|line| line.contains("token.usage")), "{what}: {expected:?}");
            assert_eq!((&copied_paths, &copied), (&paths, &expected), "{what}");
            assert_eq!(record.copies["own-pipeline"].states, [(State::Delivered, record.outcome.exports)].into());
            for request in lab.act.requests() {
                assert!(!format!("{request:?}").contains("canary-own"), "{what}: the user's header stays with them");
            }
            assert!(later.iter().all(|request| !format!("{request:?}").contains(TOKEN)), "{what}");
            let metrics = |requests: &[Request]| requests.iter().filter(|one| one.path.ends_with("metrics")).count();
            assert_eq!(metrics(&later), lab.act.requests().len(), "{what}: both get every export");
            let written = crate::support::sandbox::snapshot(&lab.sandbox.state());
            assert!(written.values().all(|bytes| !String::from_utf8_lossy(bytes).contains("canary-own")), "{what}");
        }
    }
}

#[test]
fn a_pipeline_that_cannot_be_copied_is_left_alone_and_that_is_said() {
    let Some(lab) = Lab::start(NEW, &["work"]) else { return };
    configure(&lab, &json!({"own_pipeline": "copy"}));
    for (name, value, why) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "its protocol is \"http/protobuf\""),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc", "its protocol is \"grpc\""),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative", "it gets running totals"),
    ] {
        let own = Act::start();
        let mut command = lab.act_claude("work", &["-p", "hi", "--report", "always"]);
        command.envs(pipeline(&own.origin())).env(name, value);
        let output = command.output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        let said = output.err();
        assert!(said.contains("no telemetry to ACT: your metrics go to") && said.contains(why), "{said}");
        let metrics = own.requests().iter().filter(|request| request.path == "/v1/metrics").count();
        assert_eq!(metrics > 0, value != "grpc", "{name}={value}: as without act-claude");
    }
    assert_eq!(lab.act.requests().len(), 0);
}

/// A repository's settings, and what they put into the environment of a claude inside claude, name no receiver.
#[test]
fn a_repository_names_no_pipeline() {
    for version in BOTH {
        let Some(lab) = Lab::start(version, &["work"]) else { return };
        let (own, evil) = (Act::start(), Act::start());
        configure(&lab, &json!({"own_pipeline": "copy", "copies": {}}));
        let env = json!({
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": format!("{}/v1/metrics", evil.origin()),
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "X-Evil=1",
        });
        lab.sandbox.write("work/.claude/settings.json", json!({ "env": env }).to_string());
        lab.sandbox
            .write("work/.act-claude.json", json!({"copies": {"evil": {"endpoint": evil.origin()}}}).to_string());
        let mut command = lab.act_claude("work", &["-p", "hi", "--report", "always"]);
        command.envs(pipeline(&own.origin()));
        let output = command.output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        ended(&lab);
        assert_eq!(evil.requests().len(), 0, "{version}");
        assert!(own.requests().iter().all(|request| request.header("x-evil").is_none()), "{version}");
        assert!(own.requests().iter().any(|request| request.path == "/v1/metrics"), "{version}: {}", output.err());
    }
}

/// What two receivers of other authors take in of real sessions, counted.
#[test]
fn real_receivers_take_in_what_a_session_sends() {
    for version in BOTH {
        let Some(lab) = Lab::start(version, &["work"]) else { return };
        let (Some(rotel), Some(agent)) = (Rotel::start(), TestAgent::start()) else { return };
        configure(
            &lab,
            &json!({"copies": {
                "rotel": {"endpoint": rotel.metrics_url()}, "datadog": {"endpoint": agent.metrics_url()},
            }}),
        );
        let output = lab.act_claude("work", &["-p", "hi", "--report", "always"]).env("CI", "1").output().unwrap();
        assert_eq!(output.code(), 0, "{version}: {}", output.err());
        let record = ended(&lab);
        let mut expected = Taken::new();
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        for request in lab.act.requests() {
            let resources = list(&request.json(), "resourceMetrics");
            let scopes = resources.iter().flat_map(|resource| list(resource, "scopeMetrics"));
            for metric in scopes.flat_map(|scope| list(&scope, "metrics")) {
                let (count, sum) = expected.entry(metric["name"].as_str().unwrap().to_owned()).or_default();
                for point in list(&metric["sum"], "dataPoints") {
                    *count += 1;
                    *sum += point["asDouble"].as_f64().or_else(|| point["asInt"].as_f64()).expect("a number");
                }
            }
        }
        let points: usize = expected.values().map(|(count, _)| count).sum();
        assert!(points > 0, "{version}");
        for (name, receiver) in [("rotel", &rotel as &dyn Receiver), ("datadog", &agent)] {
            let taken = receiver.wait_for(points);
            assert!(taken.keys().eq(expected.keys()), "{version}, {name}: {taken:?} {expected:?}");
            for (metric, (count, sum)) in &expected {
                let (own_count, own_sum) = taken[metric];
                assert!(own_count == *count && (own_sum - sum).abs() < 1e-9, "{version}, {name}: {metric}: {taken:?}");
            }
            assert_eq!(record.copies[name].states, [(State::Delivered, record.outcome.exports)].into(), "{version}");
        }
    }
}
