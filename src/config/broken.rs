//! The broken parts of a configuration, and what they affect (pure).
//!
//! A broken alias, account or rule switches telemetry off where it applies, and nothing replaces it: a rule for a directory
//! above, or an entry of the system's file, could report what is private. With any other fault, nothing in the configuration is
//! reliable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::text::json::Fault;

use super::{Located, Rule};

/// Entries that can't be used.
#[derive(Debug, Clone, Default)]
pub struct Broken {
    /// The fault because of which nothing in the configuration is reliable. [`super::load`] sets it, once all files are read.
    pub general: Option<Fault>,
    /// Aliases, each with its fault, or with that of its account.
    pub aliases: BTreeMap<String, Fault>,
    /// Accounts.
    pub accounts: BTreeMap<String, Fault>,
    /// Copies.
    pub copies: BTreeMap<String, Fault>,
    /// A rule whose directory can't be read, so that it may mean any directory.
    pub rule: Option<Fault>,
    /// A rule whose repository can't be read, so that it may mean any repository.
    pub repository: Option<Fault>,
    /// All faults that affect only their own entry.
    faults: Vec<Fault>,
    /// Those of them that affect only copies.
    of_copies: Vec<Fault>,
}

impl Broken {
    /// Notes an account.
    pub fn account(&mut self, name: &str, fault: &Fault) {
        self.accounts.insert(name.to_owned(), fault.clone());
        self.note(fault);
    }

    /// Notes an alias.
    pub fn alias(&mut self, name: &str, fault: &Fault) {
        self.aliases.insert(name.to_owned(), fault.clone());
        self.note(fault);
    }

    /// Notes a copy.
    pub fn copy(&mut self, name: &str, fault: &Fault) {
        self.copies.insert(name.to_owned(), fault.clone());
        self.note_of_copies(fault);
    }

    /// Notes a fault that affects only copies.
    pub fn note_of_copies(&mut self, fault: &Fault) {
        self.of_copies.push(fault.clone());
        self.note(fault);
    }

    /// Notes a rule whose directory can't be read.
    pub fn rule(&mut self, fault: &Fault) {
        self.rule.get_or_insert_with(|| fault.clone());
        self.note(fault);
    }

    /// Notes a rule whose repository can't be read.
    pub fn repository(&mut self, fault: &Fault) {
        self.repository.get_or_insert_with(|| fault.clone());
        self.note(fault);
    }

    /// Notes a fault that affects only its own entry; the entry is recorded as broken separately.
    pub fn note(&mut self, fault: &Fault) {
        self.faults.push(fault.clone());
    }

    /// Whether a fault affects only its own entry.
    pub fn holds(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// Whether nothing is broken that decides about an alias. A copy decides about nothing.
    pub fn is_empty(&self) -> bool {
        self.faults.len() == self.of_copies.len() && self.general.is_none()
    }

    /// Whether a fault affects only a copy: ACT gets the exports as before.
    pub fn is_of_copy(&self, fault: &Fault) -> bool {
        self.of_copies.contains(fault)
    }

    /// Adds the broken entries of the layer below, except for names that this layer has.
    pub fn over(&mut self, below: Self, has_account: impl Fn(&str) -> bool, has_alias: impl Fn(&str) -> bool) {
        let add = |own: &mut BTreeMap<String, Fault>, below: BTreeMap<String, Fault>, has: &dyn Fn(&str) -> bool| {
            for (name, fault) in below.into_iter().filter(|(name, _)| !has(name)) {
                own.entry(name).or_insert(fault);
            }
        };
        add(&mut self.accounts, below.accounts, &has_account);
        add(&mut self.aliases, below.aliases, &has_alias);
        self.rule = self.rule.take().or(below.rule);
        self.repository = self.repository.take().or(below.repository);
        self.faults.extend(below.faults);
        self.of_copies.extend(below.of_copies);
    }
}

/// Breaks the rules that can't mean what is written: with a pattern, or with a blank at the end, unless a directory of exactly
/// that name exists. The rule then applies to the part before the pattern, or to the directory without the blank.
pub fn misspelt(rules: &mut [Located<Rule>], is_there: impl Fn(&Path) -> bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    for rule in rules.iter_mut().filter(|rule| rule.fault.is_none()) {
        let Some((what, fix, meant)) = misspelling(&rule.value) else { continue };
        if is_there(&rule.path) {
            continue;
        }
        let fault = Fault::new(rule.origin.clone(), format!("\"{}\" {what}", rule.written)).fix(fix);
        rule.value.path = meant;
        rule.value.fault = Some(fault.clone());
        faults.push(fault);
    }
    faults
}

/// What is wrong, what to do, and the directory that is meant.
fn misspelling(rule: &Rule) -> Option<(&'static str, &'static str, PathBuf)> {
    let is_pattern = |part: &std::path::Component<'_>| part.as_os_str().as_encoded_bytes().contains(&b'*');
    if rule.path.components().any(|part| is_pattern(&part)) {
        let meant = rule.path.components().take_while(|part| !is_pattern(part)).collect();
        let what = "is not a directory; a rule names one directory, with all below: '*' has no meaning";
        return Some((what, "name the directory itself", meant));
    }
    if rule.written.ends_with(char::is_whitespace) {
        let meant = rule.path.to_str().map(|path| PathBuf::from(path.trim_end()).components().collect());
        return Some(("is not a directory, and ends with a blank", "remove the blank", meant.unwrap_or_default()));
    }
    None
}
