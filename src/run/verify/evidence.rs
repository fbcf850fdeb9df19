//! The facts that a session's log has shown, in bounded memory.

use std::path::PathBuf;

use crate::claude::debug_log::{Sign, classify};

/// How many different signs are remembered.
const REASONS: usize = 8;
/// The longest reason that is kept, in bytes.
const LONGEST: usize = 200;

/// The summary of a log.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The log.
    pub path: Option<PathBuf>,
    /// Why claude was not asked for a log.
    pub no_log: Option<String>,
    /// Lines about telemetry.
    pub lines: u64,
    /// The facts that they prove, each once, in order; without lines that prove nothing.
    pub signs: Vec<Sign>,
    /// Lines about Anthropic's own metrics.
    pub anthropic: u64,
}

impl Evidence {
    /// Records a line.
    pub fn take(&mut self, line: &[u8]) {
        self.lines += 1;
        let mut sign = classify(&String::from_utf8_lossy(line));
        if let Sign::Failed { why } | Sign::NotStarted { why } = &mut sign {
            let mut end = why.len().min(LONGEST);
            while !why.is_char_boundary(end) {
                end -= 1;
            }
            why.truncate(end);
        }
        match sign {
            Sign::Other => {}
            Sign::Anthropic => self.anthropic += 1,
            sign if self.signs.contains(&sign) || self.signs.len() >= REASONS => {}
            sign => self.signs.push(sign),
        }
    }

    /// Whether the log proves that an export was accepted, and shows none that failed.
    pub fn first_delivered(&self) -> bool {
        self.signs.contains(&Sign::FirstDelivered) && self.failure().is_none()
    }

    /// The reason why an export failed.
    pub fn failure(&self) -> Option<&str> {
        self.signs.iter().find_map(|sign| match sign {
            Sign::Failed { why } => Some(why.as_str()),
            _ => None,
        })
    }

    /// Whether claude gave up its last export.
    pub fn timed_out(&self) -> bool {
        self.signs.contains(&Sign::TimedOut)
    }

    /// The sign that shows what kept claude from exporting; of several, the most conclusive one.
    pub fn obstacle(&self) -> Option<&Sign> {
        let rank = |sign: &&Sign| match sign {
            Sign::Off { .. } => 0,
            Sign::NotStarted { .. } => 1,
            Sign::Dropped { .. } => 2,
            Sign::Failed { .. } => 3,
            Sign::TimedOut => 4,
            _ => 5,
        };
        self.signs.iter().filter(|sign| rank(sign) < 5).min_by_key(rank)
    }
}
