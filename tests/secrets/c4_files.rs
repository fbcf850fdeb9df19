//! C4: a token file that others could read or replace is refused, with the fix, and its mode is not changed silently.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text};

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Prepares the sandbox's token file for a case; returns what the message must contain.
type Spoil = fn(&Path) -> [String; 2];

const CASES: [(&str, Spoil); 7] = [
    ("readable by all", |file| {
        mode(file, 0o644);
        ["can be read by others (mode 0644)".to_owned(), format!("chmod 600 {}", file.display())]
    }),
    ("readable by the group", |file| {
        mode(file, 0o640);
        ["can be read by others (mode 0640)".to_owned(), format!("chmod 600 {}", file.display())]
    }),
    ("a symbolic link", |file| {
        let real = file.with_extension("real");
        std::fs::rename(file, &real).unwrap();
        symlink(&real, file).unwrap();
        ["is a symbolic link".to_owned(), "name the file itself in the configuration".to_owned()]
    }),
    ("a directory", |file| {
        std::fs::remove_file(file).unwrap();
        std::fs::create_dir(file).unwrap();
        ["is not a regular file".to_owned(), format!("rm -r {}", file.display())]
    }),
    ("in a directory others can write to", |file| {
        let directory = file.parent().unwrap();
        mode(directory, 0o770);
        [
            "is in a directory that others can write to (mode 0770)".to_owned(),
            format!("chmod go-w {}", directory.display()),
        ]
    }),
    ("in a directory anyone can write to", |file| {
        let directory = file.parent().unwrap();
        mode(directory, 0o702);
        [
            "is in a directory that others can write to (mode 0702)".to_owned(),
            format!("chmod go-w {}", directory.display()),
        ]
    }),
    ("another user's", |file| {
        chown(file, Some(54_321), None).unwrap();
        ["belongs to user 54321".to_owned(), format!("chown {} {}", nix::unistd::geteuid(), file.display())]
    }),
];

#[test]
fn c4_refused_with_the_fix_and_left_as_they_are() {
    for (case, spoil) in CASES {
        if case == "another user's" && !nix::unistd::geteuid().is_root() {
            return crate::support::skip("giving a file away needs root");
        }
        let act = Act::start();
        let mut sandbox = Sandbox::new();
        sandbox.configure_one(&act.endpoint());
        fake_claude::install(&mut sandbox, "print hi\npost\nexit 7");
        let file: PathBuf = sandbox.home().join("token");
        let expected = spoil(&file);
        let before = std::fs::symlink_metadata(&file).unwrap();
        let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
        assert_eq!((output.out().as_str(), output.code()), ("hi\n", 7), "{case}");
        let line = output.err();
        assert_eq!(line.lines().count(), 1, "{case}: {line}");
        let home = sandbox.home().display().to_string();
        let expected = expected.map(|words| words.replace(&home, "~"));
        assert!(expected.iter().all(|words| line.contains(words)), "{case}: {line}, expected {expected:?}");
        assert!(act.requests().is_empty() && !line.contains(TOKEN), "{case}");
        let after = std::fs::symlink_metadata(&file).unwrap();
        assert_eq!((after.mode(), after.uid(), after.ino()), (before.mode(), before.uid(), before.ino()), "{case}");
    }
}

/// A directory with the sticky bit, as /tmp: no other user can replace the file.
#[test]
fn c4_a_sticky_directory_is_accepted() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "post\nexit 0");
    mode(sandbox.home().join("token").parent().unwrap(), 0o1777);
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert_eq!((output.err().as_str(), output.code()), ("", 0));
    act.wait_for(1);
}

/// Files of the relay and of the supervisor: records, logs, overlays, waiting exports.
#[test]
fn c4_written_files_are_the_users_only() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    sandbox.set("ACT_CLAUDE_LOG", "debug");
    sandbox.write(".claude/settings.json", r#"{"env": {"OTEL_METRICS_EXPORTER": "console"}}"#);
    act.answer(crate::support::http::Reply::json(503, "{}"));
    let claude = fake_claude::install(&mut sandbox, "post\nexit 0");
    // A version that writes its log where it is told to.
    let program = sandbox.directory(".local/share/claude/versions").join("2.1.330");
    std::fs::copy(&claude, &program).unwrap();
    std::fs::remove_file(&claude).unwrap();
    std::os::unix::fs::symlink(&program, &claude).unwrap();
    let mut command = sandbox.command("sh");
    // With the most permissive umask.
    command.args(["-c", "umask 0; exec \"$0\" --verify -p hi"]).arg(crate::support::act_claude());
    assert_eq!(command.output().unwrap().code(), 75);
    let mut open = vec![sandbox.state()];
    let mut seen = Vec::new();
    while let Some(path) = open.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.mode() & 0o777, expected, "{}", path.display());
        if metadata.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            seen.push(path.strip_prefix(sandbox.state()).unwrap().to_owned());
        }
    }
    for place in ["spool/new", "sessions", "overlay", "logs", "act-claude.log"] {
        assert!(seen.iter().any(|path| path.starts_with(place)), "{place}: {seen:?}");
    }
}
