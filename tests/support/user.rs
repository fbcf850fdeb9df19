//! An ordinary user, for tests that run as root: root's permissions differ from a user's.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::sandbox::Sandbox;

/// An ordinary user's id.
pub const USER: u32 = 54_321;

/// Gives a sandbox to [`USER`], with copies of the programs, which this user may execute wherever the project is. The
/// fake claude must be installed. Returns the path of act-claude's copy.
pub fn give(sandbox: &Sandbox) -> PathBuf {
    let copy = |from: &Path, to: &str| {
        let to = sandbox.root().join(to);
        let _ = std::fs::remove_file(&to);
        std::fs::copy(from, &to).expect("a copy");
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        to
    };
    copy(&super::example("fake_claude"), "fake/claude");
    let program = copy(&super::act_claude(), "act-claude");
    give_away(sandbox.root());
    program
}

fn give_away(directory: &Path) {
    chown(directory, Some(USER), Some(USER)).expect("root");
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => give_away(&entry.path()),
            kind if kind.is_file() => chown(entry.path(), Some(USER), Some(USER)).expect("root"),
            _ => {}
        }
    }
}

/// From now on, what this thread opens belongs to another user. Only for root, and only on Linux.
pub fn this_thread_becomes(user: u32) {
    #[cfg(target_os = "linux")]
    nix::unistd::setfsuid(user.into());
    #[cfg(not(target_os = "linux"))]
    panic!("no thread can become user {user}");
}
