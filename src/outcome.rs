//! What became of a session's exports, and the words and exit status for it (pure).
//!
//! The states are the ones of the contract, and nothing else is ever claimed (promise B14).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::report::{Importance, Line};

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
pub struct Trouble {
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
    pub troubles: BTreeMap<State, Trouble>,
    /// Points ACT refused in partial answers.
    pub rejected_points: u64,
    /// A warning ACT gave along with a success.
    pub warning: Option<String>,
    /// Why exports could not be kept on this machine until ACT had them.
    #[serde(default)]
    pub unkept: Option<String>,
    /// Those of the waiting ones that fail by themselves while ACT takes others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<Deferred>,
    /// Why an export that is decided is still in the spool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool_trouble: Option<String>,
}

/// Exports that fail by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// How many.
    pub exports: u64,
    /// Why the last of them failed.
    pub trouble: Trouble,
}

/// What the report is about.
#[derive(Debug)]
pub struct Context<'a> {
    /// The alias's name.
    pub alias: &'a str,
    /// The account's name.
    pub account: &'a str,
    /// How long claude ran.
    pub lasted: Duration,
    /// Between two exports.
    pub interval: Duration,
    /// Whether claude's arguments asked for a session.
    pub is_session: bool,
    /// `--verify`
    pub verify: bool,
}

/// The report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Lines for people.
    pub lines: Vec<Line>,
    /// The same for programs.
    pub json: Value,
    /// `--verify`'s exit status where claude exits 0.
    pub verify_code: u8,
    /// Whether ACT took everything, and there was something.
    pub success: bool,
}

/// `--verify`'s exit status where nothing was sent, or nobody could see.
pub const NOTHING: u8 = 69;

/// Where a success shows in ACT.
pub const WHERE_IN_ACT: &str = "see it in ACT: AI Agent Registry → Agents → Aliases: Monitoring: Active";

impl Outcome {
    /// How many exports are in a state.
    pub fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// The worst state, which stands for the session.
    pub fn state(&self) -> State {
        if self.exports == 0 {
            return State::NothingSent;
        }
        let worst = self.states.iter().find(|(_, count)| **count > 0).map(|(state, _)| *state);
        worst.unwrap_or(State::UnderWay)
    }

    /// How many exports fail by themselves while ACT takes others; they count as waiting, too.
    pub fn deferred(&self) -> u64 {
        let deferred = self.deferred.as_ref().map_or(0, |deferred| deferred.exports);
        deferred.min(self.count(State::Waiting))
    }

    fn exit_code(&self, state: State) -> u8 {
        match state {
            State::Lost => 74,
            State::Rejected | State::NotUnderstood | State::Partial => 65,
            State::Held => self.troubles.get(&state).map_or(78, |trouble| trouble.code),
            State::Waiting | State::UnderWay => 75,
            State::NothingSent | State::NotObserved => NOTHING,
            State::Delivered => 0,
        }
    }
}

/// The words for an outcome; `None`: the relay did not answer.
pub fn report(outcome: Option<&Outcome>, context: &Context<'_>) -> Report {
    let state = outcome.map_or(State::NotObserved, Outcome::state);
    let text = match outcome {
        None => Some("what ACT accepted is not known: the relay did not answer".to_owned()),
        Some(outcome) if outcome.exports == 0 => {
            let overdue = context.is_session && (context.lasted > context.interval * 2 || context.verify);
            overdue.then(|| format!("claude sent no metrics in {}", duration(context.lasted)))
        }
        Some(outcome) => Some(words(outcome)),
    };
    let importance = match state {
        State::Lost | State::Rejected | State::NotUnderstood | State::Held => Importance::Action,
        _ => Importance::Notice,
    };
    let success = state == State::Delivered;
    let mut lines = Vec::new();
    if let Some(text) = &text {
        lines.push(Line { importance, text: format!("{}: {text}", context.alias) });
    }
    if success && context.verify {
        lines.push(Line::notice(format!("{}: {WHERE_IN_ACT}", context.alias)));
    }
    let empty = Outcome::default();
    let known = outcome.unwrap_or(&empty);
    let trouble = known.troubles.get(&state);
    let json = json!({
        "alias": context.alias,
        "account": context.account,
        "state": state,
        "exports": known.exports,
        "points": known.points,
        "states": known.states,
        "rejected_points": known.rejected_points,
        "said": trouble.map(|trouble| &trouble.said),
        "cause": trouble.map(|trouble| &trouble.cause),
        "fix": trouble.map(|trouble| &trouble.fix),
        "warning": known.warning,
        "unkept": known.unkept,
        "deferred": known.deferred,
        "spool_trouble": known.spool_trouble,
        "seconds": context.lasted.as_secs_f64(),
        "text": text,
    });
    Report { lines, json, verify_code: known.exit_code(state), success }
}

