//! Background agents: each agent has the alias of its own directory. Also tested: the act-claude binary is replaced or
//! missing.

use crate::background_lab::{self, BackgroundLab, UNMAPPED};
use crate::support::client::{NEW, OLD};
use crate::support::sandbox::Text;
use crate::support::{act_claude, eventually};

/// The first agent starts the daemon. The others use warm spares, which started in another directory. The last agent is
/// started by claude itself, under the daemon that act-claude started earlier.
#[test]
fn each_agent_reports_under_its_own_directory() {
    let Some(lab) = background_lab::lab(NEW) else { return };
    let background_lab = BackgroundLab(&lab);
    let one = background_lab.agent("one");
    background_lab.assert_reported(&one, "one");
    let two = background_lab.agent("two");
    background_lab.assert_reported(&two, "two");
    let turns = lab.messages.turns();
    let elsewhere = background_lab.agent(UNMAPPED);
    eventually("the turn of the agent without an alias", || (lab.messages.turns() > turns).then_some(()));
    let output = lab.claude("three", &["--bg", "hello"]).output().unwrap();
    let three = background_lab::agent_id(&output.out());
    background_lab.assert_reported(&three, "three");

    let relays = background_lab.relays();
    assert!(relays.len() >= 4, "one for each agent: {relays:?}");
    for agent in [&one, &two, &elsewhere, &three] {
        lab.claude("one", &["stop", agent]).output().unwrap();
    }
    // The relays of the agents end. The relay of the waiting spare stays.
    let left = eventually("the end of the agents' relays", || {
        let left: Vec<_> = background_lab.relays().into_iter().filter(|pid| relays.contains(pid)).collect();
        (left.len() <= relays.len() - 4).then_some(left)
    });
    assert!(left.len() <= 1, "{left:?}");
    background_lab.assert_no_zombies();
    background_lab.stop();
    background_lab.assert_gone();

    background_lab.assert_reported(&one, "one");
    background_lab.assert_reported(&two, "two");
    background_lab.assert_reported(&three, "three");
    let all = lab.act.requests();
    assert!(
        all.iter().all(|request| !background_lab::sessions(request).contains(&elsewhere)),
        "exported without an alias"
    );
}

/// A client that does not know the wrapper passes its environment on to the daemon. The daemon's exports still arrive.
#[test]
fn exports_of_an_older_clients_agent_arrive_after_act_claude_has_exited() {
    let Some(lab) = background_lab::lab(OLD) else { return };
    let background_lab = BackgroundLab(&lab);
    let agent = background_lab.agent("one");
    background_lab.assert_reported(&agent, "one");
    assert_eq!(background_lab.relays().len(), 1);
    background_lab.stop();
    background_lab.assert_gone();
}

/// docs/background-agents.md: "After an upgrade", "If act-claude was removed".
#[test]
fn a_newer_binary_is_used_and_a_missing_one_recovered_from() {
    let Some(mut lab) = background_lab::lab(NEW) else { return };
    let bin = lab.sandbox.directory("bin");
    let place = bin.join("act-claude");
    let install = || {
        let new = bin.join("new");
        std::fs::copy(act_claude(), &new).unwrap();
        std::fs::rename(new, &place).unwrap();
    };
    install();
    lab.sandbox.path_first(&bin);
    let background_lab = BackgroundLab(&lab);
    let start = |directory: &str| {
        let mut command = lab.sandbox.command("act-claude");
        command.args(["--bg", "hello"]).current_dir(lab.sandbox.directory(directory));
        background_lab::agent_id(&command.output().unwrap().out())
    };
    let one = start("one");
    background_lab.assert_reported(&one, "one");
    install();
    // The waiting spare was started by the old binary, the next one by the new binary.
    for directory in ["two", "three"] {
        background_lab.assert_reported(&start(directory), directory);
    }

    std::fs::remove_file(&place).unwrap();
    let log = lab.sandbox.home().join(".claude/daemon.log");
    let says_so = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("was deleted or moved"));
    // The waiting spare may serve one more agent. After that agents fail, and the daemon's log says why.
    eventually("a failing agent", || {
        lab.claude("one", &["--bg", "hello"]).output().unwrap();
        says_so().then_some(())
    });
    background_lab.stop();
    let turns = lab.messages.turns();
    lab.claude("one", &["--bg", "hello"]).output().unwrap();
    eventually("an agent without act-claude", || (lab.messages.turns() > turns).then_some(()));
    install();
    background_lab.assert_reported(&start("two"), "two");
}
