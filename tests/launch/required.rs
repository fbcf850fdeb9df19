//! `"required": true`: without telemetry claude is not started, and the exit status is 78.

use serde_json::{Value, json};

use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::system;

fn sandbox(required: Value) -> Sandbox {
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print claude ran");
    let mut config = json!({
        "accounts": {"acme": sandbox.account("https://act.example/m")},
        "aliases": {"billing": {"account": "acme", "id": "1", "provider_type": "P"}},
        "directories": {"~/work": "billing"}
    });
    if !required.is_null() {
        config["required"] = required;
    }
    sandbox.configure(&config);
    sandbox.directory("work");
    sandbox.directory("elsewhere");
    sandbox
}

fn refused(output: &std::process::Output, why: &str) {
    assert_eq!((output.code(), output.out().as_str()), (78, ""), "{}", output.err());
    assert!(output.err().contains(why), "{why}: {}", output.err());
    assert_eq!(output.err().lines().count(), 1, "{}", output.err());
}

#[test]
fn the_reason_is_named() {
    let mut sandbox = sandbox(json!(true));
    let run = |sandbox: &Sandbox, directory: &str, args: &[&str]| {
        sandbox.act_claude(args).current_dir(sandbox.home().join(directory)).output().unwrap()
    };
    refused(&run(&sandbox, "elsewhere", &["-p", "hi"]), "no rule covers");
    refused(&run(&sandbox, "work", &["--no-act", "-p", "hi"]), "telemetry can't be switched off: it is required by");
    sandbox.set("ACT_CLAUDE", "off");
    refused(&run(&sandbox, "work", &["-p", "hi"]), "telemetry can't be switched off: it is required by");
    sandbox.unset("ACT_CLAUDE");
    sandbox.set("CLAUDE_CODE_ENABLE_TELEMETRY", "0");
    refused(&run(&sandbox, "work", &["-p", "hi"]), "CLAUDE_CODE_ENABLE_TELEMETRY in the environment is 0");
    sandbox.unset("CLAUDE_CODE_ENABLE_TELEMETRY");
    std::fs::remove_file(sandbox.home().join("token")).unwrap();
    refused(&run(&sandbox, "work", &["-p", "hi"]), "does not exist");
    // A command line that is no session needs no telemetry.
    assert_eq!(run(&sandbox, "work", &["--version"]).out(), "claude ran\n");
}

#[test]
fn a_fault_elsewhere_does_not_lower_it() {
    let sandbox = sandbox(json!(true));
    let text = std::fs::read_to_string(sandbox.config_file()).unwrap().replace("\"aliases\"", "\"alliases\"");
    sandbox.write(".config/act-claude/config.json", text);
    let output = sandbox.act_claude(&["-p", "hi"]).current_dir(sandbox.home().join("work")).output().unwrap();
    refused(&output, "unknown key \"alliases\": did you mean \"aliases\"?");
}

#[test]
fn in_the_system_layer_only() {
    let sandbox = sandbox(json!(false));
    for (directory, args, why) in [
        ("elsewhere", &["-p", "hi"][..], "no rule covers"),
        ("work", &["--no-act", "-p", "hi"], "required by /etc/act-claude/config.json:1:14"),
    ] {
        let mut command = sandbox.act_claude(args);
        command.current_dir(sandbox.home().join(directory));
        let files = [("/etc/act-claude/config.json", "{\"required\": true}")];
        let Some(mut command) = system::with_files(&sandbox, &files, &command) else { return };
        refused(&command.output().unwrap(), why);
    }
}

/// Managed settings that redirect exports can't be overridden: no session is started, and the message gives the place
/// and the fix.
#[test]
fn managed_settings_that_redirect_exports() {
    const FILE: &str = "/etc/claude-code/managed-settings.json";
    let run = |sandbox: &Sandbox, env: Value, args: &[&str]| {
        let mut command = sandbox.act_claude(args);
        command.current_dir(sandbox.home().join("work"));
        let files = [(FILE, &*json!({"env": env}).to_string())];
        Some(system::with_files(sandbox, &files, &command)?.output().unwrap())
    };
    let (required, free) = (sandbox(json!(true)), sandbox(json!(false)));
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9/elsewhere"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b"),
    ] {
        // The header makes the endpoint part of the guide's recipe, not a pipeline of the user.
        let env = json!({name: value, "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "X-Alias-Id=x"});
        let Some(output) = run(&required, env.clone(), &["-p", "hi"]) else { return };
        refused(&output, &format!("env.{name} in {FILE}"));
        for word in ["ask whoever manages", "telemetry is required by"] {
            assert!(output.err().contains(word), "{name}: {word}: {}", output.err());
        }
        // Claude runs if the command line is no session, or if telemetry is not required.
        for (sandbox, args) in [(&required, &["mcp", "list"]), (&free, &["-p", "hi"])] {
            let output = run(sandbox, env.clone(), args).unwrap();
            assert_eq!((output.code(), output.out().as_str()), (0, "claude ran\n"), "{name} {args:?} {}", output.err());
        }
    }
    // Settings that can be overridden are no reason.
    let user = json!({"env": {"OTEL_METRICS_EXPORTER": "console"}});
    required.write(".claude/settings.json", user.to_string());
    let output = run(&required, json!({}), &["-p", "hi"]).unwrap();
    assert_eq!((output.code(), output.out().as_str()), (0, "claude ran\n"), "{}", output.err());
}
