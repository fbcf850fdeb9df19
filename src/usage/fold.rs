//! Folds the notes of sessions that have ended into the files of their months, and takes the sessions out of what is old.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

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
use crate::system::file;

/// From this number of files with notes on, they are folded.
const MANY: usize = 64;
/// After this time without a note, a session that has no lock is over.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

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
    let lock = file::open(&lock, File::options().write(true).create(true).truncate(false).mode(0o600))?;
    // Another process does it.
    let Ok(_lock) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else { return Ok(()) };
    let noted: BTreeSet<String> = files::noted(state)?.into_iter().collect();
    forget_sessions(state, today, &noted)?;
    let mut ended = BTreeMap::new();
    // The locks are looked at before the spool: a relay that has ended stores nothing any more.
    let over: Vec<String> = noted.into_iter().filter(|session| is_over(state, session)).collect();
    let kept = kept(&Spool::of(state))?;
    for session in over.into_iter().filter(|session| !kept.contains(session)) {
        // What can't be read stays, and hinders no other session.
        let Ok(text) = files::read(&files::notes(state, &session)) else { continue };
        let notes = Notes::read(&text);
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
        let Some(mut month) = usable(state, first) else {
            // A newer act-claude folds it, and these sessions. Or it can't be read: then they wait until it can.
            let sessions: BTreeSet<&str> = rows.iter().filter_map(|row| row.session.as_deref()).collect();
            ended.retain(|session, _| !sessions.contains(session.as_str()));
            continue;
        };
        let sessions: BTreeSet<&str> = rows.iter().filter_map(|row| row.session.as_deref()).collect();
        month.replace(&sessions, rows.iter().cloned());
        files::replace(&files::month(state, first), &month.write(first))?;
    }
    for session in ended.keys() {
        fs::remove_file(files::notes(state, session))?;
    }
    Ok(())
}

/// Whether nothing is noted about a session any more, but for what is in the spool. A relay whose lock was removed holds none until the
/// next export arrives. So where no record says that the session has ended, its notes must be [`OLD`].
fn is_over(state: &Path, session: &str) -> bool {
    let has_ended = || record::read(state, session).is_some_and(|record| record.end.is_some());
    let age = || fs::metadata(files::notes(state, session)).ok()?.modified().ok()?.elapsed().ok();
    !record::is_locked(state, session) && (has_ended() || age().is_some_and(|age| age > OLD))
}

/// A month that can be read, and that no newer act-claude wrote.
fn usable(state: &Path, first: Date) -> Option<Month> {
    Month::read(&files::read(&files::month(state, first)).ok()?, first).ok()
}

/// The points that a session's record has and its notes lack, because they could not be written.
fn unnoted(state: &Path, session: &str, rows: &[Row]) -> Option<Row> {
    let noted = rows.iter().fold(0_u64, |sum, row| sum.saturating_add(row.measured.points));
    let points = record::read(state, session)?.outcome.points.checked_sub(noted).filter(|points| *points > 0)?;
    let measured = Measured { points, unsummed: points, ..Measured::default() };
    Some(Row { model: None, disposition: Disposition::NotObserved, measured, ..rows.first()?.clone() })
}

/// Takes the session out of the rows that are older than [`KEPT`]. A session with notes keeps its rows: until they are removed, its
/// notes take the place of its rows.
fn forget_sessions(state: &Path, today: Date, noted: &BTreeSet<String>) -> io::Result<()> {
    let oldest = today.saturating_sub(KEPT.days());
    for first in files::months(state)?.into_iter().filter(|first| *first < oldest) {
        let Some(mut month) = usable(state, first) else { continue };
        if month.forget_sessions(oldest, noted) {
            files::replace(&files::month(state, first), &month.write(first))?;
        }
    }
    Ok(())
}

