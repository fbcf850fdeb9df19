//! Values as people type and paste them: each is understood, or refused with the reason (pure).
//!
//! What surrounds a value (quotes, a name before it) is left out. A value that can't work, such as a placeholder, is refused. No
//! reason repeats a part of what was given, because it may be a secret in the wrong place.

pub mod alias;
pub mod credential;
pub mod endpoint;
mod kind;
pub mod name;
pub mod placeholder;
pub mod secret;
pub mod user;

/// A value that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// The value.
    pub value: String,
    /// What was corrected.
    pub note: Option<&'static str>,
}

impl Typed {
    /// A value that needed no correction that the user should know of.
    fn plain(value: &str) -> Self {
        Self { value: value.to_owned(), note: None }
    }

    /// A corrected value.
    fn noted(value: impl Into<String>, note: &'static str) -> Self {
        Self { value: value.into(), note: Some(note) }
    }
}

/// Reads a value. The error continues "it …".
pub type Read = fn(&str) -> Result<Typed, String>;
