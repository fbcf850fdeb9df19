//! The results for all receivers, ACT's first, as text and JSON (pure).

use serde_json::{Map, Value};

use super::tally::Tallies;

/// The results as JSON: ACT's, with those of the copies by destination.
pub fn json(results: &[Tallies]) -> Value {
    let act = results.iter().find(|tallies| tallies.destination.is_none());
    let mut json = act.map_or_else(|| Tallies::default().json(), Tallies::json);
    let copies = results.iter().filter_map(|tallies| Some((tallies.destination.clone()?, tallies.json())));
    let copies: Map<String, Value> = copies.collect();
    if !copies.is_empty()
        && let Some(json) = json.as_object_mut()
    {
        json.insert("copies".to_owned(), copies.into());
    }
    json
}

/// The results as text, a line each.
pub fn words(results: &[Tallies]) -> String {
    let text: String = results.iter().map(Tallies::words).collect();
    if text.is_empty() { "nothing is waiting\n".to_owned() } else { text }
}

/// The exit status: the worst one.
pub fn code(results: &[Tallies]) -> u8 {
    results.iter().map(Tallies::code).max().unwrap_or(0)
}

/// An export named with `--only` is unknown only where no receiver's spool has it.
pub fn forget_known(results: &mut [Tallies]) {
    let unknown = |name: &String| results.iter().all(|tallies| tallies.unknown.contains(name));
    let named = results.first().map(|tallies| tallies.unknown.clone()).unwrap_or_default();
    let nowhere: Vec<String> = named.into_iter().filter(unknown).collect();
    for tallies in results.iter_mut().skip(1) {
        tallies.unknown.clear();
    }
    if let Some(act) = results.first_mut() {
        act.unknown = nowhere;
    }
}
