//! Waiting exports for which there is no target any more: account or alias have changed since they were captured, and only the user can
//! say where they belong now.

use std::collections::BTreeMap;
use std::path::Path;

use super::targets::Targets;
use crate::state::outcome::Problem;
use crate::state::spool::{Header, Summary, summary};
use crate::system::environment::Environment;

/// What is in a state directory for ACT, and the copies by destination. What has no target counts as held, with the reason.
pub fn summaries(state: &Path, environment: &Environment) -> (Summary, BTreeMap<String, Summary>) {
    let mut stranded = Stranded { environment, targets: BTreeMap::new(), known: BTreeMap::new() };
    let copies = summary::of_copies(state, &mut |destination, header| stranded.why(Some(destination), header));
    (summary::summary(state, &mut |header| stranded.why(None, header)), copies)
}

struct Stranded<'a> {
    environment: &'a Environment,
    targets: BTreeMap<Option<String>, Targets>,
    /// The answers, because many exports have the same.
    known: BTreeMap<[String; 5], Option<Problem>>,
}

impl Stranded<'_> {
    fn why(&mut self, destination: Option<&str>, header: &Header) -> Option<Problem> {
        let Header { account, alias, endpoint, user, .. } = header;
        let key = [destination.unwrap_or_default(), account, alias, endpoint, user].map(str::to_owned);
        let environment = || self.environment.clone();
        let targets = self.targets.entry(destination.map(str::to_owned)).or_insert_with(|| match destination {
            None => Targets::new(environment(), None),
            Some(destination) => Targets::of_copies(environment(), destination, None),
        });
        // Of a configuration that can't be read nothing is known.
        let is_known = targets.is_known();
        self.known.entry(key).or_insert_with(|| targets.of(header).err().filter(|_| is_known)).clone()
    }
}
