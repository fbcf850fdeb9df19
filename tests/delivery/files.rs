//! B7, B8, B9: the spool with any content, and with any number of processes working on it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use act_claude::state::spool::{Claim, Refusal, Spool};
use nix::sys::stat::Mode;

use crate::relay::{self, Relay, export, leave, name_of, waiting};
use crate::support::act::{Act, refused};
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};

fn delivered(act: &Act) -> Vec<String> {
    act.requests().iter().map(|request| name_of(&request.raw)).collect()
}

#[test]
fn b7_rejected_exports_become_dead_letters_and_the_others_are_sent() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let files = leave(&sandbox, "0a", &names, &act.endpoint());
    // ACT refuses the first, middle and last one; beside each is a damaged one.
    act.answer_by(|request| match name_of(&request.raw).as_str() {
        "n0" | "n50" | "n99" => refused(400, "malformed"),
        _ => crate::support::act::accepted(),
    });
    for at in [1, 51, 98] {
        let path = sandbox.state().join("spool/new").join(&files[at]);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    assert!(output.out().contains("billing: 94 exports delivered (94 points)"), "{}", output.out());
    assert!(output.out().contains("billing: 3 exports rejected by ACT"), "{}", output.out());
    assert!(output.out().contains("3 exports damaged"), "{}", output.out());
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
    assert_eq!(relay::files(&sandbox, "rejected"), [0, 50, 99].map(|at: usize| files[at].clone()));
    assert_eq!(relay::files(&sandbox, "corrupt"), [1, 51, 98].map(|at: usize| files[at].clone()));
    // Dead letters are bounded, and counted when they are removed.
    let spool = Spool::of(&sandbox.state());
    act_claude::state::spool::dead_letters::prune(&spool, SystemTime::now() + Duration::from_secs(91 * 86_400));
    let pruned = act_claude::state::spool::dead_letters::pruned(&spool);
    assert_eq!((pruned.rejected, pruned.corrupt), (3, 3));
}

#[test]
fn b8_torn_files_and_entries_that_are_no_files() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let good = leave(&sandbox, "0a", &["good"], &act.endpoint());
    let new = sandbox.state().join("spool/new");
    let bytes = std::fs::read(new.join(&good[0])).unwrap();
    // Truncated at every seventh length, each in a file of its own.
    for end in (0..bytes.len()).step_by(7) {
        std::fs::write(new.join(format!("0b-{end:08}")), &bytes[..end]).unwrap();
    }
    // A valid file under another name: this copy would be sent twice.
    std::fs::write(new.join("0c-00000009"), &bytes).unwrap();
    std::fs::create_dir(new.join("0d-00000000")).unwrap();
    symlink("/etc/passwd", new.join("0e-00000000")).unwrap();
    nix::unistd::mkfifo(&new.join("0f-00000000"), Mode::S_IRWXU).unwrap();
    std::fs::write(new.join("stranger"), "hello").unwrap();
    std::fs::write(new.join("0h-00000000"), "act-claude-export/2 from the future\n").unwrap();
    let unreadable = new.join("0i-00000000");
    std::fs::write(&unreadable, &bytes).unwrap();
    std::fs::set_permissions(&unreadable, std::fs::Permissions::from_mode(0o000)).unwrap();

    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert!(output.out().contains("billing: 1 export delivered"), "{}", output.out());
    assert!(output.out().contains("1 export written by a newer act-claude, left alone"), "{}", output.out());
    assert_eq!(delivered(&act), ["good"]);
    assert_eq!(waiting(&sandbox), ["0h-00000000"], "only the newer one stays");
    let corrupt = relay::files(&sandbox, "corrupt");
    assert_eq!(corrupt.len(), bytes.len().div_ceil(7) + 6, "{corrupt:?}");
}

#[test]
fn b9_many_at_once_send_each_export_once() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    for session in 0..20 {
        let names: Vec<String> = (0..50).map(|number| format!("{session}-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        leave(&sandbox, &format!("{session:02x}"), &names, &act.endpoint());
    }
    let drainers: Vec<_> = (0..8)
        .map(|_| sandbox.act_claude(&["act", "flush", "--json"]).stdout(std::process::Stdio::null()).spawn().unwrap())
        .collect();
    for mut drainer in drainers {
        drainer.wait().unwrap();
    }
    // An export that one flush found locked was sent by the other one, or is sent by this one.
    sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
    let mut names = delivered(&act);
    assert_eq!(names.len(), 1000);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 1000, "each once");
}

