//! A line about a session, and where it is written.

use crate::claude::by_itself::ByItself;

/// Where a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Everywhere: the user must act.
    Action,
    /// On a terminal.
    Notice,
    /// On a terminal, once a day for each directory.
    Daily,
}

/// A line about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it is written.
    pub importance: Importance,
    /// The words, without the program's name.
    pub text: String,
}

impl Line {
    /// A configuration error.
    pub fn configuration(text: String) -> Self {
        Self { importance: Importance::Action, text }
    }

    /// Information for a user at a terminal.
    pub fn notice(text: String) -> Self {
        Self { importance: Importance::Notice, text }
    }

    /// Information that is written once a day for each directory.
    pub fn daily(text: String) -> Self {
        Self { importance: Importance::Daily, text }
    }
}

/// The lines of a run to which act-claude adds nothing. Where Claude Code sends metrics by itself, "no telemetry" would not be
/// true: the lines say whose telemetry there is none of, and a further line what claude does.
pub fn beside(lines: Vec<Line>, itself: Option<&ByItself>) -> Vec<Line> {
    /// What is said where act-claude adds nothing.
    const NOTHING: &str = "no telemetry";
    // A line about metrics that go elsewhere says so already.
    let is_meant = |text: &str| text.contains(NOTHING) && !text.contains("no telemetry to ACT");
    let Some(itself) = itself else { return lines };
    let Some(first) = lines.iter().find(|line| is_meant(&line.text)) else { return lines };
    let further = Line { importance: first.importance, text: itself.to_string() };
    let lines = lines.into_iter().map(|line| match is_meant(&line.text) {
        true => Line { text: line.text.replacen(NOTHING, "no telemetry from act-claude", 1), ..line },
        false => line,
    });
    lines.chain([further]).collect()
}
