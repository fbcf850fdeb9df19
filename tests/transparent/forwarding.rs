//! A4–A7, A15: which signals reach claude, and how often.

use std::os::unix::process::CommandExt;

use nix::sys::signal::{Signal, kill};

use crate::inherited::before_exec;
use crate::streams::full_but;
use crate::support::eventually;
use crate::support::probe::{EARLY, Early, Form, ProbeLab, Run, WRAPPED, ended};
use crate::support::pty::Pty;

/// The probe counts signals until TERM tells it that no more will come. TERM takes the same way as the signals before,
/// so none of them can arrive after it.
const COUNT: &str = "catch INT QUIT TSTP WINCH TERM\nready\nhear TERM\nexit 5";

#[test]
fn a4_keys_arrive_once() {
    let lab = ProbeLab::new();
    let press = |form, keys: &[&str]| {
        let (command, log) = lab.prepare(form, COUNT);
        let mut terminal = Pty::start(command);
        log.wait_ready();
        for (count, key) in keys.iter().enumerate() {
            terminal.send(key);
            log.wait_heard(count + 1);
        }
        let top = nix::unistd::Pid::from_raw(terminal.child.id().cast_signed());
        kill(top, Signal::SIGTERM).unwrap();
        let status = ended(terminal.wait());
        (log.heard().into_iter().filter(|line| !line.starts_with("TERM")).collect::<Vec<_>>(), status)
    };
    let bare = press(Form::Bare, &["\x03", "\x1c", "\x1a", "\x03"]);
    assert_eq!(bare.0, ["INT from kernel", "QUIT from kernel", "TSTP from kernel", "INT from kernel"]);
    for form in WRAPPED {
        assert_eq!(press(form, &["\x03", "\x1c", "\x1a", "\x03"]), bare, "{form:?}");
    }
}

#[test]
fn a4_the_answer_to_a_key_is_claude_s() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let (command, log) = lab.prepare(form, "catch INT\nready\nhear INT\nexit 7");
        let mut terminal = Pty::start(command);
        log.wait_ready();
        terminal.send("\x03");
        assert_eq!(ended(terminal.wait()), "exit 7", "{form:?}");
    }
}

#[test]
fn a5_sent_signals_are_forwarded_in_order() {
    let lab = ProbeLab::new();
    let signals = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "CONT", "WINCH", "TSTP", "TERM"];
    let script = format!("catch {}\nready\nhear TERM\nexit 3", signals.join(" "));
    let send = |form| {
        let mut run = lab.start(form, &script);
        run.log.wait_ready();
        for (count, name) in signals.iter().enumerate() {
            run.signal(format!("SIG{name}").parse().unwrap());
            run.log.wait_heard(count + 1);
        }
        (ended(run.wait()), run.log.heard())
    };
    let bare = send(Form::Bare);
    assert_eq!(bare.1, signals.map(|name| format!("{name} from parent")));
    for form in WRAPPED {
        assert_eq!(send(form), bare, "{form:?}");
    }
}

/// A timer that was set before the exec expires in act-claude.
#[test]
fn a5_an_inherited_timer_reaches_claude() {
    let lab = ProbeLab::new();
    let run = |form| {
        let (mut command, log) = lab.prepare(form, "ready\nuntil /never");
        // SAFETY: alarm is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                nix::libc::alarm(2);
                Ok(())
            });
        }
        ended(Run::start(command, log).wait())
    };
    assert_eq!(run(Form::Bare), "signal 14");
    assert_eq!(run(Form::Relay), "signal 14");
}

/// The line's own time limit is such an alarm, too.
#[test]
fn a5_a_line_before_the_start_keeps_an_inherited_timer() {
    let lab = ProbeLab::new();
    let _other = lab.other_claude();
    for early in EARLY {
        let (mut command, log) = lab.prepare_early(early, "ready\nuntil /never");
        before_exec(&mut command, || {
            // SAFETY: alarm is async-signal-safe.
            unsafe { nix::libc::alarm(2) };
            Ok(())
        });
        assert_eq!(ended(Run::start(command, log).wait()), "signal 14", "{early:?}");
        assert!(lab.said().starts_with("act-claude: "), "{early:?}: {}", lab.said());
    }
}

