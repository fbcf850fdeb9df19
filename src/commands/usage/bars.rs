//! The cost over days as bars (pure).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::report::Report;
use crate::text::amount::dollars;
use crate::text::page::{self, BOLD, DIM};

/// What ACT has, and the rest. A locale without these characters has others: see [`crate::text::locale`].
const MARKS: [char; 2] = ['█', '░'];
/// The longest bar, in columns.
const LONGEST: usize = 40;
/// A narrower page has shorter names.
const NARROW: usize = 48;
/// Shorter bars say nothing.
const SHORTEST: usize = 4;

/// The cost of these days; empty where nothing cost anything.
pub fn of(report: &Report<'_>, days: &RangeInclusive<Date>, width: usize) -> String {
    let (unit, parts) = report.calendar(days);
    let mut costs: BTreeMap<Date, [f64; 2]> = parts.into_iter().map(|first| (first, [0.0; 2])).collect();
    for row in report.since(*days.start()) {
        let cost = costs.entry(unit.first_of(row.day)).or_default();
        cost[usize::from(!row.disposition.is_with_act())] += row.measured.cost_usd.max(0.0);
    }
    let highest = costs.values().map(|[has, rest]| has + rest).fold(0.0, f64::max);
    if highest <= 0.0 {
        return String::new();
    }
    let name = |first: &Date| if width < NARROW { unit.short_name(*first) } else { unit.name(*first) };
    let lines: Vec<[String; 2]> = costs.iter().map(|(first, [has, rest])| [name(first), dollars(has + rest)]).collect();
    let widest = |index: usize| lines.iter().map(|line| page::columns(&line[index])).max().unwrap_or(0);
    let (names, amounts) = (widest(0), widest(1));
    let longest = width.saturating_sub(names + amounts + 4).min(LONGEST);
    let longest = if longest < SHORTEST { 0 } else { longest };
    let mut text = format!("{BOLD}Cost by {}{BOLD:#}\n", unit.word());
    for ([name, amount], [has, rest]) in lines.iter().zip(costs.values()) {
        let [full, light] = lengths(*has, *rest, highest, longest);
        let bar = MARKS[0].to_string().repeat(full) + &MARKS[1].to_string().repeat(light);
        let line = format!("{name:<names$}  {amount:>amounts$}  {bar}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if costs.values().any(|[_, rest]| *rest > 0.0) && longest > 0 {
        let legend = format!("{} ACT has, {} the rest", MARKS[0], MARKS[1]);
        page::hang(&mut text, 0, width, DIM, &legend);
    }
    text
}

/// How long the two parts of a bar are. What cost anything is seen, if the bar has room for it.
fn lengths(has: f64, rest: f64, highest: f64, longest: usize) -> [usize; 2] {
    if longest == 0 {
        return [0, 0];
    }
    let length = |cost: f64| (cost / highest * longest as f64).round() as usize;
    let all =
        length(has + rest).max(usize::from(has + rest > 0.0)).max(usize::from(has > 0.0) + usize::from(rest > 0.0));
    let light = length(rest).clamp(usize::from(rest > 0.0), all - usize::from(has > 0.0));
    [all - light, light]
}

#[cfg(test)]
mod tests {
    use super::super::group::By;
    use super::super::group::sample::row;
    use super::*;
    use crate::usage::Disposition::{Delivered, Waiting};
    use crate::usage::Ledger;
    use jiff::civil::date;

    #[test]
    fn each_part_of_a_bar_is_seen() {
        for (has, rest, expected) in [
            (0.0, 0.0, [0, 0]),
            (100.0, 0.0, [10, 0]),
            (0.001, 0.0, [1, 0]),
            (0.001, 0.001, [1, 1]),
            (0.0, 100.0, [0, 10]),
            (99.9, 0.1, [9, 1]),
            (0.1, 99.9, [1, 9]),
            (50.0, 20.0, [5, 2]),
        ] {
            assert_eq!(lengths(has, rest, 100.0, 10), expected, "{has} {rest}");
        }
        assert_eq!(lengths(1.0, 1.0, 2.0, 0), [0, 0]);
    }

    #[test]
    fn days_without_use_have_a_line_from_the_first_use_on() {
        let rows = vec![row(3, None, "a", Delivered, 6), row(5, None, "a", Waiting, 3)];
        let ledger = Ledger { rows, ..Ledger::default() };
        let days = date(2026, 11, 1)..=date(2026, 11, 5);
        let report = Report { days: days.clone(), by: By::Day, alias: None, ledger: &ledger };
        let text = |width| anstream::adapter::strip_str(&of(&report, &days, width)).to_string();
        let expected = "\
Cost by day
3 Nov  $6.00  ██████
4 Nov  $0.00
5 Nov  $3.00  ░░░
█ ACT has, ░ the
rest
";
        assert_eq!(text(20), expected);
        assert_eq!(text(13).lines().nth(1), Some("3 Nov  $6.00"));
        assert!(text(80).contains("Wed 4 Nov 2026  $0.00\n"));
        assert!(text(usize::MAX).contains(&format!("  {}\n", "█".repeat(LONGEST))));
    }
}
