//! Keeps the session's record up to date, for readers during the session and after it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use jiff::{Timestamp, Zoned};
use nix::fcntl::Flock;

use super::ledger::Ledger;
use super::thread::Worker;
use crate::claude::version;
use crate::relay::protocol::Start;
use crate::state::record::{self, LaunchKind, Record};
use crate::state::spool::{Spool, dead_letters, deferral, hold, list, shared};
use crate::system::process;
use crate::usage::fold;

/// The shortest interval between two updates.
const INTERVAL: Duration = Duration::from_secs(1);

/// The writer of one session's record.
#[derive(Debug)]
pub struct Recorder {
    id: String,
    state: Option<PathBuf>,
    ledger: Arc<Ledger>,
    record: Mutex<Record>,
    lock: Mutex<Option<Flock<File>>>,
    worker: Arc<Worker>,
}

impl Recorder {
    /// Starts following the ledger. Without a state directory there is no record.
    pub fn start(
        start: &Start,
        unread: bool,
        ledger: Arc<Ledger>,
        (relay_pid, lock): (u32, Option<Flock<File>>),
    ) -> Arc<Self> {
        let new = || {
            let now = Timestamp::now();
            Some((record::new_id(now).ok()?, now))
        };
        let (id, now) = ledger.opened(new).unzip();
        let kind = if start.route.is_some() { LaunchKind::Supervised } else { LaunchKind::Launcher };
        let (session, begun) = (id.clone().unwrap_or_default(), now.unwrap_or_else(Timestamp::now));
        let record = Record { relay_pid, unread, ..Record::new(session, kind, begun, &start.directory, &start.claude) };
        let recorder = Arc::new(Self {
            state: start.state.clone().filter(|_| id.is_some()),
            id: id.unwrap_or_default(),
            ledger,
            record: Mutex::new(record),
            lock: Mutex::new(lock),
            worker: Worker::start("disk"),
        });
        if recorder.state.is_some() {
            tokio::spawn(recorder.clone().follow());
        }
        recorder
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The thread that waits for the disk.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Claude's pid is known. A supervised session has a record from now on, so that the status line can name its alias before
    /// anything was sent. A launcher's session has only a lock until something was sent.
    pub fn command(self: &Arc<Self>, pid: i32) {
        let is_supervised = {
            let mut record = lock(&self.record);
            record.command_pid = Some(pid);
            record.kind == LaunchKind::Supervised
        };
        let recorder = self.clone();
        self.in_background(move || {
            lock(&recorder.record).command_started = process::started(pid);
            if is_supervised { recorder.update() } else { recorder.wait() }
        });
    }

    /// Claude has ended, and no process can send exports any more: a relay that is killed from now on cuts off no export.
    pub fn nobody_can_send(self: &Arc<Self>) {
        lock(&self.record).claude_has_gone = true;
        if self.ledger.is_worth_a_record() {
            let recorder = self.clone();
            self.in_background(move || recorder.update());
        }
    }

    fn in_background(&self, work: impl FnOnce() + Send + 'static) {
        let worker = self.worker.clone();
        tokio::spawn(async move { worker.run(work).await });
    }

    /// Nothing is left to do. A launcher's session that sent nothing most likely was no session: it gets no record.
    pub fn finish(&self) {
        let Some(state) = &self.state else { return };
        self.ledger.finish();
        {
            let mut record = lock(&self.record);
            record.end = Some(Timestamp::now());
            self.ledger.fill(&mut record);
            if record.kind == LaunchKind::Supervised || self.ledger.is_worth_a_record() {
                let _ = self.open();
                let _ = record.write(state);
            }
            if let Some(lock) = lock(&self.lock).take() {
                record::unlock(state, &record.id, lock);
            }
        }
        if let Err(error) = fold::fold_many(state, Zoned::now().date()) {
            tracing::debug!(%error, "the notes of what was used stay as they are");
        }
        let now = SystemTime::now();
        let pruned = record::prune(state, now);
        tracing::debug!(pruned, "records");
        for spool in std::iter::once(Spool::of(state)).chain(Spool::all_of_copies(state)) {
            dead_letters::prune(&spool, now);
            hold::prune(&spool.place(), now);
            deferral::prune(&spool);
            list::clean_tmp(&spool);
            shared::prune(&spool);
        }
    }

    async fn follow(self: Arc<Self>) {
        let mut changes = self.ledger.watch();
        let mut is_open = false;
        while changes.changed().await.is_ok() {
            if !self.ledger.is_worth_a_record() {
                continue;
            }
            let recorder = self.clone();
            let _ = self.worker.run(move || recorder.update()).await;
            if !std::mem::replace(&mut is_open, true) {
                let recorder = self.clone();
                // Where there is no thread for it, the version stays unknown.
                let thread = std::thread::Builder::new().name("version".to_owned());
                let _ = thread.spawn(move || recorder.find_version());
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn update(&self) {
        let Some(state) = &self.state else { return };
        let mut record = lock(&self.record);
        if record.end.is_none() {
            let _ = self.open();
            self.ledger.fill(&mut record);
            let _ = record.write(state);
        }
    }

    /// Takes the lock only, without a record: a first export may never come.
    fn wait(&self) {
        let record = lock(&self.record);
        if record.end.is_none() && self.open().is_ok() {
            lock(&self.lock).iter().for_each(|lock| record::sign(lock, record.relay_pid));
        }
    }

    /// Takes the lock: from now on the session is live, and the exports it stores belong to this relay. The lock is taken again
    /// where its file was removed, for instance with the state directory, because other processes would not see the old lock.
    pub fn open(&self) -> io::Result<()> {
        let mut held = lock(&self.lock);
        let Some(state) = &self.state else { return Ok(()) };
        if held.as_ref().is_none_or(|lock| !record::is_lock_of(state, &self.id, lock)) {
            *held = Some(record::lock(state, &self.id)?);
        }
        Ok(())
    }

    /// Finds claude's version. It runs on a thread of its own, because a claude that is not known by its package is executed
    /// once and asked.
    fn find_version(&self) {
        let Some(state) = &self.state else { return };
        let claude = lock(&self.record).claude.clone();
        let version = version::known(&claude, Some(state)).or_else(|| version::learn(&claude, state));
        lock(&self.record).client_version = version;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
