//! The last step of a set-up: asks Boomi and ACT whether what was written is correct.

use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::Facts;
use crate::commands::check::{self, Subject};
use crate::config::{self, Account, token};
use crate::text::page;

/// Checks each alias. Returns the findings and the worst exit status. What stays open is no failure.
pub fn check(facts: &Facts<'_>, names: &[String]) -> (Vec<Value>, u8) {
    let loaded = config::load(facts.environment);
    let subjects: Vec<Subject<'_>> = names.iter().filter_map(|name| Subject::of(&loaded.config, name)).collect();
    let accounts: BTreeSet<(&str, String)> = subjects
        .iter()
        .map(|subject| (subject.account_name, announcement(subject.account_name, subject.account)))
        .collect();
    for (_, words) in &accounts {
        facts.args.say("\n");
        facts.args.tell(words);
    }
    let mut worst = 0;
    let mut findings = Vec::new();
    for finding in check::run_all(&subjects, facts.environment, token::fetch) {
        facts.args.say(&format!("\n{}", finding.text(page::width(), facts.environment.home().as_deref(), false)));
        if finding.problem.is_some() {
            worst = worst.max(finding.code);
        }
        findings.push(finding.json());
    }
    (findings, worst)
}

/// Where the token is about to go.
fn announcement(name: &str, account: &Account) -> String {
    match check::hosts(account) {
        (act, Some(api)) => format!(
            "Now checking: the token of {name} goes to {act}, and once to {api}, which says whether Boomi accepts it."
        ),
        (act, None) => format!("Now checking: the token of {name} goes to {act}."),
    }
}
