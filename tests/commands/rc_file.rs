//! `act setup` adds the shell's line to its rc file, as one marked block, and `act uninstall` takes it out: in real shells.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{act_claude, fake_claude, program};

/// The block of a shell.
fn block(shell: &str) -> String {
    let line = match shell {
        "fish" => "act-claude act shell-init fish | source".to_owned(),
        shell => format!("eval \"$(act-claude act shell-init {shell})\""),
    };
    format!("# >>> act-claude >>>\n{line}\n# <<< act-claude <<<\n")
}

/// A home whose shell is `shell`. act-claude and a claude are on PATH.
fn sandbox(shell: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print claude-ran");
    sandbox.path_first(act_claude().parent().expect("its directory"));
    sandbox.set("SHELL", format!("/usr/bin/{shell}"));
    sandbox.set("T", "a-token");
    // On macOS this makes .bashrc the file that bash reads.
    sandbox.write(".bash_profile", ". ~/.bashrc\n");
    sandbox
}

/// Sets up an alias, with every value given. `answer`: the keys for the question at the end; `None`: it is not asked.
fn set_up(sandbox: &Sandbox, alias: &str, answer: Option<&str>) -> String {
    let url = "http://127.0.0.1:9/metric-ingestion/v1/acme-A1/otlp/public/metrics";
    let values = ["--endpoint", url, "--user", "u@x.test", "--token-env", "T", "--provider-type", "P"];
    let more = ["--id", alias, "--name", alias, "--directory", "."];
    let command = sandbox.act_claude(&[&["act", "setup", "--no-check"][..], &values, &more].concat());
    let mut pty = Pty::start(command);
    if let Some(keys) = answer {
        pty.wait_for("? Add this to ");
        pty.send(keys);
    }
    let (status, screen) = pty.finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(screen.contains(" Add this to "), answer.is_some(), "{screen}");
    screen
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn uninstall(sandbox: &Sandbox) -> Value {
    let output = sandbox.act_claude(&["act", "uninstall", "--yes", "--json"]).output().unwrap();
    serde_json::from_str(&output.out()).unwrap_or_else(|_| panic!("{}", output.err()))
}

/// Each shell: its file is made, has one block after two set-ups, works in a new shell, and is as before after `uninstall`.
#[test]
fn added_once_and_taken_out() {
    for (shell, file, start) in [
        ("bash", ".bashrc", &["bash", "-i", "-c", "claude"][..]),
        ("zsh", ".zshrc", &["zsh", "-i", "-c", "claude"]),
        ("zsh", "z/.zshrc", &["zsh", "-i", "-c", "claude"]),
        ("fish", ".config/fish/config.fish", &["fish", "-i", "-c", "claude"]),
        ("fish", "x/fish/config.fish", &["fish", "-i", "-c", "claude"]),
    ] {
        if program(shell).is_none() {
            continue;
        }
        for before in [None, Some("A=1\n"), Some("export B=1"), Some("")] {
            // fish has no variables of this form.
            let before = before.map(|text| if shell == "fish" { text.replace('=', " ") } else { text.to_owned() });
            let before = before.map(|text| text.replace("A 1", "set A 1").replace("export B 1", "set B 1"));
            let mut sandbox = sandbox(shell);
            let path = sandbox.home().join(file);
            match file.split_once('/') {
                Some(("z", _)) => sandbox.set("ZDOTDIR", sandbox.directory("z")),
                Some(("x", _)) => sandbox.set("XDG_CONFIG_HOME", sandbox.home().join("x")),
                _ => {}
            }
            if let Some(before) = &before {
                sandbox.write(file, before);
            }
            let screen = set_up(&sandbox, "one", Some("\r"));
            let source = if shell == "fish" { "source" } else { "." };
            assert!(screen.contains(&format!("Added. In this shell: {source} ~/{file}")), "{screen}");
            assert!(screen.contains("~/.bashrc") || shell != "bash", "{screen}");
            set_up(&sandbox, "two", None);
            let start_of_file = before.as_deref().unwrap_or_default();
            let end = if start_of_file.is_empty() || start_of_file.ends_with('\n') { "" } else { "\n" };
            let gap = if start_of_file.is_empty() { "" } else { "\n" };
            assert_eq!(read(&path), format!("{start_of_file}{end}{gap}{}", block(shell)));
            // The shell without a terminal: its words about that are no matter here.
            let which = sandbox.command(start[0]).args(&start[1..]).output().unwrap();
            assert!(which.out().contains("claude-ran"), "{shell}: {} {}", which.out(), which.err());
            let said = uninstall(&sandbox);
            assert_eq!(said["edited"], serde_json::json!([path]), "{said}");
            let left: Vec<&str> = said["left"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert!(!left.iter().any(|left| left.contains("shell-init")), "{left:?}");
            assert_eq!(read(&path), format!("{start_of_file}{end}"));
        }
    }
}

#[test]
fn a_no_is_a_no() {
    for keys in ["n\r", "\x1b", "\x03"] {
        let sandbox = sandbox("bash");
        let file = sandbox.write(".bashrc", "A=1\n");
        let screen = set_up(&sandbox, "one", Some(keys));
        assert_eq!(read(&file), "A=1\n", "{screen}");
        assert!(sandbox.config_file().is_file(), "the set-up is complete");
        assert!(screen.contains(&block("bash").lines().nth(1).unwrap().to_owned()), "the line is shown: {screen}");
    }
}

#[test]
fn never_without_a_question() {
    let sandbox = sandbox("bash");
    let url = "http://127.0.0.1:9/metric-ingestion/v1/acme-A1/otlp/public/metrics";
    let values = ["--endpoint", url, "--user", "u@x.test", "--token-env", "T", "--provider-type", "P", "--id", "i"];
    let args = [&["act", "setup", "--no-check", "--yes", "--name", "a", "--directory", "."][..], &values].concat();
    let mut pty = Pty::start(sandbox.act_claude(&args));
    let (status, screen) = pty.finish();
    assert!(
        status.code() == Some(0)
            && screen.contains(
                "To let claude start act-claude, add to ~/.bashrc:\n  eval \"$(act-claude act shell-init bash)\""
            ),
        "{screen}"
    );
    assert!(!sandbox.home().join(".bashrc").exists());
}

#[test]
fn a_line_by_hand_is_enough() {
    for (file, text) in [
        (".bashrc", "alias claude=act-claude\n"),
        (".bash_aliases", "alias claude='act-claude'\n"),
        (".bashrc", "command -v act-claude >/dev/null && eval \"$(act-claude act shell-init bash)\"\n"),
    ] {
        let sandbox = sandbox("bash");
        let path = sandbox.write(file, text);
        set_up(&sandbox, "one", None);
        assert_eq!(read(&path), text);
        // `uninstall` names it, and does not change it.
        let said = uninstall(&sandbox);
        assert_eq!((read(&path).as_str(), &said["edited"]), (text, &serde_json::json!([])));
        assert!(said["left"].to_string().contains(&format!("{file}:1: ")), "{said}");
    }
}

/// Why a file is not changed, and how to make it.
type Odd = (&'static str, fn(&Path));

/// An rc file that is not the user's to change is only shown.
#[test]
fn odd_files_stay() {
    let odd: [Odd; 4] = [
        ("it is read-only", |path| {
            std::fs::write(path, "A=1\n").unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
        }),
        ("it is a link that leads nowhere", |path| symlink("nowhere", path).unwrap()),
        ("it is not a regular file", |path| std::fs::create_dir(path).unwrap()),
        ("it is not a regular file", |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap()),
    ];
    for (why, make) in odd {
        let sandbox = sandbox("bash");
        let path = sandbox.home().join(".bashrc");
        make(&path);
        let before = path.symlink_metadata().unwrap();
        let screen = set_up(&sandbox, "one", None);
        assert!(screen.contains(&format!("Not added: {why}.")) && screen.contains("shell-init bash"), "{screen}");
        let after = path.symlink_metadata().unwrap();
        assert_eq!((before.ino(), before.mode(), before.len()), (after.ino(), after.mode(), after.len()));
    }
    // Another user's home, as root: nothing is made there. Only root can show this.
    if nix::unistd::geteuid().is_root() {
        let sandbox = sandbox("bash");
        let other = nix::unistd::Uid::from_raw(4321);
        nix::unistd::chown(&sandbox.home(), Some(other), None).unwrap();
        let screen = set_up(&sandbox, "one", None);
        assert!(screen.contains("Not added: it does not exist, and its directory is not yours."), "{screen}");
        let path = sandbox.write(".bashrc", "A=1\n");
        nix::unistd::chown(&path, Some(other), None).unwrap();
        assert!(set_up(&sandbox, "two", None).contains("Not added: it belongs to user 4321."));
        assert_eq!(read(&path), "A=1\n");
    }
    // A shell that act-claude has no line for, and a zsh whose files are elsewhere.
    for shell in ["nu", "zsh"] {
        let sandbox = sandbox(shell);
        sandbox.write(".zshenv", "ZDOTDIR=~/.config/zsh\n");
        let hint = "To let claude start act-claude, add to your shell's rc file:\n  alias claude=act-claude";
        assert!(set_up(&sandbox, "one", None).contains(hint));
    }
}

#[test]
fn links_are_followed_and_modes_kept() {
    let sandbox = sandbox("bash");
    let target = sandbox.write("dotfiles/bashrc", "A=1\n");
    std::fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
    let link = sandbox.home().join(".bashrc");
    symlink("dotfiles/bashrc", &link).unwrap();
    set_up(&sandbox, "one", Some("y\r"));
    let is_kept = |file: &PathBuf| std::fs::metadata(file).unwrap().mode() & 0o7777 == 0o640;
    assert!(link.symlink_metadata().unwrap().is_symlink() && is_kept(&target));
    assert_eq!(read(&target), format!("A=1\n\n{}", block("bash")));
    // A block that somebody has edited stays, and is named.
    let edited = read(&target).replace("eval", "export MINE=1\neval");
    std::fs::write(&target, &edited).unwrap();
    let said = uninstall(&sandbox);
    assert_eq!((read(&target), &said["edited"]), (edited, &serde_json::json!([])));
    assert!(said["left"].to_string().contains(".bashrc:5: eval"), "{said}");
    std::fs::write(&target, format!("A=1\n\n{}", block("bash"))).unwrap();
    // What `uninstall` is about to do is shown before it asks.
    let mut pty = Pty::start(sandbox.act_claude(&["act", "uninstall"]));
    pty.wait_for("act-claude's lines in ");
    pty.send("y\r");
    assert_eq!(pty.finish().0.code(), Some(0));
    assert!(link.symlink_metadata().unwrap().is_symlink() && is_kept(&target));
    assert_eq!(read(&target), "A=1\n");
}
