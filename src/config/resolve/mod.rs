//! Directory → alias, with the reason (pure).
//!
//! `--alias`, then `ACT_CLAUDE_ALIAS`, then the closest rule: walking up from the directory, the first level
//! with an entry of `directories` or a usable `.act-claude.json`; then the same for `$PWD` (own entries only);
//! then, in a linked git worktree, the same walk from its main checkout; then `default`.
//!
//! A repository's file chooses among the aliases of the account that the user's own rules give the directory
//! (with a single account: all), and never undoes a `null`. What it may not do is passed over with a word.

mod place;
mod reason;
mod repository;

use std::collections::BTreeMap;

use crate::config::{Config, Located, Rule};

pub use place::{Identity, Level, Place, Worktree};
pub use reason::{Reason, Via};
use repository::Wish;
pub use repository::{Content, NAME as FILE, RepositoryFile};

/// The answer for one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The alias's name; `None`: no telemetry here.
    pub alias: Option<String>,
    /// Attributes a repository's file adds to the alias's.
    pub attributes: BTreeMap<String, String>,
    /// Why.
    pub reason: Reason,
    /// What was passed over, and why; a line each.
    pub passed_over: Vec<String>,
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
}

/// Resolves the alias of `place`.
pub fn resolve(explicit: Explicit<'_>, config: &Config, place: &Place) -> Result<Resolution, UnknownAlias> {
    let chosen = match explicit {
        Explicit { flag: Some(name), .. } => Some((name, Reason::Flag, "--alias")),
        Explicit { variable: Some(name), .. } => Some((name, Reason::Variable, "ACT_CLAUDE_ALIAS")),
        _ => None,
    };
    if let Some((name, reason, how)) = chosen {
        if !config.aliases.contains_key(name) {
            let message = format!("{how}: there is no alias \"{name}\"; {}", config.suggest_alias(name));
            return Err(UnknownAlias { message });
        }
        return Ok(Resolution {
            alias: Some(name.to_owned()),
            attributes: BTreeMap::new(),
            reason,
            passed_over: Vec::new(),
        });
    }
    Ok(Walk { config, place, attributes: None, passed_over: Vec::new() }.run())
}

struct Walk<'a> {
    config: &'a Config,
    place: &'a Place,
    /// Of the closest usable repository file.
    attributes: Option<BTreeMap<String, String>>,
    passed_over: Vec<String>,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Resolution {
        let place = self.place;
        let found = self
            .climb(&place.levels, |_| Via::Directory)
            .or_else(|| self.logical_rule().map(|(rule, via)| rule_answer(rule, via)))
            .or_else(|| {
                let worktree = place.worktree.as_ref()?;
                self.climb(&worktree.levels, |_| Via::Worktree(worktree.main.clone()))
            });
        let (alias, reason) = found.unwrap_or_else(|| match &self.config.default {
            Some(default) => (
                default.value.clone(),
                Reason::Default { origin: default.origin.clone(), null: default.value.is_none() },
            ),
            None if self.config.aliases.is_empty() => (None, Reason::NothingConfigured),
            None => (None, Reason::NoRule),
        });
        Resolution {
            attributes: self.attributes.filter(|_| alias.is_some()).unwrap_or_default(),
            alias,
            reason,
            passed_over: self.passed_over,
        }
    }

    /// One walk upwards.
    fn climb(&mut self, levels: &'a [Level], via: impl Fn(&Level) -> Via) -> Option<(Option<String>, Reason)> {
        for (index, level) in levels.iter().enumerate() {
            if let Some(rule) = self.rule_at(level.identity) {
                return Some(rule_answer(rule, via(level)));
            }
            let Some(file) = &level.file else { continue };
            match file.wish() {
                Ok(wish) => {
                    if let Some(answer) = self.grant(wish, &levels[index + 1..]) {
                        return Some(answer);
                    }
                }
                Err(word) => self.passed_over.push(word),
            }
        }
        None
    }

    /// What a repository's file may have of its wish.
    fn grant(&mut self, wish: Wish, above: &'a [Level]) -> Option<(Option<String>, Reason)> {
        let own = self.own_answer(above);
        let granted = match &wish.alias {
            None => Ok(None),
            Some(name) => self.check(name, &own).map(|()| Some(name.value.clone())),
        };
        match granted {
            Ok(alias) => {
                self.attributes.get_or_insert(wish.attributes);
                alias.map(|alias| {
                    let origin = wish.alias.expect("granted").origin;
                    (Some(alias), Reason::Repository { origin, account_from: own.map(|(_, reason)| Box::new(reason)) })
                })
            }
            Err(why) => {
                let place = wish.alias.map(|name| name.origin.to_string()).unwrap_or_default();
                self.passed_over.push(format!("{place}: passed over: {why}"));
                None
            }
        }
    }

    fn check(&self, name: &str, own: &Option<(Option<String>, Reason)>) -> Result<(), String> {
        if let Some((None, reason)) = own {
            return Err(format!("your own configuration says no telemetry here ({reason})"));
        }
        let Some(alias) = self.config.aliases.get(name) else {
            return Err(format!("there is no alias \"{name}\" on this machine; {}", self.config.suggest_alias(name)));
        };
        if self.config.accounts.len() == 1 {
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
                "no rule of yours says which account this directory belongs to, and there are {}",
                self.config.accounts.len()
            )),
        }
    }

    /// What the user's own rules say, seen from `above` upwards.
    fn own_answer(&self, above: &[Level]) -> Option<(Option<String>, Reason)> {
        let closest = |levels: &[Level]| levels.iter().find_map(|level| self.rule_at(level.identity));
        if let Some(rule) = closest(above) {
            return Some(rule_answer(rule, Via::Directory));
        }
        if let Some((rule, via)) = self.logical_rule() {
            return Some(rule_answer(rule, via));
        }
        if let Some(worktree) = &self.place.worktree
            && let Some(rule) = closest(&worktree.levels)
        {
            return Some(rule_answer(rule, Via::Worktree(worktree.main.clone())));
        }
        let default = self.config.default.as_ref()?;
        let reason = Reason::Default { origin: default.origin.clone(), null: default.value.is_none() };
        Some((default.value.clone(), reason))
    }

    /// The rule for one physical directory. The user's file goes before the system's; on a tie within one
    /// file the first entry counts.
    fn rule_at(&self, identity: Identity) -> Option<&'a Located<Rule>> {
        let index = self.place.rules.iter().position(|rule| *rule == Some(identity))?;
        self.config.directories.get(index)
    }

    /// The closest rule for the directory as `$PWD` spells it.
    fn logical_rule(&self) -> Option<(&'a Located<Rule>, Via)> {
        let logical = self.place.logical.as_deref()?;
        let rules = self.config.directories.iter().filter(|rule| logical.starts_with(&rule.path));
        // The first of the longest: `max_by_key` would take the last.
        let closest =
            rules.reduce(
                |best, rule| {
                    if rule.path.components().count() > best.path.components().count() { rule } else { best }
                },
            )?;
        Some((closest, Via::Pwd(logical.to_path_buf())))
    }
}

fn rule_answer(rule: &Located<Rule>, via: Via) -> (Option<String>, Reason) {
    let reason =
        Reason::Rule { written: rule.written.clone(), origin: rule.origin.clone(), null: rule.alias.is_none(), via };
    (rule.alias.clone(), reason)
}

#[cfg(test)]
mod tests;
