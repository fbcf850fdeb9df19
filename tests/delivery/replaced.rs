//! A relay that ends without being told to is replaced: by its guard, or by the supervisor if the guard ended, too.
//! What was acknowledged arrives, what was cut off is counted, and the replacement is reported.

use act_claude::delivery::target::Credentials;
use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use act_claude::relay::protocol::ToRelay;
use act_claude::state::outcome::State;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::relay::{Relay, export, start_of, waiting};
use crate::support::act::{Act, accepted};
use crate::support::http::Reply;
use crate::support::process::{Process, relays};
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{eventually, fake_claude};

/// The process that a test ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    Relay,
    Guard,
    Both,
}

fn end(process: &Process, signal: Signal) {
    kill(Pid::from_raw(process.pid), signal).expect("a process of the test");
    eventually("its end", || (!process.is_alive()).then_some(()));
}

/// The guard and the relay of a sandbox that has exactly one of each.
fn pair(sandbox: &Sandbox) -> (Process, Process) {
    eventually("a guarded relay", || {
        let (mut guards, mut relays) = relays(sandbox.root());
        (guards.len() == 1 && relays.len() == 1).then(|| (guards.remove(0), relays.remove(0)))
    })
}

/// A running session whose claude posts once, and five times more when the test lets it continue.
struct Session {
    sandbox: Sandbox,
    act: Act,
    child: Child,
}

