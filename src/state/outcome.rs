//! What became of a session's exports, and the words and exit status for it (pure).
//!
//! The states are the ones of the contract, and nothing else is ever claimed (promise B14).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What an export, or a session, can be. Worst first: the order decides `--verify`'s exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It could not even be stored.
    Lost,
    /// ACT will never take it; set aside.
    Rejected,
    /// 2xx with something that is no OTLP answer; kept.
    NotUnderstood,
    /// ACT took some of its points.
    Partial,
    /// Kept until the user puts something right.
    Held,
    /// To be retried.
    Waiting,
    /// Not decided when act-claude had to leave.
    UnderWay,
    /// Claude sent nothing.
    NothingSent,
    /// Nobody could see.
    NotObserved,
    /// ACT has it.
    Delivered,
}

/// Why an export is in its state, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What happened: "ACT answered 401 Unauthorized".
    pub said: String,
    /// What that means; may be empty.
    pub cause: String,
    /// What to do; may be empty.
    pub fix: String,
    /// `--verify`'s exit status for it.
    pub code: u8,
}

/// What is known of a session's exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Exports claude sent.
    pub exports: u64,
    /// Data points in them.
    pub points: u64,
    /// How many exports are in which state; `Delivered` counts partial ones, too.
    pub states: BTreeMap<State, u64>,
    /// Why, for each state but delivered: the latest.
    #[serde(rename = "troubles")]
    pub problems: BTreeMap<State, Problem>,
    /// Points ACT refused in partial answers.
    pub rejected_points: u64,
    /// A warning ACT gave along with a success.
    pub warning: Option<String>,
    /// Why exports could not be kept on this machine until ACT had them.
    #[serde(default)]
    pub unkept: Option<String>,
    /// Why connections could not be accepted for a while: what claude wanted to send then may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unaccepted: Option<String>,
    /// Those of the waiting ones that fail by themselves while ACT takes others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<Deferred>,
    /// Why an export that is decided is still in the spool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "spool_trouble")]
    pub spool_problem: Option<String>,
    /// How often the relay ended without having been told to, and was replaced.
    #[serde(default)]
    pub deaths: u64,
    /// Requests that were cut off by that, and did not come again.
    #[serde(default)]
    pub cut_off: u64,
    /// The relay was not replaced any more: nobody saw what claude sent then.
    #[serde(default)]
    pub relay_lost: bool,
}

/// Exports that fail by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// How many.
    pub exports: u64,
    /// Why the last of them failed.
    #[serde(rename = "trouble")]
    pub problem: Problem,
}

/// `--verify`'s exit status where nothing was sent, or nobody could see.
pub const NOTHING: u8 = 69;

impl Outcome {
    /// How many exports are in a state.
    pub fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// The worst state, which stands for the session.
    pub fn state(&self) -> State {
        let worst = self.states.iter().find(|(_, count)| **count > 0).map(|(state, _)| *state);
        match (self.exports, worst) {
            (0, _) if self.may_lack_exports() => State::NotObserved,
            (0, _) => State::NothingSent,
            (_, Some(State::Delivered)) if self.relay_lost => State::NotObserved,
            (_, worst) => worst.unwrap_or(State::UnderWay),
        }
    }

    /// Whether there is no more to say than that claude sent nothing.
    pub fn is_silent(&self) -> bool {
        self.exports == 0 && !self.relay_lost && self.deaths == 0 && self.unaccepted.is_none()
    }

    /// Whether something that claude sent may be nowhere, or was seen by nobody.
    pub fn may_lack_exports(&self) -> bool {
        self.relay_lost || self.cut_off > 0 || self.unaccepted.is_some()
    }

    /// How many exports fail by themselves while ACT takes others; they count as waiting, too.
    pub fn deferred(&self) -> u64 {
        let deferred = self.deferred.as_ref().map_or(0, |deferred| deferred.exports);
        deferred.min(self.count(State::Waiting))
    }

    /// `--verify`'s exit status for a state.
    pub fn exit_code(&self, state: State) -> u8 {
        match state {
            State::Lost => 74,
            State::Rejected | State::NotUnderstood | State::Partial => 65,
            State::Held => self.problems.get(&state).map_or(78, |problem| problem.code),
            State::Waiting | State::UnderWay => 75,
            State::NothingSent | State::NotObserved => NOTHING,
            State::Delivered => 0,
        }
    }
}

/// What became of the relay, where that is worth a word.
fn words_of_relay(outcome: &Outcome) -> Option<String> {
    let times = match outcome.deaths {
        0 | 1 => String::new(),
        count => format!(" {count} times"),
    };
    let missing = match outcome.cut_off {
        0 => String::new(),
        count => format!(": up to {} may be missing", exports(count)),
    };
    match (outcome.relay_lost, outcome.deaths) {
        (true, _) => Some(format!("the relay ended unexpectedly{times}, and what claude sent after that is not known")),
        (false, 0) => None,
        (false, _) => Some(format!("the relay ended unexpectedly{times} and was replaced{missing}")),
    }
}

