//! What `--help` says beyond clap's own lists: the commands and setup's options in groups, and examples for each command. The
//! reference and the man page are written from the same tables.

mod examples;
mod refusal;

use std::fmt::Write;

use anstyle::Style;
use clap::{Arg, ArgAction, Command};

use crate::plan::flags::FLAGS;
use crate::text::page;

pub use examples::{Example, of as examples};
pub use refusal::sentence as refusal;

/// The commands in the order shown to users, in groups.
pub const GROUPS: [(&str, &[&str]); 4] = [
    ("Set up", &["setup", "shell-init", "uninstall"]),
    ("Every day", &["which", "use", "aliases", "history", "usage", "statusline"]),
    ("When something is wrong", &["check", "doctor", "flush", "logs"]),
    ("Try it out", &["demo", "receive"]),
];

/// The groups of setup's options, by their ids. The rest is under "How it runs".
const SETUP: [(&str, &[&str]); 5] = [
    ("Where the values come from", &["spec", "from_settings"]),
    ("The account", &["account", "endpoint", "user"]),
    ("The alias", &["id", "provider_type", "name"]),
    ("Where it is used", &["directories", "default", "own_pipeline"]),
    ("The token", &["token_stdin", "token_command", "token_env", "token_file", "store"]),
];

/// A line of a page is not longer than this, however wide the terminal is.
const WIDEST: usize = 100;
/// Narrower pages have an entry's explanation on a line of its own.
const NARROW: usize = 56;

/// clap's style of a heading.
const HEADING: Style = Style::new().bold().underline();

/// The commands with their groups, examples and widths.
pub fn dressed(command: Command) -> Command {
    let width = page::width().min(WIDEST);
    let listing = listing(&command, width);
    command
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{listing}{HEADING}Options:{HEADING:#}\n{{options}}{{after-help}}"
        ))
        .after_help(starting_claude(width))
        .term_width(width)
        .mut_subcommands(|command| explained(command, width))
}

/// A command with its examples. They are part of the template, because clap would wrap them, and then they could not be copied.
fn explained(command: Command, width: usize) -> Command {
    let mut text = String::new();
    for example in examples(command.get_name()) {
        text.push_str("  ");
        page::hang(&mut text, 2, width, Style::new(), &format!("{}:", example.about));
        let _ = writeln!(text, "    {}", example.line);
    }
    let command = command
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{{all-args}}{{after-help}}\n\n{HEADING}Examples:{HEADING:#}\n{text}"
        ))
        .term_width(width);
    let command = if width < NARROW { command.mut_args(with_choices_in_words).next_line_help(true) } else { command };
    if command.get_name() != "setup" {
        return command;
    }
    // clap shows options without a heading first, and adds its own --help to them.
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Print help");
    command.disable_help_flag(true).arg(help).mut_args(|arg| {
        let group = SETUP.iter().find(|(_, ids)| ids.contains(&arg.get_id().as_str()));
        arg.help_heading(group.map_or("How it runs", |(heading, _)| *heading))
    })
}

/// On a narrow page, clap's list of choices loses words: they become part of the explanation.
fn with_choices_in_words(arg: Arg) -> Arg {
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter_map(|value| Some(format!("{}: {}", value.get_name(), value.get_help()?)))
        .collect();
    if choices.is_empty() {
        return arg;
    }
    let help = format!("{}. {}", arg.get_help().map(ToString::to_string).unwrap_or_default(), choices.join("; "));
    arg.hide_possible_values(true).help(help)
}

/// The commands in their groups.
fn listing(command: &Command, width: usize) -> String {
    let mut text = String::new();
    let longest = GROUPS.iter().flat_map(|(_, names)| names.iter()).map(|name| name.len()).max().unwrap_or_default();
    for (title, names) in GROUPS {
        let entry = |name: &&'static str| {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            ((*name).to_owned(), about.unwrap_or_default())
        };
        page::hang(&mut text, 0, width, HEADING, &format!("{title}:"));
        text.push_str(&entries(&names.iter().map(entry).collect::<Vec<_>>(), longest, width));
        text.push('\n');
    }
    text
}

