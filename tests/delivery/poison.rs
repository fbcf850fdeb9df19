//! B7 and B11: one export always fails while ACT accepts others. It delays no other export, steps aside, is kept and
//! reported, and can be discarded by its name.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use act_claude::state::outcome::State;
use serde_json::Value;

use crate::relay::{Relay, export, leave, name_of, waiting};
use crate::support::act::{Act, accepted, refused};
use crate::support::http::Reply;
use crate::support::sandbox::{Sandbox, Text};

/// The time of one request, plus ten seconds.
const LIMIT: Duration = Duration::from_secs(35);

/// Answers the poison export with `reply`, and accepts everything else.
fn poisoned(act: &Act, reply: fn() -> Reply) {
    act.answer_by(move |request| if name_of(&request.raw).contains("poison") { reply() } else { accepted() });
}

type Taken = Arc<Mutex<Vec<(String, Instant)>>>;

/// The exports that ACT accepted, in order, with their arrival times; and the arrival times of the poison export.
fn note_taken(act: &Act, reply: fn() -> Reply) -> (Taken, Arc<Mutex<Vec<Instant>>>) {
    let (taken, poison) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (noted, poisoned) = (taken.clone(), poison.clone());
    act.answer_by(move |request| {
        let name = name_of(&request.raw);
        if name.contains("poison") {
            poisoned.lock().unwrap().push(Instant::now());
            return reply();
        }
        noted.lock().unwrap().push((name, Instant::now()));
        accepted()
    });
    (taken, poison)
}

fn history(sandbox: &Sandbox) -> Value {
    let output = sandbox.act_claude(&["act", "history", "--json"]).output().unwrap();
    serde_json::from_str(&output.out()).unwrap_or_else(|error| panic!("{error}: {}{}", output.out(), output.err()))
}

/// The names of a session's exports, with or without the poison export.
fn names(session: &str, count: usize, poison: Option<usize>) -> Vec<String> {
    let name = |at| if poison == Some(at) { format!("{session}.poison") } else { format!("{session}.{at}") };
    (0..count).map(name).collect()
}

/// A hundred exports with one poison export, left by an earlier session or sent by a living one; also five sessions and
/// a flush.
fn among_a_hundred((reply, patience): (fn() -> Reply, usize), at: usize, is_left: bool) {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let (taken, poison_times) = note_taken(&act, reply);
    let left = if is_left { names("0a", 100, Some(at)) } else { Vec::new() };
    let files = leave(&sandbox, "0a", &left.iter().map(String::as_str).collect::<Vec<_>>(), &act.endpoint());
    let relays: Vec<Relay> = (0..5).map(|_| Relay::start(&sandbox, &act.endpoint())).collect();
    let own: Vec<Vec<String>> = (0..5)
        .map(|session| {
            let poison = (!is_left && session == 2).then_some(at / 5);
            names(&format!("own{session}"), 20, poison)
        })
        .collect();
    let begun = Instant::now();
    let mut flush = sandbox.act_claude(&["act", "flush", "--json"]).stdout(Stdio::null()).spawn().unwrap();
    std::thread::scope(|scope| {
        for (relay, names) in relays.iter().zip(&own) {
            scope.spawn(move || {
                for name in names {
                    assert_eq!(relay.post(&export(name)), Some(200));
                }
            });
        }
    });
    let expected: Vec<&Vec<String>> = own.iter().chain(is_left.then_some(&left)).collect();
    let count = expected.iter().map(|names| names.len()).sum::<usize>() - 1;
    crate::support::eventually(&format!("{count} exports at ACT"), || {
        let distinct: std::collections::BTreeSet<_> =
            taken.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
        (distinct.len() == count).then_some(())
    });
    let took = begun.elapsed();
    println!("poison at {at}, left behind: {is_left}: {count} others after {:.1} s", took.as_secs_f64());
    // The number of requests counts, not the time, because the machine may be busy. The rest of the session waited for
    // one request that hangs, or for a few that fail at once: several processes try the export in parallel, and a flush
    // makes them try.
    let its = if is_left { "0a." } else { "own2." };
    let last = taken.lock().unwrap().iter().filter(|(name, _)| name.starts_with(its)).map(|(_, at)| *at).max().unwrap();
    let asked = poison_times.lock().unwrap().iter().filter(|at| **at < last).count();
    println!("  {asked} requests with poison until then; within the limit: {}", took < LIMIT);
    assert!(asked <= patience, "{asked} requests with poison");
    assert!(took < LIMIT * 3, "{took:?}");
    let taken: Vec<String> = taken.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
    for names in expected {
        let prefix = names[0].split_once('.').unwrap().0;
        let arrived: Vec<&String> = taken.iter().filter(|name| name.split_once('.').unwrap().0 == prefix).collect();
        let sent: Vec<&String> = names.iter().filter(|name| !name.contains("poison")).collect();
        assert_eq!(arrived, sent, "in order, each once");
    }
    // The poison export is kept and reported.
    let poison = crate::support::eventually("the poison, and nothing else", || {
        let left = waiting(&sandbox);
        (left.len() == 1).then(|| left[0].clone())
    });
    if is_left {
        assert_eq!(poison, files[at]);
    }
    crate::support::eventually("its being named", || {
        let history = history(&sandbox);
        let waiting = &history["spool"]["waiting"][0];
        // The very last export has nothing after it to be compared with: it is reported as failing.
        let named = if at == 99 { &waiting["failing"] } else { &waiting["deferred"] };
        (named[0]["export"] == poison.as_str()).then_some(())
    });
    let _ = flush.kill();
    let _ = flush.wait();
    drop(relays);
}

