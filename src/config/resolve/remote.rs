//! The rules of `repositories` at the top of a working tree.
//!
//! A repository's own files decide what its remote is, and an unpacked archive brings such files. So what a rule for a directory
//! above says limits such a rule: it may choose another alias only within the account of that rule, and a `null` there stays. A
//! `null` of `repositories` counts everywhere, because nothing is sent then. A rule of the system's file never takes precedence
//! over a directory rule of the user's.

use std::path::Path;

use super::working_tree::WorkingTree;
use super::{Level, Reason, Walk};
use crate::config::repositories::{RepositoryRule, Selection, select};
use crate::config::{Located, SYSTEM_FILE};
use crate::git::address::Address;
use crate::text::json::{Fault, Origin};

/// The answer of the rules for one level, and what is to be said of them.
#[derive(Default)]
pub(super) struct AtTop {
    /// The answer, where a rule gives one.
    pub answer: Option<(Option<String>, Reason)>,
    /// Why a rule that matches is ignored.
    pub passed_over: Vec<String>,
    /// Why no rule matches.
    pub notes: Vec<String>,
}

impl AtTop {
    fn answer(answer: (Option<String>, Reason)) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }

    fn passed_over(line: String) -> Self {
        Self { passed_over: vec![line], ..Self::default() }
    }

    fn note(line: String) -> Self {
        Self { notes: vec![line], ..Self::default() }
    }
}

impl Walk<'_> {
    /// The answer of the rules for the working tree whose top is `levels[index]`.
    pub(super) fn at_top(&self, levels: &[Level], index: usize) -> AtTop {
        let level = &levels[index];
        let Some(tree) = &level.tree else { return AtTop::default() };
        let top = level.path.display();
        match tree {
            WorkingTree::Unusable(unusable) if unusable.is_a_strangers => {
                AtTop::passed_over(format!("{}: ignored: {}", unusable.path.display(), unusable.why))
            }
            WorkingTree::Unusable(unusable) => {
                let what = format!("{}, so it is not known which rule of \"repositories\" applies", unusable.why);
                AtTop::answer(broken(Fault::new(Origin::file(&unusable.path), what).fix(how_to_decide(&level.path))))
            }
            WorkingTree::NoRemote => {
                AtTop::note(format!("{top} has no remote, so no rule of \"repositories\" applies"))
            }
            WorkingTree::NoAddress(why) => {
                AtTop::note(format!("{top} has a remote, but {why}, so no rule of \"repositories\" applies"))
            }
            WorkingTree::Several(names) => AtTop::note(format!(
                "{top} has several remotes ({}), and none is \"origin\", so no rule of \"repositories\" applies",
                names.join(", ")
            )),
            WorkingTree::Remote(address) => match &self.config.broken.repository {
                Some(fault) => AtTop::answer(broken(fault.clone())),
                None => self.by_address(levels, index, address),
            },
        }
    }

    fn by_address(&self, levels: &[Level], index: usize, address: &Address) -> AtTop {
        let rule = match select(&self.config.repositories, address) {
            Selection::None => return AtTop::note(format!("no rule of \"repositories\" matches {address}")),
            Selection::Tie(one, other) => {
                let what = format!(
                    "\"{}\" and \"{}\" both match {address}, with different aliases, and neither is more specific",
                    one.written, other.written
                );
                let fix = format!("add a rule for \"{}\" to \"repositories\"", address.key());
                return AtTop::answer(broken(Fault::new(other.origin.clone(), what).fix(fix)));
            }
            Selection::Rule(rule) => rule,
        };
        if let Some(fault) = &rule.fault {
            return AtTop::answer(broken((**fault).clone()));
        }
        let reason = reason_of(&rule, address);
        match self.limit(levels, index, &rule) {
            Some(limit) => AtTop::passed_over(format!("{reason}: ignored: {limit}")),
            None => AtTop::answer(self.usable(rule.alias.as_deref(), &rule.alias_origin, reason)),
        }
    }

    /// Why the rule does not apply, although it matches.
    fn limit(&self, levels: &[Level], index: usize, rule: &Located<RepositoryRule>) -> Option<String> {
        if let Some(main) = self.place.worktree.as_ref().and_then(|worktree| worktree.levels.first())
            && let Some(own) = self.rule_at(main.identity)
        {
            return Some(format!("the rule \"{}\" in {} names the main checkout", own.written, own.origin));
        }
        let (alias, above) = self.own_rule(&levels[index + 1..])?;
        if let Reason::Broken { fault } = above {
            return Some(fault.to_string());
        }
        if is_systems(&rule.origin) && matches!(&above, Reason::Rule { origin, .. } if !is_systems(origin)) {
            return Some(format!("{above} is your own, and takes precedence over the system's"));
        }
        let Some(own) = alias else { return Some(format!("there is no telemetry here: {above}")) };
        let account = |alias: &str| self.config.aliases.get(alias).map(|alias| alias.account.as_str());
        let (wanted, given) = (account(rule.alias.as_deref()?), account(&own));
        (wanted != given).then(|| {
            format!(
                "its alias belongs to account \"{}\", but {above} gives this directory account \"{}\"",
                wanted.unwrap_or("?"),
                given.unwrap_or("?")
            )
        })
    }
}

fn is_systems(origin: &Origin) -> bool {
    origin.path() == Path::new(SYSTEM_FILE)
}

fn broken(fault: Fault) -> (Option<String>, Reason) {
    (None, Reason::Broken { fault: fault.into() })
}

fn reason_of(rule: &Located<RepositoryRule>, address: &Address) -> Reason {
    Reason::Remote {
        written: rule.written.clone(),
        origin: rule.origin.clone(),
        null: rule.alias.is_none(),
        address: address.key(),
    }
}

/// How an alias is set where git's files do not say which one.
fn how_to_decide(top: &Path) -> String {
    format!("correct it, or: cd {} && act-claude act use NAME", crate::text::shell::shell_word(top))
}
