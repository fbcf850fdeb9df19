//! The counts and states of a session's exports (pure). Only events change them: the same events, read again, give the same
//! book. Memory does not grow with the session: exports with a final state are only counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::journal::{Counter, Journal};
use super::protocol::Answer;
use crate::delivery::target::Route;
use crate::otlp::{self, Content};
use crate::state::outcome::{Deferred, Outcome, Problem, State};
use crate::state::record::Total;

/// Among how many of the latest exports a repetition is recognised.
pub const REMEMBERED: usize = 64;

/// Where a session's exports go, and how that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteChoice {
    /// The route.
    pub route: Route,
    /// The working directory it was decided for.
    #[serde(with = "crate::text::paths")]
    pub directory: PathBuf,
    /// Launcher form: the settings key that sends claude's exports past the relay.
    pub redirected_by: Option<String>,
}

/// An event of a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// The book that results from all events before this one.
    Snapshot(Box<Book>),
    /// The session has an id and a start time.
    Opened(String, Timestamp),
    /// Claude runs, under this pid.
    Command(i32),
    /// Claude has ended; the supervisor waits this many milliseconds for the outcome.
    Ended(u64),
    /// It is decided where its exports go.
    RouteChoice(Box<RouteChoice>),
    /// Nothing will arrive: a settings key sends claude's exports past the relay.
    Redirected(Box<RouteChoice>, Problem),
    /// An export with this digest is about to be stored under this number.
    Taking(u64, String),
    /// Claude handed over an export.
    Received(u64, Content),
    /// An export is in memory only, because it could not be stored.
    Unkept(u64, String),
    /// Claude has handed over again an export that was not stored before.
    #[serde(rename = "Again")]
    Repeated(u64),
    /// The state of an open export has changed, and may change again; the problem, if it is a new one.
    Marked(u64, State, Option<Problem>),
    /// An open export fails alone: it waits behind the others. Whether one of them was accepted.
    SteppedAside(u64, Problem, bool),
    /// An export with a final state can't be removed from the spool, and why.
    SpoolTrouble(String),
    /// The state of an export is final.
    Settled(u64, State, Option<Problem>),
    /// ACT rejected data points of an export it accepted.
    RefusedPoints(u64),
    /// ACT accepted an export with a warning.
    Warned(String),
    /// Connections wait that can't be accepted; the reason.
    Unaccepted(String),
    /// Claude handed over an export that could not be read.
    Lost(Problem),
    /// Claude must have exported something; why nothing arrived, as far as that is known.
    ExpectedExport(Option<Problem>),
    /// An event of the copies for one destination.
    Copy(String, Box<Event>),
}

/// Recognises an export that claude sends again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportDigest {
    /// Its number.
    pub sequence: u64,
    /// Its bytes' digest.
    pub digest: String,
}

impl ExportDigest {
    /// The digest as bytes.
    pub fn bytes(&self) -> Option<[u8; 32]> {
        let digits = self.digest.as_bytes().chunks(2);
        let bytes = digits.map(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
    }
}

/// The state of a session's exports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// The session's id and start.
    pub session: Option<(String, Timestamp)>,
    /// Claude's pid.
    pub command: Option<i32>,
    /// If claude has ended: how long the supervisor waits for the outcome, in milliseconds.
    pub ended: Option<u64>,
    /// Where exports go.
    pub found: Option<RouteChoice>,
    /// The number of the next export.
    pub next: u64,
    exports: u64,
    /// Exports that the totals lack: they could not be read, or have running totals.
    #[serde(default)]
    unsummed: u64,
    points: u64,
    /// Sums by metric name.
    totals: BTreeMap<String, Total>,
    /// How many exports have each final state.
    settled: BTreeMap<State, u64>,
    /// The exports whose state may still change, by number.
    pub open: BTreeMap<u64, State>,
    /// The open exports that are in memory only.
    pub unstored: BTreeSet<u64>,
    /// Exports that are about to be stored. After a relay has ended, nothing else is known of them.
    pub taking: Vec<ExportDigest>,
    /// The latest exports that were handed over.
    pub recent: VecDeque<ExportDigest>,
    #[serde(rename = "troubles")]
    problems: BTreeMap<State, Problem>,
    /// The session's latest problem.
    pub latest: Option<Problem>,
    rejected_points: u64,
    warning: Option<String>,
    unkept: Option<String>,
    #[serde(default)]
    /// Why connections could not be accepted.
    pub unaccepted: Option<String>,
    /// The open exports that stepped aside.
    #[serde(default)]
    deferred: BTreeSet<u64>,
    #[serde(default)]
    deferred_problem: Option<Problem>,
    /// Whether another one was accepted when the last of them stepped aside.
    #[serde(default)]
    accepts_others: bool,
    #[serde(default)]
    #[serde(rename = "spool_trouble")]
    /// Why an export that is decided is still in the spool.
    pub spool_problem: Option<String>,
    /// Claude must have exported something.
    pub owed: bool,
    /// Why nothing arrived.
    pub silence: Option<Problem>,
    /// The books of the copies, by destination.
    #[serde(default)]
    pub copies: BTreeMap<String, Book>,
}

