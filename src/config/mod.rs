//! The configuration: the user's and the system's file, merged; every value knows its place.
//!
//! Reading continues after a fault, so that a broken entry is reported and `required` still applies. A broken alias, account or
//! rule affects only what it applies to ([`broken`]). With any other fault, nothing else of the configuration is used.

pub mod attribution;
pub mod broken;
pub mod copies;
pub mod edit;
mod layer;
mod names;
pub mod repositories;
pub mod resolve;
pub mod token;
pub mod typed;
mod values;
pub mod when;

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::state::spool::Limits;
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::{file, owner};
use crate::text::json::{Fault, Origin};
use crate::text::nearest::nearest;

use attribution::Person;
use broken::Broken;
use copies::Destination;
pub use layer::{attributes, read};
use repositories::{RepositoryRule, RepositoryRules};
use typed::secret::quoted;
pub use values::{
    Account, Alias, Api, Delivery, Pipeline, RESERVED_ATTRIBUTES, Rule, TokenSource, USER_PREFIX, is_loopback,
};
pub use values::{check_endpoint, check_text, check_word};

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub origin: Origin,
}

impl<T> Deref for Located<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One configuration file's content, or the merge of several.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Accounts by name.
    pub accounts: BTreeMap<String, Located<Account>>,
    /// Aliases by name.
    pub aliases: BTreeMap<String, Located<Alias>>,
    /// Further receivers of the exports, by name.
    pub copies: BTreeMap<String, Located<Destination>>,
    /// What else is written about them.
    pub copies_written: copies::Written,
    /// Directory rules, the user's before the system's, each in file order.
    pub directories: Vec<Located<Rule>>,
    /// Rules by repository, the user's before the system's, each in file order.
    pub repositories: RepositoryRules,
    /// Names of hosts by the names that `ssh` has for them, in lower case.
    pub hosts: BTreeMap<String, Located<String>>,
    /// The alias where no rule matches; `None` inside is an explicit `null`.
    pub default: Option<Located<Option<String>>>,
    /// The `claude` executable.
    pub claude: Option<Located<PathBuf>>,
    /// The way of delivery.
    pub delivery: Option<Located<Delivery>>,
    /// Whether claude may run only with telemetry.
    pub required: Option<Located<bool>>,
    /// Whether the user's own metrics pipeline may be replaced: an earlier form of [`own_pipeline`](Self::own_pipeline).
    pub replace_endpoint: Option<Located<bool>>,
    /// What happens with the user's own metrics pipeline.
    pub own_pipeline: Option<Located<Pipeline>>,
    /// Milliseconds between claude's exports.
    pub export_interval_ms: Option<Located<u64>>,
    /// Milliseconds to wait, once claude has ended, for exports that are still being delivered.
    pub exit_wait_ms: Option<Located<u64>>,
    /// A regular expression for the ticket in a branch's name.
    pub ticket: Option<Located<String>>,
    /// The person who uses this machine, as the company knows them.
    pub person: Option<Located<Person>>,
    /// When to report.
    pub report: Option<Located<crate::config::when::When>>,
    /// Keys of the attributes that are never sent.
    pub redact: Option<Located<Vec<String>>>,
    /// How many exports the spool may hold.
    pub spool_files: Option<Located<u64>>,
    /// How large they may be together.
    pub spool_mib: Option<Located<u64>>,
    /// Entries that can't be used.
    pub broken: Broken,
}

/// The configuration as read, with all its faults.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The merged configuration, without the faulty entries.
    pub config: Config,
    /// All faults, in the order of the files.
    pub faults: Vec<Fault>,
    /// The files that exist, the user's first.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    /// A fault because of which nothing in the configuration is reliable.
    pub fn general_fault(&self) -> Option<&Fault> {
        self.config.broken.general.as_ref()
    }

    /// Whether there is a fault that may decide about an alias. That of a copy decides about none.
    pub fn has_faults_of_aliases(&self) -> bool {
        self.faults.iter().any(|fault| !self.config.broken.is_of_copy(fault))
    }
}

