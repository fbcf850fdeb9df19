//! C7: a token command has no terminal and no input, is run without a shell, can't hang or flood act-claude, and its
//! failure is reported.

use std::time::Instant;

use serde_json::json;

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text, snapshot};

/// Must not occur anywhere except in the file it is read from.
const CANARY: &str = "canary-8d21";

fn sandbox(act: &Act, command: &[&str]) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.configure(&json!({
        "accounts": {"acme": {"endpoint": act.endpoint(), "user": "u@example.com", "token": {"command": command}}},
        "aliases": {"billing": {"account": "acme", "id": "1", "provider_type": "P"}}, "default": "billing"
    }));
    fake_claude::install(&mut sandbox, "print hi\npost\nexit 0");
    sandbox
}

#[test]
fn c7_failures_hold_exports_and_are_reported() {
    for (script, words) in [
        ("echo locked >&2; exit 3", "the token command `sh` failed with exit status 3"),
        ("true", "printed no token"),
        ("echo a; echo b", "printed more than one line"),
        ("yes | head -c 3000000 | tr -d '\\n'", "printed something that is not an API token"),
        ("kill -9 $$", "was killed"),
    ] {
        let act = Act::start();
        let sandbox = sandbox(&act, &["sh", "-c", script]);
        let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
        assert_eq!((output.out().as_str(), output.code()), ("hi\n", 0), "{script}");
        let line = output.err();
        assert!(line.starts_with("act-claude: billing: 1 export held: ") && line.contains(words), "{script}: {line}");
        assert!(act.requests().is_empty(), "{script}");
        // If the command may have written the reason to standard error, the message says how to see it.
        assert_eq!(
            line.contains("act-claude act check --all shows"),
            words.contains("exit") || words.contains("killed"),
            "{line}"
        );
    }
}

/// The session's journal and claude's descriptor are the relay's own.
#[cfg(target_os = "linux")] // it lists /proc
#[test]
fn c7_it_gets_no_descriptor_of_the_relay() {
    let act = Act::start();
    let sandbox = sandbox(&act, &["sh", "-c", "readlink /proc/$$/fd/* >\"$HOME/open\"; echo t0ken-of-a-command-9f8e"]);
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert!(output.code() == 0 && act.wait_for(1).len() == 1, "{}", output.err());
    let open = std::fs::read_to_string(sandbox.home().join("open")).unwrap();
    // Beside the three streams, the shell's own redirection.
    let open: Vec<&str> = open.lines().filter(|path| !path.ends_with("/open")).collect();
    assert!(open.len() <= 3, "{open:?}");
    assert!(open.iter().all(|path| *path == "/dev/null" || path.starts_with("pipe:")), "{open:?}");
}

/// A shell with tracing writes the token to standard error: it is in no report, record or log.
#[test]
fn c7_its_standard_error_is_not_kept() {
    for end in ["exit 3", "kill -9 $$", "echo one; echo two", ":"] {
        let act = Act::start();
        let mut sandbox = sandbox(&act, &["sh", "-c", &format!("set -x; T=$(cat \"$HOME/secret\"); : \"$T\"; {end}")]);
        sandbox.write("secret", CANARY);
        sandbox.set("ACT_CLAUDE_LOG", "debug");
        let run = |args: &[&str]| {
            let output = sandbox.act_claude(args).output().unwrap();
            assert!(
                !(output.out() + &output.err()).contains(CANARY),
                "{end}, {args:?}: {}{}",
                output.out(),
                output.err()
            );
            output
        };
        let line = run(&["--report", "always", "-p", "hi"]).err();
        assert!(line.contains("1 export held: the token command `sh` "), "{end}: {line}");
        for args in [&["act", "check"][..], &["act", "history"], &["act", "doctor"], &["--direct", "-p", "hi"]] {
            run(args);
        }
        for (path, content) in snapshot(sandbox.root()).iter().filter(|(path, _)| !path.ends_with("secret")) {
            let is_there = memchr::memmem::find(content, CANARY.as_bytes()).is_some();
            assert!(!is_there, "{end}: {}", path.display());
        }
        // A user who asks in a terminal sees it there, and nowhere else.
        if end == "exit 3" {
            let (_, screen) = Pty::start(sandbox.act_claude(&["act", "check", "--all"])).finish();
            assert!(screen.contains(CANARY) && screen.contains("failed with exit status 3"), "{screen}");
        }
    }
}

