//! Copies for other OTLP receivers: each destination has a queue of its own, and what becomes of a copy changes nothing for ACT.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use act_claude::delivery::target::Copy;
use act_claude::relay::protocol::Start;
use act_claude::state::outcome::{Outcome, State};
use act_claude::state::record::{self, Record};
use serde_json::{Value, json};

use crate::relay::{Relay, export, name_of, start_of, waiting};
use crate::support::act::{Act, accepted, refused};
use crate::support::http::{Reply, Request};
use crate::support::sandbox::{Sandbox, TOKEN, Text};
use crate::support::{DEADLINE, eventually};

/// The header's value that a receiver of copies asks for.
const KEY: &str = "key-of-the-receiver";

/// A receiver of copies.
pub struct Receiver {
    pub act: Act,
    pub name: String,
}

impl Receiver {
    pub fn start(name: &str) -> Self {
        Self { act: Act::start(), name: name.to_owned() }
    }

    pub fn url(&self) -> String {
        format!("{}/v1/metrics", self.act.origin())
    }

    /// The names of the exports it took, in order.
    fn names(&self) -> Vec<String> {
        self.act.requests().iter().map(|request| name_of(&request.raw)).collect()
    }

    /// The names of the copies that wait for it.
    pub fn waiting(&self, sandbox: &Sandbox) -> Vec<String> {
        files(&self.spool(sandbox).join("new"))
    }

    pub fn spool(&self, sandbox: &Sandbox) -> PathBuf {
        sandbox.state().join("copies").join(&self.name).join("spool")
    }
}

pub fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// The configuration of `billing` with copies, each with its header in a file.
pub fn configure(sandbox: &Sandbox, act: &Act, receivers: &[&Receiver], more: &Value) {
    let key = sandbox.write("key", format!("Bearer {KEY}\n"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let copies = receivers.iter().map(|receiver| {
        let mut copy = json!({"endpoint": receiver.url(), "headers": {"Authorization": {"file": key}}});
        for (key, value) in more[&receiver.name].as_object().into_iter().flatten() {
            copy[key] = value.clone();
        }
        (receiver.name.clone(), copy)
    });
    let copies: serde_json::Map<_, _> = copies.collect();
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "CUSTOM_PROVIDER"}},
        "directories": {"~": "billing"},
        "copies": copies,
    }));
}

/// A session of `billing` with the copies that the configuration names.
pub fn start(sandbox: &Sandbox, act: &Act) -> Start {
    let environment: act_claude::system::environment::Environment =
        sandbox.environment().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let loaded = act_claude::config::load(&environment);
    assert_eq!(loaded.faults, []);
    let mut start = start_of(sandbox, &act.endpoint());
    let route = start.route.as_mut().expect("a route");
    route.attributes = vec![("providerType".to_owned(), "CUSTOM_PROVIDER".to_owned())];
    route.copies = Copy::of(&loaded.config, "billing");
    start
}

fn record(sandbox: &Sandbox) -> Record {
    record::read_all(&sandbox.state()).pop().expect("a record")
}

