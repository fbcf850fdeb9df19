//! `--report json` is one JSON object on standard error for every session, also for one of which nothing is observed.

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, Text};

/// The report of `act-claude --report json -p hi`, with `more` arguments before `-p`.
fn reported(sandbox: &Sandbox, more: &[&str]) -> (i32, Value) {
    let args = [&["--report", "json"], more, &["-p", "hi"]].concat();
    let output = sandbox.act_claude(&args).current_dir(sandbox.directory("project")).output().unwrap();
    let error = output.err();
    assert_eq!(error.lines().count(), 1, "{more:?}: {error}");
    (output.code(), serde_json::from_str(&error).expect("JSON"))
}

fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/metrics");
    let claude = sandbox.script("bin/claude", "#!/bin/sh\nexit 0\n");
    sandbox.path_first(claude.parent().unwrap());
    sandbox
}

fn messages(report: &Value) -> String {
    let messages = report["messages"].as_array().expect("messages");
    messages.iter().map(|message| message.as_str().expect("text")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_session_without_telemetry_says_why() {
    type Change = fn(&mut Sandbox);
    let cases: [(&str, Change, &str, i32); 5] = [
        (
            "a broken configuration",
            |sandbox| _ = sandbox.write(".config/act-claude/config.json", "{"),
            "config.json:1:",
            0,
        ),
        (
            "a directory without a rule",
            |sandbox| {
                let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
                config.as_object_mut().unwrap().remove("directories");
                config.as_object_mut().unwrap().remove("default");
                sandbox.configure(&config);
            },
            "",
            0,
        ),
        (
            "telemetry that is switched off",
            |sandbox| sandbox.set("CLAUDE_CODE_ENABLE_TELEMETRY", "0"),
            "CLAUDE_CODE_ENABLE_TELEMETRY",
            0,
        ),
        (
            "an own pipeline",
            |sandbox| {
                sandbox.set("CLAUDE_CODE_ENABLE_TELEMETRY", "1");
                sandbox.set("OTEL_METRICS_EXPORTER", "otlp");
                sandbox.set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9/own");
            },
            "http://127.0.0.1:9/own",
            0,
        ),
        (
            "a refusal",
            |sandbox| {
                let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
                config["required"] = json!(true);
                config["directories"] = json!({"~": "another"});
                sandbox.configure(&config);
            },
            "another",
            78,
        ),
    ];
    for (what, change, word, code) in cases {
        let mut sandbox = sandbox();
        change(&mut sandbox);
        let (ended, report) = reported(&sandbox, &[]);
        assert_eq!((ended, &report["alias"], &report["state"]), (code, &Value::Null, &Value::Null), "{what}: {report}");
        assert!(messages(&report).contains(word), "{what}: {report}");
    }
}

#[test]
fn what_is_not_observed_is_not_claimed() {
    let sandbox = sandbox();
    let (code, report) = reported(&sandbox, &["--direct"]);
    assert_eq!((code, &report["alias"], &report["state"]), (0, &json!("billing"), &json!("not_observed")), "{report}");
    assert!(messages(&report).contains("sent directly; ACT's answers were not observed"), "{report}");
}

/// What else there is to say is in the report of a session with telemetry, too.
#[test]
fn a_report_has_the_messages_beside_it() {
    let sandbox = sandbox();
    let (code, report) = reported(&sandbox, &[]);
    assert_eq!((code, &report["alias"], report["messages"].as_array().map(Vec::len)), (0, &json!("billing"), Some(0)));
    sandbox.write("project/.act-claude.json", r#"{"alias": "another"}"#);
    let (_, report) = reported(&sandbox, &[]);
    assert!(messages(&report).contains("another"), "{report}");
}

/// ACT gets the exports as before.
#[test]
fn a_fault_because_of_which_a_copy_is_not_made_is_said() {
    let sandbox = sandbox();
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["copies"] = json!({"collector": {"endpont": "http://127.0.0.1:4318"}});
    sandbox.configure(&config);
    let (code, report) = reported(&sandbox, &[]);
    assert_eq!((code, &report["alias"]), (0, &json!("billing")), "{report}");
    assert!(messages(&report).contains("billing: a copy is not made: "), "{report}");
    assert!(messages(&report).contains("did you mean \"endpoint\"?"), "{report}");
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert!(output.err().contains("a copy is not made"), "{}", output.err());
}

/// It may be meant for other programs.
#[test]
fn an_endpoint_that_claude_does_not_use_is_no_pipeline() {
    let on = [("CLAUDE_CODE_ENABLE_TELEMETRY", "1"), ("OTEL_METRICS_EXPORTER", "console,otlp")];
    for variables in [&on[..0], &on[..1], &on[1..], &on] {
        let mut sandbox = sandbox();
        sandbox.set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9/own");
        variables.iter().for_each(|(name, value)| sandbox.set(name, value));
        let (_, report) = reported(&sandbox, &[]);
        let is_left = variables.len() == 2;
        assert_eq!(report["alias"].is_null(), is_left, "{variables:?}: {report}");
        assert_eq!(messages(&report).contains("your metrics go to"), is_left, "{variables:?}: {report}");
    }
    // What decides in claude: not a repository, and the user's settings before the environment. With an unknown name it exports nothing.
    let both = r#"{"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRICS_EXPORTER": "otlp"}}"#;
    let cases = [
        (&[][..], "project/.claude/settings.json", both),
        (&on, ".claude/settings.json", r#"{"env": {"OTEL_METRICS_EXPORTER": "console"}}"#),
        (&on, ".claude/settings.json", r#"{"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": ""}}"#),
        (&[on[0], ("OTEL_METRICS_EXPORTER", "otlp,foo")], ".claude/settings.json", "{}"),
    ];
    for (variables, file, settings) in cases {
        let mut sandbox = sandbox();
        sandbox.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/own");
        variables.iter().for_each(|(name, value)| sandbox.set(name, value));
        sandbox.write(file, settings);
        let (_, report) = reported(&sandbox, &[]);
        assert_eq!(report["alias"], "billing", "{variables:?} {settings}: {report}");
    }
}

/// As `act which` says it, too.
#[test]
fn the_switch_is_understood_or_named() {
    for value in ["off", "OFF", "0", "no"] {
        let mut sandbox = sandbox();
        sandbox.set("ACT_CLAUDE", value);
        let output = sandbox.act_claude(&["--report", "json", "-p", "hi"]).output().unwrap();
        assert_eq!((output.code(), output.err()), (0, String::new()), "{value}: nothing is added to claude");
        let which = sandbox.act_claude(&["act", "which"]).output().unwrap();
        assert_eq!(which.code(), 1, "{value}: {}", which.out());
        assert!(which.out().contains("no telemetry: ACT_CLAUDE is off"), "{value}: {}", which.out());
    }
    let mut sandbox = sandbox();
    sandbox.set("ACT_CLAUDE", "of");
    let (_, report) = reported(&sandbox, &[]);
    assert_eq!(report["alias"], "billing");
    assert!(messages(&report).contains("ACT_CLAUDE is \"of\", which means nothing"), "{report}");
}
