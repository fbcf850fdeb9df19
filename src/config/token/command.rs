//! Runs a token command (promise C7).

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use super::{LONGEST, Token, TokenError, find_program};
use crate::system::descriptors::no_input_or_output;
use crate::system::environment::Environment;
use crate::system::error::plain;

/// The pause between two checks whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Runs a token command: no shell, no terminal (a session of its own), no input.
///
/// Its standard error is never read: a shell's `set -x`, for example, writes the token there. It is discarded, or goes directly
/// to the `terminal` of a user who asks to see it. For the same reason no message repeats the arguments. The output is complete
/// when the command has ended, even where another process still holds the pipe open.
pub(super) fn run(
    argv: &[String],
    environment: &Environment,
    limit: Duration,
    terminal: Option<Stdio>,
) -> Result<Token, TokenError> {
    let program = find_program(&argv[0], environment)?;
    let shown = format!("`{}`", argv[0]);
    let fail = |what: String| TokenError {
        what: format!("the token command {shown} {what}"),
        fix: "in a terminal, act-claude act check --all shows what it says".to_owned(),
    };
    let mut command = Command::new(program);
    command.args(&argv[1..]).env_clear().envs(environment.iter()).current_dir("/");
    command.stdin(no_input_or_output()).stdout(Stdio::piped()).stderr(terminal.unwrap_or_else(no_input_or_output));
    in_own_session(&mut command);
    let mut child = command.spawn().map_err(|error| fail(format!("cannot be started ({})", plain(&error))))?;
    let output = match child.stdout.take().ok_or(Errno::EBADF).and_then(Output::of) {
        Ok(output) => output,
        Err(error) => {
            end(&mut child);
            return Err(fail(format!("cannot be read ({})", error.desc())));
        }
    };
    let Some((status, output)) = wait(&mut child, output, limit) else {
        end(&mut child);
        return Err(fail(format!("took longer than {} s", limit.as_secs())));
    };
    match status.code() {
        Some(0) => {}
        Some(code) => return Err(fail(format!("failed with exit status {code}"))),
        None => return Err(fail("was killed".to_owned())),
    }
    let text = std::str::from_utf8(&output).map_err(|_| fail("gave something that is no API token".to_owned()))?;
    Token::new(text, &format!("the token command {shown}"))
}

/// Waits until the command has ended. Returns its exit status and its output until then; `None` where the time is over.
fn wait(child: &mut Child, mut output: Output, limit: Duration) -> Option<(ExitStatus, Zeroizing<Vec<u8>>)> {
    let deadline = Instant::now() + limit;
    loop {
        // Asked before the output is read: an ended command writes no more.
        let ended = child.try_wait().ok()?;
        output.read();
        if let Some(status) = ended {
            return Some((status, output.kept));
        }
        if Instant::now() >= deadline {
            return None;
        }
        output.pause(LOOK);
    }
}

/// Ends a command and its whole process group: it may have started other programs.
fn end(child: &mut Child) {
    let group = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    let _ = child.wait();
}

/// The output of a command, read without waiting for more.
struct Output {
    stream: ChildStdout,
    kept: Zeroizing<Vec<u8>>,
    has_ended: bool,
}

impl Output {
    fn of(stream: ChildStdout) -> Result<Self, Errno> {
        let flags = OFlag::from_bits_retain(fcntl(&stream, FcntlArg::F_GETFL)?);
        fcntl(&stream, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        // Has room for everything that is kept: a buffer that grows leaves copies behind.
        Ok(Self { stream, kept: Zeroizing::new(Vec::with_capacity(LONGEST * 2)), has_ended: false })
    }

    /// Reads the available output. Output beyond twice a token's length is discarded, so that a command with much output does not
    /// block.
    fn read(&mut self) {
        let mut buffer = Zeroizing::new([0; 4096]);
        // A limit for one call, so that the deadline is checked again.
        for _ in 0..256 {
            match self.stream.read(&mut buffer[..]) {
                Ok(0) => self.has_ended = true,
                Ok(count) => {
                    let room = (LONGEST * 2).saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&buffer[..count.min(room)]);
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => {}
            }
            return;
        }
    }

    /// Waits for more, or for `time`.
    fn pause(&self, time: Duration) {
        if self.has_ended {
            return std::thread::sleep(time);
        }
        let mut ready = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ready, PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO));
    }
}

#[allow(unsafe_code)]
fn in_own_session(command: &mut Command) {
    // SAFETY: setsid is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(argv: &[&str]) -> Result<String, String> {
        let argv: Vec<String> = argv.iter().map(|arg| arg.to_string()).collect();
        let environment: Environment = [("PATH", "/usr/bin:/bin")].into_iter().collect();
        // A short limit only where it is to be exceeded: a busy machine may need seconds to start a program.
        let limit = if argv.iter().any(|arg| arg == "sleep 60") { 1 } else { 60 };
        super::run(&argv, &environment, Duration::from_secs(limit), None)
            .map(|token| token.0.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn c7_tokens_from_commands() {
        assert_eq!(run(&["echo", "  abc "]).unwrap(), "abc");
        for (script, expected) in [
            ("sleep 60", "took longer than 1 s"),
            ("echo locked >&2; exit 3", "`sh` failed with exit status 3: in a terminal, act-claude act check"),
            ("true", "gave no token"),
            ("echo a; echo b", "gave more than one line"),
            ("yes | head -c 10000000 | tr -d '\\n'", "gave something that is no API token"),
            ("kill -9 $$", "was killed"),
            ("printf '\\377'", "gave something that is no API token"),
            // The command has neither a terminal nor input.
            ("cat; : </dev/tty && echo terminal", "failed with exit status"),
        ] {
            let error = run(&["sh", "-c", script]).unwrap_err();
            assert!(error.contains(expected), "{script}: {error}");
        }
        // A process that the command leaves behind keeps the output open, and lives on.
        assert_eq!(run(&["sh", "-c", "sleep 70 & echo abc"]).unwrap(), "abc");
        assert!(run(&["no-such-program"]).unwrap_err().contains("is not found"));
        // The command is not run through a shell.
        assert_eq!(run(&["echo", "$HOME"]).unwrap(), "$HOME");
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
