//! A command line that clap refuses, in the same style as act-claude's other errors: what is wrong, the nearest right value, and
//! the command that says more (pure). A word that may be a token is not repeated.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::typed::secret::{NOT_REPEATED, is_secret};
use crate::text::nearest::nearest;

/// Commands that other programs have, and what there is here instead.
const ELSEWHERE: [(&str, &str); 3] = [
    ("completion", "act-claude act shell-init"),
    ("completions", "act-claude act shell-init"),
    ("man", "man act-claude"),
];

/// The sentence. `command` is the command's name, where one was given. For setup, no word that was typed is repeated, except the
/// names of options: it may be a token.
pub fn sentence(error: &clap::Error, command: Option<&str>) -> String {
    let may_be_secret = command == Some("setup");
    let text = |kind| strings(error.get(kind));
    let first = |kind| text(kind).into_iter().next().unwrap_or_default();
    let option = first(ContextKind::InvalidArg);
    let given = |value: &str| if may_be_secret { String::new() } else { format!(" {}", word(value)) };
    let said = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let given = first(ContextKind::InvalidSubcommand);
            format!("there is no command {}{}", word(&given), meant(near_command(&given)))
        }
        ErrorKind::UnknownArgument if option.starts_with('-') => {
            let name = option.split('=').next().unwrap_or_default();
            let is_token = may_be_secret && name.starts_with("--token");
            let is_secret = is_secret(name) || (may_be_secret && name.contains(|c: char| c.is_ascii_digit()));
            let near = near_option(name, command).filter(|_| is_token || !is_secret);
            let near = near.or_else(|| is_token.then(|| "--token-stdin".to_owned()));
            let shown = if is_token || is_secret { NOT_REPEATED } else { name };
            format!("there is no option {shown}{}", meant(near))
        }
        ErrorKind::UnknownArgument if may_be_secret => {
            "values follow their options here, and the token is typed when it is asked for, or read with --token-stdin"
                .to_owned()
        }
        ErrorKind::UnknownArgument => format!("{} is one word too many", word(&option)),
        ErrorKind::ArgumentConflict => {
            let others = list(&text(ContextKind::PriorArg).iter().map(|arg| name(arg)).collect::<Vec<_>>(), "and");
            match others.as_str() {
                "" => format!("{} can't be given with the other options", name(&option)),
                others if others == name(&option) => format!("{others} can be given only once"),
                others => format!("{} can't be given together with {others}", name(&option)),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<String> = text(ContextKind::InvalidArg);
            let choices = missing.iter().flat_map(|arg| choices(arg)).collect::<Vec<_>>();
            format!("{} is needed", list(&choices, if missing.len() > 1 { "and" } else { "or" }))
        }
        ErrorKind::InvalidValue => {
            let (value, valid) = (first(ContextKind::InvalidValue), text(ContextKind::ValidValue));
            match (value.as_str(), valid.is_empty()) {
                ("", true) => format!("{} needs a value: {option}", name(&option)),
                ("", false) => format!("{} needs one of {}", name(&option), valid.join(", ")),
                (value, _) => {
                    let near = nearest(value, valid.iter().map(String::as_str)).map(str::to_owned);
                    format!("{}{} is not one of {}{}", name(&option), given(value), valid.join(", "), meant(near))
                }
            }
        }
        ErrorKind::ValueValidation => {
            let value = first(ContextKind::InvalidValue);
            let why = std::error::Error::source(error).map(|why| in_words(&why.to_string())).unwrap_or_default();
            format!("{}{}: {why}", name(&option), given(&value))
        }
        ErrorKind::InvalidUtf8 => "an argument is not valid UTF-8".to_owned(),
        kind => kind.as_str().unwrap_or("wrong arguments").to_lowercase(),
    };
    match command {
        Some(command) => format!("act {command}: {said} (act-claude act {command} --help shows examples)"),
        None => format!("{said} (act-claude act --help lists the commands)"),
    }
}

/// The command line that was probably meant by the name of a command that does not exist.
fn near_command(given: &str) -> Option<String> {
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == given).map(|(_, line)| (*line).to_owned());
    elsewhere.or_else(|| {
        let commands = crate::commands::commands();
        let names = commands.get_subcommands().map(clap::Command::get_name).filter(|name| is_harmless(name, given));
        nearest(given, names).map(|name| format!("act-claude act {name}"))
    })
}

