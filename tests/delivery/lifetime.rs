//! How long the relay lives, and how it reacts to signals and requests.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::relay::{Relay, export, waiting};
use crate::support::act::{Act, accepted, refused};
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};

fn pid(relay: &Relay) -> Pid {
    Pid::from_raw(i32::try_from(relay.child.id()).unwrap())
}

#[test]
fn sigterm_means_drain_after_claude_has_ended() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    kill(pid(&relay), Signal::SIGTERM).unwrap();
    act.wait_for(1);
    assert_eq!(relay.post(&export("b")), Some(200), "claude still runs, and so does the relay");
    relay.end();
    relay.wait();
    assert_eq!((act.requests().len(), waiting(&sandbox).len()), (2, 0));
}

#[test]
fn sigterm_while_draining_leaves_the_rest_to_the_next_session() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    // With this answer the relay goes on trying for its 30 s.
    act.answer(refused(503, ""));
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.end();
    act.wait_for(2);
    kill(pid(&relay), Signal::SIGTERM).unwrap();
    let asked = std::time::Instant::now();
    relay.wait();
    assert!(asked.elapsed().as_secs() < 20, "{:?}", asked.elapsed());
    assert_eq!(waiting(&sandbox).len(), 1);
}

#[test]
fn a_relay_with_nothing_left_ends_at_once_and_reports_when() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    let record = crate::support::eventually("a record", || act_claude::state::record::latest(&sandbox.state()));
    assert!(record.is_live(&sandbox.state()));
    relay.finish();
    let record = act_claude::state::record::latest(&sandbox.state()).unwrap();
    assert!(record.end.is_some() && !record.is_live(&sandbox.state()));
    assert_eq!(
        (record.alias.as_deref(), record.outcome.exports, record.totals["claude_code.token.usage"].value),
        (Some("billing"), 1, 1.0)
    );
}

#[test]
fn flush_asks_running_sessions_to_try_now() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    act.answer(crate::support::http::Reply::json(503, "").header("Retry-After", "600"));
    let relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.until(&sandbox, act_claude::state::outcome::State::Waiting, 1);
    act.answer(accepted());
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(
        (output.code(), output.out().as_str()),
        (0, "billing: 1 export delivered or handled by running sessions\n")
    );
    relay.until(&sandbox, act_claude::state::outcome::State::Delivered, 1);
    assert_eq!(act.requests().len(), 2, "by its own relay, once");
    // Nothing is left, and the output says so.
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!((output.code(), output.out().as_str()), (0, "nothing is waiting\n"));
    let output = sandbox.act_claude(&["act", "flush", "--to", "biling"]).output().unwrap();
    assert_eq!(output.code(), 64);
    assert!(output.err().contains("did you mean \"billing\"?"), "{}", output.err());
}

/// A session that ends while flush waits for it: flush delivers what the session leaves.
#[test]
fn flush_delivers_the_exports_of_a_relay_that_ends_meanwhile() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    act.answer(crate::support::http::Reply::json(503, "").header("Retry-After", "600"));
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.until(&sandbox, act_claude::state::outcome::State::Waiting, 1);
    act.answer(accepted());
    // The relay's process exists, but does not react.
    kill(relay.worker(), Signal::SIGSTOP).unwrap();
    let mut command = sandbox.act_claude(&["act", "flush"]);
    let flush = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let spool = act_claude::state::spool::Spool::of(&sandbox.state());
    crate::support::eventually("its being asked", || spool.nudged());
    relay.kill();
    let output = flush.wait_with_output().unwrap();
    assert_eq!((output.code(), output.out().as_str()), (0, "billing: 1 export delivered (1 point)\n"));
    assert_eq!((act.requests().len(), waiting(&sandbox).len()), (2, 0), "once");
}

#[test]
fn ten_thousand_waiting_exports_of_others_cost_a_session_nothing() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let files = crate::relay::leave(&sandbox, "0a", &["a"], "http://127.0.0.1:9/of/another");
    let new = sandbox.state().join("spool/new");
    let bytes = std::fs::read(new.join(&files[0])).unwrap();
    for number in 0..9_900 {
        std::fs::write(new.join(format!("{number:08x}-00000000")), &bytes).unwrap();
    }
    let begun = std::time::Instant::now();
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("own")), Some(200));
    let first = begun.elapsed();
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!(outcome.states.get(&act_claude::state::outcome::State::Delivered), Some(&1));
    println!("first export beside 9,901 others: acknowledged after {first:?}");
    relay.kill();
}

/// A process that claude started still reports after claude has ended, however short claude's life was.
#[test]
fn a_process_left_by_a_short_lived_claude_still_reports() {
    let mut sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let go = sandbox.root().join("go");
    fake_claude::install(&mut sandbox, &format!("wait {}\npost", go.display()));
    let program = crate::support::example("fake_claude");
    let script = format!("#!/bin/sh\n'{}' >/dev/null 2>&1 </dev/null &\nexit 7\n", program.display());
    let claude = sandbox.script("short/claude", &script);
    sandbox.path_first(claude.parent().unwrap());
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert_eq!(output.code(), 7, "{}", output.err());
    assert!(act.requests().is_empty());
    std::fs::write(go, "").unwrap();
    act.wait_for(1);
}
