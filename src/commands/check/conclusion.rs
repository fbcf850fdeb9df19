//! Concludes from ACT's answers whether credential and alias are good (pure).
//!
//! The rule: only the credential, or only the alias id, is replaced by one that can't exist. If ACT's answer changes, ACT looks at
//! that value, and the real one was accepted. If the answer stays the same, it shows nothing.

use super::proof::{self, Proof};
use super::{Step, StepState};
use crate::delivery::cause::{self, Whose};
use crate::delivery::verdict::{Reason, Verdict};
use crate::state::outcome::Problem;

/// ACT's answers to an export without metrics.
#[derive(Debug, Clone)]
pub struct Answers {
    /// With the configured credential and alias id.
    pub main: Verdict,
    /// Without a credential.
    pub no_credential: Option<Verdict>,
    /// With a credential that nobody has. Asked only where ACT refuses a request without a credential.
    pub unknown_credential: Option<Verdict>,
    /// With an alias id that nobody has.
    pub unknown_alias: Option<Verdict>,
}

/// Exit status where the answers show nothing.
const UNCLEAR: u8 = 69;

/// The part of the request that an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The export itself: taken, or rejected, for example because it holds no metrics.
    Export,
    Credential,
    Alias,
    /// Something that fails before ACT looks at any of these: a wrong URL, or a server that is not available.
    Other,
}

fn about(verdict: &Verdict) -> About {
    match verdict {
        Verdict::Delivered { .. } | Verdict::Partial { .. } | Verdict::Rejected(_) => About::Export,
        Verdict::Held(Reason::AliasNotFound | Reason::AliasOfAnotherAccount) => About::Alias,
        Verdict::Held(Reason::Status { status: 401 | 403, .. }) => About::Credential,
        Verdict::Held(_) | Verdict::Waiting { .. } | Verdict::NotUnderstood(_) => About::Other,
    }
}

/// Whether ACT has looked at the request, so that further questions can show more.
pub fn has_passed(main: &Verdict) -> bool {
    about(main) != About::Other
}

impl Answers {
    /// Whether `control` is a definite answer that differs from `main`.
    pub fn differs(main: &Verdict, control: &Verdict) -> bool {
        let is_definite = match control {
            Verdict::Held(Reason::Failure(_)) | Verdict::Waiting { .. } | Verdict::NotUnderstood(_) => false,
            Verdict::Held(_) | Verdict::Rejected(_) | Verdict::Delivered { .. } | Verdict::Partial { .. } => true,
        };
        is_definite && kind(main) != kind(control)
    }

    fn credential_counts(&self) -> bool {
        let controls = [&self.no_credential, &self.unknown_credential];
        controls.iter().all(|control| control.as_ref().is_some_and(|control| Self::differs(&self.main, control)))
    }

    fn alias_counts(&self) -> bool {
        self.unknown_alias.as_ref().is_some_and(|control| Self::differs(&self.main, control))
    }
}

/// The part of an answer that is compared. Messages are not, because a message may hold a request's number.
fn kind(verdict: &Verdict) -> (u8, u16) {
    match verdict {
        Verdict::Delivered { .. } | Verdict::Partial { .. } => (0, 200),
        Verdict::Held(reason) | Verdict::Rejected(reason) | Verdict::NotUnderstood(reason) => match reason {
            Reason::AliasNotFound => (1, 0),
            Reason::AliasOfAnotherAccount => (2, 0),
            Reason::EmptyPayload => (3, 0),
            Reason::Status { status, .. } => (4, *status),
            Reason::NotOtlp { status, .. } => (5, *status),
            Reason::Failure(_) => (6, 0),
        },
        Verdict::Waiting { .. } => (7, 0),
    }
}

