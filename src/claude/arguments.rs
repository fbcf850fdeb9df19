//! Claude's own command line, as far as act-claude needs it (pure).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The kind of call that claude's arguments make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `--version` or `--help` alone: claude answers at once, without a session.
    Trivial,
    /// A session: the first argument is absent, starts with `-`, or holds white space (a prompt).
    Session,
    /// A bare first word: a subcommand, or a prompt of one word.
    Word,
}

/// Classifies claude's arguments.
pub fn call(args: &[OsString]) -> Call {
    match args {
        [only] if ["--version", "-v", "--help", "-h"].iter().any(|flag| only == flag) => Call::Trivial,
        [] => Call::Session,
        [first, ..] => {
            let bytes = first.as_encoded_bytes();
            if bytes.starts_with(b"-") || bytes.iter().any(u8::is_ascii_whitespace) {
                Call::Session
            } else {
                Call::Word
            }
        }
    }
}

/// Whether claude is asked to run in the background (`--bg`, `--background`).
pub fn is_background(args: &[OsString]) -> bool {
    has_flag(args, &["--bg", "--background"])
}

/// Whether claude is asked for one answer and no dialogue (`-p`, `--print`, also together with `-c`).
pub fn is_print(args: &[OsString]) -> bool {
    has_flag(args, &["-p", "--print", "-pc", "-cp"])
}

/// Whether claude is asked for its version or its help text; in that case it does nothing else.
pub fn asks_for_help(args: &[OsString]) -> bool {
    has_flag(args, &["-h", "--help", "-v", "--version"])
}

/// Whether this claude is a spare: the background daemon, or an application of the Agent SDK, starts it in advance. It waits in a
/// directory of its own, and changes to the session's directory when a session is given to it.
pub fn is_spare(args: &[OsString]) -> bool {
    args.first().is_some_and(|first| first == "--bg-spare") || has_flag(args, &["--await-claim"])
}

fn has_flag(args: &[OsString], spellings: &[&str]) -> bool {
    args.iter().take_while(|arg| *arg != "--").any(|arg| spellings.iter().any(|flag| arg == flag))
}

/// The flags of claude that need a value, as its help lists them, and those that its documentation names besides.
const VALUED: [&str; 39] = [
    "--add-dir",
    "--agent",
    "--agents",
    "--allowed-tools",
    "--allowedTools",
    "--append-system-prompt",
    "--append-system-prompt-file",
    "--autocompact",
    "--betas",
    "--debug-file",
    "--disallowed-tools",
    "--disallowedTools",
    "--effort",
    "--environment",
    "--fallback-model",
    "--file",
    "--input-format",
    "--json-schema",
    "--max-budget-usd",
    "--max-thinking-tokens",
    "--max-turns",
    "--mcp-config",
    "--model",
    "--name",
    "--output-format",
    "--permission-mode",
    "--permission-prompt-tool",
    "--permission-prompts",
    "--plugin-dir",
    "--plugin-url",
    "--remote-control-session-name-prefix",
    "--session-id",
    "--setting-sources",
    "--settings",
    "--system-prompt",
    "--system-prompt-file",
    "--system-prompt-snapshot",
    "--tools",
    "-n",
];

/// Whether a flag of claude's needs a value. Claude takes the next argument as this value, even if it begins with a dash.
pub fn needs_value(flag: &OsStr) -> bool {
    VALUED.iter().any(|valued| flag == *valued)
}

/// Whether the argument at `index` is the value of one of claude's flags.
pub fn is_value(args: &[OsString], index: usize) -> bool {
    let mut at = 0;
    while at < index {
        at += if needs_value(&args[at]) { 2 } else { 1 };
    }
    at > index
}

/// The position of the last `--settings`, which is the effective one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// `--settings X`: the index of X.
    Separate(usize),
    /// `--settings=X`: the index of this argument.
    Joined(usize),
}

/// Finds the effective `--settings`.
pub fn argument_position(args: &[OsString]) -> Option<Position> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (mut last, mut index) = (None, 0);
    while index < end {
        if args[index].as_bytes().starts_with(JOINED) {
            last = Some(Position::Joined(index));
        } else if args[index] == "--settings" && index + 1 < end {
            // The next argument is the value, whatever it is.
            index += 1;
            last = Some(Position::Separate(index));
        }
        index += 1;
    }
    last
}

const JOINED: &[u8] = b"--settings=";

/// The value of the effective `--settings`.
pub fn argument_value(args: &[OsString]) -> Option<&OsStr> {
    Some(match argument_position(args)? {
        Position::Separate(value) => &args[value],
        Position::Joined(at) => OsStr::from_bytes(&args[at].as_bytes()[JOINED.len()..]),
    })
}

/// Whether there is a `--settings` argument.
pub fn has_argument(args: &[OsString]) -> bool {
    argument_position(args).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_settings_argument_counts() {
        let value = |line: &[&str]| {
            let args: Vec<OsString> = line.iter().map(OsString::from).collect();
            argument_value(&args).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(value(&["-p", "x"]), None);
        assert_eq!(value(&["--settings", "a", "-p", "--settings=b"]).as_deref(), Some("b"));
        assert_eq!(value(&["--settings=b", "--settings", "a"]).as_deref(), Some("a"));
        assert_eq!(value(&["-p", "--", "--settings", "a"]), None);
        assert_eq!(value(&["--settings"]), None);
        assert_eq!(value(&["--settings", "--settings", "x"]).as_deref(), Some("--settings"));
    }

    #[test]
    fn a_value_is_the_argument_behind_its_flag() {
        let args: Vec<OsString> = ["--model", "--model", "-p", "-n", "x"].iter().map(OsString::from).collect();
        assert_eq!([0, 1, 2, 3, 4].map(|index| is_value(&args, index)), [false, true, false, false, true]);
        assert!(VALUED.is_sorted());
    }

    #[test]
    fn spares_are_recognised() {
        let is_spare = |line: &str| is_spare(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for (line, expected) in [
            ("--bg-spare /x", true),
            ("-p --bg-spare", false),
            ("--output-format stream-json --await-claim", true),
            ("-p -- --await-claim", false),
            ("", false),
        ] {
            assert_eq!(is_spare(line), expected, "{line}");
        }
    }

    #[test]
    fn calls_are_sorted_by_the_first_argument() {
        let call = |line: &[&str]| call(&line.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(call(&[]), Call::Session);
        assert_eq!(call(&["-p", "x"]), Call::Session);
        assert_eq!(call(&["two words"]), Call::Session);
        assert_eq!(call(&["mcp", "list"]), Call::Word);
        assert_eq!(call(&[""]), Call::Word);
        assert_eq!(call(&["--version"]), Call::Trivial);
        assert_eq!(call(&["--version", "x"]), Call::Session);
    }
}
