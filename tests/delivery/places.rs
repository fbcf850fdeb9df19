//! B10 and B14 with real file systems: no space, no inode, read-only, another user's, no directory at all. Claude's
//! output and status stay the same, and one line gives the reason. An export that ACT accepts is delivered; any other
//! is lost and counted.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::relay::{files, leave};
use crate::support::act::{Act, accepted, refused};
use crate::support::process::{end_relays, with_environment};
use crate::support::sandbox::{Sandbox, Text, snapshot};
use crate::support::user::{self, USER};
use crate::support::{act_claude, eventually, fake_claude, skip};

const SCRIPT: &str = "print hello\ncomplain oops\npost\npost\nprint bye\nexit 3";

fn sandbox(act: &Act) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.configure(&serde_json::json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P"}},
        // Long enough for every verdict, even on a busy machine.
        "default": "billing", "exit_wait_ms": 20_000
    }));
    fake_claude::install(&mut sandbox, SCRIPT);
    sandbox
}

fn root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skip("other users and mounts need root");
    }
    is_root
}

/// act-claude's arguments in all these tests.
const ARGS: [&str; 4] = ["-p", "hi", "--report", "always"];

/// Runs `command`, which can store nothing because of `why`, first with an ACT that accepts everything, then with one
/// that accepts nothing.
fn nothing_kept(act: &Act, sandbox: &Sandbox, why: &str, command: impl Fn() -> Command) {
    for (reply, line) in [
        (accepted(), format!("2 exports delivered (4 points); exports could not be stored on this machine: {why}")),
        (
            refused(503, ""),
            format!(
                "2 exports lost: 503 Service Unavailable, and it could not be stored: {why}. ACT is busy or not available; exports could not be stored on this machine: {why}"
            ),
        ),
    ] {
        act.answer(reply);
        let before = act.requests().len();
        let _ = std::fs::remove_file(fake_claude::log(sandbox.root()));
        let output = command().output().unwrap();
        assert_eq!((output.out().as_str(), output.code()), ("hello\nbye\n", 3), "{why}: {}", output.err());
        assert_eq!(output.err(), format!("oops\nact-claude: billing: {line}\n"), "{why}");
        assert_eq!(act.requests().len(), before + 2, "{why}: each was tried");
        let answers = std::fs::read_to_string(fake_claude::log(sandbox.root())).unwrap();
        let expected = if line.contains("lost") { "503" } else { "200" };
        assert!(answers.lines().all(|answer| answer.starts_with(expected)), "{why}: claude knows: {answers}");
        // The relay has nothing left to do, so it ends long before its deadline for draining.
        let ended = Instant::now();
        let root = sandbox.root().display().to_string();
        eventually("the relay's end", || with_environment(&root).is_empty().then_some(()));
        assert!(ended.elapsed() < Duration::from_secs(15), "{why}: {:?}", ended.elapsed());
    }
}

/// act-claude with its own file system, mounted at its state home.
fn mounted(sandbox: &Sandbox, mount: &str) -> Command {
    let state = sandbox.directory(".local/state");
    let mut command = sandbox.command("unshare");
    command.args(["-m", "sh", "-c", &format!("{mount} && exec \"$@\""), "sh"]).arg(act_claude()).args(ARGS);
    command.env("AT", state);
    command
}

fn can_mount(sandbox: &Sandbox) -> bool {
    let may = mounted(sandbox, "mount -t tmpfs none \"$AT\" && exit 77")
        .output()
        .is_ok_and(|output| output.status.code() == Some(77));
    if !may {
        skip("no file systems can be mounted here");
    }
    may
}

