//! `--verify` with both real clients: verdict, cause, fix and exit status are compared with tables written by hand.

use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::overlay::recipe;
use crate::support::act::{accepted, refused, resource_attributes};
use crate::support::client::{self, Lab, NEW, OLD};
use crate::support::http::Reply;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::system;

fn lab(version: &'static str) -> Option<Lab> {
    let lab = Lab::start(version, &["project"])?;
    lab.sandbox.configure_one(&lab.act.endpoint());
    Some(lab)
}

fn check(output: &Output, what: &str, code: i32, words: &[&str]) {
    assert_eq!(output.code(), code, "{what}\n{}", output.err());
    for word in words {
        assert!(output.err().contains(word), "{what}: {word:?} in\n{}", output.err());
    }
}

/// ACT's answer, then the exit status and the text of the verdict, which are the same with both clients.
fn answers() -> Vec<(&'static str, Reply, i32, Vec<&'static str>)> {
    let setup = "act-claude act setup --account acme";
    vec![
        ("ok", accepted(), 0, vec!["billing: 1 export delivered", "see it in ACT"]),
        (
            "empty",
            refused(400, "Empty resourceMetrics in OTLP payload"),
            65,
            vec!["empty resourceMetrics", "claude update"],
        ),
        (
            "unknown",
            refused(400, "Agent alias id-billing not found"),
            78,
            vec!["agent alias not found", "Monitoring Spec"],
        ),
        (
            "foreign",
            refused(403, "Alias does not belong to the specified account"),
            78,
            vec!["does not belong", "Monitoring Spec"],
        ),
        ("400", refused(400, "Bad Request"), 65, vec!["400 Bad Request", "act-claude act doctor"]),
        ("401", refused(401, "Unauthorized"), 77, vec!["401 Unauthorized", "token or its user is wrong", setup]),
        ("403", refused(403, "Forbidden"), 77, vec!["403 Forbidden", setup]),
        ("404", refused(404, "no such page"), 78, vec!["404 Not Found", "no metrics endpoint at this URL"]),
        ("429", refused(429, "slow down"), 75, vec!["waiting (429 Too Many Requests)"]),
        ("503", refused(503, "unavailable"), 75, vec!["waiting (503 Service Unavailable)"]),
        (
            "partial",
            Reply::json(200, r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"3 points rejected"}}"#),
            65,
            vec!["ACT rejected 3 of"],
        ),
        (
            "login",
            Reply::with(200, "text/html", "<html>log in</html>"),
            65,
            vec!["not understood", "a wrong URL or a proxy's login page"],
        ),
    ]
}

#[test]
fn every_answer_of_act() {
    for version in client::BOTH {
        let Some(lab) = lab(version) else { return };
        for (name, reply, code, words) in answers() {
            let _ = std::fs::remove_dir_all(lab.sandbox.state());
            lab.act.answer(reply);
            let output = lab.act_claude("project", &["--verify", "-p", "hi"]).output().unwrap();
            assert_eq!(output.out(), "hello there\n", "{version} {name}");
            check(&output, &format!("{version} {name}"), code, &words);
            assert!(output.err().contains("log: claude started its metrics exporter"), "{}", output.err());
            // ACT's status appears in claude's own log.
            if version == NEW && code == 77 {
                assert!(output.err().contains("log: an export failed: "), "{}", output.err());
            }
        }
    }
}

#[test]
fn act_does_not_answer() {
    let Some(lab) = lab(NEW) else { return };
    lab.act.answer(Reply::Hang);
    check(
        &lab.act_claude("project", &["--verify", "-p", "hi"]).output().unwrap(),
        "hang",
        75,
        &["waiting (no answer from"],
    );
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    lab.sandbox.configure_one(&format!("http://{closed}/metrics"));
    let _ = std::fs::remove_dir_all(lab.sandbox.state());
    check(
        &lab.act_claude("project", &["--verify", "-p", "hi"]).output().unwrap(),
        "refused",
        75,
        &["refused the connection"],
    );
}

/// With the log as the only source: the newer client's log proves delivery, the older client's log does not.
#[test]
fn direct_uses_the_log_only() {
    let not_observed = "not observed";
    let partial = Reply::json(200, r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"x"}}"#);
    for (name, reply, of_old, of_new) in [
        ("ok", accepted(), (69, not_observed), (0, "the first export was accepted")),
        ("partial", partial, (69, not_observed), (0, "rejected points are not observed")),
        ("401", refused(401, "x"), (77, "401 Unauthorized"), (77, "act-claude act setup --account acme")),
        ("404", refused(404, "Agent alias id-billing not found"), (78, "404 Not Found"), (78, "404 Not Found")),
        (
            "503",
            refused(503, "x"),
            (75, "stopped waiting for its last export"),
            (75, "stopped waiting for its last export"),
        ),
    ] {
        for (version, (code, word)) in [(OLD, of_old), (NEW, of_new)] {
            let Some(lab) = lab(version) else { return };
            lab.act.answer(reply.clone());
            let output = lab.act_claude("project", &["--verify", "--direct", "-p", "hi"]).output().unwrap();
            check(&output, &format!("{version} {name}"), code, &[word]);
        }
    }
}

