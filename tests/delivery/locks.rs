//! Linux has an exclusive lock on NFS only through a descriptor that can write (flock(2), NOTES): each of ours is one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use act_claude::state::outcome::State;

use crate::relay::{Relay, export, leave, start_of};
use crate::support::act::{Act, refused};
use crate::support::fake_claude;
use crate::support::faults::possible;
use crate::support::process::end_relays;
use crate::support::sandbox::{Sandbox, Text};

/// The command line that logs what a program and its processes open and lock, each in a file `log.PID`.
fn traced(log: &Path) -> Vec<OsString> {
    let words = ["strace", "-D", "-ff", "-y", "-qq", "-e", "trace=?open,openat,flock", "-e", "signal=none", "-o"];
    words.map(OsString::from).into_iter().chain([log.into(), "--".into()]).collect()
}

/// The files that were locked exclusively, and whether each time through a descriptor that can write.
fn locked(sandbox: &Sandbox, name: &str) -> BTreeMap<String, bool> {
    let mut locked = BTreeMap::new();
    for entry in std::fs::read_dir(sandbox.root()).unwrap().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(&format!("{name}.")) {
            continue;
        }
        let (log, mut opened) = (std::fs::read_to_string(entry.path()).unwrap(), BTreeMap::new());
        for line in log.lines() {
            if let Some((call, result)) = line.split_once(" = ").filter(|(call, _)| call.starts_with("open")) {
                opened.insert(result.to_owned(), ["O_RDWR", "O_WRONLY"].iter().any(|mode| call.contains(mode)));
            } else if let Some((file, how)) = line.strip_prefix("flock(").and_then(|rest| rest.split_once(", "))
                && how.contains("LOCK_EX")
            {
                let path = file.split_once('<').unwrap().1.trim_end_matches('>').to_owned();
                if !Path::new(&path).is_dir() {
                    // A descriptor of another process of the session, such as the record's lock, was opened there.
                    *locked.entry(path).or_insert(true) &= opened.get(file).copied().unwrap_or(true);
                }
            }
        }
    }
    locked
}

/// Each place is locked by it, and nothing through a descriptor that can only read.
fn check(sandbox: &Sandbox, name: &str, places: &[&str]) {
    let locked = locked(sandbox, name);
    for place in places {
        assert!(locked.keys().any(|path| path.contains(place)), "{place}: {locked:?}");
    }
    assert!(locked.values().all(|can_write| *can_write), "{locked:?}");
}

#[test]
fn b9_each_exclusive_lock_is_on_a_file_that_is_open_for_writing() {
    if !possible() {
        return;
    }
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    act.answer(refused(401, "Unauthorized"));
    // A relay: the lock of its record, and its own export.
    let relay =
        Relay::start_under(&sandbox, start_of(&sandbox, &act.endpoint()), &traced(&sandbox.root().join("relay")));
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.until(&sandbox, State::Held, 1);
    relay.finish();
    check(&sandbox, "relay", &["/sessions/", "/spool/new/"]);
    // A flush: the exports of ended sessions, and their hold.
    leave(&sandbox, "0a", &["b", "c"], &act.endpoint());
    let words = traced(&sandbox.root().join("flush"));
    let mut command = sandbox.command(&words[0]);
    let output = command.args(&words[1..]).arg(crate::support::act_claude()).args(["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 77, "{}", output.out());
    check(&sandbox, "flush", &["/spool/new/", "/held/"]);
    // A session, after one whose supervisor was killed while it had an overlay.
    let overlays = sandbox.state().join("overlay");
    std::fs::create_dir_all(&overlays).unwrap();
    std::fs::write(overlays.join("left.json"), "ours").unwrap();
    std::fs::write(overlays.join("left.own.json"), "own").unwrap();
    sandbox.write(".claude/settings.json", r#"{"env":{"OTEL_METRIC_EXPORT_INTERVAL":"7"}}"#);
    fake_claude::install(&mut sandbox, "post");
    let words = traced(&sandbox.root().join("session"));
    let mut command = sandbox.command(&words[0]);
    let output = command.args(&words[1..]).arg(crate::support::act_claude()).args(["-p", "hi"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    end_relays(sandbox.root());
    check(&sandbox, "session", &["/sessions/", "/spool/new/", "/overlay/left.own.json"]);
    assert_eq!(std::fs::read_to_string(overlays.join("left.json")).unwrap(), "own");
}