/// An outcome in words: one of at least one export, or one whose relay is worth a word.
pub(crate) fn words(outcome: &Outcome) -> String {
    let accepted = outcome.count(State::Delivered) + outcome.count(State::Partial);
    let mut parts = Vec::new();
    if outcome.exports == 0 {
        parts.push("claude sent no metrics".to_owned());
    } else if accepted == outcome.exports && outcome.rejected_points == 0 {
        parts.push(format!("{} delivered ({})", exports(accepted), points(outcome.points)));
    } else if accepted == outcome.exports {
        parts.push(format!("{} delivered", exports(accepted)));
    } else if accepted > 0 {
        parts.push(format!("{accepted} of {} delivered", exports(outcome.exports)));
    }
    if outcome.rejected_points > 0 {
        let said = outcome.problems.get(&State::Partial).map(|problem| format!(" ({})", problem.said));
        parts.push(format!(
            "ACT rejected {} of {}{}",
            outcome.rejected_points,
            points(outcome.points),
            said.unwrap_or_default()
        ));
    } else if let Some(warning) = &outcome.warning {
        parts.push(format!("ACT warns: {warning}"));
    }
    for (state, count) in outcome.states.iter().filter(|(_, count)| **count > 0) {
        let count = if *state == State::Waiting { *count - outcome.deferred() } else { *count };
        if count == 0 {
            continue;
        }
        let problem = outcome.problems.get(state);
        let said = problem.map(|problem| problem.said.as_str()).unwrap_or_default();
        let tail = match state {
            State::Delivered | State::Partial | State::NothingSent | State::NotObserved => continue,
            State::Lost => format!("lost: {said}"),
            State::Rejected => format!("rejected and set aside: {said}"),
            State::NotUnderstood => format!("not understood, kept: {said}"),
            State::Held => format!("held: {said}"),
            State::Waiting => format!("waiting ({said}), kept for the next session"),
            State::UnderWay => "under way: delivery goes on in the background".to_owned(),
        };
        // What waits for better times needs no word about the cause, unless the user can do something.
        let told = problem.filter(|problem| *state != State::Waiting || !problem.fix.is_empty());
        let advice = told.map(advice).unwrap_or_default();
        let subject = if parts.is_empty() { exports(count) } else { count.to_string() };
        parts.push(format!("{subject} {tail}{advice}"));
    }
    parts.extend(deferred_words(outcome, parts.is_empty()));
    if let Some(why) = &outcome.unkept {
        parts.push(format!("nothing could be kept on this machine: {why}"));
    }
    if let Some(why) = &outcome.unaccepted {
        parts.push(format!("no connection could be accepted for a while ({why}): exports may be missing"));
    }
    if let Some(why) = &outcome.spool_problem {
        parts.push(format!("what is done with can't be removed from the spool: {why}"));
    }
    parts.extend(words_of_relay(outcome));
    parts.join("; ")
}

/// "claude sent no metrics in 12s: …", with as much of the cause as is known.
pub(crate) fn nothing_sent(lasted: Option<Duration>, cause: Option<&Problem>) -> String {
    let time = lasted.map(|lasted| format!(" in {}", duration(lasted))).unwrap_or_default();
    let parts = cause.iter().flat_map(|cause| [&cause.said, &cause.fix]).filter(|part| !part.is_empty());
    parts.fold(format!("claude sent no metrics{time}"), |words, part| format!("{words}: {part}"))
}

/// "1 stepped aside (500 Internal Server Error): ACT takes others; it is kept: act-claude act flush"
fn deferred_words(outcome: &Outcome, is_first: bool) -> Option<String> {
    let (count, deferred) = (outcome.deferred(), outcome.deferred.as_ref()?);
    let subject = if is_first { exports(count) } else { count.to_string() };
    let kept = if count == 1 { "it is kept" } else { "they are kept" };
    let said = &deferred.problem.said;
    (count > 0).then(|| format!("{subject} stepped aside ({said}): ACT takes others; {kept}: act-claude act flush"))
}

/// ". The API token or its user is wrong: act-claude act setup --account acme".
pub(crate) fn advice(problem: &Problem) -> String {
    match (problem.cause.trim_end_matches('.'), problem.fix.as_str()) {
        ("", "") => String::new(),
        ("", fix) => format!(". {fix}"),
        (cause, "") => format!(". {cause}"),
        (cause, fix) => format!(". {cause}: {fix}"),
    }
}

pub(crate) fn exports(count: u64) -> String {
    format!("{count} export{}", if count == 1 { "" } else { "s" })
}

pub(crate) fn points(count: u64) -> String {
    format!("{count} point{}", if count == 1 { "" } else { "s" })
}

/// `12s`, `3m12s`, `2h05m`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}