/// Default of `export_interval_ms`, as in the documented recipe.
pub const EXPORT_INTERVAL_MS: u64 = 5_000;

impl Config {
    /// Whether claude may run only with telemetry, and which file says so.
    pub fn required_by(&self) -> Option<&Origin> {
        self.required.as_ref().filter(|required| required.value).map(|required| &required.origin)
    }

    /// What happens with the user's own metrics pipeline.
    pub fn own_pipeline(&self) -> Pipeline {
        let replaces = self.replace_endpoint.as_ref().is_some_and(|replace| replace.value);
        let earlier = if replaces { Pipeline::Replace } else { Pipeline::Leave };
        self.own_pipeline.as_ref().map_or(earlier, |own| own.value)
    }

    /// The way of delivery.
    pub fn delivery(&self) -> Delivery {
        self.delivery.as_ref().map_or(Delivery::Relay, |delivery| delivery.value)
    }

    /// Milliseconds between claude's exports.
    pub fn export_interval_ms(&self) -> u64 {
        self.export_interval_ms.as_ref().map_or(EXPORT_INTERVAL_MS, |interval| interval.value)
    }

    /// Keys of the attributes that are never sent.
    pub fn redact(&self) -> Vec<String> {
        self.redact.as_ref().map(|keys| keys.value.clone()).unwrap_or_default()
    }

    /// The metrics URLs of all accounts.
    pub fn endpoints(&self) -> Vec<&str> {
        self.accounts.values().map(|account| account.endpoint.as_str()).collect()
    }

    /// Where secrets come from: the tokens of all accounts, and the headers of all copies.
    pub fn secrets(&self) -> impl Iterator<Item = &TokenSource> {
        let headers = self.copies.values().flat_map(|copy| copy.headers.iter().map(|(_, source)| source));
        self.accounts.values().map(|account| &account.token).chain(headers)
    }

    /// The environment variables that hold secrets.
    pub fn token_variables(&self) -> Vec<&str> {
        let variables = self.secrets().filter_map(|source| match source {
            TokenSource::Env(name) => Some(name.as_str()),
            TokenSource::File(_) | TokenSource::Command(_) => None,
        });
        variables.collect()
    }

