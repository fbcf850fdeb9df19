//! What is known of a session's exports, updated as it becomes known: a [`Book`] that the HTTP server, the delivery and the
//! session share, and the journal that keeps it for the relay that replaces this one.

mod page;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::book::{Book, Event, ExportDigest};
use super::journal::{Counter, Journal};
use super::meter::Meter;
use super::protocol::Answer;
use crate::otlp::Content;
use crate::state::outcome::{Outcome, Problem, State};
use crate::state::record::Record;

pub use super::book::RouteChoice;
use page::Page;

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
    /// The destination of the copies that this ledger counts; `None`: it counts ACT's exports.
    destination: Option<String>,
    /// Told of changes of the copies, too.
    parent: Option<watch::Sender<Changes>>,
    journal: Option<Arc<Journal>>,
    /// Digests of exports that were cut off when a relay ended. Claude may send them again.
    cut_off: Mutex<BTreeSet<String>>,
    /// Notes what is used; `None` where there is no state directory.
    meter: OnceLock<Meter>,
    changed: watch::Sender<Changes>,
}

/// What subscribers are told, besides that something has changed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Changes {
    worker_ended: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::with(Book::default(), None)
    }
}

impl Ledger {
    /// Continues from the state in the journal.
    pub fn resume(journal: Arc<Journal>) -> Self {
        Self::with(Book::read(&journal.read()), Some(journal))
    }

    fn with(book: Book, journal: Option<Arc<Journal>>) -> Self {
        let cut_off = book.taking.iter().map(|taking| taking.digest.clone()).collect();
        let (meter, changed) = (OnceLock::new(), watch::Sender::default());
        let (book, cut_off) = (Arc::new(Mutex::new(book)), Mutex::new(cut_off));
        Self { book, destination: None, parent: None, journal, cut_off, meter, changed }
    }

    /// The ledger of the session's copies for one destination. It is a part of this one's book and journal.
    pub fn of_copies(&self, destination: &str) -> Self {
        self.whole().copies.entry(destination.to_owned()).or_default();
        Self {
            book: self.book.clone(),
            destination: Some(destination.to_owned()),
            parent: Some(self.changed.clone()),
            journal: self.journal.clone(),
            cut_off: Mutex::default(),
            meter: OnceLock::new(),
            changed: watch::Sender::default(),
        }
    }

    /// The destinations whose copies are counted.
    pub fn destinations(&self) -> Vec<String> {
        self.whole().copies.keys().cloned().collect()
    }

    /// Notes with this meter what is used.
    pub fn measure(&self, meter: Meter) {
        let _ = self.meter.set(meter);
    }

    /// Notes what an export has used. It waits for the disk.
    pub fn arrived(&self, sequence: u64, content: &Content, reported: (&str, &str), is_stored: bool) {
        let Some(meter) = self.meter.get() else { return };
        let directory = self.lock().found.as_ref().map(|found| found.directory.clone());
        meter.arrived(sequence, content, reported, directory, is_stored);
    }

    /// Notes what became of an export, before it leaves the spool. It waits for the disk.
    pub fn decided(&self, sequence: u64, state: State, rejected: u64) {
        self.meter.get().iter().for_each(|meter| meter.decided(sequence, state.into(), rejected));
    }

    /// The relay ends: what could not be noted before is noted now.
    pub fn finish(&self) {
        self.meter.get().iter().for_each(|meter| meter.finish());
    }

    /// The session's id and start time. They stay the same when a relay is replaced.
    pub fn opened(&self, new: impl FnOnce() -> Option<(String, Timestamp)>) -> Option<(String, Timestamp)> {
        if let Some(session) = self.lock().session.clone() {
            return Some(session);
        }
        let (id, start) = new()?;
        self.note(Event::Opened(id.clone(), start));
        Some((id, start))
    }

    /// The session's id; empty before it has one.
    pub fn session(&self) -> String {
        self.whole().session.as_ref().map(|(id, _)| id.clone()).unwrap_or_default()
    }

    /// What the supervisor told the relay that is replaced: claude's pid; and, if claude has ended, how long the supervisor waits.
    pub fn told(&self) -> (Option<i32>, Option<u64>) {
        let book = self.lock();
        (book.command, book.ended)
    }

    /// Claude runs, under this pid.
    pub fn command(&self, pid: i32) {
        self.note(Event::Command(pid));
    }

    /// Claude has ended; the supervisor waits this long.
    pub fn ended(&self, wait_ms: u64) {
        self.note(Event::Ended(wait_ms));
    }

