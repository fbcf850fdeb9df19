//! A19, A22: claude's streams belong to claude, and the report can't block or fail a run.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::libc;

use crate::support::http::Reply;
use crate::support::probe::{Form, ProbeLab, Run, WRAPPED, ended, is_gone};
use crate::support::pty::Pty;
use crate::support::{eventually, program};

/// ACT hangs, and act-claude would wait a minute for it.
fn patient() -> ProbeLab {
    let mut lab = ProbeLab::new();
    lab.act.answer(Reply::Hang);
    let config = std::fs::read_to_string(lab.sandbox.home().join("Relay.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["exit_wait_ms"] = 60_000.into();
    lab.sandbox.write("Relay.json", config.to_string());
    lab.sandbox.unset("CI");
    lab
}

/// While ACT hangs and act-claude waits for it, the reader of claude's output, the writer of its input and a reader of
/// descriptor 3 see the end as soon as claude has ended.
#[test]
fn a19_pipes_end_with_claude() {
    let lab = patient();
    let (mut command, log) = lab.prepare(Form::Relay, "post\nsay out\nexit 0");
    let (mut third, theirs) = std::io::pipe().unwrap();
    let theirs = OwnedFd::from(theirs);
    let number = std::os::fd::AsRawFd::as_raw_fd(&theirs);
    // SAFETY: dup2 is async-signal-safe; 33 is free in a child that is about to exec.
    unsafe {
        command.pre_exec(move || match libc::dup2(number, 33) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut run = Run::start(command, log);
    drop(theirs);
    let mut text = String::new();
    run.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "out\n");
    third.read_to_string(&mut text).unwrap();
    let mut input = run.child.stdin.take().unwrap();
    eventually("the closing of standard input", || input.write_all(b"x\n").is_err().then_some(()));
    assert!(run.child.try_wait().unwrap().is_none(), "act-claude still waits for ACT");
    // A signal ends the wait; the status is claude's.
    run.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(ended(run.wait()), "exit 0");
}

/// Here /dev/null is missing: standard input, output and error belong to claude and act-claude, and none to the
/// relay, which goes on delivering. Also with the launcher form, whose relay no process waits for.
#[test]
fn a19_pipes_end_without_dev_null() {
    let mut lab = ProbeLab::new();
    lab.act.answer(Reply::Hang);
    lab.sandbox.unset("CI");
    let may = std::process::Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/dev"]).status();
    if !may.is_ok_and(|status| status.success()) {
        return crate::support::skip("no mount namespace: run the tests as root");
    }
    for launcher in [false, true] {
        let (inner, log) = lab.prepare(Form::Relay, "post\nsay out\nexit 4");
        let mut command = std::process::Command::new("unshare");
        let script =
            "mount -t tmpfs none /dev && mknod -m 666 /dev/urandom c 1 9 && ln -s /proc/self/fd /dev/fd && exec \"$@\"";
        command.args(["-m", "sh", "-c", script, "sh"]).arg(inner.get_program());
        command.args(launcher.then_some(&lab.claude)).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(lab.sandbox.home());
        // One pipe for both, as with `2>&1 | cat`.
        let (mut reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut run = Run::start(command, log);
        let start = Instant::now();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let took = start.elapsed();
        assert!(text.starts_with("out\n"), "{text}");
        assert_eq!(ended(run.wait()), "exit 4", "{text}");
        assert!(took < SOON * 2, "launcher form: {launcher}: {took:?}");
    }
    crate::support::process::end_relays(lab.sandbox.root());
}

/// Claude has ended, but act-claude has not noticed yet: the signal ends act-claude's wait.
#[test]
fn a19_a_signal_too_late_for_claude_ends_the_wait() {
    let lab = patient();
    let go = lab.sandbox.root().join("go");
    let (mut command, log) = lab.prepare(Form::Relay, &format!("post\nready\nuntil {}\nexit 4", go.display()));
    command.stderr(Stdio::null());
    let run = Run::start(command, log);
    let probe = run.log.wait_ready();
    run.signal(nix::sys::signal::Signal::SIGSTOP);
    std::fs::write(go, "").unwrap();
    eventually("the end of the probe", || is_gone(probe).then_some(()));
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.signal(nix::sys::signal::Signal::SIGCONT);
    let (status, took) = after_claude(run);
    assert_eq!(status, "exit 4");
    assert!(took < SOON, "{took:?}");
}

/// Waits for the end; returns the status, and how long act-claude took after claude's end.
fn after_claude(mut run: Run) -> (String, Duration) {
    let probe = run.log.wait_ready();
    eventually("the end of the probe", || is_gone(probe).then_some(()));
    let gone = Instant::now();
    (ended(run.wait()), gone.elapsed())
}

/// Without the rule each of these cases is a hang, a wrong status, or a stopped job. Half a second would be enough; the
/// rest is for a busy machine.
const SOON: Duration = Duration::from_secs(5);

fn a22(name: &str, prepare: impl Fn(&ProbeLab, Form) -> Run) {
    let lab = ProbeLab::new();
    for form in [Form::Relay, Form::Line] {
        let (status, took) = after_claude(prepare(&lab, form));
        assert_eq!(status, "exit 9", "{name}, {form:?}");
        assert!(took < SOON, "{name}, {form:?}: {took:?}");
    }
}

/// A pipe without a reader, which the test keeps open.
fn unread() -> (Stdio, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (Stdio::from(OwnedFd::from(writer)), OwnedFd::from(reader))
}

#[test]
fn a22_full_pipe() {
    for steps in ["flood 2", "flood 2\nblock 2"] {
        let (stderr, _reader) = unread();
        let stderr = std::cell::Cell::new(Some(stderr));
        let lab = ProbeLab::new();
        let (mut command, log) = lab.prepare(Form::Relay, &format!("{steps}\nready\nexit 9"));
        command.stderr(stderr.take().unwrap());
        let (status, took) = after_claude(Run::start(command, log));
        assert_eq!(status, "exit 9", "{steps}");
        assert!(took < SOON, "{steps}: {took:?}");
    }
}

#[test]
fn a22_closed_stderr() {
    a22("closed", |lab, form| {
        let (mut command, log) = lab.prepare(form, "ready\nexit 9");
        // SAFETY: closes a descriptor of the child.
        unsafe {
            command.pre_exec(|| {
                libc::close(2);
                Ok(())
            });
        }
        Run::start(command, log)
    });
}

#[test]
fn a22_reader_gone() {
    a22("reader gone", |lab, form| {
        let (mut command, log) = lab.prepare(form, "ready\nexit 9");
        let (stderr, reader) = unread();
        command.stderr(stderr);
        drop(reader);
        Run::start(command, log)
    });
}

#[test]
fn a22_full_device_and_full_file() {
    a22("/dev/full", |lab, form| {
        let (mut command, log) = lab.prepare(form, "ready\nexit 9");
        command.stderr(std::fs::File::options().write(true).open("/dev/full").unwrap());
        Run::start(command, log)
    });
    a22("a file at its limit", |lab, form| {
        let (mut command, log) = lab.prepare(form, "ready\nexit 9");
        let path = lab.sandbox.write("report", [b'.'; 4096]);
        command.stderr(std::fs::File::options().append(true).open(path).unwrap());
        // SAFETY: setrlimit is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
                libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
                Ok(())
            });
        }
        Run::start(command, log)
    });
}

#[test]
fn a22_terminal_held_with_ctrl_s() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let (command, log) = lab.prepare(form, "catch TERM\nready\nhear TERM\nexit 9");
        let mut terminal = Pty::start(command);
        let probe = log.wait_ready();
        terminal.send("\x13");
        // The key was sent first, so output is stopped when the report is written.
        nix::sys::signal::kill(probe, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert_eq!(ended(terminal.wait()), "exit 9", "{form:?}");
    }
}