/// An outcome of at least one export, in words.
pub(crate) fn words(outcome: &Outcome) -> String {
    let accepted = outcome.count(State::Delivered) + outcome.count(State::Partial);
    let mut parts = Vec::new();
    if accepted == outcome.exports && outcome.rejected_points == 0 {
        parts.push(format!("{} delivered ({})", exports(accepted), points(outcome.points)));
    } else if accepted == outcome.exports {
        parts.push(format!("{} delivered", exports(accepted)));
    } else if accepted > 0 {
        parts.push(format!("{accepted} of {} delivered", exports(outcome.exports)));
    }
    if outcome.rejected_points > 0 {
        let said = outcome.troubles.get(&State::Partial).map(|trouble| format!(" ({})", trouble.said));
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
        let trouble = outcome.troubles.get(state);
        let said = trouble.map(|trouble| trouble.said.as_str()).unwrap_or_default();
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
        let told = trouble.filter(|trouble| *state != State::Waiting || !trouble.fix.is_empty());
        let advice = told.map(advice).unwrap_or_default();
        let subject = if parts.is_empty() { exports(count) } else { count.to_string() };
        parts.push(format!("{subject} {tail}{advice}"));
    }
    parts.extend(deferred_words(outcome, parts.is_empty()));
    if let Some(why) = &outcome.unkept {
        parts.push(format!("nothing could be kept on this machine: {why}"));
    }
    if let Some(why) = &outcome.spool_trouble {
        parts.push(format!("what is done with can't be removed from the spool: {why}"));
    }
    parts.join("; ")
}

/// "1 stepped aside (500 Internal Server Error): ACT takes the others; it is kept: act-claude act flush"
fn deferred_words(outcome: &Outcome, is_first: bool) -> Option<String> {
    let (count, deferred) = (outcome.deferred(), outcome.deferred.as_ref()?);
    let subject = if is_first { exports(count) } else { count.to_string() };
    let kept = if count == 1 { "it is kept" } else { "they are kept" };
    let said = &deferred.trouble.said;
    (count > 0).then(|| format!("{subject} stepped aside ({said}): ACT takes others; {kept}: act-claude act flush"))
}

