//! The repository that a command is run in, for a rule that is for all its clones.

use std::path::Path;

use crate::config::Config;
use crate::config::repositories::Pattern;
use crate::config::resolve::{self, Directory};
use crate::git::address::Address;
use crate::git::checkout;
use crate::git::remote::Remote;
use crate::system::environment::Environment;
use crate::text::shell::shell_word;

/// The repository that a directory is in: its remote's host and path.
///
/// # Errors
///
/// Why there is none, with what to do instead.
pub fn address(place: &Directory, config: &Config, environment: &Environment) -> Result<Address, String> {
    let instead = "without --clones, act-claude act use NAME sets the alias of this directory";
    let levels = place.levels.iter().map(|level| (level.path.as_path(), Some(level.identity.0)));
    let Some((top, found)) = checkout::above(levels, environment).into_iter().next() else {
        return Err(format!("this directory is in no git repository: {instead}"));
    };
    let unusable = |unusable: checkout::Unusable| format!("{}: {}", unusable.path.display(), unusable.why);
    let checkout = found.map_err(unusable)?;
    match crate::git::remote(&checkout, environment).map_err(unusable)? {
        Remote::Url(url) => {
            let address = resolve::address(&url, &checkout.top, config)
                .map_err(|why| format!("{} has a remote, but {why}: {instead}", top.display()))?;
            match Pattern::exactly(&address) {
                Some(_) => Ok(address),
                None => Err(format!("no rule can name only {address}, because of its characters: {instead}")),
            }
        }
        Remote::None => Err(format!("{} has no remote: {instead}", top.display())),
        Remote::Several(names) => Err(format!(
            "{} has several remotes ({}), and none is \"origin\": git remote rename {} origin",
            top.display(),
            names.join(", "),
            names.first().map_or("NAME".into(), |name| shell_word(Path::new(name)))
        )),
    }
}

/// The key of the rule: as the user's file `own` has it already, else the address.
pub fn key(address: &Address, config: &Config, own: Option<&Path>) -> String {
    let pattern = Pattern::exactly(address);
    let existing = config
        .repositories
        .iter()
        .find(|rule| Some(&rule.pattern) == pattern.as_ref() && Some(rule.origin.path()) == own);
    existing.map_or_else(|| address.to_string(), |rule| rule.value.written)
}
