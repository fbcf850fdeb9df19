//! Runs a child under a deadline.
//!
//! A child gets a session of its own, so it has no terminal. At the deadline the whole session is killed: the child, and the
//! processes that it has started. If the child ends before, those processes are not waited for, even where they keep its
//! output open.
//!
//! One output stream of the child is read. Its beginning is kept, and overwritten in memory when it is dropped, because it may
//! be a token. The rest is read and discarded, so that a child which writes much does not block.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use zeroize::Zeroizing;

use super::descriptors::no_input_or_output;

/// The time between two checks whether the child has ended.
const LOOK: Duration = Duration::from_millis(5);

/// The limits on a child.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long it may take.
    pub time: Duration,
    /// How many bytes of its output are kept.
    pub bytes: usize,
}

/// The stream that is read. The caller's `Command` says where the other one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// A child that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// The beginning of what it wrote to the stream until it ended.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Why a child has no exit status.
#[derive(Debug)]
pub enum ChildError {
    /// It can't be started.
    Start(io::Error),
    /// Its output can't be read, or it can't be waited for. It was killed.
    Watch(io::Error),
    /// It took longer than its limit. It was killed.
    Late,
}

/// Runs `command` until it ends. Its standard input is `input`, which must fit into a pipe (4 KiB on every system). Where that
/// is empty, it has no input.
///
/// # Errors
///
/// The child can't be started or watched, or it takes longer than `bounds` say.
pub fn run(command: &mut Command, input: &[u8], kept: Kept, bounds: Bounds) -> Result<Finished, ChildError> {
    command.stdin(if input.is_empty() { no_input_or_output() } else { Stdio::piped() });
    match kept {
        Kept::Output => command.stdout(Stdio::piped()),
        Kept::Errors => command.stderr(Stdio::piped()),
    };
    in_own_session(command);
    let mut child = command.spawn().map_err(ChildError::Start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // An error means that the child does not read its input. Its exit status says more than the error.
        let _ = stdin.write_all(input);
    }
    let finished = watch(&mut child, kept, bounds);
    if finished.is_err() {
        end(&mut child);
    }
    finished
}

fn watch(child: &mut Child, kept: Kept, bounds: Bounds) -> Result<Finished, ChildError> {
    let stream = match kept {
        Kept::Output => child.stdout.take().map(OwnedFd::from),
        Kept::Errors => child.stderr.take().map(OwnedFd::from),
    };
    let mut stream = Stream::of(stream.ok_or(ChildError::Watch(io::ErrorKind::NotFound.into()))?, bounds.bytes)?;
    let deadline = Instant::now() + bounds.time;
    loop {
        // The child is checked before its output is read. So the output is complete where it has ended.
        let ended = child.try_wait().map_err(ChildError::Watch)?;
        stream.read();
        if let Some(status) = ended {
            return Ok(Finished { status, bytes: stream.kept });
        }
        if Instant::now() >= deadline {
            return Err(ChildError::Late);
        }
        stream.pause(LOOK);
    }
}

/// Kills a child and all processes of its session.
fn end(child: &mut Child) {
    // The child is not reaped yet, so no other process has its pid.
    let _ = killpg(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    let _ = child.wait();
}

/// The stream of a child that is read, without waiting for more.
struct Stream {
    source: File,
    kept: Zeroizing<Vec<u8>>,
    most: usize,
    has_ended: bool,
}

impl Stream {
    fn of(source: OwnedFd, most: usize) -> Result<Self, ChildError> {
        let flags = fcntl(&source, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
        let set = flags.and_then(|flags| fcntl(&source, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)));
        set.map_err(|errno| ChildError::Watch(errno.into()))?;
        // The buffer has room for all that is kept: one that grows would leave copies of its content in memory.
        let kept = Zeroizing::new(Vec::with_capacity(most));
        Ok(Self { source: source.into(), kept, most, has_ended: false })
    }

    /// Reads what has been written so far.
    fn read(&mut self) {
        let mut buffer = Zeroizing::new([0; 4096]);
        // A child may write faster than this loop reads. So it ends after 1 MiB, and the caller checks the time.
        for _ in 0..256 {
            match self.source.read(&mut buffer[..]) {
                Ok(0) => self.has_ended = true,
                Ok(count) => {
                    let room = self.most.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&buffer[..count.min(room)]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {}
            }
            return;
        }
    }

    /// Waits until there is more to read, for `time` at most.
    fn pause(&self, time: Duration) {
        if self.has_ended {
            return std::thread::sleep(time);
        }
        let mut ready = [PollFd::new(self.source.as_fd(), PollFlags::POLLIN)];
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

    /// Long enough for a busy machine to start a program.
    const LONG: Bounds = Bounds { time: Duration::from_secs(60), bytes: 8 };

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(no_input_or_output()).stderr(no_input_or_output());
        command
    }

    #[test]
    fn the_beginning_of_one_stream_is_kept() {
        let run = |script: &str, input: &[u8], kept| {
            let finished = super::run(&mut shell(script), input, kept, LONG).unwrap();
            (finished.status.code(), String::from_utf8(finished.bytes.to_vec()).unwrap())
        };
        assert_eq!(run("cat; echo no >&2; exit 3", b"input", Kept::Output), (Some(3), "input".to_owned()));
        assert_eq!(run("cat; echo no >&2", b"input", Kept::Errors), (Some(0), "no\n".to_owned()));
        assert_eq!(run("cat", b"", Kept::Output), (Some(0), String::new()));
        // A child that writes more than a pipe holds, and one that does not read its input.
        assert_eq!(run("yes | head -c 1000000", b"input", Kept::Output), (Some(0), "y\n".repeat(4)));
        assert!(matches!(
            super::run(&mut Command::new("/none"), b"", Kept::Output, LONG),
            Err(ChildError::Start(error)) if error.kind() == io::ErrorKind::NotFound
        ));
    }

    #[test]
    fn what_it_leaves_behind_is_neither_waited_for_nor_killed() {
        let finished = run(&mut shell("sleep 70 & echo $!"), b"", Kept::Output, LONG).unwrap();
        let pid: i32 = std::str::from_utf8(&finished.bytes).unwrap().trim().parse().unwrap();
        // It is still alive.
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }

    #[test]
    fn at_the_deadline_all_of_it_is_killed() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut command = shell("sleep 60 & sleep 60");
        command.stderr(writer);
        let start = Instant::now();
        let bounds = Bounds { time: Duration::from_millis(300), bytes: 0 };
        assert!(matches!(run(&mut command, b"", Kept::Output, bounds), Err(ChildError::Late)));
        drop(command);
        // It ends when nobody holds its other end any more.
        reader.read_to_end(&mut Vec::new()).unwrap();
        assert!(start.elapsed() < Duration::from_secs(50));
    }
}
