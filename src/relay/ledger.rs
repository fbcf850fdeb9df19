//! What is known of a session's exports, as it becomes known. Memory does not grow with the session: an
//! export that is decided becomes a number.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use tokio::sync::watch;

use super::payload::{self, Content};
use crate::delivery::target::Route;
use crate::state::outcome::{Deferred, Outcome, State, Trouble};
use crate::state::record::{Record, Total};

/// Where a session's exports go, and how that came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The route.
    pub route: Route,
    /// The working directory it was decided for.
    pub directory: PathBuf,
    /// Launcher form: the settings key that leads claude's exports past the relay.
    pub redirected_by: Option<String>,
}

/// The ledger, shared by the front, the courier and the session.
#[derive(Debug)]
pub struct Ledger {
    book: Mutex<Book>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Book {
    found: Option<Found>,
    exports: u64,
    points: u64,
    totals: BTreeMap<String, Total>,
    /// Decided for good.
    settled: BTreeMap<State, u64>,
    /// By sequence number: what is stored and may yet change.
    open: BTreeMap<u64, State>,
    /// Those of the open ones that stepped aside.
    deferred: BTreeSet<u64>,
    deferred_trouble: Option<Trouble>,
    troubles: BTreeMap<State, Trouble>,
    latest: Option<Trouble>,
    rejected_points: u64,
    warning: Option<String>,
    unkept: Option<String>,
    spool_trouble: Option<String>,
    /// Claude must have exported something.
    owed: bool,
    /// Why it did not.
    silence: Option<Trouble>,
    courier_left: bool,
}

impl Book {
    fn trouble(&mut self, state: State, trouble: Trouble) {
        self.latest = Some(trouble.clone());
        self.troubles.insert(state, trouble);
    }