#[test]
fn b9_the_lock_of_a_killed_drainer_is_gone() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let files = leave(&sandbox, "0a", &["one"], &act.endpoint());
    act.answer(crate::support::http::Reply::Hang);
    let mut holder = sandbox.act_claude(&["act", "flush"]).spawn().unwrap();
    act.wait_for(1);
    let spool = Spool::of(&sandbox.state());
    assert_eq!(Claim::take(&spool, &files[0]).err(), Some(Refusal::Busy));
    holder.kill().unwrap();
    holder.wait().unwrap();
    act.answer(crate::support::act::accepted());
    let relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("own")), Some(200));
    relay.finish();
    let mut names = delivered(&act);
    names.sort();
    assert_eq!(names, ["one", "one", "own"], "sent by another, the own beside it");
}

#[test]
fn b9_a_process_that_waited_for_a_lock_does_not_send_again() {
    // Process A opens the file while B holds its lock, and locks it after B has sent and unlinked it. This race is
    // rare, so it is provoked often.
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..400).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let files = leave(&sandbox, "0a", &names, "https://act.example/m");
    let spool = Spool::of(&sandbox.state());
    let sent = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for name in &files {
                    loop {
                        match Claim::take(&spool, name) {
                            Ok(claim) => {
                                sent.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                                claim.done().unwrap();
                            }
                            Err(Refusal::Gone) => break,
                            Err(refusal) => assert_eq!(refusal, Refusal::Busy),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(sent.into_inner(), files.len());
}

#[test]
fn b9_a_claim_checks_that_the_file_is_still_linked() {
    let sandbox = Sandbox::new();
    let files = leave(&sandbox, "0a", &["one", "two"], "https://act.example/m");
    let spool = Spool::of(&sandbox.state());
    let claim = Claim::take(&spool, &files[0]).unwrap();
    assert_eq!(Claim::take(&spool, &files[0]).err(), Some(Refusal::Busy));
    claim.done().unwrap();
    assert_eq!(Claim::take(&spool, &files[0]).err(), Some(Refusal::Gone));
    Claim::take(&spool, &files[1]).unwrap().reject().unwrap();
    assert_eq!(Claim::take(&spool, &files[1]).err(), Some(Refusal::Gone));
}

#[test]
fn b13_clock_jumps_delay_nothing() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    // Sessions from ten years ago and ten years ahead, by their names, headers and file times.
    for (session, years) in [("00e1b0000000aaaaaaaaaa", -10i64), ("ffe1b0000000aaaaaaaaaa", 10)] {
        let names = leave(&sandbox, session, &[session], &act.endpoint());
        let path = sandbox.state().join("spool/new").join(&names[0]);
        let years = Duration::from_secs(years.unsigned_abs() * 365 * 86_400);
        let time = if session.starts_with("00") { SystemTime::now() - years } else { SystemTime::now() + years };
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    let relay = Relay::start(&sandbox, &act.endpoint());
    relay.finish();
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
    assert_eq!(act.requests().len(), 2);
}

#[test]
fn flush_on_a_terminal_shows_its_progress() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    leave(&sandbox, "0a", &["a", "b", "c"], &act.endpoint());
    let go = sandbox.root().join("go");
    let gate = go.clone();
    // The third export waits until the count of the first two has been read.
    act.answer_by(move |request| {
        if name_of(&request.raw) == "c" {
            crate::support::eventually("the gate", || gate.exists().then_some(()));
        }
        crate::support::act::accepted()
    });
    let mut terminal = Pty::start(sandbox.act_claude(&["act", "flush"]));
    terminal.wait_for("1/3 exports, ");
    std::fs::write(go, "").unwrap();
    assert!(terminal.wait().success());
    let screen = terminal.screen();
    assert_eq!(screen.trim_end(), "billing: 3 exports delivered (3 points)");
}
