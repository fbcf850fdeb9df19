//! The spool: exports that claude handed over and ACT does not have yet, one immutable file each.
//!
//! # Layout, under the state directory
//!
//! | path | what |
//! |---|---|
//! | `spool/tmp/NAME` | being written, or delivered and not to be unlinked; of a session that is over, garbage |
//! | `spool/new/NAME` | handed over: durable, waiting for its delivery |
//! | `spool/deferred/NAME` | how often the export of this name failed by itself, and when it is tried next ([`deferral`]) |
//! | `spool/rejected/NAME` | ACT will never take it |
//! | `spool/corrupt/NAME` | not what was written |
//! | `spool/pruned.json` | how many of the last two kinds were removed because of age or size |
//! | `spool/nudge` | touched by `act flush`: whoever waits for better times tries now |
//! | `held/*.json` | which account and alias is held, since when it was last tried, and why ([`hold`]) |
//!
//! `NAME` is `SESSION-SEQUENCE`; sorted by name is oldest first within a session. A file is a line with the
//! format's version and the SHA-256 of the rest, a line of JSON (the [`Header`]), and the body as it is to be sent.
//!
//! # Invariants
//!
//! 1. A file in `new` was whole and on disk, its name included, before claude got its 200 ([`store`]).
//! 2. A file never changes. It leaves `new` by unlink (ACT has it, or the user gave it up) or by rename into
//!    `rejected` or `corrupt`; only who holds its lock does that ([`claim`]). Locks are the kernel's: those of a
//!    killed process are gone. Where unlink fails, the file is renamed into `tmp`, and where that fails, its first
//!    bytes are overwritten with a hold that says "delivered".
//! 3. There is no index. What is in the directory is what there is, so a crash leaves nothing to mend.
//! 4. `new` is bounded by refusing to add, never by removing.
//! 5. The files of a live session belong to its relay; those of a session that is over to whoever claims them,
//!    oldest first, and to one at a time: a locked file stops its session for others. One that fails by itself while
//!    others pass steps aside: the others of its session go first.
//! 6. Only content is corrupt. A file that can't be opened or read now stays where it is, and is tried again.
//! 7. Which account's token may go where is decided by the header: name, endpoint and user it was captured for.
//!
//! # What is promised, and what not
//!
//! Delivery is at least once. Between ACT's 200 and the unlink a crash sends an export twice; a power cut may
//! undo an unlink, with the same effect. What claude had not exported when it was killed was never here. `kept`
//! means this machine's disk, as far as it keeps what `fsync` said it would.

pub mod claim;
pub mod dead_letters;
pub mod deferral;
pub mod disk;
pub mod entry;
pub mod hold;
pub mod list;
pub mod store;
pub mod summary;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

pub use claim::{Claim, Refusal};
pub use entry::{Header, LONGEST_BODY};
pub use store::{Limits, NotStored, Store};
pub use summary::{Summary, summary};

/// Where the parts of the spool are.
#[derive(Debug, Clone)]
pub struct Spool {
    state: PathBuf,
    /// What is decided and can't leave `new`: this process does not send it again.
    decided: Arc<Mutex<BTreeSet<String>>>,
}

impl Spool {
    /// The spool of a state directory; it need not exist.
    pub fn of(state: &Path) -> Self {
        Self { state: state.to_path_buf(), decided: Arc::default() }
    }

    /// The state directory it belongs to.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// `spool`
    pub fn root(&self) -> PathBuf {
        self.state.join("spool")
    }

    /// `spool/tmp`
    pub fn tmp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// `spool/new`
    pub fn waiting(&self) -> PathBuf {
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

    /// `spool/deferred`
    pub fn deferred(&self) -> PathBuf {
        self.root().join("deferred")
    }

    fn remember(&self, name: &str) {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn is_remembered(&self, name: &str) -> bool {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// When `act flush` last asked everybody to try now.
    pub fn nudged(&self) -> Option<SystemTime> {
        std::fs::metadata(self.root().join("nudge")).and_then(|metadata| metadata.modified()).ok()
    }

    /// Asks everybody who waits for better times to try now.
    pub fn nudge(&self) -> std::io::Result<()> {
        crate::state::write_private(&self.root().join("nudge"), b"")
    }
}

/// The name of a session's export.
pub fn name(session: &str, sequence: u64) -> String {
    format!("{session}-{sequence:08}")
}

/// The session a name belongs to; all of a name that is none of ours.
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
            (spool.waiting(), "/s/spool/new"),
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
