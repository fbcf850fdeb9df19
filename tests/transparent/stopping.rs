//! A8–A10: job control, as seen by a parent process. (tests/transparent/shells.rs has real shells.)

use std::os::unix::process::CommandExt;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::probe::{Form, ProbeLab, Run, WRAPPED, ended, is_gone, state};
use crate::support::pty::Pty;
use crate::support::{eventually, program};

/// Starts it in its own process group, as a shell would.
fn start(lab: &ProbeLab, form: Form, script: &str) -> Run {
    let (mut command, log) = lab.prepare(form, script);
    command.process_group(0);
    Run::start(command, log)
}

/// The signal that stopped our child, as `waitpid` reports it to the parent.
fn stopped(run: &Run) -> Signal {
    eventually("the stop", || {
        match waitpid(run.pid(), Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG)).expect("waitable") {
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::StillAlive => None,
            other => panic!("{other:?}"),
        }
    })
}

fn wait_state(pid: Pid, wanted: &str) {
    eventually(&format!("state {wanted} of {pid}"), || {
        wanted.contains(state(pid).map_or('-', |(state, ..)| state)).then_some(())
    });
}

#[test]
fn a8_claude_stops_itself() {
    let lab = ProbeLab::new();
    for signal in ["STOP", "TSTP", "TTIN", "TTOU"] {
        for form in [Form::Bare, Form::Relay, Form::Direct, Form::Line] {
            let mut run = start(&lab, form, &format!("ready\nstop {signal}\nexit 8"));
            let probe = run.log.wait_ready();
            assert_eq!(stopped(&run).as_str(), format!("SIG{signal}"), "{form:?}");
            wait_state(probe, "T");
            killpg(run.pid(), Signal::SIGCONT).unwrap();
            assert_eq!(run.log.wait_for("resumed"), signal);
            assert_eq!(ended(run.wait()), "exit 8", "{form:?}");
        }
    }
}

/// A stop signal from another process, to claude alone or to act-claude alone.
#[test]
fn a8_claude_is_stopped() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let mut run = start(&lab, form, "ready\nuntil /never");
        let probe = run.log.wait_ready();
        for _ in 0..3 {
            kill(probe, Signal::SIGSTOP).unwrap();
            assert_eq!(stopped(&run), Signal::SIGSTOP);
            killpg(run.pid(), Signal::SIGCONT).unwrap();
            wait_state(probe, "SR");
            run.signal(Signal::SIGTSTP);
            assert_eq!(stopped(&run), Signal::SIGTSTP);
            wait_state(probe, "T");
            killpg(run.pid(), Signal::SIGCONT).unwrap();
            wait_state(probe, "SR");
        }
        run.signal(Signal::SIGTERM);
        assert_eq!(ended(run.wait()), "signal 15", "{form:?}");
    }
}

/// CONT to act-claude alone reaches the stopped claude. CONT to the group reaches claude, and act-claude may pass on one more where the
/// two processes are continued at almost the same moment: a second one does no harm, and one too few would leave claude stopped.
#[test]
fn a9_continue() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let mut run = start(&lab, form, "catch CONT TERM\nready\nhear TERM\nexit 9");
        let probe = run.log.wait_ready();
        for round in 1..=4 {
            kill(probe, Signal::SIGSTOP).unwrap();
            stopped(&run);
            match round % 2 {
                0 => kill(run.pid(), Signal::SIGCONT).unwrap(),
                _ => killpg(run.pid(), Signal::SIGCONT).unwrap(),
            }
            run.log.wait_heard(round);
            // act-claude must be waiting again: if it is stopped earlier, it passes on one CONT too many rather than
            // too few.
            wait_state(run.pid(), "S");
        }
        // Then CONT to a running act-claude, which has continued claude before.
        run.signal(Signal::SIGCONT);
        run.log.wait_heard(5);
        run.signal(Signal::SIGTERM);
        assert_eq!(ended(run.wait()), "exit 9", "{form:?}");
        let from = run.log.heard();
        let conts = from.iter().filter(|line| line.starts_with("CONT")).count();
        assert!(
            (5..=7).contains(&conts),
            "{form:?}: one for each, and at most one more for each of the group's: {from:?}"
        );
    }
}

