//! What the courier is told.

use std::sync::mpsc::Sender;
use std::time::Instant;

use hyper::body::Bytes;
use tokio::sync::oneshot;

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

/// To the courier.
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

/// The sending end.
#[derive(Debug, Clone)]
pub struct Handle(pub(super) Sender<Message>);

impl Handle {
    /// Hands over a message; whether there still is a courier to take it.
    pub fn send(&self, message: Message) -> bool {
        self.0.send(message).is_ok()
    }
}
