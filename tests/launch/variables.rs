//! The variables claude gets: with `--direct` exactly the eight documented ones, with the relay no token at all.

use std::collections::BTreeMap;

use base64::Engine;

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER};

/// The variables in claude's environment that the sandbox does not have, or that have another value there.
fn added(sandbox: &Sandbox, args: &[&str]) -> BTreeMap<String, String> {
    let output = sandbox.act_claude(args).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    let entries = std::fs::read(sandbox.root().join("environment")).unwrap();
    let entries: Vec<String> =
        entries.split(|byte| *byte == 0).map(|entry| String::from_utf8(entry.to_vec()).unwrap()).collect();
    let found: BTreeMap<String, String> = entries
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(found.len() + 1, entries.len(), "each name once");
    for (name, _) in sandbox.environment().iter().filter(|(name, _)| name != "ACT_CLAUDE_ALIAS") {
        assert!(found.contains_key(name), "{name} is gone");
    }
    // Only programs that are no native claude, such as this stand-in, get this variable.
    let is_chain = |name: &str| name == "ACT_CLAUDE_CHAIN";
    found.into_iter().filter(|(name, value)| !is_chain(name) && sandbox.get(name) != Some(value)).collect()
}

fn sandbox(act: &Act) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    let file = sandbox.root().join("environment");
    fake_claude::install(&mut sandbox, &format!("environment {}", file.display()));
    sandbox.set("ACT_CLAUDE_ALIAS", "billing");
    sandbox.set("SOMETHING", "else");
    sandbox
}

#[test]
fn direct_sets_the_eight_documented_ones_and_nothing_else() {
    let act = Act::start();
    let sandbox = sandbox(&act);
    let credential = base64::engine::general_purpose::STANDARD.encode(format!("BOOMI_TOKEN.{USER}:{TOKEN}"));
    let expected = [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1".to_owned()),
        ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json".to_owned()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", act.endpoint()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            format!("Authorization=Basic {credential},X-Alias-Id=id-billing,Origin=https://claude.ai"),
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "providerType=CUSTOM_PROVIDER,operation=InvokeAgent,promptType=Interactive".to_owned(),
        ),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000".to_owned()),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta".to_owned()),
    ];
    let expected: BTreeMap<String, String> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(added(&sandbox, &["--direct", "-p", "hi"]), expected);
}

#[test]
fn the_relays_hold_no_token_and_keep_what_the_user_had() {
    let act = Act::start();
    let mut sandbox = sandbox(&act);
    sandbox.set("OTEL_METRICS_EXPORTER", "console");
    sandbox.set("OTEL_RESOURCE_ATTRIBUTES", "team=a,operation=Mine");
    sandbox.set("OTEL_LOGS_EXPORTER", "otlp");
    sandbox.set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let found = added(&sandbox, &["-p", "hi"]);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ACT_CLAUDE_ORIG",
            "CLAUDE_CODE_ENABLE_TELEMETRY",
            "CLAUDE_CODE_PROCESS_WRAPPER",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "OTEL_METRICS_EXPORTER",
            "OTEL_METRIC_EXPORT_INTERVAL",
            "OTEL_RESOURCE_ATTRIBUTES",
        ]
    );
    assert_eq!(found["OTEL_METRICS_EXPORTER"], "otlp,console");
    assert_eq!(
        found["OTEL_RESOURCE_ATTRIBUTES"],
        "team=a,providerType=CUSTOM_PROVIDER,operation=InvokeAgent,promptType=Interactive"
    );
    assert!(found["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"].starts_with("http://127.0.0.1:"), "{found:?}");
    assert!(!found.values().any(|value| value.contains(TOKEN) || value.contains("Basic")), "{found:?}");
}

/// The variables of other accounts are removed, too: claude's own tools need none of them. Without a relay act-claude
/// leaves them to the user.
#[test]
fn c1_the_variables_that_hold_tokens_are_gone() {
    let act = Act::start();
    let mut sandbox = sandbox(&act);
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["accounts"]["acme"]["token"] = serde_json::json!({"env": "MY_TOKEN"});
    config["accounts"]["labs"] = config["accounts"]["acme"].clone();
    config["accounts"]["labs"]["token"] = serde_json::json!({"env": "LABS_TOKEN"});
    sandbox.configure(&config);
    sandbox.set("MY_TOKEN", TOKEN);
    sandbox.set("LABS_TOKEN", "another-secret");
    let seen = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        let environment = std::fs::read(sandbox.root().join("environment")).unwrap();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        [TOKEN, "another-secret"].map(|secret| environment.contains(secret))
    };
    assert_eq!(seen(&mut sandbox.act_claude(&["-p", "hi"])), [false, false]);
    let claude = sandbox.root().join("fake/claude");
    assert_eq!(seen(&mut sandbox.act_claude(&[claude.to_str().unwrap(), "-p", "hi"])), [false, false], "launcher form");
    assert_eq!(seen(&mut sandbox.act_claude(&["--no-act", "-p", "hi"])), [true, true]);
}
