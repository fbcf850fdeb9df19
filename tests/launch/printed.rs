//! Text printed for people: names of directories, files, attributes and settings, and answers of servers can't control
//! the terminal, hide text or change its order. JSON contains the same text, escaped.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::http::Reply;
use crate::support::sandbox::{Sandbox, Text};

/// Sets the title, switches to red, clears the screen with a C1 character, reverses the rest, hides text.
const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{1b}[31mred\u{9b}2J\u{202e}\u{2066}\u{200b}\u{feff}\u{85}";

/// Asserts that the output has no such characters as text, and as bytes no C1 codes that are not UTF-8.
fn assert_clean(name: &str, bytes: &[u8]) {
    let text =
        String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| panic!("{name}: not UTF-8: {}", bytes.escape_ascii()));
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!text.contains(bad), "{name}: {}", text.escape_debug());
}

fn clean(name: &str, output: &Output) {
    assert_clean(name, &output.stdout);
    assert_clean(name, &output.stderr);
}

/// A sandbox in which everything that can have such a name has one.
fn world(act: &Act) -> (Sandbox, PathBuf) {
    let mut sandbox = Sandbox::new();
    let directory = sandbox.directory(HOSTILE).join(OsStr::from_bytes(b"raw\x9b31m"));
    std::fs::create_dir_all(&directory).unwrap();
    fake_claude::install(&mut sandbox, "post\nexit 3");
    sandbox.set("ACT_CLAUDE_REPORT", "always");
    let mut config = json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"billing": {"account": "acme", "id": "id-1", "provider_type": "P"}},
        "directories": {"~": "billing"}
    });
    config["directories"][format!("~/{HOSTILE}/other")] = Value::Null;
    sandbox.configure(&config);
    (sandbox, directory)
}

const COMMANDS: [&[&str]; 16] = [
    &["act", "which"],
    &["act", "which", "--env"],
    &["act", "which", "--json"],
    &["act", "aliases"],
    &["act", "aliases", "--json"],
    &["act", "doctor"],
    &["act", "doctor", "--json"],
    &["act", "history", "--all"],
    &["act", "history", "--all", "--json"],
    &["act", "usage", "--by", "directory"],
    &["act", "usage", "--by", "directory", "--json"],
    &["act", "flush"],
    &["act", "check"],
    &["act", "statusline"],
    &["act", "logs"],
    &["-p", "hi"],
];

#[test]
fn names_of_directories() {
    let act = Act::start();
    let (sandbox, directory) = world(&act);
    let run = |args: &[&str]| sandbox.act_claude(args).current_dir(&directory).output().unwrap();
    assert_eq!(run(&["-p", "hi"]).code(), 3);
    for args in COMMANDS {
        clean(&format!("{args:?}"), &run(args));
    }
    // It is readable all the same.
    let above = sandbox.act_claude(&["act", "which"]).current_dir(directory.parent().unwrap()).output().unwrap();
    assert!(above.out().contains(r"\u{1b}]0;x\u{7}\u{1b}[31mred\u{9b}2J\u{202e}"), "{}", above.out());
    for args in [
        &["act", "use", "--none"][..],
        &["act", "use", "billing", "--repo"],
        &["act", "use", "--remove"],
        &["act", "which", "/nowhere/\u{1b}[31m"],
        &["act", "which", "--alias", "\u{1b}[31m"],
        &["act", "use", "\u{1b}[31m"],
        &["act", "logs", "\u{1b}[31m"],
        &["act", "no\u{1b}[31mcommand"],
        &["act", "which", "--no\u{9b}31m"],
        &["--alias", "\u{1b}[31m", "-p", "hi"],
        &["--report", "\u{1b}[31m", "-p", "hi"],
        &["act", "setup", "--yes", "--spec", "\u{1b}[31m"],
        &["act", "setup", "--yes", "--directory", "\u{1b}[31m"],
        &["act", "setup", "--from-settings", "--yes"],
        &["act", "uninstall", "--yes"],
    ] {
        clean(&format!("{args:?}"), &run(args));
    }
}