#[test]
fn b10_a_real_disk_without_room_or_inodes_or_read_only() {
    let act = Act::start();
    let sandbox = sandbox(&act);
    if !root() || !can_mount(&sandbox) {
        return;
    }
    for (mount, why) in [
        ("mount -t tmpfs -o size=1m none \"$AT\"", "the disk is full"),
        // There is free space, but no file can be created; the message is the system's own.
        ("mount -t tmpfs -o size=64m,nr_inodes=4 none \"$AT\"", "No space left on device"),
        ("mount -t tmpfs -o ro none \"$AT\"", "Read-only file system"),
    ] {
        nothing_kept(&act, &sandbox, why, || mounted(&sandbox, mount));
    }
    // A limit on the file size has the same effect as a full disk.
    nothing_kept(&act, &sandbox, "File too large", || {
        let mut command = sandbox.command("sh");
        command.args(["-c", "ulimit -f 1; exec \"$@\"", "sh"]).arg(act_claude()).args(ARGS);
        command
    });
}

/// A stored export that can't be removed from the spool is not sent from there: every session would send it again.
#[test]
fn b12_a_backlog_that_can_t_be_removed_is_left_alone() {
    let act = Act::start();
    let sandbox = sandbox(&act);
    if !root() || !can_mount(&sandbox) {
        return;
    }
    let left = leave(&sandbox, "0a", &["a"], &act.endpoint());
    for _ in 0..2 {
        let output =
            mounted(&sandbox, "mount --bind \"$AT\" \"$AT\" && mount -o remount,bind,ro \"$AT\"").output().unwrap();
        assert_eq!(output.code(), 3, "{}", output.err());
        end_relays(sandbox.root());
    }
    assert_eq!(act.requests().len(), 4, "the sessions' own, and nothing else");
    assert_eq!(files(&sandbox, "new"), left);
    // Once it can be removed, it is sent once.
    assert_eq!(sandbox.act_claude(&ARGS).output().unwrap().code(), 3);
    eventually("an empty spool", || files(&sandbox, "new").is_empty().then_some(()));
    end_relays(sandbox.root());
    assert_eq!(act.requests().len(), 7);
}

/// A state directory of another user: nothing is written to it, even if that were possible, and its exports are not
/// sent in our name.
#[test]
fn b10_another_user_s_state_directory() {
    if !root() {
        return;
    }
    let act = Act::start();
    let first = sandbox(&act);
    let why = |sandbox: &Sandbox| format!("{} belongs to another user", sandbox.shown(sandbox.state()));
    // As root, who may write everywhere.
    leave(&first, "0a", &["a stranger's"], &act.endpoint());
    chown(first.state(), Some(USER), Some(USER)).unwrap();
    let before = snapshot(&first.state());
    nothing_kept(&act, &first, &why(&first), || first.act_claude(&ARGS));
    assert_eq!(snapshot(&first.state()), before);

    // As an ordinary user, who may not write there.
    let second = sandbox(&act);
    let program = user::give(&second);
    std::fs::create_dir_all(second.state()).unwrap();
    chown(second.state(), Some(0), Some(0)).unwrap();
    for mode in [0o700, 0o755] {
        std::fs::set_permissions(second.state(), std::fs::Permissions::from_mode(mode)).unwrap();
        nothing_kept(&act, &second, &why(&second), || {
            let mut command = second.command(&program);
            command.args(ARGS).uid(USER).gid(USER);
            command
        });
    }
    assert!(snapshot(&second.state()).is_empty());
}

#[test]
fn b10_no_state_directory_is_possible() {
    let act = Act::start();
    let sandbox = sandbox(&act);
    let config = sandbox.config_file();
    for (home, why) in [
        (None, "there is no state directory: neither HOME nor XDG_STATE_HOME"),
        (Some("/dev/null"), "Not a directory"),
        (Some("relative"), "there is no state directory: neither HOME nor XDG_STATE_HOME"),
    ] {
        nothing_kept(&act, &sandbox, why, || {
            let mut command = sandbox.act_claude(&ARGS);
            // The test finds the relay by this path.
            command.env("ACT_CLAUDE_CONFIG", &config).env_remove("HOME");
            if let Some(home) = home {
                command.env("HOME", home);
            }
            command
        });
    }
    assert!(!Path::new("/dev/null/.local").exists());
}
