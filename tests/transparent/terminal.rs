//! A17, A18: the terminal's modes afterwards, and its size.

use nix::sys::termios::LocalFlags;

use crate::support::probe::{Form, ProbeLab, WRAPPED, ended};
use crate::support::pty::Pty;

fn flags(terminal: &Pty) -> LocalFlags {
    terminal.modes().local_flags & (LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
}

#[test]
fn a17_modes_come_back_after_death() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let (command, log) = lab.prepare(form, "raw\nready\nuntil /never");
        let mut terminal = Pty::start(command);
        let before = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
        let probe = log.wait_ready();
        assert_eq!(flags(&terminal), LocalFlags::empty());
        nix::sys::signal::kill(probe, nix::sys::signal::Signal::SIGKILL).unwrap();
        assert_eq!(ended(terminal.wait()), "signal 9");
        assert_eq!(flags(&terminal), before, "{form:?}");
    }
}

/// With only one of the three standard streams on the terminal.
#[test]
fn a17_with_redirected_streams() {
    let Some(bash) = crate::support::program("bash") else { return };
    let lab = ProbeLab::new();
    for streams in ["</dev/null >/dev/null", "</dev/null 2>/dev/null", ">/dev/null 2>/dev/null"] {
        let shell = format!("exec \"$CLAUDE\" {streams}");
        let script = "raw\nready\nuntil /never";
        let (command, log) = lab.prepare_through(&bash, &["--norc", "-c", &shell], Form::Direct, script);
        let mut terminal = Pty::start(command);
        let probe = log.wait_ready();
        assert_eq!(flags(&terminal), LocalFlags::empty());
        nix::sys::signal::kill(probe, nix::sys::signal::Signal::SIGKILL).unwrap();
        assert_eq!(ended(terminal.wait()), "signal 9");
        assert!(flags(&terminal).contains(LocalFlags::ECHO), "{streams}");
    }
}

#[test]
fn a17_modes_set_on_purpose_stay() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let (command, _log) = lab.prepare(form, "noecho\nexit 0");
        let mut terminal = Pty::start(command);
        assert_eq!(ended(terminal.wait()), "exit 0");
        assert_eq!(flags(&terminal), LocalFlags::ICANON | LocalFlags::ISIG, "{form:?}");
    }
}

/// Claude is killed in the background: the terminal belongs to the foreground job, and its modes stay.
#[test]
fn a17_not_from_the_background() {
    let Some(bash) = crate::support::program("bash") else { return };
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let shell = "set -m; \"$CLAUDE\" 2>/dev/null & wait $!; echo status $?; read -r _";
        let args = ["--norc", "-c", shell];
        let (command, log) = lab.prepare_through(&bash, &args, form, "ready\nuntil /never");
        let terminal = Pty::start(command);
        let probe = log.wait_ready();
        // Meanwhile the foreground job has switched echo off.
        let mut modes = terminal.modes();
        modes.local_flags.remove(LocalFlags::ECHO);
        // SAFETY: the terminal keeps the descriptor open.
        let master = unsafe { std::os::fd::BorrowedFd::borrow_raw(terminal.descriptor()) };
        nix::sys::termios::tcsetattr(master, nix::sys::termios::SetArg::TCSANOW, &modes).unwrap();
        nix::sys::signal::kill(probe, nix::sys::signal::Signal::SIGKILL).unwrap();
        terminal.wait_for("status 137");
        assert!(!flags(&terminal).contains(LocalFlags::ECHO), "{form:?}");
    }
}

#[test]
fn a18_one_resize() {
    let lab = ProbeLab::new();
    let run = |form| {
        let (command, log) = lab.prepare(form, "catch WINCH TERM\nready\nhear WINCH\nsize\nhear TERM\nexit 0");
        let mut terminal = Pty::start(command);
        log.wait_ready();
        terminal.resize(33, 99);
        log.wait_for("size");
        let top = nix::unistd::Pid::from_raw(terminal.child.id().cast_signed());
        nix::sys::signal::kill(top, nix::sys::signal::Signal::SIGTERM).unwrap();
        terminal.wait();
        let heard: Vec<_> = log.heard().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        (log.wait_for("size"), heard)
    };
    let bare = run(Form::Bare);
    assert_eq!(bare, (serde_json::json!([33, 99]), vec!["WINCH".to_owned(), "TERM".to_owned()]));
    for form in WRAPPED {
        assert_eq!(run(form), bare, "{form:?}");
    }
}
