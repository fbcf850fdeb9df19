//! B8, B10 and B12: an unreadable file is neither damaged nor gone; what ACT has is not sent again; and the report does
//! not claim that a removed file is kept.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use act_claude::state::outcome::State;
use act_claude::state::record;
use act_claude::state::spool::{Spool, deferral};

use crate::relay::{Relay, export, files, leave, name_of, start_of, waiting};
use crate::support::act::{Act, refused};
use crate::support::eventually;
use crate::support::faults::{self, Faults, possible};
use crate::support::sandbox::{Sandbox, Text};

fn arranged() -> (Sandbox, Act) {
    let (sandbox, act) = (Sandbox::new(), Act::start());
    sandbox.configure_one(&act.endpoint());
    (sandbox, act)
}

fn delivered(act: &Act) -> Vec<String> {
    act.requests().iter().map(|request| name_of(&request.raw)).collect()
}

#[test]
fn b8_a_file_that_can_t_be_opened_or_read_is_kept_and_reported() {
    if !possible() {
        return;
    }
    for (kind, error, words) in [
        ("open", "EIO", "I/O error"),
        ("open", "EACCES", "Permission denied"),
        ("open", "EMFILE", "Too many open files"),
        ("open", "ENOMEM", "memory"),
        ("open", "ESTALE", "Stale"),
        ("read", "EIO", "I/O error"),
        ("flock", "ENOLCK", "No record locks available"),
    ] {
        let (sandbox, act) = arranged();
        let names = leave(&sandbox, "0a", &["a", "b"], &act.endpoint());
        let path = sandbox.state().join("spool/new").join(&names[0]);
        let faults = Faults { step: Some(1), ..Faults::once_at(kind, error, &path) };
        let output = faults.act_claude(&sandbox, &["act", "flush"]).output().unwrap();
        assert_eq!(output.code(), 75, "{kind} {error}: {}{}", output.out(), output.err());
        assert!(output.out().contains("1 export can't be read now ("), "{kind} {error}: {}", output.out());
        assert!(output.out().contains(words), "{kind} {error}: {}", output.out());
        assert_eq!((waiting(&sandbox), files(&sandbox, "corrupt").len()), (vec![names[0].clone()], 0));
        assert_eq!(sandbox.act_claude(&["act", "flush"]).output().unwrap().code(), 0);
        assert_eq!((waiting(&sandbox).len(), delivered(&act)), (0, vec!["b".to_owned(), "a".to_owned()]));
    }
}

/// Nothing was sent, so nothing is known of what ACT accepts.
#[test]
fn b14_an_export_that_can_t_be_read_steps_aside_and_nothing_is_claimed_of_others() {
    if !possible() {
        return;
    }
    let (sandbox, act) = arranged();
    let name = leave(&sandbox, "0a", &["a"], &act.endpoint()).remove(0);
    let faults =
        Faults { step: Some(1), ..Faults::once_at("open", "EIO", &sandbox.state().join("spool/new").join(&name)) };
    let words = faults.words(&sandbox.root().join("strace.log"));
    let relay = Relay::start_under(&sandbox, start_of(&sandbox, &act.endpoint()), &words);
    let spool = Spool::of(&sandbox.state());
    let note = eventually("a note", || deferral::look(&spool, &name).filter(|note| note.is_aside()));
    assert!(!note.accepts_others && act.requests().is_empty(), "{note:?}");
    relay.finish();
    for (command, words) in [
        (
            "history",
            format!("{name} stepped aside (the others go first): its file can't be read now (I/O error), tried"),
        ),
        ("doctor", "its file can't be read now (I/O error): the other exports go first; it is kept".to_owned()),
    ] {
        let output = sandbox.act_claude(&["act", command]).output().unwrap();
        let shown = output.out().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(&words), "{command}: {shown}");
    }
}

