//! Findings about running claude processes that report under another alias than their directory's, or do not report.

use super::facts::Running;
use super::{Check, Facts, Finding};
use crate::claude::processes::{Role, Under};

pub const CHECKS: [Check; 2] = [
    |facts| of_role(facts, Role::Session).filter_map(|running| session(facts, running)).collect(),
    |facts| of_role(facts, Role::Daemon).filter_map(|running| daemon(facts, running)).collect(),
];

fn of_role(facts: &Facts, role: Role) -> impl Iterator<Item = &Running> {
    facts.running.iter().filter(move |running| running.process.role == role)
}

/// The configured name of an alias id, or the id.
fn named(facts: &Facts, id: &str) -> String {
    let aliases = &facts.loaded.config.aliases;
    let name = aliases.iter().find(|(_, alias)| alias.id == id).map(|(name, _)| name.clone());
    name.unwrap_or_else(|| format!("of id {id}"))
}

fn session(facts: &Facts, running: &Running) -> Option<Finding> {
    let wanted = running.alias.as_ref()?;
    let pid = running.process.pid;
    let finding = match running.process.under() {
        Under::Relay => return None,
        Under::Alias(id) if facts.loaded.config.aliases.get(wanted).is_some_and(|alias| alias.id == id) => return None,
        Under::Alias(id) => {
            let alias = named(facts, &id);
            Finding::new("session", format!("a session (pid {pid}) runs under alias {alias}"), place(running))
                .effect(format!("its exports are not counted under {wanted}, its directory's alias"))
        }
        Under::Nothing => {
            Finding::new("session", format!("a session (pid {pid}) was started without act-claude"), place(running))
                .effect(format!("it does not report under {wanted}, its directory's alias"))
        }
    };
    Some(
        finding
            .fix("end it when its work is done, and continue it with: act-claude --continue")
            .command(format!("kill {pid}")),
    )
}

fn daemon(facts: &Facts, running: &Running) -> Option<Finding> {
    let here = facts.resolution.as_ref().ok()?.alias.as_ref()?;
    let pid = running.process.pid;
    let under = match running.process.under() {
        Under::Alias(id) => Some(named(facts, &id)),
        // The daemon keeps the endpoint of the session that started it, and so the alias of that session's directory.
        Under::Relay => Some(running.started_under.clone().unwrap_or_else(|| "of another session".to_owned())),
        Under::Nothing if running.has_launcher => return None,
        Under::Nothing => None,
    };
    let finding = match under {
        Some(alias) if alias == *here => return None,
        Some(alias) => Finding::new(
            "daemon",
            format!("all background sessions of claude's daemon (pid {pid}) report under alias {alias}"),
            place(running),
        )
        .effect(format!("background sessions started here are not counted under {here}")),
        None => Finding::new(
            "daemon",
            format!("claude's daemon (pid {pid}) was started without act-claude"),
            place(running),
        )
        .effect("background sessions are not reported"),
    };
    Some(
        finding
            .fix("end it, and with it the background sessions, when their work is done; the next one starts it again")
            .command("claude daemon stop --any"),
    )
}

fn place(running: &Running) -> String {
    running.process.directory.display().to_string()
}
