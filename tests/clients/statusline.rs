//! The status line of a real interactive session, in tmux: the alias, the growing count, and problems.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::act::accepted;
use crate::support::client::{self, Lab};
use crate::support::http::Reply;
use crate::support::sandbox::Text;
use crate::support::{self, act_claude};

/// A tmux server of its own.
struct Tmux {
    socket: PathBuf,
}

impl Tmux {
    /// Starts `command` in it.
    fn start(socket: PathBuf, command: &Command) -> Self {
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap()))
            .collect();
        let tmux = Self { socket };
        let mut new = tmux.command();
        new.args(["new-session", "-d", "-x", "100", "-y", "30", &words.join(" ")]).env_clear();
        new.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        new.current_dir(command.get_current_dir().unwrap());
        assert!(new.status().unwrap().success());
        tmux
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-f", "/dev/null", "-S"]).arg(&self.socket);
        command
    }

    fn screen(&self) -> String {
        self.command().args(["capture-pane", "-p"]).output().unwrap().out()
    }

    /// Waits until the status line, the last line that starts with the user's own text, satisfies `look`.
    fn wait_until(&self, what: &str, look: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + support::DEADLINE;
        let mut seen = vec![String::new()];
        loop {
            let screen = self.screen();
            // Claude may show something of its own further right.
            let lines = screen.lines().rev().filter_map(|line| line.trim().split("   ").next());
            let line = lines.into_iter().find(|line| line.starts_with("theirs")).unwrap_or_default();
            if look(line) {
                return line.to_owned();
            }
            if seen.last().is_none_or(|last| last != line) {
                seen.push(line.to_owned());
            }
            assert!(Instant::now() < end, "never came: {what}; {seen:?}\n--- the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn say(&self, text: &str) {
        for keys in [&["-l", text][..], &["Enter"]] {
            self.command().arg("send-keys").args(keys).status().unwrap();
            // Without this wait claude would take the Enter as part of pasted text.
            support::eventually("the text in the prompt", || {
                (keys[0] == "Enter" || self.screen().contains(text)).then_some(())
            });
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").status();
    }
}

#[test]
fn shows_the_alias_and_a_growing_count() {
    if support::program("tmux").is_none() {
        return;
    }
    for version in client::BOTH {
        let Some(lab) = Lab::start(version, &["project"]) else { return };
        lab.sandbox.configure_one(&lab.act.endpoint());
        let theirs = lab.sandbox.script("theirs.sh", "#!/bin/sh\ngrep -q '\"session_id\"' && echo theirs\n");
        let command = format!("'{}' act statusline -- '{}'", act_claude().display(), theirs.display());
        let settings = serde_json::json!({
            "statusLine": {"type": "command", "command": command, "refreshInterval": 1}
        });
        lab.sandbox.write(".claude/settings.json", settings.to_string());
        let tmux = Tmux::start(lab.sandbox.root().join("tmux"), &lab.act_claude("project", &[]));

        tmux.wait_until("the alias from the start", |line| line == "theirs  billing");
        tmux.say("hello there");
        let count = |line: &str| line.strip_prefix("theirs  billing ✓ ").and_then(|count| count.parse::<u64>().ok());
        let first = tmux.wait_until("a first export", |line| count(line).is_some_and(|count| count >= 1));
        tmux.say("hello again");
        tmux.wait_until("more exports", |line| count(line) > count(&first));
        lab.act.answer(Reply::json(503, "{}"));
        tmux.say("hello once more");
        tmux.wait_until("what waits", |line| line.starts_with("theirs  billing ! ") && line.ends_with(" waiting"));
        lab.act.answer(accepted());
    }
}
