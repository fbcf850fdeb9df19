//! Notes about exports that fail while ACT may accept others: how often each was tried, why it failed, and when it is
//! tried next.
//!
//! A note is `spool/deferred/NAME`, for the export `spool/new/NAME`. All relays and `act flush` read it, so that none of
//! them starts to count from zero; only the process that holds the export's lock writes it. It is removed with its export.
//! Where it can't be written, this process keeps it in memory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Spool;
use super::hold::now_ms;
use crate::state;
use crate::state::outcome::Problem;

/// The first pause of an export that stepped aside.
const FIRST: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// A pause is at least this many times as long as the attempt took, so that an export without an answer is tried less often.
const SHARE: u32 = 4;

/// The note about one export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// How often it failed for a reason that may be its own.
    pub tries: u32,
    /// When it was last tried, in milliseconds since 1970.
    pub tried_ms: u64,
    /// Set if it has stepped aside: others go first, and it is tried again after this many milliseconds.
    pub pause_ms: Option<u64>,
    /// Whether another one was accepted when it stepped aside. Where that is not known, nobody claims it.
    #[serde(default)]
    pub accepts_others: bool,
    /// Why it failed last.
    #[serde(rename = "trouble")]
    pub problem: Problem,
}

impl Deferral {
    /// Whether it has stepped aside. Otherwise it keeps its place in the order.
    pub fn is_aside(&self) -> bool {
        self.pause_ms.is_some()
    }

    /// How long until it is tried again. A clock that was set back does not delay this.
    pub fn due_in(&self, now: SystemTime) -> Duration {
        let tried = UNIX_EPOCH + Duration::from_millis(self.tried_ms);
        let pause = Duration::from_millis(self.pause_ms.unwrap_or(0));
        now.duration_since(tried).map_or(Duration::ZERO, |age| pause.saturating_sub(age))
    }
}

/// The pause after an attempt that `took` this long (pure). The pause before it was `last` milliseconds.
fn pause(last: Option<u64>, took: Duration) -> u64 {
    let doubled = last.map_or(FIRST, |last| Duration::from_millis(last.saturating_mul(2)));
    let pause = doubled.max(took.saturating_mul(SHARE)).min(LONGEST);
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}

/// The notes of a spool.
#[derive(Debug, Default)]
pub struct Deferrals {
    directory: Option<PathBuf>,
    /// The notes that could not be written.
    own: BTreeMap<String, Deferral>,
}

impl Deferrals {
    /// The notes of a spool; without one they are in this process only.
    pub fn of(spool: Option<&Spool>) -> Self {
        Self { directory: spool.map(Spool::deferred), own: BTreeMap::new() }
    }

    /// The note about an export.
    pub fn read(&self, name: &str) -> Option<Deferral> {
        self.own.get(name).cloned().or_else(|| read(&self.directory.as_ref()?.join(name)))
    }

    /// The exports that have a note.
    pub fn names(&self) -> Vec<String> {
        let written = self.directory.as_ref().and_then(|directory| fs::read_dir(directory).ok());
        let written = written.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        written.filter(|name| !name.starts_with('.')).chain(self.own.keys().cloned()).collect()
    }

    /// Notes that an export failed once more, in an attempt that `took` this long. Returns the new note.
    pub fn failed(&mut self, name: &str, problem: &Problem, took: Duration) -> Deferral {
        let last = self.read(name);
        let (tries, last_pause) = last.as_ref().map_or((0, None), |last| (last.tries, last.pause_ms));
        let note = Deferral {
            tries: tries.saturating_add(1),
            tried_ms: now_ms(),
            pause_ms: last_pause.map(|last| pause(Some(last), took)),
            accepts_others: last.is_some_and(|last| last.accepts_others),
            problem: problem.clone(),
        };
        self.write(name, &note);
        note
    }

    /// Notes that an export steps aside; the attempt that failed `took` this long. `accepts_others`: another one was accepted.
    pub fn step_aside(&mut self, name: &str, took: Duration, accepts_others: bool) -> Option<Deferral> {
        let note = self.read(name)?;
        let note = Deferral {
            pause_ms: Some(note.pause_ms.unwrap_or_else(|| pause(None, took))),
            accepts_others: note.accepts_others || accepts_others,
            ..note
        };
        self.write(name, &note);
        Some(note)
    }

    /// An export has left the spool.
    pub fn forget(&mut self, name: &str) {
        self.own.remove(name);
    }

    fn write(&mut self, name: &str, note: &Deferral) {
        self.own.remove(name);
        if self.try_write(name, note).is_err() {
            self.own.insert(name.to_owned(), note.clone());
        }
    }

