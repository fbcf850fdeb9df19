//! docs/reference.md agrees with the code. This test writes the section on commands:
//! `ACT_CLAUDE_WRITE_REFERENCE=1 cargo test --test commands reference`

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use act_claude::commands as act;
use act_claude::plan::flags as cli;

use crate::support;
use crate::support::sandbox::{Sandbox, Text};

const MARK: &str = "<!-- commands -->\n";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md")
}

/// The cells of the tables under `## heading`.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file()).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).expect(heading).to_owned();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.replace('`', "").trim().to_owned()).collect())
        .collect()
}

#[test]
fn commands() {
    let text = std::fs::read_to_string(file()).unwrap();
    let (hand, _) = text.split_once(MARK).expect("the mark");
    let written = format!("{hand}{MARK}{}", render());
    if std::env::var_os("ACT_CLAUDE_WRITE_REFERENCE").is_some() {
        std::fs::write(file(), &written).unwrap();
    }
    let again = "ACT_CLAUDE_WRITE_REFERENCE=1 cargo test --test commands reference";
    assert!(std::fs::read_to_string(file()).unwrap() == written, "docs/reference.md is out of date: {again}");
}

fn render() -> String {
    let mut text = String::new();
    let commands = act::commands();
    let visible = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    for (title, names) in act::help::GROUPS {
        let names: Vec<String> = names.iter().map(|name| format!("[`act {name}`](#act-{name})")).collect();
        writeln!(text, "{}- {title}: {}", if text.is_empty() { "\n" } else { "" }, names.join(", ")).unwrap();
    }
    let groups = act::help::GROUPS.iter().flat_map(|(_, names)| names.iter());
    let find = |name: &&str| commands.find_subcommand(name).expect("a command");
    assert_eq!(groups.clone().count(), commands.get_subcommands().filter(visible).count());
    for command in groups.map(find) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim();
        writeln!(text, "\n### `act {}`\n\n{about}.\n\n```text\n{usage}\n```\n", command.get_name()).unwrap();
        writeln!(text, "| argument | meaning |\n|---|---|").unwrap();
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help") {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
            let values = arg.get_possible_values();
            let meaning = |value: &clap::builder::PossibleValue| match value.get_help() {
                Some(help) => format!("`{}`: {help}", value.get_name()),
                None => format!("`{}`", value.get_name()),
            };
            let is_explained = values.iter().any(|value| value.get_help().is_some());
            let values: Vec<String> = values.iter().map(meaning).collect();
            let values = match values.join(if is_explained { "; " } else { ", " }) {
                values if values.is_empty() || !arg.get_action().takes_values() => String::new(),
                values => format!(". {values}"),
            };
            let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
            writeln!(text, "| `{short}{}` | {help}{values} |", arg.to_string().replace('|', "\\|")).unwrap();
        }
        writeln!(text, "\n```sh").unwrap();
        for example in act::help::examples(command.get_name()) {
            writeln!(text, "# {}\n{}", example.about, example.line).unwrap();
        }
        writeln!(text, "```").unwrap();
    }
    text
}

#[test]
fn flags() {
    let documented: Vec<String> = rows("Flags").into_iter().map(|row| row[0].clone()).collect();
    let flags = cli::FLAGS.iter().map(|flag| [flag.name, flag.value.unwrap_or_default()].join(" ").trim().to_owned());
    assert_eq!(documented, flags.collect::<Vec<_>>());
}

/// Every variable of act-claude that the code names is documented.
#[test]
fn variables() {
    let mut found = BTreeSet::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for (at, _) in text.match_indices("\"ACT_CLAUDE") {
            let name = text[at + 1..].split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap();
            found.insert(name.to_owned());
        }
    }
    // Used by the build only.
    found.remove("ACT_CLAUDE_VERSION");
    let documented: BTreeSet<String> = rows("Variables").into_iter().map(|row| row[0].clone()).collect();
    let documented = documented.into_iter().filter(|name| name.starts_with("ACT_CLAUDE")).collect::<BTreeSet<_>>();
    assert_eq!(found, documented);
}

#[test]
fn the_version_is_a_number_and_in_a_release_the_commit() {
    let sandbox = Sandbox::new();
    let version = sandbox.act_claude(&["act", "--version"]).output().unwrap();
    let expected = concat!("act-claude ", env!("CARGO_PKG_VERSION"));
    assert!(version.out().trim_end().starts_with(expected), "{}", version.out());
}

#[test]
fn the_man_page_is_clean() {
    let page = std::process::Command::new(support::example("man")).output().unwrap();
    assert_eq!(page.code(), 0, "{}", page.err());
    let sandbox = Sandbox::new();
    let path = sandbox.write("act-claude.1", &page.stdout);
    if let Some(mandoc) = support::program("mandoc") {
        let lint = sandbox.command(&mandoc).args(["-T", "lint", "-W", "warning"]).arg(&path).output().unwrap();
        // Known warnings: the page has no date, and clap_mangen separates lists of values twice.
        let known = ["missing date", "br before sp", "br after sp"];
        let said = lint.out();
        let faults: Vec<&str> = said.lines().filter(|line| !known.iter().any(|known| line.contains(known))).collect();
        assert_eq!(faults, [""; 0]);
        let shown = sandbox.command(&mandoc).args(["-T", "utf8"]).arg(&path).output().unwrap().out();
        let plain: String = shown.split("\u{8}").fold(String::new(), |mut text, part| {
            // Bold text is a letter, a backspace and the same letter.
            if !text.is_empty() {
                text.pop();
            }
            text + part
        });
        for expected in ["--alias NAME", "act-claude act which", "ACT_CLAUDE_CONFIG", "EXIT STATUS", "--spec"] {
            assert!(plain.contains(expected), "{expected}: {plain}");
        }
    }
}
