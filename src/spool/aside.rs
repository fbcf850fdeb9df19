//! What is set aside: never sent again, kept for a while, bounded, and counted when it goes (promise B7).

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Spool;
use crate::state;

/// Set aside for this long.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// And no more than this of each kind, the newest.
const MOST_FILES: usize = 1_000;
const MOST_BYTES: u64 = 16 << 20;

/// How many files were removed because of age or size.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pruned {
    /// From `rejected`.
    pub rejected: u64,
    /// From `corrupt`.
    pub corrupt: u64,
}

/// Moves a file of `new` to `rejected`.
pub fn rejected(spool: &Spool, name: &str) {
    let _ = fs::rename(spool.waiting().join(name), spool.rejected().join(name));
}

/// Moves whatever has this name in `new` to `corrupt`.
pub fn corrupt(spool: &Spool, name: &str) {
    tracing::debug!(name, "corrupt");
    let _ = fs::rename(spool.waiting().join(name), spool.corrupt().join(name));
}

/// What has been removed so far.
pub fn pruned(spool: &Spool) -> Pruned {
    let bytes = fs::read(spool.root().join("pruned.json")).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Removes what is too old or too much.
pub fn prune(spool: &Spool, now: SystemTime) {
    let new = Pruned { rejected: prune_pile(&spool.rejected(), now), corrupt: prune_pile(&spool.corrupt(), now) };
    if new != Pruned::default() {
        let old = pruned(spool);
        let sum = Pruned { rejected: old.rejected + new.rejected, corrupt: old.corrupt + new.corrupt };
        if let Ok(bytes) = serde_json::to_vec(&sum) {
            let _ = state::write_private(&spool.root().join("pruned.json"), &bytes);
        }
    }
}

fn prune_pile(directory: &Path, now: SystemTime) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    // When something was set aside is when its inode changed; near enough: when it was written.
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    let (mut count, mut bytes, mut pruned) = (0, 0, 0);
    for (time, size, path) in files {
        count += 1;
        bytes += size;
        let is_old = now.duration_since(time).is_ok_and(|age| age > KEPT);
        if is_old || count > MOST_FILES || bytes > MOST_BYTES {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            pruned += u64::from(removed.is_ok());
        }
    }
    pruned
}
