//! B10: storage is bounded. When nothing can be stored, exports are delivered at once or refused, and counted.

use act_claude::state::outcome::State;
use serde_json::json;

use crate::relay::{Relay, export, files, name_of, start_of, waiting};
use crate::support::act::{Act, accepted, refused};
use crate::support::sandbox::Sandbox;

fn full(files: u64, mib: u64) -> (Sandbox, Act) {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P"}},
        "default": "billing", "spool_files": files, "spool_mib": mib
    }));
    (sandbox, act)
}

#[test]
fn b10_when_full_act_decides_and_no_acknowledged_export_is_deleted() {
    let (sandbox, act) = full(3, 64);
    act.answer(refused(503, "later"));
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    for name in ["a", "b", "c"] {
        assert_eq!(relay.post(&export(name)), Some(200));
    }
    assert_eq!(relay.post(&export("d")), Some(503), "neither kept nor delivered");
    assert_eq!(waiting(&sandbox).len(), 3);
    act.answer(accepted());
    assert_eq!(relay.post(&export("e")), Some(200), "delivered past the full spool");
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!(outcome.states.get(&State::Lost), Some(&1));
    let why = &outcome.problems[&State::Lost].said;
    assert!(why.contains("3 exports are waiting already"), "{why}");
    assert_eq!(outcome.unkept.as_deref(), Some("3 exports are waiting already"));
    relay.finish();
    let mut taken: Vec<String> = act.requests().iter().map(|request| name_of(&request.raw)).collect();
    taken.sort();
    taken.dedup();
    assert_eq!(taken, ["a", "b", "c", "d", "e"]);
    assert_eq!(waiting(&sandbox), [] as [String; 0], "what was acknowledged has been delivered");
}

#[test]
fn b10_bytes_are_bounded_too() {
    let (sandbox, act) = full(10_000, 1);
    act.answer(refused(503, "later"));
    let relay = Relay::start(&sandbox, &act.endpoint());
    let large = |name: &str| export(&format!("{name}{}", "x".repeat(600_000)));
    assert_eq!(relay.post(&large("a")), Some(200));
    assert_eq!(relay.post(&large("b")), Some(503));
    assert_eq!(waiting(&sandbox).len(), 1);
}

/// An export without its required attributes grows when they are added. If it becomes too large to be read again, it is
/// not acknowledged.
#[test]
fn b10_an_export_that_grows_too_large_is_refused_and_counted() {
    let (sandbox, act) = full(10, 64);
    let mut start = start_of(&sandbox, &act.endpoint());
    let attributes = vec![("providerType".to_owned(), "P".repeat(1_000))];
    start.route.as_mut().expect("a route").attributes = attributes;
    let mut relay = Relay::start_with(&sandbox, start);
    let resources = |count: usize| {
        let resource = r#"{"scopeMetrics":[{"metrics":[{"name":"m","sum":{"dataPoints":[{"asInt":"1"}]}}]}]}"#;
        format!(r#"{{"resourceMetrics":[{}]}}"#, vec![resource; count].join(",")).into_bytes()
    };
    assert_eq!(relay.post(&resources(30_000)), Some(413), "it would be larger than 24 MiB");
    assert_eq!(relay.post(&resources(1_000)), Some(200));
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!(outcome.states, [(State::Lost, 1), (State::Delivered, 1)].into());
    assert_eq!((outcome.exports, outcome.points), (2, 31_000));
    assert_eq!(outcome.problems[&State::Lost].said, "an export is larger than 24 MiB");
    relay.finish();
    assert_eq!((waiting(&sandbox), files(&sandbox, "corrupt")), (vec![], vec![]));
    assert!(act.requests()[0].raw.len() > 1_000_000, "with its attributes");
}

/// Sums stay finite numbers, and a record that contains them can be read again.
#[test]
fn b14_totals_are_numbers() {
    let (sandbox, act) = full(10, 64);
    let relay = Relay::start(&sandbox, &act.endpoint());
    let points = r#"{"asDouble":1e308},{"asDouble":1e308}"#;
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","unit":"t","sum":{{"aggregationTemporality":1,"dataPoints":[{points}]}}}}]}}]}}]}}"#
    );
    assert_eq!(relay.post(body.as_bytes()), Some(200));
    // A second export with another sum.
    assert_eq!(relay.post(body.replace("1e308", "1.1e308").as_bytes()), Some(200));
    relay.until(&sandbox, State::Delivered, 2);
    relay.finish();
    let records = act_claude::state::record::read_all(&sandbox.state());
    assert_eq!(records.iter().map(|record| record.totals["m"].value).collect::<Vec<_>>(), [f64::MAX]);
    let output = sandbox.act_claude(&["act", "history"]).output().expect("started");
    assert!(String::from_utf8_lossy(&output.stdout).contains("delivered        2       4 "), "{output:?}");
}

/// ACT does not answer: what can't be stored fills the memory up to a bound, and the rest is refused at once and counted.
#[test]
fn b10_few_exports_are_in_memory_only() {
    let (sandbox, act) = full(1, 64);
    // ACT answers once it may.
    let (may_answer, permission) = std::sync::mpsc::channel::<()>();
    let permission = std::sync::Mutex::new(permission);
    act.answer_by(move |_| {
        let _ = permission.lock().unwrap().recv();
        accepted()
    });
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("stored")), Some(200));
    let place = relay.place();
    let post = |name: String| {
        let (address, path) = place.clone();
        std::thread::spawn(move || crate::relay::post(address, &path, &export(&name)))
    };
    let waiting: Vec<_> = (0..8).map(|name| post(name.to_string())).collect();
    relay.until(&sandbox, State::UnderWay, 9);
    // The answer comes although ACT gives none: nothing waits for it.
    for _ in 0..2 {
        assert_eq!(relay.post(&export("refused")), Some(503));
    }
    relay.until(&sandbox, State::Lost, 1);
    drop(may_answer);
    assert!(waiting.into_iter().all(|post| post.join().unwrap() == Some(200)), "ACT has them");
    // Claude sends it once more. It is counted once.
    assert_eq!(relay.post(&export("refused")), Some(200));
    assert_eq!(relay.outcome(crate::support::DEADLINE).states, [(State::Delivered, 10)].into());
}

#[test]
fn b10_without_a_state_directory() {
    for missing in [true, false] {
        let (sandbox, act) = full(10, 64);
        let mut start = start_of(&sandbox, &act.endpoint());
        // No state directory at all, or a file in its place.
        start.state = (!missing).then(|| sandbox.write("file", "").join("state"));
        let mut relay = Relay::start_with(&sandbox, start);
        assert_eq!(relay.post(&export("a")), Some(200));
        act.answer(crate::support::http::Reply::Close);
        assert_eq!(relay.post(&export("b")), Some(503));
        let outcome = relay.outcome(crate::support::DEADLINE);
        assert_eq!(outcome.states, [(State::Delivered, 1), (State::Lost, 1)].into());
        assert!(outcome.unkept.is_some());
    }
}