/// Puts files where these directories of the state directory would be, so that nothing can be stored there.
pub fn in_the_way(sandbox: &Sandbox, names: &[&str]) {
    std::fs::create_dir_all(sandbox.state()).unwrap();
    std::fs::set_permissions(sandbox.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
    names.iter().for_each(|name| std::fs::write(sandbox.state().join(name), "not a directory").unwrap());
}

/// Waits until the copies of a destination are in these states, and returns them.
pub fn until(sandbox: &Sandbox, receiver: &Receiver, states: &[(State, u64)]) -> Outcome {
    let states: BTreeMap<State, u64> = states.iter().copied().collect();
    eventually(&format!("{}: {states:?}", receiver.name), || {
        let outcome = record::read_all(&sandbox.state()).pop()?.copies.remove(&receiver.name)?;
        (outcome.states == states).then_some(outcome)
    })
}

#[test]
fn each_receiver_gets_its_own_and_no_other_s_credentials() {
    let sandbox = Sandbox::new();
    let (act, one, two) = (Act::start(), Receiver::start("one"), Receiver::start("two"));
    configure(&sandbox, &act, &[&one, &two], &json!({}));
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    for name in ["a", "b", "c"] {
        assert_eq!(relay.post(&export(name)), Some(200));
    }
    assert_eq!(relay.outcome(DEADLINE).states, [(State::Delivered, 3)].into());
    relay.finish();
    for receiver in [&one, &two] {
        assert_eq!(receiver.names(), ["a", "b", "c"], "in order, once");
        for request in receiver.act.requests() {
            assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
            assert_eq!((request.header("x-alias-id"), request.header("origin")), (None, None));
            assert_eq!(request.raw, export(&name_of(&request.raw)), "as claude sent it");
            assert!(!format!("{request:?}").contains(TOKEN), "ACT's token goes to ACT only");
        }
        assert_eq!(receiver.waiting(&sandbox), [] as [String; 0]);
        assert_eq!(files(&receiver.spool(&sandbox).join("bodies")), [] as [String; 0]);
    }
    for request in act.requests() {
        assert!(String::from_utf8_lossy(&request.raw).contains("CUSTOM_PROVIDER"));
        assert!(!format!("{request:?}").contains(KEY), "nor the other way round");
    }
    let record = record(&sandbox);
    assert_eq!(record.copies.len(), 2);
    assert!(record.copies.values().all(|copy| copy.states == [(State::Delivered, 3)].into() && copy.points == 3));
    let written = crate::support::sandbox::snapshot(&sandbox.state());
    assert!(written.values().all(|bytes| !String::from_utf8_lossy(bytes).contains(KEY)), "it is never written");
}

/// A receiver that fails in one way.
fn failing(receiver: &Receiver, how: &str) {
    match how {
        "gone" => receiver.act.answer(Reply::Close),
        "refusing" => receiver.act.answer(refused(401, "Unauthorized")),
        "busy" => receiver.act.answer(refused(503, "")),
        "poison" => receiver.act.answer(refused(400, "malformed")),
        "slow" => receiver.act.answer(Reply::After(Duration::from_millis(300), Box::new(accepted()))),
        "hanging" => receiver.act.answer(Reply::After(Duration::from_secs(60), Box::new(accepted()))),
        other => panic!("{other}"),
    }
}

#[test]
fn a_copy_that_fails_changes_nothing_for_act_and_the_others() {
    for how in ["gone", "refusing", "busy", "poison", "slow", "hanging"] {
        let sandbox = Sandbox::new();
        let (act, one, two) = (Act::start(), Receiver::start("one"), Receiver::start("two"));
        configure(&sandbox, &act, &[&one, &two], &json!({}));
        failing(&one, how);
        let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
        for name in ["a", "b", "c"] {
            assert_eq!(relay.post_within(&export(name), Duration::from_secs(5)), Some(200), "{how}");
        }
        let outcome = relay.outcome(DEADLINE);
        assert_eq!(outcome.states, [(State::Delivered, 3)].into(), "{how}");
        until(&sandbox, &two, &[(State::Delivered, 3)]);
        assert_eq!(two.names(), ["a", "b", "c"], "{how}");
        relay.kill();
    }
}

#[test]
fn an_act_that_fails_changes_nothing_for_the_copies() {
    for how in ["gone", "refusing", "poison", "hanging"] {
        let sandbox = Sandbox::new();
        let (act, one) = (Receiver::start("act"), Receiver::start("one"));
        configure(&sandbox, &act.act, &[&one], &json!({}));
        failing(&act, how);
        let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act.act));
        for name in ["a", "b"] {
            assert_eq!(relay.post(&export(name)), Some(200), "{how}");
        }
        until(&sandbox, &one, &[(State::Delivered, 2)]);
        assert_eq!(one.names(), ["a", "b"], "{how}");
        relay.kill();
    }
}

#[test]
fn an_export_and_its_copies_are_one_body_on_disk() {
    let sandbox = Sandbox::new();
    let (act, one, two) = (Act::start(), Receiver::start("one"), Receiver::start("two"));
    configure(&sandbox, &act, &[&one, &two], &json!({"two": {"redact": ["export"]}}));
    act.answer(refused(503, ""));
    [&one, &two].iter().for_each(|receiver| receiver.act.answer(refused(503, "")));
    let relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    let bodies: Vec<Vec<u8>> = (0..20).map(|number| export(&format!("{number}-{}", "x".repeat(40_000)))).collect();
    for body in &bodies {
        assert_eq!(relay.post(body), Some(200));
    }
    let mut inodes = BTreeMap::new();
    for place in [sandbox.state().join("spool"), sandbox.state().join("copies")] {
        let mut open = vec![place];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap().flatten() {
                let metadata = entry.path().symlink_metadata().unwrap();
                match metadata.is_dir() {
                    true => open.push(entry.path()),
                    false => drop(inodes.insert(metadata.ino(), metadata.len())),
                }
            }
        }
    }
    let (used, sent): (u64, usize) = (inodes.values().sum(), bodies.iter().map(Vec::len).sum());
    let more = used.saturating_sub(sent as u64);
    assert!(more < 20 * 3 * 1024, "{more} bytes more than the {sent} of the bodies");
    drop(relay);
    // ACT takes its exports; the copies still have their bodies.
    act.answer(accepted());
    sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
    [&one, &two].iter().for_each(|receiver| receiver.act.answer(accepted()));
    let (before_one, before_two) = (one.act.requests().len(), two.act.requests().len());
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.out());
    assert!(output.out().contains("copy one: billing: 20 exports delivered (20 points)"), "{}", output.out());
    let raw = |request: &Request| request.raw.clone();
    assert!(one.act.requests().iter().skip(before_one).map(raw).eq(bodies.iter().cloned()), "each as claude sent it");
    for request in two.act.requests().iter().skip(before_two) {
        let text = String::from_utf8_lossy(&request.raw).into_owned();
        assert!(!text.contains("\"export\"") && !text.contains("xxxx"), "without what it does not get");
    }
    for receiver in [&one, &two] {
        assert_eq!((receiver.waiting(&sandbox), files(&receiver.spool(&sandbox).join("bodies"))), (vec![], vec![]));
    }
}