/// The text about starting claude, shown after the list of commands.
fn starting_claude(width: usize) -> String {
    let mut text = String::new();
    let usage = "Starting claude: act-claude [FLAGS] [claude's own arguments] [FLAGS]";
    page::hang(&mut text, 2, width, Style::new(), usage);
    let flags: Vec<(String, String)> = FLAGS
        .iter()
        .map(|flag| {
            let name = [flag.name, flag.value.unwrap_or_default()].join(" ").trim_end().to_owned();
            let also = flag.variable.map(|variable| format!(" (also {variable})")).unwrap_or_default();
            (name, format!("{}{also}", flag.about))
        })
        .collect();
    let longest = flags.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    text.push_str(&entries(&flags, longest, width));
    text.push('\n');
    let rest = "Everything else is claude's: act-claude --help shows claude's help. Each command explains itself: \
                act-claude act COMMAND --help.";
    page::hang(&mut text, 0, width, Style::new(), rest);
    text
}

/// Names, of which none is longer than `longest`, with their explanations: in two columns, on a narrow page below each other.
fn entries(entries: &[(String, String)], longest: usize, width: usize) -> String {
    let column = longest + 4;
    let mut text = String::new();
    for (name, about) in entries {
        if width < NARROW {
            let _ = write!(text, "  {name}\n      ");
            page::hang(&mut text, 6, width, Style::new(), about);
        } else {
            let _ = write!(text, "{:<column$}", format!("  {name}"));
            page::hang(&mut text, column, width, Style::new(), about);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    fn names(command: &Command) -> Vec<&str> {
        let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
        visible.map(Command::get_name).filter(|name| *name != "help").collect()
    }

    #[test]
    fn each_command_is_in_a_group_and_has_two_or_three_examples() {
        let command = commands::commands();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut all = names(&command);
        grouped.sort_unstable();
        all.sort_unstable();
        assert_eq!(grouped, all);
        for name in all {
            assert!((2..=3).contains(&examples(name).len()), "{name}");
        }
    }

    /// An example that clap refuses would be worse than none.
    #[test]
    fn each_example_can_be_typed() {
        let command = commands::commands();
        for name in names(&command) {
            for Example { line, .. } in examples(name) {
                let Some((_, own)) = line.split_once(&format!("act-claude act {name}")) else {
                    panic!("{line} does not call act {name}")
                };
                let own = own.split([')', '|', '>']).next().unwrap_or_default().trim_end_matches('"');
                let words = shell_words::split(own).expect(line);
                let words = ["act-claude act".to_owned(), name.to_owned()].into_iter().chain(words);
                let parsed = command.clone().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                assert!(line.len() <= 76, "{line}");
            }
        }
    }

    #[test]
    fn each_option_of_setup_that_has_a_value_is_in_a_group() {
        let command = commands::commands();
        let setup = command.find_subcommand("setup").expect("setup");
        let alone = setup.get_arguments().filter(|arg| {
            !arg.is_hide_set() && arg.get_action().takes_values() && arg.get_help_heading() == Some("How it runs")
        });
        assert_eq!(alone.map(|arg| arg.get_id().as_str()).collect::<Vec<_>>(), [""; 0]);
        for (_, ids) in SETUP {
            for id in ids {
                assert!(setup.get_arguments().any(|arg| arg.get_id() == id), "{id}");
            }
        }
    }

    #[test]
    fn no_line_of_a_list_is_longer_than_the_page() {
        let command = commands::commands();
        for width in [20, 30, 40, 55, 56, 80, 200] {
            for text in [listing(&command, width), starting_claude(width)] {
                let plain = anstream::adapter::strip_str(&text).to_string();
                let long = plain.lines().find(|line| page::columns(line) > width && line.trim().contains(' '));
                assert_eq!(long, None, "{width}");
            }
        }
    }
}
