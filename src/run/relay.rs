//! The supervisor's side of the relay: it is prepared before claude starts, and asked for the outcome once claude has ended.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::Pid;

use crate::claude::carriers;
use crate::claude::ourselves::own_file;
use crate::launch::process::{Descriptors, Image, Prepared, Role};
use crate::launch::signals;
use crate::launch::supervise::{Deferred, Supervisor};
use crate::relay;
use crate::relay::guard::Replacements;
use crate::relay::journal::{self, Counter, Journal};
use crate::relay::protocol::{self, Answer, CONTINUE, ExpectedExport, FromRelay, RELAY_COMMAND, Start, ToRelay, WATCH};
use crate::system::environment::Environment;
use crate::system::{descriptors, shared_memory};

/// A relay that is started, or will be.
#[derive(Debug)]
pub struct Relayed<'a> {
    /// The URL for claude.
    pub endpoint: String,
    source: Source<'a>,
    state: Phase,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    /// Holds our end of the socket to it.
    Started(UnixStream),
    /// It has ended, and another one is started at this time.
    Pausing(Instant),
    Failed(io::Error),
    /// It has ended, and another one would not help.
    Lost,
}

/// Everything that is needed to start relays. It is kept, so that a relay that was killed along with its guard can be replaced.
#[derive(Debug)]
struct Source<'a> {
    /// Connections wait here until a relay accepts them. `None`: they are refused.
    listener: Option<TcpListener>,
    start: ToRelay,
    command: Option<Command>,
    environment: &'a Environment,
    /// The memory that one relay leaves to the next.
    journal: Option<OwnedFd>,
    /// The replacements so far.
    replacements: Option<Replacements>,
}

/// The claude process.
#[derive(Debug)]
struct Command {
    pid: Pid,
    /// A descriptor of it, where the system has such descriptors.
    watched: Option<OwnedFd>,
}

impl<'a> Source<'a> {
    /// Prepares what claude and the relay will need, so that claude can be started at once. Also returns the URL for claude.
    fn new(start: Start, environment: &'a Environment) -> io::Result<(Self, String)> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let endpoint = format!("http://{}{}", listener.local_addr()?, protocol::path(&start.secret));
        let (listener, start) = (Some(listener), ToRelay::Start(Box::new(start)));
        Ok((Self { listener, start, command: None, environment, journal: None, replacements: None }, endpoint))
    }

    /// Whether no process has connected to `endpoint` so far, and none can any more once `command` has ended. True for
    /// `claude --version`, which ends within the head start (after some 20 ms, with 2.1.330) and is run by editors and prompts.
    fn is_needless(&self, command: Pid, endpoint: &str) -> bool {
        !carriers::any_since(command.as_raw().cast_unsigned(), endpoint)
            && !self.listener.as_ref().is_some_and(descriptors::is_readable)
    }

    /// Starts a relay in the role that `role` makes of its descriptors. Returns our end of the socket to it.
    fn launch(&mut self, role: fn(Descriptors) -> Role<'static>) -> io::Result<UnixStream> {
        let listener = self.listener.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut messages = line(&self.start)?;
        if let Some(command) = &self.command {
            messages.extend(line(&ToRelay::Command { pid: command.pid.as_raw() })?);
        }
        // Nobody reads yet, and the settings in the first message may be long.
        let (ours, theirs) = descriptors::socket_pair(messages.len())?;
        ours.set_write_timeout(Some(PATIENCE))?;
        (&ours).write_all(&messages)?;
        let watched = self.command.as_ref().and_then(|command| command.watched.as_ref()).map(AsRawFd::as_raw_fd);
        let journal = self.journal.as_ref().map(AsRawFd::as_raw_fd);
        let words = [watched.map(|_| WATCH), journal.map(|_| CONTINUE)];
        let args: Vec<OsString> =
            ["act", RELAY_COMMAND].into_iter().chain(words.into_iter().flatten()).map(OsString::from).collect();
        let image = Image::new(&own_file(), OsStr::new("act-claude"), &args, self.environment)?;
        let prepared = Prepared::new(&image)?;
        let (input, output) = (listener.as_raw_fd(), theirs.as_raw_fd());
        let ends = Descriptors { input, output, more: [watched, journal] };
        // Our handlers must not run in the relay before it has its own ones.
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals::handled()), Some(&mut mask))?;
        let started = prepared.spawn(role(ends));
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        started.map(|_| ours)
    }

    /// The journal that the last relay has left, where it can be read.
    fn journal(&self) -> Option<Journal> {
        Journal::of(self.journal.as_ref()?).ok()
    }

    /// The last relay has ended together with its guard. How long to wait before the next one; `None`: another one would not do
    /// better.
    fn pause(&mut self) -> Option<Duration> {
        let journal = self.journal();
        let has_given_up = journal.as_ref().is_some_and(|journal| journal.count(Counter::GivenUp) != 0);
        let replacements = self.replacements.get_or_insert_with(|| Replacements::new(None));
        replacements.next(journal.as_ref()).filter(|_| !has_given_up)
    }
}

