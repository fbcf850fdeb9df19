//! Checks whether the rehearsal went as expected (pure).

use super::compare::{self, Sent};
use super::sandbox::DemoDirectory;
use super::session::Launch;
use crate::rehearsal::receiver::{Export, Fail};

/// A launch, and the exports that ACT received from it.
pub struct DemoRun<'a> {
    /// The directory it ran in.
    pub place: &'a DemoDirectory,
    /// The launch.
    pub session: Launch,
    /// The exports that ACT received.
    pub received: Vec<Export>,
}

/// Why a launch failed, so that comparing it would be of no use. `None`: it did not fail.
pub fn fault(run: &DemoRun<'_>) -> Option<String> {
    let DemoRun { place, session, .. } = run;
    let name = place.alias;
    if !session.status.success() {
        return Some(format!("{name}: claude ended with {}: {}", session.status, session.reply));
    }
    if session.used.is_none() {
        return Some(format!("{name}: claude's answer was not understood: {}", session.reply));
    }
    session.report.is_none().then(|| format!("{name}: act-claude printed no report"))
}

/// All differences from what is expected without `--fail`. Empty: there are none.
pub fn check(runs: &[DemoRun<'_>]) -> Vec<String> {
    let faults: Vec<String> = runs.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        return faults;
    }
    let number = |run: &DemoRun<'_>, key: &str| run.session.report.as_ref().and_then(|report| report[key].as_u64());
    let sent: Vec<Sent<'_>> = runs
        .iter()
        .filter_map(|run| {
            let (exports, points) = (number(run, "exports")?, number(run, "points")?);
            Some(Sent { place: run.place, used: run.session.used.as_ref()?, exports, points })
        })
        .collect();
    let received: Vec<Export> = runs.iter().flat_map(|run| run.received.iter().cloned()).collect();
    let undelivered = runs.iter().filter(|run| state(run) != "delivered");
    let undelivered = undelivered.map(|run| format!("{}: reported as {}", run.place.alias, state(run)));
    compare::differences(&sent, &received).into_iter().chain(undelivered).collect()
}

/// All differences from what is expected with `--fail`. Empty: there are none.
pub fn check_failure(runs: &[DemoRun<'_>], fail: Fail) -> Vec<String> {
    let designed = match fail {
        Fail::Unauthorized | Fail::Forbidden | Fail::UnknownAlias => "held",
        Fail::BadRequest => "rejected",
        Fail::TooManyRequests | Fail::Unavailable => "waiting",
        Fail::Partial => "partial",
        Fail::Hang => "under_way",
    };
    let mut wrong: Vec<String> = runs.iter().filter_map(fault).collect();
    for run in runs {
        if run.received.is_empty() {
            wrong.push(format!("{}: no export arrived", run.place.alias));
        }
        if state(run) != designed {
            wrong.push(format!("{}: reported as {}, not {designed}", run.place.alias, state(run)));
        }
    }
    wrong
}

/// The state in act-claude's report.
fn state<'a>(run: &'a DemoRun<'_>) -> &'a str {
    run.session.report.as_ref().and_then(|report| report["state"].as_str()).unwrap_or("nothing")
}
