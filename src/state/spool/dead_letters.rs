//! Dead letters: exports that ACT will never accept, or whose content is not what was written. They are never sent again. They
//! are kept for some time, within bounds, and counted when they are removed (promise B7).

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Spool, shared};
use crate::state;
use crate::state::prune::{self, Bounds};

/// How much is kept of each kind. The time of a file is when it was written, which is near enough to when it was moved.
const BOUNDS: Bounds =
    Bounds { age: Duration::from_secs(90 * 24 * 60 * 60), files: 1_000, bytes: 16 << 20, keeps_newest: true };

/// How many dead letters were removed because of age, number or size.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pruned {
    /// From `rejected`.
    pub rejected: u64,
    /// From `corrupt`.
    pub corrupt: u64,
}

/// Moves a file of `new` to `rejected`.
pub fn rejected(spool: &Spool, name: &str) -> io::Result<()> {
    move_file(spool, name, &spool.rejected())?;
    // The dead letter of a copy is ACT's file, which has the body.
    shared::rename(spool, name, &spool.rejected().join(name));
    Ok(())
}

/// Moves whatever has this name in `new` to `corrupt`.
pub fn corrupt(spool: &Spool, name: &str) -> io::Result<()> {
    tracing::debug!(name, "corrupt");
    move_file(spool, name, &spool.corrupt())
}

fn move_file(spool: &Spool, name: &str, directory: &Path) -> io::Result<()> {
    let (from, to) = (spool.queue().join(name), directory.join(name));
    let moved = match fs::rename(&from, &to) {
        // Somebody removed the directory, or the file.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(&from).is_ok() => {
            state::make_private(directory)?;
            fs::rename(&from, &to)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved,
    };
    match &moved {
        Ok(()) => {
            let _ = fs::remove_file(spool.deferred().join(name));
        }
        Err(error) => tracing::debug!(name, %error, "can't be moved to the dead letters"),
    }
    moved
}

/// How many have been removed so far.
pub fn pruned(spool: &Spool) -> Pruned {
    let bytes = state::read_private(&spool.root().join("pruned.json")).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Removes what is too old or too much.
pub fn prune(spool: &Spool, now: SystemTime) {
    let of = |directory: &Path| prune::prune(prune::entries(directory), BOUNDS, now);
    let new = Pruned { rejected: of(&spool.rejected()), corrupt: of(&spool.corrupt()) };
    if new != Pruned::default() {
        let old = pruned(spool);
        let sum = Pruned { rejected: old.rejected + new.rejected, corrupt: old.corrupt + new.corrupt };
        if let Ok(bytes) = serde_json::to_vec(&sum) {
            let _ = state::write_private(&spool.root().join("pruned.json"), &bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn spool() -> (tempfile::TempDir, Spool) {
        let state = tempfile::tempdir().unwrap();
        let spool = Spool::of(state.path());
        for directory in [spool.queue(), spool.rejected(), spool.corrupt()] {
            fs::create_dir_all(directory).unwrap();
        }
        (state, spool)
    }

    /// A whole second, which every file system keeps.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    /// A file, a hole of `size` bytes.
    fn file(path: &Path, size: u64, modified: SystemTime) {
        let file = fs::File::create(path).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(modified).unwrap();
    }

    fn left(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn b7_what_act_never_takes_and_what_is_torn_leave_the_queue() {
        let (_state, spool) = spool();
        for name in ["a-00000001", "a-00000002"] {
            fs::write(spool.queue().join(name), "").unwrap();
        }
        rejected(&spool, "a-00000001").unwrap();
        corrupt(&spool, "a-00000002").unwrap();
        assert_eq!(left(&spool.rejected()), ["a-00000001"]);
        assert_eq!(left(&spool.corrupt()), ["a-00000002"]);
        assert_eq!(left(&spool.queue()), [""; 0]);
    }

    #[test]
    fn b7_kept_for_ninety_days_and_counted_when_it_goes() {
        let (_state, spool) = spool();
        prune(&spool, now());
        assert!(!spool.root().join("pruned.json").exists(), "nothing to say");
        for (round, sum) in [(1, (2, 1)), (2, (4, 2)), (3, (6, 3))] {
            for name in ["old", "older"] {
                file(&spool.rejected().join(name), 1, now() - DAY * 90 - Duration::from_secs(1));
            }
            file(&spool.rejected().join("young"), 1, now() - DAY * 90);
            // Whatever was put there: a directory, too.
            fs::create_dir(spool.corrupt().join("directory")).unwrap();
            let directory = fs::File::open(spool.corrupt().join("directory")).unwrap();
            directory.set_modified(now() - DAY * 91).unwrap();
            file(&spool.corrupt().join("future"), 1, now() + DAY);
            prune(&spool, now());
            assert_eq!(left(&spool.rejected()), ["young"], "round {round}");
            assert_eq!(left(&spool.corrupt()), ["future"], "round {round}");
            assert_eq!(pruned(&spool), Pruned { rejected: sum.0, corrupt: sum.1 }, "round {round}");
        }
    }

    #[test]
    fn b7_a_thousand_files_and_sixteen_mebibytes_the_newest() {
        let (_state, spool) = spool();
        for number in 0..1_001 {
            file(&spool.rejected().join(format!("{number:04}")), 1, now() - Duration::from_secs(number));
        }
        prune(&spool, now());
        let names = left(&spool.rejected());
        assert_eq!((names.len(), names.last().unwrap().as_str()), (1_000, "0999"));
        for (name, size, age) in [("new", 10 << 20, 1), ("fits", 6 << 20, 2), ("over", 1, 3)] {
            file(&spool.corrupt().join(name), size, now() - Duration::from_secs(age));
        }
        prune(&spool, now());
        assert_eq!(left(&spool.corrupt()), ["fits", "new"]);
        assert_eq!(pruned(&spool), Pruned { rejected: 1, corrupt: 1 });
    }

    #[test]
    fn b7_the_newest_is_kept_whatever_its_size() {
        let (_state, spool) = spool();
        file(&spool.rejected().join("large"), 20 << 20, now() - Duration::from_secs(1));
        prune(&spool, now());
        assert_eq!((left(&spool.rejected()), pruned(&spool)), (vec!["large".to_owned()], Pruned::default()));
        file(&spool.rejected().join("newer"), 1, now());
        prune(&spool, now());
        assert_eq!((left(&spool.rejected()), pruned(&spool).rejected), (vec!["newer".to_owned()], 1));
    }
}
