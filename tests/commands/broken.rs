//! A configuration that can't be read or parsed is never called absent: each command names the file, the place and the mend, in the
//! same words. And `act use --repo` writes a file only where somebody reads it.

use std::os::unix::fs::symlink;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text, snapshot};

const COMMA: &str = "~/.config/act-claude/config.json:2:16: not valid JSON (trailing comma): remove this comma";

fn act(sandbox: &Sandbox, directory: &str, args: &[&str]) -> Output {
    let mut command = sandbox.act_claude(&[&["act"], args].concat());
    command.current_dir(sandbox.directory(directory)).output().unwrap()
}

fn said(output: &Output) -> (String, String, i32) {
    (output.out(), output.err(), output.code())
}

#[test]
fn each_command_names_the_fault() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/act-claude/config.json", "{\n \"accounts\": {},\n}");
    let before = snapshot(&sandbox.home());
    for args in [
        &["use", "billing"][..],
        &["use", "--remove"],
        &["use", "--none"],
        &["use", "billing", "--repo"],
        &["aliases", "--add", "x"],
        &["aliases", "--remove", "x"],
        &["check"],
        &["check", "billing"],
        &["check", "--all"],
        &["flush"],
        &["flush", "--to", "billing"],
        &["setup", "--yes"],
    ] {
        let expected = (String::new(), format!("act-claude: {COMMA}\n"), 78);
        assert_eq!(said(&act(&sandbox, "work", args)), expected, "{args:?}");
    }
    let which = act(&sandbox, "work", &["which"]);
    assert_eq!(which.code(), 1);
    for line in [
        "alias      none: claude runs without telemetry here\n",
        &format!("because    {COMMA}\n"),
        &format!("note       no telemetry: {COMMA}\n"),
    ] {
        assert!(which.out().contains(line), "{}", which.out());
    }
    let reason: Value = serde_json::from_str(&act(&sandbox, "work", &["which", "--json"]).out()).unwrap();
    assert_eq!(reason["reason"], "broken");
    assert_eq!(
        said(&act(&sandbox, "work", &["history"])),
        (
            format!(
                "no session is recorded yet (~/.local/state/act-claude/sessions). No session is reported here: {COMMA}\n"
            ),
            String::new(),
            0
        )
    );
    for args in [&["which"][..], &["history"], &["usage"], &["aliases"], &["check"], &["doctor"], &["use", "x"]] {
        let output = act(&sandbox, "work", args);
        let text = output.out() + &output.err();
        assert!(text.contains("not valid JSON") && !text.contains("no alias is configured"), "{args:?}: {text}");
    }
    let files = snapshot(&sandbox.home());
    assert_eq!(files, before, "nothing is written");
}

/// An alias with a fault is not one that does not exist.
#[test]
fn an_alias_with_a_fault_is_named_with_it() {
    let sandbox = Sandbox::new();
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account("https://act.example/m")},
        "aliases": {
            "billing": {"account": "acme", "id": "i", "provider_type": "P"},
            "web": {"account": "other", "id": "i", "provider_type": "P"}
        }
    }));
    let fault =
        "~/.config/act-claude/config.json:18:18: there is no account \"other\": name one of your accounts: acme";
    for args in [&["use", "web"][..], &["check", "web"], &["aliases", "--remove", "web"]] {
        let expected = (String::new(), format!("act-claude: {fault}\n"), 78);
        assert_eq!(said(&act(&sandbox, "work", args)), expected, "{args:?}");
    }
    let (_, err, code) = said(&act(&sandbox, "work", &["use", "wep"]));
    assert_eq!((err.as_str(), code), ("act-claude: there is no alias \"wep\"; known: billing\n", 64));
}

#[test]
fn which_does_not_contradict_itself_where_claude_does_not_run() {
    let sandbox = Sandbox::new();
    sandbox.configure(&json!({"required": true}));
    let which = act(&sandbox, "work", &["which"]);
    assert_eq!(which.code(), 78);
    for line in [
        "claude does not run in ~/work\n",
        "alias      none: claude does not run here\n",
        "because    no alias is configured\n",
        "(telemetry is required by ~/.config/act-claude/config.json:2:15)\n",
    ] {
        assert!(which.out().contains(line), "{line}: {}", which.out());
    }
    assert!(!which.out().contains("runs without telemetry"), "{}", which.out());
}

fn with_repository() -> Sandbox {
    let sandbox = Sandbox::new();
    let alias = |account: &str, id: &str| json!({"account": account, "id": id, "provider_type": "P"});
    let account = sandbox.account("https://act.example/m");
    sandbox.configure(&json!({
        "accounts": {"acme": account, "other": account},
        "aliases": {"billing": alias("acme", "1"), "web": alias("other", "2")},
        "directories": {"~/work": "billing", "~/work/own": "billing"}
    }));
    for directory in ["work/shop/.git", "work/own/.git", "elsewhere"] {
        sandbox.directory(directory);
    }
    sandbox
}

