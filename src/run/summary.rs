//! The report of a session: from what is known of its exports to lines for people and JSON for programs (pure).

use std::time::Duration;

use serde_json::{Value, json};

use crate::plan::line::{Importance, Line};
use crate::state::outcome::{Outcome, State, duration, words};

/// Where a success shows in ACT.
pub const WHERE_IN_ACT: &str = "see it in ACT: AI Agent Registry → Agents → Aliases: Monitoring: Active";

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::outcome::{NOTHING, Trouble};

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
