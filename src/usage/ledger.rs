//! The whole ledger, as it is now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::disposition::Disposition;
use super::files;
use super::month::Month;
use super::note::{NotedExport, Notes};
use super::row::{Place, Row};
use super::share;
use crate::otlp;
use crate::state::record::{self, Record};
use crate::state::spool::hold::{self, Hold};
use crate::state::spool::{Header, Spool, entry, list, number_of};
use crate::system::error::plain;
use crate::system::file;

/// What was used in some days, and what is not known of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// The rows, in no order. Several may be about the same.
    pub rows: Vec<Row>,
    /// Files that are not counted, or not wholly.
    pub faults: Vec<Fault>,
    /// Sessions of these days whose records have data points that the ledger lacks.
    pub uncounted: Uncounted,
}

/// A file that is not counted, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a file is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// This number of lines is damaged.
    Damaged(u64),
    /// A newer act-claude wrote it, or a part of it.
    Newer,
    /// It can't be read; the system's reason.
    Unreadable(String),
}

/// Data points that the ledger lacks: an act-claude without a ledger took them in, or they could not be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// In how many sessions.
    pub sessions: u64,
    /// How many points.
    pub points: u64,
}

impl Ledger {
    /// Reads the ledger of a state directory for these days.
    pub fn read(state: &Path, days: &RangeInclusive<Date>) -> Self {
        let mut reader = Reader::new(state);
        // The notes come before the months: what is folded meanwhile is then in a month.
        let noted = reader.notes();
        reader.spooled();
        reader.months(days, &noted);
        let uncounted = uncounted(state, days, &noted, &reader.rows);
        let Reader { mut rows, faults, .. } = reader;
        rows.retain(|row| days.contains(&row.day));
        Self { rows, faults, uncounted }
    }
}

struct Reader<'a> {
    state: &'a Path,
    spool: Spool,
    holds: Vec<Hold>,
    /// The exports in the spool, by session, that no note is about. At first: all.
    kept: BTreeMap<String, Vec<String>>,
    rows: Vec<Row>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn new(state: &'a Path) -> Self {
        let spool = Spool::of(state);
        let mut faults = Vec::new();
        let kept = list::sessions(&spool).unwrap_or_else(|error| {
            faults.push(unreadable(spool.queue(), &error));
            BTreeMap::new()
        });
        Self { state, spool, holds: hold::read_all(state), kept, rows: Vec::new(), faults }
    }

    /// Reads all notes. Returns the sessions that have any.
    fn notes(&mut self) -> BTreeSet<String> {
        let sessions = files::noted(self.state).unwrap_or_else(|error| {
            self.faults.push(unreadable(files::sessions(self.state), &error));
            Vec::new()
        });
        let mut noted = BTreeSet::new();
        for session in sessions {
            let path = files::notes(self.state, &session);
            match files::read(&path) {
                // It has been folded since.
                Ok(text) if text.is_empty() => {}
                Ok(text) => {
                    self.session(&session, &path, &Notes::read(&text));
                    noted.insert(session);
                }
                Err(error) => self.faults.push(unreadable(path, &error)),
            }
        }
        noted
    }

    fn session(&mut self, session: &str, path: &Path, notes: &Notes) {
        if notes.damaged > 0 {
            self.faults.push(Fault { path: path.to_owned(), why: Why::Damaged(notes.damaged) });
        }
        if notes.newer > 0 {
            self.faults.push(Fault { path: path.to_owned(), why: Why::Newer });
        }
        let kept: BTreeSet<u64> =
            self.kept.get(session).into_iter().flatten().filter_map(|name| number_of(name)).collect();
        let is_live = record::is_locked(self.state, session);
        let rows =
            notes.rows(session, |seq, export| self.disposition(session, seq, export, kept.contains(&seq), is_live));
        self.rows.extend(rows);
        if let Some(names) = self.kept.get_mut(session) {
            names.retain(|name| number_of(name).is_none_or(|seq| !notes.knows(seq)));
        }
    }

    /// What became of an export that no note has decided.
    fn disposition(&self, session: &str, seq: u64, export: &NotedExport, is_kept: bool, is_live: bool) -> Disposition {
        let name = || crate::state::spool::name(session, seq);
        if is_kept {
            self.kept_state(&export.place.account, &export.place.alias)
        } else if export.state == Disposition::Lost {
            Disposition::Lost
        } else if self.spool.rejected().join(name()).exists() {
            Disposition::Rejected
        } else if self.spool.corrupt().join(name()).exists() {
            Disposition::Lost
        } else if is_live {
            Disposition::UnderWay
        } else {
            Disposition::NotObserved
        }
    }

    /// The state of an export in the spool.
    fn kept_state(&self, account: &str, alias: &str) -> Disposition {
        hold::latest(&self.holds, account, alias).map_or(Disposition::Waiting, |hold| hold.state.into())
    }

    /// Adds the exports in the spool that no note is about: their relay was killed, or had no ledger.
    fn spooled(&mut self) {
        let zone = TimeZone::system();
        let kept = std::mem::take(&mut self.kept);
        for (session, names) in kept.into_iter().filter(|(_, names)| !names.is_empty()) {
            let directory = record::read(self.state, &session).map(|record| record.directory);
            for name in names {
                // One that is decided at this moment has a note now. It is counted the next time.
                let Ok(file) = file::read_regular(&self.spool.queue().join(&name), entry::LARGEST_FILE) else {
                    continue;
                };
                let Ok((Header { alias, account, captured, .. }, body)) = entry::read(&file) else { continue };
                let Some(content) = otlp::read(&file[body..]) else { continue };
                let disposition = self.kept_state(&account, &alias);
                let place = Arc::new(Place { alias, account, directory: directory.clone(), repository: None });
                for share::Share { day, model, measured } in share::of_export(&content.portions, &zone, captured) {
                    let (session, model) = (Some(session.as_str().into()), model.map(Arc::from));
                    self.rows.push(Row { day, session, place: place.clone(), model, disposition, measured });
                }
            }
        }
    }

    fn months(&mut self, days: &RangeInclusive<Date>, noted: &BTreeSet<String>) {
        let months = files::months(self.state).unwrap_or_else(|error| {
            self.faults.push(unreadable(files::directory(self.state), &error));
            Vec::new()
        });
        for first in months.into_iter().filter(|first| first <= days.end() && first.last_of_month() >= *days.start()) {
            let path = files::month(self.state, first);
            let month = match files::read(&path) {
                Ok(text) => Month::read(&text, first),
                Err(error) => {
                    self.faults.push(unreadable(path, &error));
                    continue;
                }
            };
            match month {
                Ok(month) => {
                    let damaged = month.damaged_lines() as u64;
                    if damaged > 0 {
                        self.faults.push(Fault { path, why: Why::Damaged(damaged) });
                    }
                    let is_noted = |row: &Row| row.session.as_deref().is_some_and(|session| noted.contains(session));
                    self.rows.extend(month.rows.into_iter().filter(|row| !is_noted(row)));
                }
                Err(_) => self.faults.push(Fault { path, why: Why::Newer }),
            }
        }
    }
}

