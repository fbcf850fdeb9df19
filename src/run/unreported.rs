//! Sessions that failed where nobody saw it (background agents, editors, applications, a supervisor killed with its relay): the next run in a
//! terminal reports each of them once, all in one line.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::state::record::{self, LaunchKind, Record};
use crate::state::session::Session;
use crate::state::spool::Summary;

/// The time of a record is that of its writing, but it is found only once it has its final name, which is later on a busy
/// machine. So records this much older than the last look are examined again; no session is reported twice.
const LATE: Duration = Duration::from_secs(60);
/// Older sessions than this many are left to `act history`.
const RECENT: usize = 500;

/// The line for the failures since the last look; in most cases there is none. The sessions it names are recorded as reported. A
/// failure whose exports have left the spool is not reported any more; the spool is read only where there are sessions to check.
pub fn line(state: &Path, spool: impl FnOnce(&Path) -> Summary) -> Option<String> {
    let since = looked(state);
    note_look(state)?;
    let ids = record::ids(state);
    let is_new = |written: SystemTime| since.is_none_or(|since| written + LATE >= since);
    let changed = |id: &str| written(state, id).is_none_or(is_new);
    // A relay that is killed writes no record: it may have been killed since the last look.
    let is_killed = |record: &Record| record.end.is_none() && !record.is_live(state);
    let may_be_news = |id: &&String| changed(id) || (record::is_unfinished(state, id) && !record::is_said(state, id));
    let is_unseen = |record: &Record| match (record.kind, is_killed(record)) {
        (_, true) => !record.claude_has_gone || changed(&record.id),
        (LaunchKind::Launcher, false) => changed(&record.id),
        // Its supervisor reports it, to a terminal, a log or an application.
        (LaunchKind::Supervised, false) => record.unread && changed(&record.id),
    };
    let records = ids.iter().take(RECENT).filter(may_be_news).filter_map(|id| record::read(state, id));
    let unseen: Vec<Record> = records.filter(is_unseen).collect();
    if unseen.is_empty() {
        return None;
    }
    let spool = spool(state);
    let sessions = unseen.into_iter().map(|record| Session::new(record, state, &spool));
    let unreported: Vec<Session> = sessions
        .filter(|session| !session.live && session.needs_someone() && session.has_failed())
        .filter(|session| record::mark_said(state, &session.record.id))
        .collect();
    words(&unreported)
}

/// Names the latest, and how many more there are (pure).
fn words(unreported: &[Session]) -> Option<String> {
    let latest = unreported.first()?;
    let alias = latest.record.alias.as_deref().unwrap_or("no alias");
    let is_background = |session: &Session| session.record.kind == LaunchKind::Launcher;
    let what = if unreported.iter().all(is_background) { "background session" } else { "session" };
    let subject = match unreported.len() {
        1 => format!("a {what} in {}", latest.record.directory.display()),
        count => format!("{count} {what}s, the last in {}", latest.record.directory.display()),
    };
    let more = if unreported.len() > 1 { " (all: act-claude act history --failed)" } else { "" };
    Some(format!("{subject}: {alias}: {}{more}", latest.words()))
}

/// The time of the last look. Records that a relay writes later are new.
fn looked(state: &Path) -> Option<SystemTime> {
    fs::metadata(look_file(state)).and_then(|metadata| metadata.modified()).ok()
}

/// Notes the time of this look. Where it can't be noted, nothing is reported, because it would be reported again and again.
fn note_look(state: &Path) -> Option<()> {
    // Writes instead of setting the time: the time then comes from the same coarse clock as the records' times.
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(look_file(state)).ok()?;
    file.write_all(b"\n").ok()
}

fn look_file(state: &Path) -> std::path::PathBuf {
    record::directory(state).join(".looked")
}

