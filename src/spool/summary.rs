//! The spool's state, for `act history` and others who only look.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::aside::{self, Pruned};
use super::entry::Fault;
use super::list::{self, Usage};
use super::mark::{self, Mark};
use super::{Header, Spool};
use crate::outcome::{State, Trouble};
use crate::record;

/// What is in the spool.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// By account and alias.
    pub waiting: Vec<Waiting>,
    /// Exports by session: of those a session's record calls waiting or held, the others have left since.
    pub sessions: BTreeMap<String, u64>,
    /// Files a newer act-claude wrote.
    pub newer: u64,
    /// Files ACT will never take.
    pub rejected: u64,
    /// Files that were not what had been written; those still to be set aside included.
    pub corrupt: u64,
    /// How many set aside files were removed since.
    pub pruned: Pruned,
}

/// What waits for one alias.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waiting {
    /// The alias's name.
    pub alias: String,
    /// The account's name.
    pub account: String,
    /// Exports.
    pub exports: u64,
    /// Their data points.
    pub points: u64,
    /// How many of the exports belong to sessions that still run.
    pub live: u64,
    /// When the oldest was captured.
    pub oldest: Timestamp,
    /// Waiting, held or not understood.
    pub state: State,
    /// Why it is held.
    pub trouble: Option<Trouble>,
}

/// Looks into the spool of a state directory.
pub fn summary(state: &Path) -> Summary {
    let spool = Spool::of(state);
    let marks = mark::read_all(state);
    let mut summary = Summary {
        rejected: files(&spool.rejected()),
        corrupt: files(&spool.corrupt()),
        pruned: aside::pruned(&spool),
        ..Summary::default()
    };
    let mut waiting: BTreeMap<(String, String), Waiting> = BTreeMap::new();
    for (session, names) in list::sessions(&spool) {
        let live = u64::from(record::is_locked(state, &session));
        for name in names {
            match list::peek(&spool, &name) {
                Ok(header) => {
                    *summary.sessions.entry(session.clone()).or_default() += 1;
                    let key = (header.account.clone(), header.alias.clone());
                    let entry = waiting.entry(key).or_insert_with(|| begin(&header, &marks));
                    entry.exports += 1;
                    entry.points += header.points;
                    entry.live += live;
                    entry.oldest = entry.oldest.min(header.captured);
                }
                Err(Fault::Newer(_)) => summary.newer += 1,
                Err(Fault::Corrupt) => summary.corrupt += 1,
            }
        }
    }
    summary.waiting = waiting.into_values().collect();
    summary
}

fn begin(header: &Header, marks: &[Mark]) -> Waiting {
    let mark = marks.iter().rev().find(|mark| mark.account == header.account && mark.alias == header.alias);
    Waiting {
        alias: header.alias.clone(),
        account: header.account.clone(),
        exports: 0,
        points: 0,
        live: 0,
        oldest: header.captured,
        state: mark.map_or(State::Waiting, |mark| mark.state),
        trouble: mark.map(|mark| mark.trouble.clone()),
    }
}

fn files(directory: &Path) -> u64 {
    let Usage { files, .. } = list::pile(directory);
    files
}