/// The points of ended sessions that their records have, and the ledger has not. Only records of sessions that no month has are read:
/// there may be thousands, and what a folded session lacks is in its rows.
fn uncounted(state: &Path, days: &RangeInclusive<Date>, noted: &BTreeSet<String>, rows: &[Row]) -> Uncounted {
    let mut counted: HashMap<&str, u64> = HashMap::new();
    for row in rows {
        if let Some(session) = &row.session {
            let counted = counted.entry(session).or_default();
            *counted = counted.saturating_add(row.measured.points);
        }
    }
    let day = |time: Timestamp| time.to_zoned(TimeZone::system()).date();
    // Up to this day the rows do not say whose they are: what a session has there can't be compared with its record.
    let forgotten = rows.iter().filter(|row| row.session.is_none()).map(|row| row.day).max();
    let is_known = |day: Date| days.contains(&day) && forgotten.is_none_or(|forgotten| day > forgotten);
    let is_of_days = |id: &String| record::start_of(id).is_some_and(|start| is_known(day(start)));
    let is_open = |id: &String| noted.contains(id) || !counted.contains_key(id.as_str());
    let mut uncounted = Uncounted::default();
    for id in record::ids(state).into_iter().filter(|id| is_of_days(id) && is_open(id)) {
        let Some(Record { end: Some(end), outcome, .. }) = record::read(state, &id) else { continue };
        let missing = outcome.points.saturating_sub(counted.get(id.as_str()).copied().unwrap_or(0));
        // A session that goes on beyond these days has points of other days.
        if missing > 0 && days.contains(&day(end)) {
            uncounted.sessions += 1;
            uncounted.points += missing;
        }
    }
    uncounted
}

fn unreadable(path: PathBuf, error: &io::Error) -> Fault {
    Fault { path, why: Why::Unreadable(plain(error)) }
}
