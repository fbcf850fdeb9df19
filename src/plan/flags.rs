//! Splits the command line: takes our own flags out, and leaves everything else unchanged (pure).
//!
//! Own flags have one name each; a value follows as the next argument or after `=`. They precede claude's arguments or, for a
//! session without a bare `--`, follow them. A word that is the value of one of claude's flags is claude's. Nothing else is
//! interpreted, so that no flag of claude's, known today or not, is altered.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::claude::arguments::{Call, call};
use crate::claude::operand::is_value;
use crate::config::typed::secret::quoted;
use crate::config::when::When;

/// An own flag: its spelling and its explanation.
#[derive(Debug, PartialEq, Eq)]
pub struct OwnFlag {
    /// Its name, with the dashes.
    pub name: &'static str,
    /// The name of its value, where it has one.
    pub value: Option<&'static str>,
    /// What it does.
    pub about: &'static str,
    /// The variable with the same effect.
    pub variable: Option<&'static str>,
}

/// The own flags, in the order shown to users.
pub const FLAGS: [OwnFlag; 5] = [
    OwnFlag {
        name: "--alias",
        value: Some("NAME"),
        about: "use this alias for this run",
        variable: Some("ACT_CLAUDE_ALIAS"),
    },
    OwnFlag {
        name: "--verify",
        value: None,
        about: "start in debug mode, follow the log, and say at the end whether the session reports, also as exit status",
        variable: None,
    },
    OwnFlag {
        name: "--direct",
        value: None,
        about: "let claude send to ACT itself, by the documented variables, without the relay",
        variable: None,
    },
    OwnFlag {
        name: "--no-act",
        value: None,
        about: "add nothing to claude: it sends metrics only where its own settings say so",
        variable: Some("ACT_CLAUDE=off"),
    },
    OwnFlag {
        name: "--report",
        value: Some("WHEN"),
        about: "when to report: auto (where it helps), always, never, or json (one JSON object, always)",
        variable: Some("ACT_CLAUDE_REPORT"),
    },
];

/// Own flags of one run; a flag that is absent falls back to the environment, then to the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--alias NAME`
    pub alias: Option<String>,
    /// `--verify`
    pub verify: bool,
    /// `--direct`
    pub direct: bool,
    /// `--no-act`
    pub no_act: bool,
    /// `--report WHEN`
    pub report: Option<When>,
}

impl Flags {
    /// Whether a flag needs the alias before claude starts, even where claude's own directory would decide later.
    pub fn decides_at_start(&self) -> bool {
        self.alias.is_some() || self.verify || self.direct
    }
}

/// The form of use that the arguments choose.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// `act-claude act …`: the arguments after `act`.
    Act(Vec<OsString>),
    /// `act-claude /abs/path/to/claude …`: the process-wrapper form of Claude Code and of its editors.
    Launcher {
        /// The executable named by the caller.
        claude: PathBuf,
        /// Its arguments, to be handed over unchanged.
        args: Vec<OsString>,
    },
    /// Anything else: claude, with our own flags removed.
    Run {
        /// Own flags.
        flags: Flags,
        /// Claude's arguments, in order, byte for byte.
        args: Vec<OsString>,
    },
}