/// The option of `command` that was probably meant.
fn near_option(given: &str, command: Option<&str>) -> Option<String> {
    let commands = crate::commands::commands();
    let command = command.and_then(|name| commands.find_subcommand(name)).unwrap_or(&commands);
    let given = given.strip_prefix("--")?;
    let names = command.get_arguments().filter_map(clap::Arg::get_long).filter(|name| is_harmless(name, given));
    let near = nearest(given, names)?;
    // `--token` is there only to be refused.
    Some(format!("--{}", if near == "token" { "token-stdin" } else { near }))
}

/// Whether a name may be proposed: what removes something only for a word that begins like it.
fn is_harmless(name: &str, given: &str) -> bool {
    const REMOVING: [&str; 3] = ["uninstall", "remove", "discard"];
    !REMOVING.contains(&name) || given.get(..2).is_some_and(|start| name.starts_with(&start.to_lowercase()))
}

fn meant(near: Option<String>) -> String {
    near.map_or_else(String::new, |near| format!(": did you mean {near}?"))
}

/// A word that was typed, in quotes.
fn word(word: &str) -> String {
    if is_secret(word) { NOT_REPEATED.to_owned() } else { format!("{word:?}") }
}

fn strings(value: Option<&ContextValue>) -> Vec<String> {
    match value {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// The name of an argument, without its value.
fn name(argument: &str) -> String {
    argument.split([' ', '=']).next().unwrap_or_default().trim_matches(['<', '>', '[', ']', '.']).to_owned()
}

/// The choices of a group, `<NAME|--none>`, or an argument as it is.
fn choices(argument: &str) -> Vec<String> {
    match argument.strip_prefix('<').and_then(|inner| inner.strip_suffix('>')) {
        Some(inner) => inner.split('|').map(str::to_owned).collect(),
        None => vec![argument.to_owned()],
    }
}

/// "a, b or c".
fn list(words: &[String], and: &str) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} {and} {last}", before.join(", ")),
    }
}

