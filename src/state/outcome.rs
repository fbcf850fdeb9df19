//! The outcome of a session's exports, with its text and exit status (pure).
//!
//! The states are those that the documentation names. No other state is ever reported (promise B14).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The state of an export or a session. The worst is first: the order decides `--verify`'s exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is neither stored nor delivered.
    Lost,
    /// ACT will never accept it; it is in the dead letters.
    Rejected,
    /// ACT answered 2xx with a body that is not an OTLP answer; it is kept.
    NotUnderstood,
    /// ACT accepted some of its points.
    Partial,
    /// It is kept until the user corrects something.
    Held,
    /// It is tried again.
    Waiting,
    /// It is not decided yet.
    UnderWay,
    /// Claude sent nothing.
    NothingSent,
    /// It is not known whether claude sent anything, or what ACT answered.
    NotObserved,
    /// ACT has it.
    Delivered,
}

/// The states of exports that are in the spool, in the order in which they are likely to leave it. Where some have left it and
/// it is not known which ones, they are taken from these states in this order.
pub const OPEN: [State; 4] = [State::UnderWay, State::Waiting, State::NotUnderstood, State::Held];

impl State {
    /// Whether an export stays in it until the user does something, or for ever.
    pub fn needs_action(self) -> bool {
        matches!(self, Self::Lost | Self::Rejected | Self::NotUnderstood | Self::Held)
    }
}

/// Why an export is in its state, as text for users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What happened: "ACT answered 401 Unauthorized".
    pub said: String,
    /// Its meaning; may be empty.
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
    /// How many exports are in each state.
    pub states: BTreeMap<State, u64>,
    /// The latest problem for each state except delivered.
    #[serde(rename = "troubles")]
    pub problems: BTreeMap<State, Problem>,
    /// Points that ACT rejected in partial successes.
    pub rejected_points: u64,
    /// A warning in a success answer of ACT.
    pub warning: Option<String>,
    /// Why exports could not be stored on this machine.
    #[serde(default)]
    pub unkept: Option<String>,
    /// Why no connection could be accepted for a while: exports that claude tried to send then may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unaccepted: Option<String>,
    /// The waiting exports that stepped aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<Deferred>,
    /// Why an export with a final state is still in the spool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "spool_trouble")]
    pub spool_problem: Option<String>,
    /// How often the relay ended unexpectedly, and was replaced.
    #[serde(default)]
    pub deaths: u64,
    /// Requests that were cut off by such an end, and did not come again.
    #[serde(default)]
    pub cut_off: u64,
    /// Exports that the totals lack: they could not be read, or have running totals.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsummed: u64,
    /// The relay was not replaced any more, and nothing received what claude sent then.
    #[serde(default)]
    pub relay_lost: bool,
    /// Whether the relay of the session was killed, as it is seen later: nobody goes on delivering its exports but the next session.
    #[serde(skip)]
    pub relay_was_killed: bool,
}

/// Exports that stepped aside: they fail, and the others go first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// How many.
    pub exports: u64,
    /// Whether ACT is known to accept others: one was accepted when the last of them stepped aside.
    #[serde(default)]
    pub accepts_others: bool,
    /// Why the last of them failed.
    #[serde(rename = "trouble")]
    pub problem: Problem,
}

/// `--verify`'s exit status where nothing was sent, or where that is not known.
pub const NOTHING: u8 = 69;

impl Outcome {
    /// How many exports are in a state.
    pub fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// The state of the session: the worst state of its exports.
    pub fn state(&self) -> State {
        let worst = self.states.iter().find(|(_, count)| **count > 0).map(|(state, _)| *state);
        match (self.exports, worst) {
            (0, _) if self.may_lack_exports() => State::NotObserved,
            (0, _) => State::NothingSent,
            (_, Some(State::Delivered)) if self.relay_lost => State::NotObserved,
            (_, worst) => worst.unwrap_or(State::UnderWay),
        }
    }

    /// Whether the only thing to report is that claude sent nothing.
    pub fn is_silent(&self) -> bool {
        self.exports == 0 && !self.relay_lost && self.deaths == 0 && self.unaccepted.is_none()
    }

    /// Whether exports that claude sent may be lost without being counted.
    pub fn may_lack_exports(&self) -> bool {
        self.relay_lost || self.cut_off > 0 || self.unaccepted.is_some()
    }

