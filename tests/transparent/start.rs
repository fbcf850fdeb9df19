//! A14 and a thousand starts: no race at the start, nothing left at the end.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::inherited::{before_exec, block};
use crate::support::probe::{Form, ProbeLab, Run, ended};
use crate::support::process::with_environment;
use crate::support::{DEADLINE, eventually};

/// Runs `count` rounds in a few threads.
fn rounds(count: usize, at_once: usize, round: impl Fn(usize) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    round(number);
                }
            });
        }
    });
}

/// Waits until no process of this lab is left, and no file except records and what is delivered.
fn nothing_left(lab: &ProbeLab) {
    let root = lab.sandbox.root().to_str().expect("text");
    eventually("the end of every process", || with_environment(root).is_empty().then_some(()));
    for place in ["overlay", "spool/tmp", "spool/new", "spool/rejected", "spool/corrupt"] {
        let left = std::fs::read_dir(lab.sandbox.state().join(place)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{place}");
    }
}

#[test]
fn a14_child_that_ends_at_once() {
    let lab = ProbeLab::new();
    rounds(1000, 2, |number| {
        let status = lab.start(Form::Line, &format!("exit {}", number % 200)).wait();
        assert_eq!(ended(status), format!("exit {}", number % 200));
    });
    nothing_left(&lab);
}

/// A TERM at any moment of act-claude's start ends both. If it were lost, the probe would live on.
#[test]
fn a14_term_at_any_time() {
    let lab = ProbeLab::new();
    let micros = std::sync::Mutex::new(std::iter::successors(Some(7u64), |seed| {
        Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    }));
    rounds(1000, 2, |_| {
        let pause = micros.lock().unwrap().next().expect("endless") >> 33;
        let mut run = lab.start(Form::Line, "until /never");
        std::thread::sleep(Duration::from_micros(pause % 20_000));
        run.signal(Signal::SIGTERM);
        assert_eq!(ended(run.wait()), "signal 15");
    });
    nothing_left(&lab);
}

/// Between the fork and the handlers. If act-claude dies then, the kernel sends claude a TERM, which is blocked here:
/// only a signal that reaches claude ends it.
#[test]
fn a14_int_as_soon_as_there_is_a_child() {
    let lab = ProbeLab::new();
    rounds(200, 2, |_| {
        let (mut command, log) = lab.prepare(Form::Line, "until /never");
        before_exec(&mut command, block(&[nix::libc::SIGTERM]));
        let mut run = Run::start(command, log);
        let children = format!("/proc/{0}/task/{0}/children", run.pid());
        let end = std::time::Instant::now() + DEADLINE;
        // No pause in this loop, because the moment is short.
        while std::fs::read(&children).is_ok_and(|children| children.is_empty()) {
            assert!(std::time::Instant::now() < end, "a child");
        }
        run.signal(Signal::SIGINT);
        assert_eq!(ended(run.wait()), "signal 2");
    });
    nothing_left(&lab);
}

#[test]
fn a_thousand_starts_leave_nothing() {
    let lab = ProbeLab::new();
    rounds(1000, 2, |_| assert_eq!(ended(lab.start(Form::Relay, "exit 0").wait()), "exit 0"));
    nothing_left(&lab);
}

#[test]
fn fifty_starts_at_once_leave_nothing() {
    let lab = ProbeLab::new();
    rounds(50, 50, |_| {
        let mut run = lab.start(Form::Relay, "post\nexit 0");
        assert_eq!(ended(run.wait()), "exit 0");
        assert_eq!(run.log.wait_for("post"), 200);
    });
    lab.act.wait_for(50);
    nothing_left(&lab);
}
