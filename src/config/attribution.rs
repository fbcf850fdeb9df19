//! What an export says about the work it was sent from, beside the alias: off unless an alias asks for it (pure).

use std::collections::BTreeMap;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{Alias, Config};
use crate::system::environment::Environment;

/// One thing to say. The names of attributes are OpenTelemetry's, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attribution {
    /// `vcs.repository.name`, `vcs.repository.url.full`, `vcs.owner.name`, `vcs.provider.name`
    Repository,
    /// `vcs.ref.head.name`, `vcs.ref.head.revision`
    Branch,
    /// `ticket.id`: the part of the branch that matches a pattern
    Ticket,
    /// `user.name`: the user of the operating system
    User,
    /// `enduser.id`: the person, as the company knows them
    Person,
    /// `host.name`
    Host,
    /// `act_claude.version`, `act_claude.configuration`
    Client,
}

impl Attribution {
    /// All, in the order in which they are documented.
    pub const ALL: [Self; 7] =
        [Self::Repository, Self::Branch, Self::Ticket, Self::User, Self::Person, Self::Host, Self::Client];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Branch => "branch",
            Self::Ticket => "ticket",
            Self::User => "user",
            Self::Person => "person",
            Self::Host => "host",
            Self::Client => "client",
        }
    }

    /// The keys of its resource attributes.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Repository => {
                &["vcs.repository.name", "vcs.repository.url.full", "vcs.owner.name", "vcs.provider.name"]
            }
            Self::Branch => &["vcs.ref.head.name", "vcs.ref.head.revision"],
            Self::Ticket => &["ticket.id"],
            Self::User => &["user.name"],
            Self::Person => &["enduser.id"],
            Self::Host => &["host.name"],
            Self::Client => &["act_claude.version", "act_claude.configuration"],
        }
    }
}

/// Where the person's id comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// It is this text.
    Text(String),
    /// It is in this environment variable.
    Env(String),
}

/// The pattern of a ticket where the configuration has none: `BILL-123`.
pub const TICKET: &str = "[A-Z][A-Z0-9]+-[0-9]+";

/// The regular expression for tickets. It is about ASCII: tables of Unicode are not in the program.
///
/// # Errors
///
/// It is no regular expression, or a very large one.
pub fn ticket(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).size_limit(1 << 18).build()
}

/// What is said of a session's exports, at the time when each one arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// What to say.
    pub attributes: Vec<Attribution>,
    /// A regular expression for the ticket in the branch's name.
    pub ticket: String,
    /// The person's id.
    pub person: Option<String>,
    /// Names of hosts by the names that `ssh` has for them.
    pub hosts: BTreeMap<String, String>,
}

impl Config {
    /// What is said of the exports of `alias`; `None`: nothing.
    pub fn stamp(&self, alias: &Alias, environment: &Environment) -> Option<Stamp> {
        let is_on = self.accounts.get(&alias.account).is_some_and(|account| account.attribution);
        if !is_on || alias.attribute.is_empty() {
            return None;
        }
        let person = self.person.as_ref().and_then(|person| match &person.value {
            Person::Text(text) => Some(text.as_str()),
            Person::Env(name) => environment.text(name),
        });
        Some(Stamp {
            attributes: alias.attribute.clone(),
            ticket: self.ticket.as_ref().map_or(TICKET, |ticket| &ticket.value).to_owned(),
            person: person.map(str::to_owned),
            hosts: self.hosts.iter().map(|(name, host)| (name.clone(), host.value.clone())).collect(),
        })
    }
}