    /// The limits of the spool.
    pub fn spool_limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            files: self.spool_files.as_ref().map_or(default.files, |files| files.value),
            bytes: self.spool_mib.as_ref().map_or(default.bytes, |mib| mib.value << 20),
            ..default
        }
    }

    /// Merges `self` (the user's) over `below` (the system's): maps entry by entry. The user can't switch off the system's
    /// `required`.
    fn over(mut self, below: Config) -> Config {
        if below.required_by().is_some() {
            self.required = below.required.clone();
        }
        let broken = self.broken.clone();
        self.add_copies(below.copies, below.copies_written, &below.broken.copies);
        self.broken.over(
            below.broken,
            |account| self.accounts.contains_key(account),
            |alias| self.aliases.contains_key(alias),
        );
        for (name, account) in below.accounts.into_iter().filter(|(name, _)| !broken.accounts.contains_key(name)) {
            self.accounts.entry(name).or_insert(account);
        }
        for (name, alias) in below.aliases.into_iter().filter(|(name, _)| !broken.aliases.contains_key(name)) {
            self.aliases.entry(name).or_insert(alias);
        }
        if !below.directories.is_empty() {
            let own: HashSet<PathBuf> = self.directories.iter().map(|rule| rule.path.clone()).collect();
            self.directories.extend(below.directories.into_iter().filter(|rule| !own.contains(&rule.path)));
        }
        self.repositories.extend(below.repositories);
        for (name, host) in below.hosts {
            self.hosts.entry(name).or_insert(host);
        }
        Config {
            default: self.default.or(below.default),
            claude: self.claude.or(below.claude),
            delivery: self.delivery.or(below.delivery),
            required: self.required.or(below.required),
            // A file says it in one of two forms.
            own_pipeline: self.own_pipeline.or(below.own_pipeline.filter(|_| self.replace_endpoint.is_none())),
            replace_endpoint: self.replace_endpoint.or(below.replace_endpoint),
            export_interval_ms: self.export_interval_ms.or(below.export_interval_ms),
            exit_wait_ms: self.exit_wait_ms.or(below.exit_wait_ms),
            ticket: self.ticket.or(below.ticket),
            person: self.person.or(below.person),
            report: self.report.or(below.report),
            redact: self.redact.or(below.redact),
            spool_files: self.spool_files.or(below.spool_files),
            spool_mib: self.spool_mib.or(below.spool_mib),
            ..self
        }
    }

    /// Finds names that don't exist, and rules that can't mean what is written. The entries that hold them become broken.
    fn settle(&mut self, is_there: impl Fn(&Path) -> bool) -> Vec<Fault> {
        let mut faults = self.aliases_without_account();
        faults.extend(broken::misspelt(&mut self.directories, is_there));
        faults.extend(self.renamed_hosts());
        let of_repositories: Vec<_> = self.repositories.unknown(|name| self.aliases.contains_key(name)).collect();
        let repositories = of_repositories.iter().map(|(alias, origin)| (Some(alias.as_str()), origin));
        let rules = self.directories.iter().map(|rule| (rule.alias.as_deref(), &rule.alias_origin)).chain(repositories);
        let default = self.default.iter().map(|default| (default.value.as_deref(), &default.origin));
        let unknown = rules.chain(default).filter_map(|(alias, origin)| {
            let is_named = alias.is_some_and(|alias| self.broken.aliases.contains_key(alias));
            self.fault_of(alias?, origin).filter(|_| !is_named)
        });
        let unknown: Vec<Fault> = unknown.collect();
        faults.extend(unknown);
        faults.iter().for_each(|fault| self.broken.note(fault));
        faults.extend(self.settle_copies());
        faults
    }

    /// The rules about a host that has another name in `hosts`: no remote has the first name any more.
    fn renamed_hosts(&self) -> Vec<Fault> {
        if self.hosts.is_empty() {
            return Vec::new();
        }
        let fault = |rule: Located<RepositoryRule>| {
            let host = rule.pattern.host().and_then(|host| self.hosts.get(host))?;
            let path = rule.pattern.text().split_once('/').map_or("", |(_, path)| path);
            let what = format!("\"{}\" matches nothing: \"hosts\" gives this host another name", rule.written);
            Some(Fault::new(rule.origin.clone(), what).fix(format!("write {}/{path}", host.value)))
        };
        self.repositories.iter().filter_map(fault).collect()
    }

    /// Breaks the aliases whose account does not exist, or is broken itself.
    fn aliases_without_account(&mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let without_account = self.aliases.iter().filter(|(_, alias)| !self.accounts.contains_key(&alias.account));
        let without_account: Vec<_> = without_account
            .map(|(name, alias)| (name.clone(), alias.account.clone(), alias.account_origin.clone()))
            .collect();
        for (alias, account, origin) in without_account {
            self.aliases.remove(&alias);
            let fault = self.broken.accounts.get(&account).cloned().unwrap_or_else(|| {
                let fault = Fault::new(origin, format!("there is no account {}", quoted(&account)));
                let fault = match nearest(&account, self.accounts.keys().map(String::as_str)) {
                    Some(near) => fault.fix(format!("did you mean \"{near}\"?")),
                    None if self.accounts.is_empty() => {
                        fault.fix("add it to \"accounts\", or remove what names it, then: act-claude act setup")
                    }
                    None => {
                        let known: Vec<&str> = self.accounts.keys().map(String::as_str).collect();
                        fault.fix(format!("name one of your accounts: {}", known.join(", ")))
                    }
                };
                faults.push(fault.clone());
                fault
            });
            self.broken.alias(&alias, &fault);
        }
        faults
    }
}

