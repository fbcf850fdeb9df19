//! `--verify` in an interactive session in tmux: until claude ends, the screen is that of claude in debug mode; then
//! the verdict follows.

use crate::job_control::{Tmux, shown};
use crate::support::client::{self, Lab};
use crate::support::program;

/// Three screens of a run: with an answer, with half-typed text, and at the end.
fn run(lab: &Lab, line: &str, wrapped: bool) -> [String; 3] {
    let tmux = Tmux::start(lab, "bash", wrapped);
    // A wide window, so that the log's path in claude's banner is on one line.
    tmux.run(&["resize-window", "-x", "250", "-y", "80"]);
    tmux.session_of(line);
    // The wait is longer than an export interval, so that it includes the first export and ACT's answer to it.
    let exports = lab.act.requests().len();
    if wrapped {
        lab.act.wait_for(exports + 1);
    }
    let answered = tmux.screen();
    tmux.run(&["send-keys", "-l", "half a sentence"]);
    let typed = tmux.wait_for("half a sentence");
    tmux.run(&["send-keys", "C-u"]);
    tmux.wait_until("an empty line", |screen| !screen.contains("half a sentence"));
    tmux.line("/exit");
    tmux.wait_for("Resume this session with:");
    tmux.wait_prompt();
    tmux.line("echo status $?");
    tmux.wait_for("status 0");
    [answered, typed, tmux.screen()]
}

/// The screen without our own lines before and after, with one name for the log, and without the random word for the
/// duration of a turn.
fn claudes(screen: &str, line: &str) -> String {
    let screen = shown(screen).replace(&format!("@> {line}"), "@> LINE");
    let is_log = |word: &&str| word.starts_with('/') && word.ends_with(".txt");
    let logs: Vec<&str> = screen.split_whitespace().filter(is_log).collect();
    let screen = logs.iter().fold(screen.clone(), |screen, log| screen.replace(log, "LOG"));
    screen.lines().map(|line| if line.starts_with("✻ ") { "✻" } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_screen_is_that_of_bare_claude() {
    if program("tmux").is_none() {
        return;
    }
    for version in client::BOTH {
        let Some(lab) = Lab::start(version, &["project"]) else { return };
        lab.sandbox.configure_one(&lab.act.endpoint());
        let log = lab.sandbox.root().join("log.txt");
        let debug = format!("claude --debug-file {}", log.display());
        // The first session shows more than later ones.
        run(&lab, &debug, false);
        let (bare, ours) = (run(&lab, &debug, false), run(&lab, "claude --verify", true));
        for (number, (bare, ours)) in bare.iter().zip(&ours).enumerate() {
            assert_eq!(claudes(ours, "claude --verify"), claudes(bare, &debug), "{version} {number}");
        }
        let said = |screen: &str| screen.matches("act-claude: billing: ").count();
        assert_eq!((said(&ours[0]), said(&ours[1])), (0, 0), "{version}\n{}", ours[1]);
        let (_, after) = ours[2].split_once("Resume this session with:").expect("claude's last words");
        assert!(after.contains("delivered (") && after.contains("act-claude act logs"), "{version}\n{}", ours[2]);
    }
}