fn written(state: &Path, id: &str) -> Option<SystemTime> {
    fs::metadata(record::directory(state).join(format!("{id}.json"))).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state;
    use crate::state::outcome::State;
    use crate::state::session::sample::session;

    /// All exports are still in the spool.
    fn look(state: &Path) -> Option<String> {
        let sessions = record::ids(state).into_iter().map(|id| (id, 1)).collect();
        line(state, |_| Summary { sessions, ..Summary::default() })
    }

    fn write(state: &Path, session: &Session) {
        session.record.write(state).unwrap();
    }

    #[test]
    fn each_failure_is_named_once() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        assert_eq!(look(state), None, "there is nothing yet");
        state::make_private(&record::directory(state)).unwrap();
        assert_eq!(look(state), None);
        write(state, &session("1", &[(State::Delivered, 2)]));
        write(state, &session("2", &[(State::Held, 3)]));
        let mut supervised = session("3", &[(State::Held, 1)]);
        supervised.record.kind = LaunchKind::Supervised;
        write(state, &supervised);
        write(state, &session("4", &[(State::Waiting, 1)]));
        assert_eq!(
            look(state).unwrap(),
            "a background session in /home/dev/work/billing: billing: 3 exports held: ACT answered 401 Unauthorized. \
             The API token or its user is wrong: act-claude act setup --account acme"
        );
        assert_eq!(look(state), None, "said before");
        supervised.record.unread = true;
        write(state, &supervised);
        let said = look(state).unwrap();
        assert!(said.starts_with("a session in /home/dev/work/billing: billing: 1 export held"), "{said}");
        assert_eq!(look(state), None, "said before");
        // Written again, as a relay may do: it was still reported before.
        write(state, &session("2", &[(State::Held, 4)]));
        write(state, &session("5", &[(State::Lost, 1)]));
        write(state, &session("6", &[(State::Rejected, 1)]));
        let said = look(state).unwrap();
        assert!(
            said.starts_with("2 background sessions, the last in /home/dev/work/billing: billing: 1 export rejected"),
            "{said}"
        );
        assert!(said.ends_with("(all: act-claude act history --failed)"), "{said}");
        assert_eq!(look(state), None);
    }

    /// A record that was written before the last look, and got its final name only after it.
    #[test]
    fn what_came_late_is_not_overlooked() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        state::make_private(&record::directory(state)).unwrap();
        assert_eq!(look(state), None);
        for (id, age, is_named) in [("1", 5, true), ("2", 600, false)] {
            write(state, &session(id, &[(State::Held, 3)]));
            let file = File::options().write(true).open(record::directory(state).join(format!("{id}.json"))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            assert_eq!(look(state).is_some(), is_named, "{id}");
        }
    }

    #[test]
    fn what_went_out_meanwhile_is_not_missed() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        state::make_private(&record::directory(state)).unwrap();
        write(state, &session("1", &[(State::Held, 3)]));
        assert_eq!(line(state, |_| Summary::default()), None);
    }

    #[test]
    fn one_that_still_runs_is_not_over() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let lock = record::lock(state, "1").unwrap();
        let mut live = session("1", &[(State::Held, 3)]);
        live.record.end = None;
        write(state, &live);
        assert_eq!(look(state), None);
        drop(lock);
        // A program that another test is about to start holds the lock until it is executed.
        while record::is_locked(state, "1") {
            std::thread::yield_now();
        }
        // The relay was killed: nothing was written since, but the session has ended. Its supervisor would report it if it lived.
        let record = File::options().write(true).open(record::directory(state).join("1.json")).unwrap();
        record.set_modified(SystemTime::now() - Duration::from_secs(600)).unwrap();
        assert!(look(state).unwrap().starts_with("a background session in "));
        let mut supervised = session("2", &[(State::Delivered, 3)]);
        (supervised.record.end, supervised.record.kind) = (None, LaunchKind::Supervised);
        write(state, &supervised);
        let said = look(state).unwrap();
        assert!(
            said.starts_with("a session in ") && said.ends_with("what claude sent after that is not known"),
            "{said}"
        );
        assert_eq!(look(state), None);
    }
}
