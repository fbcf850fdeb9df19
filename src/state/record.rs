//! The session records: `sessions/<id>.json` in the state directory, one for each session that had a relay.
//!
//! The relay writes the record of its live session, atomically and 0600: when the first export arrives, while exports are
//! decided (once a second at most), and at the end. Exports that are delivered later are counted by [`decided_later`]. Three
//! files are beside a record: [`log`]; `<id>.said` exists once a run at a terminal has reported the session's problem; `<id>.lock` is
//! locked by the relay as long as it runs: if it is not locked, the relay of a record without an end was killed. A background
//! session has the lock before it has a record; the lock's file contains the relay's pid then, so that `act uninstall` finds
//! it. A record holds no token and no loopback address.

pub mod log;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::state;
use crate::state::outcome::{Deferred, Outcome, Problem, State};
use crate::state::prune::{self, Bounds};
use crate::system::file;
use crate::system::process::{self, Started};

pub use crate::state::total::Total;

/// The format's version. A record with another one is not used and stays as it is.
pub const VERSION: u32 = 1;
/// Records are kept this long.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// At most this many records are kept, the newest ones.
pub const MOST: usize = 5_000;

/// How claude was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchKind {
    /// Under the supervisor: a report was given at the end.
    Supervised,
    /// In the launcher form: there was nobody to report to.
    Launcher,
}

/// The record of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`]
    pub version: u32,
    /// The session's id, which sorts by start. It is also in the spool's file names.
    pub id: String,
    /// How claude was started.
    pub kind: LaunchKind,
    /// When the relay started.
    pub start: Timestamp,
    /// When the relay had nothing left to do. Without it the relay is live or was killed: [`Record::is_live`].
    pub end: Option<Timestamp>,
    /// Claude's working directory when the session's alias was decided.
    #[serde(with = "crate::text::paths")]
    pub directory: PathBuf,
    /// The alias's name; `None` where the session had no alias.
    pub alias: Option<String>,
    /// Why that alias, or why none.
    pub reason: Option<String>,
    /// The account's name.
    pub account: Option<String>,
    /// Claude's executable.
    #[serde(with = "crate::text::paths")]
    pub claude: PathBuf,
    /// Its version, where that is known.
    pub client_version: Option<String>,
    /// Claude's pid.
    pub command_pid: Option<i32>,
    /// When claude's process was started: another process may get its pid later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_started: Option<Started>,
    /// The relay's pid.
    pub relay_pid: u32,
    /// Counts and points by state, rejected points, problems by state.
    pub outcome: Outcome,
    /// The outcome of the copies, by destination.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copies: BTreeMap<String, Outcome>,
    /// Sums by metric name over all exports.
    pub totals: BTreeMap<String, Total>,
    /// The latest problem.
    #[serde(rename = "trouble")]
    pub problem: Option<Problem>,
    /// Launcher form: the settings key that sent claude's exports past the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirected_by: Option<String>,
    /// Whether claude, and every process that could send exports, had ended when this was written.
    #[serde(default)]
    pub claude_has_gone: bool,
    /// Claude must have exported something, and nothing arrived. `problem` says why, as far as that is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owed: bool,
    /// The report at the end went to an application, which may have shown it to nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
}

impl Record {
    /// The record of a session that begins. Nothing is known of its exports yet, and it has no relay.
    pub fn new(id: String, kind: LaunchKind, start: Timestamp, directory: &Path, claude: &Path) -> Self {
        Self {
            version: VERSION,
            id,
            kind,
            start,
            end: None,
            directory: directory.to_path_buf(),
            alias: None,
            reason: None,
            account: None,
            claude: claude.to_path_buf(),
            client_version: None,
            command_pid: None,
            command_started: None,
            relay_pid: 0,
            outcome: Outcome::default(),
            copies: BTreeMap::new(),
            totals: BTreeMap::new(),
            problem: None,
            redirected_by: None,
            claude_has_gone: false,
            owed: false,
            unread: false,
        }
    }

    /// The worst state of the session's exports.
    pub fn state(&self) -> State {
        self.outcome.state()
    }

    /// Whether its relay still runs.
    pub fn is_live(&self, state: &Path) -> bool {
        self.end.is_none() && is_locked(state, &self.id)
    }

    /// Whether the claude of a live session runs, as far as this process can see. A relay lives on after claude's end, until the
    /// session's exports are delivered; and after claude's end its pid may belong to another process.
    pub fn has_running_claude(&self) -> bool {
        // In another container the pids mean nothing. The relay is not visible there either, although it holds its lock.
        let is_visible = i32::try_from(self.relay_pid).is_ok_and(|pid| process::look(pid).is_some());
        let Some(pid) = self.command_pid.filter(|_| is_visible) else { return true };
        let is_same = self.command_started.is_none_or(|started| process::started(pid) == Some(started));
        is_same && process::look(pid).is_some_and(|process| !process.is_ending)
    }