/// Claude starts without competition for the machine, and a relay that is not needed is never started.
impl Deferred for Relayed<'_> {
    fn needed(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            Phase::Waiting => self.source.listener.as_ref().map(AsFd::as_fd),
            // The socket is closed at the other end once guard and relay have ended.
            Phase::Started(control) => Some(control.as_fd()),
            Phase::Pausing(_) | Phase::Failed(_) | Phase::Lost => None,
        }
    }

    fn due(&self) -> Option<Instant> {
        match self.state {
            Phase::Pausing(until) => Some(until),
            _ => None,
        }
    }

    /// Where the relay can't be started, the listener is closed: claude's exports are then refused at once, and do not wait.
    fn start(&mut self) {
        if matches!(&self.state, Phase::Started(control) if has_ended(control)) {
            let pause = self.source.pause();
            self.state = pause.map_or(Phase::Lost, |pause| Phase::Pausing(Instant::now() + pause));
        }
        match &self.state {
            Phase::Waiting => {
                // A relay starts without a journal, too.
                self.source.journal = shared_memory::descriptor(journal::LENGTH).ok();
                self.state = self.started();
            }
            Phase::Pausing(until) if *until <= Instant::now() => self.state = self.started(),
            Phase::Pausing(_) | Phase::Started(_) | Phase::Failed(_) | Phase::Lost => {}
        }
        if matches!(self.state, Phase::Failed(_) | Phase::Lost) {
            self.source.listener = None;
        }
    }
}

/// Whether the other end of the socket is closed.
fn has_ended(control: &UnixStream) -> bool {
    let mut byte = [0];
    matches!(recv(control.as_raw_fd(), &mut byte, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT), Ok(0))
}

/// How much longer than the relay the supervisor waits, so that the answer can arrive.
const GRACE: Duration = Duration::from_millis(150);
/// How long a relay may take to receive a message. It reads at once; a stopped relay must not block this process.
const PATIENCE: Duration = Duration::from_millis(500);

/// A path component that can't be guessed: 128 bits, in hex.
pub fn secret() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Starts a relay that nobody asks for an outcome, and that watches the program which this process becomes. Returns the URL for
/// claude.
pub fn orphan(start: Start, environment: &Environment) -> io::Result<String> {
    let watched = descriptors::own_descriptor()?;
    let (mut source, endpoint) = Source::new(start, environment)?;
    source.command = Some(Command { pid: nix::unistd::getpid(), watched });
    source.launch(Role::Orphan)?;
    Ok(endpoint)
}

fn send(mut control: &UnixStream, message: &ToRelay) -> io::Result<()> {
    control.write_all(&line(message)?)
}

fn line(message: &ToRelay) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

impl<'a> Relayed<'a> {
    /// Prepares what claude needs of a relay; the supervisor starts the relay when it is due.
    pub fn prepare(start: Start, environment: &'a Environment) -> io::Result<Self> {
        let (source, endpoint) = Source::new(start, environment)?;
        Ok(Self { endpoint, source, state: Phase::Waiting })
    }

    /// Notes the process whose exports the relay takes.
    pub fn watch(&mut self, pid: Pid) {
        self.source.command = Some(Command { pid, watched: descriptors::descriptor_of(pid) });
    }

    fn started(&mut self) -> Phase {
        self.source.launch(Role::Background).map_or_else(Phase::Failed, Phase::Started)
    }

