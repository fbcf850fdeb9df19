//! Paths are bytes: with any name of a directory or file sessions are reported, rules apply, and JSON output is valid.
//! A path that is not UTF-8 is written in JSON as a URL (docs/reference.md).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::act::Act;
use crate::support::eventually;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text};

/// "café" in Latin-1, and a byte that never occurs in UTF-8.
const NAME: &[u8] = b"caf\xe9\xff";

fn odd(parent: &Path) -> PathBuf {
    let path = parent.join(OsStr::from_bytes(NAME));
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The path as JSON output contains it.
fn url(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
    let encoded = bytes.map(|byte| if plain(byte) { char::from(*byte).into() } else { format!("%{byte:02X}") });
    format!("file://{}", encoded.collect::<String>())
}

/// A sandbox with a claude that sends one export.
fn world(act: &Act) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "post\nexit 3");
    sandbox.set("ACT_CLAUDE_REPORT", "always");
    sandbox
}

fn text(output: &Output) -> String {
    format!("{} {}{}", output.status, output.out(), output.err())
}

/// Runs every command that only reads, with and without `--json`: none panics, and JSON output is valid.
fn all_answer(name: &str, command: &dyn Fn(&[&str]) -> Command) {
    for args in [
        &["which"][..],
        &["which", "--env"],
        &["aliases"],
        &["doctor"],
        &["history", "--all"],
        &["usage"],
        &["flush"],
        &["check"],
        &["statusline"],
        &["logs"],
    ] {
        for json in [false, true] {
            if json && args.contains(&"--env") {
                continue;
            }
            let mut command = command(&["act"]);
            command.args(args).args(json.then_some("--json"));
            let output = command.output().unwrap();
            let code = output.status.code();
            assert!(code.is_some_and(|code| code != 101), "{name}: {args:?}: {}", text(&output));
            assert!(!output.err().contains("panicked"), "{name}: {args:?}: {}", text(&output));
            if json && args != ["logs"] {
                let read: Result<Value, _> = serde_json::from_slice(&output.stdout);
                assert!(read.is_ok(), "{name}: {args:?}: {}", text(&output));
            }
        }
    }
}

