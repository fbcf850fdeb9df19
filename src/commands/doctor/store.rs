//! Findings about the state directory and the exports in its spools.

use super::{Check, Facts, Finding, copies};
use crate::commands::flush;
use crate::state::outcome::{Problem, State};
use crate::state::spool::summary::Waiting;
use crate::state::spool::{Spool, Summary};
use crate::text::command;
use crate::text::shell::shell_word;

pub const CHECKS: [Check; 4] = [
    |facts| state(facts).into_iter().collect(),
    |facts| drive(facts).into_iter().collect(),
    |facts| kept(facts).filter(|kept| kept.is_held()).map(|kept| held(facts, &kept)).collect(),
    |facts| kept(facts).filter(|kept| !kept.waiting.deferred.is_empty()).map(|kept| deferred(facts, &kept)).collect(),
];

/// Exports of one alias that are on this machine.
struct Kept<'a> {
    waiting: &'a Waiting,
    /// The destination whose copies they are; `None`: they are for ACT.
    destination: Option<&'a str>,
}

/// All of them, but for copies that can go nowhere: those are a finding of [`copies`].
fn kept<'a>(facts: &'a Facts) -> impl Iterator<Item = Kept<'a>> {
    let act = facts.kept.iter().map(|waiting| Kept { waiting, destination: None });
    let copies = facts.kept_copies.iter().filter(|(destination, _)| copies::is_configured(facts, destination));
    let of_one = |(destination, spool): (&'a String, &'a Summary)| {
        spool.waiting.iter().map(|waiting| Kept { waiting, destination: Some(destination) })
    };
    act.chain(copies.flat_map(of_one))
}

impl Kept<'_> {
    fn is_held(&self) -> bool {
        matches!(self.waiting.state, State::Held | State::NotUnderstood)
    }

    /// Who gets them.
    fn receiver(&self) -> &str {
        self.destination.unwrap_or("ACT")
    }

    /// A number of them, in words.
    fn count(&self, count: usize) -> String {
        let alias = &self.waiting.alias;
        match (self.destination, count) {
            (None, 1) => format!("1 export of {alias}"),
            (None, _) => format!("{count} exports of {alias}"),
            (Some(destination), 1) => format!("1 copy of {alias} for {destination}"),
            (Some(destination), _) => format!("{count} copies of {alias} for {destination}"),
        }
    }

    /// Where they are.
    fn place(&self, facts: &Facts) -> String {
        let spool = |state| match self.destination {
            None => Spool::of(state),
            Some(destination) => Spool::of_copies(state, destination),
        };
        facts.state.as_deref().map(|state| spool(state).queue().display().to_string()).unwrap_or_default()
    }
}

/// Exports of one alias that have stepped aside.
fn deferred(facts: &Facts, kept: &Kept<'_>) -> Finding {
    let deferred = &kept.waiting.deferred;
    let last = deferred.last();
    let said = last.map(|failing| failing.problem.said.clone()).unwrap_or_default();
    let name = last.map(|failing| failing.export.clone()).unwrap_or_default();
    let (id, receiver) =
        (if kept.destination.is_some() { "copy-stepped-aside" } else { "stepped-aside" }, kept.receiver());
    let others = match last.is_some_and(|failing| failing.accepts_others) {
        true => format!("{receiver} accepts other exports but not this one"),
        false => "the other exports go first".to_owned(),
    };
    let effect = format!("{others}; it is kept and retried at growing intervals");
    Finding::new(id, format!("{} stepped aside", kept.count(deferred.len())), kept.place(facts))
        .effect(if said.is_empty() { effect } else { format!("{said}: {effect}") })
        .fix(format!("if {receiver} never accepts it, delete it"))
        .command(format!("{} --discard --only {name}", flush::command(kept.destination)))
}

/// Exports of one alias that are held until the user has put something right.
fn held(facts: &Facts, kept: &Kept<'_>) -> Finding {
    let Waiting { account, exports, problem, .. } = kept.waiting;
    let said = problem.as_ref().map(|problem| problem.said.clone()).unwrap_or_default();
    let words = |text: &str| text.trim_end_matches('.').to_owned();
    let cause = problem.as_ref().map(|problem| words(&problem.cause)).filter(|cause| !cause.is_empty());
    let fix = problem.as_ref().map(|problem| words(&problem.fix)).filter(|fix| !fix.is_empty());
    let fix = [cause, fix].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let (id, effect) = match kept.destination {
        None => ("held", format!("ACT does not have them yet; they are kept until account {account} is corrected")),
        Some(name) => ("copy-held", format!("{name} does not have them yet; they are kept until this is corrected")),
    };
    let count = kept.count(usize::try_from(*exports).unwrap_or(usize::MAX));
    let finding = Finding::new(id, format!("{count} held"), kept.place(facts));
    if let Some(problem) = problem.as_ref().filter(|_| kept.waiting.is_stranded) {
        return stranded(finding, problem);
    }
    finding
        .effect(if said.is_empty() { effect } else { format!("{said}: {effect}") })
        .fix(if fix.is_empty() {
            "then deliver them".to_owned()
        } else {
            format!("correct this first, then deliver them: {fix}")
        })
        .command(flush::command(kept.destination))
}

/// Exports that can go nowhere: the command says where they belong, or removes them.
fn stranded(finding: Finding, problem: &Problem) -> Finding {
    let finding = finding.effect(format!("{}: nothing sends them by itself", problem.said));
    let (what, command) = command::split(&problem.fix).unwrap_or(("", &problem.fix));
    let words = [problem.cause.trim_end_matches('.'), what.trim_end_matches(": ")];
    finding.fix(words.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ")).command(command)
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
