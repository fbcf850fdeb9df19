//! `act which`, `act aliases` and `act history` have one look: the exact words on a terminal of 80 and of 40 columns and in a pipe,
//! without colour, in any locale.

use serde_json::{Value, json};

use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};

/// Two aliases, one directory without telemetry, and a claude.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let alias = |id: &str| json!({"account": "acme", "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account("https://acme.example/m")},
        "aliases": {"billing": alias("2b1c5a0e-3a51-4f4e-9a39-6a7f5a6a2c11"), "web": alias("id-web")},
        "directories": {"~/work": "billing", sandbox.home().join("web").display().to_string(): "web", "~/oss": null},
        "default": "web"
    }));
    for directory in ["work", "web", "oss"] {
        sandbox.directory(directory);
    }
    sandbox.script("bin/claude", "#!/bin/sh\n");
    sandbox.path_first(&sandbox.home().join("bin"));
    sandbox
}

/// The output on a terminal of this many columns, without its styles.
fn on_terminal(sandbox: &Sandbox, columns: usize, directory: &str, args: &[&str]) -> String {
    let mut command = sandbox.act_claude(&[&["act"], args].concat());
    command.current_dir(sandbox.home().join(directory));
    if columns != 80 {
        command.env("COLUMNS", columns.to_string());
    }
    let mut pty = Pty::start(command);
    pty.finish();
    let raw = String::from_utf8(pty.raw()).expect("UTF-8").replace('\r', "");
    assert!(!raw.contains(&sandbox.home().display().to_string()), "~ for the home: {raw}");
    anstream::adapter::strip_str(&raw).to_string()
}

fn in_a_pipe(sandbox: &Sandbox, directory: &str, args: &[&str]) -> String {
    let mut command = sandbox.act_claude(&[&["act"], args].concat());
    let output = command.current_dir(sandbox.home().join(directory)).env("COLUMNS", "30").output().unwrap();
    assert_eq!(output.err(), "");
    output.out()
}

/// The record of a session that ended just now, with three exports.
fn record(sandbox: &Sandbox, number: u64, alias: &str, state: &str, problems: &Value) {
    let id = format!("{:012x}{number:010x}", 1_800_000_000_000_u64 + number);
    let now = jiff::Timestamp::now().to_string();
    let record = json!({
        "version": 1, "id": id, "kind": "supervised", "start": now, "end": now, "directory": sandbox.home().join("work"),
        "alias": alias, "reason": "r", "account": "acme", "claude": "/bin/claude", "client_version": "2.1.330",
        "command_pid": 7, "relay_pid": 8,
        "outcome": {"exports": 3, "points": 45, "states": {state: 3}, "troubles": problems,
                    "rejected_points": 0, "warning": null},
        "totals": {"claude_code.token.usage": {"value": 48210.0, "unit": "tokens"},
                   "claude_code.cost.usage": {"value": 0.4242, "unit": "USD"}},
        "trouble": null, "claude_has_gone": true
    });
    sandbox.write(&format!(".local/state/act-claude/sessions/{id}.json"), record.to_string());
}

/// Two sessions of today, whatever the time is: the zone is one in which it is about noon. Returns the clock and the day shown.
fn history(sandbox: &mut Sandbox) -> (String, String) {
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    sandbox.set("TZ", format!("LOC{}", hour - 12));
    let lost = json!({"lost": {"said": "the disk is full", "cause": "", "fix": "remove files", "code": 74}});
    record(sandbox, 1, "web", "lost", &lost);
    record(sandbox, 2, "billing", "delivered", &json!({}));
    let offset = jiff::tz::Offset::from_hours(12 - hour).unwrap().to_time_zone();
    let text = in_a_pipe(sandbox, "work", &["history"]);
    let clock = text.lines().nth(2).unwrap()[2..7].to_owned();
    (clock, jiff::Timestamp::now().to_zoned(offset).strftime("%a %-d %b %Y").to_string())
}

const ALIASES: &str = "  Alias    Account  Id                                    Used in
* billing  acme     2b1c5a0e-3a51-4f4e-9a39-6a7f5a6a2c11  ~/work
  web      acme     id-web                                ~/web, all other directories
";