fn everywhere(reply: fn() -> Reply, patience: usize) {
    std::thread::scope(|scope| {
        for at in [0, 50, 99] {
            for is_left in [true, false] {
                scope.spawn(move || among_a_hundred((reply, patience), at, is_left));
            }
        }
    });
}

#[test]
fn b7_an_export_answered_with_500_delays_no_other() {
    everywhere(|| refused(500, "oops"), 10);
}

#[test]
fn b7_an_export_whose_connection_is_closed_delays_no_other() {
    everywhere(|| Reply::Close, 10);
}

#[test]
fn b7_an_export_that_hangs_delays_others_for_one_request_only() {
    everywhere(|| Reply::Hang, 1);
}

#[test]
fn b7_a_living_session_reports_it_and_its_export_can_be_discarded() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    poisoned(&act, || Reply::json(500, ""));
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    // Two of them in sequence: neither proves that ACT is down.
    for name in ["poison1", "poison2", "a", "b"] {
        assert_eq!(relay.post(&export(name)), Some(200));
    }
    relay.until(&sandbox, State::Delivered, 2);
    let outcome = crate::support::eventually("both aside", || {
        let record = act_claude::state::record::latest(&sandbox.state())?;
        (record.outcome.deferred.as_ref()?.exports == 2).then_some(record.outcome)
    });
    assert_eq!(outcome.deferred.unwrap().problem.said, "500 Internal Server Error");
    assert_eq!(waiting(&sandbox).len(), 2);
    // It can be discarded by its name, although its session lives.
    let first = waiting(&sandbox)[0].clone();
    crate::support::eventually("its being given up", || {
        let output = sandbox.act_claude(&["act", "flush", "--discard", "--only", &first]).output().unwrap();
        output.out().contains("1 export deleted").then_some(())
    });
    assert_eq!(waiting(&sandbox).len(), 1);
    let outcome = crate::support::eventually("its being counted as lost", || {
        let record = act_claude::state::record::latest(&sandbox.state())?;
        (record.outcome.count(State::Lost) == 1).then_some(record.outcome)
    });
    assert_eq!((outcome.count(State::Waiting), outcome.deferred()), (1, 1));
    // ACT is repaired: the other one is delivered, by the relay itself or because of the flush.
    act.answer(accepted());
    sandbox.act_claude(&["act", "flush"]).output().unwrap();
    relay.until(&sandbox, State::Delivered, 3);
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!((outcome.deferred(), outcome.count(State::Delivered)), (0, 3));
    assert_eq!(crate::relay::files(&sandbox, "deferred"), [] as [String; 0], "nothing is left of it");
}

