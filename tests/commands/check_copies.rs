//! `act check` asks each destination of copies, and the user's own pipeline where it gets a copy.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::check::Look::{Alias, Credential, Payload};
use super::check::act_in;
use crate::support::act::{Act, refused};
use crate::support::http::{Reply, Request};
use crate::support::sandbox::{Sandbox, TOKEN, Text};
use crate::support::tls::Authority;

const CANARY: &str = "glc_c4n4ry9f8e7d6c5b4a3928";

/// An ACT to which all is well, with aliases `billing` (of the home) and `web`.
fn sandbox(act: &Act, copies: &Value) -> Sandbox {
    act.answer_by(act_in([Credential, Alias, Payload]));
    let sandbox = Sandbox::new();
    let alias = json!({"account": "acme", "id": "id-billing", "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"billing": alias, "web": alias},
        "copies": copies,
        "directories": {"~": "billing"}
    }));
    let file = sandbox.write("grafana", format!("Bearer {CANARY}\n"));
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    sandbox
}

fn url(receiver: &Act) -> String {
    format!("{}/v1/metrics", receiver.origin())
}

/// One copy, with a header from a file.
fn one(receiver: &Act) -> Value {
    json!({"grafana": {"endpoint": url(receiver), "headers": {"Authorization": {"file": "~/grafana"}}}})
}

/// What is printed as text, on one line, with the answer for programs and the exit status. No output repeats a secret.
fn checked(sandbox: &Sandbox, args: &[&str]) -> (String, Value, i32) {
    let run = |more: &[&str]| sandbox.act_claude(&[&["act", "check"], args, more].concat()).output().unwrap();
    let (plain, output) = (run(&[]), run(&["--json"]));
    assert_eq!(plain.code(), output.code());
    for text in [plain.out(), plain.err(), output.out(), output.err()] {
        assert!(!text.contains(TOKEN) && !text.contains(CANARY), "{text}");
    }
    let json = serde_json::from_str(&output.out()).unwrap_or_else(|_| panic!("{}", output.err()));
    (plain.out().split_whitespace().collect::<Vec<_>>().join(" "), json, output.code())
}

