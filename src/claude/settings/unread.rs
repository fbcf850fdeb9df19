//! A settings layer that exists and is not understood. Claude may read it, so it is not absent; its effect on telemetry is not
//! known.

use std::fmt;
use std::path::PathBuf;

/// The reason why a layer is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It can't be opened or read; with the system's message.
    Refused(String),
    /// It is not a regular file: what act-claude reads from it, claude can't read any more.
    Special(&'static str),
    /// It is larger than what act-claude reads before a session.
    TooLarge {
        /// The number of bytes that are read.
        limit: u64,
    },
    /// A managed file names a program that supplies the managed settings.
    Program,
    /// A property list that `plutil` does not convert to JSON; with the reason.
    NotConverted(String),
}

/// A layer that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub reason: Reason,
}

impl Unread {
    /// What the user can do about it.
    pub fn fix(&self) -> String {
        let path = self.path.display();
        match &self.reason {
            Reason::Refused(_) => format!("make {path} readable for you, or remove it"),
            Reason::Special(_) => format!("put the settings into a regular file instead of {path}"),
            Reason::TooLarge { .. } => format!("make {path} smaller"),
            Reason::NotConverted(_) => format!("plutil -convert json -o - '{path}' says why: ask whoever manages it"),
            Reason::Program => format!("ask whoever manages {path} whether its program sets telemetry variables"),
        }
    }
}

impl fmt::Display for Reason {
    /// As the rest of a sentence about the file.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(out, "can't be read ({why})"),
            Self::Special(kind) => write!(out, "is {kind}, which can be read only once"),
            Self::TooLarge { limit } => write!(out, "is larger than {} MiB", limit / (1024 * 1024)),
            Self::NotConverted(why) => write!(out, "can't be converted to JSON (plutil: {why})"),
            Self::Program => out.write_str("takes the managed settings from a program (policyHelper)"),
        }
    }
}

impl fmt::Display for Unread {
    /// "/home/x/.claude/settings.json can't be read (Permission denied)"
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.path.display(), self.reason)
    }
}
