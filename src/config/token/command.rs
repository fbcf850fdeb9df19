//! Runs a token command (promise C7), or one that prints a header's value.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use zeroize::Zeroizing;

use super::wanted::Wanted;
use super::{LONGEST, TokenError};
use crate::config::typed::secret::value;
use crate::system::child::{self, Bounds, ChildError, Kept};
use crate::system::descriptors::no_input_or_output;
use crate::system::environment::Environment;
use crate::system::error::plain;

/// Runs a command that prints a secret: no shell, no terminal (a session of its own), no input.
///
/// Its standard error is never read: a shell's `set -x`, for example, writes the secret there. It is discarded, or goes directly
/// to the `terminal` of a user who asks to see it. For the same reason no message repeats the arguments. The output is complete
/// when the command has ended, even where another process still holds the pipe open.
pub(super) fn run(
    wanted: Wanted<'_>,
    argv: &[String],
    environment: &Environment,
    limit: Duration,
    terminal: Option<Stdio>,
) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let program = find(wanted, &argv[0], environment)?;
    let fail = |what: String| TokenError {
        what: format!("{} {what}", wanted.command(&format!("`{}`", value(&argv[0])))),
        fix: wanted.seen().to_owned(),
    };
    let mut command = Command::new(program);
    command.args(&argv[1..]).env_clear().envs(environment.iter()).current_dir("/");
    command.stderr(terminal.unwrap_or_else(no_input_or_output));
    // More than a secret's greatest length is read, so that a longer output is noticed, and refused with that reason.
    let bounds = Bounds { time: limit, bytes: LONGEST * 2 };
    let finished = child::run(&mut command, b"", Kept::Output, bounds).map_err(|error| match error {
        ChildError::Start(error) => fail(format!("cannot be started ({})", plain(&error))),
        ChildError::Watch(error) => fail(format!("cannot be read ({})", plain(&error))),
        ChildError::Late => fail(format!("took longer than {} s", limit.as_secs())),
    })?;
    match finished.status.code() {
        Some(0) => Ok(finished.bytes),
        Some(code) => Err(fail(format!("failed with exit status {code}"))),
        None => Err(fail("was killed".to_owned())),
    }
}

/// The path of the program.
pub(super) fn find(wanted: Wanted<'_>, program: &str, environment: &Environment) -> Result<PathBuf, TokenError> {
    which::which_in(program, environment.get("PATH"), "/").map_err(|_| TokenError {
        what: format!("{} is not found, or is not executable", wanted.command(&value(program))),
        fix: "correct \"command\" in the configuration, or install it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Token;
    use super::super::given::Given;
    use super::*;
    use crate::config::values::TokenSource;

    fn run(argv: &[&str]) -> Result<String, String> {
        let argv: Vec<String> = argv.iter().map(|arg| arg.to_string()).collect();
        let environment: Environment = [("PATH", "/usr/bin:/bin")].into_iter().collect();
        // A short limit only where it is to be exceeded: a busy machine may need seconds to start a program.
        let limit = if argv.iter().any(|arg| arg == "sleep 60") { 1 } else { 60 };
        super::run(Wanted::Token, &argv, &environment, Duration::from_secs(limit), None)
            .and_then(|bytes| {
                let text = Zeroizing::new(std::str::from_utf8(&bytes).unwrap_or("\u{0}").to_owned());
                Token::new(&Given { text, wanted: Wanted::Token, source: &TokenSource::Command(argv) })
            })
            .map(|token| token.0.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn c7_tokens_from_commands() {
        assert_eq!(run(&["echo", "  abc "]).unwrap(), "abc");
        for (script, expected) in [
            ("sleep 60", "took longer than 1 s"),
            ("echo locked >&2; exit 3", "`sh` failed with exit status 3: in a terminal, act-claude act check"),
            ("true", "printed no token"),
            ("echo a; echo b", "printed more than one line"),
            ("yes | head -c 10000000 | tr -d '\\n'", "printed something that is not an API token"),
            ("kill -9 $$", "was killed"),
            ("printf '\\377'", "printed something that is not an API token"),
            // The command has neither a terminal nor input.
            ("cat; : </dev/tty && echo terminal", "failed with exit status"),
        ] {
            let error = run(&["sh", "-c", script]).unwrap_err();
            assert!(error.contains(expected), "{script}: {error}");
        }
        // A process that the command leaves behind keeps the output open, and is not ended.
        assert_eq!(run(&["sh", "-c", "sleep 70 & echo abc"]).unwrap(), "abc");
        assert!(run(&["no-such-program"]).unwrap_err().contains("is not found"));
        // The command is not run through a shell.
        assert!(run(&["echo", "$HOME"]).unwrap_err().contains("printed a variable's name instead of its value"));
    }

    /// No message repeats the output or the arguments, for any kind of failure.
    #[test]
    fn c7_no_message_repeats_what_may_be_the_token() {
        for script in [
            "set -x; : canary; exit 1",
            "echo canary >&2; exit 0",
            "echo canary; exit 3",
            "echo canary; echo canary",
            "printf 'canary \\377'",
            "echo canary two",
            "echo canary >&2; kill -9 $$",
        ] {
            let error = run(&["sh", "-c", script]).unwrap_err();
            assert!(!error.contains("canary") && error.contains("the token command `sh` "), "{script}: {error}");
        }
    }
}
