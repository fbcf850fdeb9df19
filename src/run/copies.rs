//! What a report says of the copies: nothing, unless the user has to act (pure).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::plan::line::Line;
use crate::state::outcome::{Outcome, State, words_of};

/// A line for each destination where the user has to act; with `--verify` for each destination.
pub fn lines(alias: &str, copies: &BTreeMap<String, Outcome>, verify: bool) -> Vec<Line> {
    let line = |(destination, outcome): (&String, &Outcome)| {
        let text = || format!("{alias}: copy {destination}: {}", words_of(outcome, destination));
        match outcome.state() {
            state if state.needs_action() => Some(Line::configuration(text())),
            State::NothingSent => None,
            _ => verify.then(|| Line::notice(text())),
        }
    };
    copies.iter().filter_map(line).collect()
}

/// The copies in the report for programs, by destination.
pub fn json(copies: &BTreeMap<String, Outcome>) -> Value {
    let copy = |(destination, outcome): (&String, &Outcome)| {
        let state = outcome.state();
        let problem = outcome.problems.get(&state);
        let copy = json!({
            "state": state,
            "exports": outcome.exports,
            "points": outcome.points,
            "states": outcome.states,
            "rejected_points": outcome.rejected_points,
            "said": problem.map(|problem| &problem.said),
            "cause": problem.map(|problem| &problem.cause),
            "fix": problem.map(|problem| &problem.fix),
            "unkept": outcome.unkept,
        });
        (destination.clone(), copy)
    };
    copies.iter().map(copy).collect::<serde_json::Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::outcome::Problem;

    fn outcome(state: State) -> Outcome {
        let text = str::to_owned;
        let problem = Problem { said: text("said"), cause: text("Cause"), fix: text("fix"), code: 77 };
        Outcome {
            exports: 2,
            points: 5,
            states: [(state, 2)].into(),
            problems: [(state, problem)].into(),
            ..Outcome::default()
        }
    }

    #[test]
    fn a_copy_is_named_where_the_user_has_to_act() {
        let said = |state, verify| {
            let copies = [("grafana".to_owned(), outcome(state))].into();
            lines("billing", &copies, verify).into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        for state in [State::Delivered, State::Partial, State::Waiting, State::UnderWay] {
            assert_eq!(said(state, false), [""; 0], "{state:?}");
            assert!(said(state, true)[0].starts_with("billing: copy grafana: 2 exports"), "{state:?}");
        }
        assert_eq!(said(State::Held, false), ["billing: copy grafana: 2 exports held: said. Cause: fix"]);
        for state in [State::Lost, State::Rejected, State::NotUnderstood] {
            assert_eq!(said(state, false).len(), 1, "{state:?}");
        }
        assert_eq!(lines("billing", &[("a".to_owned(), Outcome::default())].into(), true).len(), 0);
    }
}