/// ". The API token or its user is wrong: act-claude act setup --account acme".
pub(crate) fn advice(trouble: &Trouble) -> String {
    match (trouble.cause.trim_end_matches('.'), trouble.fix.as_str()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(exports: u64, points: u64, states: &[(State, u64)]) -> Outcome {
        let trouble = |state: &State| {
            let (said, cause, fix, code) = match state {
                State::Waiting => ("503 Service Unavailable", "ACT is not available", "", 75),
                State::Held => (
                    "ACT answered 401 Unauthorized",
                    "The API token or its user is wrong",
                    "act-claude act setup --account acme",
                    77,
                ),
                State::Partial => ("3 points rejected", "", "", 65),
                _ => ("said so", "", "", 0),
            };
            Trouble { said: said.into(), cause: cause.into(), fix: fix.into(), code }
        };
        Outcome {
            exports,
            points,
            states: states.iter().copied().collect(),
            troubles: states
                .iter()
                .filter(|(state, _)| *state != State::Delivered)
                .map(|(state, _)| (*state, trouble(state)))
                .collect(),
            ..Outcome::default()
        }
    }

    fn context(lasted: u64) -> Context<'static> {
        Context {
            alias: "billing",
            account: "acme",
            lasted: Duration::from_secs(lasted),
            interval: Duration::from_secs(5),
            is_session: true,
            verify: false,
        }
    }

    #[test]
    fn the_contracts_own_lines() {
        let partial = Outcome { rejected_points: 3, ..outcome(2, 9, &[(State::Delivered, 1), (State::Partial, 1)]) };
        for (outcome, line, importance, code) in [
            (
                outcome(14, 212, &[(State::Delivered, 14)]),
                "billing: 14 exports delivered (212 points)",
                Importance::Notice,
                0,
            ),
            (outcome(1, 1, &[(State::Delivered, 1)]), "billing: 1 export delivered (1 point)", Importance::Notice, 0),
            (
                outcome(14, 212, &[(State::Delivered, 11), (State::Waiting, 3)]),
                "billing: 11 of 14 exports delivered; 3 waiting (503 Service Unavailable), kept for the next session",
                Importance::Notice,
                75,
            ),
            (
                outcome(14, 212, &[(State::Held, 14)]),
                "billing: 14 exports held: ACT answered 401 Unauthorized. The API token or its user is wrong: act-claude act setup --account acme",
                Importance::Action,
                77,
            ),
            (
                partial,
                "billing: 2 exports delivered; ACT rejected 3 of 9 points (3 points rejected)",
                Importance::Notice,
                65,
            ),
            (
                outcome(2, 9, &[(State::Lost, 1), (State::Delivered, 1)]),
                "billing: 1 of 2 exports delivered; 1 lost: said so",
                Importance::Action,
                74,
            ),
            (outcome(0, 0, &[]), "billing: claude sent no metrics in 3m12s", Importance::Notice, 69),
        ] {
            let report = report(Some(&outcome), &context(192));
            assert_eq!(report.lines, [Line { importance, text: line.to_owned() }]);
            assert_eq!(report.verify_code, code, "{line}");
        }
    }

    #[test]
    fn nothing_sent_is_worth_a_word_only_after_two_intervals_of_a_session() {
        let nothing = outcome(0, 0, &[]);
        assert_eq!(report(Some(&nothing), &context(9)).lines, []);
        let subcommand = Context { is_session: false, ..context(500) };
        assert_eq!(report(Some(&nothing), &subcommand).lines, []);
        assert_eq!(report(Some(&nothing), &context(10)).lines, [], "two intervals exactly");
        assert_eq!(report(Some(&nothing), &context(11)).lines.len(), 1);
        let verify = Context { verify: true, ..context(1) };
        assert_eq!(report(Some(&nothing), &verify).lines.len(), 1);
    }

    #[test]
    fn a_state_with_no_exports_in_it_is_none() {
        let delivered = outcome(2, 9, &[(State::Lost, 0), (State::Delivered, 2)]);
        assert_eq!(delivered.state(), State::Delivered);
        assert_eq!(words(&delivered), "2 exports delivered (9 points)");
        assert!(report(Some(&delivered), &context(5)).success);
        assert_eq!(outcome(1, 1, &[]).state(), State::UnderWay);
        let verify = Context { verify: true, ..context(5) };
        assert!(report(Some(&delivered), &verify).lines[1].text.ends_with(WHERE_IN_ACT));
        let held = report(Some(&outcome(1, 1, &[(State::Held, 1)])), &verify);
        assert_eq!((held.success, held.lines.len()), (false, 1));
    }

    #[test]
    fn what_waits_names_its_cause_where_the_user_can_do_something() {
        let mut waiting = outcome(1, 1, &[(State::Waiting, 1)]);
        assert_eq!(words(&waiting), "1 export waiting (503 Service Unavailable), kept for the next session");
        let trouble = waiting.troubles.get_mut(&State::Waiting).unwrap();
        trouble.fix = "check HTTPS_PROXY".to_owned();
        let expected = "1 export waiting (503 Service Unavailable), kept for the next session. ACT is not available: check HTTPS_PROXY";
        assert_eq!(words(&waiting), expected);
    }

    #[test]
    fn times_are_short() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (192, "3m12s"),
            (3_599, "59m59s"),
            (3_600, "1h00m"),
            (7_500, "2h05m"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), expected);
        }
    }
}
