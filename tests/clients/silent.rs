//! B14, nothing sent, with both real clients: a cause that act-claude can correct is corrected, any other is reported.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::client::{self, Lab, NEW, OLD};
use crate::support::failures::configure;
use crate::support::pty::Pty;
use crate::support::sandbox::Text;
use crate::support::system;

const MANAGED: &str = "/etc/claude-code/managed-settings.json";

fn lab(version: &'static str) -> Option<Lab> {
    let lab = Lab::start(version, &["project"])?;
    // One export at the end, however slow the machine is.
    configure(&lab.sandbox, &lab.act.endpoint(), 30_000);
    Some(lab)
}

/// The number of exports of a `-p` run, and act-claude's message with output to a pipe.
fn run(lab: &Lab, args: &[&str], variables: &[(&str, &str)]) -> (usize, String) {
    let mut command = lab.act_claude("project", args);
    command.envs(variables.iter().copied());
    outcome(lab, command)
}

fn outcome(lab: &Lab, mut command: Command) -> (usize, String) {
    let before = lab.act.requests().len();
    let output = command.output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    let said =
        output.err().lines().filter(|line| line.starts_with("act-claude: ")).map(str::to_owned).collect::<Vec<_>>();
    (lab.act.requests().len() - before, said.join("\n"))
}

/// Lists of exporters that keep claude from exporting or make it export twice: with each, exactly one export arrives.
#[test]
fn b14_a_misspelt_exporter_is_corrected() {
    for version in client::BOTH {
        let Some(lab) = lab(version) else { return };
        for list in ["OTLP", "otlp,OTLP", "otlp,otlp", "otlp,logging"] {
            let variable = [("OTEL_METRICS_EXPORTER", list)];
            assert_eq!(run(&lab, &["-p", "hi"], &variable).0, 1, "{version} environment {list:?}");
            let settings = json!({"env": {"OTEL_METRICS_EXPORTER": list}}).to_string();
            lab.sandbox.write(".claude/settings.json", &settings);
            assert_eq!(run(&lab, &["-p", "hi"], &[]).0, 1, "{version} user settings {list:?}");
            std::fs::remove_file(lab.sandbox.home().join(".claude/settings.json")).unwrap();
        }
        let settings = json!({"env": {"OTEL_METRICS_EXPORTER": "otlp,OTLP"}}).to_string();
        assert_eq!(run(&lab, &["--settings", &settings, "-p", "hi"], &[]).0, 1, "{version} --settings");
        lab.sandbox.write("project/.claude/settings.json", &settings);
        assert_eq!(run(&lab, &["-p", "hi"], &[]).0, 1, "{version} project settings");
    }
}

/// Causes that no overlay can override are reported with their place: once with output to a pipe, every time on a
/// terminal.
#[test]
fn b14_a_remaining_cause_is_reported_with_its_place() {
    let stops = |name: &str, word: &str| format!("claude does not know the {name}exporter \"OTLP\" and {word}");
    for version in client::BOTH {
        let managed = json!({"env": {"OTEL_METRICS_EXPORTER": "otlp,OTLP"}}).to_string();
        let logs = json!({"env": {"OTEL_LOGS_EXPORTER": "OTLP"}}).to_string();
        for (file, settings, variables, cause) in [
            (Some(MANAGED), &managed, &[][..], stops("", "exports nothing at all (env.OTEL_METRICS_EXPORTER in /etc")),
            (
                Some(".claude/settings.json"),
                &logs,
                &[],
                stops("logs ", "exports nothing at all (env.OTEL_LOGS_EXPORTER in"),
            ),
            (
                None,
                &logs,
                &[("OTEL_LOGS_EXPORTER", "OTLP")],
                stops("logs ", "exports nothing at all (OTEL_LOGS_EXPORTER in"),
            ),
        ] {
            let Some(lab) = lab(version) else { return };
            let command = || {
                let mut command = lab.act_claude("project", &["-p", "hi"]);
                command.envs(variables.iter().copied());
                match file {
                    Some(MANAGED) => system::with_files(&lab.sandbox, &[(MANAGED, settings)], &command),
                    Some(file) => {
                        lab.sandbox.write(file, settings);
                        Some(command)
                    }
                    None => Some(command),
                }
            };
            let Some(first) = command() else { return };
            let (exports, said) = outcome(&lab, first);
            assert_eq!(exports, 0, "{version} {file:?}: the client exports with it");
            assert!(said.starts_with("act-claude: billing: claude sent no metrics in "), "{version} {file:?}: {said}");
            assert!(said.contains(&cause) && said.lines().count() == 1, "{version} {file:?}: {cause} in {said}");
            assert_eq!(outcome(&lab, command().unwrap()).1, "", "{version} {file:?}: the second time");
            let mut pty = Pty::start(command().unwrap());
            pty.resize(50, 400);
            let (_, screen) = pty.finish();
            assert!(screen.contains(&cause), "{version} {file:?}: {screen}");
            let output = lab.sandbox.act_claude(&["act", "history", "--json"]).output().unwrap();
            let history: Value = serde_json::from_str(&output.out()).unwrap();
            let session = &history["sessions"][0];
            assert_eq!((&session["state"], &session["failed"]), (&json!("nothing_sent"), &json!(true)), "{session}");
            assert!(session["trouble"]["said"].as_str().unwrap().contains(&cause), "{session}");
        }
    }
}