/// An invalid command line; exit status 64.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    /// An own flag without its value.
    MissingValue(&'static str),
    /// A value that is none of the valid ones.
    BadValue {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingValue("--alias") => write!(
                out,
                "--alias needs the NAME of an alias: act-claude --alias NAME (act-claude act aliases lists them)"
            ),
            Self::MissingValue(flag) => {
                write!(out, "{flag} needs one of {}", When::NAMES.join(", "))
            }
            Self::BadValue { flag, value } => {
                write!(out, "{flag} {} is not one of {}", quoted(value), When::NAMES.join(", "))?;
                match crate::text::nearest::nearest(value, When::NAMES) {
                    // A flag, or the variable that stands for it.
                    Some(name) => {
                        write!(out, ": did you mean {flag}{}{name}?", if flag.starts_with('-') { ' ' } else { '=' })
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

/// Splits `args` (without argv\[0\]). `is_executable` tells, for the launcher form, whether an absolute path is an executable
/// file.
pub fn parse(args: Vec<OsString>, is_executable: impl Fn(&Path) -> bool) -> Result<Invocation, UsageError> {
    match args.first() {
        Some(first) if first == "act" => {
            return Ok(Invocation::Act(args.into_iter().skip(1).collect()));
        }
        Some(first) if Path::new(first).is_absolute() && is_executable(Path::new(first)) => {
            return Ok(Invocation::Launcher { claude: PathBuf::from(first), args: args.into_iter().skip(1).collect() });
        }
        _ => {}
    }
    let mut flags = Flags::default();
    let mut start = 0;
    while let Some((flag, value)) = args.get(start).and_then(|arg| own_flag(arg)) {
        start += 1;
        match value {
            Some(value) => set_value(&mut flags, flag.name, Some(value))?,
            None if flag.value.is_some() => {
                set_value(&mut flags, flag.name, args.get(start).map(OsString::as_os_str))?;
                start += 1;
            }
            None => set_switch(&mut flags, flag),
        }
    }
    let end = start + trailing(&args[start..], &mut flags)?;
    let args = args.into_iter().take(end).skip(start).collect();
    Ok(Invocation::Run { flags, args })
}

/// Takes the own flags behind claude's arguments, backwards from the end. Returns how many arguments are left. The last one of a
/// repeated flag applies, even if others are in front.
fn trailing(args: &[OsString], flags: &mut Flags) -> Result<usize, UsageError> {
    let mut end = args.len();
    if call(args) == Call::Word || args.iter().any(|arg| arg == "--") {
        return Ok(end);
    }
    let own = |at: Option<usize>| at.filter(|&at| !is_value(args, at)).and_then(|at| own_flag(&args[at]));
    let mut valued = Vec::new();
    loop {
        match (own(end.checked_sub(1)), own(end.checked_sub(2))) {
            (Some((flag, Some(value))), _) => {
                valued.push((flag.name, value));
                end -= 1;
            }
            (Some((flag, None)), _) if flag.value.is_some() => return Err(UsageError::MissingValue(flag.name)),
            (Some((flag, None)), _) => {
                set_switch(flags, flag);
                end -= 1;
            }
            (None, Some((flag, None))) if flag.value.is_some() => {
                valued.push((flag.name, args[end - 1].as_os_str()));
                end -= 2;
            }
            _ => break,
        }
    }
    for (flag, value) in valued.into_iter().rev() {
        set_value(flags, flag, Some(value))?;
    }
    Ok(end)
}

/// The own flag that an argument is, and the value after its `=`, where it has one. A switch takes no value.
pub fn own_flag(arg: &OsStr) -> Option<(&'static OwnFlag, Option<&OsStr>)> {
    FLAGS.iter().find_map(|flag| {
        let rest = arg.as_bytes().strip_prefix(flag.name.as_bytes())?;
        match (rest, flag.value) {
            ([], _) => Some((flag, None)),
            ([b'=', value @ ..], Some(_)) => Some((flag, Some(OsStr::from_bytes(value)))),
            _ => None,
        }
    })
}

fn set_switch(flags: &mut Flags, flag: &OwnFlag) {
    match flag.name {
        "--verify" => flags.verify = true,
        "--direct" => flags.direct = true,
        _ => flags.no_act = true,
    }
}

fn set_value(flags: &mut Flags, flag: &'static str, value: Option<&OsStr>) -> Result<(), UsageError> {
    // No alias name starts with a dash: in `--alias --verify` the name is missing.
    let value = value
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| !value.is_empty() && !value.starts_with('-'))
        .ok_or(UsageError::MissingValue(flag))?;
    if flag == "--alias" {
        flags.alias = Some(value);
    } else {
        flags.report = Some(When::parse(&value).ok_or(UsageError::BadValue { flag, value })?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn run(line: &[&str]) -> Result<(Flags, Vec<String>), UsageError> {
        let args = line.iter().map(OsString::from).collect();
        match parse(args, |_| false)? {
            Invocation::Run { flags, args } => {
                Ok((flags, args.into_iter().map(|arg| arg.into_string().expect("text")).collect()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn own_flags_stand_in_front_or_at_the_end_of_a_session() {
        let verify = Flags { verify: true, ..Flags::default() };
        let billing = Flags { alias: Some("billing".into()), ..Flags::default() };
        let never = Flags { verify: true, report: Some(When::Never), ..Flags::default() };
        for (line, flags, rest) in [
            (&["--verify", "-p", "hi"][..], &verify, &["-p", "hi"][..]),
            (&["-p", "hi", "--verify"], &verify, &["-p", "hi"]),
            (&["--verify"], &verify, &[]),
            (&["--alias", "billing"], &billing, &[]),
            (&["--alias", "billing", "mcp", "list"], &billing, &["mcp", "list"]),
            (&["fix the bug", "--alias", "billing"], &billing, &["fix the bug"]),
            (&["--bg", "hello", "--alias", "billing"], &billing, &["--bg", "hello"]),
            // The last flag has precedence over the one in front.
            (&["--alias", "a", "-p", "x", "--alias", "billing"], &billing, &["-p", "x"]),
            (&["-p", "x", "--alias", "a", "--alias", "billing"], &billing, &["-p", "x"]),
            // The value may follow after "=".
            (&["--alias=billing", "-p", "hi"], &billing, &["-p", "hi"]),
            (&["--alias=billing"], &billing, &[]),
            (&["--alias=billing", "mcp", "list"], &billing, &["mcp", "list"]),
            (&["-p", "hi", "--alias=billing"], &billing, &["-p", "hi"]),
            (&["--alias=a", "-p", "x", "--alias", "b", "--alias=billing"], &billing, &["-p", "x"]),
            (&["-p", "x", "--alias=a", "--alias", "billing"], &billing, &["-p", "x"]),
            (&["-p", "x", "--verify", "--report=never"], &never, &["-p", "x"]),
            // The value of a flag of claude's is only the argument directly behind it.
            (&["--model", "opus", "--alias=billing"], &billing, &["--model", "opus"]),
            (&["--model", "--model", "--alias=billing"], &billing, &["--model", "--model"]),
            // No subcommand: the word is a flag's value, or a prompt.
            (&["--debug", "mcp", "--alias=billing"], &billing, &["--debug", "mcp"]),
            (&["-p", "mcp", "--alias=billing"], &billing, &["-p", "mcp"]),
            (&["--verbose", "hello", "--alias=billing"], &billing, &["--verbose", "hello"]),
        ] {
            assert_eq!(run(line).unwrap(), (flags.clone(), rest.iter().map(|s| s.to_string()).collect()), "{line:?}");
        }
    }

    #[test]
    fn everything_else_reaches_claude() {
        for line in [
            &["mcp", "add", "x", "--verify"][..],
            &["hello", "--alias", "billing"],
            &["-p", "--", "--verify"],
            &["-p", "--verify", "hi"],
            &["-p", "x", "--verify=1"],
            &["--", "--alias", "billing"],
            &["--", "--alias=billing"],
            &["-p", "--", "--report=json"],
            &["-p", "--alias=billing", "hi"],
            &["mcp", "add", "x", "--alias=billing"],
            &["hello", "--report=json"],
            &["-p", "--aliases=billing"],
            // Claude takes the argument behind such a flag as its value, whatever it is.
            &["-p", "hi", "--append-system-prompt", "--alias=billing"],
            &["-p", "hi", "--append-system-prompt", "--verify"],
            &["--name", "--alias", "billing"],
            &["-n", "--alias"],
            // They are a subcommand's arguments, which claude finds behind its flags.
            &["--verbose", "mcp", "add", "x", "cmd", "--alias=x"],
            &["--debug=api", "plugin", "eval", "--report", "json"],
            &["--model", "opus", "mcp", "add", "x", "cmd", "--verify"],
            &["-cn", "--alias"],
            &["config", "act"],
            &["-p", "", "x"],
        ] {
            let (flags, rest) = run(line).unwrap();
            assert_eq!(
                (flags, &rest[..]),
                (Flags::default(), &line.iter().map(|s| s.to_string()).collect::<Vec<_>>()[..])
            );
        }
        let bytes = OsString::from_vec(b"\xff\xfe".to_vec());
        let parsed = parse(vec!["-p".into(), bytes.clone()], |_| false).unwrap();
        assert_eq!(parsed, Invocation::Run { flags: Flags::default(), args: vec!["-p".into(), bytes] });
    }

    #[test]
    fn a_flag_without_its_value_is_an_error() {
        for line in [
            &["--alias"][..],
            &["-p", "hi", "--alias"],
            &["--alias", "--verify"],
            &["--alias", ""],
            &["--alias="],
            &["-p", "hi", "--alias="],
            &["--alias=-x"],
        ] {
            assert_eq!(run(line).unwrap_err(), UsageError::MissingValue("--alias"), "{line:?}");
        }
        for line in [&["--report", "alway"][..], &["--report=alway"], &["-p", "hi", "--report=alway"]] {
            let error = run(line).unwrap_err().to_string();
            let expected = "--report \"alway\" is not one of auto, always, never, json: did you mean --report always?";
            assert_eq!(error, expected, "{line:?}");
        }
    }

    #[test]
    fn act_and_launcher_only_as_the_very_first_argument() {
        let args = |line: &[&str]| line.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            parse(args(&["act", "which", "--json"]), |_| false).unwrap(),
            Invocation::Act(args(&["which", "--json"]))
        );
        assert_eq!(
            parse(args(&["/bin/claude", "--verify"]), |_| true).unwrap(),
            Invocation::Launcher { claude: "/bin/claude".into(), args: args(&["--verify"]) }
        );
        assert!(matches!(parse(args(&["/commit"]), |_| false).unwrap(), Invocation::Run { .. }));
        assert!(matches!(parse(args(&["--direct", "act"]), |_| false).unwrap(), Invocation::Run { .. }));
    }
}
