//! Everything on this machine that would keep sessions from being reported, each with its fix.
//!
//! [`facts`] gathers all facts once and is the only file that does I/O, besides [`command`]. [`mod@findings`] renders findings as
//! text and JSON, and [`looked_at`] what was looked at: the block that people paste into a support ticket, without what
//! [`private`] removes, of which [`written`] reads a part from the configuration's text. Each of the other files turns facts into findings of one kind (pure).

mod client;
mod command;
mod configuration;
mod copies;
mod environment;
mod facts;
mod findings;
mod launchers;
mod looked_at;
mod ownership;
mod private;
mod repositories;
mod sessions;
mod settings;
mod store;
mod written;

pub use command::{Args, run};
pub use facts::Facts;
pub use findings::text;

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

/// Looks for problems of one kind (pure).
type Check = fn(&Facts) -> Vec<Finding>;

/// All checks. The ones that look for what stops every session come first.
fn checks() -> impl Iterator<Item = Check> {
    let kinds: [&[Check]; 9] = [
        &client::CHECKS,
        &configuration::CHECKS,
        &repositories::CHECKS,
        &environment::CHECKS,
        &settings::CHECKS,
        &launchers::CHECKS,
        &sessions::CHECKS,
        &store::CHECKS,
        &copies::CHECKS,
    ];
    kinds.into_iter().flatten().copied()
}

/// All findings (pure).
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    checks().flat_map(|check| check(facts)).collect()
}