impl Session {
    fn start(arguments: &[&str]) -> Self {
        let mut sandbox = Sandbox::new();
        let act = Act::start();
        sandbox.configure_one(&act.endpoint());
        let (here, go) = (sandbox.home().join("here"), sandbox.home().join("go"));
        let script = format!("post\ntouch {}\nwait {}\n{}", here.display(), go.display(), "post\n".repeat(5));
        let claude = fake_claude::install(&mut sandbox, &script);
        let launcher = [claude.to_str().unwrap(), "--session-id", "x"];
        let arguments = if arguments.is_empty() { &launcher } else { arguments };
        let mut command = sandbox.act_claude(arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        eventually("a first export", || here.exists().then_some(()));
        act.wait_for(1);
        Self { sandbox, act, child }
    }

    /// Lets claude continue to its end; returns the report.
    fn finish(self) -> (Sandbox, Act, String) {
        std::fs::write(self.sandbox.home().join("go"), "").unwrap();
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        (self.sandbox, self.act, output.err())
    }

    fn answers(sandbox: &Sandbox) -> Vec<String> {
        let log = std::fs::read_to_string(fake_claude::log(sandbox.root())).unwrap();
        log.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

#[test]
fn all_exports_arrive_whoever_is_killed() {
    for (whom, said) in [
        (Whom::Relay, "; the relay ended unexpectedly and was replaced"),
        (Whom::Guard, ""),
        (Whom::Both, "; the relay ended unexpectedly and was replaced"),
    ] {
        let session = Session::start(&["-p", "hi", "--report", "always"]);
        let (guard, relay) = pair(&session.sandbox);
        if whom != Whom::Relay {
            end(&guard, Signal::SIGKILL);
        }
        if whom != Whom::Guard {
            end(&relay, Signal::SIGKILL);
        }
        let (sandbox, act, report) = session.finish();
        act.wait_for(6);
        assert_eq!(Session::answers(&sandbox), ["200"; 6], "{whom:?}");
        let line = format!("act-claude: billing: 6 exports delivered (12 points){said}\n");
        assert!(report.starts_with(&line), "{whom:?}: {report}");
    }
}

/// The supervisor looks again after a pause, though nothing else happens.
#[test]
fn guards_killed_with_their_relays_are_started_again_and_again() {
    let session = Session::start(&["-p", "hi", "--report", "always"]);
    for _ in 0..5 {
        let (guard, relay) = pair(&session.sandbox);
        end(&guard, Signal::SIGKILL);
        end(&relay, Signal::SIGKILL);
    }
    pair(&session.sandbox);
    let (sandbox, act, report) = session.finish();
    act.wait_for(6);
    assert_eq!(Session::answers(&sandbox), ["200"; 6]);
    assert!(report.contains(": 6 exports delivered (12 points); the relay ended unexpectedly 5 times"), "{report}");
}

/// The signals of a panic, of an invalid memory access, and of a system without memory.
#[test]
fn replaced_after_each_signal() {
    for signal in [Signal::SIGABRT, Signal::SIGSEGV, Signal::SIGBUS] {
        let session = Session::start(&["-p", "hi", "--report", "always"]);
        end(&pair(&session.sandbox).1, signal);
        let (_sandbox, act, report) = session.finish();
        // What was sent, and not noted yet when the relay was killed, is sent again.
        let bodies = || act.requests().iter().map(|request| request.json().to_string()).collect::<BTreeSet<_>>();
        eventually("six different exports", || (bodies().len() == 6).then_some(()));
        assert!(report.contains("6 exports delivered (12 points); the relay ended unexpectedly"), "{report}");
    }
}

/// The replacement is in time for the next export, and the record shows one session.
#[test]
fn replaced_at_once_within_the_same_session() {
    let session = Session::start(&["-p", "hi", "--report", "always"]);
    let (guard, relay) = pair(&session.sandbox);
    let record = || act_claude::state::record::latest(&session.sandbox.state());
    let before = eventually("a record", record);
    let (_, other) = {
        end(&relay, Signal::SIGKILL);
        let killed = std::time::Instant::now();
        let pair = pair(&session.sandbox);
        println!("replaced after {:?}", killed.elapsed());
        pair
    };
    assert_ne!(relay.pid, other.pid);
    let (sandbox, act, _) = session.finish();
    act.wait_for(6);
    eventually("the end", || act_claude::state::record::latest(&sandbox.state())?.end);
    let records = act_claude::state::record::read_all(&sandbox.state());
    assert_eq!(records.len(), 1, "{records:?}");
    let after = &records[0];
    assert_eq!((&after.id, after.start, after.relay_pid), (&before.id, before.start, guard.pid.cast_unsigned()));
    assert_eq!((after.outcome.exports, after.outcome.count(State::Delivered), after.outcome.deaths), (6, 6, 1));
    assert_eq!(after.totals["claude_code.session.count"].value, 6.0);
    assert_eq!(after.end.is_some(), !after.is_live(&sandbox.state()));
}

#[test]
fn in_the_launcher_form_the_guard_replaces_it() {
    let session = Session::start(&[]);
    let (_, relay) = pair(&session.sandbox);
    end(&relay, Signal::SIGKILL);
    let (sandbox, act, _) = session.finish();
    act.wait_for(6);
    assert_eq!(Session::answers(&sandbox), ["200"; 6]);
    eventually("the end", || act_claude::state::record::latest(&sandbox.state())?.end);
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out().replace("\n         ", " ");
    assert!(
        history.contains("6 exports delivered (12 points); the relay ended unexpectedly and was replaced"),
        "{history}"
    );
}

/// No process is left that could replace the relay. The report does not claim what is not known.
#[test]
fn in_the_launcher_form_a_relay_killed_with_its_guard_is_not_observed() {
    let session = Session::start(&[]);
    let (guard, relay) = pair(&session.sandbox);
    let delivered = || {
        let record = act_claude::state::record::latest(&session.sandbox.state())?;
        (record.outcome.count(State::Delivered) == 1).then_some(())
    };
    eventually("a record that says delivered", delivered);
    end(&guard, Signal::SIGKILL);
    end(&relay, Signal::SIGKILL);
    let (sandbox, act, _) = session.finish();
    assert_eq!(act.requests().len(), 1);
    let output = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    assert!(output.contains("not observed"), "{output}");
    assert!(output.replace("\n         ", " ").contains("what claude sent after that is not known"), "{output}");
    let json = sandbox.act_claude(&["act", "history", "--json", "--failed"]).output().unwrap().out();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["sessions"][0]["state"], "not_observed");
}

/// Nobody is left who could note what became of the exports. The record on disk is the last one that was written in time.
#[test]
fn a_session_whose_processes_are_all_killed_is_not_observed() {
    let mut session = Session::start(&["-p", "hi"]);
    let latest = |session: &Session| act_claude::state::record::latest(&session.sandbox.state());
    let is_delivered = |session: &Session| (latest(session)?.outcome.count(State::Delivered) == 1).then_some(());
    eventually("a record that says delivered", || is_delivered(&session));
    let (guard, relay) = pair(&session.sandbox);
    let supervisor = Pid::from_raw(session.child.id().cast_signed());
    // The supervisor would start both again.
    kill(supervisor, Signal::SIGSTOP).unwrap();
    end(&guard, Signal::SIGKILL);
    end(&relay, Signal::SIGKILL);
    kill(supervisor, Signal::SIGKILL).unwrap();
    session.child.wait().unwrap();
    // As if the relay had been killed after it took an export, and before it wrote its answer.
    let mut record = latest(&session).unwrap();
    record.outcome.exports += 1;
    record.outcome.states.insert(State::UnderWay, 1);
    record.write(&session.sandbox.state()).unwrap();
    std::fs::write(session.sandbox.home().join("go"), "").unwrap();
    let Session { mut sandbox, .. } = session;
    let said = "1 of 2 exports delivered; 1 not observed: the relay was killed before it could note ACT's answer; \
                the relay ended unexpectedly, and what claude sent after that is not known";
    for arguments in [&["act", "history"][..], &["act", "history", "--failed"]] {
        let output = sandbox.act_claude(arguments).output().unwrap().out();
        assert!(output.contains("not observed  ") && !output.contains("sent later"), "{output}");
        assert!(output.replace("\n         ", " ").contains(said), "{output}");
    }
    // The next run at a terminal says it, once.
    fake_claude::install(&mut sandbox, "exit 0");
    for is_said in [true, false] {
        let mut pty = crate::support::pty::Pty::start(sandbox.act_claude(&["-p", "hi"]));
        pty.finish();
        let screen = String::from_utf8_lossy(&pty.raw()).replace('\r', "");
        assert_eq!(
            screen.contains(&format!("a session in {}: billing: {said}", sandbox.shown(sandbox.home()))),
            is_said,
            "{screen}"
        );
    }
}

/// Nothing is known of the exports of a relay that is stopped with its guard. With output to a pipe that is reported, too.
#[test]
fn a_relay_that_does_not_answer_is_reported_in_a_pipe() {
    let line = "act-claude: billing: what ACT accepted is not known: the relay did not answer\n";
    for (arguments, expected) in [(&["-p", "hi"][..], line), (&["-p", "hi", "--report", "never"], "")] {
        let session = Session::start(arguments);
        let (guard, relay) = pair(&session.sandbox);
        for process in [&guard, &relay] {
            kill(Pid::from_raw(process.pid), Signal::SIGSTOP).unwrap();
        }
        let Session { sandbox, child, act: _act } = session;
        // No export is posted to the stopped relay: claude would wait for its answer.
        for claude in crate::support::process::with_environment(&sandbox.root().display().to_string()) {
            if claude.parent() == Some(child.id().cast_signed()) && !claude.is_relay() {
                kill(Pid::from_raw(claude.pid), Signal::SIGTERM).unwrap();
            }
        }
        let output = child.wait_with_output().unwrap();
        for process in [&guard, &relay] {
            kill(Pid::from_raw(process.pid), Signal::SIGCONT).unwrap();
        }
        assert_eq!(output.err(), expected, "{arguments:?}");
    }
}

/// When relays end faster than they can do anything, replacing stops, and this is reported even with output to a pipe.
#[test]
fn a_relay_that_ends_again_and_again_is_not_replaced_for_ever() {
    let session = Session::start(&["-p", "hi"]);
    let root = session.sandbox.root().to_path_buf();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let end = std::time::Instant::now() + crate::support::DEADLINE;
            while !is_over.load(std::sync::atomic::Ordering::SeqCst) && std::time::Instant::now() < end {
                // A guard that has not forked yet is no relay: its end would not be counted.
                let (guards, relays) = relays(&root);
                let has_guard = |relay: &Process| guards.iter().any(|guard| relay.parent() == Some(guard.pid));
                for relay in relays.into_iter().filter(has_guard) {
                    let _ = kill(Pid::from_raw(relay.pid), Signal::SIGKILL);
                }
            }
        });
        // Finally no process is left. Several checks, because the supervisor starts a relay again if its guard was
        // killed, too.
        let mut looks = 0;
        eventually("nobody left", || {
            let (guards, relays) = relays(&root);
            looks = if guards.is_empty() && relays.is_empty() { looks + 1 } else { 0 };
            (looks > 100).then(|| is_over.store(true, std::sync::atomic::Ordering::SeqCst))
        });
    });
    let (sandbox, _act, report) = session.finish();
    assert!(
        report.starts_with("act-claude: billing: 1 export delivered (2 points); the relay ended unexpectedly "),
        "{report}"
    );
    assert!(report.ends_with(" times, and what claude sent after that is not known\n"), "{report}");
    let answers = Session::answers(&sandbox);
    assert_eq!(answers[1..], ["not"; 5], "refused at once");
}