#[test]
fn a_repository_s_file_is_written_in_a_repository_only() {
    let sandbox = with_repository();
    let before = snapshot(&sandbox.home());
    let nowhere = |place: &str| {
        format!(
            "act-claude: nothing was changed: {place} is in no git repository, so there is nobody to share .act-claude.json with: \
             without --repo, act-claude act use NAME sets the alias of this directory; git init makes it a repository\n"
        )
    };
    for args in [&["use", "billing", "--repo"][..], &["use", "--remove", "--repo"]] {
        assert_eq!(said(&act(&sandbox, "elsewhere", args)), (String::new(), nowhere("~/elsewhere"), 78), "{args:?}");
    }
    let root = sandbox.act_claude(&["act", "use", "billing", "--repo"]).current_dir("/").output().unwrap();
    assert_eq!(said(&root), (String::new(), nowhere("/"), 78));
    // A link is never followed by the reader.
    symlink("/nowhere/file", sandbox.home().join("work/shop/.act-claude.json")).unwrap();
    let (_, err, code) = said(&act(&sandbox, "work/shop", &["use", "billing", "--repo"]));
    let words = "act-claude: nothing was changed: ~/work/shop/.act-claude.json: it is a symbolic link, and the file is ignored: \
                 remove it first: rm ~/work/shop/.act-claude.json\n";
    assert_eq!((err.as_str(), code), (words, 78));
    std::fs::remove_file(sandbox.home().join("work/shop/.act-claude.json")).unwrap();
    assert_eq!(snapshot(&sandbox.home()), before);
}

#[test]
fn a_repository_s_file_that_is_ignored_is_said_to_be() {
    let sandbox = with_repository();
    let (out, ..) = said(&act(&sandbox, "work/shop/deep", &["use", "billing", "--repo"]));
    assert_eq!(out, "~/work/shop uses billing (~/work/shop/.act-claude.json)\n");
    // Another account than the user's rule gives.
    let (out, _, code) = said(&act(&sandbox, "work/shop", &["use", "web", "--repo"]));
    assert!(
        out.starts_with(
            "~/work/shop/.act-claude.json names web, but here it is ignored: alias \"web\" belongs to account \"other\", but your \
             rules give this directory account \"acme\"\nhere: alias billing (the rule \"~/work\" in "
        ),
        "{out}"
    );
    assert_eq!((code, out.lines().count()), (0, 2), "{out}");
    // A rule for the same directory.
    let (out, ..) = said(&act(&sandbox, "work/own", &["use", "billing", "--repo"]));
    assert!(
        out.starts_with(
            "~/work/own/.act-claude.json names billing, but here it is ignored: the rule \"~/work/own\" in \
             ~/.config/act-claude/config.json:"
        ),
        "{out}"
    );
    assert!(out.ends_with(" takes precedence\n"), "{out}");
    let answer = act(&sandbox, "work/own", &["use", "billing", "--repo", "--json"]).out();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["ignored"].as_str().unwrap().ends_with(" takes precedence"), "{answer}");
    assert_eq!(answer["directory"], sandbox.home().join("work/own").display().to_string(), "JSON has whole paths");
    let (out, ..) = said(&act(&sandbox, "work/shop", &["use", "--remove", "--repo"]));
    assert!(out.starts_with("~/work/shop/.act-claude.json names no alias any more\n"), "{out}");
}

#[test]
fn a_default_that_is_removed() {
    let sandbox = with_repository();
    let (out, ..) = said(&act(&sandbox, "elsewhere", &["use", "billing", "--default"]));
    assert_eq!(out, "every directory without a rule uses billing (~/.config/act-claude/config.json)\n");
    let (out, ..) = said(&act(&sandbox, "elsewhere", &["use", "--remove", "--default"]));
    assert_eq!(
        out,
        "there is no default alias any more (~/.config/act-claude/config.json)\n\
         here: no telemetry (no rule covers this directory, and there is no default)\n"
    );
}

/// Nothing is waited for: a pipe or a device in the configuration's place would keep claude itself from starting.
#[test]
fn a_configuration_that_is_no_regular_file_is_not_read() {
    const WHY: &str = "~/.config/act-claude/config.json: cannot be read (not a regular file): rm ~/.config/act-claude/config.json && \
                       act-claude act setup";
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print hello\nexit 0");
    std::fs::remove_file(sandbox.config_file()).ok();
    sandbox.directory(".config/act-claude");
    for is_pipe in [true, false] {
        match is_pipe {
            true => nix::unistd::mkfifo(&sandbox.config_file(), nix::sys::stat::Mode::S_IRWXU).unwrap(),
            false => symlink("/dev/zero", sandbox.config_file()).unwrap(),
        }
        for args in [&["use", "billing"][..], &["aliases", "--add", "x"], &["check"], &["setup", "--yes"]] {
            let expected = (String::new(), format!("act-claude: {WHY}\n"), 78);
            assert_eq!(said(&act(&sandbox, "work", args)), expected, "{args:?}");
        }
        let session = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
        assert_eq!((session.out().as_str(), session.code()), ("hello\n", 0));
        assert!(session.err().contains(WHY), "{}", session.err());
        // The command that is named makes way for a set-up.
        std::fs::remove_file(sandbox.config_file()).unwrap();
        let (_, error, status) = said(&act(&sandbox, "work", &["setup", "--yes"]));
        assert!(status == 64 && error.contains("--endpoint"), "{error}");
    }
}
