//! Replaces a file completely or not at all, and keeps the previous text beside it.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{Result, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// Makes the directory of `path` (0700) and locks it, so that two edits don't overwrite each other.
pub fn lock(path: &Path) -> Result<Flock<File>> {
    let directory = parent(path);
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    Flock::lock(File::open(directory)?, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}

/// Replaces `path`, or creates it. A symbolic link stays one: the file that it leads to is replaced.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let directory = parent(&target);
    let mut file = tempfile::Builder::new().prefix(".act-claude-").tempfile_in(directory)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

/// Keeps `content` in the file `path` with `.bak`, which replaces an earlier one.
pub fn back_up(path: &Path, content: &[u8]) -> Result<PathBuf> {
    let mut backup = path.as_os_str().to_owned();
    backup.push(".bak");
    let backup = PathBuf::from(backup);
    replace(&backup, content, 0o600)?;
    Ok(backup)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
