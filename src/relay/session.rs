//! Decides how long the relay runs, and talks to the supervisor.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::Flock;
use nix::sys::signal::SigSet;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::deliverer::Deliverers;
use super::intake::Intake;
use super::journal::{Counter, Journal};
use super::ledger::Ledger;
use super::message::Message;
use super::meter::Meter;
use super::recorder::Recorder;
use super::route::Routing;
use super::watched::Watched;
use super::{recovery, server};
use crate::claude::carriers;
use crate::claude::network::Network;
use crate::claude::variables;
use crate::relay::protocol::{self, FromRelay, Start, ToRelay};
use crate::state;
use crate::system::environment::{Doubt, Environment};
use crate::usage::files::Notebook;

/// Interval between two searches for processes that still have the endpoint in their environment.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Interval between two looks at claude's working directory, as long as it has not exported anything. This is twice the usual
/// export interval.
const DIRECTORY_INTERVAL: Duration = Duration::from_secs(10);
/// How long remaining exports are tried once no process can send any more. Then they wait for the next session.
const DRAIN: Duration = Duration::from_secs(30);

/// How long it takes at most until data in the sockets has been read.
const ARRIVAL: Duration = Duration::from_millis(50);

/// A session to relay.
#[derive(Debug)]
pub struct RelaySession {
    /// The supervisor's first message.
    pub start: Start,
    /// The variables the relay was started with.
    pub environment: Environment,
    /// A descriptor of claude.
    pub watched: Option<OwnedFd>,
    /// The state that earlier relays left, and that a later one will need.
    pub journal: Arc<Journal>,
    /// The lock of the session's record.
    pub lock: Option<Flock<File>>,
    /// The process to which signals for the relay are sent.
    pub relay_pid: u32,
    /// Whether it may deliver.
    pub delivers: bool,
}

impl RelaySession {
    /// Relays the session, until no process is left that could send anything, and all exports are delivered or stored.
    pub async fn relay(self, listener: std::net::TcpListener, control: StdUnixStream) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        control.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (reader, writer) = UnixStream::from_std(control)?.into_split();
        let mut terminate = signal(SignalKind::terminate())?;
        // The guard blocked SIGTERM, so that none is lost before this point.
        [nix::sys::signal::SIGTERM].into_iter().collect::<SigSet>().thread_unblock()?;

        let Self { mut start, environment, watched, journal, lock, relay_pid, delivers } = self;
        // Another user's state directory is not used. Its path is kept for the message that says so.
        let state = start.state.clone();
        start.state = start.state.filter(|state| state::is_usable(state));
        let doubt = Doubt { pipeline: start.pipeline, ..environment.doubt().clone() };
        let environment = environment.doubted(doubt);
        let ledger = Arc::new(Ledger::resume(journal.clone()));
        let is_supervised = start.route.is_some();
        let is_replacement = journal.count(Counter::Deaths) > 0;
        let unread = variables::is_of_application(&environment);
        let recorder = Recorder::start(&start, unread, ledger.clone(), (relay_pid, lock));
        if let Some(state) = &start.state {
            ledger.measure(Meter::new(Notebook::of(state, recorder.id()), environment.clone()));
        }
        if is_replacement {
            recovery::reconcile(&ledger, start.state.as_deref(), recorder.id());
            recovery::reconcile_copies(&ledger, start.state.as_deref(), recorder.id());
        }
        let network = Network::new(environment.clone(), start.network, &start.directory);
        let deliverers = Deliverers {
            session: recorder.id().to_owned(),
            state: start.state.clone(),
            verify: start.verify,
            environment,
            settings: start.settings.clone(),
            network,
            ledger: ledger.clone(),
            journal: journal.clone(),
            delivers,
        };
        let place = if start.moves { (None, Some(start.directory)) } else { (Some(start.directory), None) };
        let routing = Routing::new(start.route, place, deliverers);
        let how = (start.redact, start.verify);
        let intake = Arc::new(Intake::new(routing, how, state, ledger.clone(), recorder.clone()));
        let path = protocol::path(&start.secret).into();
        tracing::debug!(session = recorder.id(), is_supervised, is_replacement, "the relay has started");
        intake.clone().start_worker();
        let front = tokio::spawn(server::serve(listener, path, intake.clone(), journal));

        let supervised = Supervised {
            reader: BufReader::new(reader),
            writer,
            intake: intake.clone(),
            ledger: ledger.clone(),
            recorder: recorder.clone(),
            watched,
            command: None,
            is_supervised,
            is_session: start.is_session,
        };
        supervised.until_gone().await;
        nobody_can_send(&start.secret, &mut terminate).await;
        tracing::debug!("no process can send exports any more");
        recorder.nobody_can_send();
        drain(&intake, &ledger, &mut terminate).await;
        front.abort();
        intake.give_up();
        recorder.finish();
        tracing::debug!(outcome = ?ledger.outcome(), "the relay ends");
        Ok(())
    }
}

/// Waits until no process has the endpoint's secret any more.
async fn nobody_can_send(secret: &str, terminate: &mut Signal) {
    while carriers::any(secret) {
        tokio::select! {
            () = sleep(LOOK_AGAIN) => {}
            // SIGTERM asks to drain once claude has ended. It has ended.
            _ = terminate.recv() => break,
        }
    }
}

