//! `act setup` on a terminal: README's transcript, literally, and the user's cancellation.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::termios::LocalFlags;

use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, TOKEN, Text, snapshot};
use crate::support::{self, fake_claude};

/// A local ACT in a separate process.
struct Receive(Child, u16);

impl Receive {
    fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.act_claude(&["act", "receive"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| line.unwrap().split("127.0.0.1:").nth(1)?.split('/').next()?.parse().ok())
            .expect("an address");
        // The rest of its output is read until it ends, so that it does not block.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child, port)
    }
}

impl Drop for Receive {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell on a terminal that is wide enough for a URL.
fn shell(sandbox: &Sandbox, directory: &str) -> Pty {
    let mut command: Command = sandbox.command("bash");
    command.args(["--norc", "--noprofile"]).env("PS1", "$ ").current_dir(sandbox.directory(directory));
    let pty = Pty::start(command);
    pty.resize(60, 120);
    pty.wait_for("$ ");
    pty
}

/// The first block of README's section.
fn transcript() -> Vec<&'static str> {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## Set up\n").nth(1).expect("the section");
    let block = section.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a transcript");
    block.lines().collect()
}

/// Three commands, from a Monitoring Spec to a session reported as delivered: the screen shows what README shows.
#[test]
fn readme_s_three_commands() {
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print Hello!\npost\nexit 0");
    sandbox.path_first(support::act_claude().parent().unwrap());
    // Places where a token could be left behind: the shell's history, temporary files, the log.
    let history = sandbox.home().join(".bash_history");
    sandbox.set("HISTFILE", &history);
    sandbox.set("TMPDIR", sandbox.directory("tmp"));
    sandbox.set("ACT_CLAUDE_LOG", "debug");
    sandbox.set("SHELL", "/bin/bash");
    // On macOS this makes .bashrc the file that bash reads.
    sandbox.write(".bash_profile", "[ -f ~/.bashrc ] && . ~/.bashrc\n");
    let receive = Receive::start(&sandbox);
    let here = |text: &str| text.replace("127.0.0.1:4318", &format!("127.0.0.1:{}", receive.1));
    sandbox.write("work/billing/billing.yaml", here(include_str!("../specs/receive.yaml")));
    let mut pty = shell(&sandbox, "work/billing");

    let lines = transcript();
    let commands: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    pty.send(&format!("{}\r", commands[0]));
    for (question, answer) in [
        ("? Name of the alias", ""),
        ("? Where to keep acme's API token", ""),
        ("? API token of acme:", TOKEN),
        ("? E-mail of the token's user", "you@example.com"),
        ("? Where should billing be used", ""),
        ("? Add this to ~/.bashrc?", ""),
    ] {
        pty.wait_for(question);
        pty.send(answer);
        if !answer.is_empty() && answer != TOKEN {
            pty.wait_for(answer);
        }
        pty.send("\r");
    }
    pty.wait_for("In this shell: . ~/.bashrc");
    let at_prompt = || pty.wait_until("a prompt", |screen| screen.trim_end().ends_with('$'));
    for (command, last) in [(commands[1], "$ . ~/.bashrc"), (commands[2], "see it in ACT")] {
        at_prompt();
        pty.send(&format!("{command}\r"));
        pty.wait_for(last);
    }
    at_prompt();
    pty.send("exit\r");
    let (_, screen) = pty.finish();
    // The screen equals README line by line; `…` stands for omitted lines.
    let home = sandbox.home().display().to_string();
    let mut seen = screen.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let mut left_out = false;
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        if line.trim() == "…" {
            left_out = true;
            continue;
        }
        let expected = here(line).replace("/home/you", &home);
        let is_it = |line: &&str| *line == expected;
        let found = if std::mem::take(&mut left_out) { seen.find(is_it) } else { seen.next().filter(is_it) };
        assert!(found.is_some(), "{expected:?} is not, or not here, in:\n{screen}");
    }
    assert_eq!(seen.next(), Some("$ exit"), "nothing more is said");
    assert!(!String::from_utf8_lossy(&pty.raw()).contains(TOKEN), "the token is not echoed");
    assert!(std::fs::read_to_string(history).unwrap().contains("act setup --spec"), "a history was written");
    let log = sandbox.state().join("act-claude.log");
    support::eventually("a log", || std::fs::metadata(&log).is_ok_and(|log| log.len() > 0).then_some(()));
    let files = snapshot(sandbox.root()).into_iter();
    let holders = files.filter(|(_, content)| memchr::memmem::find(content, TOKEN.as_bytes()).is_some());
    let holders: Vec<_> = holders.map(|(path, _)| path).collect();
    assert_eq!(holders, [sandbox.config_file().with_file_name("acme.token")]);
}