    /// Notes where the session's exports go.
    pub fn found(&self, found: RouteChoice) {
        if self.lock().found.as_ref() != Some(&found) {
            self.note(Event::RouteChoice(Box::new(found)));
        }
    }

    /// Where they go, if that was decided for an export.
    pub fn route(&self) -> Option<RouteChoice> {
        let book = self.lock();
        let is_decided = book.exports() > 0 || !book.taking.is_empty();
        book.found.clone().filter(|found| is_decided && found.redirected_by.is_none())
    }

    /// Nothing will arrive: a settings key sends claude's exports past the relay.
    pub fn redirected(&self, found: RouteChoice, problem: Problem) {
        self.note(Event::Redirected(Box::new(found), problem));
    }

    /// Claude must have exported something; and why nothing arrives, as far as that is known.
    pub fn owed(&self, cause: Option<Problem>) {
        self.note(Event::ExpectedExport(cause));
    }

    /// Whether there is anything to record.
    pub fn is_worth_a_record(&self) -> bool {
        let book = self.lock();
        let is_redirected = book.found.as_ref().is_some_and(|found| found.redirected_by.is_some());
        book.exports() > 0 || book.owed || is_redirected || self.count(Counter::Deaths) > 0
    }

    /// One more than the highest number of a counted export.
    pub fn next(&self) -> u64 {
        self.lock().next
    }

    /// A number that no file can have: it is also larger than that of any export that was about to be stored.
    pub fn free(&self) -> u64 {
        let book = self.lock();
        book.taking.iter().map(|taking| taking.sequence + 1).max().unwrap_or(0).max(book.next)
    }

    /// The exports that were handed over last: digest, number, and whether each is stored.
    pub fn remembered(&self) -> Vec<(ExportDigest, bool)> {
        let book = self.lock();
        let is_lost = |sequence: &u64| book.open.get(sequence) == Some(&State::Lost);
        let is_stored = |sequence: &u64| !is_lost(sequence) && !book.unstored.contains(sequence);
        book.recent.iter().map(|recent| (recent.clone(), is_stored(&recent.sequence))).collect()
    }