    fn outcome(&self) -> Outcome {
        let mut states = self.settled.clone();
        for state in self.open.values() {
            *states.entry(*state).or_default() += 1;
        }
        let troubles = self.troubles.iter().filter(|(state, _)| states.contains_key(state));
        Outcome {
            exports: self.exports,
            points: self.points,
            troubles: troubles.map(|(state, trouble)| (*state, trouble.clone())).collect(),
            states,
            rejected_points: self.rejected_points,
            warning: self.warning.clone(),
            unkept: self.unkept.clone(),
            deferred: self
                .deferred_trouble
                .clone()
                .filter(|_| !self.deferred.is_empty())
                .map(|trouble| Deferred { exports: self.deferred.len() as u64, trouble }),
            spool_trouble: self.spool_trouble.clone(),
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self { book: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Ledger {
    /// It is known where the session's exports go.
    pub fn found(&self, found: Found) {
        self.update(|book| book.found = Some(found));
    }

    /// Nothing will arrive: a settings key leads claude's exports past us.
    pub fn redirected(&self, found: Found, trouble: Trouble) {
        self.update(|book| {
            book.found = Some(found);
            book.trouble(State::NothingSent, trouble);
        });
    }

    /// Claude must have exported something; why nothing arrives, as far as that is known.
    pub fn owed(&self, cause: Option<Trouble>) {
        self.update(|book| (book.owed, book.silence) = (true, cause));
    }

    /// Whether there is anything a record could tell.
    pub fn is_worth_a_record(&self) -> bool {
        let book = self.lock();
        book.exports > 0 || book.owed || book.found.as_ref().is_some_and(|found| found.redirected_by.is_some())
    }

    /// Claude handed over export `sequence`.
    pub fn received(&self, sequence: u64, content: Content) {
        self.update(|book| {
            book.exports += 1;
            book.points += content.points;
            for (name, total) in content.totals {
                payload::add_total(&mut book.totals, name, &total);
            }
            book.open.insert(sequence, State::UnderWay);
        });
    }

    /// Claude handed over an export that could not even be read.
    pub fn lost(&self, trouble: Trouble) {
        self.update(|book| {
            book.exports += 1;
            *book.settled.entry(State::Lost).or_default() += 1;
            book.trouble(State::Lost, trouble);
        });
    }

    /// An open export is in another state, for now.
    pub fn mark(&self, sequence: u64, state: State, trouble: &Trouble) {
        let mut book = self.lock();
        let Some(open) = book.open.get_mut(&sequence) else { return };
        let is_news = std::mem::replace(open, state) != state || book.troubles.get(&state) != Some(trouble);
        if is_news | book.deferred.remove(&sequence) {
            book.trouble(state, trouble.clone());
            drop(book);
            self.changed.send_replace(());
        }
    }

    /// An open export fails by itself while others pass: it waits behind them.
    pub fn step_aside(&self, sequence: u64, trouble: &Trouble) {
        self.update(|book| {
            if book.open.insert(sequence, State::Waiting).is_some() {
                book.deferred.insert(sequence);
                book.deferred_trouble = Some(trouble.clone());
                book.trouble(State::Waiting, trouble.clone());
            } else {
                book.open.remove(&sequence);
            }
        });
    }

    /// What ACT has can't be taken out of the spool, or what it never takes can't be set aside, and why.
    pub fn spool_trouble(&self, why: &str) {
        self.update(|book| book.spool_trouble = Some(why.to_owned()));
    }

    /// Nothing can be stored, and why; the session goes on without.
    pub fn unkept(&self, why: String) {
        self.update(|book| book.unkept = Some(why));
    }

    /// A lost export is handed over again.
    pub fn again(&self, sequence: u64) {
        self.update(|book| {
            book.open.insert(sequence, State::UnderWay);
        });
    }

    /// An export is decided.
    pub fn settle(&self, sequence: u64, state: State, trouble: Option<Trouble>) {
        self.update(|book| {
            book.deferred.remove(&sequence);
            if book.open.remove(&sequence).is_some() {
                *book.settled.entry(state).or_default() += 1;
            }
            if let Some(trouble) = trouble {
                book.trouble(state, trouble);
            }
        });
    }

    /// ACT refused points of an export it took.
    pub fn refused_points(&self, count: u64) {
        self.update(|book| book.rejected_points += count);
    }

    /// ACT took an export with a warning.
    pub fn warned(&self, warning: String) {
        self.update(|book| book.warning = Some(warning));
    }

    /// The state an open export is in, and why, once it was tried.
    pub fn trouble_of(&self, sequence: u64) -> Option<(State, Trouble)> {
        let book = self.lock();
        let state = *book.open.get(&sequence)?;
        Some((state, book.troubles.get(&state)?.clone()))
    }

    /// Nobody delivers any more.
    pub fn courier_left(&self) {
        self.update(|book| book.courier_left = true);
    }

    /// Whether somebody delivers, or will.
    pub fn has_courier(&self) -> bool {
        let book = self.lock();
        book.found.is_some() && !book.courier_left
    }

    /// Whether no export is undecided and untried.
    pub fn is_settled(&self) -> bool {
        self.lock().open.values().all(|state| *state != State::UnderWay)
    }

    /// What is known now.
    pub fn outcome(&self) -> Outcome {
        self.lock().outcome()
    }

    /// Puts what is known now into the session's record.
    pub fn fill(&self, record: &mut Record) {
        let book = self.lock();
        if let Some(Found { route, directory, redirected_by }) = &book.found {
            record.directory = directory.clone();
            record.alias = Some(route.target.alias.clone());
            record.account = Some(route.target.account.clone());
            record.reason = Some(route.reason.clone());
            record.redirected_by = redirected_by.clone();
        }
        record.outcome = book.outcome();
        record.totals = book.totals.clone();
        record.owed = book.owed && book.exports == 0;
        record.trouble = if record.owed { book.silence.clone() } else { book.latest.clone() };
    }

    /// Tells of every change.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn update(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
