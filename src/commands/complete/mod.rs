//! Computes the completions at the cursor of a command line (pure). The scripts in shell/ ask for them at each TAB.

mod command;

use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::claude::arguments::{self, Call};
use crate::claude::operand;
use crate::config::when::When;
use crate::plan::flags::{FLAGS, OwnFlag, own_flag};

pub use command::{COMMAND, run};

/// A candidate: the word and its description.
pub type Candidate = (String, String);

/// The names in the configuration, each with a description.
#[derive(Debug)]
pub struct Names<A, B> {
    /// The names of the aliases.
    pub aliases: A,
    /// The names of the accounts.
    pub accounts: B,
}

/// Which completions the shell adds to the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// None: only the candidates are valid.
    Own,
    /// File names.
    Files,
    /// The completions of claude itself. The number says how many of our own arguments precede claude's.
    Claude(usize),
}

/// The answer. As text, the first line names the rest, and each further line holds a candidate: the word, a tab, its description.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which completions the shell adds.
    pub rest: Rest,
    /// The candidates. They are not filtered by the text at the cursor; the shell does that.
    pub candidates: Vec<Candidate>,
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rest {
            Rest::Own => writeln!(out, "own")?,
            Rest::Files => writeln!(out, "files")?,
            Rest::Claude(skip) => writeln!(out, "claude {skip}")?,
        }
        self.candidates.iter().try_for_each(|(word, about)| writeln!(out, "{word}\t{about}"))
    }
}

/// The completions at `cursor` after `words`. `commands` is only called for a command line that starts with `act`.
pub fn answer<A, B>(
    words: &[OsString],
    cursor: &OsStr,
    names: Names<A, B>,
    commands: impl FnOnce() -> Command,
) -> Answer
where
    A: Iterator<Item = Candidate>,
    B: Iterator<Item = Candidate>,
{
    let dashed = cursor.as_encoded_bytes().starts_with(b"-");
    if words.first().is_some_and(|first| first == "act") {
        let words: Vec<&str> = words[1..].iter().filter_map(|word| word.to_str()).collect();
        return act(&words, &cursor.to_string_lossy(), &commands(), names);
    }
    let value_of = |flag: &OwnFlag, joined: bool| {
        let candidates: Vec<Candidate> = match flag.name {
            "--alias" => names.aliases.collect(),
            _ => When::NAMES.iter().map(|name| candidate(name, "")).collect(),
        };
        // After "=" a shell replaces the whole word.
        let start = if joined { format!("{}=", flag.name) } else { String::new() };
        let whole = candidates.into_iter().map(|(word, about)| (format!("{start}{word}"), about));
        Answer { rest: Rest::Own, candidates: whole.collect() }
    };
    let mut start = 0;
    while let Some((flag, value)) = words.get(start).and_then(|word| own_flag(word)) {
        start += 1;
        if flag.value.is_some() && value.is_none() {
            if start == words.len() {
                return value_of(flag, false);
            }
            start += 1;
        }
    }
    let claudes = &words[start..];
    // A word behind a flag of claude's that needs a value is that value.
    let own = arguments::call(claudes) != Call::Word
        && !claudes.iter().any(|word| word == "--")
        && !operand::is_value(claudes, claudes.len());
    let last = claudes.len().checked_sub(1).filter(|&last| own && !operand::is_value(claudes, last));
    match (last.and_then(|last| own_flag(&claudes[last])), own_flag(cursor).filter(|_| own)) {
        (Some((flag, None)), _) if flag.value.is_some() => return value_of(flag, false),
        (_, Some((flag, Some(_)))) => return value_of(flag, true),
        _ => {}
    }
    let mut candidates = Vec::new();
    if own && dashed {
        candidates.extend(FLAGS.iter().map(|flag| candidate(flag.name, flag.about)));
    }
    if words.is_empty() && !dashed {
        candidates.push(candidate("act", "act-claude's own commands"));
    }
    Answer { rest: Rest::Claude(start), candidates }
}

/// The completions after `act`.
fn act<A, B>(words: &[&str], cursor: &str, commands: &Command, names: Names<A, B>) -> Answer
where
    A: Iterator<Item = Candidate>,
    B: Iterator<Item = Candidate>,
{
    let mut command = commands;
    let mut behind = words;
    while let [word, rest @ ..] = behind
        && let Some(subcommand) = command.find_subcommand(word)
    {
        (command, behind) = (subcommand, rest);
    }
    let mut awaits: Option<&Arg> = None;
    let mut positions = command.get_positionals();
    for word in behind {
        awaits = match (awaits, word.strip_prefix("--")) {
            (None, Some(long)) => command.get_arguments().find(|arg| arg.get_long() == Some(long) && takes_value(arg)),
            (None, None) => {
                positions.next();
                None
            }
            (Some(_), _) => None,
        };
    }
    let joined = cursor.strip_prefix("--").and_then(|cursor| cursor.split_once('=')).filter(|_| awaits.is_none());
    if let Some((long, _)) = joined {
        let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(long) && takes_value(arg)) else {
            return Answer { rest: Rest::Own, candidates: Vec::new() };
        };
        let answer = values(arg, names);
        let whole = answer.candidates.into_iter().map(|(word, about)| (format!("--{long}={word}"), about));
        return Answer { rest: answer.rest, candidates: whole.collect() };
    }
    if awaits.is_none() && cursor.starts_with('-') {
        let options = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let candidates = options.filter_map(|arg| Some((format!("--{}", arg.get_long()?), about(arg.get_help()))));
        return Answer { rest: Rest::Own, candidates: candidates.collect() };
    }
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    match awaits.or_else(|| positions.next()) {
        Some(arg) => values(arg, names),
        None if behind.is_empty() => Answer {
            rest: Rest::Own,
            candidates: subcommands.map(|command| candidate(command.get_name(), &about(command.get_about()))).collect(),
        },
        None => Answer { rest: Rest::Own, candidates: Vec::new() },
    }
}