/// What is never sent reaches no copy either; a copy may lack more.
#[test]
fn what_is_never_sent_is_in_no_copy() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    let mut start = start(&sandbox, &act);
    start.redact = vec!["export".to_owned()];
    let mut relay = Relay::start_with(&sandbox, start);
    assert_eq!(relay.post(&export("a")), Some(200));
    assert_eq!(relay.outcome(DEADLINE).states, [(State::Delivered, 1)].into());
    relay.finish();
    for request in act.requests().iter().chain(&one.act.requests()) {
        assert!(!String::from_utf8_lossy(&request.raw).contains("\"export\""));
    }
    assert_eq!((act.requests().len(), one.act.requests().len()), (1, 1));
}

#[test]
fn what_waits_is_sent_by_the_next_session_and_counted_in_its_own_record() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    one.act.answer(refused(401, "Unauthorized"));
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    assert_eq!(relay.post(&export("a")), Some(200));
    assert_eq!(relay.outcome(DEADLINE).states, [(State::Delivered, 1)].into());
    relay.finish();
    let held = until(&sandbox, &one, &[(State::Held, 1)]);
    assert_eq!(held.problems[&State::Held].said, "one answered 401 Unauthorized");
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    assert!(history.contains("copy one: 1 export held: one answered 401 Unauthorized"), "{history}");
    assert!(history.contains("Copies for one, kept on this machine"), "{history}");
    // The header is corrected.
    sandbox.write("key", "Bearer corrected");
    std::fs::set_permissions(sandbox.home().join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    one.act.answer(accepted());
    let relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    eventually("the copy", || one.waiting(&sandbox).is_empty().then_some(()));
    relay.finish();
    until(&sandbox, &one, &[(State::Delivered, 1)]);
    assert_eq!(one.act.requests().last().unwrap().header("authorization"), Some("Bearer corrected"));
}

#[test]
fn a_copy_goes_only_to_the_url_it_was_captured_for() {
    let sandbox = Sandbox::new();
    let (act, old, new) = (Act::start(), Receiver::start("one"), Receiver::start("one"));
    configure(&sandbox, &act, &[&old], &json!({}));
    old.act.answer(refused(404, ""));
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.outcome(DEADLINE);
    relay.finish();
    configure(&sandbox, &act, &[&new], &json!({}));
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 78, "{}", output.out());
    assert!(output.out().contains("copy one has another URL now"), "{}", output.out());
    assert!(output.out().contains("act-claude act flush --copy one"), "{}", output.out());
    assert_eq!(new.names(), [] as [String; 0]);
    let output = sandbox.act_claude(&["act", "flush", "--copy", "one"]).output().unwrap();
    assert_eq!((output.code(), new.names()), (0, vec!["a".to_owned()]), "{}", output.out());
    let output = sandbox.act_claude(&["act", "flush", "--copy", "ones"]).output().unwrap();
    assert_eq!(output.code(), 64);
    assert!(output.err().contains("did you mean one?"), "{}", output.err());
}

#[test]
fn what_is_no_longer_configured_stays_until_it_is_deleted() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    one.act.answer(refused(404, ""));
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.outcome(DEADLINE);
    relay.finish();
    configure(&sandbox, &act, &[], &json!({}));
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert!(output.out().contains("copy one is no longer configured"), "{}", output.out());
    assert_eq!(one.waiting(&sandbox).len(), 1);
    let output = sandbox.act_claude(&["act", "flush", "--copy", "one", "--discard"]).output().unwrap();
    assert_eq!((output.code(), one.waiting(&sandbox).len()), (0, 0), "{}", output.out());
    until(&sandbox, &one, &[(State::Lost, 1)]);
}