/// A terminal that takes only a part of the line: the write lasts as long as it may, and the alarm is due meanwhile, or shortly
/// before or after that.
#[test]
fn a5_an_inherited_timer_that_is_due_during_a_line() {
    let lab = ProbeLab::new();
    let room = full_but(usize::MAX).1;
    for early_ms in [20, 60, 100, 140, 180] {
        let (terminal, _) = full_but(room - 20);
        let (mut command, log) = lab.prepare_early(Early::NoAct, "ready\nuntil /never");
        command.stderr(std::process::Stdio::from(terminal.slave));
        before_exec(&mut command, move || {
            let time = nix::libc::timeval { tv_sec: 0, tv_usec: early_ms * 1000 };
            let none = nix::libc::timeval { tv_sec: 0, tv_usec: 0 };
            let timer = nix::libc::itimerval { it_interval: none, it_value: time };
            // SAFETY: async-signal-safe; reads a local.
            unsafe { nix::libc::setitimer(nix::libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
            Ok(())
        });
        assert_eq!(ended(Run::start(command, log).wait()), "signal 14", "{early_ms} ms");
    }
}

#[test]
fn a6_claude_gets_hup_of_a_closed_terminal() {
    let lab = ProbeLab::new();
    let close = |form| {
        let (command, log) = lab.prepare(form, "catch HUP CONT\nready\nhear HUP\nexit 4");
        let mut terminal = Pty::start(command);
        log.wait_ready();
        terminal.hang_up();
        let status = ended(terminal.wait());
        // A CONT comes with it; the order of the two handlers is not defined.
        let heard = log.heard().iter().filter(|line| line.starts_with("HUP")).count();
        (heard, status)
    };
    assert_eq!(close(Form::Bare), (1, "exit 4".to_owned()));
    for form in WRAPPED {
        assert_eq!(close(form), (1, "exit 4".to_owned()), "{form:?}");
    }
}

/// act-claude is not the session leader here: when the leader ends, the kernel sends HUP once to every process of the
/// foreground group.
#[test]
fn a6_a_member_of_the_foreground_gets_hup_once() {
    let Some(bash) = crate::support::program("bash") else { return };
    let lab = ProbeLab::new();
    let heard = |form| {
        let script = "catch HUP TERM\nready\nhear TERM";
        // Without job control claude is in the process group of the leader, which ends without a message.
        let args = ["-c", "\"$CLAUDE\" & until [ -e \"$HOME/leave\" ]; do :; done; exec true"];
        let (command, log) = lab.prepare_through(&bash, &args, form, script);
        let mut terminal = Pty::start(command);
        let probe = log.wait_ready();
        lab.sandbox.write("leave", "");
        terminal.wait();
        log.wait_heard(1);
        // TERM comes through act-claude last, so every other signal from it has arrived before.
        let (_, _, parent) = crate::support::probe::state(probe).expect("alive");
        let top = if form == Form::Bare { probe } else { nix::unistd::Pid::from_raw(parent) };
        kill(top, Signal::SIGTERM).unwrap();
        let heard = log.wait_heard(2);
        std::fs::remove_file(lab.sandbox.home().join("leave")).unwrap();
        heard.into_iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(heard(Form::Bare), ["HUP", "TERM"]);
    // Several times: a second HUP can't be noticed while the first one is still pending.
    for form in WRAPPED.repeat(6) {
        assert_eq!(heard(form), ["HUP", "TERM"], "{form:?}");
    }
}

#[test]
fn a7_no_echo() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let script = "catch TERM HUP USR1\nsignal-parent TERM\nsignal-parent HUP\nready\nhear USR1\nexit 6";
        let mut run = lab.start(form, script);
        run.log.wait_ready();
        run.signal(Signal::SIGUSR1);
        assert_eq!(ended(run.wait()), "exit 6", "{form:?}");
        assert_eq!(run.log.heard(), ["USR1 from parent"], "{form:?}");
    }
}

/// Many TERM signals while the child ends: only the child is signalled, and its status stays.
#[test]
fn a15_right_target() {
    let lab = ProbeLab::new();
    for round in 0..10 {
        let mut run = lab.start(Form::Line, "catch TERM\nready\nhear TERM\nexit 11");
        let probe = run.log.wait_ready();
        let mut sent = 0;
        let status = eventually("the end", || {
            for _ in 0..50 {
                sent += usize::from(kill(run.pid(), Signal::SIGTERM).is_ok());
            }
            run.child.try_wait().expect("waitable")
        });
        assert_eq!(ended(status), "exit 11", "round {round}, {sent} sent");
        assert!(crate::support::probe::is_gone(probe));
    }
}

/// After claude has been reaped, another process may have its pid: no signal is sent to it any more. In its own
/// namespace the test reuses the pid on purpose, while act-claude still waits for the relay's answer.
#[test]
fn a15_a_pid_that_is_used_again() {
    if crate::support::program("unshare").is_none() || !nix::unistd::geteuid().is_root() {
        return crate::support::skip("choosing a pid needs root and a pid namespace");
    }
    let lab = ProbeLab::new();
    lab.act.answer(crate::support::http::Reply::Hang);
    let shell = r#"
        "$0" -p hi & top=$!
        until pid=$(sed -n 's/.*"ready":\([0-9]*\).*/\1/p' "$PROBE_LOG" 2>/dev/null) && [ "$pid" ]; do :; done
        while [ -e /proc/$pid ]; do :; done
        until [ "$again" = "$pid" ]; do
            [ "$again" ] && kill -9 $again
            echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid || exit 77
            sleep 600 & again=$!
        done
        [ -e /proc/$top/exe ] || echo too late
        kill -TERM $top
        wait $top
        echo status $?
        grep -q sleep /proc/$pid/cmdline && echo alive
    "#;
    let act_claude = crate::support::act_claude();
    let args = ["--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c", shell, act_claude.to_str().unwrap()];
    let (mut command, _log) =
        lab.prepare_through(std::path::Path::new("unshare"), &args, Form::Relay, "post\nready\nexit 15");
    // With CI set, act-claude waits for exports that are under way.
    command.env("CI", "1");
    let output = command.output().unwrap();
    if output.status.code() == Some(77) {
        return crate::support::skip("pids can't be chosen here");
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "status 15\nalive\n");
}
