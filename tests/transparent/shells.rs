//! Job control through real shells on a real terminal: the screen is the same as with claude alone.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::probe::{Form, Log, ProbeLab, WRAPPED};
use crate::support::program;
use crate::support::pty::Pty;

const PROMPT: &str = "@>";

/// Shells, each started without the user's files and with the same prompt.
fn shells() -> Vec<(PathBuf, Vec<&'static str>)> {
    [
        ("bash", vec!["--norc", "--noprofile", "-i"]),
        ("zsh", vec!["-f", "-i"]),
        (
            "fish",
            vec!["--no-config", "-i", "-C", "function fish_prompt; echo -n '@> '; end; function fish_greeting; end"],
        ),
    ]
    .into_iter()
    .filter_map(|(name, arguments)| Some((program(name)?, arguments)))
    .collect()
}

/// A shell in which `claude` is the probe or, through the shim, act-claude.
fn shell(lab: &ProbeLab, program: &Path, arguments: &[&str], form: Form, script: &str) -> (Pty, Log) {
    let (mut command, log) = lab.prepare_through(program, arguments, form, script);
    command.env("PS1", format!("{PROMPT} ")).env("TERM", "xterm");
    let shim = lab.sandbox.directory("shim");
    let _ = symlink(crate::support::act_claude(), shim.join("claude"));
    if form != Form::Bare {
        command.env("PATH", format!("{}:{}", shim.display(), lab.sandbox.get("PATH").expect("a PATH")));
    }
    let terminal = Pty::start(command);
    terminal.wait_for(PROMPT);
    (terminal, log)
}

/// Types a command and waits for another prompt.
fn command(terminal: &Pty, line: &str) {
    let prompts = |screen: &str| screen.matches(PROMPT).count();
    let before = prompts(&terminal.screen());
    terminal.send(&format!("{line}\r"));
    terminal.wait_until("the next prompt", |screen| prompts(screen) > before && screen.trim_end().ends_with(PROMPT));
}

/// The screen without the report and with numbers (pids, CPU times) made equal.
fn shown(terminal: &Pty) -> String {
    let mut shown = String::new();
    for line in terminal.screen().lines().filter(|line| !line.starts_with("act-claude: ")) {
        let words = line.split_whitespace().map(|word| match word.trim_end_matches('%').parse::<f64>() {
            Ok(number) if number > 99.0 || word.ends_with('%') => "#",
            _ => word,
        });
        shown.push_str(&words.collect::<Vec<_>>().join(" "));
        shown.push('\n');
    }
    shown
}

/// Stopped (by `key`, or by itself), `jobs`, `fg`, and on to the end. Returns the screen and how many CONT the probe
/// received.
fn session(lab: &ProbeLab, which: &(PathBuf, Vec<&str>), form: Form, stop: &str, key: &str) -> (String, usize) {
    let go = lab.sandbox.home().join("go");
    let _ = std::fs::remove_file(&go);
    let script = format!("catch CONT\nready\n{stop}\nuntil {}\nsay back\nexit 41", go.display());
    let (terminal, log) = shell(lab, &which.0, &which.1, form, &script);
    terminal.send("claude -p hi\r");
    log.wait_ready();
    terminal.send(key);
    terminal.wait_until("the shell's word", |screen| screen.contains("topped") || screen.contains("suspended"));
    terminal.wait_until("the prompt", |screen| screen.trim_end().ends_with(PROMPT));
    command(&terminal, "jobs");
    terminal.send("fg\r");
    log.wait_heard(1);
    std::fs::write(go, "").expect("a file");
    terminal.wait_for("back");
    terminal.wait_until("the prompt", |screen| screen.trim_end().ends_with(PROMPT));
    command(&terminal, if which.0.ends_with("fish") { "echo status $status" } else { "echo status $?" });
    (shown(&terminal), log.heard().len())
}

fn same(stop: &str, key: &str) {
    let lab = ProbeLab::new();
    for shell in shells() {
        let bare = session(&lab, &shell, Form::Bare, stop, key);
        assert_eq!(bare.1, 1);
        // After `fg`, fish prints no status of a job.
        assert!(bare.0.contains("status 41") || shell.0.ends_with("fish"), "{}", bare.0);
        for form in WRAPPED {
            assert_eq!(session(&lab, &shell, form, stop, key), bare, "{shell:?} {form:?}");
        }
    }
}

/// As claude does: the key arrives as a byte, and claude stops itself only.
#[test]
fn a8_claude_stops_itself_under_a_shell() {
    same("stop TSTP", "");
    same("stop STOP", "");
}

/// The terminal's own Ctrl-Z: the kernel stops the whole group.
#[test]
fn a8_ctrl_z_under_a_shell() {
    same("", "\x1a");
}
