//! The first minute, by each way to set up, in each shell: docs/first-minute.md shows the screens. This test writes them:
//! `ACT_CLAUDE_WRITE_FIRST_MINUTE=1 cargo test --test clients first_minute`

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::client::{Lab, NEW};
use crate::support::pty::{Pty, is_at_prompt};
use crate::support::recipe::recipe;
use crate::support::sandbox::TOKEN;
use crate::support::{act_claude, program};

/// Above the generated part of the file.
const MARK: &str = "<!-- screens -->\n";
const PORT: &str = "127.0.0.1:4318";

/// A way to set up: its heading, its first command, and which files it finds.
struct Way {
    heading: &'static str,
    setup: &'static str,
    has_recipe: bool,
}

const WAYS: [Way; 4] = [
    Way { heading: "With a Monitoring Spec", setup: "act-claude act setup --spec billing.yaml", has_recipe: false },
    Way {
        heading: "With the recipe in Claude Code's settings",
        setup: "act-claude act setup --from-settings",
        has_recipe: true,
    },
    Way { heading: "Value by value", setup: "act-claude act setup", has_recipe: false },
    Way {
        heading: "Without a question",
        setup: "act-claude act setup --spec billing.yaml --user you@example.com --token-stdin --yes < token.txt",
        has_recipe: false,
    },
];

/// A shell: its name, how it is started with the prompt `$ `, and what setup says of its rc file.
struct Shell {
    name: &'static str,
    arguments: &'static [&'static str],
    begin: &'static str,
    line: &'static str,
    rc: &'static str,
    source: &'static str,
}

impl Shell {
    /// A screen of this shell, as bash would show it.
    fn as_bash(&self, screen: &str) -> String {
        let bash = &SHELLS[0];
        screen.replace(self.source, bash.source).replace(self.line, bash.line).replace(self.rc, bash.rc)
    }
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        arguments: &["--norc", "--noprofile"],
        begin: "PS1='$ '; bind 'set enable-bracketed-paste off'",
        line: "eval \"$(act-claude act shell-init bash)\"",
        rc: "~/.bashrc",
        source: ". ~/.bashrc",
    },
    Shell {
        name: "zsh",
        arguments: &["-f"],
        begin: "setopt no_prompt_sp no_prompt_cr; unset zle_bracketed_paste; PROMPT='$ '",
        line: "eval \"$(act-claude act shell-init zsh)\"",
        rc: "~/.zshrc",
        source: ". ~/.zshrc",
    },
    Shell {
        name: "fish",
        arguments: &["--no-config"],
        begin: "function fish_prompt; printf '$ '; end",
        line: "act-claude act shell-init fish | source",
        rc: "~/.config/fish/config.fish",
        source: "source ~/.config/fish/config.fish",
    },
];

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-minute.md")
}

#[test]
fn by_each_way_in_each_shell() {
    let text = std::fs::read_to_string(file()).unwrap();
    let (head, _) = text.split_once(MARK).expect("the mark");
    let mut written = format!("{head}{MARK}");
    for way in &WAYS {
        for shell in SHELLS.iter().filter(|shell| program(shell.name).is_some()) {
            let Some(screen) = first_minute(way, shell) else { return };
            let screen = shell.as_bash(&screen);
            let section = format!("\n## {}\n\n```console\n{screen}\n```\n", way.heading);
            // The same in each shell.
            match shell.name {
                "bash" => written += &section,
                _ => assert!(
                    written.ends_with(&section),
                    "{} in {}:\n{section}\nin bash:\n{written}",
                    way.heading,
                    shell.name
                ),
            }
        }
    }
    if std::env::var_os("ACT_CLAUDE_WRITE_FIRST_MINUTE").is_some() {
        std::fs::write(file(), &written).unwrap();
    }
    let again = "ACT_CLAUDE_WRITE_FIRST_MINUTE=1 cargo test --test clients first_minute";
    assert!(
        std::fs::read_to_string(file()).unwrap() == written,
        "{} is out of date: {again}\n{written}",
        file().display()
    );
}

/// Types three commands into a shell in an empty home, and answers what is asked. `None`: skipped, with a message.
fn first_minute(way: &Way, shell: &Shell) -> Option<String> {
    let mut lab = Lab::start(NEW, &["work/billing"])?;
    let endpoint = lab.act.endpoint();
    let port = endpoint.split('/').nth(2).expect("an address").to_owned();
    let spec = include_str!("../specs/receive.yaml").replace(PORT, &port);
    lab.sandbox.write("work/billing/billing.yaml", spec);
    lab.sandbox.write("work/billing/token.txt", format!("{TOKEN}\n"));
    if way.has_recipe {
        let recipe = recipe(&endpoint, "you@example.com", TOKEN, "3f2c7e10-8a41", "CUSTOM_PROVIDER");
        let text = serde_json::to_string_pretty(&json!({"env": recipe["env"]})).expect("JSON");
        lab.sandbox.write(".claude/settings.json", text);
    }
    lab.sandbox.path_first(act_claude().parent().expect("its directory"));
    lab.sandbox.set("SHELL", program(shell.name).expect("the shell"));
    let mut command = lab.sandbox.command(shell.name);
    command.args(shell.arguments).current_dir(lab.sandbox.directory("work/billing"));
    let mut pty = Pty::start(command);
    pty.resize(100, 110);
    pty.send(&format!("{}; clear\r", shell.begin));
    pty.wait_for_prompt(0);
    // Without a question nothing is written to the rc file.
    let second = if way.setup.contains("--yes") { "alias claude=act-claude" } else { shell.source };
    for (typed, command) in [way.setup, second, "claude -p 'say hello'"].iter().enumerate() {
        pty.send(&format!("{command}\r"));
        answer(&pty, typed + 1, &endpoint);
    }
    pty.send("exit\r");
    let (_, screen) = pty.finish();
    assert!(!String::from_utf8_lossy(&pty.raw()).contains(TOKEN), "the token is not echoed");
    let screen = screen.replace(&lab.sandbox.home().display().to_string(), "~").replace(&port, PORT);
    let lines: Vec<&str> = screen.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let end = lines.iter().position(|line| *line == "$ exit").expect("the last command");
    Some(lines[..end].join("\n"))
}

/// Answers the questions that are asked until the shell waits at its prompt: what has no default is typed.
fn answer(pty: &Pty, typed: usize, endpoint: &str) {
    let values = [
        ("? Metrics URL", endpoint),
        ("? Alias id", "3f2c7e10-8a41"),
        ("? Provider type", "CUSTOM_PROVIDER"),
        ("? API token", TOKEN),
        ("? E-mail", "you@example.com"),
    ];
    let asked = |screen: &str| {
        screen
            .lines()
            .find(|line| line.starts_with("? "))
            .map(|line| line.split("  ").next().unwrap_or(line).to_owned())
    };
    loop {
        let screen =
            pty.wait_until("a question or a prompt", |screen| is_at_prompt(screen, typed) || asked(screen).is_some());
        let Some(question) = asked(&screen) else { return };
        let value = values.iter().find(|(start, _)| question.starts_with(start));
        if let Some((start, value)) = value {
            pty.send(value);
            if *start != "? API token" {
                pty.wait_for(value);
            }
        }
        pty.send("\r");
        let start = question.split([':', '?']).nth(1).unwrap_or_default().to_owned();
        pty.wait_until("the next question", |screen| asked(screen).is_none_or(|next| !next.contains(&start)));
    }
}