/// Ctrl-C at any question: status 130, nothing written, the terminal's modes restored.
#[test]
fn cancelling_leaves_nothing() {
    let questions = ["? Metrics URL", "? Alias id", "? Provider type", "? Name of the alias", "? Where to keep acme"];
    for stop_at in 0..questions.len() {
        let sandbox = Sandbox::new();
        let mut command = sandbox.act_claude(&["act", "setup"]);
        command.current_dir(sandbox.directory("work"));
        let before = snapshot(&sandbox.home());
        let mut pty = Pty::start(command);
        for (question, answer) in questions[..stop_at].iter().zip(["acme-A1B2C3", "id-1", "P", "billing"]) {
            pty.wait_for(question);
            pty.send(answer);
            pty.wait_for(answer);
            pty.send("\r");
        }
        pty.wait_for(questions[stop_at]);
        pty.send("\x03");
        let status = pty.wait();
        assert_eq!(status.code(), Some(130), "{}", questions[stop_at]);
        pty.wait_for("cancelled; nothing was changed");
        let cooked = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
        assert_eq!(pty.modes().local_flags & cooked, cooked);
        assert_eq!(snapshot(&sandbox.home()), before);
    }
}

/// A wrong answer is asked again with the reason, an ambiguous value is chosen from a list, and 80 columns are wide
/// enough.
#[test]
fn what_is_asked_and_what_is_not() {
    let sandbox = Sandbox::new();
    let spec = format!("{}/tests/specs/two-aliases.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut command = sandbox.act_claude(&["act", "setup", "--no-check", "--token-env", "T", "--spec", &spec]);
    command.current_dir(sandbox.directory("work"));
    let mut pty = Pty::start(command);
    // Setup does not ask for the endpoint and the provider type, which are known.
    let screen = pty.wait_for("another one");
    assert!(screen.contains("? Alias id") && screen.contains("77777777-8a41"), "{screen}");
    pty.send("\x1b[B\r");
    pty.wait_for("? Name of the alias on this machine: (work)");
    pty.send("a b\r");
    pty.wait_for("it holds ' '");
    pty.send("\x7f\x7f\x7fbilling\r");
    pty.wait_for("? E-mail");
    pty.send("acme-A1B2C3\r");
    let screen = pty.wait_for("an e-mail address is needed, not the account id");
    assert!(screen.lines().all(|line| !line.starts_with("] ")), "no help line is cut:\n{screen}");
    pty.send(&"\x7f".repeat("acme-A1B2C3".len()));
    pty.send("you@example.com\r");
    pty.wait_for("? Where should billing be used");
    pty.send("\x1b[B\r");
    let (status, screen) = pty.finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    assert_eq!(config["aliases"]["billing"]["id"], "77777777-8a41-4b6e-9d0c-5f1a2b3c4d5e");
    assert_eq!(config["default"], "billing");
    assert!(config.get("directories").is_none());
    let which = sandbox.act_claude(&["act", "which"]).output().unwrap();
    assert!(which.out().starts_with("no telemetry in ~\ndirectory  ~\n"), "{}", which.out());
}

/// The question for the token: keys that edit a line are no letters, a pasted text is one answer, and a signal gives the terminal
/// its modes back.
#[test]
fn the_token_s_line_is_edited_unseen() {
    let sandbox = Sandbox::new();
    let values =
        ["--endpoint", "acme-A1", "--user", "u@x.test", "--id", "i", "--provider-type", "P", "--name", "billing"];
    let start = || {
        let more = ["--no-check", "--default", "--store", "file", "--account", "acme"];
        let pty = Pty::start(sandbox.act_claude(&[&["act", "setup"][..], &values, &more].concat()));
        pty.wait_for("? API token of acme:");
        pty.wait_for("understood as well]");
        pty
    };
    let mut pty = start();
    pty.send("\x1b[200~one-token\rtwo-tokens\x1b[201~\r");
    pty.wait_for("# it contains");
    pty.send(&format!("wrong\x15\x01{TOKEN}x\x7f more\x17\x7f\x1b[D\r"));
    let (status, screen) = pty.finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.contains("> API token of acme: ********\n"), "{screen}");
    let file = sandbox.config_file().with_file_name("acme.token");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{TOKEN}\n"));
    assert!(!String::from_utf8_lossy(&pty.raw()).contains(TOKEN));
    std::fs::remove_file(sandbox.config_file()).unwrap();

    std::fs::remove_file(&file).unwrap();
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGHUP] {
        let mut pty = start();
        let pid = nix::unistd::Pid::from_raw(pty.child.id().cast_signed());
        assert!(!pty.modes().local_flags.contains(LocalFlags::ECHO));
        nix::sys::signal::kill(pid, signal).unwrap();
        let status = pty.wait();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(signal as i32));
        let cooked = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
        assert_eq!(pty.modes().local_flags & cooked, cooked);
    }
}

