//! Finds the target of an export. Account and alias are looked up by name when an export is delivered, and it is sent only to
//! the endpoint and user it was captured for (promise B16).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::claude::{own_pipeline, settings};
use crate::config::{self, Config, TokenSource};
use crate::delivery::target::Target;
use crate::state::outcome::Problem;
use crate::state::spool::{Header, Limits};
use crate::system::environment::Environment;

/// The configuration, as it is on disk now.
#[derive(Debug)]
pub struct Targets {
    environment: Environment,
    files: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
    /// The last configuration that could be read. Its broken entries are left out.
    config: Option<Config>,
    /// The target that the session was started with. It is used until the configuration has been read.
    start: Option<Target>,
    /// The destination of copies that these are the targets of; `None`: ACT.
    copies: Option<String>,
}

/// The metadata that changes with a file: device, inode, size, times; and owner and mode of its directory.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64, u64),
    written: (i64, i64),
    /// The time of the last change, which a new mode or owner also sets: a token file may be refused because of them.
    changed: (i64, i64),
    directory: Option<(u32, u32)>,
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    let directory = path.parent().and_then(|directory| fs::metadata(directory).ok());
    Some(Stamp {
        file: (metadata.dev(), metadata.ino(), metadata.size()),
        written: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        directory: directory.map(|directory| (directory.uid(), directory.mode())),
    })
}

impl Targets {
    /// Reads the configuration. The targets are those of ACT.
    pub fn new(environment: Environment, start: Option<Target>) -> Self {
        Self::read(environment, start, None)
    }

    /// Reads the configuration. The targets are those of one destination of copies.
    pub fn of_copies(environment: Environment, destination: &str, start: Option<Target>) -> Self {
        Self::read(environment, start, Some(destination.to_owned()))
    }

    fn read(environment: Environment, start: Option<Target>, copies: Option<String>) -> Self {
        let mut files = vec![PathBuf::from(config::SYSTEM_FILE)];
        files.extend(config::user_file(&environment));
        let mut targets = Self { environment, files, stamps: Vec::new(), config: None, start, copies };
        targets.refresh();
        targets
    }

    /// Reads the configuration again if it has changed. A file with a syntax fault, perhaps one that is half written, is ignored.
    /// True if something is different.
    pub fn refresh(&mut self) -> bool {
        let stamps = self.stamps();
        if stamps == self.stamps {
            return false;
        }
        let loaded = config::load(&self.environment);
        if loaded.general_fault().is_none() {
            self.config = Some(loaded.config);
        }
        self.stamps = self.stamps();
        true
    }

    /// The stamps of the configuration files and of the files of secrets that they name: a new token is a change, too.
    fn stamps(&self) -> Vec<Option<Stamp>> {
        let secrets = self.config.iter().flat_map(Config::secrets).filter_map(|source| match source {
            TokenSource::File(path) => Some(path),
            _ => None,
        });
        self.files.iter().chain(secrets).map(|path| stamp(path)).collect()
    }

    /// Whether a configuration could be read.
    pub fn is_known(&self) -> bool {
        self.config.is_some()
    }

    /// How much the spool may hold.
    pub fn limits(&self) -> Limits {
        self.config.as_ref().map(Config::spool_limits).unwrap_or_default()
    }

    /// The current target of an alias.
    pub fn target(&self, account: &str, alias: &str) -> Result<Target, Problem> {
        let Some(config) = &self.config else {
            let start = self.start.clone().filter(|start| start.alias == alias && start.account == account);
            return start.ok_or_else(|| no_target("the configuration can't be read", alias));
        };
        match self.copies.as_deref() {
            None => {}
            Some(own_pipeline::NAME) => return self.own(config, account, alias),
            Some(_) => return destination(config, account, alias),
        }
        let broken = config.broken.aliases.get(alias).or_else(|| config.broken.accounts.get(account));
        if let Some(fault) = broken {
            return Err(super::cause::configuration(&fault.to_string()));
        }
        let Some(found) = config.aliases.get(alias) else {
            // Of the same account, or any one: the user has to decide.
            let other =
                config.aliases.iter().find(|(_, other)| other.account == account).or(config.aliases.first_key_value());
            let other = other.map_or("NAME", |(name, _)| name.as_str());
            return Err(no_target(&format!("alias {alias} is no longer configured"), other));
        };
        let Some(owner) = config.accounts.get(account) else {
            return Err(no_target(&format!("account {account} is no longer configured"), alias));
        };
        if found.account != account {
            let what = format!("alias {alias} now belongs to account {}, not to {account}", found.account);
            return Err(no_target(&what, alias));
        }
        Ok(Target::act(alias, found, owner))
    }

    /// The user's own pipeline: in a session the one that it began with, as claude itself keeps it.
    fn own(&self, config: &Config, name: &str, alias: &str) -> Result<Target, Problem> {
        if let Some(start) = self.start.as_ref().filter(|start| start.account == name) {
            return Ok(start.clone());
        }
        let layers = settings::read(Path::new("/"), &[], &self.environment);
        match own_pipeline::find(&self.environment, &layers, &config.endpoints()) {
            Some(Ok(own)) => Ok(Target::own(alias, &own)),
            _ => Err(not_there("is not set up here", name)),
        }
    }

    /// The target of this export. An error: account or alias have changed since it was captured, and the user has to decide.
    pub fn of(&self, header: &Header) -> Result<Target, Problem> {
        let target = self.target(&header.account, &header.alias)?;
        if self.copies.is_some() {
            let same = target.endpoint == header.endpoint;
            return if same { Ok(target) } else { Err(moved(&header.account)) };
        }
        if target.endpoint != header.endpoint {
            return Err(no_target(&format!("account {} has another endpoint now", header.account), &header.alias));
        }
        if target.user() != header.user {
            return Err(no_target(&format!("account {} has another user now", header.account), &header.alias));
        }
        Ok(target)
    }
}

/// The target of a destination of copies.
fn destination(config: &Config, name: &str, alias: &str) -> Result<Target, Problem> {
    if let Some(fault) = config.broken.copies.get(name) {
        return Err(super::cause::configuration(&fault.to_string()));
    }
    match config.copies.get(name) {
        Some(found) => Ok(Target::copy(name, alias, found)),
        None => Err(not_there("is no longer configured", name)),
    }
}

/// There is no such destination: nothing can be sent.
fn not_there(what: &str, destination: &str) -> Problem {
    Problem {
        said: format!("copy {destination} {what}"),
        cause: "Nothing is sent until it is there again".to_owned(),
        fix: format!("to delete what waits: act-claude act flush --copy {destination} --discard"),
        code: 78,
    }
}

fn moved(destination: &str) -> Problem {
    Problem {
        said: format!("copy {destination} has another URL now"),
        cause: "An export is sent only to the URL it was captured for".to_owned(),
        fix: format!("act-claude act flush --copy {destination}"),
        code: 78,
    }
}

fn no_target(what: &str, alias: &str) -> Problem {
    Problem {
        said: what.to_owned(),
        cause: "An export is sent only to the endpoint and user it was captured for".to_owned(),
        fix: format!("act-claude act flush --to {alias}"),
        code: 78,
    }
}
