//! Finds the real `claude`: `ACT_CLAUDE_BIN`, then `claude` in the configuration, then PATH, without act-claude itself and
//! without wrappers that start act-claude.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use crate::config::{self, Config, edit};
use crate::system::environment::Environment;

use super::chain::Chain;
use super::installed;
use super::ourselves::{identity, is_ourselves};
use super::{ancestry, version};

/// The reason why there is no claude to run, with the exit status a shell would give (promise A3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocateError {
    /// 126: not executable; 127: not found.
    pub code: u8,
    /// The message.
    pub message: String,
}

/// Finds the executable.
pub fn locate(environment: &Environment, config: &Config) -> Result<PathBuf, LocateError> {
    let chain = Chain::here(environment);
    if chain.is_endless() {
        let message = "claude starts act-claude again and again: set ACT_CLAUDE_BIN=/path/to/claude to the real claude";
        return Err(LocateError { code: 126, message: message.to_owned() });
    }
    let mut passed = PassedOver::default();
    if let Some((path, by)) = named(environment, config) {
        usable(&path).map_err(|(code, why)| LocateError {
            code,
            message: format!("{}: {why} (named by {by})", path.display()),
        })?;
        if is_ourselves(&path) {
            let message = format!("{} is act-claude itself; {by} must name the real claude", path.display());
            return Err(LocateError { code: 126, message });
        }
        if !leads_back(&path, &chain) {
            return Ok(path);
        }
        passed.wrapper = Some(path);
    }
    // An unset PATH is not an empty one, which would mean the working directory.
    for directory in std::env::split_paths(environment.get("PATH").unwrap_or(OsStr::new(DEFAULT_PATH))) {
        let candidate = directory.join("claude");
        match usable(&candidate) {
            Ok(()) if is_ourselves(&candidate) => passed.ourselves = Some(candidate),
            Ok(()) if leads_back(&candidate, &chain) => passed.wrapper = passed.wrapper.or(Some(candidate)),
            Ok(()) => return Ok(candidate),
            // As in a shell: a directory of that name is not a command.
            Err((126, why)) if !candidate.is_dir() => {
                passed.unusable = passed.unusable.or(Some(format!("{}: {why}", candidate.display())))
            }
            Err(_) => {}
        }
    }
    Err(passed.error(environment))
}

/// The directories of commands where PATH is not set.
const DEFAULT_PATH: &str = "/usr/bin:/bin";

/// The claude that the user names, and the place that names it.
fn named(environment: &Environment, config: &Config) -> Option<(PathBuf, String)> {
    match (environment.path("ACT_CLAUDE_BIN"), &config.claude) {
        (Some(path), _) => Some((path.to_path_buf(), "ACT_CLAUDE_BIN".to_owned())),
        (None, Some(path)) => Some((path.value.clone(), path.origin.to_string())),
        (None, None) => None,
    }
}

/// Candidates that are not a claude to start.
#[derive(Default)]
struct PassedOver {
    ourselves: Option<PathBuf>,
    wrapper: Option<PathBuf>,
    unusable: Option<String>,
}

impl PassedOver {
    fn error(self, environment: &Environment) -> LocateError {
        let is_found = self.wrapper.is_some() || self.unusable.is_some();
        if let Some(path) = installed::apart(environment).filter(|_| !is_found) {
            return LocateError { code: 127, message: not_on_path(&path, environment) };
        }
        let (code, message) = match self {
            Self { wrapper: Some(path), .. } => (
                126,
                format!(
                    "{} starts act-claude, which would start it again: set ACT_CLAUDE_BIN=/path/to/claude to the real claude",
                    path.display()
                ),
            ),
            Self { unusable: Some(message), .. } => (126, message),
            Self { ourselves: Some(path), .. } => (
                127,
                format!(
                    "no claude on PATH but act-claude itself ({}): install Claude Code, or set ACT_CLAUDE_BIN=/path/to/claude",
                    path.display()
                ),
            ),
            Self { .. } => (
                127,
                "claude: command not found: install Claude Code, or set ACT_CLAUDE_BIN=/path/to/claude".to_owned(),
            ),
        };
        LocateError { code, message }
    }
}

/// The message for a claude that PATH does not lead to, with the line that names it.
fn not_on_path(path: &Path, environment: &Environment) -> String {
    let file = config::user_file(environment).unwrap_or_default();
    format!(
        "claude: command not found, but {} is there: put its directory on PATH, or add \"claude\": {} to {}, as act-claude act setup \
         offers",
        path.display(),
        serde_json::json!(edit::directory_key(path, environment)),
        file.display()
    )
}

/// Whether `path` can be executed, by a shell's rules: a regular file that this user may execute. Anything else that is
/// executable, such as a FIFO, is no program.
fn usable(path: &Path) -> Result<(), (u8, &'static str)> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err((126, "Is a directory")),
        Ok(metadata) if !metadata.is_file() => Err((126, "Not a regular file")),
        Ok(_) => {
            faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS).map_err(|_| (126, "Permission denied"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err((126, "Permission denied")),
        Err(_) => Err((127, "No such file or directory")),
    }
}

/// Whether an absolute path is an executable file (the launcher form's first argument).
pub fn is_executable(path: &Path) -> bool {
    usable(path).is_ok()
}

/// Whether `path` is a wrapper that was started in claude's place and started this process; the search then skips it. Claude
/// itself may start act-claude any number of times.
pub fn leads_back(path: &Path, chain: &Chain) -> bool {
    if version::is_native(path) {
        return false;
    }
    let is_runaway = chain.is_runaway() && identity(path).is_some_and(|file| chain.has_started(file));
    is_runaway || chain.has_tried(path) || ancestry::loops_through(path, chain)
}
