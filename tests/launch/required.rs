//! `"required": true`: without telemetry there is no claude, and the exit status is 78.

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
fn what_stands_in_the_way_is_named() {
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
    // What is no session needs no telemetry.
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
