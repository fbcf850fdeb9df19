//! C7: a token command has no terminal and no input, is run without a shell, and can't hang, flood or fail unseen.

use std::time::Instant;

use serde_json::json;

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};

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
fn c7_failures_are_held_with_their_words() {
    for (script, words) in [
        ("echo locked >&2; exit 3", "failed with exit status 3 (locked)"),
        ("true", "gave no token"),
        ("echo a; echo b", "gave more than one line"),
        ("yes | head -c 3000000 | tr -d '\\n'", "gave something that is no API token"),
        ("kill -9 $$", "was killed"),
    ] {
        let act = Act::start();
        let sandbox = sandbox(&act, &["sh", "-c", script]);
        let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
        assert_eq!((output.out().as_str(), output.code()), ("hi\n", 0), "{script}");
        let line = output.err();
        assert!(line.starts_with("act-claude: billing: 1 export held: ") && line.contains(words), "{script}: {line}");
        assert!(act.requests().is_empty(), "{script}");
    }
}

/// What it says beyond a token's length is let go by: there is no room for all of it.
#[test]
fn c7_endless_output_takes_no_memory() {
    let act = Act::start();
    let sandbox = sandbox(&act, &["sh", "-c", "head -c 600000000 /dev/zero"]);
    let mut command = sandbox.command("sh");
    command.args(["-c", "ulimit -v 400000; exec \"$0\" act check --json"]).arg(crate::support::act_claude());
    let output = command.output().unwrap();
    assert!(output.out().contains("gave something that is no API token"), "{}{}", output.out(), output.err());
    assert_eq!(output.code(), 77);
}

#[test]
fn c7_neither_terminal_nor_input_nor_shell() {
    let act = Act::start();
    // It asks on the terminal if it can, else on its input; and it would expand $HOME in a shell.
    let script = "if (: </dev/tty) 2>/dev/null; then exit 5; fi; if read -r line; then exit 6; fi; [ /dev/stdin -ef /dev/null ] || exit 8; printf %s \"$1\"";
    let sandbox = sandbox(&act, &["sh", "-c", script, "sh", "$HOME"]);
    let (status, screen) = Pty::start(sandbox.act_claude(&["-p", "hi"])).finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    let request = &act.wait_for(1)[0];
    assert_eq!(crate::support::act::credential(request), "BOOMI_TOKEN.u@example.com:$HOME");
    // The commands run it from the user's terminal itself, where it must not ask either.
    let (status, screen) = Pty::start(sandbox.act_claude(&["act", "check"])).finish();
    assert!(status.code().is_some() && screen.contains("ok       token"), "{screen}");
}

#[test]
fn c7_a_hanging_command_does_not_hold_claude() {
    let act = Act::start();
    let sandbox = sandbox(&act, &["sh", "-c", "sleep 600; echo late"]);
    let start = Instant::now();
    let output = sandbox.act_claude(&["--report", "always", "-p", "hi"]).output().unwrap();
    // `exit_wait_ms` is 300; the command would be given 30 s.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!((output.out().as_str(), output.code()), ("hi\n", 0));
    assert!(output.err().contains("1 export under way"), "{}", output.err());
    // Who waits for it is told.
    let output = sandbox.act_claude(&["act", "check", "--json"]).output().unwrap();
    assert!(output.out().contains("took longer than 30 s"), "{}", output.out());
}