/// An export whose file is damaged proves nothing about ACT: the one in doubt steps aside only if ACT answers for another.
#[test]
fn b7_a_lost_export_is_no_proof_that_others_pass() {
    for others in [&["damaged"][..], &["damaged", "b"]] {
        let sandbox = Sandbox::new();
        let act = Act::start();
        sandbox.configure_one(&act.endpoint());
        poisoned(&act, || Reply::json(500, ""));
        let relay = Relay::start(&sandbox, &act.endpoint());
        for name in [&["poison"], others].concat() {
            assert_eq!(relay.post(&export(name)), Some(200));
        }
        // ACT has not answered three times yet: the others are sent only after that.
        let file = sandbox.state().join("spool/new").join(&waiting(&sandbox)[1]);
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all(&bytes).unwrap();
        relay.until(&sandbox, State::Lost, 1);
        let poison_tries = || act.requests().iter().filter(|request| name_of(&request.raw) == "poison").count();
        crate::support::eventually("a fourth try", || (poison_tries() >= 4).then_some(()));
        let waiting = &history(&sandbox)["spool"]["waiting"][0];
        let shown = ["deferred", "failing"].map(|key| waiting[key].as_array().map_or(0, Vec::len));
        assert_eq!(shown, if others.len() == 1 { [0, 1] } else { [1, 0] }, "{others:?}: {waiting}");
    }
}

#[test]
fn b7_flush_names_what_steps_aside_and_discards_it_and_nothing_else() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    poisoned(&act, || Reply::json(500, ""));
    let files = leave(&sandbox, "0a", &["poison", "a", "b"], &act.endpoint());
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    let name = &files[0];
    let expected = format!(
        "billing: 2 exports delivered (2 points)\n\
         billing: 1 export stepped aside, tried 3 times: 500 Internal Server Error. ACT accepts other exports\n  \
         to delete it: act-claude act flush --discard --only {name}\n"
    );
    assert_eq!((output.out(), output.code()), (expected, 75));
    let delivered: Vec<String> = act.requests().iter().map(|request| name_of(&request.raw)).collect();
    assert_eq!(delivered, ["poison", "poison", "poison", "a", "b"]);
    // Another flush does not count from zero. The export is known to fail even when it is the only one.
    let output = sandbox.act_claude(&["act", "flush", "--json"]).output().unwrap();
    let json: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!((json["aliases"][0]["deferred"][0]["tries"].as_u64(), output.code()), (Some(4), 75), "{json}");
    assert_eq!(act.requests().len(), 6);
    let doctor = sandbox.act_claude(&["act", "doctor"]).output().unwrap();
    assert!(doctor.out().contains("1 export of billing stepped aside\n"), "{}", doctor.out());
    assert!(
        doctor.out().contains("500 Internal Server Error: ACT accepts other exports but not this one;"),
        "{}",
        doctor.out()
    );
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap();
    let shown = history.out().split_whitespace().collect::<Vec<_>>().join(" ");
    let words = format!("{name} stepped aside (ACT accepts other exports): 500 Internal Server Error, tried 4 times.");
    assert!(shown.contains(&words), "{shown}");
    let output = sandbox.act_claude(&["act", "flush", "--discard"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("billing: 1 export deleted\n", 0));
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
}

/// An export that is rejected shows that ACT answers, and not that it accepts others.
#[test]
fn b14_that_others_are_accepted_is_said_only_where_one_was() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    act.answer_by(|request| refused(if name_of(&request.raw) == "poison" { 500 } else { 400 }, ""));
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    for name in ["poison", "bad"] {
        assert_eq!(relay.post(&export(name)), Some(200));
    }
    relay.until(&sandbox, State::Rejected, 1);
    let outcome = relay.outcome(Duration::from_millis(100));
    assert_eq!(outcome.deferred.map(|deferred| (deferred.exports, deferred.accepts_others)), Some((1, false)));
    relay.finish();
    // The next session's relay, and the commands, know no more.
    let aside = &history(&sandbox)["spool"]["waiting"][0]["deferred"][0];
    assert_eq!(aside["accepts_others"], false, "{aside}");
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert!(output.out().contains(" times: 500 Internal Server Error. The others go first\n"), "{}", output.out());
    for command in ["history", "doctor"] {
        let output = sandbox.act_claude(&["act", command]).output().unwrap();
        let shown = output.out().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains("go first") && !shown.contains("accepts other"), "{command}: {shown}");
    }
}

