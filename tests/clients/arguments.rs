//! act-claude neither changes nor removes any of claude's own flags and subcommands, as `--help` lists them, in any
//! position.

use std::collections::BTreeSet;
use std::path::Path;

use act_claude::claude::arguments::{Call, call};
use act_claude::claude::operand::{is_switch, may_have_value, needs_value};

use crate::support::client::{self, Lab};
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};

/// Our own flags. Claude must have no flag of the same name.
const OWN: [&str; 5] = ["--alias", "--verify", "--direct", "--no-act", "--report"];

/// Flags and subcommands of a client, from its help.
fn listed(help: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut flags, mut commands) = (BTreeSet::new(), BTreeSet::new());
    let mut in_commands = false;
    for line in help.lines() {
        if !line.starts_with(' ') {
            in_commands = line.starts_with("Commands:");
        }
        let name = line.trim_start();
        // Entries are indented by two spaces. Lines with more indentation continue a description.
        if line.len() - name.len() != 2 {
            continue;
        }
        if in_commands {
            let word = name.split([' ', '|']).next().unwrap_or_default();
            commands.insert(word.to_owned());
        } else if name.starts_with('-') {
            let spellings = name.split("  ").next().unwrap_or_default();
            flags.extend(spellings.split([' ', ',', '=']).filter(|word| word.starts_with('-')).map(str::to_owned));
        }
    }
    (flags, commands)
}

/// The arguments that claude gets when act-claude gets `args`.
fn handed_over(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    let file = sandbox.root().join("arguments");
    let _ = std::fs::remove_file(&file);
    let output = sandbox.act_claude(args).output().unwrap();
    assert_eq!(output.code(), 0, "{args:?}: {}", output.err());
    read(&file)
}

fn read(file: &Path) -> Vec<String> {
    let bytes = std::fs::read(file).expect("claude ran");
    let mut arguments = bytes.split(|byte| *byte == 0).map(|arg| String::from_utf8(arg.to_vec()).expect("text"));
    assert_eq!(arguments.next().as_deref(), Some("claude"), "its own name");
    let mut arguments: Vec<String> = arguments.collect();
    arguments.pop();
    arguments
}

#[test]
fn every_listed_flag_and_subcommand_reaches_claude() {
    for version in client::BOTH {
        let Some(lab) = Lab::start(version, &["project"]) else { return };
        let help = lab.claude("project", &["--help"]).output().unwrap().out();
        let (flags, commands) = listed(&help);
        assert!(flags.len() > 40 && commands.len() > 5, "{version}: {flags:?} {commands:?}");
        for known in ["--print", "-p", "--settings", "--model", "--resume", "-r", "--debug", "--mcp-config"] {
            assert!(flags.contains(known), "{version} lists {known}: {flags:?}");
        }
        for own in OWN {
            assert!(!flags.contains(own), "{version} has a flag {own} of its own");
        }
        let mut sandbox = Sandbox::new();
        let file = sandbox.root().join("arguments");
        fake_claude::install(&mut sandbox, &format!("arguments {}", file.display()));
        // Each flag in every position where own flags may occur: last, then all of them in front with a value each, and
        // after a bare `--`.
        for flag in &flags {
            let args = ["-p", "hi", flag];
            assert_eq!(handed_over(&sandbox, &args), args, "{version}");
        }
        // A flag that needs a value takes the next argument as it, even one of our own spellings.
        for flag in &flags {
            let spelled = format!("{flag} <");
            let needs = help.lines().any(|line| {
                let spellings = line.trim_start().split("  ").next().unwrap_or_default();
                let named = spellings.split(" <").next().unwrap_or_default().split(", ").any(|name| name == flag);
                line.starts_with("  -") && spellings.contains(" <") && (named || spellings.contains(&spelled))
            });
            assert_eq!(needs_value(flag.as_ref()), needs, "{version} {flag}");
            let may = help.lines().any(|line| {
                let spellings = line.trim_start().split("  ").next().unwrap_or_default();
                line.starts_with("  -")
                    && spellings.contains(" [")
                    && spellings.split([' ', ',']).any(|name| name == flag)
            });
            assert_eq!(may_have_value(flag.as_ref()), may, "{version} {flag}");
            assert_eq!(is_switch(flag.as_ref()), !needs && !may, "{version} {flag}");
            if needs {
                let args = ["-p", "hi", flag, "--alias=x"];
                assert_eq!(handed_over(&sandbox, &args), args, "{version}");
            }
        }
        let valued: Vec<&str> = flags.iter().flat_map(|flag| [flag.as_str(), "x"]).collect();
        let joined: Vec<String> = flags.iter().map(|flag| format!("{flag}=x")).collect();
        let joined: Vec<&str> = joined.iter().map(String::as_str).collect();
        for args in [valued.clone(), joined, [&["-p", "hi", "--"][..], &valued].concat()] {
            assert_eq!(handed_over(&sandbox, &args), args, "{version}");
        }
        for command in &commands {
            for own in [&["--alias", "x"][..], &["--alias=x"], &["--report=json"]] {
                let args = [&[command.as_str(), "list", "--help", "--verify"], own].concat();
                assert_eq!(handed_over(&sandbox, &args), args, "{version}");
            }
        }
    }
}