/// A background child of the command keeps the output open. The token is used as soon as the command itself has ended.
#[test]
fn c7_a_child_left_behind_delays_nothing() {
    let act = Act::start();
    let sandbox = sandbox(&act, &["sh", "-c", "sleep 600 & echo $! >\"$HOME/left\"; echo tok-1"]);
    let output = sandbox.act_claude(&["--report", "always", "-p", "hi"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("hi\n", 0));
    let request = &act.wait_for(1)[0];
    assert_eq!(crate::support::act::credential(request), "BOOMI_TOKEN.u@example.com:tok-1");
    // act-claude must not end this process.
    let left = std::fs::read_to_string(sandbox.home().join("left")).unwrap();
    let left = nix::unistd::Pid::from_raw(left.trim().parse().unwrap());
    nix::sys::signal::kill(left, nix::sys::signal::Signal::SIGKILL).expect("it lives");
}

/// Output beyond a token's length is discarded: there is no memory for all of it.
#[test]
fn c7_endless_output_takes_no_memory() {
    let act = Act::start();
    let sandbox = sandbox(&act, &["sh", "-c", "head -c 600000000 /dev/zero"]);
    let mut command = sandbox.command("sh");
    command.args(["-c", "ulimit -v 400000; exec \"$0\" act check --json"]).arg(crate::support::act_claude());
    let output = command.output().unwrap();
    assert!(output.out().contains("printed something that is not an API token"), "{}{}", output.out(), output.err());
    assert_eq!(output.code(), 77);
}

#[test]
fn c7_neither_terminal_nor_input_nor_shell() {
    let act = Act::start();
    // It reads from the terminal if it can, else from its input; and in a shell it would expand $HOME.
    let script = "if (: </dev/tty) 2>/dev/null; then exit 5; fi; if read -r line; then exit 6; fi; [ /dev/stdin -ef /dev/null ] || exit 8; printf %s \"$1\"";
    let sandbox = sandbox(&act, &["sh", "-c", script, "sh", "t-$HOME"]);
    let (status, screen) = Pty::start(sandbox.act_claude(&["-p", "hi"])).finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    let request = &act.wait_for(1)[0];
    assert_eq!(crate::support::act::credential(request), "BOOMI_TOKEN.u@example.com:t-$HOME");
    // `act check` runs the command from the user's terminal; it must not read from it either.
    let (status, screen) = Pty::start(sandbox.act_claude(&["act", "check"])).finish();
    assert!(
        status.code().is_some()
            && screen.split_whitespace().collect::<Vec<_>>().join(" ").contains("token ok from the command"),
        "{screen}"
    );
}

#[test]
fn c7_a_hanging_command_does_not_hold_claude() {
    let act = Act::start();
    let sandbox = sandbox(&act, &["sh", "-c", "sleep 600; echo late"]);
    let start = Instant::now();
    let output = sandbox.act_claude(&["--report", "always", "-p", "hi"]).output().unwrap();
    // `exit_wait_ms` is 300; the command itself may take 30 s.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!((output.out().as_str(), output.code()), ("hi\n", 0));
    assert!(output.err().contains("1 export not decided yet"), "{}", output.err());
    // A command that waits for the token reports the timeout.
    let output = sandbox.act_claude(&["act", "check", "--json"]).output().unwrap();
    assert!(output.out().contains("took longer than 30 s"), "{}", output.out());
}