/// The sessions that have exports in the spool, or among the dead letters: these may still be sent.
fn kept(spool: &Spool) -> io::Result<BTreeSet<String>> {
    let mut kept = BTreeSet::new();
    for directory in [spool.queue(), spool.rejected(), spool.corrupt()] {
        for entry in file::entries(&directory)? {
            kept.extend(entry?.file_name().to_str().map(|name| session_of(name).to_owned()));
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::super::files::Notebook;
    use super::super::ledger::Ledger;
    use super::super::note::Note;
    use super::super::row::Place;
    use super::super::share::Share;
    use super::*;
    use crate::state;
    use crate::state::outcome::{Outcome, State};
    use crate::state::record::{LaunchKind, Record};
    use jiff::civil::date;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::SystemTime;

    const TODAY: Date = date(2026, 11, 28);

    fn note(state: &Path, session: &str, number: u64, day: Date, points: u64, what: Disposition) {
        let place = Place { alias: "billing".to_owned(), account: "acme".to_owned(), ..Place::default() };
        let measured = Measured { points, cost_usd: points as f64, ..Measured::default() };
        let note = Note::of(number, what).with(place, vec![Share { day, model: Some("opus".to_owned()), measured }]);
        Notebook::of(state, session).note(&note).unwrap();
        noted(state, session, OLD * 2);
    }

    /// The last note about a session is this old.
    fn noted(state: &Path, session: &str, age: Duration) {
        let file = File::options().write(true).open(files::notes(state, session)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    type Points = BTreeMap<(Option<Arc<str>>, Disposition), u64>;

    /// The points by session and what became of them, and how many files with notes there are.
    fn seen(state: &Path) -> (Points, usize) {
        let ledger = Ledger::read(state, &(Date::MIN..=Date::MAX));
        assert_eq!(ledger.faults, []);
        let mut points = BTreeMap::new();
        for row in ledger.rows {
            *points.entry((row.session, row.disposition)).or_default() += row.measured.points;
        }
        (points, files::noted(state).unwrap().len())
    }

    fn some(session: &str) -> Option<Arc<str>> {
        Some(session.into())
    }

    fn left(state: &Path, part: PathBuf, name: &str) {
        assert!(part.starts_with(state));
        fs::create_dir_all(&part).unwrap();
        fs::write(part.join(name), "").unwrap();
    }

    #[test]
    fn what_is_final_is_folded_and_says_the_same() {
        use Disposition::{Delivered, NotObserved, Rejected, UnderWay, Waiting};
        let state = tempfile::tempdir().unwrap();
        let (state, spool) = (state.path(), Spool::of(state.path()));
        note(state, "a", 0, TODAY, 1, Delivered);
        note(state, "a", 1, date(2026, 10, 31), 2, Delivered);
        note(state, "b", 0, TODAY, 4, Waiting);
        left(state, spool.queue(), "b-00000000");
        note(state, "c", 0, TODAY, 8, Rejected);
        left(state, spool.rejected(), "c-00000000");
        note(state, "d", 0, TODAY, 16, Waiting);
        let live = record::lock(state, "d").unwrap();
        // Nothing is known of it any more.
        note(state, "e", 0, TODAY, 32, Waiting);
        let expected = [
            ((some("a"), Delivered), 3),
            ((some("b"), Waiting), 4),
            ((some("c"), Rejected), 8),
            ((some("d"), UnderWay), 16),
            ((some("e"), NotObserved), 32),
        ];
        assert_eq!(seen(state), (expected.clone().into(), 5));
        fold(state, TODAY).unwrap();
        assert_eq!(seen(state), (expected.clone().into(), 3));
        assert_eq!(files::months(state).unwrap(), [date(2026, 10, 1), date(2026, 11, 1)]);
        // A crash before the notes were removed: the notes count, not the month.
        note(state, "a", 0, TODAY, 1, Delivered);
        note(state, "a", 1, date(2026, 10, 31), 2, Delivered);
        assert_eq!(seen(state), (expected.clone().into(), 4));
        fold(state, TODAY).unwrap();
        assert_eq!(seen(state), (expected.into(), 3));
        drop(live);
    }

    #[test]
    fn what_is_old_has_no_session_and_the_same_sum() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        for (session, day) in
            [("a", TODAY), ("b", date(2026, 8, 30)), ("c", date(2026, 8, 29)), ("d", date(2025, 1, 1))]
        {
            note(state, session, 0, day, 1, Disposition::Delivered);
        }
        fold(state, TODAY).unwrap();
        let delivered = |session| (session, Disposition::Delivered);
        assert_eq!(seen(state).0.len(), 4, "at first all have theirs: a crash may come before the notes are removed");
        fold(state, TODAY).unwrap();
        let expected = [(delivered(None), 2), (delivered(some("a")), 1), (delivered(some("b")), 1)];
        assert_eq!(seen(state), (expected.into(), 0));
    }

    /// Writes the record of a session that has ended, with five points.
    fn recorded(state: &Path, session: &str) -> Date {
        let start = record::start_of(session).unwrap();
        let outcome = Outcome { exports: 1, points: 5, states: [(State::Delivered, 1)].into(), ..Outcome::default() };
        let new = Record::new(session.to_owned(), LaunchKind::Supervised, start, Path::new("/w"), Path::new("/c"));
        state::prepare(state).and_then(|()| state::make_private(&record::directory(state))).unwrap();
        Record { end: Some(start), outcome, ..new }.write(state).unwrap();
        start.to_zoned(jiff::tz::TimeZone::system()).date()
    }

    /// The directory with the locks was removed. A session that is folded and then goes on would lose what was folded.
    #[test]
    fn a_session_without_a_lock_is_not_folded_before_it_has_ended() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let session = "0199a1b2c3d4aabbccddee";
        note(state, session, 0, TODAY, 1, Disposition::Delivered);
        noted(state, session, Duration::ZERO);
        fold(state, TODAY).unwrap();
        assert_eq!(files::noted(state).unwrap(), [session]);
        recorded(state, session);
        fold(state, TODAY).unwrap();
        assert_eq!(files::noted(state).unwrap(), [""; 0], "its record has its end");
    }

    /// A late delivery keeps a record longer than the rows keep their session.
    #[test]
    fn what_an_old_session_has_is_not_missing() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let day = recorded(state, "0199a1b2c3d4aabbccddee");
        note(state, "0199a1b2c3d4aabbccddee", 0, day, 5, Disposition::Delivered);
        for _ in 0..2 {
            fold(state, TODAY).unwrap();
        }
        let ledger = Ledger::read(state, &(Date::MIN..=Date::MAX));
        assert_eq!((ledger.rows[0].session.as_ref(), ledger.uncounted.points), (None, 0));
    }

    #[test]
    fn what_a_record_has_and_the_notes_lack_is_counted() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        for (session, noted) in [("0199a1b2c3d4aabbccddee", Some(2)), ("0199a1b2c3d4ffbbccddee", None)] {
            recorded(state, session);
            if let Some(points) = noted {
                note(state, session, 0, TODAY, points, Disposition::Delivered);
            }
        }
        let uncounted = |state: &Path| Ledger::read(state, &(Date::MIN..=Date::MAX)).uncounted;
        assert_eq!((uncounted(state).sessions, uncounted(state).points), (2, 8));
        fold(state, TODAY).unwrap();
        assert_eq!((uncounted(state).sessions, uncounted(state).points), (1, 5));
        let session = some("0199a1b2c3d4aabbccddee");
        let expected = [((session.clone(), Disposition::Delivered), 2), ((session, Disposition::NotObserved), 3)];
        assert_eq!(seen(state).0, expected.into());
    }

    #[test]
    fn a_file_that_this_version_can_t_read_stays_as_it_is() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        note(state, "a", 0, TODAY, 1, Disposition::Delivered);
        note(state, "b", 0, date(2026, 10, 1), 2, Disposition::Delivered);
        let newer = files::month(state, date(2026, 11, 1));
        fs::write(&newer, "\n{\"v\":9,\"month\":\"2026-11\",\"numbers\":[]}\n{\"new\":1}\n").unwrap();
        let damaged = files::notes(state, "c");
        fs::write(&damaged, "\n{\"v\":1,\"seq\":0,\"sta").unwrap();
        let before = [fs::read(&newer).unwrap(), fs::read(&damaged).unwrap()];
        fold(state, TODAY).unwrap();
        assert_eq!([fs::read(&newer).unwrap(), fs::read(&damaged).unwrap()], before);
        assert_eq!(
            files::noted(state).unwrap(),
            ["a", "c"],
            "what belongs into the newer month waits for its act-claude"
        );
        let ledger = Ledger::read(state, &(Date::MIN..=Date::MAX));
        assert_eq!(ledger.rows.iter().map(|row| row.measured.points).sum::<u64>(), 3);
        assert_eq!(ledger.faults.len(), 2, "{:?}", ledger.faults);
    }

    #[test]
    fn a_file_that_can_t_be_read_hinders_no_other() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        note(state, "a", 0, TODAY, 1, Disposition::Delivered);
        note(state, "b", 0, date(2026, 10, 1), 2, Disposition::Delivered);
        note(state, "c", 0, date(2026, 3, 1), 4, Disposition::Delivered);
        fs::create_dir(files::notes(state, "directory")).unwrap();
        for month in [date(2026, 10, 1), date(2026, 3, 1)] {
            fs::create_dir(files::month(state, month)).unwrap();
        }
        fold(state, TODAY).unwrap();
        assert_eq!(files::noted(state).unwrap(), ["b", "c", "directory"]);
        let ledger = Ledger::read(state, &(Date::MIN..=Date::MAX));
        assert_eq!(ledger.rows.iter().map(|row| row.measured.points).sum::<u64>(), 7);
        assert_eq!(ledger.faults.len(), 3, "{:?}", ledger.faults);
    }

    #[test]
    fn nothing_is_waited_for_and_no_sum_is_too_large() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        note(state, "a", 0, TODAY, u64::MAX, Disposition::Delivered);
        note(state, "a", 1, TODAY, u64::MAX, Disposition::Delivered);
        nix::unistd::mkfifo(&files::directory(state).join("lock"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(fold(state, TODAY).is_err(), "a pipe that nobody reads");
        fs::remove_file(files::directory(state).join("lock")).unwrap();
        fold(state, TODAY).unwrap();
        assert_eq!(seen(state).0.into_values().collect::<Vec<_>>(), [u64::MAX]);
    }

    #[test]
    fn few_files_are_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        fold_many(state, TODAY).unwrap();
        for session in 0..MANY {
            note(state, &format!("s{session}"), 0, TODAY, 1, Disposition::Delivered);
            fold_many(state, TODAY).unwrap();
            let expected = if session + 1 < MANY { session + 1 } else { 0 };
            assert_eq!(files::noted(state).unwrap().len(), expected);
        }
    }
}
