//! A summary of the spool, for `act history` and other commands that only read.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;

use super::dead_letters::{self, Pruned};
use super::deferral::{self, Deferral};
use super::entry::Fault;
use super::hold::{self, Hold};
use super::list::{self, Usage};
use super::{Header, Spool};
use crate::state::outcome::{Problem, State};
use crate::state::record;
use crate::system::error::plain;

/// What is in the spool.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The waiting exports by account and alias; those that can go nowhere by themselves.
    pub waiting: Vec<Waiting>,
    /// How many exports of each session are in the spool. Others that a session's record counts as waiting or held have left.
    pub sessions: BTreeMap<String, u64>,
    /// How many files a newer act-claude wrote.
    pub newer: u64,
    /// How many files ACT will never accept.
    pub rejected: u64,
    /// How many files have wrong content, those included that are still in `new`.
    pub corrupt: u64,
    /// How many files can't be read now; they stay.
    pub unreadable: u64,
    /// Why the spool can't be listed. Then nothing is known of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlisted: Option<String>,
    /// How many dead letters were removed because of age or size.
    pub pruned: Pruned,
}

/// The waiting exports of one alias.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waiting {
    /// The alias's name.
    pub alias: String,
    /// The account's name.
    pub account: String,
    /// How many exports.
    pub exports: u64,
    /// Their data points.
    pub points: u64,
    /// How many of the exports belong to sessions that still run.
    pub live: u64,
    /// Those of the exports that have stepped aside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deferred: Vec<Failing>,
    /// Those of the exports that failed and have not stepped aside: it is not known whether ACT would accept others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<Failing>,
    /// When the oldest was captured.
    pub oldest: Timestamp,
    /// Waiting, held or not understood.
    pub state: State,
    /// Why it is held.
    #[serde(rename = "trouble")]
    pub problem: Option<Problem>,
    /// Whether they can go nowhere: the user has to say where they belong.
    #[serde(skip)]
    pub is_stranded: bool,
}

/// An export that failed for a reason that may be its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failing {
    /// Its name in the spool.
    pub export: String,
    /// How often it was tried.
    pub tries: u32,
    /// In how many seconds it is tried again.
    pub next_in: u64,
    /// Whether another one was accepted when it stepped aside.
    pub accepts_others: bool,
    /// Why it failed last.
    #[serde(rename = "trouble")]
    pub problem: Problem,
}

/// Reads the spool of ACT's exports in a state directory. `stranded` says why an export can go nowhere, which the state directory alone
/// does not know; `None`: it can.
pub fn summary(state: &Path, stranded: &mut dyn FnMut(&Header) -> Option<Problem>) -> Summary {
    of(&Spool::of(state), stranded)
}

/// Reads the spools of all copies, by destination; those of destinations that are not configured any more, too. `stranded` as in
/// [`summary`], for the copies of one destination.
pub fn of_copies(
    state: &Path,
    stranded: &mut dyn FnMut(&str, &Header) -> Option<Problem>,
) -> BTreeMap<String, Summary> {
    let spools = Spool::all_of_copies(state);
    let summary = |spool: &Spool| {
        let destination = spool.destination()?;
        Some((destination.to_owned(), of(spool, &mut |header| stranded(destination, header))))
    };
    spools.iter().filter_map(summary).collect()
}

fn of(spool: &Spool, stranded: &mut dyn FnMut(&Header) -> Option<Problem>) -> Summary {
    let holds = hold::read_all(&spool.place());
    let mut summary = Summary {
        rejected: files(&spool.rejected()),
        corrupt: files(&spool.corrupt()),
        pruned: dead_letters::pruned(spool),
        ..Summary::default()
    };
    let mut waiting: BTreeMap<(String, String, Option<String>), Waiting> = BTreeMap::new();
    let sessions = list::sessions(spool).unwrap_or_else(|error| {
        summary.unlisted = Some(plain(&error));
        BTreeMap::new()
    });
    for (session, names) in sessions {
        let live = u64::from(record::is_locked(spool.state(), &session));
        for name in names {
            match list::peek(spool, &name) {
                Ok(header) => {
                    *summary.sessions.entry(session.clone()).or_default() += 1;
                    // A session that still runs has the route that it began with.
                    let why = if live == 0 { stranded(&header) } else { None };
                    let key = (header.account.clone(), header.alias.clone(), why.as_ref().map(|why| why.said.clone()));
                    let entry = waiting.entry(key).or_insert_with(|| begin(&header, &holds, why));
                    entry.exports += 1;
                    entry.points += header.points;
                    entry.live += live;
                    entry.oldest = entry.oldest.min(header.captured);
                    if let Some((is_aside, failing)) = failing(spool, name) {
                        let list = if is_aside { &mut entry.deferred } else { &mut entry.failing };
                        list.push(failing);
                    }
                }
                Err(Fault::Newer(_)) => summary.newer += 1,
                Err(Fault::Corrupt) => summary.corrupt += 1,
                Err(Fault::Unreadable(_)) => {
                    *summary.sessions.entry(session.clone()).or_default() += 1;
                    summary.unreadable += 1;
                }
                // ACT has them, or they have just left.
                Err(Fault::Delivered | Fault::Gone) => {}
            }
        }
    }
    summary.waiting = waiting.into_values().collect();
    summary
}

