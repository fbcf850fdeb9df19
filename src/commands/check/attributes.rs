//! Asks whether ACT accepts the attributes that `attribute` of the alias adds: an export without metrics that has them, compared
//! with one that has not.

use serde_json::{Value, json};

use super::conclusion::Answers;
use super::{Step, StepState, Subject};
use crate::delivery::cause;
use crate::delivery::verdict::Verdict;
use crate::relay::attribution::{self, Export};
use crate::state::outcome::Problem;
use crate::system::environment::Environment;

/// The attributes that an export from the working directory would have now, in addition to the alias's own.
pub fn of(subject: &Subject<'_>, environment: &Environment) -> Vec<(String, String)> {
    let Some(stamp) = subject.config.stamp(subject.alias, environment) else { return Vec::new() };
    let directory = std::env::current_dir().ok();
    let export = Export { body: &[], own: &subject.alias.resource_attributes(), redact: &subject.config.redact() };
    attribution::added(&stamp, directory.as_deref(), environment, export)
}

/// An export without metrics, with these resource attributes.
fn export(attributes: &[(String, String)]) -> Vec<u8> {
    let attribute = |(key, value): &(String, String)| json!({ "key": key, "value": { "stringValue": value } });
    let attributes: Vec<Value> = attributes.iter().map(attribute).collect();
    json!({ "resourceMetrics": [{ "resource": { "attributes": attributes }, "scopeMetrics": [] }] }).to_string().into()
}

/// Asks with `ask`, which sends an export. The step, and the problem where ACT refuses the attributes.
pub fn step(
    subject: &Subject<'_>,
    more: &[(String, String)],
    ask: impl Fn(&[u8]) -> Verdict,
) -> (Step, Option<Problem>) {
    let own = subject.alias.resource_attributes();
    let without = ask(&export(&own));
    let with = ask(&export(&[&own[..], more].concat()));
    conclude(subject, more, &without, &with)
}

/// What the two answers show (pure).
fn conclude(
    subject: &Subject<'_>,
    more: &[(String, String)],
    without: &Verdict,
    with: &Verdict,
) -> (Step, Option<Problem>) {
    let keys: Vec<&str> = more.iter().map(|(key, _)| key.as_str()).collect();
    let keys = keys.join(", ");
    let step = |state, seen| Step { name: "attributes", state, seen };
    let taken = |verdict: &Verdict| matches!(verdict, Verdict::Delivered { .. });
    if taken(with) {
        return (step(StepState::Passed, format!("ACT accepts an export without metrics that has {keys}")), None);
    }
    if !taken(without) || !Answers::differs(without, with) {
        let seen = format!("no answer shows whether ACT accepts {keys}: an export without metrics shows nothing here");
        return (step(StepState::Open, seen), None);
    }
    let said = cause::explain(with, &subject.whose()).1.map_or_else(String::new, |problem| problem.said);
    let problem = Problem {
        said: format!("{said}, where an export has {keys}"),
        cause: format!("ACT refuses what \"attribute\" of alias {} adds", subject.name),
        fix: format!("set \"attribution\": false at account {}", subject.account_name),
        code: 65,
    };
    (step(StepState::Stopped, problem.said.clone()), Some(problem))
}
