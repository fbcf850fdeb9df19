//! The real `claude`: `ACT_CLAUDE_BIN`, `claude` in the configuration, then PATH without ourselves.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::system::environment::Environment;

use super::ancestry;
use super::ourselves::is_ourselves;

/// Why there is no claude to run, with the exit status a shell would give (promise A3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocateError {
    /// 126: not executable; 127: not found.
    pub code: u8,
    /// The message.
    pub message: String,
}

/// Finds the executable.
pub fn locate(environment: &Environment, config: &Config) -> Result<PathBuf, LocateError> {
    let named = match (environment.text("ACT_CLAUDE_BIN"), &config.claude) {
        (Some(path), _) => Some((PathBuf::from(path), "ACT_CLAUDE_BIN".to_owned())),
        (None, Some(path)) => Some((path.value.clone(), path.origin.to_string())),
        _ => None,
    };
    if let Some((path, by)) = named {
        usable(&path).map_err(|(code, why)| LocateError {
            code,
            message: format!("{}: {why} (named by {by})", path.display()),
        })?;
        if is_ourselves(&path) {
            let message = format!("{} is act-claude itself; {by} must name the real claude", path.display());
            return Err(LocateError { code: 126, message });
        }
        return refuse_loop(path);
    }
    let mut ourselves = None;
    let mut unusable = None;
    for directory in std::env::split_paths(environment.get("PATH").unwrap_or_default()) {
        let candidate = directory.join("claude");
        match usable(&candidate) {
            Ok(()) if is_ourselves(&candidate) => ourselves = Some(candidate),
            Ok(()) => return refuse_loop(candidate),
            // As a shell does: a directory of that name is no command.
            Err((126, why)) if !candidate.is_dir() => {
                unusable = unusable.or(Some(format!("{}: {why}", candidate.display())))
            }
            Err(_) => {}
        }
    }
    match (unusable, ourselves) {
        (Some(message), _) => Err(LocateError { code: 126, message }),
        (None, Some(path)) => Err(LocateError {
            code: 127,
            message: format!(
                "no claude on PATH but act-claude itself ({}): install Claude Code, or set ACT_CLAUDE_BIN=/path/to/claude",
                path.display()
            ),
        }),
        (None, None) => Err(LocateError {
            code: 127,
            message: "claude: command not found: install Claude Code, or set ACT_CLAUDE_BIN=/path/to/claude".to_owned(),
        }),
    }
}

/// Whether `path` could be executed, as far as a shell would look.
fn usable(path: &Path) -> Result<(), (u8, &'static str)> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err((126, "Is a directory")),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => Err((126, "Permission denied")),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err((126, "Permission denied")),
        Err(_) => Err((127, "No such file or directory")),
    }
}

/// Whether an absolute path is an executable file (the launcher form's first argument).
pub fn is_executable(path: &Path) -> bool {
    usable(path).is_ok()
}

/// A script may itself call act-claude. Run once more by it, nobody would ever reach the real claude.
fn refuse_loop(path: PathBuf) -> Result<PathBuf, LocateError> {
    let mut start = [0; 2];
    let script = File::open(&path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == b"#!";
    if script && ancestry::loops_through(&path) {
        let message = format!(
            "{} starts act-claude, which would start it again: set ACT_CLAUDE_BIN=/path/to/claude to the real claude",
            path.display()
        );
        return Err(LocateError { code: 126, message });
    }
    Ok(path)
}