/// A session, its record and history, and every command, with one path at a time that has such a name.
#[test]
fn sessions_are_reported_with_any_name() {
    let act = Act::start();
    type Change = fn(&mut Command, &Sandbox);
    let changes: [(&str, Change); 9] = [
        ("working directory", |command, sandbox| {
            command.current_dir(odd(&sandbox.home()));
        }),
        ("PWD", |command, sandbox| {
            let link = sandbox.home().join(OsStr::from_bytes(b"li\xffnk"));
            let _ = std::os::unix::fs::symlink(odd(&sandbox.home()), &link);
            command.current_dir(&link).env("PWD", &link);
        }),
        ("XDG_STATE_HOME", |command, sandbox| {
            command.env("XDG_STATE_HOME", odd(sandbox.root()));
        }),
        ("XDG_CONFIG_HOME", |command, sandbox| {
            let directory = odd(sandbox.root()).join("act-claude");
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::copy(sandbox.config_file(), directory.join("config.json")).unwrap();
            command.env("XDG_CONFIG_HOME", directory.parent().unwrap());
        }),
        ("ACT_CLAUDE_CONFIG", |command, sandbox| {
            let file = odd(sandbox.root()).join(OsStr::from_bytes(b"c\xff.json"));
            std::fs::copy(sandbox.config_file(), &file).unwrap();
            command.env("ACT_CLAUDE_CONFIG", file);
        }),
        ("ACT_CLAUDE_BIN", |command, sandbox| {
            let claude = odd(sandbox.root()).join("claude");
            let _ = std::os::unix::fs::symlink(crate::support::example("fake_claude"), &claude);
            command.env("ACT_CLAUDE_BIN", claude).env("PATH", "/usr/bin:/bin");
        }),
        ("PATH", |command, sandbox| {
            let directory = odd(sandbox.root());
            let _ = std::os::unix::fs::symlink(crate::support::example("fake_claude"), directory.join("claude"));
            let path = std::env::join_paths([&*directory, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
            command.env("PATH", path);
        }),
        ("TMPDIR", |command, sandbox| {
            command.env("TMPDIR", odd(sandbox.root()));
        }),
        ("HOME", |command, sandbox| {
            let home = odd(sandbox.root());
            let copied = Command::new("cp").arg("-a").arg(sandbox.home().join(".")).arg(&home).status().unwrap();
            assert!(copied.success());
            let config = std::fs::read_to_string(home.join(".config/act-claude/config.json")).unwrap();
            let token = sandbox.home().join("token").display().to_string();
            let config = config.replace(&token, "~/token");
            std::fs::write(home.join(".config/act-claude/config.json"), config).unwrap();
            command.env("HOME", &home).current_dir(&home);
        }),
    ];
    for (name, change) in changes {
        let sandbox = world(&act);
        let command = |args: &[&str]| {
            let mut command = sandbox.act_claude(args);
            change(&mut command, &sandbox);
            command
        };
        let before = act.requests().len();
        let output = command(&["-p", "hi"]).output().unwrap();
        assert_eq!(output.code(), 3, "{name}: {}", output.err());
        assert!(output.err().contains("billing: 1 export delivered"), "{name}: {}", output.err());
        act.wait_for(before + 1);
        let which = command(&["act", "which", "--json"]).output().unwrap();
        let which: Value = serde_json::from_slice(&which.stdout).unwrap_or_else(|_| panic!("{name}: {}", text(&which)));
        assert_eq!(which["alias"], "billing", "{name}");
        let history = || -> Value {
            let output = command(&["act", "history", "--json"]).output().unwrap();
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{name}: {}", text(&output)))
        };
        let session = eventually(&format!("{name}: the record"), || {
            let history = history();
            (history["sessions"][0]["state"] == "delivered").then(|| history["sessions"][0].clone())
        });
        for key in ["directory", "claude"] {
            let path = session[key].as_str().unwrap();
            assert!(path.starts_with('/') || path.starts_with("file:///"), "{name}: {key}: {path}");
            assert!(!path.contains('\u{fffd}'), "{name}: {key}: {path}");
        }
        if name == "working directory" {
            assert_eq!(session["directory"], url(&odd(&sandbox.home())));
            assert_eq!(which["directory"], url(&odd(&sandbox.home())));
        }
        // The launcher form, as for background agents.
        let claude = which["claude"].as_str().unwrap().to_owned();
        if let Some(path) = claude.strip_prefix('/') {
            let before = act.requests().len();
            let mut launcher = command(&[]);
            let output = launcher.arg(format!("/{path}")).args(["-p", "hi"]).output().unwrap();
            assert_eq!(output.code(), 3, "{name}: launcher: {}", output.err());
            act.wait_for(before + 1);
        }
        all_answer(name, &command);
        // A relay that still ends keeps act-claude from being uninstalled.
        eventually(&format!("{name}: the relays' end"), || {
            let history = history();
            let sessions = history["sessions"].as_array().expect("sessions").clone();
            sessions.iter().all(|session| session["live"] == false).then_some(())
        });
        let uninstall = command(&["act", "uninstall", "--yes", "--discard", "--json"]).output().unwrap();
        assert!(!uninstall.err().contains("panicked"), "{name}: {}", text(&uninstall));
        assert!(serde_json::from_slice::<Value>(&uninstall.stdout).is_ok(), "{name}: {}", text(&uninstall));
    }
}

/// `act use` in such a directory writes a rule that applies there and below, and nowhere else.
#[test]
fn a_rule_for_such_a_directory_holds() {
    let act = Act::start();
    let sandbox = world(&act);
    let (directory, other) = (odd(&sandbox.home()), sandbox.directory("caf\u{fffd}\u{fffd}"));
    let run = |directory: &Path, args: &[&str]| sandbox.act_claude(args).current_dir(directory).output().unwrap();
    let alias = |directory: &Path| {
        let output = run(directory, &["act", "which", "--json"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["alias"].clone()
    };
    let none = run(&directory, &["act", "use", "--none"]);
    assert_eq!(none.code(), 0, "{}", none.err());
    assert_eq!((alias(&directory), alias(&other)), (Value::Null, "billing".into()));
    // Not reported, although a rule for a directory above has an alias.
    let output = run(&directory, &["-p", "hi"]);
    assert!(output.err().contains("no telemetry here"), "{}", output.err());
    assert!(act.requests().is_empty());
    let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    assert_eq!(config["directories"], json!({"~": "billing", url(&directory): null}));
    // In a directory below it, and with the same spelling again.
    assert_eq!(alias(&odd(&directory)), Value::Null);
    let output = run(&directory, &["act", "use", "billing", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["alias"], &said["directory"]), (&json!("billing"), &json!(url(&directory))));
    assert_eq!(alias(&directory), "billing");
    assert_eq!(run(&directory, &["act", "use", "--remove"]).code(), 0);
    let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    assert_eq!(config["directories"], json!({"~": "billing"}));
    // For people it is printed on one line, and the list of rules has it, too.
    assert_eq!(run(&directory, &["act", "use", "--none"]).code(), 0);
    assert!(run(&directory, &["act", "aliases"]).out().contains(&format!("no telemetry in {}", url(&directory))));
}

#[test]
fn a_repository_with_such_a_name_and_its_worktrees() {
    let act = Act::start();
    let sandbox = world(&act);
    let repository = odd(&sandbox.home());
    let git = |args: &[&OsStr]| {
        let mut command = sandbox.command("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args).current_dir(&repository);
        assert!(command.output().unwrap().status.success(), "{args:?}");
    };
    let words = |words: &'static str| words.split(' ').map(OsStr::new).collect::<Vec<_>>();
    git(&words("init -q"));
    git(&words("commit -q --allow-empty -m x"));
    let tree = sandbox.root().join(OsString::from_vec(b"tr\xe9e".to_vec()));
    git(&[&words("worktree add -q")[..], &[tree.as_os_str()]].concat());
    let run = |directory: &Path, args: &[&str]| sandbox.act_claude(args).current_dir(directory).output().unwrap();
    let output = run(&repository, &["act", "use", "billing", "--repo", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["file"], url(&repository.join(".act-claude.json")));
    let reason = |directory: &Path| -> Value {
        serde_json::from_slice(&run(directory, &["act", "which", "--json"]).stdout).unwrap()
    };
    assert_eq!(reason(&repository)["reason"], "repository");
    // The worktree follows its main checkout, although the links in both directions contain bytes that are no text.
    assert_eq!((&reason(&tree)["reason"], &reason(&tree)["alias"]), (&json!("repository"), &json!("billing")));
    std::fs::remove_file(repository.join(".act-claude.json")).unwrap();
    assert_eq!(reason(&tree)["reason"], "worktree");
}

/// `--verify` with a log of such a name, and the demo with a temporary directory of such a name.
#[test]
fn a_log_and_a_demonstration_with_such_names() {
    let act = Act::start();
    let sandbox = world(&act);
    let log = odd(&sandbox.home()).join("log");
    std::fs::write(&log, "").unwrap();
    let mut command = sandbox.act_claude(&["--verify", "--report", "json", "-p", "hi", "--debug-file"]);
    let output = command.arg(&log).output().unwrap();
    let report: Value = serde_json::from_str(output.err().lines().last().unwrap_or_default()).unwrap_or_default();
    assert_eq!(report["log"]["file"], url(&log), "{}", text(&output));
    let mut demo = sandbox.act_claude(&["act", "demo", "--stand-in", "--json"]);
    let output = demo.env("TMPDIR", odd(&sandbox.home())).env_remove("ACT_CLAUDE_REPORT").output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!((output.code(), &said["wrong"]), (0, &json!([])), "{}", text(&output));
}

/// Settings as long as Linux lets an argument be, of characters that are escaped in the message to the relay.
#[test]
fn long_settings_on_the_command_line() {
    let act = Act::start();
    let sandbox = world(&act);
    let claude = sandbox.root().join("fake/claude");
    for (count, length) in [(1, 100 * 1024), (2, 130_000)] {
        let settings = format!(r#"{{"outputStyle":"{}"}}"#, r"\\".repeat(length / 2));
        let output = sandbox.act_claude(&["-p", "hi", "--settings", &settings]).output().unwrap();
        assert_eq!(output.code(), 3);
        assert!(output.err().contains("billing: 1 export delivered"), "{length}: {}", output.err());
        let launched = sandbox
            .command(crate::support::act_claude())
            .arg(&claude)
            .args(["-p", "hi", "--settings", &settings])
            .output();
        assert_eq!(launched.unwrap().code(), 3);
        act.wait_for(2 * count);
    }
}

/// Setup with files that have such names: what is written can be read again and works.
#[test]
fn set_up_with_such_files() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "post\nexit 3");
    sandbox.set("ACT_CLAUDE_REPORT", "always");
    let directory = odd(&sandbox.home());
    let token = directory.join("token");
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let base = ["act", "setup", "--yes", "--no-check", "--json", "--account", "acme", "--endpoint"];
    let mut command = sandbox.act_claude(&base);
    command.arg(act.endpoint()).args(["--user", "u@example.com", "--id", "id-1", "--provider-type", "P"]);
    command.args(["--name", "billing", "--token-file"]).arg(&token).arg("--directory").arg(&directory);
    let output = command.output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["aliases"], json!(["billing"]));
    let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    assert_eq!(config["accounts"]["acme"]["token"]["file"], url(&token));
    assert_eq!(config["directories"], json!({url(&directory): "billing"}));
    let output = sandbox.act_claude(&["-p", "hi"]).current_dir(&directory).output().unwrap();
    assert!(output.err().contains("billing: 1 export delivered"), "{}", output.err());
    // With an invalid Spec of such a name the message says which file is meant, and nothing is written.
    let spec = directory.join(OsStr::from_bytes(b"sp\xe9c.yaml"));
    std::fs::write(&spec, "openapi: 3.0.0\n").unwrap();
    let before = std::fs::read(sandbox.config_file()).unwrap();
    let output = sandbox.act_claude(&["act", "setup", "--yes", "--spec"]).arg(&spec).output().unwrap();
    assert_eq!(output.code(), 64, "{}", output.err());
    assert!(!output.err().contains("panicked") && output.err().contains("nothing was changed"), "{}", output.err());
    assert_eq!(std::fs::read(sandbox.config_file()).unwrap(), before);
}

/// Valid and invalid URLs of paths in the configuration.
#[test]
fn urls_in_the_configuration() {
    let act = Act::start();
    let sandbox = world(&act);
    let directory = odd(&sandbox.home());
    let config = |rule: &str| {
        let text = std::fs::read(sandbox.config_file()).unwrap();
        let mut config: Value = serde_json::from_slice(&text).unwrap();
        config["directories"] = json!({rule: "billing"});
        sandbox.configure(&config);
    };
    for (rule, expected) in [
        (url(&directory), "billing"),
        (url(&directory).replace("%E9", "%e9"), "billing"),
        (url(&directory.join("nowhere")), "none"),
        ("file://host/x".to_owned(), "a file URL must not name a host"),
        ("file:relative".to_owned(), "is not an absolute path"),
        (format!("{}/../x", url(&directory)), "holds .."),
        ("file:///a%00b".to_owned(), "is not an absolute path"),
    ] {
        config(&rule);
        let output = sandbox.act_claude(&["act", "which"]).current_dir(&directory).output().unwrap();
        assert!(output.out().contains(expected), "{rule}: {}", text(&output));
    }
}
