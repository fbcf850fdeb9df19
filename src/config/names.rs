//! What is said where an alias or an account can't be used under the name that somebody gave, and which names there are.

use super::typed::secret::quoted;
use super::{Account, Config};
use crate::text::json::{Fault, Origin};
use crate::text::nearest::nearest;

impl Config {
    /// The account of this name. The error says why it can't be used: it has a fault, or does not exist.
    pub fn account(&self, name: &str) -> Result<&Account, String> {
        if let Some(account) = self.accounts.get(name) {
            return Ok(account);
        }
        if let Some(fault) = self.broken.accounts.get(name) {
            return Err(fault.to_string());
        }
        let known: Vec<&str> = self.accounts.keys().map(String::as_str).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? (known: {})", known.join(", ")),
            None if known.is_empty() => "none is configured: act-claude act setup".to_owned(),
            None => format!("known: {} (to add one: act-claude act setup --spec FILE)", known.join(", ")),
        };
        Err(format!("there is no account {}; {hint}", quoted(name)))
    }

    /// The reason why the alias of this name, which is used at `origin`, can't be used.
    pub fn fault_of(&self, alias: &str, origin: &Origin) -> Option<Fault> {
        if self.aliases.contains_key(alias) {
            return None;
        }
        Some(self.broken.aliases.get(alias).cloned().unwrap_or_else(|| {
            let fault = Fault::new(origin.clone(), format!("there is no alias {}", quoted(alias)));
            fault.fix(self.suggest_alias(alias))
        }))
    }

    /// How a directory gets an alias: the command, with the names that are known.
    pub fn how_to_use_one(&self) -> String {
        /// So many names are readable in one line.
        const NAMED: usize = 5;
        let known: Vec<&str> = self.aliases.keys().map(String::as_str).collect();
        match &known[..] {
            // Each one has a fault, which is reported by itself.
            [] => "act-claude act use NAME".to_owned(),
            [only] => format!("act-claude act use {only}"),
            known if known.len() <= NAMED => format!("act-claude act use NAME (known: {})", known.join(", ")),
            [first @ .., _] => format!(
                "act-claude act use NAME (known: {}, and {} more: act-claude act aliases)",
                first[..NAMED].join(", "),
                known.len() - NAMED
            ),
        }
    }

    /// Says that there is no alias of this name, and which ones there are.
    pub fn no_alias(&self, name: &str) -> String {
        format!("there is no alias {}; {}", quoted(name), self.suggest_alias(name))
    }

    /// A suggestion in place of an alias name that does not exist.
    pub fn suggest_alias(&self, name: &str) -> String {
        let known: Vec<&str> = self.aliases.keys().map(String::as_str).collect();
        match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? (known: {})", known.join(", ")),
            None if known.is_empty() && !self.broken.aliases.is_empty() => {
                "all aliases have faults: act-claude act doctor".to_owned()
            }
            None if known.is_empty() => "no alias is configured: act-claude act setup".to_owned(),
            None => format!("known: {}", known.join(", ")),
        }
    }
}
