//! B2 and B10 under faults: each system call of the spool fails with each of its errors, one by one and at random,
//! while a session goes on. These rules must hold: an acknowledged export is at ACT or in the spool; no intact export
//! becomes a dead letter; no export is sent under another alias; every session with a problem reports it.
//!
//! The whole run, some 5,000 faults: `cargo test --test delivery faults_all -- --ignored --nocapture`; with
//! `FAULTS=clone,accept` of other calls.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use act_claude::state::outcome::{Outcome, State};
use act_claude::state::spool::entry;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::relay::{Relay, export, files, leave, name_of, start_of, waiting};
use crate::support::act::{Act, accepted, refused};
use crate::support::faults::{Faults, calls, injected, possible};
use crate::support::http::Reply;
use crate::support::random::Random;
use crate::support::sandbox::{Sandbox, Text};

/// Kinds of system calls, and the errors they can return.
const KINDS: [(&str, &[&str]); 9] = [
    ("open", &["EIO", "EACCES", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "ESTALE"]),
    ("read", &["EIO", "EINTR"]),
    ("write", &["EIO", "ENOSPC", "EDQUOT", "EINTR"]),
    ("fsync", &["EIO", "ENOSPC", "EDQUOT"]),
    ("rename", &["EIO", "ENOSPC", "EROFS", "EACCES"]),
    ("unlink", &["EIO", "ENOSPC", "EROFS", "EPERM"]),
    ("flock", &["ENOLCK", "EIO", "EAGAIN"]),
    ("clone", &["EAGAIN", "ENOMEM"]),
    ("accept", &["EMFILE", "ENFILE", "ENOMEM", "ECONNABORTED"]),
];

/// Exports of one session.
const EXPORTS: usize = 5;

