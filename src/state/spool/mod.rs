//! The spool: exports that claude sent and ACT does not have yet, each in one immutable file.
//!
//! # Layout, under the state directory
//!
//! | path | what |
//! |---|---|
//! | `spool/tmp/NAME` | being written, or delivered and impossible to unlink; garbage once its session has ended |
//! | `spool/new/NAME` | stored durably, waiting for its delivery |
//! | `spool/deferred/NAME` | how often this export failed while others may pass, and when it is tried next ([`deferral`]) |
//! | `spool/rejected/NAME` | dead letter: ACT will never accept it |
//! | `spool/corrupt/NAME` | dead letter: its content is not what was written |
//! | `spool/pruned.json` | how many dead letters were removed because of age or size |
//! | `spool/nudge` | touched by `act flush`: each delivery worker that waits for a later try tries now |
//! | `held/*.json` | which account and alias is held, when it was last tried, and why ([`hold`]) |
//! | `copies/DESTINATION/` | the same once more, for the copies that one destination does not have yet |
//! | `copies/DESTINATION/spool/bodies/NAME` | another name of ACT's file, for a copy that is made from its body ([`shared`]) |
//!
//! `NAME` is `SESSION-SEQUENCE`; within a session, the order by name is the order by age. A file is a line with the
//! format's version and the SHA-256 of the rest, a line of JSON (the [`Header`]), and the body as it is sent.
//!
//! # Invariants
//!
//! 1. A file in `new` was whole and on disk, its name included, before claude got its 200 ([`store`]).
//! 2. A file never changes. It leaves `new` by unlink (ACT has it, or the user discarded it) or by rename into
//!    `rejected` or `corrupt`; only the process that holds its lock does that ([`claim`]). The kernel releases the locks of
//!    a killed process. Where unlink fails, the file is renamed into `tmp`. Where that fails, too, its first
//!    bytes are overwritten with a marker that says "delivered".
//! 3. There is no index: the directory is the only list of exports, so there is nothing to repair after a crash.
//! 4. `new` is bounded by refusing new files, never by removing files.
//! 5. Only its relay delivers the files of a live session. Any process may claim those of a session that has ended, oldest
//!    first, and one process at a time: a locked file stops its session for other processes. An export that fails while
//!    others pass steps aside: the others of its session go first.
//! 6. Only a file with wrong content is corrupt. A file that can't be opened or read now stays where it is, and is tried again.
//! 7. The header decides which account's token is used and where it is sent: it has the names of account and alias, and the
//!    endpoint and user that the export was captured for.
//!
//! # Promises, and their limits
//!
//! Delivery is at least once. After a crash between ACT's 200 and the unlink, an export is sent twice; a power failure may
//! undo an unlink, with the same effect. Data that claude had not exported when it was killed is not in the spool. `kept`
//! means: on this machine's disk, as far as the disk keeps what `fsync` confirmed.

pub mod claim;
pub mod dead_letters;
pub mod deferral;
pub mod disk;
pub mod entry;
pub mod hold;
pub mod list;
pub mod shared;
pub mod store;
pub mod summary;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

pub use claim::{Claim, Refusal, discard};
pub use entry::{Header, LONGEST_BODY};
pub use store::{Limits, NotStored, Store};
pub use summary::{Summary, summary};

/// The directory, in the state directory, with one for each destination of copies.
const COPIES: &str = "copies";

/// The paths of the spool.
#[derive(Debug, Clone)]
pub struct Spool {
    state: PathBuf,
    /// The destination of the copies that it holds; `None`: it holds ACT's exports.
    destination: Option<String>,
    /// Exports that have a final state and can't be removed from `new`. This process does not send them again.
    decided: Arc<Mutex<BTreeSet<String>>>,
}

impl Spool {
    /// The spool of a state directory; it need not exist.
    pub fn of(state: &Path) -> Self {
        Self { state: state.to_path_buf(), destination: None, decided: Arc::default() }
    }

    /// The spool of the copies for one destination; it need not exist.
    pub fn of_copies(state: &Path, destination: &str) -> Self {
        Self { destination: Some(destination.to_owned()), ..Self::of(state) }
    }

    /// All spools of copies, of destinations that are not configured any more, too.
    pub fn all_of_copies(state: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(state.join(COPIES)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        names.iter().map(|name| Self::of_copies(state, name)).collect()
    }

    /// The destination of the copies that it holds.
    pub fn destination(&self) -> Option<&str> {
        self.destination.as_deref()
    }

    /// The directory with this spool and its holds: the state directory, or a destination's in it.
    pub fn place(&self) -> PathBuf {
        match &self.destination {
            Some(destination) => self.state.join(COPIES).join(destination),
            None => self.state.clone(),
        }
    }

    /// The state directory it belongs to.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// `spool`
    pub fn root(&self) -> PathBuf {
        self.place().join("spool")
    }

    /// `spool/tmp`
    pub fn tmp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// `spool/new`: the exports that wait for their delivery.
    pub fn queue(&self) -> PathBuf {
        self.root().join("new")
    }

    /// `spool/rejected`
    pub fn rejected(&self) -> PathBuf {
        self.root().join("rejected")
    }

    /// `spool/corrupt`
    pub fn corrupt(&self) -> PathBuf {
        self.root().join("corrupt")
    }

    /// `spool/bodies`
    pub fn bodies(&self) -> PathBuf {
        self.root().join("bodies")
    }

    /// `spool/deferred`
    pub fn deferred(&self) -> PathBuf {
        self.root().join("deferred")
    }

    fn remember(&self, name: &str) {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn is_decided(&self, name: &str) -> bool {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// When `act flush` last asked all delivery workers to try now.
    pub fn nudged(&self) -> Option<SystemTime> {
        std::fs::metadata(self.root().join("nudge")).and_then(|metadata| metadata.modified()).ok()
    }

    /// Asks all delivery workers that wait for a later try to try now.
    pub fn nudge(&self) -> std::io::Result<()> {
        crate::state::write_private(&self.root().join("nudge"), b"")
    }
}

/// The name of a session's export.
pub fn name(session: &str, sequence: u64) -> String {
    format!("{session}-{sequence:08}")
}

/// The number of the export that has this name in its session; `None` if it does not have the form of an export's name.
pub fn number_of(name: &str) -> Option<u64> {
    name.rsplit_once('-')?.1.parse().ok()
}

/// The session a name belongs to; the whole name if it does not have the form of an export's name.
pub fn session_of(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(session, _)| session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_what_other_versions_expect() {
        let spool = Spool::of(Path::new("/s"));
        assert_eq!(spool.state(), Path::new("/s"));
        for (path, expected) in [
            (spool.root(), "/s/spool"),
            (spool.tmp(), "/s/spool/tmp"),
            (spool.queue(), "/s/spool/new"),
            (spool.rejected(), "/s/spool/rejected"),
            (spool.corrupt(), "/s/spool/corrupt"),
            (spool.deferred(), "/s/spool/deferred"),
        ] {
            assert_eq!(path, Path::new(expected));
        }
        assert_eq!((name("a-b", 7).as_str(), session_of("a-b-00000007")), ("a-b-00000007", "a-b"));
        assert_eq!(session_of("stray"), "stray");
    }

    #[test]
    fn a_nudge_is_seen_by_all() {
        let state = tempfile::tempdir().unwrap();
        let spool = Spool::of(state.path());
        assert_eq!(spool.nudged(), None);
        assert!(spool.nudge().is_err(), "nothing to nudge without a spool");
        std::fs::create_dir(spool.root()).unwrap();
        spool.nudge().unwrap();
        assert!(Spool::of(state.path()).nudged().is_some());
    }
}
