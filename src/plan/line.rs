//! A line about a session, and where it is written.

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
