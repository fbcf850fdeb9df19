//! One line at the end of a session with which an alias's cost of the day passes the number of dollars that its `notice` names.

use std::path::Path;

use jiff::Zoned;

use crate::plan::line::Line;
use crate::usage::{Ledger, Row};

/// The line, where the session's own cost of today made the difference. `dollars` is the limit; nothing is ever stopped by it.
pub fn line(state: &Path, alias: &str, dollars: u64, session: &str) -> Option<Line> {
    let today = Zoned::now().date();
    let rows = Ledger::read(state, &(today..=today)).rows;
    let sum = passed(&rows, alias, dollars as f64, session)?;
    Some(Line::notice(format!("{alias}: ${sum:.2} today, more than the ${dollars} of its \"notice\"")))
}

/// The alias's cost in these rows, where it is more than `limit` with the session, and was not without it.
fn passed(rows: &[Row], alias: &str, limit: f64, session: &str) -> Option<f64> {
    let of_alias = || rows.iter().filter(|row| row.place.alias == alias);
    let sum: f64 = of_alias().map(|row| row.measured.cost_usd).sum();
    let own = of_alias().filter(|row| row.session.as_deref() == Some(session));
    let own: f64 = own.map(|row| row.measured.cost_usd).sum();
    (sum > limit && sum - own <= limit).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::measured::Measured;
    use crate::usage::{Disposition, Place};

    #[test]
    fn the_session_that_passes_the_limit_says_so() {
        let row = |alias: &str, session: &str, cost_usd: f64| Row {
            day: jiff::civil::date(2026, 11, 28),
            session: Some(session.into()),
            place: Place { alias: alias.to_owned(), ..Place::default() }.into(),
            model: None,
            disposition: Disposition::Waiting,
            measured: Measured { cost_usd, ..Measured::default() },
        };
        let rows =
            [row("billing", "a", 12.0), row("billing", "b", 3.0), row("billing", "b", 6.0), row("web", "a", 50.0)];
        for (session, limit, expected) in
            [("b", 20.0, Some(21.0)), ("a", 20.0, Some(21.0)), ("c", 20.0, None), ("b", 21.0, None), ("b", 11.0, None)]
        {
            assert_eq!(passed(&rows, "billing", limit, session), expected, "{session} {limit}");
        }
    }
}
