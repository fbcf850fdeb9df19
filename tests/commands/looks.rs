//! What a terminal shows that is narrow, can't redraw a line, or is not UTF-8; and paths for people and for programs.

use serde_json::{Value, json};

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, TOKEN, Text};

/// Questions without any drawing: each is a line, and each answer is a line.
#[test]
fn setup_asks_in_plain_lines_where_nothing_can_be_redrawn() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TERM", "dumb");
    let directory = sandbox.directory("work/shop");
    let url = "http://127.0.0.1:9/metric-ingestion/v1/zed/otlp/public/metrics";
    let args = ["act", "setup", "--endpoint", url, "--id", "abc-1", "--provider-type", "P", "--no-check"];
    let mut command = sandbox.act_claude(&args);
    command.current_dir(directory);
    let mut pty = Pty::start(command);
    for (question, answer) in [
        ("Name of the alias on this machine [shop]: ", "a b"),
        ("it holds ' ': a name is one word of ASCII characters that does not begin with", ""),
        ("  3  nowhere: an environment variable holds it\nNumber [1]:", "7"),
        ("  a number from 1 to 3 is needed", "1"),
        ("API token of zed:", TOKEN),
        ("E-mail of the token's user:", "dev@acme.com"),
        ("  4  nowhere yet\nNumber [1]:", ""),
    ] {
        pty.wait_for(question.trim_end());
        pty.send(&format!("{answer}\r"));
    }
    let (status, screen) = pty.finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.contains("Stored: the token of account zed, in ~/.config/act-claude/zed.token"), "{screen}");
    let raw = String::from_utf8_lossy(&pty.raw()).into_owned();
    assert!(!raw.contains('\u{1b}') && !raw.contains(TOKEN), "{raw}");
    let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    assert_eq!(config["directories"], json!({"~/work/shop": "shop"}));
}

/// The end of the input is no answer.
#[test]
fn a_plain_question_is_cancelled_at_the_end_of_the_input() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TERM", "dumb");
    let mut pty = Pty::start(sandbox.act_claude(&["act", "setup"]));
    pty.wait_for("Metrics URL, or the account id:");
    pty.send("\u{4}");
    let (status, screen) = pty.finish();
    assert!(status.code() == Some(130) && screen.ends_with("cancelled; nothing was changed"), "{screen}");
    assert!(!sandbox.config_file().exists());
}

/// In a locale that is not UTF-8 act-claude's own words are ASCII.
#[test]
fn words_are_ascii_where_the_locale_is_not_utf_8() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "post\nexit 0");
    sandbox.configure(&json!({
        "accounts": {"acme": {"endpoint": act.endpoint(), "user": "u@example.com", "token": {"env": "NO_TOKEN"}}},
        "aliases": {"billing": {"account": "acme", "id": "1", "provider_type": "P"}}, "default": "billing"
    }));
    for (locale, words) in [("C.UTF-8", "export NO_TOKEN=…\n"), ("C", "export NO_TOKEN=...\n")] {
        let output = sandbox.act_claude(&["-p", "hi"]).env("LC_ALL", locale).output().unwrap();
        assert!(output.err().ends_with(words), "{}", output.err());
    }
    let output = sandbox.act_claude(&["act", "demo"]).env("LC_ALL", "C").output().unwrap();
    assert!(output.out().is_ascii() && output.err().is_ascii(), "{}{}", output.out(), output.err());
}

/// People see `~`. Programs get whole paths, because they don't expand it.
#[test]
fn paths_for_people_and_for_programs() {
    let sandbox = Sandbox::new();
    sandbox.configure_one("https://act.example/metric-ingestion/v1/acme/otlp/public/metrics");
    let work = sandbox.directory("work");
    let home = sandbox.home().display().to_string();
    let run = |args: &[&str]| sandbox.act_claude(&[&["act"], args].concat()).current_dir(&work).output().unwrap();
    for args in [
        &["aliases"][..],
        &["which"],
        &["history"],
        &["usage"],
        &["use", "billing"],
        &["use", "--remove"],
        &["logs"],
        &["flush", "--only", "x"],
        &["doctor"],
        &["aliases", "--add", "web", "--id", "2", "--provider-type", "P"],
        &["uninstall", "--yes"],
    ] {
        let output = run(args);
        let text = output.out() + &output.err();
        assert!(!text.contains(&home), "{args:?}: {text}");
        assert!(text.contains('~') || args[0] == "which", "{args:?}: {text}");
    }
    sandbox.configure_one("https://act.example/m");
    for args in [&["aliases", "--json"][..], &["which", "--json"], &["use", "billing", "--json"]] {
        let text = run(args).out();
        assert!(text.contains(&home) && !text.contains(":\"~") && !text.contains("[\"~"), "{args:?}: {text}");
    }
    let aliases: Value = serde_json::from_str(&run(&["aliases", "--json"]).out()).unwrap();
    assert_eq!(aliases["aliases"][0]["directories"], json!([home, work]));
}

/// `act check` has the look of the other lists, and the command in it is never broken.
#[test]
fn check_at_any_width() {
    let act = Act::start();
    let sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    let check = |columns: &str| {
        let output = sandbox.act_claude(&["act", "check"]).env("COLUMNS", columns).output().unwrap();
        output.out().replace(&format!("{}", act.port()), "PORT")
    };
    assert_eq!(
        check("80"),
        "\
* billing  account acme
Step               State  What was seen
token              ok     from the file ~/token
connection         ok     to 127.0.0.1:PORT
credential, alias  ?      Boomi documents no API for 127.0.0.1
a session shows them:
  act-claude --alias billing --verify -p hi

* billing is the alias of this directory
"
    );
    for columns in ["40", "20"] {
        let text = check(columns);
        assert!(text.contains("\n  act-claude --alias billing --verify -p hi\n"), "{text}");
        assert!(text.contains("\nStep: token\n  State: ok\n"), "{text}");
        let width = columns.parse::<usize>().unwrap();
        let is_long = |line: &&str| line.len() > width && line.trim().contains(' ') && !line.contains("--verify");
        assert_eq!(text.lines().find(is_long), None, "{text}");
    }
}
