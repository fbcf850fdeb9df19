//! What is reported: some days of the ledger, and how their rows are grouped (pure).

use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::group::{By, Group, Sums, groups};
use super::range::{self, Unit};
use crate::usage::{Ledger, Row};

/// What is reported.
#[derive(Debug)]
pub struct Report<'a> {
    /// The days.
    pub days: RangeInclusive<Date>,
    /// What the rows are grouped by.
    pub by: By,
    /// The only alias whose rows the ledger has.
    pub alias: Option<&'a str>,
    /// The ledger of these days.
    pub ledger: &'a Ledger,
}

impl<'a> Report<'a> {
    /// The groups.
    pub fn groups(&self) -> Vec<Group<'a>> {
        groups(&self.ledger.rows, self.by)
    }

    /// The sums over everything.
    pub fn total(&self) -> Sums<'a> {
        Sums::of(&self.ledger.rows)
    }

    /// The rows from this day on.
    pub fn since(&self, first: Date) -> impl Iterator<Item = &'a Row> {
        self.ledger.rows.iter().filter(move |row| row.day >= first)
    }

    /// The points that are in no sum.
    pub fn unsummed(&self) -> u64 {
        self.ledger.rows.iter().fold(0, |sum, row| sum.saturating_add(row.measured.unsummed))
    }

    /// Whether something of it is on this machine, and may still be delivered.
    pub fn is_kept(&self) -> bool {
        self.ledger.rows.iter().any(|row| row.disposition.is_kept())
    }

    /// The days from the first on which something was used, in parts of the calendar of which there are not too many.
    pub fn calendar(&self, days: &RangeInclusive<Date>) -> (Unit, Vec<Date>) {
        let first = self.since(*days.start()).map(|row| row.day).min().unwrap_or(*days.end());
        let days = first..=*days.end();
        let unit = Unit::of(&days);
        (unit, unit.within(&days))
    }

    /// The days in words.
    pub fn period(&self) -> String {
        let (first, last) = (self.days.start(), self.days.end());
        let name = |day: &Date| Unit::Day.name(*day);
        if first == last { name(first) } else { format!("{} to {}", name(first), name(last)) }
    }
}

/// The days that the overview needs.
pub fn overview_days(today: Date) -> RangeInclusive<Date> {
    let first = range::periods(today).map(|(_, first)| first).into_iter().min().unwrap_or(today);
    first.min(*range::latest(today).start())..=today
}