#[test]
fn aliases_at_80_and_40_columns_and_in_a_pipe() {
    let sandbox = sandbox();
    let wrapped = "  Alias    Account  Id                                    Used in
* billing  acme     2b1c5a0e-3a51-4f4e-9a39-6a7f5a6a2c11  ~/work
  web      acme     id-web                                ~/web, all other
                                                          directories

no telemetry in ~/oss

* billing is the alias of this directory, ~/work: the rule \"~/work\" in
  ~/.config/act-claude/config.json:24:5
";
    assert_eq!(on_terminal(&sandbox, 80, "work", &["aliases"]), wrapped);
    let narrow = "\
* Alias: billing
  Account: acme
  Id:
    2b1c5a0e-3a51-4f4e-9a39-6a7f5a6a2c11
  Used in: ~/work

Alias: web
  Account: acme
  Id: id-web
  Used in: ~/web, all other
    directories

no telemetry in ~/oss

* billing is the alias of this
  directory, ~/work: the rule \"~/work\"
  in
  ~/.config/act-claude/config.json:24:5
";
    assert_eq!(on_terminal(&sandbox, 40, "work", &["aliases"]), narrow);
    let rest = "
no telemetry in ~/oss

* billing is the alias of this directory, ~/work: the rule \"~/work\" in ~/.config/act-claude/config.json:24:5
";
    assert_eq!(in_a_pipe(&sandbox, "work", &["aliases"]), format!("{ALIASES}{rest}"));
}

#[test]
fn aliases_say_what_to_do_next() {
    let sandbox = sandbox();
    let last = |text: String| text.lines().last().unwrap().to_owned();
    assert_eq!(
        last(in_a_pipe(&sandbox, "oss", &["aliases"])),
        "this directory, ~/oss, has no alias: the rule \"~/oss\": null in ~/.config/act-claude/config.json:26:5"
    );
    let config = std::fs::read_to_string(sandbox.config_file()).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["default"] = Value::Null;
    config.as_object_mut().unwrap().remove("default");
    sandbox.configure(&config);
    assert_eq!(
        last(in_a_pipe(&sandbox, ".", &["aliases"])),
        "this directory, ~, has no alias: no rule covers this directory, and there is no default. To set one: act-claude \
         act use NAME"
    );
    let json: Value = serde_json::from_str(&in_a_pipe(&sandbox, "work", &["aliases", "--json"])).unwrap();
    assert_eq!(
        (&json["aliases"][0]["this_directory"], &json["aliases"][1]["this_directory"]),
        (&json!(true), &json!(false))
    );
    let empty = Sandbox::new();
    let nothing = "no alias is configured in ~/.config/act-claude/config.json. To set one up: act-claude act setup\n";
    assert_eq!(in_a_pipe(&empty, ".", &["aliases"]), nothing);
}

#[test]
fn which_at_80_and_40_columns_and_in_a_pipe() {
    let sandbox = sandbox();
    let wide = "\
* billing  the alias of ~/work
directory  ~/work
alias      billing
because    the rule \"~/work\" in ~/.config/act-claude/config.json:24:5
id         2b1c5a0e-3a51-4f4e-9a39-6a7f5a6a2c11
account    acme
endpoint   https://acme.example/m
user       dev@acme.com
delivery   relay
claude     ~/bin/claude
";
    assert_eq!(on_terminal(&sandbox, 80, "work", &["which"]), wide);
    assert_eq!(in_a_pipe(&sandbox, "work", &["which"]), wide);
    let narrow = "\
* billing  the alias of ~/work
directory  ~/work
alias      billing
because    the rule \"~/work\" in
           ~/.config/act-claude/config.json:24:5
";
    let text = on_terminal(&sandbox, 40, "work", &["which"]);
    assert!(text.starts_with(narrow), "{text}");
    let heading = |args: &[&str]| in_a_pipe(&sandbox, "oss", args).lines().next().unwrap().to_owned();
    assert_eq!(heading(&["which"]), "no telemetry in ~/oss");
    assert_eq!(heading(&["which", "--alias", "web"]), "web  the alias of a run with --alias");
    assert_eq!(heading(&["which", "--alias", "wbe"]), "claude does not run in ~/oss");
}

