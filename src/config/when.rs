//! When the report is written.

/// When the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// On a terminal every state; elsewhere only states that require the user to act.
    #[default]
    Auto,
    /// Every state, everywhere.
    Always,
    /// Nothing.
    Never,
    /// One JSON object, always.
    Json,
}

impl When {
    /// The spellings, in the order shown to users.
    pub const NAMES: [&'static str; 4] = ["auto", "always", "never", "json"];
    /// The variable that holds one of them.
    pub const VARIABLE: &'static str = "ACT_CLAUDE_REPORT";

    /// Reads one of [`When::NAMES`].
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "always" => Some(Self::Always),
            "never" => Some(Self::Never),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}
