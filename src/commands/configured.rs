//! The configuration for a command that depends on it: what can't be read is named with its place and its fix, and never called
//! absent.

use crate::config::typed::secret::quoted;
use crate::config::{self, Config, Loaded};
use crate::system::environment::Environment;
use crate::system::exit::{CONFIGURATION, ExitCode, USAGE};
use crate::text::nearest::nearest;

/// Reads the configuration. Where nothing in it is reliable, all faults are named, and the error is the exit status 78.
pub fn load(environment: &Environment) -> Result<Loaded, ExitCode> {
    let loaded = config::load(environment);
    if loaded.general_fault().is_none() {
        return Ok(loaded);
    }
    loaded.faults.iter().for_each(|fault| crate::run::report::fatal(&fault.to_string()));
    Err(ExitCode::from(CONFIGURATION))
}

/// Why the alias `name` can't be used, with the exit status: it has a fault (78), or does not exist (64). `None` where it can.
pub fn unusable(config: &Config, name: &str) -> Option<(u8, String)> {
    if config.aliases.contains_key(name) {
        return None;
    }
    Some(match config.broken.aliases.get(name) {
        Some(fault) => (CONFIGURATION, fault.to_string()),
        None => (USAGE, config.no_alias(name)),
    })
}

/// Why there are no copies for this destination.
pub fn no_copy<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let rest = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None if known.clone().next().is_none() => "add it to \"copies\" in the configuration".to_owned(),
        None => format!("name one of {}", known.collect::<Vec<_>>().join(", ")),
    };
    format!("there is no copy {}: {rest}", quoted(name))
}

/// Says why a command ends, and returns its exit status.
pub fn refuse((code, why): (u8, String)) -> ExitCode {
    crate::run::report::fatal(&why);
    ExitCode::from(code)
}