/// The relay ignores headers, so a helper that is used for nothing else is switched off for the session, whether it
/// fails or not.
#[test]
fn b14_a_headers_helper_without_another_use_is_switched_off() {
    for version in client::BOTH {
        let Some(lab) = lab(version) else { return };
        let called = lab.sandbox.home().join("called");
        for body in ["exit 3", "sleep 60"] {
            let helper = lab.sandbox.script("helper", &format!("#!/bin/sh\ntouch {}\n{body}\n", called.display()));
            let settings = json!({"otelHeadersHelper": helper}).to_string();
            for file in [".claude/settings.json", "project/.claude/settings.json"] {
                lab.sandbox.write(file, &settings);
                let (exports, said) = run(&lab, &["-p", "hi"], &[]);
                assert_eq!((exports, said.as_str()), (1, ""), "{version} {file} {body}");
                std::fs::remove_file(lab.sandbox.home().join(file)).unwrap();
            }
            assert_eq!(run(&lab, &["--settings", &settings, "-p", "hi"], &[]).0, 1, "{version} --settings {body}");
        }
        assert!(!called.exists(), "{version}");
    }
}

/// A helper that the user's own logs need stays on. If it fails, this is reported.
#[test]
fn b14_a_failing_headers_helper_is_reported() {
    let logs = [
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:9/v1/logs"),
    ];
    for version in client::BOTH {
        let Some(lab) = lab(version) else { return };
        for (body, exports) in [("echo '{\"X-Own\": \"1\"}'", 1), ("exit 3", 0), ("sleep 60", 0)] {
            let helper =
                lab.sandbox.script(&format!("helper-{exports}-{}", body.len()), &format!("#!/bin/sh\n{body}\n"));
            lab.sandbox.write(".claude/settings.json", json!({"otelHeadersHelper": helper}).to_string());
            let (arrived, said) = run(&lab, &["-p", "hi"], &logs);
            assert_eq!(arrived, exports, "{version} {body}: {said}");
            let cause =
                format!("claude exports only while {:?} succeeds (otelHeadersHelper in ", helper.display().to_string());
            assert_eq!(said.contains(&cause), exports == 0, "{version} {body}: {cause} in {said}");
        }
        // A helper in managed settings can't be switched off. The newer client also drops our endpoint then.
        let settings = json!({"otelHeadersHelper": "exit 3"}).to_string();
        let command = lab.act_claude("project", &["-p", "hi"]);
        let Some(command) = system::with_files(&lab.sandbox, &[(MANAGED, &settings)], &command) else { return };
        let (arrived, said) = outcome(&lab, command);
        assert_eq!(arrived, 0, "{version} managed: {said}");
        assert!(said.contains("otelHeadersHelper in /etc/claude-code/managed-settings.json"), "{version}: {said}");
    }
}

/// Command lines that claude refuses or only answers are no sessions. A session with a failing login exports all the
/// same.
#[test]
fn b14_commands_that_are_no_session_are_not_reported() {
    for version in [OLD, NEW] {
        let Some(mut lab) = lab(version) else { return };
        lab.sandbox.set("OTEL_LOGS_EXPORTER", "OTLP");
        for args in [
            &["-p", "--nonsense", "hi"][..],
            &["-p", "--output-format", "xml", "hi"],
            &["--settings", "/nonexistent.json", "-p", "hi"],
            &["-p", "--help"],
            &["-p", "hi", "--version"],
        ] {
            let mut pty = Pty::start(lab.act_claude("project", args));
            let (_, screen) = pty.finish();
            assert!(!screen.contains("sent no metrics"), "{version} {args:?}: {screen}");
        }
        lab.sandbox.unset("ANTHROPIC_API_KEY");
        let mut pty = Pty::start(lab.act_claude("project", &["-p", "hi"]));
        let (_, screen) = pty.finish();
        assert!(!screen.contains("sent no metrics"), "{version} no login: {screen}");
        lab.sandbox.unset("OTEL_LOGS_EXPORTER");
        let before = lab.act.requests().len();
        Pty::start(lab.act_claude("project", &["-p", "hi"])).finish();
        lab.act.wait_for(before + 1);
    }
}
