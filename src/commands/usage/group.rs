//! Rows of the ledger in groups, with the sums of each (pure).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use jiff::civil::Date;

use super::range::Unit;
use crate::claude::measured::Measured;
use crate::usage::{Disposition, Row};

/// What the rows of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// The alias
    Alias,
    /// The local day
    Day,
    /// The week, which begins on Monday
    Week,
    /// The month
    Month,
    /// The model; lines of code, commits and the like belong to none
    Model,
    /// Claude's working directory
    Directory,
    /// The repository, as host/path
    Repository,
    /// The session; what is older than 90 days is one row
    Session,
}

/// The name of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key<'a> {
    /// The first day of a day, a week or a month.
    Day(Date),
    /// A name.
    Name(&'a str),
    /// A directory.
    Path(&'a OsStr),
    /// There is none, or it is not known.
    None,
}

impl By {
    /// The word for it, in the singular: the name of a column.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alias => "alias",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Model => "model",
            Self::Directory => "directory",
            Self::Repository => "repository",
            Self::Session => "session",
        }
    }

    /// The part of the calendar, where it is one.
    pub fn unit(self) -> Option<Unit> {
        match self {
            Self::Day => Some(Unit::Day),
            Self::Week => Some(Unit::Week),
            Self::Month => Some(Unit::Month),
            _ => None,
        }
    }

    /// The word for a group without a name.
    pub fn nameless(self) -> &'static str {
        match self {
            Self::Session => "older",
            Self::Directory => "not known",
            _ => "none",
        }
    }

    /// The name of the group of a row.
    pub fn key(self, row: &Row) -> Key<'_> {
        let key = match self {
            Self::Day | Self::Week | Self::Month => {
                return Key::Day(self.unit().map_or(row.day, |unit| unit.first_of(row.day)));
            }
            Self::Directory => {
                return row.place.directory.as_deref().map_or(Key::None, |path| Key::Path(path.as_os_str()));
            }
            // A damaged file does not say which alias it was.
            Self::Alias => Some(row.place.alias.as_str()).filter(|alias| !alias.is_empty()),
            Self::Model => row.model.as_deref(),
            Self::Repository => row.place.repository.as_deref(),
            Self::Session => row.session.as_deref(),
        };
        key.map_or(Key::None, Key::Name)
    }
}

impl<'a> Key<'a> {
    /// A directory.
    pub fn path(self) -> Option<&'a Path> {
        match self {
            Key::Path(path) => Some(Path::new(path)),
            _ => None,
        }
    }
}

/// The sums over rows that have one disposition.
#[derive(Debug, Clone, Default)]
pub struct Part<'a> {
    /// The sums.
    pub measured: Measured,
    sessions: HashSet<&'a str>,
    /// What claude counted where the rows have no session.
    older: f64,
}

impl Part<'_> {
    /// How many sessions. One with several dispositions counts in each.
    pub fn sessions(&self) -> u64 {
        self.sessions.len() as u64 + self.older as u64
    }
}

/// The sums over rows.
#[derive(Debug, Clone, Default)]
pub struct Sums<'a> {
    /// By what became of it.
    pub parts: BTreeMap<Disposition, Part<'a>>,
}

impl<'a> Sums<'a> {
    /// The sums over these rows.
    pub fn of(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut sums = Self::default();
        rows.into_iter().for_each(|row| sums.add(row));
        sums
    }

