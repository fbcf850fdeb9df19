//! The real client in tmux, under bash, zsh and fish: apart from the report, the screens are the same as those of
//! claude alone.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::client::{Lab, NEW};
use crate::support::process::{Process, with_environment};
use crate::support::sandbox::Text;
use crate::support::{DEADLINE, act_claude, eventually, program};

const PROMPT: &str = "@>";

/// A shell in tmux. The tmux server ends when this is dropped.
pub struct Tmux<'a> {
    lab: &'a Lab,
    socket: String,
}

impl<'a> Tmux<'a> {
    /// `claude` is the client or, with `wrapped`, a shim of act-claude.
    pub fn start(lab: &'a Lab, shell: &str, wrapped: bool) -> Self {
        // The previous test's server may still run.
        static SERVERS: AtomicUsize = AtomicUsize::new(0);
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let tmux = Self { lab, socket: format!("{}/tmux-{number}", lab.sandbox.root().display()) };
        let fish = format!(
            "fish --no-config -i -C \"function fish_prompt; echo -n '{PROMPT} '; end; function fish_greeting; end\""
        );
        let line = match shell {
            "bash" => format!("exec env PS1='{PROMPT} ' bash --norc --noprofile -i"),
            "zsh" => format!("exec env PS1='{PROMPT} ' zsh -f -i"),
            _ => fish,
        };
        let mut command = tmux.command(&["-f", "/dev/null", "new-session", "-d", "-x", "90", "-y", "40", &line]);
        command.current_dir(lab.sandbox.directory("project"));
        let shim = lab.sandbox.directory("shim");
        let _ = symlink(act_claude(), shim.join("claude"));
        if wrapped {
            command.env("PATH", format!("{}:{}", shim.display(), lab.sandbox.get("PATH").expect("a PATH")));
        }
        assert!(command.status().expect("tmux").success());
        tmux.wait_for(PROMPT);
        tmux
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.sandbox.command("tmux");
        command.args(["-S", &self.socket]).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("tmux");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types a line of text, then Enter separately: claude treats both in one piece as pasted text.
    pub fn line(&self, text: &str) {
        self.run(&["send-keys", "-l", text]);
        self.wait_until(text, |screen| screen.lines().any(|line| line.contains(text)));
        self.run(&["send-keys", "Enter"]);
    }

    fn key(&self, key: &str) {
        self.run(&["send-keys", key]);
    }

    pub fn screen(&self) -> String {
        // -J joins wrapped lines: the report may be longer than a line of the screen.
        self.run(&["capture-pane", "-p", "-J"])
    }

    /// A tmux variable of the pane.
    fn variable(&self, name: &str) -> String {
        self.run(&["display-message", "-p", &format!("#{{{name}}}")]).trim().to_owned()
    }

    pub fn wait_until(&self, what: &str, look: impl Fn(&str) -> bool) -> String {
        let end = std::time::Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if look(&screen) {
                return screen;
            }
            assert!(std::time::Instant::now() < end, "never came: {what}\n--- the screen:\n{screen}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    pub fn wait_prompt(&self) {
        self.wait_until("the prompt", |screen| screen.trim_end().ends_with(PROMPT));
    }

    /// Starts claude and has one turn with it.
    fn session(&self) {
        self.session_of("claude");
    }

    /// Starts claude with this command line, and has one turn with it.
    pub fn session_of(&self, line: &str) {
        self.line(line);
        self.wait_for("Claude Code v");
        self.wait_for("❯");
        self.line("hi");
        self.wait_for("● hello there");
    }

    /// The processes of this shell's session that are `claude`, or act-claude under that name.
    fn processes(&self, is_wanted: impl Fn(&Process) -> bool) -> Vec<i32> {
        let found = with_environment(&self.lab.sandbox.root().display().to_string());
        found
            .into_iter()
            .filter(|process| process.is_alive() && is_wanted(process))
            .map(|process| process.pid)
            .collect()
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).output();
    }
}

fn executable(process: &Process) -> std::path::PathBuf {
    std::fs::read_link(process.file("exe")).unwrap_or_default()
}

fn is_claude(process: &Process) -> bool {
    executable(process).ends_with("claude") && process.command_line.starts_with("claude")
}

fn is_supervisor(process: &Process) -> bool {
    executable(process).ends_with("act-claude") && !process.is_relay()
}

fn kill(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("sent");
}

/// The screen without what differs between runs: the report, ids of sessions, pids and times.
pub fn shown(screen: &str) -> String {
    let lines = screen.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with("act-claude: "));
    let words = |line: &str| {
        line.split_whitespace()
            .map(|word| match word {
                word if word.len() == 36 && word.matches('-').count() == 4 => "ID",
                word if word.ends_with('%') || word.parse::<u32>().is_ok_and(|number| number > 99) => "#",
                word => word,
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    lines.map(words).collect::<Vec<_>>().join("\n")
}

/// The conversation on claude's screen.
fn turns(screen: &str) -> Vec<String> {
    let lines = screen.lines().map(|line| line.trim_end().to_owned());
    lines.filter(|line| ["❯ ", "● ", "▐▛", "▝▜"].iter().any(|mark| line.starts_with(mark))).collect()
}

fn lab() -> Option<Lab> {
    program("tmux")?;
    let lab = Lab::start(NEW, &["project"])?;
    lab.sandbox.configure_one(&lab.act.endpoint());
    Some(lab)
}

#[test]
fn start_prompt_suspend_jobs_fg_prompt_exit() {
    let Some(lab) = lab() else { return };
    for shell in ["bash", "zsh", "fish"] {
        if program(shell).is_none() {
            continue;
        }
        let run = |wrapped| {
            let tmux = Tmux::start(&lab, shell, wrapped);
            tmux.session();
            tmux.key("C-z");
            tmux.wait_for("suspended");
            tmux.wait_prompt();
            tmux.line("jobs");
            tmux.wait_prompt();
            let suspended = shown(&tmux.screen());
            tmux.line("fg");
            tmux.wait_for("● hello there");
            tmux.line("again");
            let talk = tmux.wait_until("the second answer", |screen| screen.matches("● hello there").count() == 2);
            tmux.line("/exit");
            tmux.wait_for("Resume this session with:");
            tmux.wait_prompt();
            let last = tmux.screen();
            (suspended, turns(&talk), shown(&last), last)
        };
        let (bare, ours) = (run(false), run(true));
        assert_eq!((&ours.0, &ours.1, &ours.2), (&bare.0, &bare.1, &bare.2), "{shell}");
        assert!(ours.3.contains("act-claude: billing: "), "{shell}: {}", ours.3);
    }
}

#[test]
fn ctrl_c_twice_and_resize() {
    let Some(lab) = lab() else { return };
    let run = |wrapped| {
        let tmux = Tmux::start(&lab, "bash", wrapped);
        tmux.session();
        tmux.run(&["resize-window", "-x", "70", "-y", "30"]);
        let rule = "─".repeat(70);
        tmux.wait_until("a rule of the new width", |screen| screen.lines().any(|line| line == rule));
        tmux.key("C-c");
        tmux.wait_for("again to exit");
        tmux.key("C-c");
        tmux.wait_for("Resume this session with:");
        tmux.wait_prompt();
        tmux.line("echo status $?");
        tmux.wait_for("status 0");
        shown(&tmux.screen())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_closed_terminal_ends_claude() {
    let Some(lab) = lab() else { return };
    let tmux = Tmux::start(&lab, "bash", true);
    tmux.session();
    tmux.run(&["kill-pane"]);
    eventually("the end of claude and act-claude", || {
        tmux.processes(|process| is_claude(process) || is_supervisor(process)).is_empty().then_some(())
    });
    lab.act.wait_for(1);
}

#[test]
fn claude_killed_leaves_a_usable_terminal() {
    let Some(lab) = lab() else { return };
    let tmux = Tmux::start(&lab, "bash", true);
    // `exec`, so that no shell's line editor resets the terminal modes.
    // Without `-r` the shell takes the backslash out of an answer of the terminal, whose end it is.
    tmux.line("exec sh -c 'claude; echo status $?; stty -a; read -r line; printf \"<%s>\\n\" \"$line\"; cat'");
    tmux.wait_for("Claude Code v");
    tmux.wait_for("❯");
    let claude = eventually("claude", || tmux.processes(is_claude).first().copied());
    assert_eq!(tmux.variable("alternate_on"), "1", "this client draws on the alternate screen");
    kill(claude, nix::sys::signal::Signal::SIGKILL);
    let screen = tmux.wait_for("status 137");
    assert!(!screen.contains("-icanon") && !screen.contains("-echo "), "{screen}");
    for (name, value) in
        [("alternate_on", "0"), ("cursor_flag", "1"), ("mouse_any_flag", "0"), ("bracket_paste_flag", "")]
    {
        let seen = tmux.variable(name);
        assert!(seen == value || seen == "0" && value.is_empty(), "{name}: {seen}");
    }
    // The line may begin with the terminal's answers to queries of the killed claude.
    tmux.line("typed");
    tmux.wait_for("typed>");
}

#[test]
fn act_claude_killed_leaves_no_claude() {
    let Some(lab) = lab() else { return };
    let tmux = Tmux::start(&lab, "bash", true);
    tmux.session();
    let supervisor = eventually("act-claude", || tmux.processes(is_supervisor).first().copied());
    kill(supervisor, nix::sys::signal::Signal::SIGKILL);
    eventually("the end of claude", || tmux.processes(is_claude).is_empty().then_some(()));
    lab.act.wait_for(1);
    eventually("the end of the relay", || tmux.processes(Process::is_relay).is_empty().then_some(()));
}

/// Claude's Bash tool runs `claude -p` through the shim: this is a separate session with its own export.
#[test]
fn the_bash_tool_runs_claude() {
    let Some(lab) = lab() else { return };
    lab.messages.call_bash("claude -p inner");
    let shim = lab.sandbox.directory("shim");
    let _ = symlink(act_claude(), shim.join("claude"));
    let run = |path: String| {
        let mut command = lab.sandbox.command("sh");
        let line = "claude -p hi --allowedTools 'Bash(claude:*)' --output-format stream-json --verbose";
        command.args(["-c", line]).current_dir(lab.sandbox.directory("project")).env("PATH", path);
        let output = command.output().expect("sh");
        let out = output.out();
        let events = out.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let inner = events.filter_map(|event| {
            let result = event["message"]["content"][0].as_object()?;
            (result["type"] == "tool_result").then(|| (result["content"].clone(), result["is_error"].clone()))
        });
        (inner.collect::<Vec<_>>(), output.code(), output.err())
    };
    let path = lab.sandbox.get("PATH").expect("a PATH").to_owned();
    let bare = run(path.clone());
    assert_eq!(bare.0, [("hello there".into(), false.into())]);
    assert_eq!(run(format!("{}:{path}", shim.display())), bare);
    lab.act.wait_for(2);
}
