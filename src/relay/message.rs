//! The messages to the delivery worker.

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
    /// Receives ACT's answer (`--verify`).
    pub reply: Option<oneshot::Sender<Answer>>,
}

/// One export that could not be stored: it is sent once, immediately.
#[derive(Debug)]
pub struct Unstored {
    /// Its number in the session.
    pub sequence: u64,
    /// Its data points.
    pub points: u64,
    /// The bytes.
    pub body: Bytes,
    /// Why it was not stored.
    pub why: String,
    /// Receives whether ACT has it.
    pub accepted: tokio::sync::watch::Sender<Option<bool>>,
    /// Receives ACT's answer (`--verify`).
    pub reply: Option<oneshot::Sender<Answer>>,
}

/// A message to the delivery worker.
#[derive(Debug)]
pub enum Message {
    /// A new export, stored.
    Stored(Item),
    /// A new export that is in memory only.
    Unstored(Unstored),
    /// No process can send exports any more: end when there is nothing left to do, or at this time.
    Drain(Instant),
    /// End now.
    Stop,
}

/// The sending end of the delivery worker's channel. Messages wait while its thread has not been started.
#[derive(Debug, Clone)]
pub struct Handle {
    inbox: Sender<Message>,
    thread: Thread,
}

impl Handle {
    /// Sends to the worker that `thread` runs.
    pub fn new(inbox: Sender<Message>, thread: Thread) -> Self {
        Self { inbox, thread }
    }

    /// Sends a message; false: the worker has ended.
    pub fn send(&self, message: Message) -> bool {
        self.inbox.send(message).is_ok()
    }

    /// Starts the worker, unless it has been started. An error: there is no thread for it now.
    pub fn start(&self) -> std::io::Result<()> {
        self.thread.start()
    }

    /// Whether the worker has not been started yet.
    pub fn is_waiting(&self) -> bool {
        self.thread.is_waiting()
    }
}
