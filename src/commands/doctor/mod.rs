//! Everything on this machine that would keep sessions from being reported, each with its fix.
//!
//! [`facts`] gathers once what there is to know (the one edge); each of the other files turns facts into findings
//! of one kind (pure); [`show`] prints them.

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

/// Something in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A stable word for programs.
    pub id: &'static str,
    /// What it is.
    pub what: String,
    /// Where: a file with line and column, a program, a variable.
    pub place: String,
    /// What it does to reports.
    pub effect: String,
    /// What to do, in words.
    pub fix: String,
    /// The same as a shell command, where there is one.
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

/// All findings, the ones that stop everything first (pure).
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