/// Exports that a killed relay had stored are delivered by its replacement, in order and once. Exports that ACT has are
/// not sent again.
#[test]
fn stored_exports_are_delivered_by_the_replacement() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    act.wait_for(1);
    eventually("an empty spool", || waiting(&sandbox).is_empty().then_some(()));
    act.answer(Reply::json(503, "").header("Retry-After", "600"));
    assert_eq!(["b", "c", "d"].map(|name| relay.post(&export(name))), [Some(200); 3]);
    act.wait_for(2);
    act.answer(accepted());
    kill(relay.worker(), Signal::SIGKILL).unwrap();
    // A repetition of a stored export joins it, as without a replacement.
    assert_eq!(relay.post(&export("c")), Some(200));
    assert_eq!(relay.post(&export("e")), Some(200));
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!((outcome.exports, outcome.count(State::Delivered), outcome.deaths), (5, 5, 1), "{outcome:?}");
    let names: Vec<String> = act.requests().iter().map(|request| crate::relay::name_of(&request.raw)).collect();
    assert_eq!(names, ["a", "b", "b", "c", "d", "e"]);
}

/// A replacement runs the token command again when it has something to send, and at most three times a session.
#[test]
fn a_token_command_is_run_by_a_replacement_only_when_it_is_needed() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    let command = sandbox.script("token-command", "#!/bin/sh\necho x >>\"$HOME/runs\"\necho tok\n");
    sandbox.configure(&serde_json::json!({
        "accounts": {"acme": {"endpoint": act.endpoint(), "user": crate::support::sandbox::USER,
            "token": {"command": [command]}}},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "CUSTOM_PROVIDER"}},
        "directories": {"~": "billing"}
    }));
    let runs = || std::fs::read_to_string(sandbox.home().join("runs")).unwrap_or_default().lines().count();
    let mut start = start_of(&sandbox, &act.endpoint());
    let token = act_claude::config::TokenSource::Command(vec![command.display().to_string()]);
    let Credentials::Act { token: own, .. } = &mut start.route.as_mut().unwrap().target.credentials else {
        unreachable!("ACT's")
    };
    *own = token;
    let mut relay = Relay::start_with(&sandbox, start);
    assert_eq!(relay.post(&export("a")), Some(200));
    let is_delivered = || eventually("an empty spool", || waiting(&sandbox).is_empty().then_some(()));
    is_delivered();
    assert_eq!(runs(), 1);
    for (number, expected) in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 4)] {
        let worker = relay.worker();
        kill(worker, Signal::SIGKILL).unwrap();
        eventually("another", || (relay.worker() != worker).then_some(()));
        if number == 0 {
            // Nothing to send, so no token is fetched.
            relay.say(&ToRelay::Command { pid: std::process::id().cast_signed() });
            eventually("its being awake", || (relay.post(b"no export") == Some(400)).then_some(()));
        } else {
            assert_eq!(relay.post(&export(&format!("n{number}"))), Some(200));
            if number < 4 {
                is_delivered();
            }
        }
        assert_eq!(runs(), expected, "after replacement {number}");
    }
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!((outcome.count(State::Delivered), outcome.count(State::Held)), (4, 1), "{outcome:?}");
    assert!(outcome.problems[&State::Held].said.contains("replaced too often"), "{outcome:?}");
    assert_eq!(waiting(&sandbox).len(), 1, "kept for act flush");
}

