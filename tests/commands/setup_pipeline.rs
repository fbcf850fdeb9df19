//! `act setup` beside a metrics pipeline of the user's own: what it says, asks and writes. No output repeats its headers.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::system;

const CANARY: &str = "glc_c4n4ry9f8e7d6c5b4a3928";
const VALUES: [&str; 16] = [
    "act",
    "setup",
    "--no-check",
    "--endpoint",
    "acme-A1",
    "--user",
    "u@x.test",
    "--id",
    "i",
    "--provider-type",
    "P",
    "--name",
    "billing",
    "--default",
    "--token-env",
    "T",
];

/// A home whose environment names a pipeline, with a header.
fn sandbox(protocol: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    for (name, value) in [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", &format!("Authorization=Bearer%20{CANARY}")),
        ("OTEL_METRIC_EXPORT_INTERVAL", "60000"),
        ("T", "canary-token"),
    ] {
        sandbox.set(name, value);
    }
    sandbox
}

fn setup(sandbox: &Sandbox, more: &[&str]) -> Command {
    sandbox.act_claude(&[&VALUES[..], more].concat())
}

/// The output, in which no header's value is, and what was printed as one line.
fn run(mut command: Command) -> (Output, String) {
    let output = command.output().unwrap();
    let all = output.out() + &output.err();
    assert!(!all.contains(CANARY), "{all}");
    let words = all.split_whitespace().collect::<Vec<_>>().join(" ");
    (output, words)
}

fn config(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap()
}

const THERE: &str = "Your metrics go to http://collector.example:4318/v1/metrics (OTEL_EXPORTER_OTLP_ENDPOINT in the \
                     environment).";

#[test]
fn without_a_terminal_it_stays_and_the_flag_is_named() {
    let sandbox = sandbox("http/json");
    let (output, words) = run(setup(&sandbox, &["--yes"]));
    assert_eq!(output.code(), 0, "{words}");
    let said = "For ACT, claude exports every 5 s (so far every 60 s). They stay there, and ACT gets nothing (to send them to \
                both: --own-pipeline copy; to ACT only: --own-pipeline replace).";
    assert!(words.contains(&format!("{THERE} {said}")), "{words}");
    assert_eq!(config(&sandbox).get("own_pipeline"), None);
}

#[test]
fn the_flag_decides() {
    let sandbox = sandbox("http/json");
    for own in ["leave", "copy", "replace"] {
        let (output, words) = run(setup(&sandbox, &["--json", "--own-pipeline", own]));
        assert_eq!(output.code(), 0, "{words}");
        let printed: Value = serde_json::from_str(&output.out()).unwrap();
        assert_eq!((&printed["own_pipeline"], &config(&sandbox)["own_pipeline"]), (&json!(own), &json!(own)));
        assert_eq!(words.contains("To check the copy for your own pipeline: act-claude act check"), own == "copy");
    }
    // Where the configuration says it, nothing more is said.
    let (_, words) = run(setup(&sandbox, &["--yes"]));
    assert!(!words.contains("Your metrics go"), "{words}");
    let (output, words) = run(setup(&sandbox, &["--own-pipeline", "both"]));
    assert_eq!(output.code(), 64, "{words}");
}

#[test]
fn the_flag_replaces_the_older_form() {
    let sandbox = sandbox("http/json");
    sandbox.configure(&json!({"replace_endpoint": true}));
    let (_, words) = run(setup(&sandbox, &["--yes"]));
    assert!(!words.contains("Your metrics go"), "{words}");
    assert_eq!(config(&sandbox)["replace_endpoint"], true);
    let (output, words) = run(setup(&sandbox, &["--own-pipeline", "copy"]));
    assert_eq!(output.code(), 0, "{words}");
    let config = config(&sandbox);
    assert_eq!((config.get("replace_endpoint"), &config["own_pipeline"]), (None, &json!("copy")));
}

