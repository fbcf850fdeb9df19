//! What the usage ledger of a sandbox says, and what a body really has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use act_claude::usage::{Disposition, Ledger, Row};
use jiff::civil::Date;
use serde_json::Value;

/// The whole ledger of a state directory.
pub fn ledger(state: &Path) -> Ledger {
    Ledger::read(state, &(Date::MIN..=Date::MAX))
}

/// The data points of a ledger by what became of them.
pub fn points(rows: &[Row]) -> BTreeMap<Disposition, u64> {
    let mut points = BTreeMap::new();
    for row in rows {
        *points.entry(row.disposition).or_default() += row.measured.points;
    }
    points
}

/// The data points of bodies, the same bytes once.
pub fn points_of<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let bodies: BTreeSet<&[u8]> = bodies.into_iter().collect();
    bodies.into_iter().map(|body| count(&serde_json::from_slice(body).expect("JSON"))).sum()
}

fn count(value: &Value) -> u64 {
    match value {
        Value::Object(members) => {
            let own = members.get("dataPoints").and_then(Value::as_array).map_or(0, |points| points.len() as u64);
            own + members.values().map(count).sum::<u64>()
        }
        Value::Array(elements) => elements.iter().map(count).sum(),
        _ => 0,
    }
}
