//! The ways in which people and scripts start claude: the result equals that of claude alone.

use serde_json::Value;

use crate::support::probe::{Form, ProbeLab, WRAPPED};
use crate::support::program;

/// Runs a line of bash with `$CLAUDE` in it; returns its output, and the probe's notes.
fn same(line: &str, script: &str) -> (String, Vec<Value>) {
    let lab = ProbeLab::new();
    let bash = program("bash").expect("bash");
    let run = |form| {
        let (mut command, log) = lab.prepare_through(&bash, &["--norc", "-c", line], form, script);
        let output = command.output().expect("bash");
        let mut notes = log.notes();
        for note in &mut notes {
            let Some(given) = note.get_mut("given").and_then(Value::as_object_mut) else { continue };
            // The lines use different names for the program.
            given["arguments"][0] = "claude".into();
            // The numbers differ between the runs; tests a20_* compare the kinds.
            given.retain(|name, _| !["environment", "group", "session", "foreground"].contains(&name.as_str()));
        }
        (String::from_utf8_lossy(&output.stdout).into_owned(), notes)
    };
    let bare = run(Form::Bare);
    for form in WRAPPED {
        assert_eq!(run(form), bare, "{form:?}: {line}");
    }
    bare
}

#[test]
fn nohup() {
    let (out, notes) = same("nohup \"$CLAUDE\" -p hi; echo $?", "given\nsay hello\nexit 31");
    assert_eq!(out, "hello\n31\n");
    let ignored = u64::from_str_radix(notes[0]["given"]["status"]["SigIgn"].as_str().unwrap(), 16).unwrap();
    assert_eq!(ignored & 1, 1, "HUP");
}

#[test]
fn background_in_a_script() {
    let (out, notes) = same("\"$CLAUDE\" -p hi & wait $!; echo $?", "given\nread\nsay hello\nexit 32");
    assert_eq!(out, "hello\n32\n");
    assert_eq!(notes[1]["read"], "");
    let ignored = u64::from_str_radix(notes[0]["given"]["status"]["SigIgn"].as_str().unwrap(), 16).unwrap();
    assert_eq!(ignored & 0b110, 0b110, "INT and QUIT");
}

#[test]
fn head_takes_one_line() {
    let (out, _) = same("\"$CLAUDE\" | head -1; echo ${PIPESTATUS[0]}", "spew");
    assert_eq!(out, "spew\n141\n");
}

#[test]
fn command_substitution() {
    assert_eq!(same("x=$(\"$CLAUDE\"); echo \"<$x> $?\"", "say hello\nexit 33").0, "<hello> 33\n");
}

#[test]
fn standard_input() {
    let (out, notes) = same("printf 'one\\ntwo\\n' | { \"$CLAUDE\"; cat; }", "read\nexit 0");
    assert_eq!((out.as_str(), &notes[0]["read"]), ("two\n", &"one".into()));
}

#[test]
fn timeout() {
    for options in ["", "--foreground", "--signal=INT --kill-after=20"] {
        let (out, _) = same(&format!("timeout {options} 2 \"$CLAUDE\"; echo $?"), "until /never");
        assert_eq!(out, "124\n", "{options}");
    }
    assert_eq!(same("timeout 50 \"$CLAUDE\"; echo $?", "given\nexit 34").0, "34\n");
}

#[test]
fn session_leader() {
    if program("setsid").is_some() {
        assert_eq!(same("setsid --wait \"$CLAUDE\"; echo $?", "given\nexit 35").0, "35\n");
    }
}

#[test]
fn xargs_and_env() {
    let (out, notes) = same(
        "echo a b | env -i PATH=\"$PATH\" HOME=\"$HOME\" PROBE_LOG=\"$PROBE_LOG\" \
        PROBE_SCRIPT=\"$PROBE_SCRIPT\" ACT_CLAUDE_CONFIG=\"$ACT_CLAUDE_CONFIG\" xargs \"$CLAUDE\" -p; echo $?",
        "given\nexit 0",
    );
    assert_eq!(out, "0\n");
    assert_eq!(notes[0]["given"]["arguments"].as_array().unwrap()[1..], ["-p", "a", "b"]);
}
