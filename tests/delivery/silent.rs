//! B14, nothing sent: when and where this is reported, with which cause, and what `act history` stores of it.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};

const MISSPELT: (&str, &str) = ("OTEL_LOGS_EXPORTER", "OTLP");
const CAUSE: &str = "claude does not know the logs exporter \"OTLP\" and exports nothing at all \
                     (OTEL_LOGS_EXPORTER in the environment)";

fn sandbox(script: &str, variables: &[(&str, &str)]) -> (Sandbox, Act) {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, script);
    sandbox.configure_one(&act.endpoint());
    sandbox.set("NO_COLOR", "1");
    variables.iter().for_each(|(name, value)| sandbox.set(name, value));
    (sandbox, act)
}

/// The text on the terminal at the end, with wrapped lines joined.
fn on_terminal(command: Command) -> String {
    let mut pty = Pty::start(command);
    pty.finish();
    String::from_utf8_lossy(&pty.raw()).replace("\r\n", "\n").replace('\r', "")
}

fn piped(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.act_claude(args).output().unwrap().err()
}

fn history(sandbox: &Sandbox) -> Vec<Value> {
    let output = sandbox.act_claude(&["act", "history", "--json"]).output().unwrap();
    let history: Value = serde_json::from_str(&output.out()).expect("JSON");
    history["sessions"].as_array().expect("a list").clone()
}

#[test]
fn b14_a_print_run_that_ended_well_has_exported() {
    let (sandbox, _act) = sandbox("print x\nexit 0", &[]);
    for args in [&["-p", "hi"][..], &["hi there", "--print"], &["-pc", "hi"]] {
        let text = on_terminal(sandbox.act_claude(args));
        assert!(text.contains("act-claude: billing: claude sent no metrics in 0s\n"), "{args:?}: {text}");
        // Without a known cause it is reported on a terminal only.
        assert_eq!(piped(&sandbox, args), "", "{args:?}");
        let always = piped(&sandbox, &[args, &["--report", "always"]].concat());
        assert!(always.starts_with("act-claude: billing: claude sent no metrics in "), "{args:?}: {always}");
    }
}

#[test]
fn b14_a_known_cause_is_reported_in_a_pipe_once_a_day() {
    let (sandbox, _act) = sandbox("print x\nexit 0", &[MISSPELT]);
    let fix = "correct OTEL_LOGS_EXPORTER, or: unset OTEL_LOGS_EXPORTER";
    let line = piped(&sandbox, &["-p", "hi"]);
    assert!(line.starts_with("act-claude: billing: claude sent no metrics in "), "{line}");
    assert!(line.ends_with(&format!(": {CAUSE}: {fix}\n")) && line.lines().count() == 1, "{line}");
    // In another directory the cause is the same, so it is not reported again.
    let mut elsewhere = sandbox.act_claude(&["-p", "hi"]);
    elsewhere.current_dir(sandbox.directory("elsewhere"));
    assert_eq!(elsewhere.output().unwrap().err(), "");
    assert_eq!(piped(&sandbox, &["-p", "hi", "--report", "never"]), "");
    // On a terminal it is reported every time, in one line.
    for _ in 0..2 {
        let text = on_terminal(sandbox.act_claude(&["-p", "hi"]));
        assert_eq!(text.matches("act-claude: ").count(), 1, "{text}");
        assert!(text.contains(CAUSE), "{text}");
    }
    let json: Value = serde_json::from_str(piped(&sandbox, &["-p", "hi", "--report", "json"]).trim()).expect("JSON");
    assert_eq!((&json["state"], &json["fix"]), (&json!("nothing_sent"), &json!(fix)));
    assert_eq!(json["said"], json!(CAUSE));
}

/// Runs with another end may have had no telemetry yet: a usage error, a help text, a first screen that the user left,
/// a signal.
#[test]
fn b14_runs_that_need_not_export_are_not_reported() {
    for (script, args) in [
        ("exit 1", &["-p", "hi"][..]),
        ("exit 143", &["-p", "hi"]),
        ("kill 15", &["-p", "hi"]),
        ("exit 0", &["-p", "--help"]),
        ("exit 0", &["-p", "hi", "--version"]),
        ("exit 0", &["--help"]),
        ("exit 0", &["mcp", "list"]),
        ("exit 0", &["mcp", "add", "x", "--", "-p"]),
        ("exit 0", &["--bg", "-p", "hi"]),
        ("exit 0", &["hi there"]),
        ("exit 0", &["--append-system-prompt", "x", "--", "-p"]),
    ] {
        let (sandbox, _act) = sandbox(script, &[MISSPELT]);
        let text = on_terminal(sandbox.act_claude(args));
        assert!(!text.contains("sent no metrics"), "{script} {args:?}: {text}");
        assert!(!piped(&sandbox, args).contains("sent no metrics"), "{script} {args:?}");
    }
    // What the user chose is not reported with output to a pipe, and is not called "nothing sent".
    let on = ("CLAUDE_CODE_ENABLE_TELEMETRY", "1");
    for variables in [
        &[("OTEL_METRICS_EXPORTER", "none"), MISSPELT][..],
        &[("OTEL_METRICS_EXPORTER", "None"), MISSPELT],
        &[("CLAUDE_CODE_ENABLE_TELEMETRY", "0"), MISSPELT],
        &[on, ("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9/own")],
    ] {
        let (sandbox, _act) = sandbox("exit 0", variables);
        assert_eq!(piped(&sandbox, &["-p", "hi"]), "", "{variables:?}");
        let text = on_terminal(sandbox.act_claude(&["-p", "hi"]));
        assert!(text.contains("no telemetry") && !text.contains("sent no metrics"), "{variables:?}: {text}");
    }
}

