//! The report of a session: lines for people and JSON for programs, from what is known of its exports (pure).

use std::time::Duration;

use serde_json::{Value, json};

use crate::claude::metrics::Usage;
use crate::plan::line::{Importance, Line};
use crate::state::outcome::{Outcome, Problem, State, nothing_sent, words};

/// Where a user sees a success in ACT.
pub const WHERE_IN_ACT: &str = "see it in ACT: AI Agent Registry → Agents → Aliases: Monitoring: Active";

/// The facts that a report needs besides the outcome.
#[derive(Debug)]
pub struct Context<'a> {
    /// The alias's name.
    pub alias: &'a str,
    /// The account's name.
    pub account: &'a str,
    /// How long claude ran.
    pub lasted: Duration,
    /// Whether claude must have exported something.
    pub owed: bool,
    /// The reason why it did not, as far as that is known.
    pub cause: Option<&'a Problem>,
    /// Whether the run has `--verify`.
    pub verify: bool,
    /// The session's id, where a relay has begun it.
    pub session: Option<String>,
    /// What the session used; `None`: not known.
    pub usage: Option<Usage>,
}

/// The report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The state that represents the session.
    pub state: State,
    /// Lines for people.
    pub lines: Vec<Line>,
    /// The report for programs.
    pub json: Value,
    /// `--verify`'s exit status where claude exits 0.
    pub verify_code: u8,
    /// Whether there was something to send, and ACT accepted all of it.
    pub success: bool,
}

/// The report on an outcome; `None`: the relay did not answer.
pub fn report(outcome: Option<&Outcome>, context: &Context<'_>) -> Report {
    let state = outcome.map_or(State::NotObserved, Outcome::state);
    let text = match outcome {
        None => Some("what ACT accepted is not known: the relay did not answer".to_owned()),
        Some(outcome) if outcome.is_silent() => {
            // With `--verify`, lines after this one explain the cause from the log.
            let cause = context.cause.filter(|_| !context.verify);
            context.owed.then(|| nothing_sent(Some(context.lasted), cause))
        }
        Some(outcome) => Some(words(outcome)),
    };
    let importance = match state {
        _ if outcome.is_none() => Importance::Action,
        state if state.needs_action() => Importance::Action,
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
    let silence = context.cause.filter(|_| state == State::NothingSent && context.owed);
    let problem = known.problems.get(&state).or(silence);
    let json = json!({
        "alias": context.alias,
        "account": context.account,
        "state": state,
        "exports": known.exports,
        "points": known.points,
        "states": known.states,
        "rejected_points": known.rejected_points,
        "said": problem.map(|problem| &problem.said),
        "cause": problem.map(|problem| &problem.cause),
        "fix": problem.map(|problem| &problem.fix),
        "warning": known.warning,
        "unkept": known.unkept,
        "unaccepted": known.unaccepted,
        "deferred": known.deferred,
        "spool_trouble": known.spool_problem,
        "relay_ended": known.deaths,
        "relay_lost": known.relay_lost,
        "may_be_missing": known.cut_off,
        "seconds": context.lasted.as_secs_f64(),
        "session": context.session,
        "usage": context.usage,
        "text": text,
    });
    Report { state, lines, json, verify_code: known.exit_code(state), success }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::outcome::{NOTHING, duration};

    fn outcome(exports: u64, points: u64, states: &[(State, u64)]) -> Outcome {
        let problem = |state: &State| {
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
            Problem { said: said.into(), cause: cause.into(), fix: fix.into(), code }
        };
        Outcome {
            exports,
            points,
            states: states.iter().copied().collect(),
            problems: states
                .iter()
                .filter(|(state, _)| *state != State::Delivered)
                .map(|(state, _)| (*state, problem(state)))
                .collect(),
            ..Outcome::default()
        }
    }

    fn context(lasted: u64) -> Context<'static> {
        Context {
            alias: "billing",
            account: "acme",
            lasted: Duration::from_secs(lasted),
            owed: true,
            cause: None,
            verify: false,
            session: None,
            usage: None,
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
            (partial, "billing: 2 exports delivered; ACT rejected 3 of 9 points", Importance::Notice, 65),
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
    fn nothing_sent_is_worth_a_word_where_something_was_owed() {
        let nothing = outcome(0, 0, &[]);
        let (said, fix) = ("it stops (k in s.json)".to_owned(), "remove k".to_owned());
        let cause = Problem { said, cause: String::new(), fix, code: 69 };
        let told = |owed, cause, verify| {
            let report = report(Some(&nothing), &Context { owed, cause, verify, ..context(11) });
            (report.lines.into_iter().map(|line| line.text).collect::<String>(), report.json["fix"].clone())
        };
        assert_eq!(told(false, Some(&cause), false), (String::new(), Value::Null));
        assert_eq!(told(true, None, false), ("billing: claude sent no metrics in 11s".to_owned(), Value::Null));
        let line = "billing: claude sent no metrics in 11s: it stops (k in s.json): remove k";
        assert_eq!(told(true, Some(&cause), false), (line.to_owned(), json!("remove k")));
        assert_eq!(told(true, Some(&cause), true).0, "billing: claude sent no metrics in 11s");
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
    fn a_relay_that_did_not_answer_is_said_everywhere_and_what_is_under_way_is_not() {
        let none = report(None, &context(5));
        let text = "billing: what ACT accepted is not known: the relay did not answer".to_owned();
        assert_eq!(none.lines, [Line { importance: Importance::Action, text }]);
        assert_eq!((none.state, none.verify_code, none.success), (State::NotObserved, NOTHING, false));
        let under_way = report(Some(&outcome(1, 1, &[(State::UnderWay, 1)])), &context(5));
        assert_eq!(under_way.lines[0].importance, Importance::Notice);
    }

    #[test]
    fn what_waits_names_its_cause_where_the_user_can_do_something() {
        let mut waiting = outcome(1, 1, &[(State::Waiting, 1)]);
        assert_eq!(words(&waiting), "1 export waiting (503 Service Unavailable), kept for the next session");
        let problem = waiting.problems.get_mut(&State::Waiting).unwrap();
        problem.fix = "check HTTPS_PROXY".to_owned();
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