    fn try_write(&self, name: &str, note: &Deferral) -> io::Result<()> {
        let directory = self.directory.as_ref().ok_or(io::ErrorKind::NotFound)?;
        state::make_private(directory)?;
        state::write_private(&directory.join(name), &serde_json::to_vec(note)?)
    }
}

/// The note about an export, for commands that only read.
pub fn look(spool: &Spool, name: &str) -> Option<Deferral> {
    read(&spool.deferred().join(name))
}

fn read(path: &std::path::Path) -> Option<Deferral> {
    serde_json::from_slice(&state::read_private(path).ok()?).ok()
}

/// Removes the notes of exports that have left the spool.
pub fn prune(spool: &Spool) {
    for name in Deferrals::of(Some(spool)).names() {
        let has_left =
            fs::symlink_metadata(spool.queue().join(&name)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if has_left {
            let _ = fs::remove_file(spool.deferred().join(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(said: &str) -> Problem {
        Problem { said: said.to_owned(), cause: String::new(), fix: String::new(), code: 75 }
    }

    fn spool() -> (tempfile::TempDir, Spool) {
        let state = tempfile::tempdir().unwrap();
        let spool = Spool::of(state.path());
        fs::create_dir_all(spool.queue()).unwrap();
        (state, spool)
    }

    #[test]
    fn pauses_grow_to_an_hour_and_with_what_an_attempt_takes() {
        let (mut last, mut pauses) = (None, Vec::new());
        for _ in 0..13 {
            let next = pause(last, Duration::from_millis(10));
            pauses.push(next / 1000);
            last = Some(next);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
        assert_eq!(pause(None, Duration::from_secs(25)), 100_000, "one that hangs");
        assert_eq!(pause(Some(u64::MAX), Duration::MAX), 3_600_000);
    }

    #[test]
    fn what_one_process_notes_the_others_read() {
        let (_state, spool) = spool();
        let (mut one, mut other) = (Deferrals::of(Some(&spool)), Deferrals::of(Some(&spool)));
        assert_eq!(one.read("s-00000001"), None);
        assert_eq!(one.step_aside("s-00000001", Duration::ZERO, true), None, "it never failed");
        let first = one.failed("s-00000001", &problem("500"), Duration::ZERO);
        assert_eq!((first.tries, first.is_aside()), (1, false));
        assert_eq!(other.failed("s-00000001", &problem("502"), Duration::ZERO).tries, 2);
        let aside = other.step_aside("s-00000001", Duration::ZERO, false).unwrap();
        assert!(!aside.accepts_others, "this is not known");
        other.step_aside("s-00000001", Duration::ZERO, true);
        let read = one.read("s-00000001").unwrap();
        assert_eq!((read.tries, read.pause_ms, read.problem.said.as_str()), (2, Some(2_000), "502"));
        let again = one.failed("s-00000001", &problem("500"), Duration::ZERO);
        assert_eq!((again.pause_ms, again.accepts_others), (Some(4_000), true));
        assert_eq!(one.names(), ["s-00000001"]);
        // The note is removed once the export has left.
        fs::write(spool.queue().join("s-00000002"), "").unwrap();
        one.failed("s-00000002", &problem("500"), Duration::ZERO);
        prune(&spool);
        assert_eq!((look(&spool, "s-00000001"), one.names()), (None, vec!["s-00000002".to_owned()]));
    }

    #[test]
    fn where_nothing_can_be_written_the_process_remembers() {
        let state = tempfile::tempdir().unwrap();
        // Without a spool, and with a file in place of the directory.
        fs::create_dir(state.path().join("spool")).unwrap();
        fs::write(state.path().join("spool/deferred"), "").unwrap();
        for spool in [None, Some(Spool::of(state.path()))] {
            let mut notes = Deferrals::of(spool.as_ref());
            notes.failed("s-00000001", &problem("500"), Duration::ZERO);
            assert_eq!(notes.failed("s-00000001", &problem("500"), Duration::ZERO).tries, 2);
            assert!(notes.step_aside("s-00000001", Duration::ZERO, true).is_some_and(|note| note.is_aside()));
            assert_eq!(notes.names(), ["s-00000001"]);
            notes.forget("s-00000001");
            assert_eq!(notes.read("s-00000001"), None);
        }
    }

    #[test]
    fn b13_a_clock_that_jumps_holds_nothing_up() {
        let note = Deferral {
            tries: 3,
            tried_ms: now_ms(),
            pause_ms: Some(3_600_000),
            accepts_others: true,
            problem: problem("500"),
        };
        let years = Duration::from_secs(10 * 365 * 86_400);
        for now in [SystemTime::now() + years, SystemTime::now() - years] {
            assert_eq!(note.due_in(now), Duration::ZERO);
        }
        assert!(note.due_in(SystemTime::now()) > Duration::from_secs(3_500));
    }
}
