//! If the system refuses threads, no acknowledged export is dropped or sent to another alias, and the problem is
//! reported.

use act_claude::state::record;
use serde_json::json;

use crate::relay::waiting;
use crate::support::act::Act;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{act_claude, fake_claude, process};

const EXPORTS: usize = 4;

/// A session with `--alias beta` in a directory whose rule says alpha. `refused` tells which of the calls that create threads
/// fail: the call with this number, or all of them.
fn session(refused: Option<u32>) -> Option<(Sandbox, Act, String)> {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    let alias = |id: &str| json!({"account": "acme", "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"alpha": alias("id-alpha"), "beta": alias("id-beta")},
        "directories": {"~": "alpha"}, "exit_wait_ms": 3_000
    }));
    fake_claude::install(&mut sandbox, &"post\n".repeat(EXPORTS));
    let mut command = if let Some(number) = refused {
        let mut command = sandbox.command(crate::support::program("strace")?);
        command.args(["-f", "-q", "-o", "/dev/null", "-e", "trace=clone3,clone"]);
        command.args(["-e", &format!("inject=clone3:error=EAGAIN:when={number}")]).arg(act_claude());
        command
    } else {
        let mut command = sandbox.command(act_claude());
        crate::support::seccomp::forbid_threads(&mut command);
        command
    };
    command.args(["--alias", "beta", "--report", "always", "-p", "hi"]);
    let output = command.output().expect("started");
    assert_eq!(output.code(), 0, "{refused:?}: {}", output.err());
    let answers = std::fs::read_to_string(fake_claude::log(sandbox.root())).expect("answers");
    assert_eq!(answers.lines().filter(|line| line.starts_with("200 ")).count(), EXPORTS, "{refused:?}: {answers}");
    Some((sandbox, act, output.err()))
}

#[test]
fn b1_a_refused_thread_loses_nothing() {
    for when in 1..=4 {
        let Some((sandbox, act, said)) = session(Some(when)) else { return };
        assert!(said.starts_with("act-claude: beta: "), "{when}: {said}");
        for request in act.wait_for(EXPORTS) {
            assert_eq!(request.header("x-alias-id"), Some("id-beta"), "{when}");
        }
        crate::support::eventually("an empty spool", || waiting(&sandbox).is_empty().then_some(()));
    }
}

#[test]
fn b1_without_any_thread_all_exports_are_kept_and_reported() {
    let Some((sandbox, act, said)) = session(None) else { return };
    let words = format!("act-claude: beta: {EXPORTS} exports waiting (no thread could be started for delivery: ");
    assert!(said.starts_with(&words) && said.contains("kept for the next session"), "{said}");
    process::end_relays(sandbox.root());
    assert_eq!((waiting(&sandbox).len(), act.requests().len()), (EXPORTS, 0));
    let record = record::latest(&sandbox.state()).expect("a record");
    assert_eq!((record.alias.as_deref(), record.outcome.exports), (Some("beta"), EXPORTS as u64));
    // The next process delivers them, under the right alias.
    let output = sandbox.act_claude(&["act", "flush"]).output().expect("started");
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    let aliases: Vec<_> =
        act.requests().iter().map(|request| request.header("x-alias-id").map(str::to_owned)).collect();
    assert_eq!(aliases, vec![Some("id-beta".to_owned()); EXPORTS]);
}
