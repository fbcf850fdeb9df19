//! Which of claude's arguments are flags, and which are the values of flags (pure; T19 in docs/observed-claude.md).
//!
//! The first argument that is neither is claude's subcommand, or a prompt.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The flags that need one value, as claude's help lists them, and those that its documentation names besides.
const VALUED: [&str; 30] = [
    "--agent",
    "--agents",
    "--append-system-prompt",
    "--append-system-prompt-file",
    "--autocompact",
    "--debug-file",
    "--effort",
    "--environment",
    "--fallback-model",
    "--input-format",
    "--json-schema",
    "--max-budget-usd",
    "--max-thinking-tokens",
    "--max-turns",
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
    "-n",
];

/// The flags that need a value and take more of them, up to the next flag.
const SEVERAL: [&str; 9] = [
    "--add-dir",
    "--allowed-tools",
    "--allowedTools",
    "--betas",
    "--disallowed-tools",
    "--disallowedTools",
    "--file",
    "--mcp-config",
    "--tools",
];

/// The flags that take a value, unless the next argument is a flag.
const OPTIONAL: [&str; 13] = [
    "--cloud",
    "--debug",
    "--from-pr",
    "--prompt-suggestions",
    "--rc",
    "--remote",
    "--remote-control",
    "--resume",
    "--teleport",
    "--worktree",
    "-d",
    "-r",
    "-w",
];

/// The flags without a value, as claude's help lists them.
const SWITCHES: [&str; 28] = [
    "--allow-dangerously-skip-permissions",
    "--ax-screen-reader",
    "--background",
    "--bare",
    "--bg",
    "--brief",
    "--chrome",
    "--continue",
    "--dangerously-skip-permissions",
    "--desktop",
    "--disable-slash-commands",
    "--exclude-dynamic-system-prompt-sections",
    "--fork-session",
    "--forward-subagent-text",
    "--help",
    "--ide",
    "--include-hook-events",
    "--include-partial-messages",
    "--no-chrome",
    "--no-session-persistence",
    "--print",
    "--replay-user-messages",
    "--restricted",
    "--safe-mode",
    "--strict-mcp-config",
    "--tmux",
    "--verbose",
    "--version",
];

/// The short flags without a value. They may be written together, and before one with a value: `-cn NAME`.
const SHORT: &[u8] = b"chpv";

/// The subcommands that both observed clients, or one of them, know also behind flags.
const SUBCOMMANDS: [&str; 29] = [
    "agents",
    "auth",
    "auto-mode",
    "design-login",
    "doctor",
    "edit-chrome-settings",
    "edit-hook",
    "edit-memory-settings",
    "edit-permission-rules",
    "edit-sandbox-settings",
    "edit-skill-overrides",
    "gateway",
    "import",
    "import-conversations",
    "install",
    "mcp",
    "plugin",
    "plugins",
    "project",
    "purge",
    "rc",
    "remote-control",
    "sandbox",
    "setup-token",
    "ultrareview",
    "update",
    "upgrade",
    "workspace-trust",
    "worktree-hook",
];

/// What a flag does with the arguments behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Nothing.
    Nothing,
    /// The next one, whatever it is.
    One,
    /// The next one, whatever it is, and those behind it up to a flag.
    Several,
    /// The next one, where that is no flag.
    Optional,
    /// A flag that is not known here: nothing, or the next one.
    Unknown,
}

impl Takes {
    fn of(flag: &OsStr) -> Self {
        let bytes = flag.as_bytes();
        let is_in = |list: &[&str]| list.iter().any(|other| flag == *other);
        match bytes {
            _ if is_in(&VALUED) => Self::One,
            _ if is_in(&SEVERAL) => Self::Several,
            _ if is_in(&OPTIONAL) => Self::Optional,
            _ if is_in(&SWITCHES) => Self::Nothing,
            [b'-', b'-', rest @ ..] if rest.contains(&b'=') => Self::Nothing,
            [b'-', b'-', ..] => Self::Unknown,
            [b'-', first, rest @ ..] if SHORT.contains(first) => match rest {
                [] => Self::Nothing,
                rest => Self::of(OsStr::from_bytes(&[b"-", rest].concat())),
            },
            // Its value is joined to it: `-nNAME`.
            [b'-', _, _, ..] => Self::Nothing,
            _ => Self::Unknown,
        }
    }
}

