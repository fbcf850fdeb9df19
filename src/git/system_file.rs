//! The system's configuration file of git. Its path is compiled into git, and depends on where git was installed.

use std::path::{Path, PathBuf};

use super::variables::is_true;
use crate::system::environment::Environment;
use std::os::unix::ffi::OsStrExt;

/// The path that the git on `PATH` reads; `None` where it reads none, or there is no git.
pub fn path(environment: &Environment) -> Option<PathBuf> {
    if environment.get("GIT_CONFIG_NOSYSTEM").is_some_and(|value| is_true(value.as_bytes())) {
        return None;
    }
    if let Some(named) = environment.path("GIT_CONFIG_SYSTEM") {
        return Some(named.to_owned());
    }
    let mut directories = std::env::split_paths(environment.get("PATH")?);
    let bin = directories.find(|directory| directory.is_absolute() && directory.join("git").is_file())?;
    Some(of_prefix(bin.parent()?))
}

/// The file of a git that was installed below `prefix`: the rule of git's own Makefile.
fn of_prefix(prefix: &Path) -> PathBuf {
    if prefix == Path::new("/usr") || prefix == Path::new("/") {
        return "/etc/gitconfig".into();
    }
    prefix.join("etc/gitconfig")
}
