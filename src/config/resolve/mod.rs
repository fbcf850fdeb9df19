//! Finds the alias of a directory, with the reason (pure).
//!
//! `--alias`, then `ACT_CLAUDE_ALIAS`, then the closest rule: walking up from the directory, the first level with an entry of
//! `directories` or a usable `.act-claude.json`; then the same for `$PWD` (entries of `directories` only); then, in a linked git
//! worktree, the same walk from its main checkout; then `default`.
//!
//! A rule of `repositories` stands at the top of the working tree, below what the directory itself has there (`remote`).
//!
//! A repository's file may choose among the aliases of the account that the user's own rules give the directory (with a single
//! account: all), and never overrides a `null`. Where it asks for more, it is ignored with a message.

mod directory;
mod reason;
mod remote;
mod repository;
mod working_tree;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use crate::config::typed::secret::quoted;
use crate::config::{Config, Located, Rule};
use crate::system::environment::Environment;
use crate::text::json::Origin;

pub use directory::{Directory, Identity, LARGEST_FILE, Level, Worktree};
pub use reason::{Reason, Via};
use repository::Request;
pub use repository::{Content, NAME as FILE, RepositoryFile};
pub use working_tree::{WorkingTree, address};

/// The answer for one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The alias's name; `None`: no telemetry here.
    pub alias: Option<String>,
    /// Attributes that a repository's file adds to the alias's.
    pub attributes: BTreeMap<String, String>,
    /// The reason.
    pub reason: Reason,
    /// What was ignored, and why; a line each.
    pub passed_over: Vec<String>,
    /// Possible mistakes in the configuration; a line each.
    pub hints: Vec<String>,
    /// Details for a user who asks about the directory; a line each.
    pub notes: Vec<String>,
}

impl Resolution {
    /// A resolution without messages.
    fn plain(alias: Option<String>, reason: Reason) -> Self {
        Self {
            alias,
            attributes: BTreeMap::new(),
            reason,
            passed_over: Vec::new(),
            hints: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// An explicit choice of an alias that does not exist; exit status 64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAlias {
    /// The message.
    pub message: String,
}

/// An explicitly chosen alias.
#[derive(Debug, Clone, Copy, Default)]
pub struct Explicit<'a> {
    /// `--alias NAME`
    pub flag: Option<&'a str>,
    /// `ACT_CLAUDE_ALIAS`
    pub variable: Option<&'a str>,
    /// `ACT_CLAUDE_ALIAS` inside a claude, where a repository's settings may have set it. It may choose only what the repository's
    /// own file may choose.
    pub request: Option<&'a str>,
}

impl<'a> Explicit<'a> {
    /// The choice by flag and environment.
    pub fn of(flag: Option<&'a str>, environment: &'a Environment) -> Self {
        let named = environment.text("ACT_CLAUDE_ALIAS");
        let (request, variable) = if environment.doubt().alias { (named, None) } else { (None, named) };
        Self { flag, variable, request }
    }
}

/// Resolves the alias of `place`.
pub fn resolve(explicit: Explicit<'_>, config: &Config, place: &Directory) -> Result<Resolution, UnknownAlias> {
    if let Some(fault) = &config.broken.general {
        return Ok(Resolution::plain(None, Reason::Broken { fault: fault.clone().into() }));
    }
    let chosen = match explicit {
        Explicit { flag: Some(name), .. } => Some((name, Reason::Flag, "--alias")),
        Explicit { variable: Some(name), .. } => Some((name, Reason::Variable, "ACT_CLAUDE_ALIAS")),
        _ => None,
    };
    if let Some((name, reason, how)) = chosen {
        if let Some(fault) = config.broken.aliases.get(name) {
            return Ok(Resolution::plain(None, Reason::Broken { fault: fault.clone().into() }));
        }
        if !config.aliases.contains_key(name) {
            return Err(UnknownAlias { message: format!("{how}: {}", config.no_alias(name)) });
        }
        return Ok(Resolution::plain(Some(name.to_owned()), reason));
    }
    if let Some(fault) = &config.broken.rule {
        return Ok(Resolution::plain(None, Reason::Broken { fault: fault.clone().into() }));
    }
    let said = Resolution::plain(None, Reason::NoRule);
    let mut walk = Walk { config, place, attributes: None, said };
    if let Some(name) = explicit.request {
        match walk.may_choose(name) {
            Ok(()) => return Ok(Resolution::plain(Some(name.to_owned()), Reason::Variable)),
            Err(why) => walk.said.passed_over.push(format!("ACT_CLAUDE_ALIAS inside of claude: ignored: {why}")),
        }
    }
    Ok(walk.run())
}

struct Walk<'a> {
    config: &'a Config,
    place: &'a Directory,
    /// The attributes of the closest usable repository file.
    attributes: Option<BTreeMap<String, String>>,
    /// The messages so far; the answer itself is set last.
    said: Resolution,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Resolution {
        let place = self.place;
        let found = self
            .climb(&place.levels, |_| Via::Directory)
            .or_else(|| self.logical_rule().map(|(rule, via)| self.rule_answer(rule, via)))
            .or_else(|| {
                let worktree = place.worktree.as_ref()?;
                self.climb(&worktree.levels, |_| Via::Worktree(worktree.main.clone()))
            });
        if found.is_none() {
            self.said.hints.extend(place.lost_worktree.as_deref().map(lost_worktree));
        }
        let (alias, reason) = found.or_else(|| self.default_answer()).unwrap_or_else(|| match self.config {
            config if config.aliases.is_empty() && config.broken.is_empty() => (None, Reason::NothingConfigured),
            _ => (None, Reason::NoRule),
        });
        let attributes = self.attributes.filter(|_| alias.is_some()).unwrap_or_default();
        Resolution { alias, reason, attributes, ..self.said }
    }