/// The user's configuration file: `ACT_CLAUDE_CONFIG`, else in the XDG configuration directory.
pub fn user_file(environment: &Environment) -> Option<PathBuf> {
    match environment.path("ACT_CLAUDE_CONFIG") {
        Some(path) => Some(path.to_path_buf()),
        None => Some(user_directory(environment)?.join("config.json")),
    }
}

/// The directory for act-claude's own files in the user's configuration. `ACT_CLAUDE_CONFIG` may name a file elsewhere.
pub fn user_directory(environment: &Environment) -> Option<PathBuf> {
    Some(environment.xdg("XDG_CONFIG_HOME", ".config")?.join("act-claude"))
}

/// The system's configuration file.
pub const SYSTEM_FILE: &str = if cfg!(target_os = "macos") {
    "/Library/Application Support/act-claude/config.json"
} else {
    "/etc/act-claude/config.json"
};

/// The content of a configuration file. A pipe or a device may never end, and claude would wait for it: it is an error.
pub fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    file::read_regular(path, 16 << 20)
}

/// Reads both files.
pub fn load(environment: &Environment) -> Loaded {
    let home = environment.home();
    let explicit = environment.path("ACT_CLAUDE_CONFIG").is_some();
    let mut loaded = Loaded::default();
    let mut read = |path: &Path, must_exist: bool| -> Config {
        match content(path) {
            Ok(bytes) => {
                loaded.files.push(path.to_path_buf());
                let (config, faults) = layer::read(path, bytes, home.as_deref());
                loaded.faults.extend(faults);
                config
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => Config::default(),
            // A component of the path is a file, so this file does not exist either.
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory && !must_exist => Config::default(),
            Err(error) => {
                let fault = Fault::new(Origin::file(path), format!("cannot be read ({})", plain(&error)));
                loaded.faults.push(match error.kind() {
                    std::io::ErrorKind::NotFound => fault.fix("correct or unset ACT_CLAUDE_CONFIG"),
                    std::io::ErrorKind::PermissionDenied => {
                        fault.fix(owner::access_fix(path, "u+r", crate::text::shell::shell_word))
                    }
                    std::io::ErrorKind::InvalidInput if !explicit && path != Path::new(SYSTEM_FILE) => {
                        fault.fix(format!("rm {} && act-claude act setup", crate::text::shell::shell_word(path)))
                    }
                    _ => fault,
                });
                Config::default()
            }
        }
    };
    let user = user_file(environment).map(|path| read(&path, explicit)).unwrap_or_default();
    let system = read(Path::new(SYSTEM_FILE), false);
    loaded.config = user.over(system);
    let general = loaded.faults.iter().find(|fault| !loaded.config.broken.holds(fault)).cloned();
    let faults = loaded.config.settle(is_directory);
    // Where a part of the configuration is missing, names seem not to exist. One fault is enough.
    if general.is_none() {
        loaded.faults.extend(faults);
    }
    loaded.config.broken.general = general;
    loaded
}

/// The faults that the user's file `path` would have with this `text`, over the system's.
pub fn faults_of(environment: &Environment, path: &Path, text: &str) -> Vec<Fault> {
    let home = environment.home();
    let (user, faults) = layer::read(path, text.as_bytes().to_vec(), home.as_deref());
    if !faults.is_empty() {
        return faults;
    }
    let system =
        content(Path::new(SYSTEM_FILE)).map(|bytes| layer::read(Path::new(SYSTEM_FILE), bytes, home.as_deref()));
    user.over(system.map(|(system, _)| system).unwrap_or_default()).settle(is_directory)
}

fn is_directory(path: &Path) -> bool {
    path.is_dir()
}

#[cfg(test)]
mod tests;
