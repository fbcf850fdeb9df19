//! C5: another process of the same user can't read the relay's memory, environment or descriptors. It can read claude's,
//! as without act-claude.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::act::Act;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::user::{self, USER};
use crate::support::{eventually, fake_claude, process, skip};

/// Whether a process of [`USER`] can read a file.
fn can_read(path: &Path) -> bool {
    let mut command = Command::new("head");
    command.args(["-c", "1"]).arg(path).uid(USER).gid(USER).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap().success()
}

#[test]
fn c5_refused_to_the_same_user() {
    if !nix::unistd::geteuid().is_root() {
        return skip("becoming an ordinary user needs root");
    }
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    let (here, go) = (sandbox.root().join("here"), sandbox.root().join("go"));
    fake_claude::install(&mut sandbox, &format!("post\ntouch {}\nwait {}", here.display(), go.display()));
    let program = user::give(&sandbox);
    let mut command = sandbox.command(program);
    command.args(["-p", "hi"]).uid(USER).gid(USER).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    eventually("claude's export", || here.exists().then_some(()));
    let tree = process::with_environment(&sandbox.root().display().to_string());
    let relay = tree.iter().find(|process| process.is_relay()).expect("the relay");
    let claude = tree.iter().find(|process| process.command_line.starts_with("claude")).expect("claude");
    for file in ["environ", "maps", "auxv"] {
        assert!(can_read(&claude.file(file)), "claude's own {file}");
        assert!(!can_read(&relay.file(file)), "the relay's {file}");
    }
    let listed = |process: &process::Process| {
        let mut command = Command::new("ls");
        command.arg(process.file("fd")).uid(USER).gid(USER).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    };
    assert!(listed(claude) && !listed(relay));
    // Not dumpable: neither a debugger nor a core dump gets its memory.
    let limits = std::fs::read_to_string(relay.file("limits")).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(relay.file("environ")).unwrap());
    assert_eq!(owner, 0, "a process that is not dumpable belongs to root in /proc: {limits}");
    std::fs::write(&go, "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
}