/// What is wrong with a number, for people who do not know Rust's ranges.
fn in_words(why: &str) -> String {
    if let Some((_, range)) = why.split_once(" is not in ")
        && let Some((from, to)) = range.split_once("..")
    {
        return format!("it must be a number from {from} to {}", to.trim_start_matches('='));
    }
    match why {
        _ if why.contains("invalid digit") || why.contains("cannot parse") => "it must be a whole number".to_owned(),
        _ if why.contains("would be zero") => "it must be at least 1".to_owned(),
        _ if why.contains("too large") => "this number is too large".to_owned(),
        _ => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands;

    fn check(cases: &[(&str, &str)]) {
        for (line, expected) in cases {
            assert_eq!(commands::refused(line).as_deref(), Some(*expected), "{line}");
        }
    }

    #[test]
    fn each_refusal_names_what_to_do() {
        check(&[
            (
                "whch",
                "there is no command \"whch\": did you mean act-claude act which? (act-claude act --help lists the commands)",
            ),
            ("zzz", "there is no command \"zzz\" (act-claude act --help lists the commands)"),
            ("--jsn", "there is no option --jsn (act-claude act --help lists the commands)"),
            (
                "which --jsn",
                "act which: there is no option --jsn: did you mean --json? (act-claude act which --help shows examples)",
            ),
            ("doctor x", "act doctor: \"x\" is one word too many (act-claude act doctor --help shows examples)"),
            ("use", "act use: NAME, --none or --remove is needed (act-claude act use --help shows examples)"),
            (
                "use web --none",
                "act use: NAME can't be given together with --none (act-claude act use --help shows examples)",
            ),
            (
                "use x --repo --default",
                "act use: --repo can't be given together with --default (act-claude act use --help shows examples)",
            ),
            (
                "which --json --json",
                "act which: --json can be given only once (act-claude act which --help shows examples)",
            ),
            ("aliases --id x", "act aliases: --add <NAME> is needed (act-claude act aliases --help shows examples)"),
            (
                "aliases --add",
                "act aliases: --add needs a value: --add <NAME> (act-claude act aliases --help shows examples)",
            ),
            (
                "aliases --add x --attribute y",
                "act aliases: --attribute \"y\": write it as NAME=VALUE (act-claude act aliases --help shows examples)",
            ),
        ]);
    }

    #[test]
    fn the_most_similar_name_is_the_one_that_was_meant() {
        for (line, expected) in [
            ("usag", Some("act-claude act usage")),
            // What removes something is proposed only for a word that begins like it.
            ("install", None),
            ("unistall", Some("act-claude act uninstall")),
            ("aliases --move a", Some("--move-to")),
            ("usee", Some("act-claude act use")),
            ("us", Some("act-claude act use")),
            ("setp", Some("act-claude act setup")),
            ("statu", Some("act-claude act statusline")),
            ("recieve", Some("act-claude act receive")),
            ("hist", Some("act-claude act history")),
            ("dctor", Some("act-claude act doctor")),
            ("Check", Some("act-claude act check")),
            ("hlp", Some("act-claude act help")),
            ("help usee", Some("act-claude act use")),
            ("completion", Some("act-claude act shell-init")),
            ("completions", Some("act-claude act shell-init")),
            ("man", Some("man act-claude")),
            ("schema", None),
            ("relay", None),
            ("which --evn", Some("--env")),
            ("usage --buy", Some("--by")),
            ("logs --flw", Some("--follow")),
            ("check --al", Some("--all")),
            ("use --clons", Some("--clones")),
            ("setup --tken", Some("--token-stdin")),
            ("setup --tokens-stdin", Some("--token-stdin")),
            ("use --no", Some("--none")),
            ("use --id", None),
            ("which -j", None),
            ("setup --store keychian", Some("keychain")),
            ("shell-init bsh", Some("bash")),
        ] {
            let said = commands::refused(line).unwrap_or_default();
            let meant = said.split_once("did you mean ").and_then(|(_, rest)| Some(rest.split_once('?')?.0));
            assert_eq!(meant, expected, "{line}: {said}");
        }
    }

    #[test]
    fn numbers_and_choices_are_said_in_words_and_nothing_secret_is_repeated() {
        check(&[
            (
                "receive --port 70000",
                "act receive: --port \"70000\": it must be a number from 0 to 65535 (act-claude act receive --help shows examples)",
            ),
            (
                "receive --port x",
                "act receive: --port \"x\": it must be a whole number (act-claude act receive --help shows examples)",
            ),
            (
                "history -n x",
                "act history: --number \"x\": it must be a whole number (act-claude act history --help shows examples)",
            ),
            (
                "history -n 0",
                "act history: --number \"0\": it must be at least 1 (act-claude act history --help shows examples)",
            ),
            (
                "demo --fail 402",
                "act demo: --fail \"402\" is not one of 401, 403, 404, 400, 429, 503, partial, hang: did you mean 401? \
                 (act-claude act demo --help shows examples)",
            ),
            (
                "demo --fail",
                "act demo: --fail needs one of 401, 403, 404, 400, 429, 503, partial, hang (act-claude act demo --help shows examples)",
            ),
            ("shell-init", "act shell-init: SHELL is needed (act-claude act shell-init --help shows examples)"),
            // A word at a wrong place may be the token.
            (
                "setup s3cret",
                "act setup: values follow their options here, and the token is typed when it is asked for, or read with \
                 --token-stdin (act-claude act setup --help shows examples)",
            ),
            (
                "setup --token-s3cret",
                "act setup: there is no option (not repeated: it may be a token): did you mean --token-stdin? \
                 (act-claude act setup --help shows examples)",
            ),
            (
                "setup --s3cret",
                "act setup: there is no option (not repeated: it may be a token) (act-claude act setup --help shows examples)",
            ),
            (
                "b57c3e10-44aa-4f0b-97c1-0a6d2e8f1b99",
                "there is no command (not repeated: it may be a token) (act-claude act --help lists the commands)",
            ),
            (
                "doctor b57c3e10-44aa-4f0b-97c1-0a6d2e8f1b99",
                "act doctor: (not repeated: it may be a token) is one word too many (act-claude act doctor --help shows examples)",
            ),
            (
                "aliases --add x --attribute dev@acme.com:s3cret",
                "act aliases: --attribute (not repeated: it may be a token): write it as NAME=VALUE (act-claude act aliases --help \
                 shows examples)",
            ),
            (
                "setup --store s3cret",
                "act setup: --store is not one of keychain, file (act-claude act setup --help shows examples)",
            ),
        ]);
    }
}
