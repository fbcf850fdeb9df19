//! Whether the rehearsal went as it should (pure).

use super::compare::{self, Sent};
use super::sandbox::DemoDirectory;
use super::session::Launch;
use crate::rehearsal::receiver::{Export, Fail};

/// A launch and what ACT saw of it.
pub struct Played<'a> {
    /// Where.
    pub place: &'a DemoDirectory,
    /// The launch.
    pub session: Launch,
    /// What ACT saw.
    pub received: Vec<Export>,
}

/// What is wrong with a launch before anything is compared.
pub fn fault(played: &Played<'_>) -> Option<String> {
    let Played { place, session, .. } = played;
    let name = place.alias;
    if !session.status.success() {
        return Some(format!("{name}: claude ended with {}: {}", session.status, session.reply));
    }
    if session.used.is_none() {
        return Some(format!("{name}: claude's answer was not understood: {}", session.reply));
    }
    session.report.is_none().then(|| format!("{name}: act-claude gave no report"))
}

/// Everything that is not as it should be; empty: it is.
pub fn check(played: &[Played<'_>]) -> Vec<String> {
    let faults: Vec<String> = played.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        return faults;
    }
    let number =
        |played: &Played<'_>, key: &str| played.session.report.as_ref().and_then(|report| report[key].as_u64());
    let sent: Vec<Sent<'_>> = played
        .iter()
        .filter_map(|played| {
            let (exports, points) = (number(played, "exports")?, number(played, "points")?);
            Some(Sent { place: played.place, used: played.session.used.as_ref()?, exports, points })
        })
        .collect();
    let received: Vec<Export> = played.iter().flat_map(|played| played.received.iter().cloned()).collect();
    let undelivered = played.iter().filter(|played| state(played) != "delivered");
    let undelivered = undelivered.map(|played| format!("{}: reported as {}", played.place.alias, state(played)));
    compare::differences(&sent, &received).into_iter().chain(undelivered).collect()
}

/// The same where ACT was told to fail.
pub fn judge_failure(played: &[Played<'_>], fail: Fail) -> Vec<String> {
    let designed = match fail {
        Fail::Unauthorized | Fail::Forbidden | Fail::UnknownAlias => "held",
        Fail::BadRequest => "rejected",
        Fail::TooManyRequests | Fail::Unavailable => "waiting",
        Fail::Partial => "partial",
        Fail::Hang => "under_way",
    };
    let mut wrong: Vec<String> = played.iter().filter_map(fault).collect();
    for played in played {
        if played.received.is_empty() {
            wrong.push(format!("{}: no export came", played.place.alias));
        }
        if state(played) != designed {
            wrong.push(format!("{}: reported as {}, not {designed}", played.place.alias, state(played)));
        }
    }
    wrong
}

/// The report's state.
fn state<'a>(played: &'a Played<'_>) -> &'a str {
    played.session.report.as_ref().and_then(|report| report["state"].as_str()).unwrap_or("nothing")
}
