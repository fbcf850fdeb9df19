//! Holds, shared by all relays of this machine: one of them asks ACT once a minute, and the others use its result
//! (promise B6).
//!
//! A hold is for an account, an alias and the credentials that were refused: `held/KEY-CHECKSUM.json`. Other
//! credentials have no hold and are tried at once, so a corrected token or alias id has effect without waiting. The
//! checksum is 32 bits of a hash of endpoint, user, alias id and credentials: they can't be recovered from it.
//! A success removes all holds of its account and alias, so that the other relays try at once. Where a hold can't be written,
//! this process keeps it in memory.

use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::state;
use crate::state::outcome::{Problem, State};
use crate::state::prune::{self, Bounds};
use crate::system::file;

/// Interval between two requests to ACT for the same hold.
pub const PROBE: Duration = Duration::from_secs(60);
/// How long a hold that nobody asks about is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why an alias is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The alias's name.
    pub alias: String,
    /// The account's name.
    pub account: String,
    /// Held or not understood.
    pub state: State,
    /// Why it is held.
    #[serde(rename = "trouble")]
    pub problem: Problem,
    /// When ACT was last asked, in milliseconds since 1970.
    pub asked_ms: u64,
}

impl Hold {
    /// Whether ACT may be asked again. A clock that was set back does not delay this.
    pub fn is_due(&self, now: SystemTime) -> bool {
        let asked = UNIX_EPOCH + Duration::from_millis(self.asked_ms);
        now.duration_since(asked).map_or(true, |age| age >= PROBE)
    }
}

/// Identifies a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    stem: String,
    checksum: String,
}

impl Key {
    /// The key for an account's alias with the values that are sent for it.
    pub fn new(account: &str, alias: &str, presented: &[&str]) -> Self {
        Self { stem: hash(&[account, alias], 8), checksum: hash(presented, 4) }
    }
}

fn hash(parts: &[&str], bytes: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()[..bytes].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The holds of a state directory; without one they are in this process only.
#[derive(Debug, Default)]
pub struct Holds {
    directory: Option<PathBuf>,
    /// The holds that could not be written.
    own: Vec<(Key, Hold)>,
}

impl Holds {
    /// The holds of a state directory.
    pub fn of(state: Option<&Path>) -> Self {
        Self { directory: state.map(directory), own: Vec::new() }
    }

    /// Reads a hold, if there is one.
    pub fn read(&self, key: &Key) -> Option<Hold> {
        let own = || self.own(key).cloned();
        // Another process may have asked since this one could not write.
        own().filter(|hold| !hold.is_due(SystemTime::now())).or_else(|| self.written(key)).or_else(own)
    }

    fn own(&self, key: &Key) -> Option<&Hold> {
        self.own.iter().find(|(own, _)| own == key).map(|(_, hold)| hold)
    }

    fn written(&self, key: &Key) -> Option<Hold> {
        read(&path(self.directory.as_ref()?, key))
    }

    /// Takes the turn to ask ACT, if the hold is due or the user wants to know `now`. False: it is not due, or another process
    /// has just taken the turn.
    pub fn take_turn(&mut self, key: &Key, now: bool) -> bool {
        let file = self.directory.as_ref().and_then(|directory| file::open_to_lock(&path(directory, key)).ok());
        // The file is locked until it is closed. Where it can't be locked, each process takes turns of its own.
        if file.as_ref().is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock))) {
            return false;
        }
        // It is read once it is locked. It was removed meanwhile: nothing is held any more.
        let Some(hold) = self.read(key) else { return true };
        if !now && !hold.is_due(SystemTime::now()) {
            return false;
        }
        self.set(key, Hold { asked_ms: now_ms(), ..hold });
        true
    }

    /// ACT refuses: no process asks again for a minute.
    pub fn set(&mut self, key: &Key, hold: Hold) {
        self.own.retain(|(own, _)| own != key);
        if let Err(error) = self.write(key, &hold) {
            tracing::debug!(%error, "a hold can't be written");
            self.own.push((key.clone(), hold));
        }
    }

    fn write(&self, key: &Key, hold: &Hold) -> io::Result<()> {
        let directory = self.directory.as_ref().ok_or(io::ErrorKind::NotFound)?;
        state::prepare(directory.parent().unwrap_or(directory))?;
        state::make_private(directory)?;
        state::write_private(&path(directory, key), &serde_json::to_vec(hold)?)
    }

    /// Removes this hold.
    pub fn clear_one(&mut self, key: &Key) {
        self.own.retain(|(own, _)| own != key);
        if let Some(directory) = &self.directory {
            let _ = fs::remove_file(path(directory, key));
        }
    }

    /// ACT accepts exports for this account and alias: removes their holds for all credentials.
    pub fn clear(&mut self, key: &Key) {
        self.own.retain(|(own, _)| own.stem != key.stem);
        let Some(directory) = &self.directory else { return };
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&key.stem)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The latest of these holds that is for an account's alias.
pub fn latest<'h>(holds: &'h [Hold], account: &str, alias: &str) -> Option<&'h Hold> {
    holds.iter().rev().find(|hold| hold.account == account && hold.alias == alias)
}