/// In an outage no export is the cause: none steps aside, and none is discarded except by its name.
#[test]
fn b11_in_an_outage_no_export_steps_aside() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let files = leave(&sandbox, "0a", &["a", "b", "c", "d"], &act.endpoint());
    act.answer(refused(500, ""));
    let output = sandbox.act_claude(&["act", "flush", "--discard"]).output().unwrap();
    assert_eq!(output.code(), 75, "{}", output.out());
    assert!(output.out().starts_with("billing: 4 exports waiting: 500 Internal Server Error"), "{}", output.out());
    assert_eq!(waiting(&sandbox), files);
    let requests = act.requests().len();
    assert!(requests <= 6, "{requests}");
    // An answer with Retry-After concerns all exports of the account.
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    leave(&sandbox, "0b", &["e", "f"], &act.endpoint());
    act.answer(Reply::json(503, "").header("Retry-After", "60"));
    assert_eq!(sandbox.act_claude(&["act", "flush"]).output().unwrap().code(), 75);
    assert_eq!(act.requests().len(), 1);
    act.answer(accepted());
    assert_eq!(sandbox.act_claude(&["act", "flush"]).output().unwrap().code(), 78, "the others' endpoint is another");
    let taken: Vec<String> = act.requests().iter().skip(1).map(|request| name_of(&request.raw)).collect();
    assert_eq!(taken, ["e", "f"], "in order");
}

/// A session's relay sends one request besides the oldest export at each step of its backoff, and keeps the order.
#[test]
fn b11_an_outage_costs_one_more_request_a_step_and_keeps_the_order() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = times.clone();
    act.answer_by(move |request| {
        noted.lock().unwrap().push((Instant::now(), name_of(&request.raw)));
        refused(500, "")
    });
    let relay = Relay::start(&sandbox, &act.endpoint());
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(relay.post(&export(name)), Some(200));
    }
    crate::support::eventually("eight requests", || (times.lock().unwrap().len() >= 8).then_some(()));
    let times = times.lock().unwrap().clone();
    let heads: Vec<Instant> = times.iter().filter(|(_, name)| name == "a").map(|(at, _)| *at).collect();
    assert!(heads.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(490)), "{times:?}");
    assert_eq!(times[..3].iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["a", "a", "a"]);
    assert!(times.len() <= 2 * heads.len(), "{times:?}");
    let before = act.requests().len();
    act.answer(accepted());
    sandbox.act_claude(&["act", "flush"]).output().unwrap();
    relay.until(&sandbox, State::Delivered, 5);
    let taken: Vec<String> = act.requests().iter().skip(before).map(|request| name_of(&request.raw)).collect();
    assert_eq!(taken, ["a", "b", "c", "d", "e"]);
}

/// A single export has nothing to be compared with: it waits, and is discarded only by its name.
#[test]
fn b7_a_single_export_waits_and_is_discarded_by_its_name() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    act.answer(refused(500, ""));
    let files = leave(&sandbox, "0a", &["poison"], &act.endpoint());
    let output = sandbox.act_claude(&["act", "flush", "--discard"]).output().unwrap();
    assert_eq!(output.code(), 75, "{}", output.out());
    let hint = format!("act-claude act flush --discard --only {}\n", files[0]);
    assert!(output.out().ends_with(&hint), "{}", output.out());
    let output = sandbox.act_claude(&["act", "flush", "--discard", "--only", "none-00000001"]).output().unwrap();
    assert_eq!((output.code(), waiting(&sandbox).len()), (64, 1), "{}", output.out());
    let output = sandbox.act_claude(&["act", "flush", "--discard", "--only", &files[0]]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("billing: 1 export deleted\n", 0));
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
}

/// ACT may have the export although its answer was lost: it is not sent again at once.
#[test]
fn b4_closed_without_an_answer_is_one_request_a_step() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let times = Arc::new(Mutex::new(BTreeMap::<usize, Instant>::new()));
    let noted = times.clone();
    act.answer_by(move |_| {
        let mut times = noted.lock().unwrap();
        let count = times.len();
        times.insert(count, Instant::now());
        if count == 0 { accepted() } else { Reply::Close }
    });
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.until(&sandbox, State::Delivered, 1);
    // Over a reused connection; then claude ends, and the relay drains.
    assert_eq!(relay.post(&export("b")), Some(200));
    assert_eq!(relay.outcome(crate::support::DEADLINE).count(State::Waiting), 1);
    relay.end();
    crate::support::eventually("five requests", || (times.lock().unwrap().len() >= 5).then_some(()));
    let times: Vec<Instant> = times.lock().unwrap().values().copied().collect();
    assert!(times[1..].windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(450)), "{times:?}");
    relay.kill();
}
