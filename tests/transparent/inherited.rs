//! A11–A13, A20: claude inherits what act-claude inherited.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::libc;
use serde_json::Value;

use crate::support::probe::{EARLY, Form, ProbeLab, Run, WRAPPED, ended};
use crate::support::pty::Pty;

/// Adds a step between fork and exec.
pub fn before_exec(command: &mut Command, step: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) {
    // SAFETY: the steps below make async-signal-safe calls only.
    unsafe { command.pre_exec(step) };
}

fn ignore(signals: &'static [i32]) -> impl FnMut() -> std::io::Result<()> + Send + Sync + 'static {
    move || {
        // SAFETY: an ignored signal runs no code.
        signals.iter().for_each(|&signal| unsafe {
            libc::signal(signal, libc::SIG_IGN);
        });
        Ok(())
    }
}

pub fn block(signals: &'static [i32]) -> impl FnMut() -> std::io::Result<()> + Send + Sync + 'static {
    move || {
        // SAFETY: the calls change a local.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            signals.iter().for_each(|&signal| {
                libc::sigaddset(&mut set, signal);
            });
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        }
        Ok(())
    }
}

/// What the probe was given, without values that must differ: those that depend on its pid, and our variables.
fn given(mut command: Command, log: crate::support::probe::Log) -> Value {
    command.stderr(Stdio::null());
    let mut run = Run::start(command, log);
    assert_eq!(ended(run.wait()), "exit 0");
    let top = run.pid().as_raw();
    normalised(run.log.wait_for("given"), top)
}

fn normalised(mut given: Value, top: i32) -> Value {
    for key in ["group", "session", "foreground"] {
        if given[key] == top {
            given[key] = "the process started".into();
        }
    }
    given["environment"].as_array_mut().expect("a list").retain(|entry| {
        let name = entry.as_str().and_then(|entry| entry.split('=').next()).expect("text");
        !OURS.contains(&name)
    });
    given
}

/// The variables that act-claude sets, and those that differ between the runs.
const OURS: [&str; 15] = [
    "CLAUDE_CODE_ENABLE_TELEMETRY",
    "OTEL_METRICS_EXPORTER",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_RESOURCE_ATTRIBUTES",
    "CLAUDE_CODE_PROCESS_WRAPPER",
    "ACT_CLAUDE_CHAIN",
    "ACT_CLAUDE_ORIG",
    "ACT_CLAUDE_CONFIG",
    "PROBE_LOG",
];

/// Runs bare and wrapped after the same preparation, and asserts that the results are equal.
fn same(lab: &ProbeLab, prepare: impl Fn(&mut Command)) -> Value {
    let run = |form| {
        let (mut command, log) = lab.prepare(form, "given\nexit 0");
        prepare(&mut command);
        given(command, log)
    };
    let bare = run(Form::Bare);
    for form in WRAPPED {
        assert_eq!(pretty(&run(form)), pretty(&bare), "{form:?}");
    }
    bare
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}

fn bit(given: &Value, set: &str, signal: i32) -> bool {
    let set = given["status"][set].as_str().expect("a set");
    u64::from_str_radix(set, 16).expect("hexadecimal") & 1 << (signal - 1) != 0
}

fn is_pending(probe: nix::unistd::Pid, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{probe}/status")).unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:\t"));
    pending.and_then(|set| u64::from_str_radix(set, 16).ok()).is_some_and(|set| set & 1 << (signal - 1) != 0)
}

#[test]
fn a11_ignored_and_blocked_signals_stay_so() {
    let lab = ProbeLab::new();
    let plain = same(&lab, |_| {});
    assert!(!bit(&plain, "SigIgn", libc::SIGHUP) && !bit(&plain, "SigIgn", libc::SIGPIPE));
    const IGNORED: [i32; 8] = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGPIPE,
        libc::SIGCHLD,
        libc::SIGTSTP,
        libc::SIGXFSZ,
        libc::SIGALRM,
    ];
    let ignored = same(&lab, |command| before_exec(command, ignore(&IGNORED)));
    IGNORED.iter().for_each(|&signal| assert!(bit(&ignored, "SigIgn", signal), "{signal}"));
    const BLOCKED: [i32; 4] = [libc::SIGUSR1, libc::SIGTERM, libc::SIGCHLD, libc::SIGTTOU];
    let blocked = same(&lab, |command| before_exec(command, block(&BLOCKED)));
    BLOCKED.iter().for_each(|&signal| assert!(bit(&blocked, "SigBlk", signal), "{signal}"));
}

