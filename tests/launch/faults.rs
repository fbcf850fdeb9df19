//! A broken configuration or an unavailable token: claude runs, and one line gives the fault, its place and the fix.

use serde_json::json;

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};

/// Runs `-p hi` through a pipe and asserts that claude ran normally. Returns standard error.
fn run(sandbox: &Sandbox, args: &[&str]) -> String {
    let output = sandbox.act_claude(args).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("hi\n", 7), "{}", output.err());
    output.err()
}

#[test]
fn a_broken_configuration() {
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print hi\nexit 7");
    let config = "~/.config/act-claude/config.json";
    for (content, line) in [
        ("{\n  \"accounts\": {},\n}", format!("{config}:2:17: not valid JSON (trailing comma): remove this comma")),
        ("{\n  \"acounts\": {}\n}", format!("{config}:2:3: unknown key \"acounts\": did you mean \"accounts\"?")),
        (
            "{\"default\": \"x\"}",
            format!("{config}:1:13: there is no alias \"x\": no alias is configured: act-claude act setup"),
        ),
        (
            "{\"required\": [], \"report\": \"alway\"}",
            format!("{config}:1:14: required must be true or false, not a list (and 1 more: act-claude act which)"),
        ),
    ] {
        sandbox.write(".config/act-claude/config.json", content);
        assert_eq!(run(&sandbox, &["-p", "hi"]), format!("act-claude: no telemetry: {line}\n"));
    }
    let nowhere = sandbox.home().join("nowhere.json");
    sandbox.set("ACT_CLAUDE_CONFIG", &nowhere);
    let expected = "act-claude: no telemetry: ~/nowhere.json: cannot be read (No such file or directory): correct or unset ACT_CLAUDE_CONFIG\n";
    assert_eq!(run(&sandbox, &["-p", "hi"]), expected);
}

#[test]
fn a_token_that_cannot_be_had() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print hi\npost\nexit 7");
    let readable = sandbox.write("readable", "t");
    let configure = |sandbox: &Sandbox, token: serde_json::Value| {
        sandbox.configure(&json!({
            "accounts": {"acme": {"endpoint": act.endpoint(), "user": "u@example.com", "token": token}},
            "aliases": {"billing": {"account": "acme", "id": "1", "provider_type": "P"}}, "default": "billing"
        }));
    };
    let failing = json!(["sh", "-c", "echo locked >&2; exit 1"]);
    for (token, what, fix) in [
        (
            json!({"file": readable}),
            "the token file ~/readable can be read by others (mode 0644)",
            "chmod 600 ~/readable",
        ),
        (json!({"file": "~/none"}), "the token file ~/none does not exist", ": act-claude act setup --account acme"),
        (json!({"env": "NO_TOKEN"}), "NO_TOKEN", "export NO_TOKEN=…"),
        (
            json!({"command": ["no-such-program"]}),
            "the token command no-such-program is not found",
            "correct \"command\"",
        ),
    ] {
        configure(&sandbox, token);
        for direct in [&["-p", "hi"][..], &["--direct", "-p", "hi"]] {
            let line = run(&sandbox, direct);
            assert!(line.starts_with("act-claude: billing: no telemetry: ") && line.ends_with('\n'), "{line}");
            assert!(line.contains(what) && line.contains(fix), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
    // A failure of the command shows only when it runs: at once with direct delivery, otherwise in the relay.
    configure(&sandbox, json!({"command": failing}));
    let line = run(&sandbox, &["--direct", "-p", "hi"]);
    let words = "the token command `sh` failed with exit status 1";
    assert!(line.starts_with(&format!("act-claude: billing: no telemetry: {words}")), "{line}");
    let line = run(&sandbox, &["-p", "hi"]);
    assert!(line.starts_with(&format!("act-claude: billing: 1 export held: {words}")), "{line}");
    assert!(act.requests().is_empty());
}
