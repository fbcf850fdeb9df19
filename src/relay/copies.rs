//! The copies of a session's exports: stored beside ACT's, and each destination's delivered by a worker of its own. What becomes
//! of a copy has no effect on ACT's export, nor on other copies.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::Bytes;
use jiff::Timestamp;

use super::deliverer::Deliverer;
use super::in_memory::InMemory;
use super::lazy_store::LazyStore;
use super::ledger::Ledger;
use super::message::{Item, Message, Unstored};
use crate::delivery::cause;
use crate::delivery::target::{Copy, Credentials, Target};
use crate::otlp::{self, Content};
use crate::state::outcome::State;
use crate::state::spool::shared::Shared;
use crate::state::spool::{self, Header, Limits, NotStored, Spool, Store};

/// The copies for one destination.
#[derive(Debug)]
pub struct Copies {
    target: Target,
    redact: Vec<String>,
    limits: Limits,
    /// The spool, opened for the first export.
    store: LazyStore,
    /// The copies that could not be stored, and are sent from memory.
    in_memory: InMemory,
    ledger: Arc<Ledger>,
    worker: Deliverer,
}

/// An export of which copies are made.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// The session's id.
    pub session: &'a str,
    /// Its number in the session.
    pub sequence: u64,
    /// Its data points.
    pub points: u64,
    /// As claude wrote it.
    pub body: &'a [u8],
    /// As ACT gets it.
    pub act: &'a [u8],
    /// The resource attributes that only ACT gets.
    pub attributes: &'a [(String, String)],
    /// Keys of the attributes that are never sent.
    pub redact: &'a [String],
}

/// A copy that is made.
#[derive(Debug)]
pub struct Made {
    body: Bytes,
    stored: Result<(), NotStored>,
}

impl Copies {
    /// The copies for one destination, which `worker` delivers and `ledger` counts.
    pub fn new(copy: Copy, state: Option<PathBuf>, limits: Limits, ledger: Arc<Ledger>, worker: Deliverer) -> Self {
        let Copy { target, redact } = copy;
        Self { target, redact, limits, store: LazyStore::new(state), in_memory: InMemory::default(), ledger, worker }
    }

    /// What is known of them.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Their delivery worker.
    pub fn worker(&self) -> &Deliverer {
        &self.worker
    }

    /// Makes a copy and stores it. `file` is ACT's, on disk, with the offset of the body in it; `None`: ACT's is not stored.
    /// The result is `None` where the copy has been handed over before, and is not lost.
    pub fn make(&self, original: &Original<'_>, file: Option<(&Path, u64)>) -> Option<Made> {
        let is_lost = || self.ledger.open().0.contains(&(original.sequence, State::Lost));
        if self.ledger.next() > original.sequence && !is_lost() {
            return None;
        }
        let strip: Vec<String> = original.attributes.iter().map(|(key, _)| key.clone()).collect();
        let redact = [original.redact, &self.redact].concat();
        let body = match otlp::copied(original.body, &strip, &redact) {
            Ok(Cow::Borrowed(body)) => Bytes::copy_from_slice(body),
            Ok(Cow::Owned(body)) => Bytes::from(body),
            Err(_) => {
                let stored = Err(std::io::Error::from(std::io::ErrorKind::OutOfMemory).into());
                return Some(Made { body: Bytes::new(), stored });
            }
        };
        let stored = self.store(original, &body, (strip, redact), file);
        Some(Made { body, stored })
    }

    fn store(
        &self,
        original: &Original<'_>,
        body: &[u8],
        (strip, redact): (Vec<String>, Vec<String>),
        file: Option<(&Path, u64)>,
    ) -> Result<(), NotStored> {
        let store = self.store.get(|state| Store::open_copies(state, &self.target.account, self.limits))?;
        let header = Header {
            session: original.session.to_owned(),
            sequence: original.sequence,
            alias: self.target.alias.clone(),
            account: self.target.account.clone(),
            endpoint: self.target.endpoint.clone(),
            user: String::new(),
            points: original.points,
            captured: Timestamp::now(),
            shared: None,
        };
        // A body that can be made from ACT's is not stored twice.
        let made = otlp::copied(original.act, &strip, &redact);
        if let Some((file, start)) = file
            && made.is_ok_and(|made| made == body)
        {
            let shared = Shared::of(original.act, start, strip, redact);
            let header = Header { shared: Some(shared), ..header.clone() };
            match store.append_shared(&header, file, start + original.act.len() as u64) {
                // Not every file system gives a file a second name.
                Err(NotStored::Failed(error)) => tracing::debug!(%error, "a copy gets a body of its own"),
                stored => return stored,
            }
        }
        store.append(&header, body)
    }

    /// The relay ends. Where the headers are nowhere but in this session, no other process can send what is left: it is lost.
    pub fn give_up(&self) {
        if !matches!(self.target.credentials, Credentials::Own { is_lasting: false }) {
            return;
        }
        let Some(state) = self.store.state() else { return };
        let spool = Spool::of_copies(state, &self.target.account);
        for sequence in self.ledger.stored() {
            if spool::discard(&spool, &spool::name(&self.ledger.session(), sequence)).is_ok() {
                self.ledger.settle(sequence, State::Lost, Some(cause::headers_are_gone()));
            }
        }
    }

    /// Counts a copy that is made, and hands it to the worker.
    pub fn hand_over(&self, sequence: u64, points: u64, made: Made) {
        let Made { body, stored } = made;
        if self.ledger.next() > sequence {
            // It was lost, and claude has sent the export again.
            self.ledger.repeated(sequence);
        } else {
            self.ledger.received(sequence, Content { points, ..Content::default() });
        }
        let (state, message) = match stored {
            Ok(()) => (State::Waiting, Message::Stored(Item { sequence, reply: None })),
            Err(why) => {
                let why = why.to_string();
                self.ledger.unkept(sequence, why.clone());
                let Some((accepted, _)) = self.in_memory.place() else {
                    return self.ledger.settle(sequence, State::Lost, Some(cause::too_many_in_memory(&why)));
                };
                (State::Lost, Message::Unstored(Unstored { sequence, points, body, why, accepted, reply: None }))
            }
        };
        if let Err(error) = self.worker.start() {
            self.ledger.set_state(sequence, state, &cause::no_worker(&error));
        }
        if !self.worker.send(message) {
            self.ledger.set_state(sequence, state, &cause::late());
        }
    }
}
