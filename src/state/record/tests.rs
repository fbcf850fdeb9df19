//! Records are read, written and pruned.

use super::*;

fn record(id: &str) -> Record {
    Record {
        version: VERSION,
        id: id.to_owned(),
        kind: LaunchKind::Supervised,
        start: Timestamp::UNIX_EPOCH,
        end: None,
        directory: "/w".into(),
        alias: Some("billing".to_owned()),
        reason: None,
        account: Some("acme".to_owned()),
        claude: "/bin/claude".into(),
        client_version: None,
        command_pid: Some(7),
        command_started: None,
        relay_pid: 8,
        outcome: Outcome { exports: 2, states: [(State::Held, 2)].into(), ..Outcome::default() },
        copies: Default::default(),
        totals: [("t".to_owned(), Total { value: 0.5, unit: "USD".to_owned(), ..Total::default() })].into(),
        problem: None,
        redirected_by: None,
        claude_has_gone: false,
        owed: false,
        unread: false,
    }
}

#[test]
fn what_is_written_is_read() {
    let state = tempfile::tempdir().unwrap();
    state::make_private(&directory(state.path())).unwrap();
    for id in ["b", "c", "a"] {
        record(id).write(state.path()).unwrap();
    }
    let newer = Record { version: VERSION + 1, ..record("d") };
    newer.write(state.path()).unwrap();
    // Only its version is the same in every format.
    fs::write(directory(state.path()).join("n.json"), r#"{"version": 7, "id": {}}"#).unwrap();
    fs::write(directory(state.path()).join("e.json"), "{").unwrap();
    for (id, why) in [("d", Unread::Newer), ("n", Unread::Newer), ("e", Unread::Unreadable), ("-", Unread::Absent)] {
        assert_eq!(try_read(state.path(), id), Err(why), "{id}");
        decided_later(state.path(), Later { id, destination: None, points: 5 }, State::Delivered, None, 0);
    }
    assert_eq!(read(state.path(), "d"), None, "it was not replaced");
    assert_eq!(read_all(state.path()), ["c", "b", "a"].map(record));
    assert_eq!(latest(state.path()), Some(record("c")));
    assert_eq!(record("a").state(), State::Held);
}

/// An earlier version wrote `null` for a sum that is not finite, and could not read it again.
#[test]
fn a_total_that_is_no_number_hides_no_session() {
    let state = tempfile::tempdir().unwrap();
    state::make_private(&directory(state.path())).unwrap();
    let mut value = serde_json::to_value(record("a")).unwrap();
    value["totals"]["t"]["value"] = serde_json::Value::Null;
    fs::write(directory(state.path()).join("a.json"), value.to_string()).unwrap();
    let read = read(state.path(), "a").expect("a record");
    assert!(read.totals["t"].value.is_nan(), "not known");
    read.write(state.path()).unwrap();
    assert_eq!(read_all(state.path()).len(), 1, "and it is read again when it has been written again");
}

#[test]
fn live_as_long_as_locked() {
    let state = tempfile::tempdir().unwrap();
    let lock = lock(state.path(), "a").unwrap();
    record("a").write(state.path()).unwrap();
    record("b").write(state.path()).unwrap();
    assert!(record("a").is_live(state.path()) && !record("b").is_live(state.path()));
    assert!(super::lock(state.path(), "a").is_err());
    assert_eq!(of_command(state.path(), &[1, 7]), Some(record("a")));
    drop(lock);
    // A child process of another test holds the lock from its fork to its exec.
    while is_locked(state.path(), "a") {
        std::thread::yield_now();
    }
    assert!(!record("a").is_live(state.path()));
}

#[test]
fn what_is_decided_later_is_counted_where_it_belongs() {
    let state = tempfile::tempdir().unwrap();
    state::make_private(&directory(state.path())).unwrap();
    record("a").write(state.path()).unwrap();
    for _ in 0..3 {
        decided_later(state.path(), Later { id: "a", destination: None, points: 5 }, State::Delivered, None, 0);
    }
    let outcome = read(state.path(), "a").unwrap().outcome;
    assert_eq!((outcome.states, outcome.exports, outcome.points), ([(State::Delivered, 3)].into(), 3, 5));
    decided_later(state.path(), Later { id: "none", destination: None, points: 5 }, State::Delivered, None, 0);
    assert_eq!(ids(state.path()), ["a"]);
}

#[test]
fn what_is_decided_later_leaves_the_open_states_in_their_order() {
    let state = tempfile::tempdir().unwrap();
    state::make_private(&directory(state.path())).unwrap();
    let mut record = record("a");
    record.outcome.states = OPEN.map(|open| (open, 1)).into();
    record.outcome.states.insert(State::Lost, 1);
    record.write(state.path()).unwrap();
    for left in 1..=OPEN.len() {
        decided_later(state.path(), Later { id: "a", destination: None, points: 5 }, State::Delivered, None, 0);
        let outcome = read(state.path(), "a").unwrap().outcome;
        let still = OPEN.map(|open| outcome.count(open) == 1);
        assert_eq!(still, std::array::from_fn(|at| at >= left), "{left}");
        assert_eq!((outcome.count(State::Delivered), outcome.count(State::Lost)), (left as u64, 1));
    }
}

#[test]
fn problem_is_said_once() {
    let state = tempfile::tempdir().unwrap();
    state::make_private(&directory(state.path())).unwrap();
    assert!(!is_said(state.path(), "a"));
    assert!(mark_said(state.path(), "a") && !mark_said(state.path(), "a"));
    assert!(is_said(state.path(), "a"));
}

#[test]
fn old_records_go_and_live_ones_stay() {
    let state = tempfile::tempdir().unwrap();
    let _lock = lock(state.path(), "live").unwrap();
    for id in ["live", "old"] {
        record(id).write(state.path()).unwrap();
    }
    mark_said(state.path(), "old");
    assert_eq!(prune(state.path(), SystemTime::now()), 0);
    assert_eq!(prune(state.path(), SystemTime::now() + KEPT * 2), 1);
    assert_eq!(read_all(state.path()), [record("live")]);
    assert!(!is_said(state.path(), "old"));
}

#[test]
fn ids_sort_by_start() {
    let id = |second| new_id(Timestamp::from_second(second).unwrap()).unwrap();
    assert!(id(1) < id(2) && id(2) < id(1_800_000_000));
    assert_ne!(id(1), id(1));
}

/// A relay outlives its claude, and another process may get claude's pid.
#[test]
fn running_as_long_as_its_claude_runs() {
    let state = tempfile::tempdir().unwrap();
    let lock = lock(state.path(), "a").unwrap();
    let mut claude = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let pid = claude.id().cast_signed();
    let own = std::process::id();
    let started = process::started(pid);
    let is_running = |record: &Record| record.is_live(state.path()) && record.has_running_claude();
    let of = |command_pid, command_started, relay_pid| {
        is_running(&Record { command_pid, command_started, relay_pid, ..record("a") })
    };
    assert!(started.is_some() && of(Some(pid), started, own), "it runs");
    assert!(of(Some(pid), None, own), "an earlier version did not note its start");
    assert!(!of(Some(pid), process::started(1), own), "another process has its pid");
    assert!(of(None, None, own), "its relay runs, and does not know its pid yet");
    assert!(!is_running(&Record { end: Some(Timestamp::UNIX_EPOCH), ..record("a") }));
    claude.kill().unwrap();
    // It stays a zombie until it is waited for.
    while of(Some(pid), started, own) {
        std::thread::yield_now();
    }
    claude.wait().unwrap();
    assert!(!of(Some(pid), started, own) && !of(Some(pid), None, own), "it has ended");
    assert!(of(Some(pid), started, i32::MAX as u32), "the pids are those of another container");
    drop(lock);
    while is_locked(state.path(), "a") {
        std::thread::yield_now();
    }
    assert!(!of(Some(1), None, own), "its relay has ended");
}