/// If no thread for delivery can be started, exports are stored, and later delivered under the given alias, not under
/// the directory's.
#[test]
fn the_given_route_is_used() {
    if crate::support::program("strace").is_none() {
        return;
    }
    let mut sandbox = Sandbox::new();
    let act = Act::start();
    let beta = serde_json::json!({"account": "acme", "id": "id-beta", "provider_type": "CUSTOM_PROVIDER"});
    let alpha = serde_json::json!({"account": "acme", "id": "id-alpha", "provider_type": "CUSTOM_PROVIDER"});
    sandbox.configure(&serde_json::json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"alpha": alpha, "beta": beta}, "directories": {"~": "alpha"}
    }));
    fake_claude::install(&mut sandbox, "post\npost\npost\npost\npost");
    for first in 1..=3 {
        let mut command = sandbox.command("strace");
        let inject = format!("inject=clone3:error=EAGAIN:when={first}");
        command.args(["-f", "-q", "-o", "/dev/null", "-e", "trace=clone3", "-e", &inject]);
        command.arg(crate::support::act_claude()).args(["--alias", "beta", "-p", "hi", "--report", "always"]);
        let output = command.output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        let acknowledged = Session::answers(&sandbox).iter().filter(|answer| *answer == "200").count();
        eventually("the relay's end", || {
            let (guards, relays) = relays(sandbox.root());
            (guards.is_empty() && relays.is_empty()).then_some(())
        });
        sandbox.act_claude(&["act", "flush"]).output().unwrap();
        assert_eq!(waiting(&sandbox), [] as [String; 0]);
        let requests = act.requests();
        assert!(requests.len() >= acknowledged, "{acknowledged} acknowledged, {} arrived", requests.len());
        assert!(requests.iter().all(|request| request.header("x-alias-id") == Some("id-beta")), "{}", output.err());
    }
}
