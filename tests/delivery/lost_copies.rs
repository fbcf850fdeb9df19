//! Copies where the disk, another process or the receiver's answer is against them.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use act_claude::state::outcome::State;
use act_claude::state::record;
use serde_json::{Value, json};

use crate::copies::{Receiver, configure, files, in_the_way, start, until};
use crate::relay::{Relay, export};
use crate::support::DEADLINE;
use crate::support::act::{Act, accepted, refused};
use crate::support::eventually;
use crate::support::http::Reply;
use crate::support::sandbox::{Sandbox, Text};

/// The disk is full, and nobody answers: claude gets no 200, and sends the export again. Then its copy is made again, too.
#[test]
fn what_claude_sends_again_is_copied_again() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    in_the_way(&sandbox, &["copies", "spool"]);
    [&act, &one.act].iter().for_each(|receiver| receiver.answer(refused(503, "")));
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    assert_ne!(relay.post(&export("a")), Some(200));
    until(&sandbox, &one, &[(State::Lost, 1)]);
    for name in ["copies", "spool"] {
        std::fs::remove_file(sandbox.state().join(name)).unwrap();
    }
    [&act, &one.act].iter().for_each(|receiver| receiver.answer(accepted()));
    assert_eq!(relay.post(&export("a")), Some(200));
    assert_eq!(relay.outcome(DEADLINE).states, [(State::Delivered, 1)].into());
    relay.finish();
    let outcome = until(&sandbox, &one, &[(State::Delivered, 1)]);
    assert_eq!((outcome.exports, outcome.points), (1, 1), "counted once");
}

