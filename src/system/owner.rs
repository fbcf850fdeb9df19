//! Files that belong to another user: what to do about one, and which are not to be replaced.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::file::{is_own, parent};

/// How to go on where `path` belongs to the user `owner`, but should be this process's user's own. In another user's home, root
/// does not take it away from its owner: `sudo` has kept HOME. Nor does one user from another.
/// `word` is the path as a word of a shell command.
pub fn own_fix(owner: u32, path: &Path, word: &str) -> String {
    let user = nix::unistd::geteuid();
    let is_theirs = std::fs::metadata(parent(path)).is_ok_and(|directory| directory.uid() == owner);
    match (user.is_root(), is_theirs) {
        (true, true) => {
            format!("start act-claude without sudo, as the user with the id {owner}; or with root's own home: sudo -H")
        }
        (false, true) if owner != 0 => {
            format!("start act-claude as the user with the id {owner}; or: export HOME=/path/to/your/home")
        }
        _ => format!("sudo chown {user} {word}"),
    }
}

/// How to get access to `path`, which the system has refused. `chmod` helps only the owner: where the file, or a directory above
/// it, belongs to somebody else, the fix says so. `word` makes a path a word of a shell command, and `mode` is what `chmod` does
/// to the file.
pub fn access_fix(path: &Path, mode: &str, word: impl Fn(&Path) -> String) -> String {
    let visible = path.ancestors().find_map(|at| Some((at, std::fs::metadata(at).ok()?)));
    match visible {
        Some((at, metadata)) if !is_own(&metadata) => own_fix(metadata.uid(), at, &word(at)),
        Some((at, _)) if at != path => format!("chmod u+rwx {}", word(at)),
        _ => format!("chmod {mode} {}", word(path)),
    }
}

/// What a `chmod` of a file needs in front: `sudo`, where the file belongs to another user.
pub fn sudo_for(metadata: &Metadata) -> &'static str {
    if is_own(metadata) || nix::unistd::geteuid().is_root() { "" } else { "sudo " }
}

/// The owner of `path` where that is another user, so that the file is not to be replaced by one of this process's user. Of a file
/// that does not exist, it is the owner of the directory that it would be made in, where `sudo` was started by that user
/// (`sudo_user`, from `SUDO_UID`): the user could not change what root makes there.
pub fn other_owner(path: &Path, sudo_user: Option<u32>) -> Option<(&Path, u32)> {
    if let Ok(metadata) = std::fs::metadata(path) {
        return (!is_own(&metadata)).then(|| (path, metadata.uid()));
    }
    let (above, metadata) = path.ancestors().skip(1).find_map(|at| Some((at, std::fs::metadata(at).ok()?)))?;
    (!is_own(&metadata) && sudo_user == Some(metadata.uid())).then(|| (above, metadata.uid()))
}
