//! The files of the usage ledger: what is summed or written anew says the same, and what can't be read stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use act_claude::usage::month::Month;
use act_claude::usage::note::Notes;
use act_claude::usage::{Disposition, Row};
use jiff::civil::date;

/// `data` as a session's notes, and as a month.
pub fn check(data: &[u8]) {
    let notes = Notes::read(data);
    let before = notes.rows("s", |_, export| export.state);
    match notes.summed() {
        Some(summed) => {
            let again = Notes::read(&summed);
            assert!(again.is_whole(), "what was written can be read");
            assert_eq!(sums(&again.rows("s", |_, export| export.state)), sums(&before));
        }
        None => assert!(notes.damaged + notes.newer > 0),
    }
    let first = date(2026, 11, 1);
    if let Ok(month) = Month::read(data, first) {
        let again = Month::read(&month.write(first), first).expect("of this version");
        assert_eq!(sums(&again.rows), sums(&month.rows));
        assert_eq!(again.damaged, month.damaged, "what can't be read is written again as it is");
    }
}

type Group = (String, Option<Arc<str>>, String, Option<Arc<str>>, Disposition);

/// The numbers of rows by all that tells rows apart. Sums of numbers at the ends of the range depend on their order, so each number
/// is only as exact as nine digits.
fn sums(rows: &[Row]) -> BTreeMap<Group, Vec<String>> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let place = format!("{:?}", row.place);
        let group = (row.day.to_string(), row.session.clone(), place, row.model.clone(), row.disposition);
        let sum: &mut act_claude::claude::measured::Measured = sums.entry(group).or_default();
        sum.join(&row.measured);
    }
    let shown = |number: &f64| format!("{number:.9e}");
    sums.into_iter().map(|(group, sum)| (group, sum.numbers().iter().map(shown).collect())).collect()
}
