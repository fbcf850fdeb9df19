//! Findings about the state directory and the exports in its spool.

use super::{Check, Facts, Finding};
use crate::state::outcome::State;
use crate::state::spool::Spool;
use crate::state::spool::summary::Waiting;
use crate::text::shell::shell_word;

pub const CHECKS: [Check; 4] = [
    |facts| state(facts).into_iter().collect(),
    |facts| drive(facts).into_iter().collect(),
    |facts| {
        let held = facts.kept.iter().filter(|waiting| matches!(waiting.state, State::Held | State::NotUnderstood));
        held.map(|waiting| kept(facts, waiting)).collect()
    },
    |facts| {
        let deferring = facts.kept.iter().filter(|waiting| !waiting.deferred.is_empty());
        deferring.map(|waiting| deferred(facts, waiting)).collect()
    },
];

/// Exports of one alias that have stepped aside: they fail while ACT accepts others.
fn deferred(facts: &Facts, waiting: &Waiting) -> Finding {
    let Waiting { alias, deferred, .. } = waiting;
    let plural = if deferred.len() == 1 { "" } else { "s" };
    let last = deferred.last();
    let said = last.map(|failing| failing.problem.said.clone()).unwrap_or_default();
    let place = facts.state.as_deref().map(|state| Spool::of(state).queue().display().to_string());
    let name = last.map(|failing| failing.export.clone()).unwrap_or_default();
    let what = format!("{} export{plural} of {alias} stepped aside", deferred.len());
    let effect = "ACT accepts other exports but not this one; it is kept and retried at growing intervals";
    Finding::new("stepped-aside", what, place.unwrap_or_default())
        .effect(if said.is_empty() { effect.to_owned() } else { format!("{said}: {effect}") })
        .fix("if ACT never accepts it, delete it")
        .command(format!("act-claude act flush --discard --only {name}"))
}

/// Exports of one alias that are held until the user has put something right.
fn kept(facts: &Facts, waiting: &Waiting) -> Finding {
    let Waiting { alias, account, exports, .. } = waiting;
    let plural = if *exports == 1 { "" } else { "s" };
    let said = waiting.problem.as_ref().map(|problem| problem.said.clone()).unwrap_or_default();
    let place = facts.state.as_deref().map(|state| Spool::of(state).queue().display().to_string());
    let problem = waiting.problem.as_ref();
    let words = |text: &str| text.trim_end_matches('.').to_owned();
    let cause = problem.map(|problem| words(&problem.cause)).filter(|cause| !cause.is_empty());
    let fix = problem.map(|problem| words(&problem.fix)).filter(|fix| !fix.is_empty());
    let fix = [cause, fix].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let effect = format!("ACT does not have them yet; they are kept until account {account} is corrected");
    Finding::new("held", format!("{exports} export{plural} of {alias} held"), place.unwrap_or_default())
        .effect(if said.is_empty() { effect } else { format!("{said}: {effect}") })
        .fix(if fix.is_empty() {
            "then deliver them".to_owned()
        } else {
            format!("correct this first, then deliver them: {fix}")
        })
        .command("act-claude act flush")
}

/// Locks tell which session is alive and who delivers an export, and modes protect what is stored.
fn drive(facts: &Facts) -> Option<Finding> {
    let directory = facts.state.as_ref().filter(|_| facts.on_windows_drive)?;
    Some(
        Finding::new(
            "windows-drive",
            "act-claude's state directory lies on a drive of Windows",
            directory.display().to_string(),
        )
        .effect("locks and permissions there need not hold: an export may be sent twice, and others may read it")
        .fix("keep it in a file system of Linux: unset XDG_STATE_HOME, or name another directory")
        .command("unset XDG_STATE_HOME"),
    )
}

fn state(facts: &Facts) -> Option<Finding> {
    let why = facts.no_state.as_ref()?;
    let directory = facts.state.as_ref()?;
    let word = shell_word(directory);
    let finding = Finding::new("state", why.clone(), directory.display().to_string())
        .effect("exports can't be stored here: they are lost if ACT can't be reached at once");
    Some(match facts.state_fix.as_deref() {
        Some(fix) if fix.starts_with("start ") => finding.fix(fix),
        Some(fix) => finding.fix("make it your own, and inaccessible to others").command(fix),
        None => finding
            .fix("make it writable for you and inaccessible to others")
            .command(format!("mkdir -p {word} && chmod 700 {word}")),
    })
}