    /// The answer of `default`.
    fn default_answer(&self) -> Option<(Option<String>, Reason)> {
        let default = self.config.default.as_ref()?;
        let reason = Reason::Default { origin: default.origin.clone(), null: default.value.is_none() };
        Some(self.usable(default.value.as_deref(), &default.origin, reason))
    }

    fn rule_answer(&self, rule: &Located<Rule>, via: Via) -> (Option<String>, Reason) {
        if let Some(fault) = &rule.fault {
            return (None, Reason::Broken { fault: fault.clone().into() });
        }
        self.usable(rule.alias.as_deref(), &rule.alias_origin, reason_of(rule, via))
    }

    /// An answer, or the fault of its alias.
    fn usable(&self, alias: Option<&str>, origin: &Origin, reason: Reason) -> (Option<String>, Reason) {
        match alias.and_then(|alias| self.config.fault_of(alias, origin)) {
            Some(fault) => (None, Reason::Broken { fault: fault.into() }),
            None => (alias.map(str::to_owned), reason),
        }
    }

    /// One walk from the directory up to the root.
    fn climb(&mut self, levels: &'a [Level], via: impl Fn(&Level) -> Via) -> Option<(Option<String>, Reason)> {
        for (index, level) in levels.iter().enumerate() {
            if let Some(rule) = self.rule_at(level.identity) {
                let via = via(level);
                let others = self.spellings(level.identity);
                self.said.hints.extend(others.filter_map(|other| contradiction(rule, other)));
                let passed = level.file.as_ref().map(|file| (file.path.display(), reason_of(rule, via.clone())));
                self.said
                    .notes
                    .extend(passed.map(|(file, rule)| format!("{file} is ignored: {rule} takes precedence")));
                return Some(self.rule_answer(rule, via));
            }
            match level.file.as_ref().map(RepositoryFile::request) {
                Some(Ok(request)) => {
                    if let Some(answer) = self.grant(request, levels, index) {
                        return Some(answer);
                    }
                }
                Some(Err(word)) => self.said.passed_over.push(word),
                None => {}
            }
            let remote = self.at_top(levels, index);
            self.said.passed_over.extend(remote.passed_over);
            self.said.notes.extend(remote.notes);
            if remote.answer.is_some() {
                return remote.answer;
            }
        }
        None
    }

    /// Grants the part of the request that it may have, of the repository file at `index`.
    fn grant(&mut self, request: Request, levels: &'a [Level], index: usize) -> Option<(Option<String>, Reason)> {
        let own = self.at_top(levels, index).answer.or_else(|| self.own_answer(&levels[index + 1..]));
        // The account of a broken alias is not known, so nothing may replace the alias.
        let broken = request.alias.as_ref().and_then(|name| self.config.broken.aliases.get(&name.value));
        if let (Some(fault), None | Some((Some(_), _))) = (broken, &own) {
            return Some((None, Reason::Broken { fault: fault.clone().into() }));
        }
        let granted = match &request.alias {
            None => Ok(None),
            Some(name) => self.check(name, &own).map(|()| Some(name.value.clone())),
        };
        match granted {
            Ok(alias) => {
                self.attributes.get_or_insert(request.attributes);
                alias.map(|alias| {
                    let origin = request.alias.expect("granted").origin;
                    (Some(alias), Reason::Repository { origin, account_from: own.map(|(_, reason)| Box::new(reason)) })
                })
            }
            Err(why) => {
                let place = request.alias.map(|name| name.origin.to_string()).unwrap_or_default();
                self.said.passed_over.push(format!("{place}: ignored: {why}"));
                None
            }
        }
    }

    /// Whether the repository's own file could choose the alias `name`. It comes from a variable that the repository may have
    /// set.
    fn may_choose(&self, name: &str) -> Result<(), String> {
        if let Some(fault) = self.config.broken.aliases.get(name) {
            return Err(fault.to_string());
        }
        let own = self.own_answer(&self.place.levels);
        match &own {
            Some((None, Reason::Broken { fault })) => Err(fault.to_string()),
            _ => self.check(name, &own),
        }
    }

