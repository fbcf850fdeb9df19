//! Carries out a set-up: stores the token, writes the configuration, and asks ACT, in this order. Where the configuration can't be
//! written, the token is taken back.

use serde_json::json;

use crate::config::{self, Pipeline, edit};
use crate::delivery::stranded;
use crate::state;
use crate::state::outcome::{Problem, exports};
use crate::state::spool::summary::Waiting;
use crate::text::page;
use crate::text::paths;
use crate::text::shell::shell_word;

use super::decision::Decision;
use super::dialogue::Stop;
use super::facts::Facts;
use super::proof;
use super::rc;
use super::release::release;
use super::sources::entries::Entries;
use super::sources::from_settings::Removal;
use super::stored::Stored;

/// Carries out the decision and returns the exit status.
pub fn carry_out(facts: &Facts<'_>, mut decision: Decision) -> Result<u8, Stop> {
    let environment = facts.environment;
    let refused = |refused: edit::Refused| Stop::usage(refused.reason());
    let user_file = config::user_file(environment).unwrap_or_default();
    let is_first = !user_file.exists();
    let changes = |entries: &Entries| entries.changes(&facts.loaded.config, &user_file, environment);
    edit::preview(environment, &changes(&decision.entries)).map_err(refused)?;
    let mut stored = Stored::default();
    let written = store_all(facts, &mut decision, &mut stored)
        .and_then(|()| edit::commit(environment, &changes(&decision.entries)).map_err(refused));
    let edited = match written {
        Ok(edited) => edited,
        Err(stop) => return Err(stored.take_back(stop)),
    };
    facts.args.say(&stored.keep());
    let shown = edit::directory_key(&edited.path, environment);
    facts.args.tell(&match (edited.changed, &edited.backup) {
        (false, _) => format!("Unchanged: {shown}"),
        (true, None) => format!("Written: {shown}"),
        (true, Some(backup)) => {
            format!("Written: {shown} (as it was before: {})", edit::directory_key(backup, environment))
        }
    });
    for account in &decision.entries.accounts {
        if let Some(url) = account.lost_api(&facts.loaded.config) {
            let name = &account.name;
            facts
                .args
                .tell(&format!("\"api\" of account {name} is removed: {url} was named for the earlier endpoint."));
        }
    }
    let directory = config::user_directory(environment);
    for account in &decision.entries.accounts {
        if let Some(remove) = account.earlier_token(&facts.loaded.config, directory.as_deref()) {
            facts.args.tell(&format!("The earlier token of account {} is still there. To remove it:", account.name));
            facts.args.say(&format!("  {}\n", super::shown(&remove)));
        }
    }
    facts.args.say(&removals(&decision.removals, facts));
    let (checks, code) = if facts.args.no_check { (Vec::new(), 0) } else { proof::check(facts, &decision.checks) };
    let released = if facts.args.no_check || code != 0 { 0 } else { release_all(facts, &decision.accounts) };
    facts.args.say(&next_steps(&decision, facts));
    let rc_file = if decision.entries.aliases.is_empty() { None } else { rc::offer(facts, is_first) };
    if facts.args.json {
        let result = json!({
            "config": paths::to_text(&edited.path),
            "changed": edited.changed,
            "backup": edited.backup.as_deref().map(paths::to_text),
            "accounts": decision.entries.accounts.iter().map(|account| &account.name).collect::<Vec<_>>(),
            "aliases": decision.entries.aliases.iter().map(|alias| &alias.name).collect::<Vec<_>>(),
            "directories": decision.entries.directories.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "default": decision.entries.default,
            "claude": decision.entries.claude,
            "own_pipeline": decision.entries.own_pipeline.map(Pipeline::name),
            "found": decision.found,
            "remove": decision.removals.iter().map(|removal| json!({
                "file": paths::to_text(&removal.path),
                "variables": removal.variables.iter().map(|(name, line)| json!({"name": name, "line": line})).collect::<Vec<_>>(),
                "notes": removal.notes,
            })).collect::<Vec<_>>(),
            "checks": checks,
            "released": released,
            "rc_file": rc_file.as_deref().map(paths::to_text),
        });
        crate::commands::print_json(&result);
    }
    Ok(code)
}

/// Stores the tokens, and notes in the entries where each one is.
fn store_all(facts: &Facts<'_>, decision: &mut Decision, stored: &mut Stored) -> Result<(), Stop> {
    for store in std::mem::take(&mut decision.stores) {
        let source = stored.add(&store, facts)?.source(&store.account, &store.user);
        let account = decision.entries.accounts.iter_mut().find(|account| account.name == store.account);
        account.into_iter().for_each(|account| account.token = source.clone());
    }
    Ok(())
}

/// Tells the user what to delete from settings files. act-claude does not edit them.
fn removals(removals: &[Removal], facts: &Facts<'_>) -> String {
    let mut text = String::new();
    for removal in removals {
        let file = edit::directory_key(&removal.path, facts.environment);
        let title = format!("Now remove from \"env\" in {file} (act-claude leaves it as it is):");
        text.push('\n');
        page::hang(&mut text, 0, page::width(), anstyle::Style::new(), &title);
        for (name, line) in &removal.variables {
            text.push_str(&format!("  line {line:<4} {name}\n"));
        }
        for note in &removal.notes {
            for line in page::wrap(note, page::width().saturating_sub(2)) {
                text.push_str(&format!("  {line}\n"));
            }
        }
    }
    text
}

/// Delivers the exports held for accounts that were configured before. Returns how many were delivered.
fn release_all(facts: &Facts<'_>, accounts: &[String]) -> u64 {
    let mut all = 0;
    for account in accounts {
        let count = release(account, facts.environment);
        if count > 0 {
            facts.args.say(&format!("\nDelivered: {} that waited for account {account}\n", exports(count)));
        }
        all += count;
        stranded(account, facts).iter().for_each(|line| facts.args.say(line));
    }
    all
}

/// What was captured for the user or the URL that the account had before: it goes nowhere without the user's word.
fn stranded(account: &str, facts: &Facts<'_>) -> Vec<String> {
    let Some(state) = state::directory(facts.environment) else { return Vec::new() };
    let (spool, _) = stranded::summaries(&state, facts.environment);
    let left = spool.waiting.into_iter().filter(|waiting| waiting.is_stranded && waiting.account == account);
    let line = |waiting: Waiting| {
        let Problem { said, fix, .. } = waiting.problem?;
        Some(format!("\nStill waiting: {}, because {said}. To deliver: {fix}\n", exports(waiting.exports)))
    };
    left.filter_map(line).collect()
}

fn next_steps(decision: &Decision, facts: &Facts<'_>) -> String {
    let mut text = String::new();
    let entries = &decision.entries;
    if let [alias] = &entries.aliases[..]
        && entries.directories.is_empty()
        && entries.default.is_none()
        && !facts.loaded.config.aliases.contains_key(&alias.name)
    {
        let name = shell_word(alias.name.as_ref());
        text.push_str(&format!(
            "\nNo directory uses {name} yet. To use it, run in a directory: act-claude act use {name}\n"
        ));
    }
    if entries.own_pipeline == Some(Pipeline::Copy) {
        text.push_str("\nTo check the copy for your own pipeline: act-claude act check\n");
    }
    text
}
