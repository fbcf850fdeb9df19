//! The state, text and fix of each failure. Claude's output and exit status are the same as without act-claude.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::act::Act;
use crate::support::failures::{assert_hardly_slower, cases, configure};
use crate::support::http::Reply;
use crate::support::network;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{example, fake_claude};

const SCRIPT: &str = "print hello\ncomplain oops\npost\nprint bye\nexit 3";

#[test]
fn every_failure_has_its_state_text_and_fix() {
    // Looking up unknown names must not send requests to the outside.
    if !network::isolate() {
        return;
    }
    for case in cases() {
        let mut sandbox = Sandbox::new();
        fake_claude::install(&mut sandbox, SCRIPT);
        let bare = sandbox.command(example("fake_claude")).output().unwrap();
        assert_eq!((bare.out().as_str(), bare.err().as_str(), bare.code()), ("hello\nbye\n", "oops\n", 3));

        let arranged = case.arrange(&mut sandbox);
        let run = |when: &str| {
            // A new state directory, so that no earlier run has an effect.
            let state = sandbox.root().join(format!("state-{when}"));
            sandbox.act_claude(&["-p", "hi", "--report", when]).env("XDG_STATE_HOME", state).output().unwrap()
        };
        let output = run("always");
        assert_eq!((output.out(), output.code()), (bare.out(), 3), "{}", case.name);
        assert_eq!(output.err(), bare.err() + &case.line(&arranged, 2), "{}", case.name);

        let output = run("json");
        assert_eq!((output.out(), output.code()), (bare.out(), 3), "{}", case.name);
        let report: Value = serde_json::from_str(output.err().strip_prefix("oops\n").unwrap()).expect(case.name);
        assert_eq!((&report["state"], &report["exports"]), (&case.state.into(), &1.into()), "{}: {report}", case.name);
        assert_eq!(report["fix"].as_str().unwrap_or_default(), case.fix, "{}: {report}", case.name);
        assert!(case.text.ends_with(case.fix), "{}", case.name);
    }
}

/// With `--verify` the exit status tells the failure, provided that claude's own status is 0.
#[test]
fn every_failure_has_its_exit_status_with_verify() {
    if !network::isolate() {
        return;
    }
    for (name, code) in [
        ("401", 77),
        ("403", 77),
        ("400, an unknown alias", 78),
        ("400, an alias of another account", 78),
        ("404, another page", 78),
        ("302", 78),
        ("proxy wanting credentials", 78),
        ("400", 65),
        ("partial", 65),
        ("200 with a page", 65),
        ("429", 75),
        ("503", 75),
        ("connection refused", 75),
        ("unknown certificate", 75),
    ] {
        let case = cases().into_iter().find(|case| case.name == name).expect(name);
        for (own, expected) in [("exit 0", code), ("exit 9", 9)] {
            let mut sandbox = Sandbox::new();
            fake_claude::install(&mut sandbox, &format!("post\n{own}"));
            let _arranged = case.arrange(&mut sandbox);
            let output = sandbox.act_claude(&["--verify", "-p", "hi"]).output().unwrap();
            assert_eq!(output.code(), expected, "{name}: {}", output.err());
        }
    }
}

/// A fix is an existing command of ours, or says where to look.
#[test]
fn fixes_name_commands_that_exist() {
    let sandbox = Sandbox::new();
    let help = sandbox.act_claude(&["act", "--help"]).output().unwrap().out();
    for case in cases() {
        let words: Vec<&str> = case.fix.split_whitespace().collect();
        match words.as_slice() {
            ["act-claude", "act", command, ..] => {
                assert!(help.contains(&format!("\n  {command} ")), "{command} is not in {help}");
            }
            [] | ["claude", "update"] | ["compare" | "check" | "export" | "take", ..] => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Claude never waits for ACT: while ACT hangs, only `exit_wait_ms` is lost.
#[test]
fn a_hanging_act_costs_less_than_half_a_second() {
    let act = Act::start();
    act.answer(Reply::Hang);
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print hi\npost");
    sandbox.configure_one(&act.endpoint());
    let time = |command: &mut std::process::Command| {
        let start = Instant::now();
        assert_eq!(command.output().unwrap().out(), "hi\n");
        start.elapsed()
    };
    assert_hardly_slower(
        || time(&mut sandbox.command(example("fake_claude"))),
        || time(&mut sandbox.act_claude(&["-p", "hi"])),
    );
}

/// With the default wait, not one chosen for the test.
#[test]
fn a_slow_act_is_under_way_or_delivered_never_lost() {
    let act = Act::start();
    act.answer(Reply::After(Duration::from_secs(2), Box::new(crate::support::act::accepted())));
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "post");
    configure(&sandbox, &act.endpoint(), 0);
    let output = sandbox.act_claude(&["-p", "hi", "--report", "always"]).output().unwrap();
    assert_eq!(output.err(), "act-claude: billing: 1 export not decided yet: delivery continues in the background\n");
    act.wait_for(1);
}