/// The questions whose answer is seen: the keys of a line editor, and an answer that takes the place of one that was refused.
#[test]
fn a_line_is_edited_as_in_a_shell() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.act_claude(&["act", "setup", "--no-check", "--token-env", "T", "--user", "u@x.test"]);
    command.current_dir(sandbox.directory("work"));
    let mut pty = Pty::start(command);
    pty.wait_for("? Metrics URL, or the account id:");
    pty.send("http://plain.example/m\r");
    pty.wait_for("# it ");
    // Longer than a row, and pasted in the place of the refused one.
    let url = "https://act.example.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics?and=more-than-a-row";
    pty.send(&format!("\x1b[200~{url}\n\x1b[201~"));
    pty.wait_for("than-a-row");
    pty.send("\x1b[D\x1b[D\x1b[C\x05\x17");
    pty.wait_until("an empty line", |screen| !screen.contains("act.example"));
    pty.send("cme-A1B2C3\x01a\x05\r");
    pty.wait_for("? Alias id");
    pty.send("id-1xyz\x1b[D\x1b[D\x1b[D\x0b\r");
    pty.wait_for("? Provider type");
    pty.send("CUSTOM\r");
    pty.wait_for("? Name of the alias");
    pty.send("teh\x15web\r");
    let screen = pty.wait_for("? Where should web be used");
    for line in [
        "> Metrics URL, or the account id: acme-A1B2C3",
        "> Alias id: id-1\n",
        "> Name of the alias on this machine: web\n",
    ] {
        assert!(screen.contains(line), "{line}\n{screen}");
    }
    assert!(!screen.contains('#') && !screen.contains("[the "), "what was drawn before is gone:\n{screen}");
    pty.send("\r");
    let (status, screen) = pty.finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    assert_eq!(config["aliases"]["web"]["id"], "id-1");
}