/// The possible values of an argument: by its name where that is known, otherwise by its type.
fn values<A, B>(arg: &Arg, names: Names<A, B>) -> Answer
where
    A: Iterator<Item = Candidate>,
    B: Iterator<Item = Candidate>,
{
    let candidates: Vec<Candidate> = match arg.get_id().as_str() {
        "alias" | "name" | "to" => names.aliases.collect(),
        "account" => names.accounts.collect(),
        _ => {
            let values = arg.get_possible_values();
            values.iter().map(|value| candidate(value.get_name(), &about(value.get_help()))).collect()
        }
    };
    let files = matches!(
        arg.get_value_hint(),
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath | ValueHint::CommandWithArguments
    );
    Answer { rest: if files { Rest::Files } else { Rest::Own }, candidates }
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
}

fn candidate(word: &str, about: &str) -> Candidate {
    (word.to_owned(), about.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::arg;

    fn commands() -> Command {
        let check = Command::new("check").arg(arg!([name] "")).arg(arg!(--json "as JSON")).arg(arg!(--to <ALIAS> ""));
        let spec = Arg::new("spec").long("spec").value_hint(ValueHint::FilePath);
        let setup = Command::new("setup").arg(spec).arg(arg!(--account <NAME> ""));
        let shell = Command::new("shell-init").arg(arg!(<shell> "").value_parser(["bash", "zsh"]));
        let hidden = Command::new("secret").hide(true);
        let mut act = Command::new("act").subcommands([check.about("asks ACT"), setup, shell, hidden]);
        act.build();
        act
    }

    /// The rest, and the candidates' words. The cursor is the last element of `line`.
    fn at(line: &[&str]) -> (Rest, String) {
        let (cursor, words) = line.split_last().unwrap();
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let names = Names {
            aliases: ["billing", "web"].map(|name| candidate(name, "")).into_iter(),
            accounts: [candidate("acme", "")].into_iter(),
        };
        let answer = answer(&words, OsStr::new(cursor), names, commands);
        let words: Vec<String> = answer.candidates.into_iter().map(|(word, _)| word).collect();
        (answer.rest, words.join(" "))
    }

    #[test]
    fn own_flags_and_their_values_where_they_are_read() {
        const ALL: &str = "--alias --verify --direct --no-act --report";
        for (line, rest, words) in [
            (&[""][..], Rest::Claude(0), "act"),
            (&["-"], Rest::Claude(0), ALL),
            (&["--verify", "--a"], Rest::Claude(1), ALL),
            (&["--alias", ""], Rest::Own, "billing web"),
            (&["--alias", "web", ""], Rest::Claude(2), ""),
            (&["--alias", "web", "mcp", "-"], Rest::Claude(2), ""),
            (&["--report", "n"], Rest::Own, "auto always never json"),
            (&["-p", "hi", "--alias", "b"], Rest::Own, "billing web"),
            (&["-p", "hi", "--"], Rest::Claude(0), ALL),
            (&["-p", "--", "hi", "--"], Rest::Claude(0), ""),
            (&["mcp", "--alias", ""], Rest::Claude(0), ""),
            // The value after "=".
            (&["--alias=w"], Rest::Own, "--alias=billing --alias=web"),
            (&["--verify", "--report="], Rest::Own, "--report=auto --report=always --report=never --report=json"),
            (&["-p", "hi", "--alias="], Rest::Own, "--alias=billing --alias=web"),
            (&["--alias=web", ""], Rest::Claude(1), ""),
            (&["--alias=web", "-"], Rest::Claude(1), ALL),
            (&["--verify="], Rest::Claude(0), ALL),
            // Where it is claude's.
            (&["mcp", "--alias=w"], Rest::Claude(0), ""),
            (&["-p", "--", "--alias=w"], Rest::Claude(0), ""),
            (&["--model", "--alias=w"], Rest::Claude(0), ""),
            (&["-p", "--model", "--alias", ""], Rest::Claude(0), ""),
        ] {
            assert_eq!(at(line), (rest, words.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn behind_act_its_commands() {
        for (line, rest, words) in [
            (&["act", ""][..], Rest::Own, "check setup shell-init help"),
            (&["act", "check", ""], Rest::Own, "billing web"),
            (&["act", "check", "-"], Rest::Own, "--json --to --help"),
            (&["act", "check", "--json", ""], Rest::Own, "billing web"),
            (&["act", "check", "--to", "x", ""], Rest::Own, "billing web"),
            (&["act", "check", "web", ""], Rest::Own, ""),
            (&["act", "check", "--to", ""], Rest::Own, "billing web"),
            (&["act", "setup", "--account", ""], Rest::Own, "acme"),
            (&["act", "setup", "--account="], Rest::Own, "--account=acme"),
            (&["act", "setup", "--spec=x"], Rest::Files, ""),
            (&["act", "check", "--to=x", ""], Rest::Own, "billing web"),
            (&["act", "check", "--nothing=x"], Rest::Own, ""),
            (&["act", "setup", "--spec", ""], Rest::Files, ""),
            (&["act", "shell-init", ""], Rest::Own, "bash zsh"),
            (&["act", "unknown", ""], Rest::Own, ""),
        ] {
            assert_eq!(at(line), (rest, words.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn the_text_is_a_line_each() {
        let names = Names { aliases: std::iter::empty(), accounts: std::iter::empty() };
        let answer = answer(&["act".into()], OsStr::new("c"), names, commands);
        assert!(answer.to_string().starts_with("own\ncheck\tasks ACT\n"), "{answer}");
    }
}