/// A receiver may say which credential it refuses, in its own words. They are shown and stored without it.
#[test]
fn an_answer_that_repeats_a_header_is_masked() {
    for (value, said) in [
        ("Api-Token dt0c01.s3cr3tcanary", "{\"message\":\"unknown token dt0c01.s3cr3tcanary\"}"),
        ("bearer s3cr3tcanary/abcdef", "{\"message\":\"bad s3cr3tcanary\\/abcdef\"}"),
        ("Token token=s3cr3tcanary, org=7", "no such token: s3cr3tcanary"),
        ("Bearer s3cr3tcanary+x/y", "{\"error\":{\"message\":\"s3cr3tcanary\\u002bx\\/y is not valid\"}}"),
        ("basic dXNlcjpzM2NyM3RjYW5hcnk=", "user: s3cr3tcanary"),
    ] {
        let sandbox = Sandbox::new();
        let (act, one) = (Act::start(), Receiver::start("one"));
        configure(&sandbox, &act, &[&one], &json!({}));
        sandbox.write("key", value);
        std::fs::set_permissions(sandbox.home().join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        one.act.answer(Reply::json(401, said));
        let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
        assert_eq!(relay.post(&export("a")), Some(200));
        relay.outcome(DEADLINE);
        let held = until(&sandbox, &one, &[(State::Held, 1)]);
        relay.finish();
        let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
        assert!(!history.contains("s3cr3tcanary"), "{value}: {history} {held:?}");
        let written = crate::support::sandbox::snapshot(&sandbox.state());
        let holds = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains("s3cr3tcanary");
        let found: Vec<_> = written.iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect();
        assert!(found.is_empty(), "{value}: {found:?}");
    }
}

/// Directories of earlier destinations are no destinations of this session.
#[test]
fn a_replaced_relay_counts_no_foreign_destination() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    std::fs::create_dir_all(sandbox.state().join("copies/earlier/spool/new")).unwrap();
    std::fs::set_permissions(sandbox.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    assert_eq!(relay.post(&export("a")), Some(200));
    nix::sys::signal::kill(relay.worker(), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(eventually("another relay", || relay.post(&export("b"))), 200);
    relay.outcome(DEADLINE);
    relay.finish();
    let record = record::read_all(&sandbox.state()).pop().unwrap();
    assert_eq!(record.copies.keys().collect::<Vec<_>>(), ["one"]);
}

/// The body of a copy that waits is removed by somebody: the copy is lost, and that is counted.
#[test]
fn a_copy_whose_body_is_gone_is_counted_lost() {
    for by_flush in [true, false] {
        let sandbox = Sandbox::new();
        let (act, one) = (Act::start(), Receiver::start("one"));
        configure(&sandbox, &act, &[&one], &json!({}));
        one.act.answer(refused(401, ""));
        let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
        assert_eq!(relay.post(&export("a")), Some(200));
        relay.outcome(DEADLINE);
        relay.finish();
        until(&sandbox, &one, &[(State::Held, 1)]);
        let bodies = one.spool(&sandbox).join("bodies");
        assert_eq!(files(&bodies).len(), 1);
        std::fs::remove_dir_all(&bodies).unwrap();
        one.act.answer(accepted());
        sandbox.write("key", "Bearer corrected");
        std::fs::set_permissions(sandbox.home().join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        if by_flush {
            let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
            eprintln!("{}", output.out());
        } else {
            let relay = Relay::start_with(&sandbox, start(&sandbox, &act));
            eventually("nothing left", || one.waiting(&sandbox).is_empty().then_some(()));
            relay.finish();
        }
        eventually("a lost copy", || {
            let records = record::read_all(&sandbox.state());
            records.iter().any(|record| record.copies["one"].states == [(State::Lost, 1)].into()).then_some(())
        });
    }
}

/// The session's end does not wait for a receiver that hangs, and what is under way then waits for the next session.
#[test]
fn a_hanging_receiver_leaves_a_copy_that_waits() {
    let sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    configure(&sandbox, &act, &[&one], &json!({}));
    one.act.answer(Reply::After(Duration::from_secs(60), Box::new(accepted())));
    let mut relay = Relay::start_with(&sandbox, start(&sandbox, &act));
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.outcome(DEADLINE);
    nix::sys::signal::kill(relay.worker(), nix::sys::signal::Signal::SIGTERM).unwrap();
    nix::sys::signal::kill(relay.worker(), nix::sys::signal::Signal::SIGTERM).unwrap();
    relay.finish();
    let record = record::read_all(&sandbox.state()).pop().unwrap();
    eprintln!("{:?} {:?}", record.end, record.copies);
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    eprintln!("{history}");
    assert_eq!(one.waiting(&sandbox).len(), 1);
}

/// The own pipeline has another URL now: `--copy own-pipeline` sends what waits there, as for any other destination.
#[test]
fn what_waits_for_an_earlier_url_of_the_own_pipeline_can_be_sent() {
    let mut sandbox = Sandbox::new();
    let (act, old, new) = (Act::start(), Receiver::start("own-pipeline"), Receiver::start("own-pipeline"));
    for (name, value) in [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &old.act.origin()),
    ] {
        sandbox.set(name, value);
    }
    configure(&sandbox, &act, &[], &json!({}));
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["own_pipeline"] = json!("copy");
    sandbox.configure(&config);
    let environment: act_claude::system::environment::Environment =
        sandbox.environment().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut start = start(&sandbox, &act);
    let config = act_claude::config::load(&environment).config;
    start.route.as_mut().unwrap().copies =
        act_claude::delivery::target::Copy::all(&config, "billing", &environment, &[]);
    old.act.answer(refused(404, ""));
    let mut relay = Relay::start_with(&sandbox, start);
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.outcome(DEADLINE);
    relay.finish();
    assert_eq!(old.waiting(&sandbox).len(), 1);
    sandbox.set("OTEL_EXPORTER_OTLP_ENDPOINT", new.act.origin());
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert!(output.out().contains("act-claude act flush --copy own-pipeline"), "{}", output.out());
    let output = sandbox.act_claude(&["act", "flush", "--copy", "own-pipeline"]).output().unwrap();
    assert_eq!((output.code(), new.act.requests().len()), (0, 1), "{}", output.out());
}

/// A receiver that is named twice would count everything twice.
#[test]
fn a_copy_with_the_url_of_the_own_pipeline_takes_its_place() {
    let mut sandbox = Sandbox::new();
    let (act, one) = (Act::start(), Receiver::start("one"));
    for (name, value) in [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &one.url()),
    ] {
        sandbox.set(name, value);
    }
    configure(&sandbox, &act, &[&one], &json!({}));
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["own_pipeline"] = json!("copy");
    sandbox.configure(&config);
    let environment: act_claude::system::environment::Environment =
        sandbox.environment().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let config = act_claude::config::load(&environment).config;
    let copies = act_claude::delivery::target::Copy::all(&config, "billing", &environment, &[]);
    let names: Vec<&str> = copies.iter().map(|copy| copy.target.account.as_str()).collect();
    assert_eq!(names, ["one"]);
}