/// Asserts that the last export is correct, whatever the settings say.
fn assert_ours(lab: &Lab, what: &str) {
    let requests = lab.act.requests();
    let request = requests.last().unwrap_or_else(|| panic!("{} {what}: nothing arrived", lab.version));
    let body = request.json();
    assert_eq!(resource_attributes(&body)["providerType"], "CUSTOM_PROVIDER", "{what}");
    assert!(body.to_string().contains(r#""aggregationTemporality":1"#), "{what}: {body}");
    assert_eq!(request.header("x-alias-id"), Some("id-billing"), "{what}");
}

#[test]
fn settings_that_override_each_variable() {
    let each = [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", ""),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_RESOURCE_ATTRIBUTES", "providerType=OTHER"),
    ];
    for version in client::BOTH {
        let Some(lab) = lab(version) else { return };
        for (name, value) in each.into_iter().filter(|_| version == NEW) {
            lab.sandbox.write(".claude/settings.json", json!({"env": {name: value}}).to_string());
            let output = lab.act_claude("project", &["--verify", "-p", "hi"]).output().unwrap();
            check(&output, &format!("{version} user {name}={value}"), 0, &["1 export delivered"]);
            assert_ours(&lab, name);
        }
        let _ = std::fs::remove_file(lab.sandbox.home().join(".claude/settings.json"));
        let all: serde_json::Map<String, Value> =
            each.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let elsewhere = json!({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9/x", "OTEL_EXPORTER_OTLP_HEADERS": "X-Alias-Id=x"});
        let all: serde_json::Map<String, Value> =
            all.into_iter().chain(elsewhere.as_object().unwrap().clone()).collect();
        for file in [".claude/settings.json", "project/.claude/settings.json", "project/.claude/settings.local.json"] {
            lab.sandbox.write(file, json!({"env": all}).to_string());
            let output = lab.act_claude("project", &["--verify", "-p", "hi"]).output().unwrap();
            check(&output, &format!("{version} {file}"), 0, &["1 export delivered"]);
            assert_ours(&lab, file);
            std::fs::remove_file(lab.sandbox.home().join(file)).unwrap();
        }
        // The guide's own sample, which is not valid JSON: claude ignores the whole file.
        let sample = recipe(&lab).to_string().replace("\"}}", "\",}}");
        lab.sandbox.write(".claude/settings.json", sample);
        let output = lab.act_claude("project", &["--verify", "-p", "hi"]).output().unwrap();
        check(&output, &format!("{version} invalid JSON"), 0, &["1 export delivered"]);
        for (helper, code, words) in [
            ("echo '{\"X-Extra\": \"1\"}'", 0, &["1 export delivered"][..]),
            (
                "exit 3",
                69,
                &[
                    "claude sent no metrics",
                    "otelHeadersHelper in",
                    "\"exit …\" succeeds",
                    "remove otelHeadersHelper from",
                ],
            ),
        ] {
            // The user's own logs need the helper: it stays on.
            let logs = json!({"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/json",
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:9/v1/logs"});
            lab.sandbox.write(".claude/settings.json", json!({"otelHeadersHelper": helper, "env": logs}).to_string());
            let output = lab.act_claude("project", &["--verify", "-p", "hi"]).output().unwrap();
            check(&output, &format!("{version} helper {helper}"), code, words);
        }
        lab.sandbox.write(".claude/settings.json", json!({"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}}).to_string());
        let output = lab.act_claude("project", &["--verify", "-p", "hi"]).output().unwrap();
        check(&output, &format!("{version} off"), 69, &["you switched it off (env.CLAUDE_CODE_ENABLE_TELEMETRY in"]);
    }
}

#[test]
fn managed_settings_cannot_be_overridden() {
    const FILE: &str = "/etc/claude-code/managed-settings.json";
    let ask = format!("ask whoever manages {FILE} to remove");
    let dropped = "claude dropped OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: managed settings set";
    let headers = json!({"env": {"OTEL_EXPORTER_OTLP_HEADERS": "a=b"}});
    let helper = json!({"otelHeadersHelper": "echo '{}'"});
    let elsewhere = json!({"env": {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9/elsewhere", "OTEL_EXPORTER_OTLP_HEADERS": "X-Alias-Id=x"}});
    let good = json!({"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRICS_EXPORTER": "otlp"}});
    for (settings, of_old, of_new) in [
        (headers, (0, vec!["1 export delivered"]), (69, vec![dropped, &ask])),
        (helper, (0, vec!["1 export delivered"]), (69, vec![dropped, &ask])),
        (elsewhere, (69, vec!["exports go to http://127.0.0.1:9/elsewhere", &ask]), (69, vec![&*ask])),
        (good, (0, vec!["1 export delivered"]), (0, vec!["1 export delivered"])),
    ] {
        for (version, (code, words)) in [(OLD, &of_old), (NEW, &of_new)] {
            let Some(lab) = lab(version) else { return };
            let command = lab.act_claude("project", &["--verify", "-p", "hi"]);
            let files = [(FILE, &*settings.to_string())];
            let Some(mut command) = system::with_files(&lab.sandbox, &files, &command) else { return };
            check(&command.output().unwrap(), &format!("{version} {settings}"), *code, words);
        }
    }
}

#[test]
fn the_screen_is_claudes_until_it_has_ended() {
    for version in client::BOTH {
        let Some(lab) = lab(version) else { return };
        let mut terminal = Pty::start(lab.act_claude("project", &["--verify"]));
        terminal.resize(50, 200);
        terminal.wait_for("❯");
        // Other running claudes are reported before claude starts.
        let own = |raw: &[u8]| String::from_utf8_lossy(raw).matches("act-claude: ").count();
        let before = own(&terminal.raw());
        terminal.send("hi");
        terminal.wait_for("hi");
        terminal.send("\r");
        terminal.wait_for("hello there");
        lab.act.wait_for(1);
        terminal.send("/exit");
        terminal.wait_for("/exit");
        assert_eq!(own(&terminal.raw()), before, "{version}\n{}", terminal.screen());
        terminal.send("\r");
        let (status, screen) = terminal.finish();
        assert_eq!(status.code(), Some(0), "{version}\n{screen}");
        let after = screen.split("Resume this session with").nth(1).unwrap_or_else(|| panic!("{screen}"));
        assert!(after.contains("delivered (") && after.contains("act-claude act logs"), "{version}\n{screen}");
    }
}

/// A claude whose log has only the lines that the guide takes for success.
#[test]
fn anthropics_own_metrics_prove_nothing() {
    let act = crate::support::act::Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    let claude = r#"#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --debug-file ] && file=$2; shift; done
echo '2026-01-01T00:00:00.000Z [DEBUG] BigQuery metrics exported successfully' >> "$file"
"#;
    let claude = sandbox.script("bin/claude", claude);
    sandbox.write("package.json", r#"{"name": "@anthropic-ai/claude-code", "version": "2.1.330"}"#);
    sandbox.path_first(claude.parent().unwrap());
    for flags in [&["--verify", "-p", "hi"][..], &["--verify", "--direct", "-p", "hi"]] {
        let output = sandbox.act_claude(flags).output().unwrap();
        check(&output, &format!("{flags:?}"), 69, &["1 lines about Anthropic's own metrics: proves nothing"]);
        assert!(!output.err().contains("delivered"), "{}", output.err());
    }
    // The same verdict from `act logs`.
    let output = sandbox.act_claude(&["act", "logs"]).output().unwrap();
    assert!(output.out().contains("    → about Anthropic's own metrics: proves nothing about ACT"), "{}", output.out());
}

#[test]
fn the_users_own_debug_log_is_followed() {
    let Some(lab) = lab(NEW) else { return };
    let logs = |lab: &Lab| -> Vec<PathBuf> {
        let own = std::fs::read_dir(lab.sandbox.state().join("logs")).into_iter().flatten().flatten();
        own.map(|entry| entry.path()).collect()
    };
    for args in [&["--debug-file", "mine.txt", "-p", "hi"][..], &["--debug", "-p", "hi"]] {
        let output = lab.act_claude("project", &[&["--verify"], args].concat()).output().unwrap();
        check(&output, &format!("{args:?}"), 0, &["log: act-claude's relay accepted the first export"]);
        assert!(logs(&lab).is_empty(), "{args:?}");
    }
    assert!(lab.sandbox.home().join("project/mine.txt").is_file());
    let output = lab.act_claude("project", &["act", "logs", "--json"]).output().unwrap();
    let signs: Vec<Value> = output.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(signs.iter().any(|sign| sign["sign"] == "first_delivered"), "{}", output.out());
}
