//! Which file on PATH act-claude starts as claude: the one that a shell would start. All others are skipped, as shells
//! do.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};

/// Makes a file named claude that can't be started.
type Make = fn(&Path);

const KINDS: [(&str, Make); 9] = [
    ("a FIFO", |path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o755)).unwrap();
        executable(path);
    }),
    ("a directory", |path| std::fs::create_dir(path).unwrap()),
    ("a link to a directory", |path| symlink("/tmp", path).unwrap()),
    ("a socket", |path| {
        drop(UnixListener::bind(path).unwrap());
        executable(path);
    }),
    ("a file that may not be executed", |path| std::fs::write(path, "#!/bin/sh\nexit 3\n").unwrap()),
    ("a link to such a file", |path| symlink("/etc/passwd", path).unwrap()),
    ("a dangling link", |path| symlink("/nowhere", path).unwrap()),
    ("a link to itself", |path| symlink("claude", path).unwrap()),
    ("a link to a device", |path| symlink("/dev/null", path).unwrap()),
];

fn executable(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/m");
    fake_claude::install(&mut sandbox, "exit 7");
    sandbox
}

/// Runs a command that may hang.
fn status(command: &mut Command) -> i32 {
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            return -2;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn only_regular_executable_files_are_candidates() {
    let mut sandbox = sandbox();
    let early = sandbox.directory("early");
    sandbox.path_first(&early);
    let shells: Vec<_> = ["dash", "zsh", "fish"].iter().filter_map(|name| crate::support::program(name)).collect();
    for (kind, make) in KINDS {
        make(&early.join("claude"));
        for args in [&["-p", "hi"][..], &["--no-act"], &["--version"]] {
            assert_eq!(status(&mut sandbox.act_claude(args)), 7, "{kind}: {args:?}");
        }
        for shell in &shells {
            let mut command = sandbox.command(shell);
            assert_eq!(status(command.args(["-c", "claude -p hi"])), 7, "{kind}: {}", shell.display());
        }
        // With nothing else on PATH the result is "not found" or "not executable", and act-claude never hangs.
        let mut alone = sandbox.act_claude(&["-p", "hi"]);
        let code = status(alone.env("PATH", &early));
        assert!([126, 127].contains(&code), "{kind}: {code}");
        let mut named = sandbox.act_claude(&["-p", "hi"]);
        let code = status(named.env("ACT_CLAUDE_BIN", early.join("claude")));
        assert!([126, 127].contains(&code), "{kind}, named: {code}");
        // As the first argument it does not select the launcher form, but is an argument for claude.
        let mut launcher = sandbox.act_claude(&[]);
        assert_eq!(status(launcher.arg(early.join("claude"))), 7, "{kind}, as the first argument");
        let path = early.join("claude");
        if path.is_dir() && !path.is_symlink() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) }
            .unwrap();
    }
}

/// A file that other users may execute, but not this one.
#[test]
fn files_this_user_may_not_execute_are_skipped() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("a file of another user needs root");
    }
    let mut sandbox = sandbox();
    let early = sandbox.directory("early");
    sandbox.path_first(&early);
    std::fs::write(early.join("claude"), "#!/bin/sh\nexit 3\n").unwrap();
    let program = crate::support::user::give(&sandbox);
    std::os::unix::fs::chown(early.join("claude"), Some(0), Some(0)).unwrap();
    std::fs::set_permissions(early.join("claude"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = sandbox.command(program);
    std::os::unix::process::CommandExt::uid(&mut command, crate::support::user::USER);
    assert_eq!(status(command.args(["-p", "hi"])), 7);
}

/// Without PATH the C library's default is used, and never the working directory.
#[test]
fn without_path_the_working_directory_is_not_searched() {
    let sandbox = sandbox();
    sandbox.script("claude", "#!/bin/sh\nexit 3\n");
    let mut command = sandbox.act_claude(&["-p", "hi"]);
    let output = command.env_remove("PATH").output().unwrap();
    assert_eq!(output.code(), 127, "{}", output.err());
    // An empty entry is the working directory, as in every shell.
    let mut command = sandbox.act_claude(&["-p", "hi"]);
    assert_eq!(command.env("PATH", "/nowhere:").output().unwrap().code(), 3);
}
