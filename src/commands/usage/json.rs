//! The report for programs (pure). docs/usage.md describes the names.

use serde_json::{Map, Value, json};

use super::group::{Key, Sums};
use super::report::Report;
use crate::claude::measured::Measured;
use crate::state::total::plain;
use crate::text::paths;
use crate::usage::ledger::{Fault, Why};

/// The report.
pub fn of(report: &Report<'_>) -> Value {
    let groups = report.groups().into_iter().map(|group| {
        let mut value = Map::new();
        value.insert("name".to_owned(), name(group.key).into());
        value.append(&mut sums(&group.sums));
        Value::Object(value)
    });
    let ledger = report.ledger;
    json!({
        "since": report.days.start().to_string(),
        "until": report.days.end().to_string(),
        "by": report.by.word(),
        "alias": report.alias,
        "groups": groups.collect::<Vec<_>>(),
        "total": sums(&report.total()),
        "faults": ledger.faults.iter().map(fault).collect::<Vec<_>>(),
        "uncounted": { "sessions": ledger.uncounted.sessions, "points": ledger.uncounted.points },
    })
}

/// The name of a group; `None` where it has none, or where it is not known.
pub fn name(key: Key<'_>) -> Option<String> {
    match key {
        Key::Day(day) => Some(day.to_string()),
        Key::Name(name) => Some(name.to_owned()),
        Key::Path(_) => key.path().map(|path| paths::to_text(path).into_owned()),
        Key::None => None,
    }
}

/// The names and numbers of a sum, as they are written.
pub fn numbers(measured: &Measured, sessions: u64) -> impl Iterator<Item = (&'static str, Value)> {
    Measured::NAMES.into_iter().zip(measured.numbers()).map(move |(name, number)| match name {
        "sessions" => (name, sessions.into()),
        _ => (name, plainly(number)),
    })
}

/// A whole number without `.0`.
fn plainly(number: f64) -> Value {
    /// Every whole number up to it is exact in binary floating point.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT { json!(number as i64) } else { json!(number) }
}

fn sums(sums: &Sums<'_>) -> Map<String, Value> {
    let object = |measured: &Measured, sessions| -> Map<String, Value> {
        numbers(measured, sessions).map(|(name, number)| (name.to_owned(), number)).collect()
    };
    let total = sums.total();
    let mut value = object(&total, sums.sessions());
    let with_act = sums.with_act();
    value.insert(
        "act".to_owned(),
        json!({
            "points": sums.points_with_act(),
            "cost_usd": plainly(plain(with_act.cost_usd)),
            "cost_usd_in_part": plainly(plain(sums.cost_in_part())),
        }),
    );
    value.insert(
        "rest".to_owned(),
        json!({
            "points": total.points - sums.points_with_act(),
            "cost_usd": plainly(plain(sums.cost_of_rest())),
        }),
    );
    let states: Map<String, Value> = sums
        .parts
        .iter()
        .filter_map(|(disposition, part)| {
            let name = serde_json::to_value(disposition).ok()?.as_str()?.to_owned();
            Some((name, Value::Object(object(&part.measured, part.sessions()))))
        })
        .collect();
    value.insert("states".to_owned(), Value::Object(states));
    value
}

fn fault(Fault { path, why }: &Fault) -> Value {
    let (word, lines, reason) = match why {
        Why::Damaged(lines) => ("damaged", Some(lines), None),
        Why::Newer => ("newer", None, None),
        Why::Unreadable(reason) => ("unreadable", None, Some(reason)),
    };
    json!({ "path": paths::to_text(path), "why": word, "lines": lines, "reason": reason })
}
