//! A command line that clap refuses, in the same style as act-claude's other errors: what is wrong, the nearest right value, and
//! the command that says more (pure). A word that may be a token is not repeated.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::typed::secret::{NOT_REPEATED, is_secret};

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
            let near = first(ContextKind::SuggestedSubcommand);
            let near = if near.is_empty() { String::new() } else { format!(": did you mean act-claude act {near}?") };
            format!("there is no command {}{near}", word(&first(ContextKind::InvalidSubcommand)))
        }
        ErrorKind::UnknownArgument if option.starts_with('-') => {
            let name = option.split('=').next().unwrap_or_default();
            let near = first(ContextKind::SuggestedArg);
            // `--token` is there only to be refused.
            let near = if near == "--token" { "--token-stdin".to_owned() } else { near };
            let is_token = may_be_secret && name.starts_with("--token");
            let is_secret = is_secret(name) || (may_be_secret && name.contains(|c: char| c.is_ascii_digit()));
            let near = match near.is_empty() || (is_secret && !is_token) {
                true => String::new(),
                false => format!(": did you mean {near}?"),
            };
            let shown = if is_token || is_secret { NOT_REPEATED } else { name };
            format!("there is no option {shown}{near}")
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
            let near = first(ContextKind::SuggestedValue);
            match (value.as_str(), valid.is_empty()) {
                ("", true) => format!("{} needs a value: {option}", name(&option)),
                ("", false) => format!("{} needs one of {}", name(&option), valid.join(", ")),
                (value, _) => {
                    let near = if near.is_empty() { String::new() } else { format!(": did you mean {near}?") };
                    format!("{}{} is not one of {}{near}", name(&option), given(value), valid.join(", "))
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
                "demo --fail 402",
                "act demo: --fail \"402\" is not one of 401, 403, 404, 400, 429, 503, partial, hang: did you mean 400? \
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
