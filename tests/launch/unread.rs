//! A settings layer that exists but can't be understood is not treated as absent, because claude may read it.
//! `--direct` starts no telemetry; the relay's variables override it where this is possible, and otherwise
//! act-claude reports it; `required` refuses only in the latter case.

use std::path::PathBuf;
use std::process::Output;

use serde_json::json;

use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text};
use crate::support::system;

const MANAGED: &str = "/etc/claude-code/managed-settings.json";

/// The layer that can't be understood.
#[derive(Debug, Clone, Copy)]
enum Layer {
    User,
    Project,
    Argument,
    Managed,
}

struct Seen {
    output: Output,
    environment: String,
    arguments: String,
}

fn run(layer: Layer, required: bool, flags: &[&str]) -> Option<Seen> {
    let mut sandbox = Sandbox::new();
    let note = |name: &str| sandbox.root().join(name);
    let (environment, arguments) = (note("environment"), note("arguments"));
    let script = format!("environment {}\narguments {}", environment.display(), arguments.display());
    fake_claude::install(&mut sandbox, &script);
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account("https://act.example/m")},
        "aliases": {"billing": {"account": "acme", "id": "1", "provider_type": "P"}},
        "directories": {"~": "billing"}, "required": required
    }));
    sandbox.directory("project/.claude");
    sandbox.directory(".claude");
    let pipe = |name: &str| {
        let path = sandbox.home().join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        path
    };
    let mut command = sandbox.act_claude(flags);
    command.env("ACT_CLAUDE_REPORT", "always").current_dir(sandbox.home().join("project"));
    match layer {
        Layer::User => drop(pipe(".claude/settings.json")),
        Layer::Project => drop(pipe("project/.claude/settings.json")),
        Layer::Argument => drop(command.arg("--settings").arg(pipe("given.json"))),
        Layer::Managed => {
            let program = json!({"policyHelper": {"path": "/bin/true"}}).to_string();
            command.args(["-p", "hi"]);
            command = system::with_files(&sandbox, &[(MANAGED, program)], &command)?;
        }
    }
    if !matches!(layer, Layer::Managed) {
        command.args(["-p", "hi"]);
    }
    let output = command.output().unwrap();
    let text = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    Some(Seen { output, environment: text(&environment), arguments: text(&arguments) })
}

/// The name and the reason in act-claude's message.
fn named(layer: Layer) -> (&'static str, &'static str) {
    match layer {
        Layer::User => ("~/.claude/settings.json", "is a pipe"),
        Layer::Project => ("~/project/.claude/settings.json", "is a pipe"),
        Layer::Argument => ("~/given.json", "is a pipe"),
        Layer::Managed => (MANAGED, "takes the managed settings from a program"),
    }
}

const LAYERS: [Layer; 4] = [Layer::User, Layer::Project, Layer::Argument, Layer::Managed];

#[test]
fn direct_starts_no_telemetry() {
    for layer in LAYERS {
        let Some(seen) = run(layer, false, &["--direct"]) else { return };
        let err = seen.output.err();
        assert_eq!(seen.output.code(), 0, "{layer:?}: {err}");
        assert!(!seen.environment.is_empty(), "{layer:?}: claude ran: {err}");
        assert!(!seen.environment.contains("Authorization") && !seen.environment.contains(TOKEN), "{layer:?}");
        let (path, reason) = named(layer);
        for word in [path, reason, "no telemetry", "elsewhere"] {
            assert!(err.contains(word), "{layer:?}: {word}: {err}");
        }
        assert_eq!(err.lines().count(), 1, "{layer:?}: {err}");
        let Some(seen) = run(layer, true, &["--direct"]) else { return };
        assert_eq!(seen.output.code(), 78, "{layer:?}: {}", seen.output.err());
    }
}

#[test]
fn the_relay_goes_on_top_or_says_that_it_can_not() {
    for layer in LAYERS {
        let Some(seen) = run(layer, false, &[]) else { return };
        let err = seen.output.err();
        assert_eq!(seen.output.code(), 0, "{layer:?}: {err}");
        assert!(seen.environment.contains("METRICS_ENDPOINT=http://127.0.0.1:"), "{layer:?}: {err}");
        let overridden = matches!(layer, Layer::User | Layer::Project);
        assert_eq!(seen.arguments.contains("/act-claude/overlay/"), overridden, "{layer:?}: {}", seen.arguments);
        let (path, reason) = named(layer);
        let said = err.contains(path) && err.contains(reason) && err.contains("is not known");
        assert_eq!(said, !overridden, "{layer:?}: {err}");
    }
}

#[test]
fn required_refuses_only_what_can_t_be_overridden() {
    for layer in LAYERS {
        let Some(seen) = run(layer, true, &[]) else { return };
        let overridden = matches!(layer, Layer::User | Layer::Project);
        let (err, code) = (seen.output.err(), seen.output.code());
        assert_eq!(
            (code, seen.environment.is_empty()),
            if overridden { (0, false) } else { (78, true) },
            "{layer:?}: {err}"
        );
    }
    // Without an overlay it is unknown which value claude uses.
    let Some(seen) = run(Layer::User, true, &["--bg"]) else { return };
    assert_eq!(seen.output.code(), 78, "{}", seen.output.err());
}
