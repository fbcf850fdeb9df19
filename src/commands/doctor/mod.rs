//! Everything on this machine that would keep sessions from being reported, each with its fix.
//!
//! [`facts`] gathers all facts once and is the only file that does I/O. [`mod@findings`] renders findings as text and JSON. Each
//! of the other files turns facts into findings of one kind (pure).

mod client;
mod command;
mod configuration;
mod environment;
mod facts;
mod findings;
mod launchers;
mod sessions;
mod settings;
mod store;

pub use command::{Args, run};
pub use facts::Facts;
pub use findings::{json, text};

/// A problem that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A stable identifier for programs.
    pub id: &'static str,
    /// What the problem is.
    pub what: String,
    /// Where it is: a file with line and column, a program, a variable.
    pub place: String,
    /// How it affects what is reported.
    pub effect: String,
    /// The fix, in words.
    pub fix: String,
    /// The fix as a shell command, where there is one.
    pub command: Option<String>,
}

impl Finding {
    fn new(id: &'static str, what: impl Into<String>, place: impl Into<String>) -> Self {
        let (what, place) = (what.into(), place.into());
        Self { id, what, place, effect: String::new(), fix: String::new(), command: None }
    }

    fn effect(mut self, effect: impl Into<String>) -> Self {
        self.effect = effect.into();
        self
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

/// All findings. The ones that stop every session come first (pure).
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let kinds = [
        client::findings,
        configuration::findings,
        environment::findings,
        settings::findings,
        launchers::findings,
        sessions::findings,
        store::findings,
    ];
    kinds.iter().flat_map(|kind| kind(facts)).collect()
}