#[test]
fn names_in_files() {
    let act = Act::start();
    let (sandbox, directory) = world(&act);
    let run = |args: &[&str]| sandbox.act_claude(args).current_dir(&directory).output().unwrap();
    let repository = |text: String| std::fs::write(directory.join(".act-claude.json"), text).unwrap();
    for wish in [
        json!({"alias": HOSTILE}).to_string(),
        json!({HOSTILE: 1}).to_string(),
        json!({"attributes": {"a": HOSTILE}}).to_string(),
        json!({"attributes": {HOSTILE: "a"}}).to_string(),
        format!("{{\"alias\": \"{}\"", HOSTILE.replace(char::is_control, "")),
    ] {
        repository(wish.clone());
        for args in COMMANDS {
            clean(&format!("{wish}: {args:?}"), &run(args));
        }
    }
    // Claude's settings: their values are printed where they cause a problem.
    std::fs::create_dir_all(directory.join(".claude")).unwrap();
    for settings in [
        json!({"env": {"OTEL_METRICS_EXPORTER": HOSTILE}}),
        json!({"env": {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": format!("http://127.0.0.1:9/{HOSTILE}")}}),
        json!({"otelHeadersHelper": HOSTILE}),
        json!({"processWrapper": format!("/{HOSTILE}")}),
    ] {
        for file in [directory.join(".claude/settings.json"), sandbox.home().join(".claude/settings.json")] {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, settings.to_string()).unwrap();
            for args in COMMANDS {
                clean(&format!("{settings}: {args:?}"), &run(args));
            }
            clean("setup", &run(&["act", "setup", "--from-settings", "--yes", "--no-check"]));
            std::fs::remove_file(file).unwrap();
        }
    }
    // The user's own configuration: messages about its faults quote it.
    for config in [
        json!({HOSTILE: 1}),
        json!({"default": HOSTILE}),
        json!({"directories": {HOSTILE: "x"}}),
        json!({"accounts": {HOSTILE: {}}}),
        json!({"delivery": HOSTILE}),
    ] {
        sandbox.configure(&config);
        for args in COMMANDS {
            clean(&format!("{config}: {args:?}"), &run(args));
        }
    }
}

#[test]
fn words_of_a_server() {
    let act = Act::start();
    let (sandbox, directory) = world(&act);
    let run = |args: &[&str]| sandbox.act_claude(args).current_dir(&directory).output().unwrap();
    let partial = json!({"partialSuccess": {"rejectedDataPoints": "1", "errorMessage": HOSTILE}}).to_string();
    for reply in [
        Reply::json(400, HOSTILE),
        Reply::json(401, &json!({"message": HOSTILE}).to_string()),
        Reply::json(503, HOSTILE),
        Reply::json(200, &partial),
        Reply::json(200, &format!("<html>{HOSTILE}")),
    ] {
        act.answer(reply);
        for args in [
            &["-p", "hi"][..],
            &["act", "history"],
            &["act", "history", "--json"],
            &["act", "flush"],
            &["act", "check"],
        ] {
            clean(&format!("{args:?}"), &run(args));
        }
    }
}

/// On a terminal, act-claude's own colours stay.
#[test]
fn colours_are_ours_alone() {
    let act = Act::start();
    let (sandbox, directory) = world(&act);
    std::fs::write(directory.join(".act-claude.json"), json!({"alias": HOSTILE}).to_string()).unwrap();
    let mut command = sandbox.act_claude(&["act", "doctor"]);
    command.current_dir(&directory);
    let mut terminal = crate::support::pty::Pty::start(command);
    terminal.finish();
    let screen = String::from_utf8(terminal.raw()).unwrap();
    assert!(screen.contains('\u{1b}'), "no colours: {screen}");
    let styles = screen.replace("\r\n", "\n");
    let mut parts = styles.split('\u{1b}');
    assert_clean("the first", parts.next().unwrap().as_bytes());
    for part in parts {
        let rest = part.strip_prefix('[').unwrap_or_else(|| panic!("{}", part.escape_debug()));
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        assert!(rest.starts_with('m'), "{}", part.escape_debug());
        assert_clean("a part", rest.as_bytes());
    }
    assert!(!styles.contains("\u{1b}[31mred"), "a colour of the directory's");
}
