//! The entries to write into the configuration (pure).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::from_settings::origin;
use super::keychain::forget;
use crate::config::edit::{self, Change};
use crate::config::{Api, Config, Pipeline, TokenSource};
use crate::system::environment::Environment;
use crate::text::shell::shell_word;

/// New or changed entries.
#[derive(Debug, Default)]
pub struct Entries {
    /// Accounts.
    pub accounts: Vec<AccountEntry>,
    /// Aliases.
    pub aliases: Vec<AliasEntry>,
    /// Directories (as configuration keys) and their aliases. `None`: no telemetry there.
    pub directories: Vec<(String, Option<String>)>,
    /// Repositories and their alias, for all clones.
    pub repositories: Vec<(String, String)>,
    /// The alias of all other directories.
    pub default: Option<String>,
    /// The path of claude.
    pub claude: Option<String>,
    /// What happens with the user's own metrics pipeline.
    pub own_pipeline: Option<Pipeline>,
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

impl AccountEntry {
    /// The "api" that the account had and does not keep: it was named for another server than the one that the endpoint names now.
    pub fn lost_api<'a>(&self, config: &'a Config) -> Option<&'a str> {
        let earlier = config.accounts.get(&self.name)?;
        match &earlier.api {
            Api::At(url) if origin(&earlier.endpoint) != origin(&self.endpoint) => Some(url),
            _ => None,
        }
    }

    /// The command that removes the token that the account had, where set-up stored it and no account has it any more: in the keychain,
    /// or in act-claude's own `directory`.
    pub fn earlier_token(&self, config: &Config, directory: Option<&Path>) -> Option<String> {
        let earlier = &config.accounts.get(&self.name)?.token;
        let others = config.accounts.iter().filter(|(name, _)| **name != self.name);
        if *earlier == self.token || others.into_iter().any(|(_, other)| other.token == *earlier) {
            return None;
        }
        match earlier {
            TokenSource::File(path) if path.parent() == directory && path.exists() => {
                Some(format!("rm {}", shell_word(path)))
            }
            TokenSource::Command(argv) => forget(argv),
            _ => None,
        }
    }
}

impl Entries {
    /// The changes that write the entries. Where an entry exists in the user's file, its other fields stay.
    pub fn changes(&self, config: &Config, user_file: &Path, environment: &Environment) -> Vec<Change> {
        let (mut changes, mut removed) = (Vec::new(), Vec::new());
        let mut write = |map: &str, name: &str, is_own: bool, fields: Vec<(&str, Value)>| match is_own {
            true => changes.extend(fields.into_iter().map(|(field, value)| Change::set([map, name, field], value))),
            false => changes.push(Change::set([map, name], edit::object(fields))),
        };
        for account in &self.accounts {
            let is_own = config.accounts.get(&account.name).is_some_and(|own| own.origin.path() == user_file);
            let mut fields = vec![
                ("endpoint", json!(account.endpoint)),
                ("user", json!(account.user)),
                ("token", token(&account.token, environment)),
            ];
            // The user's entry replaces the system's as a whole: what that says about the API has to go with it.
            match config.accounts.get(&account.name).filter(|_| !is_own).map(|system| &system.api) {
                Some(Api::Off) => fields.push(("api", Value::Null)),
                Some(Api::At(url)) if account.lost_api(config).is_none() => fields.push(("api", json!(url))),
                Some(Api::At(_) | Api::Documented) | None => {}
            }
            write("accounts", &account.name, is_own, fields);
            if is_own && account.lost_api(config).is_some() {
                removed.push(Change::remove(["accounts", &account.name, "api"]));
            }
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
        for (repository, alias) in &self.repositories {
            changes.push(Change::set(["repositories", repository], alias.as_str()));
        }
        changes.append(&mut removed);
        changes.extend(self.default.as_deref().map(|name| Change::set(["default"], name)));
        changes.extend(self.claude.as_deref().map(|path| Change::set(["claude"], path)));
        if let Some(own) = self.own_pipeline {
            // A file says it in one of two forms.
            let earlier = config.replace_endpoint.as_ref().filter(|earlier| earlier.origin.path() == user_file);
            changes.extend(earlier.map(|_| Change::remove(["replace_endpoint"])));
            changes.push(Change::set(["own_pipeline"], own.name()));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the user's file after account `a` got `endpoint`; `origin` is the file that `text` is read from.
    fn after(origin: &str, text: &str, endpoint: &str) -> String {
        let (config, faults) = crate::config::read(Path::new(origin), text.as_bytes().to_vec(), None);
        assert_eq!(faults, []);
        let token = TokenSource::Env("MINE".to_owned());
        let (name, endpoint, user) = ("a".to_owned(), endpoint.to_owned(), "me".to_owned());
        let accounts = vec![AccountEntry { name, endpoint, user, token }];
        let entries = Entries { accounts, ..Entries::default() };
        let changes = entries.changes(&config, Path::new("/home/u/c.json"), &Environment::default());
        let before = if origin == "/home/u/c.json" { text } else { "" };
        edit::text::apply(Path::new("c.json"), before, &changes).unwrap()
    }

    fn account(api: &str) -> String {
        format!(
            r#"{{"accounts": {{"a": {{"endpoint": "https://x.test/m", "user": "u", "token": {{"env": "T"}}, "api": {api}}}}}}}"#
        )
    }

    #[test]
    fn what_the_system_says_about_the_api_stays() {
        for api in ["null", "\"https://api.platform.gb.boomi.com\""] {
            let after = after("/etc/c.json", &account(api), "https://x.test/m");
            assert!(after.contains(&format!("\"api\": {api}")) && after.contains("MINE"), "{after}");
        }
    }

    #[test]
    fn the_api_of_another_server_goes() {
        for origin in ["/etc/c.json", "/home/u/c.json"] {
            for (endpoint, stays) in [
                ("https://x.test/m", true),
                ("https://X.test:443/other", true),
                ("https://y.test/m", false),
                ("https://x.test:8443/m", false),
            ] {
                let named = after(origin, &account("\"https://api.x.test\""), endpoint);
                assert_eq!(named.contains("api.x.test"), stays, "{origin} {endpoint}: {named}");
                assert!(named.contains("MINE"), "{named}");
                // Nothing is asked: that can stay.
                let off = after(origin, &account("null"), endpoint);
                assert!(off.contains("\"api\": null"), "{origin} {endpoint}: {off}");
            }
        }
    }
}
