//! An export's way in: put right, stored, acknowledged, handed to the courier.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::courier::{Item, Message};
use super::ledger::Ledger;
use super::payload;
use super::route::Routing;
use super::watched::Watched;
use crate::verdict::Answer;

/// What a poster is told.
#[derive(Debug)]
pub enum Accepted {
    /// It is in good hands.
    Taken,
    /// ACT's own answer (`--verify`).
    Answered {
        /// The status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// It is no OTLP export.
    NoExport,
    /// There is no alias for it: answered, and dropped.
    Unrouted,
    /// It could be neither stored nor delivered.
    #[allow(dead_code)] // until exports are spooled
    Lost,
}

/// How long `--verify` lets claude wait for ACT's answer: claude's own flush gives up after 2 s.
const VERIFY_WAIT: Duration = Duration::from_millis(1500);
/// How many exports back a repetition is recognised.
const REMEMBERED: usize = 64;

/// The way in.
#[derive(Debug)]
pub struct Intake {
    routing: Routing,
    redact: Vec<String>,
    verify: bool,
    ledger: Arc<Ledger>,
    next: AtomicU64,
    recent: Mutex<VecDeque<[u8; 32]>>,
}

impl Intake {
    /// For one session.
    pub fn new(routing: Routing, redact: Vec<String>, verify: bool, ledger: Arc<Ledger>) -> Self {
        Self { routing, redact, verify, ledger, next: AtomicU64::new(0), recent: Mutex::default() }
    }

    /// Takes one export.
    pub async fn accept(&self, body: Bytes) -> Accepted {
        let Some(content) = payload::read(&body) else { return Accepted::NoExport };
        let digest: [u8; 32] = Sha256::digest(&body).into();
        if self.is_repetition(digest) {
            return Accepted::Taken;
        }
        let Some(routed) = self.routing.get() else { return Accepted::Unrouted };
        let repaired = match payload::repair(&body, &routed.attributes, &self.redact) {
            std::borrow::Cow::Borrowed(_) => body.clone(),
            std::borrow::Cow::Owned(body) => Bytes::from(body),
        };
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        let points = content.points;
        self.ledger.received(sequence, content);
        let (reply, answered) = oneshot::channel();
        let item = Item { sequence, points, body: repaired, reply: self.verify.then_some(reply) };
        if !routed.courier.send(Message::Export(item)) {
            return Accepted::Lost;
        }
        self.remember(digest);
        if self.verify
            && let Ok(Ok(Answer { status, body, .. })) = tokio::time::timeout(VERIFY_WAIT, answered).await
        {
            return Accepted::Answered { status, body };
        }
        Accepted::Taken
    }

    /// The process whose working directory decides about the alias.
    pub fn follow(&self, command: Arc<Watched>) {
        self.routing.follow(command);
    }

    /// What is still to be decided about where exports go.
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Nobody can send any more.
    pub fn close(&self, message: Message) {
        if let Some(routed) = self.routing.known() {
            routed.courier.send(message);
        }
    }

    /// Claude retries with the same bytes where it missed our answer (promise B12).
    fn is_repetition(&self, digest: [u8; 32]) -> bool {
        self.lock().contains(&digest)
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut recent = self.lock();
        recent.push_back(digest);
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<[u8; 32]>> {
        self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
