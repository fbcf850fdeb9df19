//! Starts Claude Code under the Agent Control Tower (ACT) alias of the current directory.
//!
//! Data flows one way: the command line ([`cli`]) and the configuration ([`config`]) give the alias of the
//! directory ([`resolve`]); with what is known of Claude Code ([`claude`]) that gives a plan ([`plan`]), which
//! [`mod@run`] carries out with [`launch`]; [`report`] says how it went. The commands under [`act`] stand beside it.

pub mod act;
pub mod cause;
pub mod check;
pub mod claude;
pub mod cli;
pub mod complete;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod edit;
pub mod environment;
pub mod history;
pub mod json;
pub mod launch;
mod launcher;
pub mod log;
pub mod nearest;
pub mod outcome;
pub mod page;
pub mod plan;
pub mod protocol;
pub mod receive;
pub mod record;
pub mod relay;
pub mod report;
pub mod resolve;
mod run;
pub mod setup;
pub mod spool;
pub mod state;
pub mod text;
pub mod token;
pub mod verdict;
pub mod verify;

use std::path::Path;

use cli::Invocation;
use environment::Environment;
use text::printable::visible;

/// Exit status for a command line that can't be meant (sysexits' EX_USAGE).
pub const USAGE: u8 = 64;
/// Exit status where telemetry is required and can't be had (sysexits' EX_CONFIG).
pub const CONFIGURATION: u8 = 78;

/// An exit status, 0–255. std's can't be read, and the process is ended without std's runtime (see `main.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// 0
    pub const SUCCESS: Self = Self(0);
    /// 1
    pub const FAILURE: Self = Self(1);
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> Self {
        Self(code)
    }
}

impl From<ExitCode> for i32 {
    fn from(code: ExitCode) -> Self {
        code.0.into()
    }
}

/// The program: parse, run, exit status.
pub fn run() -> ExitCode {
    launch::inherited::outlive_full_files();
    let environment = Environment::capture();
    let args = std::env::args_os().skip(1).collect();
    match cli::parse(args, claude::locate::is_executable) {
        Ok(Invocation::Act(args)) => act::run(&args, &environment),
        Ok(Invocation::Launcher { claude, args }) => launcher::run(&claude, &args, environment),
        Ok(Invocation::Run { flags, args }) => run::run(&flags, &args, environment),
        Err(error) => {
            report::fatal(&error.to_string());
            ExitCode::from(USAGE)
        }
    }
}

/// A path as one word of a shell command, quoted only where it must be. What is no text, or can't be shown, is written
/// as `$'…'`, which bash, zsh and ksh read.
pub(crate) fn shell_word(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c)) => {
            text.to_owned()
        }
        Some(text) if *visible(text) == *text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let bytes = path.as_os_str().as_bytes().iter();
            let written = bytes.map(|&byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(byte)),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            format!("$'{}'", written.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_what_the_shell_reads() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        for (bytes, word) in [
            (&b"/a/b-c_1.x"[..], "/a/b-c_1.x"),
            (b"/a b", "'/a b'"),
            (b"it's", r"'it'\''s'"),
            ("/caf\u{e9}".as_bytes(), "'/caf\u{e9}'"),
            (b"/caf\xe9'1\\", r"$'/caf\xe9\'1\\'"),
            (b"/\x1b[31m", r"$'/\x1b[31m'"),
            (b"", "''"),
        ] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(shell_word(path), word);
            let script = format!("printf %s {word}");
            let read = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash").stdout;
            assert_eq!(read, bytes);
        }
    }
}
