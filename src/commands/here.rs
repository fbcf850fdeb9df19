//! The alias of the directory in which a command is run: lists mark it, and say in words what the mark means.

use std::path::Path;

use crate::config::Config;
use crate::config::resolve::{self, Directory, Explicit, Reason};
use crate::system::environment::Environment;
use crate::text::home;
use crate::text::page::visible;
use crate::text::table::MARK;

/// The alias of this directory, and why.
#[derive(Debug)]
pub struct Here {
    /// Its name; `None`: there is no telemetry here.
    alias: Option<String>,
    directory: String,
    why: String,
    reason: Reason,
}

impl Here {
    /// Resolves the working directory; `None` where that is not possible.
    pub fn of(environment: &Environment, config: &Config) -> Option<Self> {
        let directory = std::env::current_dir().ok()?;
        let place = Directory::of(&directory, environment, config);
        let resolution = resolve::resolve(Explicit::of(None, environment), config, &place).ok()?;
        let shown = |text: &str| visible(&home::shortened(text, environment.home().as_deref()));
        Some(Self {
            alias: resolution.alias,
            directory: shown(&directory.to_string_lossy()),
            why: shown(&resolution.reason.to_string()),
            reason: resolution.reason,
        })
    }

    /// Whether this is the alias of this directory.
    pub fn is(&self, alias: &str) -> bool {
        self.alias.as_deref() == Some(alias)
    }

    /// How a session that is reported begins: here, where this directory has an alias. Otherwise, what to do first.
    pub fn how_to_begin(&self, config: &Config) -> String {
        match &self.reason {
            _ if self.alias.is_some() => "To start one: act-claude".to_owned(),
            Reason::NothingConfigured => "First set up account, alias and token: act-claude act setup".to_owned(),
            Reason::NoRule => format!("This directory has no alias: {}", config.how_to_use_one()),
            Reason::Broken { .. } => format!("No session is reported here: {}", self.why),
            _ => format!("This directory has no telemetry: {}; to start one elsewhere: act-claude", self.why),
        }
    }

    /// What the mark means: `* billing is the alias of this directory`.
    pub fn legend(&self) -> Option<String> {
        self.alias.as_deref().map(|alias| format!("{MARK} {} is the alias of this directory", visible(alias)))
    }

    /// The alias of this directory, with the reason; without an alias, also how it gets one.
    pub fn words(&self) -> String {
        let Self { directory, why, .. } = self;
        match self.legend() {
            Some(legend) => format!("{legend}, {directory}: {why}"),
            None if matches!(self.reason, Reason::NoRule) => {
                format!("this directory, {directory}, has no alias: {why}. To set one: act-claude act use NAME")
            }
            None => format!("this directory, {directory}, has no alias: {why}"),
        }
    }
}

/// Whether a list marks this alias.
pub fn is_here(here: Option<&Here>, alias: &str) -> bool {
    here.is_some_and(|here| here.is(alias))
}

/// The path of a file or directory for people.
pub fn shown(path: &Path, environment: &Environment) -> String {
    visible(&home::path(path, environment.home().as_deref()))
}
