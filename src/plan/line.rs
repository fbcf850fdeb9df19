//! A line about a session, and where it is worth writing.

/// Where a line is worth writing.
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
    /// Where it is worth writing.
    pub importance: Importance,
    /// The words, without the program's name.
    pub text: String,
}

impl Line {
    /// A configuration error.
    pub fn configuration(text: String) -> Self {
        Self { importance: Importance::Action, text }
    }

    /// What someone at a terminal wants to know.
    pub fn notice(text: String) -> Self {
        Self { importance: Importance::Notice, text }
    }

    /// The same, said once a day in each directory.
    pub fn daily(text: String) -> Self {
        Self { importance: Importance::Daily, text }
    }
}