    fn check(&self, name: &str, own: &Option<(Option<String>, Reason)>) -> Result<(), String> {
        if let Some((None, reason)) = own {
            return Err(format!("your own configuration says no telemetry here ({reason})"));
        }
        let Some(alias) = self.config.aliases.get(name) else {
            return Err(format!(
                "there is no alias {} on this machine; {}",
                quoted(name),
                self.config.suggest_alias(name)
            ));
        };
        let accounts = self.config.accounts.len() + self.config.broken.accounts.len();
        if accounts == 1 {
            return Ok(());
        }
        let own_alias = own.as_ref().and_then(|(alias, _)| self.config.aliases.get(alias.as_ref()?));
        match own_alias {
            Some(own) if own.account == alias.account => Ok(()),
            Some(own) => Err(format!(
                "alias \"{name}\" belongs to account \"{}\", but your rules give this directory account \"{}\"",
                alias.account, own.account
            )),
            None => Err(format!(
                "none of your rules gives this directory an account, and {accounts} accounts are configured"
            )),
        }
    }

    /// The answer of the user's own rules, from `above` upwards.
    fn own_answer(&self, above: &[Level]) -> Option<(Option<String>, Reason)> {
        self.own_rule(above).or_else(|| self.default_answer())
    }

    /// The answer of the user's own rules, without the default.
    fn own_rule(&self, above: &[Level]) -> Option<(Option<String>, Reason)> {
        let closest = |(index, level): (usize, &Level)| {
            let rule = self.rule_at(level.identity).map(|rule| self.rule_answer(rule, Via::Directory));
            rule.or_else(|| self.at_top(above, index).answer)
        };
        above
            .iter()
            .enumerate()
            .find_map(closest)
            .or_else(|| self.logical_rule().map(|(rule, via)| self.rule_answer(rule, via)))
            .or_else(|| {
                let worktree = self.place.worktree.as_ref()?;
                let rule = worktree.levels.iter().find_map(|level| self.rule_at(level.identity))?;
                Some(self.rule_answer(rule, Via::Worktree(worktree.main.clone())))
            })
    }

    /// The rules for one physical directory, in order.
    fn spellings(&self, identity: Identity) -> impl Iterator<Item = &'a Located<Rule>> + use<'a> {
        let rules = self.place.rules.iter().zip(&self.config.directories);
        rules.filter(move |(place, _)| **place == Some(identity)).map(|(_, rule)| rule)
    }

    /// The rule for one physical directory. The user's file takes precedence over the system's. Of several spellings within one
    /// file a broken one takes precedence, then `null`, then the first.
    fn rule_at(&self, identity: Identity) -> Option<&'a Located<Rule>> {
        let first = self.spellings(identity).next()?;
        self.spellings(identity)
            .filter(|rule| rule.origin.path() == first.origin.path())
            .min_by_key(|rule| precedence(rule))
    }

    /// The closest rule for the directory as `$PWD` spells it.
    fn logical_rule(&self) -> Option<(&'a Located<Rule>, Via)> {
        let logical = self.place.logical.as_deref()?;
        let rules = self.config.directories.iter().filter(|rule| logical.starts_with(&rule.path));
        // The first of the longest; `max_by_key` would take the last.
        let closest = rules.reduce(|best, rule| {
            let depth = |rule: &Located<Rule>| (rule.path.components().count(), Reverse(precedence(rule)));
            if depth(rule) > depth(best) { rule } else { best }
        })?;
        Some((closest, Via::Pwd(logical.to_path_buf())))
    }
}

/// Of several spellings of one directory, the one with the lowest number takes precedence: a broken one, then `null`.
fn precedence(rule: &Rule) -> u8 {
    match (&rule.fault, &rule.alias) {
        (Some(_), _) => 0,
        (None, None) => 1,
        (None, Some(_)) => 2,
    }
}

fn reason_of(rule: &Located<Rule>, via: Via) -> Reason {
    Reason::Rule { written: rule.written.clone(), origin: rule.origin.clone(), null: rule.alias.is_none(), via }
}

/// A message that `other` names the same directory as `rule`, which takes precedence, with another alias.
fn contradiction(rule: &Located<Rule>, other: &Located<Rule>) -> Option<String> {
    let differs = other.origin.path() == rule.origin.path() && other.origin != rule.origin && other.alias != rule.alias;
    let (rule, other) = (reason_of(rule, Via::Directory), reason_of(other, Via::Directory));
    differs
        .then(|| format!("{other} names the same directory as {rule}, with another alias: the latter takes precedence"))
}

/// All rules that name a directory for which another rule takes precedence, with another alias.
pub fn contradictions(config: &Config, place: &Directory) -> Vec<(Origin, String)> {
    let said = Resolution::plain(None, Reason::NoRule);
    let walk = Walk { config, place, attributes: None, said };
    let rules = place.rules.iter().zip(&config.directories);
    let found = rules.filter_map(|(identity, other)| {
        Some((other.origin.clone(), contradiction(walk.rule_at((*identity)?)?, other)?))
    });
    found.collect()
}

fn lost_worktree(git: &Path) -> String {
    format!(
        "{} says that this is a linked git worktree, but its main checkout does not list it (was one of them moved?): \
         git worktree repair",
        git.display()
    )
}

#[cfg(test)]
mod remote_tests;
#[cfg(test)]
mod tests;
