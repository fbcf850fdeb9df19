//! C1: the token is in the relay's memory and nowhere else.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::support::act::{Act, refused};
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER, snapshot};
use crate::support::{eventually, fake_claude, process};

/// The token, and the credential as it is sent, which is equally secret.
fn secrets() -> [Vec<u8>; 2] {
    use base64::Engine;
    let credential = base64::engine::general_purpose::STANDARD.encode(format!("BOOMI_TOKEN.{USER}:{TOKEN}"));
    [TOKEN.as_bytes().to_vec(), credential.into_bytes()]
}

fn holds_secret(bytes: &[u8]) -> bool {
    secrets().iter().any(|secret| memchr::memmem::find(bytes, secret).is_some())
}

/// Sources of the token, and whether the environment of act-claude's own processes may contain it.
fn sources(sandbox: &Sandbox) -> [(serde_json::Value, bool); 3] {
    let file = sandbox.home().join("token");
    let command = json!({"command": ["cat", file]});
    [(json!({"file": file}), false), (command, false), (json!({"env": "MY_TOKEN"}), true)]
}

#[test]
fn c1_nowhere_in_the_process_tree_or_the_files() {
    let own = passed_on();
    for case in 0..3 {
        let act = Act::start();
        let mut sandbox = Sandbox::new();
        let account = sandbox.account(&act.endpoint());
        let (source, by_environment) = sources(&sandbox)[case].clone();
        if by_environment {
            sandbox.set("MY_TOKEN", TOKEN);
        }
        sandbox.set("ACT_CLAUDE_LOG", "debug");
        let mut config = json!({
            "accounts": {"acme": account}, "default": "billing",
            "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P"}}
        });
        config["accounts"]["acme"]["token"] = source;
        sandbox.configure(&config);
        let (here, go) = (sandbox.root().join("here"), sandbox.root().join("go"));
        let script = format!("post\ntouch {}\nwait {}\npost", here.display(), go.display());
        fake_claude::install(&mut sandbox, &script);
        // This ACT's answer quotes the credential: the token must not get into reports and records that way.
        act.answer_by(|request| refused(401, &format!("bad credential {}", request.header("authorization").unwrap())));
        let mut command = sandbox.act_claude(&["--report", "json", "-p", "hi"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        eventually("claude's first export", || here.exists().then_some(()));
        act.wait_for(1);

        let tree = process::with_environment(&sandbox.root().display().to_string());
        assert!(tree.iter().any(process::Process::is_relay), "{tree:?}");
        let claude = tree.iter().find(|process| process.command_line.starts_with("claude")).expect("claude");
        for process in &tree {
            assert!(!holds_secret(process.command_line.as_bytes()), "{process:?}");
            if process == claude || !by_environment {
                assert!(!holds_secret(&process.environment()), "{process:?}");
            }
        }
        // With a wait, because the descriptor of the just created file `here` may still be open.
        eventually("claude with no descriptors but those this test passes on", || {
            (descriptors(claude) == own).then_some(())
        });
        std::fs::write(&go, "").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!holds_secret(&output.stdout) && !holds_secret(&output.stderr), "{}", output.err());
        assert!(output.err().contains("401"), "{}", output.err());
        wait_for_the_relay(&sandbox);
        nothing_in(&sandbox.state());
    }
}

/// The numbers of a process's open descriptors.
fn descriptors(process: &process::Process) -> BTreeSet<i32> {
    let entries = std::fs::read_dir(process.file("fd")).expect("its descriptors").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The descriptors that every program started by this test inherits: the standard three, and those that the test itself
/// inherited.
fn passed_on() -> BTreeSet<i32> {
    let own = process::Process { pid: std::process::id().cast_signed(), command_line: String::new() };
    let closed_on_exec = |descriptor: &i32| {
        let info = std::fs::read_to_string(own.file(&format!("fdinfo/{descriptor}"))).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("02000000");
        i64::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & 0o2_000_000 != 0)
    };
    let inherited = descriptors(&own).into_iter().filter(|descriptor| !closed_on_exec(descriptor));
    inherited.chain([0, 1, 2]).collect()
}

#[test]
fn c1_commands_that_show_things_do_not_show_it() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "");
    for args in [
        &["act", "which", "--env"][..],
        &["act", "which", "--env", "--direct", "--json"],
        &["act", "aliases", "--json"],
    ] {
        let output = sandbox.act_claude(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", output.err());
        assert!(!holds_secret(&output.stdout) && !holds_secret(&output.stderr), "{args:?}");
    }
}

fn wait_for_the_relay(sandbox: &Sandbox) {
    let root = sandbox.root().display().to_string();
    // The relay may stay because of held exports; the signal ends it.
    for relay in process::with_environment(&root).iter().filter(|process| process.is_relay()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(relay.pid), nix::sys::signal::Signal::SIGTERM);
    }
    eventually("the relay's end", || {
        process::with_environment(&root).iter().all(|process| !process.is_relay()).then_some(())
    });
}

fn nothing_in(directory: &Path) {
    for (path, content) in snapshot(directory) {
        assert!(!holds_secret(&content), "{}", path.display());
    }
}