/// A job with a pipeline, and a background job that uses the terminal: stopped and resumed, never stuck.
#[test]
fn a10_background_use() {
    let Some(bash) = program("bash") else { return };
    let lab = ProbeLab::new();
    let script = "touch-modes\ntouch-modes\ntouch-modes\ntouch-modes\nsay done\nexit 3";
    let pipeline = "set -m; \"$CLAUDE\" 2>/dev/null | cat; echo status ${PIPESTATUS[0]}";
    // A loop without a child process: with one, bash would sometimes report that the job has stopped.
    let stopped = "until read -r _ _ state _ </proc/$!/stat; [ $state = T ]; do :; done";
    let background = format!("set -m; \"$CLAUDE\" 2>/dev/null & {stopped}; fg >/dev/null; echo status $?");
    for (shell, script) in [(pipeline, script), (&background, script), (&background, "read\nsay done\nexit 3")] {
        let run = |form| {
            let (command, log) = lab.prepare_through(&bash, &["--norc", "-c", shell], form, script);
            let mut terminal = Pty::start(command);
            if script.starts_with("read") {
                terminal.send("a line\r");
            }
            let (status, screen) = terminal.finish();
            // Typed-ahead text is echoed at once, before or after the shell's own output, so the lines are sorted.
            let mut lines: Vec<String> = screen.lines().map(str::to_owned).collect();
            lines.sort();
            (ended(status), lines.join("\n"), log.notes())
        };
        let bare = run(Form::Bare);
        assert!(bare.1.contains("done") && bare.1.contains("status 3"), "{}", bare.1);
        for form in WRAPPED {
            assert_eq!(run(form), bare, "{form:?}: {shell}");
        }
    }
}

/// The kernel discards a stop if no shell is left to continue the group. This must not cause a CONT.
#[test]
fn a8_nothing_is_left_when_a_stopped_job_is_killed() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let mut run = start(&lab, form, "ready\nstop STOP\nuntil /never");
        let probe = run.log.wait_ready();
        stopped(&run);
        run.signal(Signal::SIGTERM);
        run.signal(Signal::SIGCONT);
        assert_eq!(ended(run.wait()), "signal 15", "{form:?}");
        eventually("the end of the probe", || is_gone(probe).then_some(()));
    }
}

/// STOP and CONT to claude alone, as `cpulimit` sends them, without a terminal and without a shell that would continue
/// act-claude: in its own session, in its own process group, and in its parent's group.
#[test]
fn a9_claude_alone_is_stopped_and_continued_without_a_terminal() {
    let lab = ProbeLab::new();
    for form in [Form::Bare, Form::Relay, Form::Direct, Form::Line] {
        for how in ["session", "group", "parent's group"] {
            let (mut command, log) = lab.prepare(form, "catch USR1\nready\nhear USR1\nexit 5");
            match how {
                // SAFETY: setsid is async-signal-safe.
                "session" => drop(unsafe { command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?)) }),
                "group" => drop(command.process_group(0)),
                _ => {}
            }
            let mut run = Run::start(command, log);
            let probe = run.log.wait_ready();
            for _ in 0..3 {
                kill(probe, Signal::SIGSTOP).unwrap();
                wait_state(probe, "T");
                wait_state(run.pid(), "T");
                kill(probe, Signal::SIGCONT).unwrap();
                wait_state(run.pid(), "SR");
                wait_state(probe, "SR");
            }
            kill(probe, Signal::SIGUSR1).unwrap();
            assert_eq!(ended(run.wait()), "exit 5", "{form:?}, {how}");
        }
    }
}

/// Claude is killed while it is stopped: act-claude notices this, too.
#[test]
fn a9_claude_is_killed_while_it_is_stopped() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let mut run = start(&lab, form, "ready\nuntil /never");
        let probe = run.log.wait_ready();
        kill(probe, Signal::SIGSTOP).unwrap();
        assert_eq!(stopped(&run), Signal::SIGSTOP);
        kill(probe, Signal::SIGKILL).unwrap();
        assert_eq!(ended(run.wait()), "signal 9", "{form:?}");
    }
}