/// With HUP ignored, act-claude has no handler for it either.
#[test]
fn a11_nohup_keeps_act_claude_alive() {
    let lab = ProbeLab::new();
    let run = |form| {
        let (mut command, log) = lab.prepare(form, "catch TERM\nready\nhear TERM\nexit 12");
        before_exec(&mut command, ignore(&[libc::SIGHUP]));
        let mut run = Run::start(command, log);
        run.log.wait_ready();
        run.signal(nix::sys::signal::Signal::SIGHUP);
        run.signal(nix::sys::signal::Signal::SIGTERM);
        (ended(run.wait()), run.log.heard())
    };
    for form in WRAPPED {
        assert_eq!(run(form), run(Form::Bare), "{form:?}");
    }
}

/// A signal that was inherited as blocked stays pending in claude, not in act-claude.
#[test]
fn a11_blocked_signals_wait_in_claude() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let (mut command, log) = lab.prepare(form, "ready\nuntil /never");
        before_exec(&mut command, block(&[libc::SIGUSR1, libc::SIGTERM]));
        let run = Run::start(command, log);
        let probe = run.log.wait_ready();
        run.signal(nix::sys::signal::Signal::SIGTERM);
        crate::support::eventually("TERM pending in the probe", || is_pending(probe, libc::SIGTERM).then_some(()));
        nix::sys::signal::kill(probe, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

/// The time limit of a line that is written before claude starts uses SIGALRM.
#[test]
fn a11_a_line_before_the_start_changes_no_signal() {
    let lab = ProbeLab::new();
    let _other = lab.other_claude();
    for early in EARLY {
        let (mut command, log) = lab.prepare_early(early, "given\nexit 0");
        before_exec(&mut command, ignore(&[libc::SIGALRM]));
        let mut run = Run::start(command, log);
        assert!(bit(&run.log.wait_for("given"), "SigIgn", libc::SIGALRM), "{early:?}");
        run.wait();
        assert!(lab.said().starts_with("act-claude: "), "{early:?}: {}", lab.said());

        let (mut command, log) = lab.prepare_early(early, "ready\nuntil /never");
        before_exec(&mut command, block(&[libc::SIGALRM]));
        before_exec(&mut command, || {
            Ok(nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGALRM)?)
        });
        let run = Run::start(command, log);
        let probe = run.log.wait_ready();
        crate::support::eventually("ALRM pending in the probe", || is_pending(probe, libc::SIGALRM).then_some(()));
        nix::sys::signal::kill(probe, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

#[test]
fn a12_sigpipe() {
    let lab = ProbeLab::new();
    for is_ignored in [false, true] {
        let given = same(&lab, |command| {
            if is_ignored {
                before_exec(command, ignore(&[libc::SIGPIPE]));
            }
        });
        assert_eq!(bit(&given, "SigIgn", libc::SIGPIPE), is_ignored);
    }
}

#[test]
fn a13_sigchld_ignored() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let (mut command, log) = lab.prepare(form, "given\nexit 9");
        before_exec(&mut command, ignore(&[libc::SIGCHLD]));
        let mut run = Run::start(command, log);
        assert_eq!(ended(run.wait()), "exit 9", "{form:?}");
        assert!(bit(&run.log.wait_for("given"), "SigIgn", libc::SIGCHLD), "{form:?}");
    }
}

#[test]
fn a20_everything_else() {
    let lab = ProbeLab::new();
    let deep = lab.sandbox.directory("deep/er");
    let given = same(&lab, |command| {
        command.current_dir(&deep);
        command.args(["-p", "", "two words", "-x", "--settings={}", "--", "act"]);
        command.arg(OsStr::from_bytes(b"\xff\xfe not text"));
        command.env("EMPTY", "").env("ODD", OsStr::from_bytes(b"\xff=\n"));
        before_exec(command, || {
            // SAFETY: async-signal-safe calls; fd 3 is a pipe, fd 7 a file, neither close-on-exec.
            unsafe {
                libc::umask(0o027);
                libc::setpriority(libc::PRIO_PROCESS, 0, 3);
                let limit = libc::rlimit { rlim_cur: 200, rlim_max: 300 };
                libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
                let limit = libc::rlimit { rlim_cur: 1 << 40, rlim_max: 1 << 41 };
                libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
                let mut ends = [0; 2];
                libc::pipe(ends.as_mut_ptr());
                for (source, target) in [(ends[0], 53), (ends[1], 54)] {
                    libc::dup2(source, target);
                    libc::close(source);
                }
                libc::dup2(libc::open(c"/etc/passwd".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC), 57);
            }
            Ok(())
        });
    });
    assert_eq!(given["arguments"][8], r"\xff\xfe not text");
    assert_eq!(given["umask"], "27");
    assert_eq!(given["nice"], 3);
    assert_eq!(given["descriptors"]["53"][0], "a pipe");
    assert_eq!(given["descriptors"]["57"][0], "/etc/passwd");
}

#[test]
fn a20_closed_descriptors_stay_closed() {
    let lab = ProbeLab::new();
    for closed in [&[0][..], &[1], &[2], &[0, 1, 2]] {
        let given = same(&lab, move |command| {
            before_exec(command, move || {
                // SAFETY: closes standard descriptors of the child.
                closed.iter().for_each(|&descriptor| unsafe {
                    libc::close(descriptor);
                });
                Ok(())
            });
        });
        for descriptor in closed {
            assert_eq!(given["descriptors"][descriptor.to_string()], Value::Null, "{descriptor}");
        }
    }
}

#[test]
fn a20_on_a_terminal() {
    let lab = ProbeLab::new();
    let run = |form| {
        let (command, log) = lab.prepare(form, "given\nsize\nexit 0");
        let mut terminal = Pty::start(command);
        let top = terminal.child.id().cast_signed();
        assert_eq!(ended(terminal.finish().0), "exit 0");
        (pretty(&normalised(log.wait_for("given"), top)), log.wait_for("size"))
    };
    let bare = run(Form::Bare);
    assert!(bare.0.contains("a terminal"));
    for form in WRAPPED {
        assert_eq!(run(form), bare, "{form:?}");
    }
}

/// Entries that are not `NAME=value`, repeated names, and the order are passed on unchanged.
#[test]
fn a20_an_odd_environment() {
    let lab = ProbeLab::new();
    let run = |form| {
        let (command, log) = lab.prepare(form, "given\nexit 0");
        let text = |text: &OsStr| std::ffi::CString::new(text.as_bytes()).expect("no NUL");
        let mut entries = vec![c"Z=first".to_owned(), c"no-equals".to_owned(), c"Z=second".to_owned()];
        for (name, value) in command.get_envs() {
            let entry = [name.as_bytes(), b"=", value.expect("set").as_bytes()].concat();
            entries.push(text(OsStr::from_bytes(&entry)));
        }
        entries.push(c"=odd".to_owned());
        let program = text(command.get_program());
        let mut started = Command::new("true");
        before_exec(&mut started, move || {
            let arguments = [c"claude".as_ptr(), std::ptr::null()];
            let mut pointers = [std::ptr::null(); 64];
            entries.iter().zip(&mut pointers).for_each(|(entry, pointer)| *pointer = entry.as_ptr());
            // SAFETY: null-terminated arrays of C strings.
            unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), pointers.as_ptr()) };
            Err(std::io::Error::last_os_error())
        });
        pretty(&given(started, log)["environment"])
    };
    let bare = run(Form::Bare);
    assert!(bare.contains("no-equals") && bare.contains("Z=second") && bare.contains("=odd"), "{bare}");
    for form in WRAPPED {
        assert_eq!(run(form), bare, "{form:?}");
    }
}