#[test]
fn b8_a_spool_that_can_t_be_listed_is_not_empty() {
    if !possible() {
        return;
    }
    let (sandbox, act) = arranged();
    leave(&sandbox, "0a", &["a"], &act.endpoint());
    let faults = Faults::once_at("open", "EIO", &sandbox.state().join("spool/new"));
    let output = faults.act_claude(&sandbox, &["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 75);
    assert!(output.out().contains("the waiting exports can't be listed: "), "{}", output.out());
    let output = faults.act_claude(&sandbox, &["act", "history"]).output().unwrap();
    assert!(output.out().contains("can't be listed"), "{}", output.out());
}

/// Without this rule each session and each flush would send it again.
#[test]
fn b12_an_export_that_can_t_be_unlinked_is_sent_once() {
    if !possible() {
        return;
    }
    let (sandbox, act) = arranged();
    let unlink = Faults::always("unlink", "ENOSPC");
    let log = sandbox.root().join("strace.log");
    for name in ["a", "b", "c"] {
        let mut relay = Relay::start_under(&sandbox, start_of(&sandbox, &act.endpoint()), &unlink.words(&log));
        assert_eq!(relay.post(&export(name)), Some(200));
        relay.until(&sandbox, State::Delivered, 1);
        assert!(faults::injected(&log) > 0);
        relay.end();
        relay.wait();
    }
    assert_eq!((delivered(&act), waiting(&sandbox)), (["a", "b", "c"].map(String::from).to_vec(), vec![]));
    // The remaining files are removed once this is possible.
    Relay::start(&sandbox, &act.endpoint()).finish();
    let mut last = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(last.post(&export("d")), Some(200));
    last.until(&sandbox, State::Delivered, 1);
    last.end();
    last.wait();
    assert_eq!(files(&sandbox, "tmp"), [] as [String; 0]);
}

#[test]
fn b12_without_unlink_and_rename_a_note_is_written_or_the_failure_reported() {
    if !possible() {
        return;
    }
    let (sandbox, act) = arranged();
    leave(&sandbox, "0a", &["a"], &act.endpoint());
    let calls = format!("{},{}", faults::calls("unlink"), faults::calls("rename"));
    let all = Faults { calls, ..Faults::always("unlink", "EROFS") };
    for _ in 0..2 {
        let output = all.act_claude(&sandbox, &["act", "flush"]).output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.out());
    }
    assert_eq!(delivered(&act), ["a"]);
    assert_eq!(sandbox.act_claude(&["act", "flush"]).output().unwrap().out(), "nothing is waiting\n");
    assert_eq!((waiting(&sandbox).len(), files(&sandbox, "corrupt").len()), (0, 0));
    // Even the note about it fails: this flush reports it, and sends the export only once.
    leave(&sandbox, "0b", &["b"], &act.endpoint());
    let all = Faults { calls: format!("{},?pwrite64", all.calls), ..all };
    let output = all.act_claude(&sandbox, &["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 75, "{}", output.out());
    let said = "finished exports can't be removed from the spool: Read-only file system\n";
    assert!(output.out().ends_with(said), "{}", output.out());
    assert_eq!(delivered(&act), ["a", "b"]);
}

#[test]
fn b10_a_state_directory_removed_during_a_session_is_created_again() {
    let (sandbox, act) = arranged();
    act.answer(refused(503, "later"));
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("before")), Some(200));
    relay.until(&sandbox, State::Waiting, 1);
    std::fs::remove_dir_all(sandbox.state()).unwrap();
    assert_eq!(relay.post(&export("after")), Some(200));
    for part in ["", "spool", "spool/new", "spool/tmp", "sessions"] {
        let mode = std::fs::metadata(sandbox.state().join(part)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700, "{part}");
    }
    // Its session still counts as living: no other process uses its exports.
    let session = waiting(&sandbox)[0].rsplit_once('-').unwrap().0.to_owned();
    assert!(record::is_locked(&sandbox.state(), &session));
    // Exports that were acknowledged before are gone, and nothing is claimed about them.
    relay.until(&sandbox, State::Lost, 1);
    let outcome = relay.outcome(Duration::from_millis(100));
    assert_eq!(outcome.states, [(State::Lost, 1), (State::Waiting, 1)].into());
    assert_eq!(outcome.problems[&State::Lost].said, "its file was removed from the spool");
    relay.kill();
}