#[test]
fn what_can_t_be_copied_is_left_or_replaced() {
    let sandbox = sandbox("grpc");
    let why =
        "its protocol is \"grpc\" (OTEL_EXPORTER_OTLP_PROTOCOL in the environment), and only http/json can be copied";
    let (output, words) = run(setup(&sandbox, &["--own-pipeline", "copy"]));
    assert_eq!(output.code(), 64);
    assert!(words.ends_with(&format!("--own-pipeline: your own pipeline can't get a copy: {why}")), "{words}");
    assert!(!sandbox.config_file().exists());
    let (output, words) = run(setup(&sandbox, &["--yes"]));
    let said = format!(
        "{THERE} That can't get a copy: {why}. They stay there, and ACT gets nothing (to ACT only: --own-pipeline replace)."
    );
    assert!(output.code() == 0 && words.contains(&said), "{words}");
    let mut pty = Pty::start(setup(&sandbox, &[]));
    let screen = pty.wait_for("send them to ACT only");
    assert!(!screen.contains("send them to both"), "{screen}");
    pty.send("\x1b[B\r");
    let (status, screen) = pty.finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(config(&sandbox)["own_pipeline"], "replace");
}

#[test]
fn direct_delivery_makes_no_copies() {
    let sandbox = sandbox("http/json");
    sandbox.configure(&json!({"delivery": "direct"}));
    let (output, words) = run(setup(&sandbox, &["--own-pipeline", "copy"]));
    assert!(output.code() == 64 && words.ends_with("can't get a copy: direct delivery makes no copies"), "{words}");
}

#[test]
fn on_a_terminal_it_is_asked() {
    for (term, keys, expected) in [
        ("xterm-256color", "\r", "leave"),
        ("xterm-256color", "\x1b[B\r", "copy"),
        ("xterm-256color", "\x1b[B\x1b[B\r", "replace"),
        ("dumb", "\r", "leave"),
        ("dumb", "2\r", "copy"),
    ] {
        let mut sandbox = sandbox("http/json");
        sandbox.set("TERM", term);
        let mut pty = Pty::start(setup(&sandbox, &[]));
        let screen = pty.wait_for("send them to ACT only");
        let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            THERE,
            "For ACT, claude exports every 5 s (so far every 60 s).",
            "What should happen with your metrics",
            "leave them there (ACT gets nothing)",
            "send them to both (act-claude sends a copy there)",
        ] {
            assert!(words.contains(part), "{part}: {screen}");
        }
        pty.send(keys);
        let (status, screen) = pty.finish();
        assert_eq!(status.code(), Some(0), "{screen}");
        assert_eq!(config(&sandbox)["own_pipeline"], expected, "{term}");
        assert!(!String::from_utf8_lossy(&pty.raw()).contains(CANARY));
        // It is asked once.
        let (_, words) = run(setup(&sandbox, &["--yes"]));
        assert!(!words.contains("Your metrics go"), "{words}");
    }
}

#[test]
fn what_the_company_decides_is_not_asked() {
    let sandbox = sandbox("http/json");
    let managed = r#"{"env": {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://company.example/v1/metrics"}}"#;
    let path = "/etc/claude-code/managed-settings.json";
    let within = |more: &[&str]| system::with_files(&sandbox, &[(path, managed)], &setup(&sandbox, more));
    let Some(command) = within(&["--yes"]) else { return };
    let (output, words) = run(command);
    let said = "They stay there: managed settings take precedence over act-claude, so ACT gets nothing where they name the \
                endpoint.";
    assert!(output.code() == 0 && words.contains(said), "{words}");
    let (output, words) = run(within(&["--own-pipeline", "copy"]).unwrap());
    assert!(output.code() == 64 && words.contains("managed settings take precedence over act-claude"), "{words}");
}

/// The documented recipe in claude's own settings leads to ACT: it is no pipeline of the user's own.
#[test]
fn the_recipe_is_no_pipeline() {
    let mut sandbox = sandbox("http/json");
    sandbox.set("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic eDp5,X-Alias-Id=i");
    let (_, words) = run(setup(&sandbox, &["--yes"]));
    assert!(!words.contains("Your metrics go"), "{words}");
    sandbox.unset("OTEL_EXPORTER_OTLP_HEADERS");
    let url = "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1/otlp/public/metrics";
    sandbox.set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", url);
    std::fs::remove_file(sandbox.config_file()).unwrap();
    let (output, words) = run(setup(&sandbox, &["--yes"]));
    assert!(output.code() == 0 && !words.contains("Your metrics go"), "{words}");
}