/// The steps of a copy with their states.
fn steps(copy: &Value) -> String {
    let steps = copy["steps"].as_array().unwrap().iter();
    let words = steps.map(|step| format!("{}:{}", step["step"].as_str().unwrap(), step["state"].as_str().unwrap()));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_each_answer_shows() {
    let (act, receiver) = (Act::start(), Act::start());
    let sandbox = sandbox(&act, &one(&receiver));
    let html = || Reply::with(200, "text/html", "<html>please log in</html>");
    for (reply, state, result, code, words) in [
        (Reply::json(200, "{}"), "ok", "good", 0, "it takes OTLP in JSON Copies are accepted there."),
        (Reply::json(202, ""), "ok", "good", 0, "it takes OTLP in JSON"),
        (
            refused(401, "no"),
            "stopped",
            "stopped",
            77,
            "grafana answered 401 Unauthorized (no) The headers are missing",
        ),
        (refused(403, "no"), "stopped", "stopped", 77, "fix: correct \"headers\" of copy grafana in the configuration"),
        (refused(404, "no"), "stopped", "stopped", 78, "There is no OTLP endpoint for metrics at this URL."),
        (refused(415, "no"), "stopped", "stopped", 65, "It does not take OTLP in JSON."),
        (refused(503, "no"), "stopped", "stopped", 75, "503 Service Unavailable It is busy or not available."),
        (html(), "stopped", "stopped", 65, "answered 200 with a web page That is no OTLP receiver"),
        (
            refused(400, "no data"),
            "unclear",
            "unclear",
            0,
            "answer ? grafana answered 400 Bad Request (no data): an export without metrics shows no more than that it does \
             not refuse you a session shows it: act-claude --alias billing --verify -p hi",
        ),
    ] {
        receiver.answer(reply);
        let (text, json, exit) = checked(&sandbox, &[]);
        let copy = &json["copies"][0];
        let expected = format!("headers:ok connection:ok answer:{state}");
        assert_eq!((steps(copy), exit), (expected, code), "{copy}");
        assert_eq!((&copy["result"], &copy["exit_status"]), (&json!(result), &json!(code)), "{copy}");
        assert_eq!((&copy["copy"], &copy["aliases"]), (&json!("grafana"), &json!(["billing"])), "{copy}");
        assert_eq!(json["checks"][0]["result"], "good");
        assert!(text.contains("copy grafana of billing") && text.contains(words), "{text}");
        assert!(text.contains("headers ok Authorization from the file ~/grafana"), "{text}");
    }
}

#[test]
fn a_header_goes_to_its_receiver_and_nothing_of_act_s_does() {
    let (act, receiver) = (Act::start(), Act::start());
    let sandbox = sandbox(&act, &one(&receiver));
    assert_eq!(checked(&sandbox, &["--all"]).2, 0);
    let is_of = |request: &Request, name: &str| request.header(name).map(str::to_owned);
    let asked = receiver.requests();
    assert_eq!(asked.len(), 2, "once in each of the two runs, for two aliases");
    for request in &asked {
        assert_eq!(is_of(request, "authorization"), Some(format!("Bearer {CANARY}")));
        assert_eq!((request.path.as_str(), request.body()), ("/v1/metrics", br#"{"resourceMetrics":[]}"#.to_vec()));
        assert_eq!((is_of(request, "x-alias-id"), is_of(request, "origin")), (None, None));
    }
    for request in act.requests() {
        assert!(!format!("{request:?}").contains(CANARY));
    }
}

#[test]
fn only_the_destinations_of_the_checked_aliases() {
    let (act, receiver, other) = (Act::start(), Act::start(), Act::start());
    let copies = json!({
        "all": {"endpoint": url(&receiver)},
        "of-web": {"endpoint": url(&other), "aliases": ["web"]}
    });
    let sandbox = sandbox(&act, &copies);
    let (_, json, _) = checked(&sandbox, &["billing"]);
    assert_eq!((json["copies"].as_array().unwrap().len(), other.requests().len()), (1, 0));
    assert_eq!(steps(&json["copies"][0]), "connection:ok answer:ok");
    let (text, json, _) = checked(&sandbox, &["--all"]);
    assert_eq!(json["copies"][0]["aliases"], json!(["billing", "web"]));
    assert_eq!(json["copies"][1]["aliases"], json!(["web"]));
    assert!(text.contains("copy all of billing, web") && text.contains("copy of-web of web"), "{text}");
}

#[test]
fn act_s_problem_decides_before_a_copy_s() {
    let (act, receiver) = (Act::start(), Act::start());
    let sandbox = sandbox(&act, &one(&receiver));
    receiver.answer(refused(404, "no"));
    act.answer(refused(401, "no"));
    assert_eq!(checked(&sandbox, &[]).2, 77);
    act.answer_by(act_in([Payload, Credential, Alias]));
    assert_eq!(checked(&sandbox, &[]).2, 78, "ACT's answers show nothing, which is no problem");
    receiver.answer(refused(400, "no"));
    assert_eq!(checked(&sandbox, &[]).2, 69);
}

#[test]
fn a_copy_that_nobody_can_be_asked_about() {
    let act = Act::start();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sandbox = sandbox(
        &act,
        &json!({
            "away": {"endpoint": format!("http://127.0.0.1:{port}/v1/metrics")},
            "bare": {"endpoint": url(&act), "headers": {"A": {"env": "NOT_SET"}}},
            "broken": {"endpoint": url(&act), "aliases": ["biling"]},
            "off": null
        }),
    );
    let (text, json, code) = checked(&sandbox, &[]);
    let copies: Vec<String> =
        json["copies"].as_array().unwrap().iter().map(|copy| format!("{} {}", copy["copy"], steps(copy))).collect();
    assert_eq!(
        copies,
        ["\"broken\" configuration:stopped", "\"away\" connection:stopped", "\"bare\" headers:stopped"],
        "{json}"
    );
    assert_eq!(code, 77);
    assert!(text.contains("there is no alias \"biling\": did you mean \"billing\"?"), "{text}");
    assert!(text.contains("connection stopped 127.0.0.1 refused the connection"), "{text}");
    assert!(text.contains("which should hold header A of a copy, is not set"), "{text}");
}

#[test]
fn over_tls() {
    let (act, authority) = (Act::start(), Authority::new());
    let receiver = Act::start_tls(&authority);
    let mut sandbox = sandbox(&act, &one(&receiver));
    let (text, json, code) = checked(&sandbox, &[]);
    let stopped = "headers:ok connection:ok TLS:stopped";
    assert_eq!((steps(&json["copies"][0]).as_str(), code, receiver.requests().len()), (stopped, 75, 0), "{text}");
    let roots = authority.write_to(&sandbox.root().join("ca.pem"));
    sandbox.set("NODE_EXTRA_CA_CERTS", roots.to_str().unwrap());
    let (_, json, code) = checked(&sandbox, &[]);
    assert_eq!((steps(&json["copies"][0]).as_str(), code), ("headers:ok connection:ok TLS:ok answer:ok", 0));
}

/// The user's own pipeline at `receiver`, with a header.
fn own(sandbox: &mut Sandbox, receiver: &Act) {
    for (name, value) in [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.origin()),
        ("OTEL_EXPORTER_OTLP_HEADERS", &format!("Authorization=Bearer {CANARY}")),
    ] {
        sandbox.set(name, value);
    }
}

#[test]
fn the_user_s_own_pipeline() {
    let (act, receiver) = (Act::start(), Act::start());
    let mut sandbox = sandbox(&act, &json!({}));
    own(&mut sandbox, &receiver);
    assert_eq!(checked(&sandbox, &[]).1["copies"], json!([]), "it stays as it is");
    let text = std::fs::read_to_string(sandbox.config_file()).unwrap();
    sandbox.write(".config/act-claude/config.json", text.replacen('{', "{\"own_pipeline\": \"copy\",", 1));
    let (text, json, code) = checked(&sandbox, &[]);
    assert_eq!((steps(&json["copies"][0]), code), ("headers:ok connection:ok answer:ok".to_owned(), 0));
    assert!(
        text.contains("copy own-pipeline of billing") && text.contains("those that your own pipeline has"),
        "{text}"
    );
    assert_eq!(receiver.requests()[0].header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    receiver.answer(refused(401, CANARY));
    let (text, ..) = checked(&sandbox, &[]);
    assert!(text.contains("fix: correct OTEL_EXPORTER_OTLP_HEADERS or"), "{text}");
    // A list in the wrong form: what looks like a name has the value in it.
    let count = receiver.requests().len();
    for list in [format!("Authorization: Bearer {CANARY}=="), format!("Authorization=Bearer {CANARY}\n=x")] {
        sandbox.set("OTEL_EXPORTER_OTLP_HEADERS", list);
        let (text, json, code) = checked(&sandbox, &[]);
        assert_eq!((code, &json["copies"][0]["result"]), (75, &json!("stopped")), "{text}");
    }
    assert_eq!(receiver.requests().len(), count);
    sandbox.set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let (text, json, code) = checked(&sandbox, &[]);
    assert_eq!(
        (steps(&json["copies"][0]), code, receiver.requests().len()),
        ("pipeline:stopped".to_owned(), 78, count)
    );
    assert!(text.contains("only http/json can be copied") && text.contains("and ACT gets nothing."), "{text}");
}
