//! Every command that README and docs show is run: by this test, or by the test named here.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use crate::support::act::Act;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{act_claude, fake_claude, program};

/// Commands that another test runs.
const ELSEWHERE: &[(&str, &str)] = &[
    ("act-claude act demo", "tests/commands/demo.rs"),
    ("act-claude act demo --fail 401", "tests/commands/demo.rs"),
    ("act-claude act relay", "delivery: hidden, and started by act-claude itself"),
    ("act-claude act receive", "tests/receive.rs: it runs until it is ended"),
    ("act-claude act receive --port 4318", "tests/receive.rs"),
    ("act-claude act receive --port 4318 --fail 429", "tests/receive.rs: it runs until it is ended"),
    ("act-claude act setup --spec billing.yaml", "commands::setup_dialogue"),
    ("act-claude act shell-init fish | source", "commands::shell, in fish"),
    ("eval \"$(act-claude act shell-init zsh)\"", "commands::shell, in zsh"),
    ("act-claude act setup", "commands::setup_dialogue: it asks"),
    ("act-claude act setup --account acme", "commands::setup_token"),
    ("act-claude act setup --account acme --user ME", "commands::fleet"),
    ("act-claude act setup --yes --account acme --user \"$ACT_USER\" --token-env ACT_TOKEN \\", "commands::fleet"),
    (
        "act-claude act setup --yes --no-check --account acme --user \"$ACT_USER\" --token-env ACT_TOKEN \\",
        "commands::fleet",
    ),
    ("act-claude act setup --spec billing.yaml", "commands::setup_dialogue"),
    ("act-claude act setup --from-settings", "commands::setup_settings"),
    ("act-claude act setup --yes …", "commands::setup_spec"),
    ("act-claude act uninstall", "commands::uninstall: it asks first"),
    ("act-claude act COMMAND --help", "commands::reference: each command has its own"),
    ("act-claude /path/to/claude ARGS…", "clients::background, by the real clients"),
    ("act-claude /path/to/its/claude …", "clients, in the editors' form"),
];

/// Commands whose exit status in this test's home is not 0.
const STATUS: [(&str, &[i32]); 11] = [
    // One of its findings: no shell has the alias.
    ("act-claude act doctor", &[0, 1]),
    ("act-claude act doctor --bundle doctor.json", &[0, 1]),
    // The stand-in's answers do not prove that the alias is good.
    ("act-claude act check", &[0, 69]),
    ("act-claude act check billing", &[0, 69]),
    ("act-claude act check --all", &[0, 69]),
    ("act-claude act check --all --json", &[0, 69]),
    // The stand-in for claude sends nothing.
    ("claude --verify …", &[69]),
    ("claude --verify -p \"say hello\"", &[69]),
    // The stand-in for claude writes no log.
    ("act-claude act logs", &[1]),
    ("act-claude act logs -f", &[1]),
    ("act-claude act logs --follow", &[1]),
];

/// The commands in a text: in `sh` blocks, on indented lines, between back quotes.
fn shown(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut fence = None;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            fence = fence.is_none().then_some(kind);
            continue;
        }
        match fence {
            Some("sh") => _ = found.insert(line),
            Some(_) => {}
            None if line.starts_with("    ") => _ = found.insert(line),
            None => found.extend(line.split('`').skip(1).step_by(2)),
        }
    }
    let commands = found.into_iter().map(|line| {
        let line = line.split("  #").next().unwrap_or_default().split(" # ").next().unwrap_or_default().trim();
        line.strip_prefix("$ ").unwrap_or(line)
    });
    commands.filter(|command| is_ours(command)).map(str::to_owned).collect()
}

/// Whether a command starts with act-claude or its alias, possibly after variables, or evaluates act-claude's output.
fn is_ours(command: &str) -> bool {
    let mut words = command.split(' ').skip_while(|word| word.starts_with("ACT_CLAUDE") && word.contains('='));
    match words.next() {
        Some("act-claude" | "claude") => true,
        Some("eval") => command.contains("act-claude"),
        _ => false,
    }
}

#[test]
fn commands_are_run() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(top.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let files = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut commands = BTreeSet::new();
    for file in files.chain([top.join("README.md")]) {
        commands.extend(shown(&std::fs::read_to_string(file).unwrap()));
    }
    assert!(commands.contains("act-claude act which"), "{commands:?}");
    assert!(program("bash").is_some() || std::env::var_os("CI").is_none());
    let act = Act::start();
    for command in commands {
        // A program's name alone, or a command with placeholders.
        let is_name = command == "claude" || command == "act-claude" || command.ends_with(" act");
        if is_name || ELSEWHERE.iter().any(|(shown, _)| *shown == command) {
            continue;
        }
        let mut sandbox = Sandbox::new();
        let account = sandbox.account(&act.endpoint());
        let alias = |id| json!({"account": "acme", "id": id, "provider_type": "P"});
        sandbox.configure(&json!({
            "accounts": {"acme": account},
            "aliases": {"billing": alias("id-billing"), "web": alias("id-web")},
            "directories": {"~": "billing"}
        }));
        sandbox.directory("work/billing");
        if command.contains("--repo") || command.contains("--clones") {
            let script = "git init -q && git remote add origin https://github.com/acme/billing.git";
            assert!(sandbox.command("sh").args(["-c", script]).status().unwrap().success());
        }
        fake_claude::install(&mut sandbox, "print hi");
        sandbox.path_first(act_claude().parent().unwrap());
        let script = format!("claude() {{ act-claude \"$@\"; }}; {}", command.replace('…', "-p hi"));
        let output = sandbox.command("timeout").args(["60", "bash", "-c", &script]).output().unwrap();
        let allowed = STATUS.iter().find(|(shown, _)| *shown == command).map_or(&[0][..], |(_, allowed)| allowed);
        assert!(allowed.contains(&output.code()), "{command}: {}{}", output.out(), output.err());
    }
}