    /// Asks, once claude has ended, what is known of its exports. Waits at most `limit`, and no longer than until the next
    /// signal. `None`: the relay did not answer. An error: it could not be started.
    pub fn outcome(
        &mut self,
        supervisor: &mut Supervisor,
        limit: Duration,
        owed: Option<ExpectedExport>,
    ) -> io::Result<Option<Answer>> {
        let is_waiting = matches!(self.state, Phase::Waiting);
        if is_waiting && self.source.is_needless(supervisor.command(), &self.endpoint) {
            supervisor.close_inherited();
            return Ok(Some(Answer::default()));
        }
        supervisor.close_inherited();
        let mut deadline = Instant::now() + limit;
        loop {
            self.start();
            match &self.state {
                Phase::Failed(_) => break,
                Phase::Pausing(until) => {
                    let now = Instant::now();
                    if !supervisor.pause((*until).min(deadline).saturating_duration_since(now)) {
                        deadline = now;
                    }
                    // At the latest now: nobody starts it later.
                    self.state = Phase::Pausing(now);
                }
                Phase::Started(control) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    match ask(control, supervisor, left, owed.clone()) {
                        // The relay ended meanwhile: the next one continues with its journal.
                        None if has_ended(control) => {}
                        outcome => return Ok(outcome),
                    }
                }
                Phase::Waiting | Phase::Lost => return Ok(self.left()),
            }
        }
        match std::mem::replace(&mut self.state, Phase::Lost) {
            Phase::Failed(error) => Err(error),
            _ => Ok(None),
        }
    }

    /// What was last known of the exports, where the relay has ended and is not replaced.
    fn left(&self) -> Option<Answer> {
        self.source.journal().map(|journal| relay::answer_of(&journal))
    }

    /// The id of the session, if a relay has begun it.
    pub fn session(&self) -> Option<String> {
        relay::session_of(&self.source.journal()?)
    }
}

fn ask(
    control: &UnixStream,
    supervisor: &mut Supervisor,
    limit: Duration,
    owed: Option<ExpectedExport>,
) -> Option<Answer> {
    let wait_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    send(control, &ToRelay::Ended { wait_ms, owed }).ok()?;
    if !supervisor.wait_for(control, limit + GRACE) {
        // The wait is over or was interrupted: the relay is asked for what it knows now.
        send(control, &ToRelay::Ended { wait_ms: 0, owed: None }).ok()?;
        if !supervisor.wait_for(control, GRACE) {
            return None;
        }
    }
    control.set_read_timeout(Some(PATIENCE)).ok()?;
    let deadline = Instant::now() + PATIENCE;
    let mut line = String::new();
    let mut reader = BufReader::new(control);
    while Instant::now() < deadline && reader.read_line(&mut line).ok()? > 0 {
        if let Ok(FromRelay::Outcome(answer)) = serde_json::from_str(&line) {
            return Some(*answer);
        }
        line.clear();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_is_seen() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert!(!descriptors::is_readable(&listener));
        // The client has disconnected: what it sent waits there all the same.
        drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        assert!(descriptors::is_readable(&listener));
    }

    /// A process that ends again and again takes no more of the machine than the pauses allow.
    #[test]
    fn another_relay_is_started_after_its_pause() {
        let environment = Environment::default();
        let start = r#"{"start":{"secret":"s","route":null,"redact":[],"verify":false,"directory":"/","moves":false,
            "is_session":true,"claude":"/bin/claude","network":[]}}"#;
        let ToRelay::Start(start) = serde_json::from_str(start).unwrap() else { panic!("{start}") };
        let mut relay = Relayed::prepare(*start, &environment).unwrap();
        // Without a listener no process is started, and the attempt shows.
        relay.source.listener = None;
        let replacements = relay.source.replacements.insert(Replacements::new(None));
        let before = (0..9).map(|_| replacements.next(None).unwrap()).max().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        relay.state = Phase::Started(ours);
        relay.start();
        let due = relay.due().expect("a pause");
        assert!(due > Instant::now() + before, "{before:?}");
        relay.start();
        assert!(matches!(relay.state, Phase::Pausing(until) if until == due) && relay.needed().is_none());
        relay.state = Phase::Pausing(Instant::now());
        relay.start();
        assert!(matches!(relay.state, Phase::Failed(_)) && relay.due().is_none());
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