#[test]
fn help_and_version_are_claudes() {
    for version in client::BOTH {
        let Some(lab) = Lab::start(version, &["project"]) else { return };
        lab.sandbox.configure_one(&lab.act.endpoint());
        for flag in ["--version", "-v", "--help", "-h"] {
            let bare = lab.claude("project", &[flag]).output().unwrap();
            let ours = lab.act_claude("project", &[flag]).output().unwrap();
            assert_eq!(
                (ours.out(), ours.err(), ours.code()),
                (bare.out(), bare.err(), bare.code()),
                "{version} {flag}"
            );
        }
        assert!(lab.act.requests().is_empty(), "{version}");
    }
}

/// The word that claude takes as its subcommand, behind flags with and without values: it answers `--help` with that
/// subcommand's usage.
#[test]
fn a_subcommand_behind_flags_is_found_as_claude_finds_it() {
    for version in client::BOTH {
        let Some(lab) = Lab::start(version, &["project"]) else { return };
        for line in [
            &["--verbose", "mcp"][..],
            &["--debug", "mcp"],
            &["--debug=api", "mcp"],
            &["-dapi", "mcp"],
            &["-cd", "mcp"],
            &["-p", "mcp"],
            &["-cp", "mcp"],
            &["--model", "opus", "mcp"],
            &["--model", "-c", "mcp"],
            &["--add-dir", "/tmp", "mcp"],
            &["--add-dir=/tmp", "mcp"],
            &["--tools", "", "mcp"],
            &["--tools", "Bash", "--verbose", "mcp"],
            &["-cn", "x", "mcp"],
            &["-nx", "mcp"],
            &["-r", "x", "mcp"],
            &["--worktree", "mcp"],
            &["--max-turns", "3", "mcp"],
            &["--thinking", "adaptive", "mcp"],
            &["--verbose", "hi", "mcp"],
            &["--verbose", "plugins"],
            &["--verbose", "update"],
            &["--verbose", "setup-token"],
        ] {
            let help = lab.claude("project", &[line, &["--help"]].concat()).output().unwrap().out();
            let usage = help.lines().find(|line| line.starts_with("Usage: claude ")).expect("a usage").to_owned();
            let is_session = usage.ends_with("[prompt]");
            let args: Vec<std::ffi::OsString> = line.iter().map(std::ffi::OsString::from).collect();
            let expected = if is_session { Call::Session } else { Call::Word };
            assert_eq!(call(&args), expected, "{version} {line:?}: {usage}");
        }
        // Own flags behind the subcommand are its arguments; behind a prompt they are ours.
        let mut sandbox = Sandbox::new();
        let file = sandbox.root().join("arguments");
        fake_claude::install(&mut sandbox, &format!("arguments {}", file.display()));
        let args = ["--verbose", "mcp", "add", "foo", "cmd", "--alias=x"];
        assert_eq!(handed_over(&sandbox, &args), args, "{version}");
        assert_eq!(handed_over(&sandbox, &["--debug", "mcp", "--report=never"]), ["--debug", "mcp"], "{version}");
    }
}