/// A relay that is killed is replaced, and the copies go on.
#[test]
fn copies_outlive_their_relay() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    one.act.answer(refused(503, ""));
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    assert_eq!(relay.post(&export("a")), Some(200));
    eventually("a copy that waits", || (one.waiting(&sandbox).len() == 1).then_some(()));
    let worker = relay.worker();
    nix::sys::signal::kill(worker, nix::sys::signal::Signal::SIGKILL).unwrap();
    one.act.answer(accepted());
    assert_eq!(eventually("another relay", || relay.post(&export("b"))), 200);
    assert_eq!(relay.outcome(DEADLINE).states, [(State::Delivered, 2)].into());
    relay.finish();
    until(&sandbox, &one, &[(State::Delivered, 2)]);
    let names = one.names();
    assert!(names.ends_with(&["a".to_owned(), "b".to_owned()]), "{names:?}");
}

/// The spool of copies can't be written: ACT's exports are stored as ever, and a copy is sent from memory.
#[test]
fn a_copy_that_can_t_be_stored_is_sent_from_memory() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    in_the_way(&sandbox, &["copies"]);
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    assert_eq!(relay.post(&export("a")), Some(200));
    assert_eq!(relay.outcome(DEADLINE).states, [(State::Delivered, 1)].into());
    let outcome = until(&sandbox, &one, &[(State::Delivered, 1)]);
    assert!(outcome.unkept.is_some());
    relay.finish();
    assert_eq!(one.names(), ["a"]);
}

/// The user's own pipeline, as a session with this variable has it.
fn own_pipeline(sandbox: &mut Sandbox, act: &Act, own: &Receiver) -> Start {
    for (name, value) in [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", &format!("X-Own={KEY}")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &own.act.origin()),
    ] {
        sandbox.set(name, value);
    }
    configure(sandbox, act, &[], &json!({}));
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["own_pipeline"] = json!("copy");
    sandbox.configure(&config);
    let environment: act_claude::system::environment::Environment =
        sandbox.environment().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut start = start(sandbox, act);
    let config = act_claude::config::load(&environment).config;
    start.route.as_mut().unwrap().copies = Copy::all(&config, "billing", &environment, &[]);
    start
}

/// Its headers are only in the environment, so nobody can send what is left after the session.
#[test]
fn what_only_the_session_can_send_is_lost_with_it_and_counted() {
    let mut sandbox = Sandbox::new();
    let (act, own) = (Act::start(), Receiver::start("own-pipeline"));
    let start = own_pipeline(&mut sandbox, &act, &own);
    own.act.answer(refused(401, "Unauthorized"));
    let mut relay = Relay::start_with(&sandbox, start);
    assert_eq!(relay.post(&export("a")), Some(200));
    assert_eq!(relay.outcome(DEADLINE).states, [(State::Delivered, 1)].into());
    until(&sandbox, &own, &[(State::Held, 1)]);
    relay.finish();
    let lost = until(&sandbox, &own, &[(State::Lost, 1)]);
    assert_eq!(lost.problems[&State::Lost].said, "it was not sent before the session ended");
    assert_eq!(own.waiting(&sandbox), [] as [String; 0]);
    assert!(own.act.requests().iter().all(|request| request.header("x-own") == Some(KEY)));
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    assert!(history.contains("copy own-pipeline: 1 export lost"), "{history}");
    let written = crate::support::sandbox::snapshot(&sandbox.state());
    assert!(written.values().all(|bytes| !String::from_utf8_lossy(bytes).contains(KEY)), "it is never written");
}

/// Nor does a receiver without an answer fill the memory with them.
#[test]
fn few_copies_are_in_memory_only() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    failing(&one, "hanging");
    in_the_way(&sandbox, &["copies"]);
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    for name in 0..12 {
        assert_eq!(relay.post(&export(&name.to_string())), Some(200));
    }
    assert_eq!(relay.outcome(DEADLINE).states, [(State::Delivered, 12)].into());
    let outcome = until(&sandbox, &one, &[(State::UnderWay, 8), (State::Lost, 4)]);
    assert!(outcome.problems[&State::Lost].cause.contains("in memory"), "{outcome:?}");
    relay.kill();
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    assert!(history.contains("8 not observed") && history.contains("4 exports lost"), "{history}");
}
