//! The entries to write into the configuration (pure).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::config::edit::{self, Change};
use crate::config::{Config, TokenSource};
use crate::system::environment::Environment;

/// New or changed entries.
#[derive(Debug, Default)]
pub struct Entries {
    /// Accounts.
    pub accounts: Vec<AccountEntry>,
    /// Aliases.
    pub aliases: Vec<AliasEntry>,
    /// Directories (as configuration keys) and their aliases. `None`: no telemetry there.
    pub directories: Vec<(String, Option<String>)>,
    /// The alias of all other directories.
    pub default: Option<String>,
    /// The path of claude.
    pub claude: Option<String>,
}

/// An account.
#[derive(Debug, Clone)]
pub struct AccountEntry {
    /// Its name.
    pub name: String,
    /// The metrics URL.
    pub endpoint: String,
    /// The user's e-mail.
    pub user: String,
    /// Where the token comes from.
    pub token: TokenSource,
}

/// An alias.
#[derive(Debug, Clone)]
pub struct AliasEntry {
    /// Its name.
    pub name: String,
    /// Its account's name.
    pub account: String,
    /// The alias id.
    pub id: String,
    /// The provider type.
    pub provider_type: String,
    /// Further attributes. Where this is empty, an existing alias keeps its attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Entries {
    /// The changes that write the entries. Where an entry exists in the user's file, its other fields stay.
    pub fn changes(&self, config: &Config, user_file: &Path, environment: &Environment) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut write = |map: &str, name: &str, is_own: bool, fields: Vec<(&str, Value)>| match is_own {
            true => changes.extend(fields.into_iter().map(|(field, value)| Change::set([map, name, field], value))),
            false => changes.push(Change::set([map, name], edit::object(fields))),
        };
        for account in &self.accounts {
            let is_own = config.accounts.get(&account.name).is_some_and(|own| own.origin.path() == user_file);
            let fields = vec![
                ("endpoint", json!(account.endpoint)),
                ("user", json!(account.user)),
                ("token", token(&account.token, environment)),
            ];
            write("accounts", &account.name, is_own, fields);
        }
        for alias in &self.aliases {
            let is_own = config.aliases.get(&alias.name).is_some_and(|own| own.origin.path() == user_file);
            let mut fields = vec![
                ("account", json!(alias.account)),
                ("id", json!(alias.id)),
                ("provider_type", json!(alias.provider_type)),
            ];
            if !alias.attributes.is_empty() {
                fields.push(("attributes", json!(alias.attributes)));
            }
            write("aliases", &alias.name, is_own, fields);
        }
        for (directory, alias) in &self.directories {
            changes.push(Change::set(["directories", directory], json!(alias)));
        }
        changes.extend(self.default.as_deref().map(|name| Change::set(["default"], name)));
        changes.extend(self.claude.as_deref().map(|path| Change::set(["claude"], path)));
        changes
    }
}

fn token(source: &TokenSource, environment: &Environment) -> Value {
    match source {
        TokenSource::Command(argv) => json!({ "command": argv }),
        TokenSource::File(path) => json!({ "file": edit::directory_key(path, environment) }),
        TokenSource::Env(name) => json!({ "env": name }),
    }
}