/// The steps after the connection, the problem at which they stopped, and the exit status. Where Boomi has accepted the credential,
/// that step stands before them.
pub fn conclude(answers: &Answers, whose: &Whose<'_>, proof: &Proof) -> (Vec<Step>, Option<Problem>, u8) {
    let main = &answers.main;
    let accepted_for = match proof {
        Proof::Accepted(id) => Some(id.as_str()),
        Proof::Refused(_) | Proof::Open(_) => None,
    };
    let problem = cause::explain(main, whose).1.map(|problem| match (about(main), accepted_for) {
        (About::Credential, Some(id)) => proof::without_right(problem, id),
        _ => problem,
    });
    let said = |verdict: &Option<Verdict>| verdict.as_ref().map_or_else(String::new, |verdict| words(verdict, whose));
    let step = |name, state, seen| Step { name, state, seen };
    let stopped = |name| step(name, StepState::Stopped, words(main, whose));
    let mut steps = Vec::new();
    if about(main) == About::Other {
        steps.push(stopped("answer"));
        let code = problem.as_ref().map_or(UNCLEAR, |problem| problem.code);
        return (steps, problem, code);
    }
    let credential = accepted_for.is_some() || answers.credential_counts();
    let alias = answers.alias_counts();
    steps.extend(credential_step(answers, whose, accepted_for.is_some()));
    if about(main) == About::Alias {
        steps.push(stopped("alias"));
    } else if alias {
        let seen = format!("ACT knows it (for an unknown id it answers: {})", said(&answers.unknown_alias));
        steps.push(step("alias", StepState::Passed, seen));
    } else if about(main) != About::Credential {
        steps.push(step("alias", StepState::Open, unclear("alias", answers, whose)));
    }
    match about(main) {
        // A rejection for another reason than an empty export is reported as it is.
        About::Export
            if !(credential && alias)
                && matches!(main, Verdict::Rejected(reason) if *reason != Reason::EmptyPayload) =>
        {
            steps.push(stopped("answer"));
            let code = problem.as_ref().map_or(UNCLEAR, |problem| problem.code);
            (steps, problem, code)
        }
        About::Export => (steps, None, if credential || alias { 0 } else { UNCLEAR }),
        _ => {
            let code = problem.as_ref().map_or(UNCLEAR, |problem| problem.code);
            (steps, problem, code)
        }
    }
}

/// The step about the credential. `None` where Boomi has accepted it, and ACT's answer says nothing against it.
fn credential_step(answers: &Answers, whose: &Whose<'_>, is_proven: bool) -> Option<Step> {
    let step = |name, state, seen| Some(Step { name, state, seen });
    match about(&answers.main) {
        About::Credential if is_proven => step("right", StepState::Stopped, words(&answers.main, whose)),
        About::Credential => step("credential", StepState::Stopped, words(&answers.main, whose)),
        _ if is_proven => None,
        _ if answers.credential_counts() => {
            let said = |verdict: &Option<Verdict>| verdict.as_ref().map_or_else(String::new, |it| words(it, whose));
            let (none, unknown) = (said(&answers.no_credential), said(&answers.unknown_credential));
            let seen = match none == unknown {
                true => format!("ACT knows it (without a credential, and with an unknown one, it answers: {none})"),
                false => {
                    format!("ACT knows it (without a credential it answers: {none}; with an unknown one: {unknown})")
                }
            };
            step("credential", StepState::Passed, seen)
        }
        _ => step("credential", StepState::Open, unclear("credential", answers, whose)),
    }
}

/// Why a step is unclear: the control question got the same answer, or none that is definite.
fn unclear(what: &str, answers: &Answers, whose: &Whose<'_>) -> String {
    let (control, replaced) = match what {
        "alias" => (answers.unknown_alias.as_ref(), "an unknown alias id"),
        _ => match &answers.unknown_credential {
            Some(control) => (Some(control), "an unknown credential"),
            None => (answers.no_credential.as_ref(), "no credential"),
        },
    };
    match control {
        Some(control) if kind(control) == kind(&answers.main) => {
            format!("unclear without a session: with {replaced} ACT answers the same ({})", words(control, whose))
        }
        Some(control) => format!("unclear without a session: with {replaced} it answers: {}", words(control, whose)),
        None => "unclear without a session".to_owned(),
    }
}