/// The totals of all runs.
#[derive(Default)]
struct Seen {
    faults: AtomicUsize,
    sessions: AtomicUsize,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    died: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

/// Runs one session with these faults, and then a flush without faults.
fn session(faults: &Faults, random: &mut Random, seen: &Seen) {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let dice = Mutex::new(Random(random.below(u64::MAX) | 1));
    act.answer_by(move |_| match dice.lock().unwrap().below(10) {
        0 => refused(500, ""),
        1 => Reply::Close,
        _ => accepted(),
    });
    let mut acknowledged: BTreeSet<String> = ["left0".to_owned(), "left1".to_owned()].into();
    leave(&sandbox, "0a", &["left0", "left1"], &act.endpoint());
    let log = sandbox.root().join("strace.log");
    let mut relay = Relay::start_under(&sandbox, start_of(&sandbox, &act.endpoint()), &faults.words(&log));
    let mut refusals = 0;
    for number in 0..EXPORTS {
        let name = format!("own{number}");
        // Claude waits 10 seconds for an answer.
        match relay.post_within(&export(&name), Duration::from_secs(3)) {
            Some(200) => drop(acknowledged.insert(name)),
            _ => refusals += 1,
        }
    }
    let outcome = relay.try_outcome(Duration::from_secs(2));
    let at_act = || -> BTreeSet<String> { act.requests().iter().map(|request| name_of(&request.raw)).collect() };
    let missing = acknowledged.iter().filter(|name| name.starts_with("own") && !at_act().contains(*name)).count();
    relay.end();
    // It drains for a long time; a signal ends it.
    let pid = Pid::from_raw(i32::try_from(relay.child.id()).unwrap());
    let begun = Instant::now();
    while relay.child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_millis(500) {
            let _ = kill(pid, Signal::SIGTERM);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the relay does not end: {faults:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let wrong = |what: String| seen.wrong.lock().unwrap().push(format!("{faults:?}: {what}"));
    seen.faults.fetch_add(injected(&log), Ordering::Relaxed);
    seen.sessions.fetch_add(1, Ordering::Relaxed);
    seen.acknowledged.fetch_add(acknowledged.len(), Ordering::Relaxed);
    seen.refused.fetch_add(refusals, Ordering::Relaxed);
    match &outcome {
        // The supervisor would report that nothing is known.
        None => drop(seen.died.fetch_add(1, Ordering::Relaxed)),
        Some(outcome) if refusals + missing > 0 && is_silent(outcome) => {
            wrong(format!("silent: {refusals} refused, {missing} missing, {outcome:?}"));
        }
        Some(_) => {}
    }
    act.answer(accepted());
    for _ in 0..3 {
        sandbox.act_claude(&["act", "flush"]).output().unwrap();
    }
    let (at_act, left) = (at_act(), waiting(&sandbox));
    let lost: Vec<_> = acknowledged.difference(&at_act).collect();
    if !lost.is_empty() || !left.is_empty() {
        let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
        wrong(format!("lost: {lost:?}, left: {left:?}, {} {outcome:?}", output.out()));
    }
    for name in files(&sandbox, "corrupt") {
        let bytes = std::fs::read(sandbox.state().join("spool/corrupt").join(&name)).unwrap_or_default();
        if entry::read(&bytes).is_ok() {
            wrong(format!("set aside, and intact: {name}"));
        }
    }
    if act.requests().iter().any(|request| request.header("x-alias-id") != Some("id-billing")) {
        wrong("another alias".to_owned());
    }
}

/// Whether an outcome reports that all is well.
fn is_silent(outcome: &Outcome) -> bool {
    let delivered = outcome.count(State::Delivered) + outcome.count(State::Partial);
    let of_relay = outcome.deaths > 0 || outcome.cut_off > 0 || outcome.relay_lost;
    delivered == outcome.exports
        && outcome.unkept.is_none()
        && outcome.spool_problem.is_none()
        && outcome.unaccepted.is_none()
        && !of_relay
}

/// Runs sessions until this many faults were injected.
fn faults(count: usize, kinds: &[&str]) {
    if !possible() {
        return;
    }
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let (seen, begun) = (Seen::default(), Instant::now());
    let pairs: Vec<(&str, &str)> = KINDS
        .iter()
        .filter(|(kind, _)| kinds.contains(kind))
        .flat_map(|(kind, errors)| errors.iter().map(move |error| (*kind, *error)))
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (seen, pairs, next) = (&seen, &pairs, &next);
            scope.spawn(move || {
                let mut random = Random(seed.rotate_left(thread * 7 + 1) | 1);
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    // Every error of every call at least once alone and once repeatedly.
                    let is_enough = at >= 2 * pairs.len() && seen.faults.load(Ordering::Relaxed) >= count;
                    if is_enough || seen.wrong.lock().unwrap().len() >= 10 {
                        break;
                    }
                    let (kind, error) = pairs[at % pairs.len()];
                    // In turn: one fault alone, a fault at every n-th call, all calls from some moment on.
                    let step = match at / pairs.len() % 4 {
                        0 => None,
                        // EINTR at every call would never end.
                        1 if error != "EINTR" => Some(1),
                        _ => Some(2 + u32::try_from(random.below(12)).unwrap()),
                    };
                    // The first calls are those of the program's start, so the fault comes later.
                    let spread = if ["open", "read", "write"].contains(&kind) { 60 } else { 8 };
                    let first = 1 + u32::try_from(random.below(spread)).unwrap();
                    let calls = calls(kind).to_owned();
                    session(&Faults { calls, error: error.to_owned(), first, step, path: None }, &mut random, seen);
                }
            });
        }
    });
    let Seen { faults, sessions, acknowledged, refused, died, wrong } = seen;
    println!(
        "seed {seed}: {} faults in {} sessions, {:.0} s; {} exports acknowledged, {} refused; {} relays ended without a \
         word; wrong: {}",
        faults.into_inner(),
        sessions.into_inner(),
        begun.elapsed().as_secs_f64(),
        acknowledged.into_inner(),
        refused.into_inner(),
        died.into_inner(),
        wrong.lock().unwrap().len(),
    );
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The kinds of calls that the spool makes.
const SPOOL: [&str; 7] = ["open", "read", "write", "fsync", "rename", "unlink", "flock"];

#[test]
fn faults_of_the_spool() {
    faults(300, &SPOOL);
}

#[test]
fn faults_of_threads_and_connections() {
    faults(100, &["clone", "accept"]);
}

#[test]
#[ignore = "takes long: the whole run"]
fn faults_all() {
    let kinds = std::env::var("FAULTS").unwrap_or_default();
    let kinds: Vec<&str> = kinds.split(',').filter(|kind| !kind.is_empty()).collect();
    faults(5_000, if kinds.is_empty() { &SPOOL } else { &kinds });
}
