//! What the worker is told.

use std::sync::mpsc::Sender;
use std::time::Instant;

use hyper::body::Bytes;
use tokio::sync::oneshot;

use super::thread::Thread;
use crate::delivery::verdict::Answer;

/// One stored export to deliver.
#[derive(Debug)]
pub struct Item {
    /// Its number in the session.
    pub sequence: u64,
    /// Who waits for ACT's answer (`--verify`).
    pub reply: Option<oneshot::Sender<Answer>>,
}

/// One export that could not be stored: it is tried once, now.
#[derive(Debug)]
pub struct Direct {
    /// Its number in the session.
    pub sequence: u64,
    /// Its data points.
    pub points: u64,
    /// The bytes.
    pub body: Bytes,
    /// Why it was not stored.
    pub why: String,
    /// Who waits to hear whether ACT has it.
    pub taken: tokio::sync::watch::Sender<Option<bool>>,
    /// Who waits for ACT's answer (`--verify`).
    pub reply: Option<oneshot::Sender<Answer>>,
}

/// To the worker.
#[derive(Debug)]
pub enum Message {
    /// A new export, stored.
    Stored(Item),
    /// A new export that is in memory only.
    Direct(Direct),
    /// Nobody can send any more: leave when there is nothing left to do, or at this time.
    Drain(Instant),
    /// Leave.
    Stop,
}

/// The sending end. Messages wait where the worker's thread has not been started yet.
#[derive(Debug, Clone)]
pub struct Handle {
    inbox: Sender<Message>,
    thread: Thread,
}

impl Handle {
    /// To whoever `thread` runs.
    pub fn new(inbox: Sender<Message>, thread: Thread) -> Self {
        Self { inbox, thread }
    }

    /// Hands over a message; whether there still is a worker to take it.
    pub fn send(&self, message: Message) -> bool {
        self.inbox.send(message).is_ok()
    }

    /// Starts the worker, unless it has been started; an error: there is no thread for it now.
    pub fn start(&self) -> std::io::Result<()> {
        self.thread.start()
    }

    /// Whether it is still to be started.
    pub fn is_waiting(&self) -> bool {
        self.thread.is_waiting()
    }
}
