//! Removes files of the state directory that are too old or too many. Only this code removes files without being asked to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How many files of one kind are kept; the newest are kept first.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The longest time since a file was written.
    pub age: Duration,
    /// How many files.
    pub files: usize,
    /// How many bytes, in all of them together.
    pub bytes: u64,
    /// Whether the newest file stays where it alone has more bytes: it would otherwise be gone before anybody looks.
    pub keeps_newest: bool,
}

impl Bounds {
    /// A limit on age only.
    pub const fn of_age(age: Duration) -> Self {
        Self { age, files: usize::MAX, bytes: u64::MAX, keeps_newest: false }
    }
}

/// Removes those of `paths` that are beyond `bounds`, and returns how many. A time in the future counts as now. A path whose
/// metadata can't be read, or that can't be removed, stays.
pub fn prune(paths: impl IntoIterator<Item = PathBuf>, bounds: Bounds, now: SystemTime) -> u64 {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = paths
        .into_iter()
        .filter_map(|path| {
            let metadata = fs::symlink_metadata(&path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), path))
        })
        .collect();
    files.sort_unstable_by(|one, other| other.cmp(one));
    let (mut count, mut bytes, mut removed) = (0, 0_u64, 0);
    for (written, length, path) in files {
        count += 1;
        bytes = bytes.saturating_add(length);
        let is_old = now.duration_since(written).is_ok_and(|age| age > bounds.age);
        let is_too_much = bytes > bounds.bytes && !(bounds.keeps_newest && count == 1);
        if is_old || count > bounds.files || is_too_much {
            let is_removed =
                if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed += u64::from(is_removed.is_ok());
        }
    }
    removed
}

/// The paths of a directory's entries; none where it can't be read.
pub fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_by_age_number_and_size() {
        let now = SystemTime::now();
        let hours = |count: u64| Duration::from_secs(count * 3600);
        let all = Bounds { age: hours(1000), files: 100, bytes: 1000, keeps_newest: false };
        for (bounds, kept) in [
            (all, "0123"),
            (Bounds { age: hours(2), ..all }, "012"),
            (Bounds { files: 1, ..all }, "0"),
            (Bounds { bytes: 25, ..all }, "01"),
            (Bounds { bytes: 5, ..all }, ""),
            (Bounds { bytes: 5, keeps_newest: true, ..all }, "0"),
            (Bounds { bytes: 25, keeps_newest: true, ..all }, "01"),
            (Bounds::of_age(hours(1)), "01"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            for age in 0..4 {
                let file = fs::File::create_new(directory.path().join(age.to_string())).unwrap();
                file.set_len(10).unwrap();
                file.set_modified(now - hours(age)).unwrap();
            }
            let removed = prune(entries(directory.path()), bounds, now);
            let mut left: Vec<String> = entries(directory.path())
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect();
            left.sort();
            assert_eq!((left.concat().as_str(), removed as usize), (kept, 4 - kept.len()), "{bounds:?}");
        }
    }

    #[test]
    fn a_link_goes_and_what_it_leads_to_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target"), directory.path().join("link"));
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(prune([link.clone(), directory.path().join("none")], Bounds::of_age(Duration::ZERO), later), 1);
        assert!(!link.is_symlink() && target.is_dir());
    }
}
