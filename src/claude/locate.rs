//! The real `claude`: `ACT_CLAUDE_BIN`, `claude` in the configuration, then PATH without ourselves.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::environment::Environment;

use super::ancestry;

/// Why there is no claude to run, with the exit status a shell would give (promise A3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocateError {
    /// 126: not executable; 127: not found.
    pub code: u8,
    /// The message.
    pub message: String,
}

/// What is in every copy of this program, so that a copy is told from the real claude (promise A21). On Linux an ELF
/// note, which linkers put into a program's first page: one read tells. The program has it, not the library: another
/// program with the library in it, such as a test, is none of its copies.
#[derive(Debug)]
#[repr(C, align(4))]
pub struct Mark {
    name_size: u32,
    description_size: u32,
    kind: u32,
    name: [u8; 12],
    description: [u8; 20],
}

impl Mark {
    /// This program's.
    pub const OURS: Self =
        Self { name_size: 11, description_size: 20, kind: 1, name: *b"act-claude\0\0", description: *TEXT };
}

/// The note's description, which is looked for.
const TEXT: &[u8; 20] = b"launcher, not claude";

/// How far into a file the mark is looked for: a page; elsewhere, as far as a copy can be long.
const MARKED: u64 = if cfg!(target_os = "linux") { 4096 } else { 64 * 1024 * 1024 };

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

/// The running program's own file.
pub fn own_file() -> PathBuf {
    if cfg!(target_os = "linux") {
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().unwrap_or_default()
    }
}

/// Whether `path` is this program, under whatever name, or a copy of it.
pub fn is_ourselves(path: &Path) -> bool {
    let (Ok(it), Ok(own)) = (fs::metadata(path), fs::metadata(own_file())) else {
        return false;
    };
    if (it.dev(), it.ino()) == (own.dev(), own.ino()) {
        return true;
    }
    holds_mark(path)
}

fn holds_mark(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut start = Vec::with_capacity(4096);
    let read = file.take(MARKED).read_to_end(&mut start);
    read.is_ok() && !start.starts_with(b"#!") && contains(&start, &[b"act-claude\0\0", &TEXT[..]].concat())
}

/// By hand: memchr first asks the processor what it can do, which takes longer than this does, above all where a hypervisor
/// answers for it.
pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    (0..text.len()).any(|at| text[at] == part[0] && text[at..].starts_with(part))
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