fn begin(header: &Header, holds: &[Hold], stranded: Option<Problem>) -> Waiting {
    let hold = hold::latest(holds, &header.account, &header.alias).map(|hold| (hold.state, hold.problem.clone()));
    let is_stranded = stranded.is_some();
    let (state, problem) = stranded.map(|why| (State::Held, why)).or(hold).unzip();
    Waiting {
        alias: header.alias.clone(),
        account: header.account.clone(),
        exports: 0,
        points: 0,
        live: 0,
        deferred: Vec::new(),
        failing: Vec::new(),
        oldest: header.captured,
        state: state.unwrap_or(State::Waiting),
        problem,
        is_stranded,
    }
}

fn failing(spool: &Spool, name: String) -> Option<(bool, Failing)> {
    let note = deferral::look(spool, &name)?;
    let (is_aside, next_in) = (note.is_aside(), note.due_in(SystemTime::now()).as_secs());
    let Deferral { tries, accepts_others, problem, .. } = note;
    Some((is_aside, Failing { export: name, tries, next_in, accepts_others, problem }))
}

fn files(directory: &Path) -> u64 {
    list::pile(directory).map_or(0, |Usage { files, .. }| files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::spool::{Limits, Store, entry, hold};

    fn header(session: &str, sequence: u64, alias: &str, account: &str, second: i64) -> Header {
        Header {
            alias: alias.to_owned(),
            account: account.to_owned(),
            points: 10 * sequence,
            captured: Timestamp::from_second(second).unwrap(),
            ..entry::sample(session, sequence)
        }
    }

    #[test]
    fn what_waits_is_counted_by_alias_and_nothing_twice() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        assert_eq!(summary(state, &mut |_| None), Summary::default());
        let store = Store::open(state, Limits::default()).unwrap();
        for header in [
            header("a", 1, "billing", "acme", 30),
            header("a", 2, "billing", "acme", 20),
            header("b", 3, "billing", "acme", 40),
            header("b", 4, "billing", "other", 50),
            header("b", 5, "web", "acme", 60),
        ] {
            store.append(&header, b"{}").unwrap();
        }
        let _live = record::lock(state, "a").unwrap();
        let problem =
            |said: &str| Problem { said: said.to_owned(), cause: String::new(), fix: String::new(), code: 77 };
        let mut holds = hold::Holds::of(Some(state));
        for (credentials, asked_ms, state) in [("old", 1, State::NotUnderstood), ("new", 2, State::Held)] {
            let hold = Hold {
                alias: "billing".to_owned(),
                account: "acme".to_owned(),
                state,
                problem: problem(credentials),
                asked_ms,
            };
            holds.set(&hold::Key::new("acme", "billing", &[credentials]), hold);
        }
        let spool = store.spool();
        for (directory, names) in
            [(spool.rejected(), &["x-00000001", "x-00000002"][..]), (spool.corrupt(), &["x-00000003"])]
        {
            names.iter().for_each(|name| std::fs::write(directory.join(name), "").unwrap());
        }
        for name in ["n-00000001", "n-00000002", "n-00000003"] {
            std::fs::write(spool.queue().join(name), "act-claude-export/9 x\n").unwrap();
        }
        for name in ["t-00000001", "t-00000002"] {
            std::fs::write(spool.queue().join(name), "torn").unwrap();
        }
        std::fs::write(spool.root().join("pruned.json"), r#"{"rejected":7}"#).unwrap();

        let waiting = |alias: &str, account: &str, [exports, points, live]: [u64; 3], oldest| Waiting {
            alias: alias.to_owned(),
            account: account.to_owned(),
            exports,
            points,
            live,
            deferred: Vec::new(),
            failing: Vec::new(),
            oldest: Timestamp::from_second(oldest).unwrap(),
            state: State::Waiting,
            problem: None,
            is_stranded: false,
        };
        let held =
            Waiting { state: State::Held, problem: Some(problem("new")), ..waiting("billing", "acme", [3, 60, 2], 20) };
        let expected = Summary {
            waiting: vec![held, waiting("web", "acme", [1, 50, 0], 60), waiting("billing", "other", [1, 40, 0], 50)],
            sessions: [("a".to_owned(), 2), ("b".to_owned(), 3)].into(),
            newer: 3,
            rejected: 2,
            // One in `corrupt`, two still in `new`.
            corrupt: 3,
            unreadable: 0,
            unlisted: None,
            pruned: Pruned { rejected: 7, corrupt: 0 },
        };
        assert_eq!(summary(state, &mut |_| None), expected);
    }
}
