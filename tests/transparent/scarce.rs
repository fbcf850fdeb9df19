//! If the system has no process or descriptor left for act-claude, claude runs all the same, without our variables, and
//! one line says so.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use nix::libc;

use crate::support::eventually;
use crate::support::probe::{Form, ProbeLab, is_gone};
use crate::support::process::{limit, with_environment};
use crate::support::sandbox::Text;
#[cfg(target_os = "linux")]
use crate::support::seccomp;

/// Gives a directory and its content to another user.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("given");
    if path.is_dir() && !path.is_symlink() {
        std::fs::read_dir(path).expect("readable").flatten().for_each(|entry| give(&entry.path(), user));
    }
}

#[test]
fn no_processes_left() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("RLIMIT_NPROC does not bind root, and only root can become another user");
    }
    const USER: u32 = 58_231;
    let lab = ProbeLab::new();
    // A copy, because a link in the sandbox would give away the program itself.
    std::fs::remove_file(&lab.claude).expect("removed");
    std::fs::copy(crate::support::example("probe"), &lab.claude).expect("a copy");
    let program = lab.sandbox.home().join("act-claude");
    std::fs::copy(crate::support::act_claude(), &program).expect("a copy");
    give(lab.sandbox.root(), USER);
    for form in [Form::Relay, Form::Line] {
        let (mut command, log) = lab.prepare_through(&program, &[], form, "given\nsay hello\nexit 51");
        command.uid(USER).gid(USER).stderr(Stdio::piped());
        limit(&mut command, libc::RLIMIT_NPROC, 0);
        let output = command.output().expect("started");
        assert_eq!((output.out().as_str(), output.code()), ("hello\n", 51), "{}", output.err());
        let given = log.wait_for("given")["environment"].to_string();
        assert!(!given.contains("OTEL_"), "{given}");
        assert_eq!(output.err().lines().count(), 1, "{}", output.err());
        if form == Form::Relay {
            assert!(output.err().contains("no telemetry: claude cannot be watched"), "{}", output.err());
        }
    }
}

/// In a sandbox in which no process may listen.
#[test]
#[cfg(target_os = "linux")]
fn listener_refused() {
    let lab = ProbeLab::new();
    for call in [libc::SYS_bind, libc::SYS_listen, libc::SYS_socket] {
        let (mut command, log) = lab.prepare(Form::Relay, "given\nsay hello\nexit 51");
        command.stderr(Stdio::piped());
        seccomp::forbid(&mut command, call);
        let output = command.output().expect("started");
        assert_eq!((output.out().as_str(), output.code()), ("hello\n", 51), "{call}: {}", output.err());
        let given = log.wait_for("given")["environment"].to_string();
        assert!(!given.contains("OTEL_"), "{call}: {given}");
        assert_eq!(output.err().lines().count(), 1, "{call}: {}", output.err());
        assert!(output.err().contains("no telemetry: the relay cannot start"), "{call}: {}", output.err());
    }
}

/// With any number of descriptors, claude starts.
#[test]
fn few_descriptors() {
    let lab = ProbeLab::new();
    let mut refused = 0;
    for descriptors in 3..16 {
        let (mut command, log) = lab.prepare(Form::Relay, "post\nsay hello\nexit 51");
        command.stderr(Stdio::piped());
        limit(&mut command, libc::RLIMIT_NOFILE, descriptors);
        let output = command.output().expect("started");
        let bare = {
            let (mut command, _log) = lab.prepare(Form::Bare, "say hello\nexit 51");
            limit(&mut command, libc::RLIMIT_NOFILE, descriptors);
            command.output().expect("started")
        };
        assert_eq!((output.out(), output.code()), (bare.out(), bare.code()), "{descriptors}: {}", output.err());
        // With 3 descriptors the dynamic loader itself can't open the C library; a static act-claude has none.
        let is_own = |line: &&str| !line.contains("see it in ACT") && !line.contains("error while loading shared");
        let said = output.err().lines().filter(is_own).count();
        let has_started = !output.err().contains("act-claude: error while loading shared");
        assert_eq!(said, usize::from(has_started), "{descriptors}: {}", output.err());
        refused += usize::from(output.err().contains("no telemetry"));
        drop(log);
    }
    assert!((1..13).contains(&refused), "some limits are too low for a relay, others are not: {refused}");
}

/// The binary is replaced during the start: the old one serves this session.
#[test]
fn binary_replaced() {
    let lab = ProbeLab::new();
    let copy = lab.sandbox.home().join("act-claude");
    std::fs::copy(crate::support::act_claude(), &copy).expect("a copy");
    let bash = crate::support::program("bash").expect("bash");
    let line = format!("exec 5<{0}; rm {0}; exec /proc/self/fd/5 2>/dev/null", copy.display());
    let (mut command, log) = lab.prepare_through(&bash, &["-c", &line], Form::Relay, "post\nexit 52");
    assert_eq!(command.output().expect("started").code(), 52);
    assert_eq!(log.wait_for("post"), 200);
    lab.act.wait_for(1);
}

/// The relay is killed during the session: it is replaced, claude goes on, and claude's status is returned.
#[test]
fn relay_killed() {
    let lab = ProbeLab::new();
    let (mut command, log) = lab.prepare(Form::Relay, "catch USR1\npost\nready\nhear USR1\npost\nexit 53");
    command.stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    log.wait_ready();
    let root = lab.sandbox.root().display().to_string();
    let relay = with_environment(&root).into_iter().find(|process| process.is_relay()).expect("the relay");
    let pid = nix::unistd::Pid::from_raw(relay.pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
    eventually("the end of the relay", || is_gone(pid).then_some(()));
    let top = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(top, nix::sys::signal::Signal::SIGUSR1).expect("sent");
    eventually("the second post", || (log.notes().last()?["post"] == 200).then_some(()));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("a pipe"), &mut said).expect("text");
    assert_eq!(child.wait().expect("ended").code(), Some(53));
    assert!(said.contains("2 exports delivered"), "{said}");
}
