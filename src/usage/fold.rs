//! Folds the notes of sessions that have ended into the files of their months, and takes the sessions out of what is old.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::ToSpan;
use jiff::civil::Date;
use nix::fcntl::{Flock, FlockArg};

use super::KEPT;
use super::disposition::Disposition;
use super::files;
use super::month::Month;
use super::note::Notes;
use super::row::Row;
use crate::claude::measured::Measured;
use crate::state::record;
use crate::state::spool::{Spool, session_of};

/// From this number of files with notes on, they are folded.
const MANY: usize = 64;

/// Folds what is final, where there are many files. `today` is the user's local day.
///
/// # Errors
///
/// A file can't be read or written. Nothing is lost: each step leaves a ledger that says the same.
pub fn fold_many(state: &Path, today: Date) -> io::Result<()> {
    if files::noted(state)?.len() < MANY { Ok(()) } else { fold(state, today) }
}

/// Folds what is final.
///
/// # Errors
///
/// As [`fold_many`].
pub fn fold(state: &Path, today: Date) -> io::Result<()> {
    let lock = files::directory(state).join("lock");
    let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(lock)?;
    // Another process does it.
    let Ok(_lock) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else { return Ok(()) };
    forget_sessions(state, today)?;
    let mut ended = BTreeMap::new();
    let kept = kept(&Spool::of(state))?;
    for session in files::noted(state)? {
        if kept.contains(&session) || record::is_locked(state, &session) {
            continue;
        }
        let notes = Notes::read(&files::read(&files::notes(state, &session))?);
        if notes.is_whole() {
            let mut rows = notes.rows(&session, |_, export| match export.state {
                Disposition::Lost => Disposition::Lost,
                _ => Disposition::NotObserved,
            });
            rows.extend(unnoted(state, &session, &rows));
            ended.insert(session, rows);
        }
    }
    let mut months: BTreeMap<Date, Vec<Row>> = BTreeMap::new();
    for row in ended.values().flatten() {
        months.entry(row.day.first_of_month()).or_default().push(row.clone());
    }
    for (first, rows) in months {
        let path = files::month(state, first);
        let Ok(mut month) = Month::read(&files::read(&path)?, first) else {
            // A newer act-claude folds it, and these sessions.
            let sessions: BTreeSet<&String> = rows.iter().filter_map(|row| row.session.as_ref()).collect();
            ended.retain(|session, _| !sessions.contains(session));
            continue;
        };
        let sessions: BTreeSet<&str> = rows.iter().filter_map(|row| row.session.as_deref()).collect();
        month.replace(&sessions, rows.iter().cloned());
        files::replace(&path, &month.write(first))?;
    }
    for session in ended.keys() {
        fs::remove_file(files::notes(state, session))?;
    }
    Ok(())
}

/// The points that a session's record has and its notes lack, because they could not be written.
fn unnoted(state: &Path, session: &str, rows: &[Row]) -> Option<Row> {
    let noted: u64 = rows.iter().map(|row| row.measured.points).sum();
    let points = record::read(state, session)?.outcome.points.checked_sub(noted).filter(|points| *points > 0)?;
    let measured = Measured { points, unsummed: points, ..Measured::default() };
    Some(Row { model: None, disposition: Disposition::NotObserved, measured, ..rows.first()?.clone() })
}

/// Takes the session out of the rows that are older than [`KEPT`]. A session with notes keeps its rows: until they are removed, its
/// notes take the place of its rows.
fn forget_sessions(state: &Path, today: Date) -> io::Result<()> {
    let oldest = today.saturating_sub(KEPT.days());
    let noted: BTreeSet<String> = files::noted(state)?.into_iter().collect();
    for first in files::months(state)?.into_iter().filter(|first| *first < oldest) {
        let path = files::month(state, first);
        let Ok(mut month) = Month::read(&files::read(&path)?, first) else { continue };
        if month.forget_sessions(oldest, &noted) {
            files::replace(&path, &month.write(first))?;
        }
    }
    Ok(())
}

/// The sessions that have exports in the spool, or among the dead letters: these may still be sent.
fn kept(spool: &Spool) -> io::Result<BTreeSet<String>> {
    let mut kept = BTreeSet::new();
    for directory in [spool.queue(), spool.rejected(), spool.corrupt()] {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            kept.extend(entry?.file_name().to_str().map(|name| session_of(name).to_owned()));
        }
    }
    Ok(kept)
}
