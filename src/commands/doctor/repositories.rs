//! Findings about the rules by repository: such that never apply.

use std::collections::BTreeMap;

use super::{Check, Facts, Finding};
use crate::config::Located;
use crate::config::repositories::RepositoryRule;

pub const CHECKS: [Check; 2] = [twins, hosts];

/// The hosts of most repositories.
const HOSTS: [&str; 5] = ["github.com", "gitlab.com", "bitbucket.org", "dev.azure.com", "codeberg.org"];

/// Rules of one file for the same repositories that give different aliases.
fn twins(facts: &Facts) -> Vec<Finding> {
    let rules: Vec<Located<RepositoryRule>> = facts.loaded.config.repositories.iter().collect();
    let mut first: BTreeMap<_, &Located<RepositoryRule>> = BTreeMap::new();
    let mut found = Vec::new();
    for rule in &rules {
        let earlier = *first.entry((rule.origin.path(), rule.pattern.text())).or_insert(rule);
        if earlier.alias != rule.alias {
            let what = format!("\"{}\" and \"{}\" are the same repositories", earlier.written, rule.written);
            let finding = Finding::new("contradiction", what, rule.origin.to_string());
            found.push(finding.effect("no clone of them is reported").fix("remove one of the two"));
        }
    }
    found
}

/// Rules for a host that differs in a letter from a known one.
fn hosts(facts: &Facts) -> Vec<Finding> {
    let misspelt = |rule: Located<RepositoryRule>| {
        let host = rule.pattern.host().filter(|host| !host.is_empty() && !HOSTS.contains(host))?;
        let near = HOSTS.into_iter().find(|known| strsim::damerau_levenshtein(host, known) == 1)?;
        let finding = Finding::new("repository-host", format!("no clone is of {host}"), rule.origin.to_string());
        Some(finding.effect("this rule never applies").fix(format!("did you mean {near}?")))
    };
    facts.loaded.config.repositories.iter().filter_map(misspelt).collect()
}