/// An answer in a few words.
fn words(verdict: &Verdict, whose: &Whose<'_>) -> String {
    match cause::explain(verdict, whose).1 {
        None => "accepted".to_owned(),
        Some(problem) => {
            // It is clear here that ACT answered.
            let said = problem.said.split_once(" answered").map_or(problem.said.as_str(), |(_, said)| said);
            said.trim_start_matches([':', ' ']).to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Verdict {
        let reason = Reason::Status { status, message: None, redirect: None };
        match status {
            400 => Verdict::Rejected(reason),
            503 => Verdict::Waiting { reason, retry_after: None },
            _ => Verdict::Held(reason),
        }
    }

    fn empty() -> Verdict {
        Verdict::Rejected(Reason::EmptyPayload)
    }

    fn not_found() -> Verdict {
        Verdict::Held(Reason::AliasNotFound)
    }

    fn foreign() -> Verdict {
        Verdict::Held(Reason::AliasOfAnotherAccount)
    }

    fn taken() -> Verdict {
        Verdict::Delivered { warning: None }
    }

    /// One letter for each step (p: passed, s: stopped, u: unclear), and the exit status.
    fn conclusion(main: Verdict, none: Verdict, unknown: Option<Verdict>, alias: Verdict) -> (String, u8) {
        let answers =
            Answers { main, no_credential: Some(none), unknown_credential: unknown, unknown_alias: Some(alias) };
        let whose = Whose { account: "acme", alias: "billing", endpoint: "https://act.example.com/m" };
        shown(conclude(&answers, &whose, &Proof::Open(String::new())))
    }

    fn shown((steps, problem, code): (Vec<Step>, Option<Problem>, u8)) -> (String, u8) {
        assert_eq!(problem.is_some(), ![0, 69].contains(&code), "{steps:?}");
        let letter = |step: &Step| match step.state {
            StepState::Passed => 'p',
            StepState::Stopped => 's',
            StepState::Open => 'u',
        };
        (steps.iter().map(|step| format!("{}:{} ", step.name, letter(step))).collect::<String>(), code)
    }

    #[test]
    fn in_whatever_order_act_looks() {
        let both = |c, a| format!("credential:{c} alias:{a} ");
        let c401 = || Some(status(401));
        for (case, main, none, unknown, alias, steps, code) in [
            // ACT looks at credential, alias, payload, in this order.
            ("good", empty(), status(401), c401(), not_found(), both('p', 'p'), 0),
            ("bad token", status(401), status(401), None, status(401), "credential:s ".to_owned(), 77),
            ("bad alias", not_found(), status(401), c401(), not_found(), both('p', 's'), 78),
            ("foreign alias", foreign(), status(401), c401(), not_found(), both('p', 's'), 78),
            ("no right", status(403), status(401), c401(), status(403), "credential:s ".to_owned(), 77),
            // ACT looks at alias, credential, payload.
            ("good", empty(), status(401), c401(), not_found(), both('p', 'p'), 0),
            ("bad token", status(401), status(401), None, not_found(), both('s', 'p'), 77),
            ("bad alias", not_found(), not_found(), None, not_found(), both('u', 's'), 78),
            // ACT looks at the payload first: the answers are all the same.
            ("whatever", empty(), empty(), None, empty(), both('u', 'u'), 69),
            // ACT checks the credential, then the payload, then the alias.
            ("good or bad alias", empty(), status(401), c401(), empty(), both('p', 'u'), 0),
            // Before the payload, ACT only looks whether there is a credential.
            ("any credential", empty(), status(401), Some(empty()), not_found(), both('u', 'p'), 0),
            // ACT takes an empty export.
            ("good", taken(), status(401), c401(), not_found(), both('p', 'p'), 0),
            ("anything goes", taken(), taken(), None, taken(), both('u', 'u'), 69),
            // ACT answers with plain statuses.
            ("good", status(400), status(401), c401(), status(404), both('p', 'p'), 0),
            ("bad request", status(400), status(400), None, status(400), both('u', 'u') + "answer:s ", 65),
            // A control that got no answer shows nothing.
            ("busy", empty(), status(503), None, status(503), both('u', 'u'), 69),
            // The request fails before ACT looks at any of these.
            ("wrong URL", status(404), status(404), None, status(404), "answer:s ".to_owned(), 78),
            ("not available", status(503), status(503), None, status(503), "answer:s ".to_owned(), 75),
        ] {
            assert_eq!(conclusion(main, none, unknown, alias), (steps, code), "{case}");
        }
    }

    #[test]
    fn a_credential_that_boomi_accepts() {
        let whose = Whose { account: "acme", alias: "billing", endpoint: "https://act.example.com/m" };
        let proof = Proof::Accepted("a-1".to_owned());
        for (main, alias, steps, code) in [
            (empty(), not_found(), "alias:p ", 0),
            (empty(), empty(), "alias:u ", 0),
            (not_found(), not_found(), "alias:s ", 78),
            (foreign(), not_found(), "alias:s ", 78),
            // Boomi's word is about the token and the account, not about a right in ACT.
            (status(403), status(403), "right:s ", 77),
            (status(401), not_found(), "right:s alias:p ", 77),
            (status(400), status(400), "alias:u answer:s ", 65),
            (status(503), status(503), "answer:s ", 75),
        ] {
            let (no_credential, unknown_credential) = (None, None);
            let answers = Answers { main, no_credential, unknown_credential, unknown_alias: Some(alias) };
            let concluded = conclude(&answers, &whose, &proof);
            if let (_, Some(problem), 77) = &concluded {
                assert!(problem.cause.starts_with("Boomi accepts token and user for a-1, so "), "{problem:?}");
            }
            assert_eq!(shown(concluded), (steps.to_owned(), code));
        }
    }
}
