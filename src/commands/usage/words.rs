//! The words for what ACT has and what it has not (pure). The table and the page have the same ones.

use crate::text::amount::{dollars, grouped};
use crate::usage::Disposition;

use super::group::{Part, Sums};

/// What is in no sum, said wherever a sum is.
pub const NEVER_COUNTED: &str =
    "Never counted: sessions with --direct, without telemetry, or whose metrics go to an endpoint of your own.";

/// What the columns mean, said below the tables.
pub const UNITS: &str = "Costs are US dollars, as Claude Code estimates them. A point is one value that it sends.";

/// Where to see more than the overview.
pub const MORE: &str =
    "More: act-claude act usage --by alias (or model, repository and others), and as a page: --html FILE";

/// The command that says why exports failed.
const SHOWS_FAILURES: &str = "act-claude act history --all --failed";

/// "1 point", "1,200 points"
pub fn points(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "point" } else { "points" })
}

/// What became of the part that ACT does not have: `$0.20 waiting, 12 points lost`. Empty where ACT has all.
pub fn rest(sums: &Sums<'_>) -> String {
    let amount = |part: &Part<'_>| match part.measured.cost_usd {
        cost if cost > 0.0 => dollars(cost),
        _ => points(part.measured.points),
    };
    let mut words: Vec<String> =
        sums.rest().map(|(disposition, part)| format!("{} {}", amount(part), disposition.word())).collect();
    if sums.rejected() > 0 {
        words.push(format!("{} rejected in accepted exports", points(sums.rejected())));
    }
    words.join(", ")
}

/// How many of the points ACT has. It may have those, too, whose answer is not known.
pub fn has(sums: &Sums<'_>) -> String {
    let is_open = |(disposition, _): (Disposition, &Part<'_>)| {
        matches!(disposition, Disposition::NotObserved | Disposition::UnderWay)
    };
    let least = if sums.rest().any(is_open) { "at least " } else { "" };
    format!("ACT has {least}{} of {}", grouped(sums.points_with_act()), points(sums.total().points))
}

/// Why exports are in this state, and what to do about it.
pub fn why(disposition: Disposition, part: &Part<'_>) -> String {
    match disposition {
        Disposition::Delivered => "ACT has it".to_owned(),
        Disposition::Partial => {
            let rejected = points(part.measured.rejected);
            format!("with ACT, in part: it rejected {rejected}, and does not say which. Why: {SHOWS_FAILURES}")
        }
        Disposition::Waiting => {
            "ACT or the network was down; it is tried again. To deliver it now: act-claude act flush".to_owned()
        }
        Disposition::UnderWay => "no answer of ACT yet; delivery continues in the background".to_owned(),
        Disposition::Held => {
            "kept until you correct the token, the alias or the URL. What is wrong: act-claude act history. Then: act-claude act flush"
                .to_owned()
        }
        Disposition::NotUnderstood => {
            "something other than ACT answered, such as a login page; kept. To try again: act-claude act flush".to_owned()
        }
        Disposition::Rejected => {
            format!("ACT will never accept it; kept on this machine for up to 90 days. Why: {SHOWS_FAILURES}")
        }
        Disposition::Lost => format!("could be neither stored nor delivered. Why: {SHOWS_FAILURES}"),
        Disposition::Discarded => "you deleted it: act-claude act flush --discard".to_owned(),
        Disposition::NotObserved => {
            format!("it is not known what ACT answered: ACT may have it or not. Which sessions: {SHOWS_FAILURES}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::sample::row;
    use super::*;
    use Disposition::{Delivered, Lost, Partial, Waiting};

    #[test]
    fn the_rest_has_its_states() {
        let mut rows = vec![row(1, None, "a", Delivered, 5), row(1, None, "a", Waiting, 2), row(1, None, "a", Lost, 1)];
        rows[2].measured.cost_usd = 0.0;
        rows.push(row(1, None, "a", Partial, 9));
        rows[3].measured.rejected = 1;
        assert_eq!(rest(&Sums::of(&rows)), "$2.00 waiting, 1 point lost, 1 point rejected in accepted exports");
        assert_eq!(rest(&Sums::of(&rows[..1])), "");
        assert_eq!(has(&Sums::of(&rows)), "ACT has 13 of 17 points");
        rows.push(row(1, None, "a", Disposition::NotObserved, 1));
        assert_eq!(has(&Sums::of(&rows)), "ACT has at least 13 of 18 points");
    }
}