    /// Whether the totals of claude's metrics include all that claude sent, as far as is known.
    pub fn has_all_totals(&self) -> bool {
        !self.may_lack_exports() && self.unsummed == 0
    }

    /// How many exports stepped aside; they count as waiting, too.
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

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The text about the relay, if it ended unexpectedly.
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

/// The text of an outcome of ACT's exports that has at least one export, or whose relay ended unexpectedly.
pub(crate) fn words(outcome: &Outcome) -> String {
    words_of(outcome, "ACT")
}

/// The text of an outcome of the exports that `receiver` gets.
pub(crate) fn words_of(outcome: &Outcome, receiver: &str) -> String {
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
        let count = outcome.rejected_points;
        // ACT's message may say no more than the count.
        let is_new = |said: &&str| *said != format!("{} rejected", points(count));
        let said = outcome.problems.get(&State::Partial).map(|problem| problem.said.as_str()).filter(is_new);
        let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
        parts.push(format!("{receiver} rejected {count} of {}{said}", points(outcome.points)));
    } else if let Some(warning) = &outcome.warning {
        parts.push(format!("{receiver} warns: {warning}"));
    }
    for (state, count) in outcome.states.iter().filter(|(_, count)| **count > 0) {
        let count = if *state == State::Waiting { *count - outcome.deferred() } else { *count };
        if count == 0 {
            continue;
        }
        let problem = outcome.problems.get(state);
        let said = problem.map(|problem| problem.said.as_str()).unwrap_or_default();
        let tail = match state {
            State::Delivered | State::Partial | State::NothingSent => continue,
            State::NotObserved => {
                format!("not observed: the relay was killed before it could note {receiver}'s answer")
            }
            State::Lost => format!("lost: {said}"),
            State::Rejected => format!("rejected, moved to the dead letters: {said}"),
            State::NotUnderstood => format!("not understood, kept: {said}"),
            State::Held => format!("held: {said}"),
            State::Waiting => format!("waiting ({said}), kept for the next session"),
            State::UnderWay if outcome.relay_lost || outcome.relay_was_killed => {
                "not decided when the relay ended".to_owned()
            }
            State::UnderWay => "not decided yet: delivery continues in the background".to_owned(),
        };
        // The cause of a waiting export is named only if the user can do something.
        let told = problem.filter(|problem| *state != State::Waiting || !problem.fix.is_empty());
        let advice = told.map(advice).unwrap_or_default();
        let subject = if parts.is_empty() { exports(count) } else { count.to_string() };
        parts.push(format!("{subject} {tail}{advice}"));
    }
    parts.extend(deferred_words(outcome, receiver, parts.is_empty()));
    if let Some(why) = &outcome.unkept {
        parts.push(format!("exports could not be stored on this machine: {why}"));
    }
    if let Some(why) = &outcome.unaccepted {
        parts.push(format!("no connection could be accepted for a while ({why}): exports may be missing"));
    }
    if let Some(why) = &outcome.spool_problem {
        parts.push(format!("finished exports can't be removed from the spool: {why}"));
    }
    parts.extend(words_of_relay(outcome));
    parts.join("; ")
}

/// "claude sent no metrics in 12s: …", with the cause as far as it is known.
pub(crate) fn nothing_sent(lasted: Option<Duration>, cause: Option<&Problem>) -> String {
    let time = lasted.map(|lasted| format!(" in {}", duration(lasted))).unwrap_or_default();
    let parts = cause.iter().flat_map(|cause| [&cause.said, &cause.fix]).filter(|part| !part.is_empty());
    parts.fold(format!("claude sent no metrics{time}"), |words, part| format!("{words}: {part}"))
}

/// "1 stepped aside (500 Internal Server Error): ACT accepts others; it is kept: act-claude act flush"
fn deferred_words(outcome: &Outcome, receiver: &str, is_first: bool) -> Option<String> {
    let (count, deferred) = (outcome.deferred(), outcome.deferred.as_ref()?);
    let subject = if is_first { exports(count) } else { count.to_string() };
    let kept = if count == 1 { "it is kept" } else { "they are kept" };
    let said = &deferred.problem.said;
    let others = others(receiver, deferred.accepts_others);
    (count > 0).then(|| format!("{subject} stepped aside ({said}): {others}; {kept}: act-claude act flush"))
}

/// What is known of the exports beside one that stepped aside.
pub(crate) fn others(receiver: &str, are_accepted: bool) -> String {
    if are_accepted { format!("{receiver} accepts others") } else { "the others go first".to_owned() }
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