/// A session of more than two export intervals, with any exit status except that of a refusal (1).
#[test]
fn b14_a_long_session_has_exported() {
    for (end, args, said) in [
        ("exit 0", &[][..], true),
        ("exit 143", &[], true),
        ("kill 1", &["hi there"], true),
        ("exit 1", &[], false),
        ("exit 1", &["-p", "hi"], true),
        ("exit 0", &["mcp", "serve"], false),
    ] {
        let (sandbox, act) = sandbox("", &[MISSPELT]);
        let text = std::fs::read_to_string(sandbox.config_file()).unwrap();
        sandbox.write(".config/act-claude/config.json", text.replacen('{', "{\"export_interval_ms\": 100,", 1));
        let (ready, go): (PathBuf, PathBuf) = (sandbox.root().join("ready"), sandbox.root().join("go"));
        let script = format!("touch {}\nwait {}\n{end}", ready.display(), go.display());
        let mut command = sandbox.act_claude(args);
        command.env("FAKE_CLAUDE", script);
        let mut pty = Pty::start(command);
        crate::support::eventually("claude runs", || ready.exists().then_some(()));
        // The time itself is tested: two intervals are 200 ms.
        let start = Instant::now();
        crate::support::eventually("the time is over", || (start.elapsed() > Duration::from_millis(300)).then_some(()));
        std::fs::write(go, "").unwrap();
        pty.finish();
        let text = String::from_utf8_lossy(&pty.raw()).into_owned();
        assert_eq!(text.contains("claude sent no metrics in 0s: claude does not know"), said, "{end} {args:?}: {text}");
        assert!(act.requests().is_empty());
        let failed = history(&sandbox).iter().any(|session| session["failed"] == json!(true));
        assert_eq!(failed, said, "{end} {args:?}: {:?}", history(&sandbox));
    }
}

#[test]
fn b14_history_has_the_state_and_the_cause() {
    // Claude waits, so that the relay is started.
    let (mut sandbox, _act) = sandbox("", &[MISSPELT]);
    let ready = sandbox.root().join("ready");
    sandbox.set("FAKE_CLAUDE", format!("wait {}\nexit 0", ready.display()));
    let mut child = sandbox.act_claude(&["-p", "hi"]).spawn().unwrap();
    crate::support::eventually("a record", || (!history(&sandbox).is_empty()).then_some(()));
    std::fs::write(ready, "").unwrap();
    assert!(child.wait().unwrap().success());
    crate::support::eventually("the end", || history(&sandbox)[0]["end"].is_string().then_some(()));
    let sessions = history(&sandbox);
    let session = &sessions[0];
    assert_eq!((&session["state"], &session["failed"]), (&json!("nothing_sent"), &json!(true)), "{session}");
    assert_eq!(session["trouble"]["said"], json!(CAUSE));
    let text = sandbox.act_claude(&["act", "history", "--failed"]).output().unwrap().out();
    let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed.contains("billing nothing sent"), "{text}");
    assert!(squeezed.contains(&format!("claude sent no metrics: {CAUSE}: correct")), "{text}");
}

#[test]
fn b14_one_export_is_enough() {
    let (sandbox, act) = sandbox("post\nexit 0", &[MISSPELT]);
    let text = on_terminal(sandbox.act_claude(&["-p", "hi"]));
    assert!(!text.contains("sent no metrics"), "{text}");
    act.wait_for(1);
    assert!(history(&sandbox).iter().all(|session| session["state"] != json!("nothing_sent")));
}

/// An exporter's name that claude does not know is left out, and reported once a day on a terminal. Another spelling of
/// OTLP is not reported.
#[test]
fn a_misspelt_exporter_is_left_out_and_named() {
    for (list, given, named) in [("otpl,console", "otlp,console", true), ("OTLP", "otlp", false)] {
        let (mut sandbox, _act) = sandbox("", &[("OTEL_METRICS_EXPORTER", list)]);
        let seen = sandbox.root().join("environment");
        sandbox.set("FAKE_CLAUDE", format!("environment {}\npost\nexit 0", seen.display()));
        let text = on_terminal(sandbox.act_claude(&["-p", "hi"]));
        let words = "OTEL_METRICS_EXPORTER names \"otpl\", an exporter that claude does not know: left out";
        assert_eq!(text.contains(words), named, "{list}: {text}");
        assert!(!on_terminal(sandbox.act_claude(&["-p", "hi"])).contains(words), "{list}: the second time");
        let variables = std::fs::read_to_string(seen).unwrap();
        assert!(variables.split('\0').any(|line| line == format!("OTEL_METRICS_EXPORTER={given}")), "{list}");
    }
}
