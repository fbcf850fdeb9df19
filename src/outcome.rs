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
        let worst = self.states.iter().find(|(_, count)| **count > 0).map(|(state, _)| *state);
        match (self.exports, worst) {
            (0, _) if self.relay_lost || self.cut_off > 0 => State::NotObserved,
            (0, _) => State::NothingSent,
            (_, Some(State::Delivered)) if self.relay_lost => State::NotObserved,
            (_, worst) => worst.unwrap_or(State::UnderWay),
        }
    }

    /// Whether there is more to say than that claude sent nothing.
    pub fn is_silent(&self) -> bool {
        self.exports == 0 && !self.relay_lost && self.deaths == 0
    }

    /// Whether something that claude sent may be nowhere, or was seen by nobody.
    pub fn may_lack_exports(&self) -> bool {
        self.relay_lost || self.cut_off > 0
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
        Some(outcome) if outcome.is_silent() => {
            let overdue = context.is_session && (context.lasted > context.interval * 2 || context.verify);
            overdue.then(|| format!("claude sent no metrics in {}", duration(context.lasted)))
        }
        Some(outcome) => Some(words(outcome)),
    };
    let importance = match state {
        State::Lost | State::Rejected | State::NotUnderstood | State::Held => Importance::Action,
        _ if outcome.is_some_and(Outcome::may_lack_exports) => Importance::Action,
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
        "relay_ended": known.deaths,
        "relay_lost": known.relay_lost,
        "may_be_missing": known.cut_off,
        "seconds": context.lasted.as_secs_f64(),
        "text": text,
    });
    Report { lines, json, verify_code: known.exit_code(state), success }
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

/// An outcome of at least one export, or one of which the relay itself is worth a word, in words.
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
        let subject = if parts.is_empty() { exports(*count) } else { count.to_string() };
        parts.push(format!("{subject} {tail}{advice}"));
    }
    if let Some(why) = &outcome.unkept {
        parts.push(format!("nothing could be kept on this machine: {why}"));
    }
    parts.extend(words_of_relay(outcome));
    parts.join("; ")
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
    fn a_relay_that_ended_is_said() {
        let delivered = outcome(6, 12, &[(State::Delivered, 6)]);
        let words = |deaths, cut_off, relay_lost| {
            let outcome = Outcome { deaths, cut_off, relay_lost, ..delivered.clone() };
            let report = report(Some(&outcome), &context(60));
            (report.lines[0].text.clone(), report.lines[0].importance, report.verify_code, report.success)
        };
        let line = |rest: &str| format!("billing: 6 exports delivered (12 points); the relay ended unexpectedly{rest}");
        assert_eq!(words(1, 0, false), (line(" and was replaced"), Importance::Notice, 0, true));
        let missing = line(" 3 times and was replaced: up to 2 exports may be missing");
        assert_eq!(words(3, 2, false), (missing, Importance::Action, 0, true));
        let lost = line(" 11 times, and what claude sent after that is not known");
        assert_eq!(words(11, 0, true), (lost, Importance::Action, NOTHING, false));
        let nothing = Outcome { deaths: 1, cut_off: 1, ..Outcome::default() };
        let report = report(Some(&nothing), &context(1));
        let text = "billing: claude sent no metrics; the relay ended unexpectedly and was replaced: up to 1 export may be missing";
        assert_eq!((report.lines[0].text.as_str(), nothing.state()), (text, State::NotObserved));
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