/// A terminal whose window reads nothing has room for a few bytes only: poll reports it as writable, but a longer write
/// blocks.
#[test]
fn a22_terminal_without_a_reader() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let pair = nix::pty::openpty(None, None).unwrap();
        for end in [&pair.master, &pair.slave] {
            nix::fcntl::fcntl(end, nix::fcntl::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).unwrap();
        }
        let (mut command, log) = lab.prepare(form, "flood 2\nblock 2\nready\nexit 9");
        command.stderr(Stdio::from(pair.slave));
        let (status, took) = after_claude(Run::start(command, log));
        assert_eq!(status, "exit 9", "{form:?}");
        assert!(took < SOON, "{form:?}: {took:?}");
    }
}

/// Writes to a terminal without a reader until nothing more fits, or up to this many bytes; returns how many.
fn fill(terminal: &OwnedFd, most: usize) -> usize {
    use nix::fcntl::{F_GETFL, F_SETFL, OFlag, fcntl};
    let before = OFlag::from_bits_truncate(fcntl(terminal, F_GETFL).unwrap());
    fcntl(terminal, F_SETFL(before | OFlag::O_NONBLOCK)).unwrap();
    let written = (0..most).take_while(|_| nix::unistd::write(terminal, b".") == Ok(1)).count();
    fcntl(terminal, F_SETFL(before)).unwrap();
    written
}

/// A terminal without a reader that has taken this many bytes, or all that it takes; and how many it has taken.
pub fn full_but(most: usize) -> (nix::pty::OpenptyResult, usize) {
    let pair = nix::pty::openpty(None, None).unwrap();
    for end in [&pair.master, &pair.slave] {
        nix::fcntl::fcntl(end, nix::fcntl::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).unwrap();
    }
    let taken = fill(&pair.slave, most);
    (pair, taken)
}

/// Room for a part of the report: poll reports the terminal as writable, but a write of the whole report would block
/// for ever.
#[test]
fn a22_terminal_with_room_for_a_part() {
    let (_, room) = full_but(usize::MAX);
    let lab = ProbeLab::new();
    let (pair, _) = full_but(room - 20);
    // A form without a relay, because the end of a relay would interrupt the write.
    let (mut command, log) = lab.prepare(Form::Line, "ready\nexit 9");
    command.stderr(Stdio::from(pair.slave));
    let (status, took) = after_claude(Run::start(command, log));
    assert_eq!(status, "exit 9");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a22_background_with_tostop() {
    let Some(bash) = program("bash") else { return };
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let shell = "stty tostop; set -m; \"$CLAUDE\" >/dev/null & wait $!; code=$?; stty -tostop; echo status $code";
        let (command, _log) = lab.prepare_through(&bash, &["--norc", "-c", shell], form, "exit 9");
        let (_, screen) = Pty::start(command).finish();
        assert!(screen.contains("status 9"), "{form:?}: {screen}");
    }
}