    /// An export with this digest is about to be stored under this number.
    pub fn taking(&self, sequence: u64, digest: &[u8]) {
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest) {
            self.is_not_missing();
        }
        self.note(Event::Taking(sequence, digest));
    }

    /// An export that was counted as cut off has arrived after all.
    pub fn is_not_missing(&self) {
        if let Some(journal) = &self.journal {
            let less = |count: u64| Some(count.saturating_sub(1));
            let _ = journal.counter(Counter::CutOff).fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        }
    }

    /// Claude handed over export `sequence`.
    pub fn received(&self, sequence: u64, content: Content) {
        self.note(Event::Received(sequence, content));
        if let (Some(journal), None) = (&self.journal, &self.destination) {
            journal.counter(Counter::Received).fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Claude handed over an export that could not be read.
    pub fn lost(&self, problem: Problem) {
        self.note(Event::Lost(problem));
    }

    /// Changes the state of an open export; it may change again.
    pub fn set_state(&self, sequence: u64, state: State, problem: &Problem) {
        let mut book = self.lock();
        if book.is_news(sequence, state, problem) {
            let news = (!book.is_known(state, problem)).then(|| problem.clone());
            let event = Event::Marked(sequence, state, news);
            self.apply(&mut book.whole, event);
            drop(book);
            self.tell();
        }
    }

    /// An open export fails alone: it waits behind the others. `accepts_others`: one of them was accepted.
    pub fn step_aside(&self, sequence: u64, problem: &Problem, accepts_others: bool) {
        self.note(Event::SteppedAside(sequence, problem.clone(), accepts_others));
    }

    /// A delivered export can't be removed from the spool, or a rejected one can't be moved to the dead letters; and why.
    pub fn spool_problem(&self, why: &str) {
        if self.lock().spool_problem.as_deref() != Some(why) {
            self.note(Event::SpoolTrouble(why.to_owned()));
        }
    }

    /// An export can't be stored, and why; the session goes on.
    pub fn unkept(&self, sequence: u64, why: String) {
        self.note(Event::Unkept(sequence, why));
    }

    /// Connections wait that can't be accepted, and why: claude may give up.
    pub fn unaccepted(&self, why: &str) {
        if self.lock().unaccepted.as_deref() != Some(why) {
            self.note(Event::Unaccepted(why.to_owned()));
        }
    }

    /// Claude has handed over again an export that was not stored before.
    pub fn repeated(&self, sequence: u64) {
        self.note(Event::Repeated(sequence));
    }

    /// The state of an export is final.
    pub fn settle(&self, sequence: u64, state: State, problem: Option<Problem>) {
        if state == State::Lost {
            self.decided(sequence, state, 0);
        }
        self.note(Event::Settled(sequence, state, problem));
    }

    /// ACT rejected data points of an export it accepted.
    pub fn refused_points(&self, count: u64) {
        self.note(Event::RefusedPoints(count));
    }

    /// ACT accepted an export with a warning.
    pub fn warned(&self, warning: String) {
        self.note(Event::Warned(warning));
    }

    /// The state of an open export, and its problem, once it was tried.
    pub fn problem_of(&self, sequence: u64) -> Option<(State, Problem)> {
        self.lock().problem_of(sequence)
    }

    /// The open exports, and those of them that are in memory only.
    pub fn open(&self) -> (Vec<(u64, State)>, BTreeSet<u64>) {
        let book = self.lock();
        (book.open.iter().map(|(sequence, state)| (*sequence, *state)).collect(), book.unstored.clone())
    }

    /// The open exports that are stored.
    pub fn stored(&self) -> Vec<u64> {
        let book = self.lock();
        let is_stored =
            |(sequence, state): &(&u64, &State)| **state != State::Lost && !book.unstored.contains(sequence);
        book.open.iter().filter(is_stored).map(|(sequence, _)| *sequence).collect()
    }

    /// The delivery worker has ended.
    pub fn worker_ended(&self) {
        self.changed.send_modify(|changes| changes.worker_ended = true);
    }

    /// Whether a delivery worker runs, or will run.
    pub fn has_worker(&self) -> bool {
        !self.changed.borrow().worker_ended && self.whole().found.is_some()
    }

    /// Whether every export is decided or was tried.
    pub fn is_settled(&self) -> bool {
        self.lock().open.values().all(|state| *state != State::UnderWay)
    }

    /// The outcome so far.
    pub fn outcome(&self) -> Outcome {
        let (deaths, cut_off) = (self.count(Counter::Deaths), self.count(Counter::CutOff));
        Outcome { deaths, cut_off, ..self.lock().outcome() }
    }

    /// The answer to the supervisor.
    pub fn answer(&self) -> Answer {
        Answer { outcome: self.outcome(), ..self.lock().answer() }
    }

    /// Writes what is known now into the session's record.
    pub fn fill(&self, record: &mut Record) {
        record.outcome = self.outcome();
        let book = self.lock();
        record.copies = book.outcomes_of_copies();
        if let Some(RouteChoice { route, directory, redirected_by }) = &book.found {
            record.directory = directory.clone();
            record.alias = Some(route.target.alias.clone());
            record.account = Some(route.target.account.clone());
            record.reason = Some(route.reason.clone());
            record.redirected_by = redirected_by.clone();
        }
        record.totals = book.known_totals();
        record.owed = book.owed && book.exports() == 0;
        record.problem = if record.owed { book.silence.clone() } else { book.latest.clone() };
    }

    /// Subscribes to changes.
    pub fn watch(&self) -> watch::Receiver<Changes> {
        self.changed.subscribe()
    }

    fn count(&self, counter: Counter) -> u64 {
        self.journal.as_ref().filter(|_| self.destination.is_none()).map_or(0, |journal| journal.count(counter))
    }

    fn note(&self, event: Event) {
        self.apply(&mut self.whole(), event);
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|_| {});
        self.parent.iter().for_each(|parent| parent.send_modify(|_| {}));
    }

    /// Called under the book's lock, so that the journal has the events in their order.
    fn apply(&self, book: &mut Book, event: Event) {
        let event = match &self.destination {
            Some(destination) => Event::Copy(destination.clone(), Box::new(event)),
            None => event,
        };
        let is_long = self.journal.as_ref().is_some_and(|journal| {
            let line = serde_json::to_vec(&event).unwrap_or_default();
            journal.append(&line)
        });
        book.apply(event);
        if let (true, Some(journal)) = (is_long, &self.journal)
            && let Ok(snapshot) = serde_json::to_vec(&Event::Snapshot(Box::new(book.clone())))
        {
            journal.replace(&snapshot);
        }
    }

    /// The book of what this ledger counts.
    fn lock(&self) -> Page<'_> {
        Page { whole: self.whole(), destination: self.destination.as_deref() }
    }

    fn whole(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