    /// Writes it and replaces an earlier one. It is not synced: a record is not promised to survive a crash.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        state::write_private(&directory(state).join(format!("{}.json", self.id)), &bytes)
    }
}

/// A new session's id: it sorts by start, and is unique.
pub fn new_id(start: Timestamp) -> io::Result<String> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{:012x}{random}", start.as_millisecond().max(0)))
}

/// When the session with this id began; `None` where it is no id of [`new_id`].
pub fn start_of(id: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::from_str_radix(id.get(..12)?, 16).ok()?).ok()
}

/// The directory of the records.
pub fn directory(state: &Path) -> PathBuf {
    state.join("sessions")
}

/// Locks session `id`, which is live until the lock is dropped. The kernel drops a killed relay's lock.
pub fn lock(state: &Path, id: &str) -> io::Result<Flock<File>> {
    state::prepare(state)?;
    state::make_private(&directory(state))?;
    let path = lock_path(state, id);
    let mut file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // A process that checks whether it is locked holds it for a moment.
    for _ in 0..20 {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => file,
            result => return result.map_err(|(_, error)| error.into()),
        };
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Whether this lock is the one that other processes see: its file still has its name. True where that can't be found out.
pub fn is_lock_of(state: &Path, id: &str, lock: &File) -> bool {
    let (Ok(own), named) = (lock.metadata(), fs::metadata(lock_path(state, id))) else { return true };
    match named {
        Ok(named) => (named.dev(), named.ino()) == (own.dev(), own.ino()),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Writes the relay's pid into the lock's file, for a relay that has received nothing and so has no record with its pid.
pub fn sign(lock: &Flock<File>, relay_pid: u32) {
    let _ = lock.set_len(0).and_then(|()| (&**lock).rewind()).and_then(|()| writeln!(&**lock, "{relay_pid}"));
}

/// The relays of background sessions that have received nothing yet: id and pid. One whose record can't be read is not among them.
pub fn idle(state: &Path) -> Vec<(String, i32)> {
    let has_record = |id: &str| try_read(state, id) != Err(Unread::Absent);
    let ids = named(state, ".lock").into_iter().filter(|id| !has_record(id) && is_locked(state, id));
    let pid = |id: String| {
        Some((String::from_utf8(state::read_private(&lock_path(state, &id)).ok()?).ok()?.trim().parse().ok()?, id))
    };
    ids.filter_map(pid).map(|(pid, id)| (id, pid)).filter(|(_, pid)| *pid > 1).collect()
}

/// Whether session `id` has a relay. Where that can't be found out, it counts as having one, and its exports are left to it.
pub fn is_locked(state: &Path, id: &str) -> bool {
    match file::open_regular(&lock_path(state, id)).map_err(io::Error::from) {
        Ok((file, _)) => Flock::lock(file, FlockArg::LockSharedNonblock).is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound && error.raw_os_error() != Some(nix::libc::ENAMETOOLONG),
    }
}

/// Whether a relay of session `id` has not ended as it should: it runs, or it was killed.
pub fn is_unfinished(state: &Path, id: &str) -> bool {
    lock_path(state, id).exists()
}

/// Removes the lock's file when a relay ends.
pub fn unlock(state: &Path, id: &str, lock: Flock<File>) {
    let _ = fs::remove_file(lock_path(state, id));
    drop(lock);
}

fn lock_path(state: &Path, id: &str) -> PathBuf {
    directory(state).join(format!("{id}.lock"))
}

/// Notes that the problem of session `id` has been reported; true for the first caller.
pub fn mark_said(state: &Path, id: &str) -> bool {
    file::create_private(&directory(state).join(format!("{id}.said"))).is_ok()
}

/// Whether it has been reported.
pub fn is_said(state: &Path, id: &str) -> bool {
    directory(state).join(format!("{id}.said")).exists()
}

/// Why a record is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// A newer act-claude wrote it.
    Newer,
    /// There is none.
    Absent,
    /// It can't be read, or it is no record.
    Unreadable,
}

/// The record of session `id`, if this version can read it.
pub fn read(state: &Path, id: &str) -> Option<Record> {
    try_read(state, id).ok()
}

/// The record of session `id`.
pub fn try_read(state: &Path, id: &str) -> Result<Record, Unread> {
    /// What every version of the format has.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let bytes =
        state::read_private(&directory(state).join(format!("{id}.json"))).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Unread::Absent,
            _ => Unread::Unreadable,
        })?;
    match serde_json::from_slice(&bytes).map_err(|_| Unread::Unreadable)? {
        Versioned { version: VERSION } => serde_json::from_slice(&bytes).map_err(|_| Unread::Unreadable),
        Versioned { version } if version > VERSION => Err(Unread::Newer),
        Versioned { .. } => Err(Unread::Unreadable),
    }
}

