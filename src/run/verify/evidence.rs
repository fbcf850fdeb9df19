//! What a session's log has shown, in bounded space.

use std::path::PathBuf;

use crate::claude::debug_log::{Sign, classify};

/// Different reasons remembered.
const REASONS: usize = 8;
/// Bytes of a quoted word.
const LONGEST: usize = 200;

/// The sum of a log.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The log.
    pub path: Option<PathBuf>,
    /// Lines about telemetry.
    pub lines: u64,
    /// What they say, each once, in order; without what proves nothing.
    pub signs: Vec<Sign>,
    /// Lines about Anthropic's own metrics.
    pub anthropic: u64,
}

impl Evidence {
    /// Takes note of a line.
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

    /// Whether the log proves that an export was taken, and none that failed.
    pub fn first_delivered(&self) -> bool {
        self.signs.contains(&Sign::FirstDelivered) && self.failure().is_none()
    }

    /// Why an export failed.
    pub fn failure(&self) -> Option<&str> {
        self.signs.iter().find_map(|sign| match sign {
            Sign::Failed { why } => Some(why.as_str()),
            _ => None,
        })
    }

    /// Whether claude gave the last export up.
    pub fn timed_out(&self) -> bool {
        self.signs.contains(&Sign::TimedOut)
    }

    /// What kept claude from exporting, the most telling first.
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