/// A set-up on a terminal of this kind that asks for the token. The user is the next question.
fn at_the_token(term: &str) -> (Sandbox, Pty) {
    let mut sandbox = Sandbox::new();
    sandbox.set("TERM", term);
    let args = ["act", "setup", "--endpoint", "acme-A1B2C3", "--id", "abc-1", "--provider-type", "P", "--no-check"];
    let mut command =
        sandbox.act_claude(&[&args[..], &["--name", "web", "--directory", ".", "--store", "file"]].concat());
    command.current_dir(sandbox.directory("work"));
    let pty = Pty::start(command);
    pty.wait_for("API token of acme");
    (sandbox, pty)
}

/// Lines that are pasted where a terminal does not say that they are: none of them becomes the answer to the next question, which
/// would be shown.
#[test]
fn further_lines_of_a_pasted_token_are_never_shown() {
    for term in ["xterm-256color", "dumb"] {
        let (sandbox, mut pty) = at_the_token(term);
        pty.send(&format!("{TOKEN}\rc4nary-second\rc4nary-third\r"));
        pty.wait_for("it contains more than one line: copy the API token alone");
        // A line break that was pasted with the token is none of it.
        pty.send(&format!("{TOKEN}\r\r"));
        pty.wait_for("E-mail of the token's user");
        pty.send("you@example.com\r");
        let (status, screen) = pty.finish();
        assert_eq!(status.code(), Some(0), "{term}: {screen}");
        let raw = String::from_utf8_lossy(&pty.raw()).into_owned();
        assert!(!raw.contains("c4nary") && !raw.contains(TOKEN), "{term}: {raw}");
        let stored = std::fs::read_to_string(sandbox.home().join(".config/act-claude/acme.token")).unwrap();
        assert_eq!(stored.trim_end(), TOKEN);
    }
}

/// A shell does not switch the echo off again for a process that it continues: Ctrl-Z at the token would show the token.
#[test]
fn ctrl_z_does_not_stop_the_question_for_a_token() {
    for term in ["xterm-256color", "dumb"] {
        let (_sandbox, mut pty) = at_the_token(term);
        pty.send(&format!("\x1a\x15{TOKEN}\r"));
        pty.wait_for("E-mail of the token's user");
        let suspend = pty.modes().control_chars[nix::sys::termios::SpecialCharacterIndices::VSUSP as usize];
        if term == "dumb" {
            assert_eq!(suspend, 0x1a, "the terminal has its keys back");
        }
        pty.send("you@example.com\r");
        let (status, screen) = pty.finish();
        assert!(status.code() == Some(0) && !screen.contains(TOKEN), "{term}: {screen}");
    }
}

/// Somebody else stops the process, and a shell sets the terminal for itself before it continues it.
#[cfg(target_os = "linux")] // it reads /proc
#[test]
fn a_token_is_not_shown_after_a_stop_from_outside() {
    use nix::sys::signal::{Signal, kill};
    use nix::sys::termios::LocalFlags;

    for term in ["xterm-256color", "dumb"] {
        let (_sandbox, mut pty) = at_the_token(term);
        let has_echo = |pty: &Pty| pty.modes().local_flags.contains(LocalFlags::ECHO);
        let pid = nix::unistd::Pid::from_raw(pty.child.id().cast_signed());
        kill(pid, Signal::SIGSTOP).unwrap();
        let is_stopped = || std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.contains(") T ").then_some(());
        crate::support::eventually("the stop", is_stopped);
        let mut modes = pty.modes();
        modes.local_flags.insert(LocalFlags::ECHO | LocalFlags::ICANON);
        pty.set_modes(&modes);
        assert!(has_echo(&pty));
        kill(pid, Signal::SIGCONT).unwrap();
        crate::support::eventually("the question's modes", || (!has_echo(&pty)).then_some(()));
        pty.send(&format!("{TOKEN}\r"));
        pty.wait_for("E-mail of the token's user");
        pty.send("you@example.com\r");
        let (status, screen) = pty.finish();
        assert!(status.code() == Some(0) && !screen.contains(TOKEN), "{term}: {screen}");
    }
}