/// The ids of all sessions that have a record, the latest first.
pub fn ids(state: &Path) -> Vec<String> {
    named(state, ".json")
}

/// The ids of all sessions that have a file with this ending, the latest first.
fn named(state: &Path, ending: &str) -> Vec<String> {
    let names = fs::read_dir(directory(state)).into_iter().flatten().flatten();
    let mut ids: Vec<String> = names
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(ending)?.to_owned()))
        .filter(|id| !id.starts_with('.'))
        .collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids
}

/// All records, the latest first. Those that can't be read are left out.
pub fn read_all(state: &Path) -> Vec<Record> {
    ids(state).iter().filter_map(|id| read(state, id)).collect()
}

/// The sessions that have a relay and a record which this version can't read.
pub fn live_and_unread(state: &Path) -> Vec<String> {
    let is_unread = |id: &String| is_locked(state, id) && try_read(state, id).is_err();
    ids(state).into_iter().filter(is_unread).collect()
}

/// The latest record.
pub fn latest(state: &Path) -> Option<Record> {
    ids(state).iter().find_map(|id| read(state, id))
}

/// The record of the live session whose claude has one of `pids` (the status line passes the pids of its ancestors). Of nested
/// sessions it is the innermost. Only records with a lock are read, which is fast even with thousands of records.
pub fn of_command(state: &Path, pids: &[i32]) -> Option<Record> {
    let is_it = |record: &Record| record.command_pid.is_some_and(|pid| pids.contains(&pid)) && record.is_live(state);
    named(state, ".lock").iter().filter_map(|id| read(state, id)).find(is_it)
}

/// An export that another process decides about: one of `points` data points that session `id` left.
#[derive(Debug, Clone, Copy)]
pub struct Later<'a> {
    /// The session's id.
    pub id: &'a str,
    /// The destination, where it is a copy.
    pub destination: Option<&'a str>,
    /// Its data points.
    pub points: u64,
}

/// Counts an export that another relay or `act flush` has sent.
pub fn decided_later(state: &Path, export: Later<'_>, to: State, problem: Option<&Problem>, rejected: u64) {
    let Later { id, destination, points } = export;
    let Ok(lock) = File::open(directory(state)) else { return };
    // The file is locked until it is closed.
    if lock.lock().is_err() {
        return;
    }
    let Some(mut record) = read(state, id) else { return };
    let outcome = match destination {
        Some(destination) => record.copies.entry(destination.to_owned()).or_default(),
        None => &mut record.outcome,
    };
    let open = [State::Waiting, State::Held, State::NotUnderstood, State::UnderWay];
    match open.iter().find(|from| outcome.states.get(from).is_some_and(|count| *count > 0)) {
        Some(from) => {
            let left = outcome.states.get(from).map_or(0, |count| count - 1);
            outcome.states.insert(*from, left);
            if left == 0 {
                outcome.states.remove(from);
                outcome.problems.remove(from);
            }
        }
        // Its relay was killed before it could note this one.
        None => {
            outcome.exports += 1;
            outcome.points += points;
        }
    }
    // It is not known which export it was. Not more exports can have stepped aside than are waiting.
    let waiting = outcome.states.get(&State::Waiting).copied().unwrap_or(0);
    outcome.deferred = outcome.deferred.take().filter(|_| waiting > 0).map(|deferred| {
        let exports = deferred.exports.min(waiting);
        Deferred { exports, ..deferred }
    });
    *outcome.states.entry(to).or_default() += 1;
    outcome.rejected_points += rejected;
    if let Some(problem) = problem {
        outcome.problems.insert(to, problem.clone());
    }
    let _ = record.write(state);
}

/// Removes records that are older than [`KEPT`] or beyond [`MOST`], and returns how many. Those of live sessions stay.
pub fn prune(state: &Path, now: SystemTime) -> u64 {
    let is_ended = |path: &PathBuf| path.file_stem().and_then(OsStr::to_str).is_none_or(|id| !is_locked(state, id));
    let directory = directory(state);
    let records = ids(state).into_iter().map(|id| directory.join(format!("{id}.json")));
    let bounds = Bounds { files: MOST, ..Bounds::of_age(KEPT) };
    let pruned = prune::prune(records.filter(is_ended), bounds, now);
    // The files beside records, also those of records that have been removed.
    prune::prune(prune::entries(&directory).filter(is_ended), Bounds::of_age(KEPT), now);
    pruned
}

#[cfg(test)]
mod tests;