/// Takes in the exports that are still arriving, then delivers all exports. Those that remain are stored, and wait for the
/// next session.
async fn drain(intake: &Intake, ledger: &Ledger, terminate: &mut Signal) {
    let until = Instant::now() + DRAIN;
    // Exports that claude sent just before its end are still in the socket.
    sleep(ARRIVAL).await;
    idle(intake, until).await;
    if !intake.tell(|| Message::Drain(until.into_std())) {
        return;
    }
    // A SIGTERM that arrived while claude ran asked for this drain. It must not end the drain.
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        () = std::future::ready(()) => {}
    }
    tokio::select! {
        () = workers_ended(intake, ledger) => {}
        () = sleep_until(until) => {}
        _ = terminate.recv() => {
            intake.tell(|| Message::Stop);
            let _ = timeout_at(Instant::now() + LOOK_AGAIN, workers_ended(intake, ledger)).await;
        }
    }
    idle(intake, Instant::now() + LOOK_AGAIN).await;
}

/// Waits until no export is being taken in.
async fn idle(intake: &Intake, until: Instant) {
    while intake.is_busy() && Instant::now() < until {
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until all delivery workers have ended.
async fn workers_ended(intake: &Intake, ledger: &Ledger) {
    worker_ended(ledger).await;
    for copies in intake.copies() {
        worker_ended(copies).await;
    }
}

/// Waits until a delivery worker has ended.
async fn worker_ended(ledger: &Ledger) {
    let mut changes = ledger.watch();
    while ledger.has_worker() {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Waits until every export has a final state or was tried.
async fn settled(ledger: &Ledger) {
    let mut changes = ledger.watch();
    while !ledger.is_settled() {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The part of the session that talks to the supervisor.
struct Supervised {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    intake: Arc<Intake>,
    ledger: Arc<Ledger>,
    recorder: Arc<Recorder>,
    /// A descriptor of claude, opened before the process became claude (launcher form).
    watched: Option<OwnedFd>,
    command: Option<Arc<Watched>>,
    /// Whether claude is a child of the supervisor. In the launcher form, the process that started the relay becomes claude.
    is_supervised: bool,
    /// Whether claude's arguments ask for a session.
    is_session: bool,
}

impl Supervised {
    /// Serves the supervisor until its socket closes and claude has ended.
    async fn until_gone(mut self) {
        let mut line = String::new();
        // What the supervisor told an earlier relay.
        let (command, ended) = self.ledger.told();
        if let Some(wait_ms) = ended {
            self.ended(wait_ms).await;
        } else if let Some(pid) = command {
            self.command(pid);
        }
        loop {
            line.clear();
            match self.reader.read_line(&mut line).await {
                Ok(1..) => {}
                // The supervisor has ended. If it was killed, claude is ended, too (`launch::parent_death`); a claude that
                // ends slowly is waited for. Where no claude was started, there is nothing to relay.
                _ => {
                    if let Some(command) = &self.command {
                        self.until_command_gone(command).await;
                    }
                    return;
                }
            }
            match serde_json::from_str(&line) {
                Ok(ToRelay::Command { pid }) => self.command(pid),
                Ok(ToRelay::Ended { wait_ms, owed }) => {
                    owed.into_iter().for_each(|owed| self.ledger.owed(owed.cause));
                    self.ended(wait_ms).await;
                }
                _ => {}
            }
        }
    }

    fn command(&mut self, pid: i32) {
        tracing::debug!(pid, "claude runs");
        self.ledger.command(pid);
        self.recorder.command(pid);
        if self.command.is_some() {
            return;
        }
        let watched = match self.watched.take() {
            Some(descriptor) => Watched::with(pid, descriptor),
            None => Watched::new(pid),
        };
        self.command = watched.map(Arc::new);
        self.command.iter().for_each(|command| self.intake.follow(command.clone()));
    }

    async fn ended(&mut self, wait_ms: u64) {
        tracing::debug!(wait_ms, "claude has ended; the supervisor waits");
        self.ledger.ended(wait_ms);
        self.command = None;
        self.answer(Duration::from_millis(wait_ms)).await;
    }

    /// Waits until claude has ended. In the launcher form claude may change its directory until its first export decides the
    /// route.
    async fn until_command_gone(&self, command: &Watched) {
        let routing = self.intake.routing();
        let gone = command.gone();
        tokio::pin!(gone);
        while !self.is_supervised && routing.is_open() {
            let has_gone = tokio::select! {
                () = &mut gone => true,
                () = sleep(DIRECTORY_INTERVAL) => false,
            };
            let is_redirected = self.is_session && routing.note_redirection();
            match (has_gone, is_redirected) {
                (true, _) => return,
                (false, true) => break,
                (false, false) => {}
            }
        }
        gone.await;
    }

    /// Sends the outcome once every export has a final state or was tried, the time is over, or the supervisor says that it can't
    /// wait.
    async fn answer(&mut self, wait: Duration) {
        let deadline = Instant::now() + wait;
        let mut hurry = String::new();
        tokio::select! {
            () = async { idle(&self.intake, deadline).await; settled(&self.ledger).await } => {}
            () = sleep_until(deadline) => {}
            _ = self.reader.read_line(&mut hurry) => {}
        }
        let outcome = FromRelay::Outcome(Box::new(self.ledger.answer()));
        if let Ok(mut line) = serde_json::to_vec(&outcome) {
            line.push(b'\n');
            let _ = timeout_at(Instant::now() + Duration::from_secs(1), self.writer.write_all(&line)).await;
        }
    }
}