    fn add(&mut self, row: &'a Row) {
        let part = self.parts.entry(row.disposition).or_default();
        part.measured.join(&row.measured);
        match &row.session {
            Some(session) => {
                part.sessions.insert(session);
            }
            None => part.older += row.measured.sessions.max(0.0),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn joined(&self, is_wanted: impl Fn(Disposition) -> bool) -> Measured {
        let mut sum = Measured::default();
        let wanted = self.parts.iter().filter(|(disposition, _)| is_wanted(**disposition));
        wanted.for_each(|(_, part)| sum.join(&part.measured));
        sum
    }

    /// All of it.
    pub fn total(&self) -> Measured {
        self.joined(|_| true)
    }

    /// How many sessions: those that the rows name, and those that claude counted where the rows name none.
    pub fn sessions(&self) -> u64 {
        let named: HashSet<&str> = self.parts.values().flat_map(|part| part.sessions.iter().copied()).collect();
        named.len() as u64 + self.parts.values().map(|part| part.older).sum::<f64>() as u64
    }

    /// What ACT has. Of its points, the rejected ones are not there; of its other sums it is not known which part they are.
    pub fn with_act(&self) -> Measured {
        self.joined(Disposition::is_with_act)
    }

    /// How many points ACT has.
    pub fn points_with_act(&self) -> u64 {
        let with_act = self.with_act();
        with_act.points.saturating_sub(with_act.rejected)
    }

    /// The cost of exports that ACT has in part.
    pub fn cost_in_part(&self) -> f64 {
        self.parts.get(&Disposition::Partial).map_or(0.0, |part| part.measured.cost_usd)
    }

    /// The parts that ACT does not have, or that it is not known to have.
    pub fn rest(&self) -> impl Iterator<Item = (Disposition, &Part<'a>)> {
        let rest = self.parts.iter().filter(|(disposition, _)| !disposition.is_with_act());
        rest.map(|(disposition, part)| (*disposition, part))
    }

    /// The cost of the rest.
    pub fn cost_of_rest(&self) -> f64 {
        self.joined(|disposition| !disposition.is_with_act()).cost_usd
    }

    /// How many points of it are rejected in exports that ACT has.
    pub fn rejected(&self) -> u64 {
        self.with_act().rejected
    }

    /// Whether ACT has all of it.
    pub fn is_whole(&self) -> bool {
        self.rejected() == 0 && self.rest().next().is_none()
    }
}

/// A group of rows.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// Its name.
    pub key: Key<'a>,
    /// Its sums.
    pub sums: Sums<'a>,
}

/// The rows in groups: days in their order, anything else by cost, the highest first.
pub fn groups<'a>(rows: impl IntoIterator<Item = &'a Row>, by: By) -> Vec<Group<'a>> {
    let mut found: HashMap<Key<'a>, Sums<'a>> = HashMap::new();
    for row in rows {
        found.entry(by.key(row)).or_default().add(row);
    }
    let mut groups: Vec<_> =
        found.into_iter().map(|(key, sums)| (sums.total().cost_usd, Group { key, sums })).collect();
    groups.sort_by(|(one, a), (other, b)| {
        let by_cost = if by.unit().is_some() { std::cmp::Ordering::Equal } else { other.total_cmp(one) };
        by_cost.then(a.key.cmp(&b.key))
    });
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
pub mod sample {
    //! Rows for tests.

    use super::*;
    use crate::usage::Place;
    use jiff::civil::date;

    /// A row of November 2026 with `points` and as many dollars.
    pub fn row(day: i8, session: Option<&str>, alias: &str, disposition: Disposition, points: u64) -> Row {
        let measured = Measured { points, cost_usd: points as f64, sessions: 1.0, ..Measured::default() };
        let place = Place { alias: alias.to_owned(), ..Place::default() }.into();
        let session = session.map(Into::into);
        Row { day: date(2026, 11, day), session, place, model: None, disposition, measured }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::row;
    use super::*;
    use Disposition::{Delivered, Partial, Waiting};

    fn rows() -> Vec<Row> {
        let mut rows = vec![
            row(1, Some("a"), "web", Delivered, 1),
            row(2, Some("a"), "web", Delivered, 2),
            row(2, Some("a"), "web", Waiting, 4),
            row(9, Some("b"), "billing", Partial, 8),
            row(9, None, "billing", Delivered, 16),
            row(9, None, "billing", Delivered, 16),
        ];
        rows[3].measured.rejected = 3;
        rows
    }

    #[test]
    fn the_sums_say_what_act_has() {
        let rows = rows();
        let sums = Sums::of(&rows);
        assert_eq!((sums.total().points, sums.points_with_act(), sums.rejected()), (47, 40, 3));
        assert_eq!((sums.with_act().cost_usd, sums.cost_in_part(), sums.cost_of_rest()), (43.0, 8.0, 4.0));
        assert_eq!(sums.rest().map(|(disposition, _)| disposition).collect::<Vec<_>>(), [Waiting]);
        assert!(!sums.is_whole() && Sums::of(&rows[..2]).is_whole() && !Sums::of(&rows[3..4]).is_whole());
        // Two named, and two that claude counted.
        assert_eq!((sums.sessions(), Sums::of(&rows[..3]).sessions()), (4, 1));
        assert!(Sums::of([]).is_empty());
    }

    #[test]
    fn days_are_in_order_and_names_by_cost() {
        let rows = rows();
        let days = |by| groups(&rows, by).iter().map(|group| group.key).collect::<Vec<_>>();
        let day = |month, day| Key::Day(jiff::civil::date(2026, month, day));
        assert_eq!(days(By::Day), [day(11, 1), day(11, 2), day(11, 9)]);
        assert_eq!(days(By::Week), [day(10, 26), day(11, 2), day(11, 9)]);
        assert_eq!(days(By::Month), [day(11, 1)]);
        assert_eq!(days(By::Alias), [Key::Name("billing"), Key::Name("web")]);
        assert_eq!(days(By::Session), [Key::None, Key::Name("b"), Key::Name("a")]);
        for by in [By::Model, By::Repository, By::Directory] {
            assert_eq!(days(by), [Key::None], "{by:?}");
        }
    }

    #[test]
    fn every_grouping_has_the_same_sum() {
        let rows = rows();
        for by in <By as clap::ValueEnum>::value_variants() {
            let points: u64 = groups(&rows, *by).iter().map(|group| group.sums.total().points).sum();
            assert_eq!(points, 47, "{by:?}");
        }
    }
}
