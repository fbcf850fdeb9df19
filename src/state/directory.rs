//! The state directory, and notes that are kept in it between runs.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::prune;
use crate::system::environment::Environment;
use crate::system::file::{self, Durability};
use crate::system::owner;
use crate::text::fingerprint;
use crate::text::shell::shell_word;

/// Why there is no state directory.
pub const NOWHERE: &str = "there is no state directory: neither HOME nor XDG_STATE_HOME is set to an absolute path: \
                           export HOME=/path/to/your/home";

/// The state directory: `$XDG_STATE_HOME/act-claude`.
pub fn directory(environment: &Environment) -> Option<PathBuf> {
    Some(environment.xdg("XDG_STATE_HOME", ".local/state")?.join("act-claude"))
}

/// Makes the state directory (0700). One that belongs to another user, or that others can write to, is refused.
pub fn prepare(directory: &Path) -> std::io::Result<()> {
    file::create_directories(directory)?;
    check(directory)
}

/// An error if a state directory is not the user's own: files in it are neither written nor sent then.
pub fn check(directory: &Path) -> std::io::Result<()> {
    let refuse = |why: &str| Err(std::io::Error::other(format!("{} {why}", directory.display())));
    let metadata = fs::symlink_metadata(directory)?;
    if !metadata.is_dir() {
        return refuse("is not a directory");
    }
    if !file::is_own(&metadata) {
        return refuse("belongs to another user");
    }
    if metadata.mode() & 0o022 != 0 {
        return refuse("can be written to by others");
    }
    Ok(())
}

/// What the user can do about a directory that [`check`] refuses.
pub fn fix(directory: &Path) -> String {
    match fs::symlink_metadata(directory) {
        Ok(metadata) if metadata.is_dir() && !file::is_own(&metadata) => {
            owner::own_fix(metadata.uid(), directory, &shell_word(directory))
        }
        Ok(metadata) if metadata.is_dir() => format!("chmod 700 {}", shell_word(directory)),
        _ => "export XDG_STATE_HOME=/path/to/a/directory/of/yours".to_owned(),
    }
}

/// Whether it is the user's own, or may become it.
pub fn is_usable(directory: &Path) -> bool {
    match check(directory) {
        // It does not exist yet; or it can't exist, which is reported when it is made.
        Err(error) => error.raw_os_error().is_some(),
        Ok(()) => true,
    }
}

/// Makes a directory (0700) in the state directory, if it does not exist.
pub fn make_private(directory: &Path) -> std::io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file (0600) atomically: readers see the old or the new content.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    file::replace(path, bytes, 0o600, Durability::Unsynced)
}

/// The largest file of the state directory, in bytes. Most have some hundred.
const LARGEST: u64 = 64 << 20;

/// Reads a file that [`write_private`] wrote. Nothing is waited for where something else stands in its place, such as a pipe.
///
/// # Errors
///
/// There is none, it is no regular file or a larger one, or the system refuses.
pub fn read_private(path: &Path) -> std::io::Result<Vec<u8>> {
    file::read_regular(path, LARGEST)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a message about `subject` is due: it was not given within a day. The call notes that it is given now. Where no note
/// can be written, it is due every time.
pub fn is_due(directory: &Path, subject: &Path, word: &str) -> bool {
    let said = directory.join("said");
    let note = said.join(name_of(&[subject.as_os_str().as_bytes(), word.as_bytes()]));
    let age = fs::metadata(&note).and_then(|metadata| metadata.modified()).ok();
    if age.and_then(|time| SystemTime::now().duration_since(time).ok()).is_some_and(|age| age < DAY) {
        return false;
    }
    if prepare(directory).is_ok() && make_private(&said).is_ok() {
        let _ = fs::remove_file(&note);
        let _ = file::create_private(&note);
        prune::prune(prune::entries(&said), prune::Bounds::of_age(DAY * 2), SystemTime::now());
    }
    true
}

/// Whether `subject` is met for the first time on this machine. The call notes that it was met. Where no note can be written,
/// it never is the first time.
pub fn is_first(directory: &Path, subject: &[&str]) -> bool {
    let subject: Vec<&[u8]> = subject.iter().map(|text| text.as_bytes()).collect();
    let met = directory.join("met");
    prepare(directory).and_then(|()| make_private(&met)).is_ok()
        && file::create_private(&met.join(name_of(&subject))).is_ok()
}

/// The name of the note about a subject.
fn name_of(subject: &[&[u8]]) -> String {
    format!("{:016x}", fingerprint::of_all(subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_is_the_first_only() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        assert!(is_first(&state, &["billing", "id"]));
        assert!(!is_first(&state, &["billing", "id"]));
        assert!(is_first(&state, &["billing", "other"]));
        assert!(!is_first(Path::new("/proc/nowhere"), &["x"]));
    }
}
