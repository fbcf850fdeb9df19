//! What the sums lack, and what to do about it (pure).

use crate::text::amount::grouped;
use crate::usage::Ledger;
use crate::usage::ledger::{Fault, Why};

use super::words::points;

/// A sentence for each thing that the sums lack. `shown` writes a path for people.
pub fn sentences(ledger: &Ledger, unsummed: u64, shown: impl Fn(&std::path::Path) -> String) -> Vec<String> {
    let mut sentences = Vec::new();
    if unsummed > 0 {
        let are = if unsummed == 1 { "is" } else { "are" };
        sentences.push(format!(
            "{} {are} in no sum but that of the points: running totals, or no number. Claude Code sends changes unless \
             OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE says otherwise: remove that variable",
            points(unsummed)
        ));
    }
    for Fault { path, why } in &ledger.faults {
        let path = shown(path);
        sentences.push(match why {
            Why::Damaged(1) => format!("1 line of {path} is damaged, and not counted; the other lines are"),
            Why::Damaged(lines) => {
                format!("{} lines of {path} are damaged, and not counted; the other lines are", grouped(*lines))
            }
            Why::Newer => format!("a newer act-claude wrote {path}: upgrade this one to count it"),
            Why::Unreadable(why) => {
                format!("{path} can't be read, and is not counted ({why}): correct that, or move it away")
            }
        });
    }
    let uncounted = &ledger.uncounted;
    if uncounted.points > 0 {
        let sessions = if uncounted.sessions == 1 { "session" } else { "sessions" };
        let are = if uncounted.points == 1 { "is" } else { "are" };
        sentences.push(format!(
            "{} of {} {sessions} {are} not counted here: an act-claude without this ledger took them in, or they could not be \
             noted. What ACT has of them: act-claude act history --all",
            points(uncounted.points),
            grouped(uncounted.sessions),
        ));
    }
    sentences
}