fn is_flag(arg: &OsStr) -> bool {
    arg.as_bytes().len() > 1 && arg.as_bytes().starts_with(b"-")
}

/// Whether a flag of claude's needs a value. Claude takes the next argument as this value, even if it begins with a dash.
pub fn needs_value(flag: &OsStr) -> bool {
    matches!(Takes::of(flag), Takes::One | Takes::Several)
}

/// Whether a flag of claude's takes the next argument as its value, unless that begins with a dash.
pub fn may_have_value(flag: &OsStr) -> bool {
    Takes::of(flag) == Takes::Optional
}

/// Whether a flag of claude's never has a value.
pub fn is_switch(flag: &OsStr) -> bool {
    Takes::of(flag) == Takes::Nothing
}

/// Whether the argument at `index` is the value of a flag of claude's that needs one.
pub fn is_value(args: &[OsString], index: usize) -> bool {
    let mut at = 0;
    while at < index {
        at += if needs_value(&args[at]) { 2 } else { 1 };
    }
    at > index
}

/// Whether claude finds a subcommand in its arguments. Where a flag is not known here, the word behind it may be its value: then
/// the next word counts, too. So a subcommand's own arguments are never taken for a session's.
pub fn is_subcommand(args: &[OsString]) -> bool {
    let is_name = |arg: &OsString| SUBCOMMANDS.iter().any(|name| arg == name);
    let mut rest = args;
    while let [arg, behind @ ..] = rest {
        if arg == "--" {
            return behind.first().is_some_and(is_name);
        }
        if !is_flag(arg) {
            return is_name(arg);
        }
        let is_word = behind.first().is_some_and(|next| !is_flag(next));
        let taken = match Takes::of(arg) {
            Takes::Nothing => 0,
            Takes::One => 1,
            Takes::Several => 1 + behind.iter().skip(1).take_while(|next| !is_flag(next)).count(),
            Takes::Optional => usize::from(is_word),
            Takes::Unknown => usize::from(is_word && !behind.first().is_some_and(is_name)),
        };
        rest = behind.get(taken..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_value_is_the_argument_behind_its_flag() {
        let args = args(&["--model", "--model", "-p", "-n", "x", "-cn", "y", "-nz", "w"]);
        let expected = [false, true, false, false, true, false, true, false, false];
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8].map(|index| is_value(&args, index)), expected);
        assert!(VALUED.is_sorted() && SEVERAL.is_sorted() && OPTIONAL.is_sorted());
        assert!(SWITCHES.is_sorted() && SUBCOMMANDS.is_sorted());
    }

    #[test]
    fn the_subcommand_is_the_first_word_that_no_flag_takes() {
        for (line, expected) in [
            (&["--verbose", "mcp", "list"][..], true),
            (&["--debug", "mcp", "list"], false),
            (&["--debug", "api", "mcp"], true),
            (&["--debug=api", "mcp"], true),
            (&["-d", "mcp"], false),
            (&["-dapi", "mcp"], true),
            (&["-cd", "mcp"], false),
            (&["-cp", "mcp"], true),
            (&["-cn", "x", "mcp"], true),
            (&["-nx", "mcp"], true),
            (&["-r", "x", "mcp"], true),
            (&["--model", "opus", "mcp"], true),
            (&["--model", "-c", "mcp"], true),
            (&["--model", "mcp"], false),
            (&["--add-dir", "/tmp", "mcp"], false),
            (&["--add-dir=/tmp", "mcp"], true),
            (&["--tools", "", "mcp"], false),
            (&["--tools", "Bash", "--verbose", "mcp"], true),
            (&["--mcp-config", "{}", "--", "mcp"], true),
            (&["--verbose", "--", "hi", "mcp"], false),
            (&["--thinking", "adaptive", "mcp"], true),
            (&["--verbose", "hi", "mcp"], false),
            (&["--future", "mcp"], true),
            (&["--future", "value", "mcp"], true),
            (&["-", "mcp"], false),
            (&["--model", "opus", "fix the bug", "mcp"], false),
            (&["--model"], false),
            (&[], false),
        ] {
            assert_eq!(is_subcommand(&args(line)), expected, "{line:?}");
        }
    }
}