#[test]
fn history_at_80_and_40_columns_and_in_a_pipe() {
    let mut sandbox = sandbox();
    let (clock, day) = history(&mut sandbox);
    let wide = format!(
        "  Time   Alias    State      Exports  Points  Tokens   Cost
{day}
* {clock}  billing  delivered        3      45  48,210  $0.42
         ~/work, claude 2.1.330, 0s
  {clock}  web      lost             3      45  48,210  $0.42
         ~/work, claude 2.1.330, 0s
         3 exports lost: the disk is full. remove files

* billing is the alias of this directory

All sessions  Sessions  Exports  Points  Tokens   Cost  State of the exports
today                2        6      90  96,420  $0.85  3 delivered, 3 lost
this week            2        6      90  96,420  $0.85  3 delivered, 3 lost
"
    );
    assert_eq!(in_a_pipe(&sandbox, "work", &["history"]), wide);
    assert_eq!(on_terminal(&sandbox, 80, "work", &["history"]), wide);
    let narrow = format!(
        "\
{day}
* Time: {clock}
  Alias: billing
  State: delivered
  Exports: 3
  Points: 45
  Tokens: 48,210
  Cost: $0.42
  ~/work, claude 2.1.330, 0s

Time: {clock}
  Alias: web
  State: lost
  Exports: 3
  Points: 45
  Tokens: 48,210
  Cost: $0.42
  ~/work, claude 2.1.330, 0s
  3 exports lost: the disk is full.
  remove files

* billing is the alias of this
  directory

All sessions: today
  Sessions: 2
  Exports: 6
  Points: 90
  Tokens: 96,420
  Cost: $0.85
  State of the exports: 3 delivered, 3
    lost
"
    );
    let text = on_terminal(&sandbox, 40, "work", &["history"]);
    assert!(text.starts_with(&narrow), "{text}");
}

#[test]
fn a_damaged_record_is_counted_and_hides_no_other() {
    let mut sandbox = sandbox();
    history(&mut sandbox);
    sandbox.write(".local/state/act-claude/sessions/ffffffffffff0000000001.json", "{\"version\":1,");
    let text = in_a_pipe(&sandbox, "oss", &["history"]);
    let said = "\n1 record in ~/.local/state/act-claude/sessions can't be read, and not counted here\n";
    assert!(text.contains(said) && text.contains("  billing  delivered "), "{text}");
    assert!(!text.contains('*'), "this directory has no alias: {text}");
    let json: Value = serde_json::from_str(&in_a_pipe(&sandbox, "oss", &["history", "--json"])).unwrap();
    assert_eq!((&json["unreadable"], &json["totals"]["this_week"]["sessions"]), (&json!(1), &json!(2)));
}

/// No state is told by colour alone, and no character is needed that a locale may lack.
#[test]
fn the_words_are_the_same_without_colour_and_in_any_locale() {
    let mut sandbox = sandbox();
    history(&mut sandbox);
    for args in [&["aliases"][..], &["which"], &["history"]] {
        let expected = on_terminal(&sandbox, 80, "work", args);
        assert!(expected.is_ascii(), "{expected}");
        for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("LC_ALL", "C"), ("LC_ALL", "POSIX")] {
            let mut command = sandbox.act_claude(&[&["act"], args].concat());
            let mut pty = Pty::start({
                command.current_dir(sandbox.home().join("work")).env(name, value);
                command
            });
            pty.finish();
            let raw = String::from_utf8(pty.raw()).unwrap().replace('\r', "");
            assert!(name == "LC_ALL" || !raw.contains('\u{1b}'), "{name}: {raw}");
            assert_eq!(anstream::adapter::strip_str(&raw).to_string(), expected, "{name}={value} {args:?}");
        }
    }
}

/// From 20 to 200 columns no line is wider than the terminal, except for a word that is longer than a line.
#[test]
fn lines_fit_any_terminal() {
    let mut sandbox = sandbox();
    history(&mut sandbox);
    for columns in [20, 27, 40, 60, 80, 120, 200] {
        for args in [&["aliases"][..], &["which"], &["history"]] {
            let text = on_terminal(&sandbox, columns, "work", args);
            let is_long = |word: &str| word.len() > columns.saturating_sub(11);
            for line in text.lines() {
                assert!(line.len() <= columns || line.split(' ').any(is_long), "{columns}: {line}\n{text}");
            }
        }
    }
}
