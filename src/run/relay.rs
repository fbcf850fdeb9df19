//! The supervisor's end of the relay: bound before claude starts, asked once claude has gone.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::Pid;

use crate::claude::carriers;
use crate::claude::ourselves::own_file;
use crate::launch::process::{Image, Prepared, RelayEnds, Role};
use crate::launch::signals;
use crate::launch::supervise::{Deferred, Supervisor};
use crate::relay::protocol::{self, FromRelay, Owed, RELAY_COMMAND, Start, ToRelay, WATCH};
use crate::state::outcome::Outcome;
use crate::system::descriptors;
use crate::system::environment::Environment;

/// A relay, started or soon to be.
#[derive(Debug)]
pub struct Relayed<'a> {
    control: UnixStream,
    /// The URL for claude.
    pub endpoint: String,
    state: State<'a>,
}

#[derive(Debug)]
enum State<'a> {
    Waiting(Waiting<'a>),
    Started,
    Failed(io::Error),
}

/// What a relay will be made of: a listener it will serve, where connections wait until then, and its end of the socket
/// to the supervisor.
#[derive(Debug)]
struct Waiting<'a> {
    listener: TcpListener,
    control: UnixStream,
    start: Box<Start>,
    command: Option<Pid>,
    environment: &'a Environment,
}

/// Whether somebody has connected and waits to be accepted. Where that can't be known: yes.
fn has_connection(listener: &TcpListener) -> bool {
    let mut ready = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO) != Ok(0)
}

impl<'a> Waiting<'a> {
    /// Makes what claude and the relay will need; claude may be started at once. With the supervisor's end of the socket,
    /// and the URL for claude.
    fn new(start: Start, environment: &'a Environment) -> io::Result<(Self, UnixStream, String)> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let endpoint = format!("http://{}{}", listener.local_addr()?, protocol::path(&start.secret));
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(PATIENCE))?;
        let waiting = Self { listener, control: theirs, start: Box::new(start), command: None, environment };
        Ok((waiting, ours, endpoint))
    }

    /// Whether nobody has connected to `endpoint` so far, nor can any more once `command` has gone.
    fn is_needless(&self, command: Pid, endpoint: &str) -> bool {
        !carriers::any_since(command.as_raw().cast_unsigned(), endpoint) && !has_connection(&self.listener)
    }

    /// Starts the relay in the role that is made of its descriptors; it gets a descriptor to watch, if there is one.
    fn start(
        self,
        control: &UnixStream,
        watched: Option<RawFd>,
        role: fn(RelayEnds) -> Role<'static>,
    ) -> io::Result<()> {
        send(control, &ToRelay::Start(self.start))?;
        if let Some(command) = self.command {
            send(control, &ToRelay::Command { pid: command.as_raw() })?;
        }
        let args: Vec<OsString> =
            ["act", RELAY_COMMAND].into_iter().chain(watched.map(|_| WATCH)).map(OsString::from).collect();
        let image = Image::new(&own_file(), OsStr::new("act-claude"), &args, self.environment)?;
        let prepared = Prepared::new(&image)?;
        let ends = RelayEnds { listener: self.listener.as_raw_fd(), control: self.control.as_raw_fd(), watched };
        // Our handlers must not run in the relay before it has its own.
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals::handled()), Some(&mut mask))?;
        let started = prepared.spawn(role(ends));
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        started.map(drop)
    }
}

/// Claude's first steps have the machine to themselves; a relay that nobody needed is never started.
impl Deferred for Relayed<'_> {
    fn needed(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Waiting(waiting) => Some(waiting.listener.as_fd()),
            State::Started | State::Failed(_) => None,
        }
    }

    /// Where it can't be started the listener goes: claude's exports are refused at once, instead of waited for.
    fn start(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Started) {
            State::Waiting(waiting) => match waiting.start(&self.control, None, Role::Relay) {
                Ok(()) => State::Started,
                Err(error) => State::Failed(error),
            },
            state => state,
        };
    }
}

/// How much longer than the relay the supervisor waits, for the answer to arrive.
const GRACE: Duration = Duration::from_millis(150);
/// How long a relay gets to take a message. It reads at once; a stopped one must not hold claude.
const PATIENCE: Duration = Duration::from_millis(500);

/// A path component that can't be guessed: 128 bits, in hex.
pub fn secret() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Starts a relay that nobody asks and that watches what this process becomes. Returns the URL for claude.
pub fn orphan(start: Start, environment: &Environment) -> io::Result<String> {
    let watched = descriptors::own_descriptor()?;
    let (mut waiting, ours, endpoint) = Waiting::new(start, environment)?;
    waiting.command = Some(nix::unistd::getpid());
    waiting.start(&ours, watched.as_ref().map(AsRawFd::as_raw_fd), Role::Orphan)?;
    Ok(endpoint)
}

fn send(mut control: &UnixStream, message: &ToRelay) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    control.write_all(&line)
}

impl<'a> Relayed<'a> {
    /// What claude needs of a relay; the supervisor starts it when it is due.
    pub fn prepare(start: Start, environment: &'a Environment) -> io::Result<Self> {
        let (waiting, control, endpoint) = Waiting::new(start, environment)?;
        Ok(Self { control, endpoint, state: State::Waiting(waiting) })
    }

    /// Notes for the relay whose exports it relays.
    pub fn watch(&mut self, command: Pid) {
        if let State::Waiting(waiting) = &mut self.state {
            waiting.command = Some(command);
        }
    }

    /// Asks, once claude has gone, what became of its exports; waits at most `limit`, and no longer than until
    /// the next signal. `None`: the relay did not answer. An error: it could not be started.
    pub fn outcome(
        &mut self,
        supervisor: &mut Supervisor,
        limit: Duration,
        owed: Option<Owed>,
    ) -> io::Result<Option<Outcome>> {
        if matches!(&self.state, State::Waiting(waiting) if waiting.is_needless(supervisor.command(), &self.endpoint)) {
            return Ok(Some(Outcome::default()));
        }
        supervisor.let_go();
        self.start();
        match std::mem::replace(&mut self.state, State::Started) {
            State::Failed(error) => Err(error),
            State::Waiting(_) | State::Started => Ok(self.ask(supervisor, limit, owed)),
        }
    }

    fn ask(&self, supervisor: &mut Supervisor, limit: Duration, owed: Option<Owed>) -> Option<Outcome> {
        let wait_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        send(&self.control, &ToRelay::Ended { wait_ms, owed }).ok()?;
        if !supervisor.wait_for(&self.control, limit + GRACE) {
            // Interrupted: what is known now will do.
            send(&self.control, &ToRelay::Ended { wait_ms: 0, owed: None }).ok()?;
            if !supervisor.wait_for(&self.control, GRACE) {
                return None;
            }
        }
        self.control.set_read_timeout(Some(PATIENCE)).ok()?;
        let deadline = Instant::now() + PATIENCE;
        let mut line = String::new();
        let mut reader = BufReader::new(&self.control);
        while Instant::now() < deadline && reader.read_line(&mut line).ok()? > 0 {
            if let Ok(FromRelay::Outcome(outcome)) = serde_json::from_str(&line) {
                return Some(*outcome);
            }
            line.clear();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_is_seen() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert!(!has_connection(&listener));
        // Gone again: what it sent waits there all the same.
        drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        assert!(has_connection(&listener));
    }

    #[test]
    fn no_secret_is_another_s() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, other);
        assert!(
            [&one, &other].iter().all(|secret| secret.len() == 32 && secret.bytes().all(|b| b.is_ascii_hexdigit()))
        );
    }
}
