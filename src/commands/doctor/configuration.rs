//! Findings about act-claude's own configuration: faults, the alias of this directory, tokens, and who can change its files.

use super::facts::Asked;
use super::ownership::{Exposed, How};
use super::{Check, Facts, Finding};
use crate::config;
use crate::config::resolve::Reason;
use crate::config::token::TokenError;
use crate::text::command::is_command;
use crate::text::json::{Fault, Origin};

pub const CHECKS: [Check; 6] = [faults, contradictions, alias_here, exposed, tokens, copies];

fn faults(facts: &Facts) -> Vec<Finding> {
    let broken = &facts.loaded.config.broken;
    let effect = |fault: &Fault| match (broken.holds(fault), facts.loaded.config.required_by()) {
        _ if broken.is_of_copy(fault) => "this copy gets nothing until this is corrected; ACT gets everything",
        (false, Some(_)) => "claude does not run until this is corrected (telemetry is required)",
        (false, None) => "no session is reported until this is corrected",
        (true, Some(_)) => "claude does not run where this setting applies (telemetry is required)",
        (true, None) => "no session is reported where this setting applies",
    };
    let finding = |fault: &Fault| {
        let fix = if fault.fix.is_empty() { "correct it in this file" } else { &fault.fix };
        Finding::new("configuration", fault.what.clone(), fault.origin.to_string()).effect(effect(fault)).fix(fix)
    };
    facts.loaded.faults.iter().map(finding).collect()
}

/// Pairs of rules for the same directory that give different aliases.
fn contradictions(facts: &Facts) -> Vec<Finding> {
    let finding = |(origin, what): &(Origin, String)| {
        Finding::new("contradiction", what.clone(), origin.to_string())
            .effect("one of the two rules is never followed")
            .fix("remove one of the two")
    };
    facts.contradictions.iter().map(finding).collect()
}

/// Findings about the alias of the working directory.
fn alias_here(facts: &Facts) -> Vec<Finding> {
    if facts.loaded.general_fault().is_some() {
        return Vec::new();
    }
    let file = config::user_file(&facts.environment).map_or_else(String::new, |path| path.display().to_string());
    let resolution = match &facts.resolution {
        Ok(resolution) => resolution,
        Err(unknown) => {
            return vec![
                Finding::new("alias", unknown.message.clone(), "ACT_CLAUDE_ALIAS in the environment")
                    .effect("claude does not run")
                    .fix("remove the variable, so that the directory's alias is used")
                    .command("unset ACT_CLAUDE_ALIAS"),
            ];
        }
    };
    let passed_over = resolution.passed_over.iter().map(|word| {
        Finding::new("passed-over", word.clone(), facts.directory.display().to_string())
            .effect("another alias, or none, is used instead (act-claude act which)")
            .fix(match word.starts_with("the rule ") {
                true => "change this rule, or the other one",
                false => "correct .act-claude.json, or add what it names to your configuration",
            })
    });
    let none = match resolution.reason {
        Reason::NothingConfigured => {
            let finding = Finding::new("no-alias", "no alias is configured", file);
            let finding = finding.effect("act-claude reports no session");
            Some(if facts.has_recipe() {
                finding
                    .fix("take account, alias and token from Claude Code's settings; it says what to remove there afterwards")
                    .command("act-claude act setup --from-settings")
            } else {
                finding.fix("set up account, alias and token").command("act-claude act setup")
            })
        }
        Reason::NoRule => {
            let config = &facts.loaded.config;
            let place = facts.directory.display().to_string();
            let note = resolution.notes.iter().find(|note| note.starts_with("no rule of \"repositories\""));
            let unmatched = note.is_some();
            let what = match note {
                Some(note) => format!("this directory has no alias: {note}"),
                None => "this directory has no alias".to_owned(),
            };
            let finding = Finding::new("no-alias", what, place)
                .effect("no rule covers it, and there is no default: sessions here are not reported");
            // Which of several it should be is the user's decision.
            Some(match config.aliases.len() {
                0 => finding.fix("correct the aliases first"),
                1 => finding.fix("give it your alias").command(config.how_to_use_one()),
                _ if unmatched => finding.fix(format!(
                    "give it, or every clone of it (--clones), one of your aliases: {}",
                    config.how_to_use_one()
                )),
                _ => finding.fix(format!("give it one of your aliases: {}", config.how_to_use_one())),
            })
        }
        _ => None,
    };
    let lost = facts.lost_worktree.as_deref().map(|file| {
        Finding::new("worktree", "this git worktree is not registered in its main checkout", file.display().to_string())
            .effect("rules for the main checkout do not apply here")
            .fix("one of them was moved: repair the link, from the main checkout")
            .command("git worktree repair PATH")
    });
    passed_over.chain(none).chain(lost).collect()
}

fn exposed(facts: &Facts) -> Vec<Finding> {
    let finding = |exposed: &Exposed| {
        let place = exposed.path.display().to_string();
        let effect = "they could send your token elsewhere, or run their own commands as you";
        match (exposed.how, &exposed.fix) {
            (How::Mode(mode), fix) => {
                Finding::new("exposed", format!("others can write to the configuration (mode {mode:04o})"), place)
                    .effect(effect)
                    .fix("remove other users' write access")
                    .command(fix)
            }
            (How::Owner(owner), fix) => {
                let finding = Finding::new("exposed", format!("the configuration belongs to user {owner}"), place);
                let finding = finding.effect(effect);
                if fix.starts_with("sudo chown") { finding.command(fix) } else { finding.fix(fix) }
            }
        }
    };
    facts.exposed.iter().map(finding).collect()
}

/// The finding with the error's fix, which is either a shell command or a sentence.
fn fixed_as(finding: Finding, error: &TokenError) -> Finding {
    if is_command(&error.fix) { finding.command(error.fix.clone()) } else { finding.fix(error.fix.clone()) }
}

/// Headers of copies whose values can't be fetched.
fn copies(facts: &Facts) -> Vec<Finding> {
    let place =
        |name: &str| facts.loaded.config.copies.get(name).map_or_else(String::new, |copy| copy.origin.to_string());
    let finding = |(name, error): &(String, TokenError)| {
        let finding = Finding::new("copy", error.what.clone(), place(name));
        fixed_as(finding.effect(format!("copy {name} gets nothing; ACT gets everything")), error)
    };
    facts.copies.iter().map(finding).collect()
}

fn tokens(facts: &Facts) -> Vec<Finding> {
    let accounts = &facts.loaded.config.accounts;
    let place = |name: &str| accounts.get(name).map_or_else(String::new, |account| account.origin.to_string());
    let missing = |asked: &Asked| {
        let (name, error) = (&asked.name, asked.no_token.as_ref()?);
        let finding = Finding::new("token", error.what.clone(), place(name))
            .effect(format!("exports for account {name} are held, or not even collected"));
        Some(fixed_as(finding, error))
    };
    facts.accounts.iter().filter_map(missing).collect()
}
