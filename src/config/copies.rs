//! Copies: the further receivers that get the exports besides ACT (pure).
//!
//! A copy is never a reason for anything else: one that is broken is left out, and ACT gets the exports as before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Config, Located, SYSTEM_FILE, TokenSource};
use crate::text::json::Fault;

/// The name of the copies for the user's own pipeline. No destination has it.
pub const OWN_PIPELINE: &str = "own-pipeline";
/// So many copies of an export can be kept and sent beside a session.
pub const MOST: usize = 16;
/// So many headers of its own a copy can have.
pub const MOST_HEADERS: usize = 16;

/// A further receiver of the exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The metrics URL.
    pub endpoint: String,
    /// Header names, as written, and where each value comes from. The values are secrets.
    pub headers: Vec<(String, TokenSource)>,
    /// Keys of the attributes that this copy lacks.
    pub redact: Vec<String>,
    /// The aliases whose exports it gets; `None`: all.
    pub aliases: Option<Vec<String>>,
}

/// What a file says about copies beside the destinations themselves.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The names that `null` switches off.
    pub off: BTreeSet<String>,
    /// The aliases that the copy of this name lists, each with its place.
    pub aliases: Vec<(String, Located<String>)>,
    /// `copies` as a whole can't be read, so that it may mean any name.
    pub is_unreadable: bool,
}

/// Whether two names may be one directory: some file systems don't tell upper from lower case.
pub fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl Destination {
    /// Whether it lists this alias.
    pub fn is_of(&self, alias: &str) -> bool {
        self.aliases.as_ref().is_some_and(|aliases| aliases.iter().any(|name| name == alias))
    }
}

impl Config {
    /// The destinations of an alias's copies, by name.
    pub fn copies_of<'a>(&'a self, alias: &'a str) -> impl Iterator<Item = (&'a str, &'a Destination)> {
        let copies = self.copies.iter().map(|(name, destination)| (name.as_str(), &destination.value));
        copies.filter(move |(_, destination)| destination.aliases.is_none() || destination.is_of(alias))
    }

    /// Adds the copies of the layer below, good and broken, except for the names about which this layer says something.
    pub(super) fn add_copies(
        &mut self,
        below: BTreeMap<String, Located<Destination>>,
        written: Written,
        broken: &BTreeMap<String, Fault>,
    ) {
        if self.copies_written.is_unreadable || (below.is_empty() && broken.is_empty()) {
            return;
        }
        let has = |name: &str| {
            let own = self.copies_written.off.iter().chain(self.copies.keys()).chain(self.broken.copies.keys());
            own.into_iter().any(|own| same(own, name))
        };
        let broken: Vec<_> = broken.iter().filter(|(name, _)| !has(name)).collect();
        let places = written.aliases.into_iter().filter(|(name, _)| !has(name));
        let places: Vec<_> = places.collect();
        let below: Vec<_> = below.into_iter().filter(|(name, _)| !has(name)).collect();
        self.broken.copies.extend(broken.into_iter().map(|(name, fault)| (name.clone(), fault.clone())));
        self.copies_written.aliases.extend(places);
        self.copies.extend(below);
    }

    /// Breaks the copies that name an alias that does not exist, and those that are too many.
    pub(super) fn settle_copies(&mut self) -> Vec<Fault> {
        if self.copies.is_empty() {
            return Vec::new();
        }
        let mut faulty: BTreeMap<String, Fault> = BTreeMap::new();
        for (name, alias) in &self.copies_written.aliases {
            // The fault of a broken alias is reported by itself.
            let is_known = self.aliases.contains_key(&alias.value) || self.broken.aliases.contains_key(&alias.value);
            if let (false, Some(fault)) = (is_known, self.fault_of(&alias.value, &alias.origin)) {
                faulty.entry(name.clone()).or_insert(fault);
            }
        }
        if self.copies.len() > MOST {
            let mut places: Vec<_> = self.copies.iter().map(|(name, copy)| (&copy.origin, name)).collect();
            places.sort_by_key(|(origin, _)| (origin.path() == Path::new(SYSTEM_FILE), origin.offset()));
            for (origin, name) in &places[MOST..] {
                let fault = Fault::new((*origin).clone(), format!("there are more than {MOST} copies"));
                faulty.entry((*name).clone()).or_insert(fault.fix("remove some of them"));
            }
        }
        let faults = faulty.values().cloned().collect();
        for (name, fault) in faulty {
            self.copies.remove(&name);
            self.broken.copy(&name, &fault);
        }
        faults
    }
}

#[cfg(test)]
mod tests;