/// All holds of a state directory, ordered by the time of their last request, the latest at the end.
pub fn read_all(state: &Path) -> Vec<Hold> {
    let entries = fs::read_dir(directory(state)).into_iter().flatten().flatten();
    let mut holds: Vec<Hold> = entries.filter_map(|entry| read(&entry.path())).collect();
    // Where there are holds for several credentials, the latest one is reported for the alias.
    holds.sort_by_key(|hold| hold.asked_ms);
    holds
}

/// Removes holds that had no request for a month.
pub fn prune(state: &Path, now: SystemTime) {
    prune::prune(prune::entries(&directory(state)), Bounds::of_age(KEPT), now);
}

/// The time now, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn directory(state: &Path) -> PathBuf {
    state.join("held")
}

fn path(directory: &Path, key: &Key) -> PathBuf {
    directory.join(format!("{}-{}.json", key.stem, key.checksum))
}

fn read(path: &Path) -> Option<Hold> {
    serde_json::from_slice(&state::read_private(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(asked_ms: u64) -> Hold {
        let problem = Problem { said: "401".into(), cause: String::new(), fix: String::new(), code: 77 };
        Hold { alias: "billing".into(), account: "acme".into(), state: State::Held, problem, asked_ms }
    }

    #[test]
    fn b6_one_question_a_minute_and_none_for_other_credentials() {
        let state = tempfile::tempdir().unwrap();
        let mut holds = Holds::of(Some(state.path()));
        let refused = Key::new("acme", "billing", &["e", "u", "id", "old"]);
        let corrected = Key::new("acme", "billing", &["e", "u", "id", "new"]);
        holds.set(&refused, hold(now_ms()));
        assert!(holds.read(&refused).is_some() && holds.read(&corrected).is_none());
        assert!(!holds.take_turn(&refused, false), "within the minute");
        assert!(holds.take_turn(&refused, true), "the user asks");
        holds.set(&refused, hold(now_ms() - 61_000));
        assert!(holds.take_turn(&refused, false), "a minute later");
        assert!(!Holds::of(Some(state.path())).take_turn(&refused, false), "the turn was taken");
        holds.clear(&corrected);
        assert_eq!(holds.read(&refused), None, "a success with other credentials heals");
    }

    #[test]
    fn b13_a_clock_that_jumps_holds_nothing_up() {
        let years = Duration::from_secs(10 * 365 * 86_400);
        let asked = hold(now_ms());
        assert!(asked.is_due(SystemTime::now() + years) && asked.is_due(SystemTime::now() - years));
        assert!(!asked.is_due(SystemTime::now()));
    }

    /// A file in place of the directory: only this makes a write fail for root, too.
    #[test]
    fn b6_where_no_hold_can_be_written_the_process_remembers() {
        let state = tempfile::tempdir().unwrap();
        fs::write(directory(state.path()), "").unwrap();
        for place in [None, Some(state.path())] {
            let mut holds = Holds::of(place);
            let key = Key::new("acme", "billing", &["old"]);
            holds.set(&key, hold(now_ms()));
            assert!(holds.read(&key).is_some_and(|hold| !hold.is_due(SystemTime::now())), "{place:?}");
            assert!(!holds.take_turn(&key, false) && holds.take_turn(&key, true), "{place:?}");
            holds.set(&key, hold(now_ms() - 61_000));
            assert!(holds.take_turn(&key, false) && !holds.take_turn(&key, false), "once a minute, {place:?}");
            holds.clear(&Key::new("acme", "billing", &["new"]));
            assert_eq!(holds.read(&key), None, "{place:?}");
        }
    }

    #[test]
    fn b6_a_turn_that_another_process_took_counts_although_this_one_can_t_write() {
        let state = tempfile::tempdir().unwrap();
        let key = Key::new("acme", "billing", &["old"]);
        let (mut one, mut other) = (Holds::of(Some(state.path())), Holds::of(Some(state.path())));
        // The first one remembers a hold that is due; by now it could write again.
        fs::write(directory(state.path()), "").unwrap();
        one.set(&key, hold(now_ms() - 61_000));
        fs::remove_file(directory(state.path())).unwrap();
        other.set(&key, hold(now_ms()));
        assert!(!one.take_turn(&key, false), "the other has just asked");
        other.set(&key, hold(now_ms() - 61_000));
        assert!(one.take_turn(&key, false) && !other.take_turn(&key, false), "it is written now");
        other.clear(&key);
        assert_eq!(one.read(&key), None, "it is in memory no more");
    }

    #[test]
    fn without_a_state_directory_holds_are_the_process_s_own() {
        let mut holds = Holds::of(None);
        let key = Key::new("a", "b", &["c"]);
        assert_eq!(holds.read(&key), None);
        holds.set(&key, hold(7));
        assert_eq!(holds.read(&key), Some(hold(7)));
        let other = Key::new("a", "b", &["d"]);
        holds.set(&other, hold(8));
        holds.set(&other, hold(9));
        assert_eq!((holds.read(&key), holds.read(&other)), (Some(hold(7)), Some(hold(9))));
        holds.clear_one(&key);
        assert_eq!((holds.read(&key), holds.read(&other)), (None, Some(hold(9))));
        holds.clear(&key);
        assert_eq!(holds.read(&other), None);
    }

    #[test]
    fn the_latest_hold_is_reported_for_its_alias() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(read_all(state.path()), []);
        let mut holds = Holds::of(Some(state.path()));
        let [first, second, third] = ["x", "y", "z"].map(|token| Key::new("acme", "billing", &[token]));
        for (key, asked) in [(&first, 3), (&second, 1), (&third, 2)] {
            holds.set(key, hold(asked));
        }
        assert_eq!(read_all(state.path()), [1, 2, 3].map(hold));
        holds.clear_one(&third);
        assert_eq!(read_all(state.path()), [1, 3].map(hold));
    }

    #[test]
    fn holds_are_removed_after_a_month() {
        let state = tempfile::tempdir().unwrap();
        let mut holds = Holds::of(Some(state.path()));
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let month = Duration::from_secs(30 * 24 * 60 * 60);
        let ages = [("old", month + Duration::from_secs(1)), ("kept", month), ("new", Duration::ZERO)];
        for (name, age) in ages {
            let key = Key::new("acme", name, &[]);
            holds.set(&key, hold(7));
            fs::File::open(path(&directory(state.path()), &key)).unwrap().set_modified(now - age).unwrap();
        }
        prune(state.path(), now);
        let left = ages.map(|(name, _)| holds.read(&Key::new("acme", name, &[])).is_some());
        assert_eq!(left, [false, true, true]);
    }
}
