//! The supervisor's end of the relay: bound before claude starts, asked once claude has gone.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use crate::claude::locate::own_file;
use crate::environment::Environment;
use crate::outcome::Outcome;
use crate::protocol::{self, FromRelay, RELAY_COMMAND, Start, ToRelay, WATCH};

use super::descriptors;
use super::process::{Image, Prepared, Role};
use super::supervise::Supervisor;

/// A relay: forked, and soon awake.
#[derive(Debug)]
pub struct Relayed {
    control: UnixStream,
    /// The URL for claude.
    pub endpoint: String,
    /// As long as it may still sleep; given up by whoever sees it awake.
    pub nap: Option<Nap>,
}

/// A relay that has not begun to work, and the listener it will serve.
#[derive(Debug)]
pub struct Nap {
    /// Readable once it is awake.
    awake: OwnedFd,
    listener: TcpListener,
}

impl Nap {
    /// Whether nobody has connected so far. Asked once claude has gone, that is for good.
    fn is_undisturbed(&self) -> bool {
        // In this order: what arrives in between wakes the relay.
        !is_readable(&self.listener) && !is_readable(&self.awake)
    }
}

impl AsFd for Nap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.awake.as_fd()
    }
}

fn is_readable(descriptor: &impl AsFd) -> bool {
    let mut ready = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO) != Ok(0)
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

impl Relayed {
    /// Binds the loopback listener and forks the relay, which serves it. Claude may be started at once:
    /// connections wait in the listener until the relay accepts them. An `orphan` is no child of this process.
    pub fn start(start: Start, environment: &Environment, orphan: bool) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let endpoint = format!("http://{}{}", listener.local_addr()?, protocol::path(&start.secret));
        let (control, theirs) = UnixStream::pair()?;
        control.set_write_timeout(Some(PATIENCE))?;
        let watched = if orphan { descriptors::own_descriptor()? } else { None };
        let words: &[&str] = if watched.is_some() { &["act", RELAY_COMMAND, WATCH] } else { &["act", RELAY_COMMAND] };
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        let image = Image::new(&own_file(), OsStr::new("act-claude"), &args, environment)?;
        let role = Role::Relay {
            listener: listener.as_raw_fd(),
            control: theirs.as_raw_fd(),
            watched: watched.as_ref().map(AsRawFd::as_raw_fd),
            orphan,
        };
        let awake = Prepared::new(&image)?.spawn_napping(role)?;
        let mut relayed = Self { control, endpoint, nap: Some(Nap { awake, listener }) };
        relayed.send(&ToRelay::Start(Box::new(start)))?;
        Ok(relayed)
    }

    /// Tells the relay whose exports it relays.
    pub fn watch(&mut self, command: Pid) {
        let _ = self.send(&ToRelay::Command { pid: command.as_raw() });
    }

    /// Asks, once claude has gone, what became of its exports; waits at most `limit`, and no longer than until
    /// the next signal. `None`: the relay did not answer.
    pub fn outcome(&mut self, supervisor: &Supervisor, limit: Duration) -> Option<Outcome> {
        if self.nap.take().is_some_and(|nap| nap.is_undisturbed()) {
            return Some(Outcome::default());
        }
        let wait_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.send(&ToRelay::Ended { wait_ms }).ok()?;
        if !supervisor.wait_for(&self.control, limit + GRACE) {
            // Interrupted: what is known now will do.
            self.send(&ToRelay::Ended { wait_ms: 0 }).ok()?;
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

    fn send(&mut self, message: &ToRelay) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.control.write_all(&line)
    }
}
