//! Claude's own command line, as far as act-claude needs it (pure).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::operand;

/// The kind of call that claude's arguments make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `--version` or `--help` alone: claude answers at once, without a session.
    Trivial,
    /// A session: there are no arguments; or they begin with flags, and no subcommand follows; or the first one holds white space
    /// (a prompt).
    Session,
    /// A subcommand, or a prompt of one word in the first place.
    Word,
}

/// Classifies claude's arguments (T19 in docs/observed-claude.md).
pub fn call(args: &[OsString]) -> Call {
    match args {
        [only] if ["--version", "-v", "--help", "-h"].iter().any(|flag| only == flag) => Call::Trivial,
        [] => Call::Session,
        [first, ..] if first.as_encoded_bytes().starts_with(b"-") => match operand::is_subcommand(args) {
            // With one of these, claude takes every word as a prompt.
            true if !has_flag(args, &["-p", "--print"]) => Call::Word,
            _ => Call::Session,
        },
        [first, ..] if first.as_encoded_bytes().iter().any(u8::is_ascii_whitespace) => Call::Session,
        _ => Call::Word,
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
        assert_eq!(call(&["--verbose", "mcp", "list"]), Call::Word);
        assert_eq!(call(&["--debug", "mcp", "list"]), Call::Session, "debugging of mcp, and a prompt");
        for print in ["-p", "--print"] {
            assert_eq!(call(&[print, "mcp", "list"]), Call::Session);
            assert_eq!(call(&["--verbose", "mcp", "list", print]), Call::Session);
        }
        assert_eq!(call(&["-cp", "mcp", "list"]), Call::Word);
    }
}