impl Book {
    /// Builds the book from a journal's lines. A line that can't be read is skipped.
    pub fn read(journal: &[u8]) -> Self {
        let mut book = Self::default();
        let lines = journal.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.filter_map(|line| serde_json::from_slice(line).ok()).for_each(|event| book.apply(event));
        book
    }

    /// Applies an event.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Snapshot(book) => *self = *book,
            Event::Opened(id, start) => self.session = Some((id, start)),
            Event::Command(pid) => self.command = Some(pid),
            Event::Ended(wait_ms) => self.ended = Some(wait_ms),
            Event::RouteChoice(found) => self.found = Some(*found),
            Event::Redirected(found, problem) => {
                self.found = Some(*found);
                self.problem(State::NothingSent, problem);
            }
            Event::Taking(sequence, digest) => {
                self.taking.retain(|taking| taking.sequence != sequence && taking.digest != digest);
                self.taking.push(ExportDigest { sequence, digest });
            }
            Event::Received(sequence, content) => self.receive(sequence, content),
            Event::Unkept(sequence, why) => {
                self.unkept = Some(why);
                self.unstored.insert(sequence);
            }
            Event::Repeated(sequence) => {
                self.remember(sequence);
                self.unstored.remove(&sequence);
                self.open.insert(sequence, State::UnderWay);
            }
            Event::Marked(sequence, state, problem) => {
                self.deferred.remove(&sequence);
                if let Some(open) = self.open.get_mut(&sequence) {
                    *open = state;
                }
                problem.into_iter().for_each(|problem| self.problem(state, problem));
            }
            Event::SteppedAside(sequence, problem, accepts_others) => {
                self.step_aside(sequence, problem, accepts_others);
            }
            Event::Unaccepted(why) => self.unaccepted = Some(why),
            Event::SpoolTrouble(why) => self.spool_problem = Some(why),
            Event::Settled(sequence, state, problem) => {
                self.deferred.remove(&sequence);
                self.unstored.remove(&sequence);
                if self.open.remove(&sequence).is_some() {
                    *self.settled.entry(state).or_default() += 1;
                }
                problem.into_iter().for_each(|problem| self.problem(state, problem));
            }
            Event::RefusedPoints(count) => self.rejected_points += count,
            Event::Warned(warning) => self.warning = Some(warning),
            Event::Lost(problem) => {
                self.exports += 1;
                self.unsummed += 1;
                *self.settled.entry(State::Lost).or_default() += 1;
                self.problem(State::Lost, problem);
            }
            Event::ExpectedExport(cause) => (self.owed, self.silence) = (true, cause),
            Event::Copy(destination, event) => self.copies.entry(destination).or_default().apply(*event),
        }
    }

    fn step_aside(&mut self, sequence: u64, problem: Problem, accepts_others: bool) {
        let Some(open) = self.open.get_mut(&sequence) else { return };
        *open = State::Waiting;
        self.deferred.insert(sequence);
        (self.deferred_problem, self.accepts_others) = (Some(problem.clone()), accepts_others);
        self.problem(State::Waiting, problem);
    }

    fn receive(&mut self, sequence: u64, content: Content) {
        self.exports += 1;
        self.points += content.points;
        let is_summed = content.totals.values().all(|total| total.known().is_some());
        self.unsummed += u64::from(!is_summed);
        for (name, total) in content.totals {
            otlp::add_total(&mut self.totals, name, &total);
        }
        self.next = self.next.max(sequence + 1);
        self.open.insert(sequence, State::UnderWay);
        self.remember(sequence);
    }

    /// An export that was about to be stored is handed over.
    fn remember(&mut self, sequence: u64) {
        let Some(at) = self.taking.iter().position(|taking| taking.sequence == sequence) else { return };
        let arrived = self.taking.remove(at);
        self.recent.retain(|recent| recent.digest != arrived.digest);
        self.recent.push_back(arrived);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }

    /// Whether setting this state would change anything.
    pub fn is_news(&self, sequence: u64, state: State, problem: &Problem) -> bool {
        let differs = |open: &State| *open != state || self.problems.get(&state) != Some(problem);
        self.open.get(&sequence).is_some_and(differs) || self.deferred.contains(&sequence)
    }

    /// Whether `problem` is already noted for `state`.
    pub fn is_known(&self, state: State, problem: &Problem) -> bool {
        self.problems.get(&state) == Some(problem) && self.latest.as_ref() == Some(problem)
    }

    /// The state of an open export, and its problem, once it was tried.
    pub fn problem_of(&self, sequence: u64) -> Option<(State, Problem)> {
        let state = *self.open.get(&sequence)?;
        Some((state, self.problems.get(&state)?.clone()))
    }

    fn problem(&mut self, state: State, problem: Problem) {
        self.latest = Some(problem.clone());
        self.problems.insert(state, problem);
    }

    /// How many exports claude handed over.
    pub fn exports(&self) -> u64 {
        self.exports
    }

    /// The outcome of these exports.
    pub fn outcome(&self) -> Outcome {
        let mut states = self.settled.clone();
        for state in self.open.values() {
            *states.entry(*state).or_default() += 1;
        }
        let deferred = self.deferred_problem.clone().filter(|_| !self.deferred.is_empty());
        let problems = self.problems.iter().filter(|(state, _)| states.contains_key(state));
        Outcome {
            exports: self.exports,
            points: self.points,
            problems: problems.map(|(state, problem)| (*state, problem.clone())).collect(),
            states,
            rejected_points: self.rejected_points,
            warning: self.warning.clone(),
            unkept: self.unkept.clone(),
            unaccepted: self.unaccepted.clone(),
            deferred: deferred.map(|problem| Deferred {
                exports: self.deferred.len() as u64,
                accepts_others: self.accepts_others,
                problem,
            }),
            spool_problem: self.spool_problem.clone(),
            unsummed: self.unsummed,
            ..Outcome::default()
        }
    }

    /// The sums that are known, by metric name.
    pub fn known_totals(&self) -> BTreeMap<String, Total> {
        let known = self.totals.iter().filter(|(_, total)| total.known().is_some());
        known.map(|(name, total)| (name.clone(), total.clone())).collect()
    }

    /// The outcome of the copies, by destination.
    pub fn outcomes_of_copies(&self) -> BTreeMap<String, Outcome> {
        self.copies.iter().map(|(destination, book)| (destination.clone(), book.outcome())).collect()
    }

    /// The answer to the supervisor, apart from the counts that are not in the book.
    pub fn answer(&self) -> Answer {
        let session = self.session.as_ref().map(|(id, _)| id.clone());
        Answer { outcome: self.outcome(), copies: self.outcomes_of_copies(), session, totals: self.known_totals() }
    }
}

/// The answer according to the journal of a relay that ended and was not replaced.
pub fn answer_of(journal: &Journal) -> Answer {
    let (deaths, cut_off) = (journal.count(Counter::Deaths), journal.count(Counter::CutOff));
    let answer = Book::read(&journal.read()).answer();
    Answer { outcome: Outcome { deaths, cut_off, relay_lost: true, ..answer.outcome }, ..answer }
}

/// The id of the session that a journal is of.
pub fn session_of(journal: &Journal) -> Option<String> {
    Book::read(&journal.read()).session.map(|(id, _)| id)
}

#[cfg(test)]
mod tests;
