//! The days that `--since` and `--until` choose, and how they are divided (pure).

use std::ops::RangeInclusive;

use jiff::civil::Date;
use jiff::{Span, ToSpan};

/// The days that are shown where `--since` is not given.
const DAYS: i32 = 30;
/// More bars than these are not drawn one for each day, or one for each week.
const BARS: usize = 31;

/// A value of `--since`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Since {
    /// From this day on.
    Day(Date),
    /// This long, up to the last day.
    Back(Length),
}

/// A length of time in whole days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Length(i32, Unit);

/// A part of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A day.
    Day,
    /// A week, which begins on Monday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Unit {
    /// The first day of the one that `day` is in.
    pub fn first_of(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days()),
            Self::Month => day.first_of_month(),
            Self::Year => day.first_of_year(),
        }
    }

    fn span(self, count: i32) -> Span {
        match self {
            Self::Day => Span::new().days(count),
            Self::Week => Span::new().weeks(count),
            Self::Month => Span::new().months(count),
            Self::Year => Span::new().years(count),
        }
    }

    /// The first days of all of them in these days.
    pub fn within(self, days: &RangeInclusive<Date>) -> Vec<Date> {
        let first = self.first_of(*days.start());
        let next = |day: &Date| day.checked_add(self.span(1)).ok();
        std::iter::successors(Some(first), next).take_while(|day| day <= days.end()).collect()
    }

    /// The smallest one of which these days have only a few.
    pub fn of(days: &RangeInclusive<Date>) -> Self {
        let number = |unit: Self| unit.within(days).len();
        [Self::Day, Self::Week].into_iter().find(|unit| number(*unit) <= BARS).unwrap_or(Self::Month)
    }

    /// The part that begins on `first`, in words.
    pub fn name(self, first: Date) -> String {
        let format = match self {
            Self::Day => "%a %-d %b %Y",
            Self::Week => "from %a %-d %b %Y",
            Self::Month => "%b %Y",
            Self::Year => "%Y",
        };
        first.strftime(format).to_string()
    }

    /// The name where there is little room and the days around it are known.
    pub fn short_name(self, first: Date) -> String {
        let format = match self {
            Self::Day | Self::Week => "%-d %b",
            Self::Month | Self::Year => "%b %Y",
        };
        first.strftime(format).to_string()
    }

    /// The word for one of them.
    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// Reads a value of `--since`.
///
/// # Errors
///
/// It is neither a length nor a day: why, the nearest right value, an example.
pub fn since(text: &str) -> Result<Since, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let length = |letter: &str| match letter {
        "d" => Some(Unit::Day),
        "w" => Some(Unit::Week),
        "m" => Some(Unit::Month),
        "y" => Some(Unit::Year),
        _ => None,
    };
    if let (Some(unit), false) = (length(unit), number.is_empty()) {
        let count = number.parse().ok().filter(|count| (1..1000).contains(count));
        let count = count.ok_or_else(|| {
            format!(
                "it must be a number from 1 to 999 and a letter: 7{unit_letter}",
                unit_letter = &text[number.len()..]
            )
        })?;
        return Ok(Since::Back(Length(count, unit)));
    }
    // "7 days", "7D"
    let spelled = unit.trim().to_ascii_lowercase();
    let near = spelled
        .get(..1)
        .filter(|letter| length(letter).is_some() && spelled.bytes().all(|byte| byte.is_ascii_alphabetic()));
    if let (Some(letter), false) = (near, number.is_empty()) {
        return Err(format!("did you mean {number}{letter}? (7d, 2w, 3m, 1y or a day such as 2026-11-01)"));
    }
    if unit.is_empty() && !number.is_empty() && number.len() < 5 {
        return Err(format!("did you mean {number}d? (7d, 2w, 3m, 1y or a day such as 2026-11-01)"));
    }
    date(text).map(Since::Day).map_err(|near| match near {
        Some(near) => format!("there is no such day: did you mean {near}?"),
        None => "it must be a length of time, 7d, 2w, 3m or 1y, or a day such as 2026-11-01".to_owned(),
    })
}

/// Reads a value of `--until`.
///
/// # Errors
///
/// It is no day: why, the nearest right value, an example.
pub fn until(text: &str) -> Result<Date, String> {
    date(text).map_err(|near| match near {
        Some(near) => format!("there is no such day: did you mean {near}?"),
        None => "it must be a day such as 2026-11-30".to_owned(),
    })
}

/// The day that is written as year, month, day. The error is the nearest one, where there is one.
fn date(text: &str) -> Result<Date, Option<Date>> {
    if text.len() == "2026-11-01".len()
        && let Ok(day) = Date::strptime("%Y-%m-%d", text)
    {
        return Ok(day);
    }
    let parts: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let number = |text: &str| text.parse::<i16>().ok();
    let numbers: Vec<i16> = match parts[..] {
        [all] if all.len() == 8 => [&all[..4], &all[4..6], &all[6..]].into_iter().filter_map(number).collect(),
        _ => parts.iter().filter_map(|part| number(part)).collect(),
    };
    let (year, month, day) = match numbers[..] {
        [year, month, day] if year >= 1000 => (year, month, day),
        [day, month, year] if year >= 1000 => (year, month, day),
        [year, month] if year >= 1000 => (year, month, 1),
        _ => return Err(None),
    };
    let first = Date::new(year, month.clamp(1, 12) as i8, 1).map_err(|_| None)?;
    let day = day.clamp(1, i16::from(first.days_in_month())) as i8;
    Err(first.with().day(day).build().ok())
}

/// The chosen days.
///
/// # Errors
///
/// There are none, or they have not come yet.
pub fn days(since: Option<Since>, until: Option<Date>, today: Date) -> Result<RangeInclusive<Date>, String> {
    let last = until.unwrap_or(today);
    let back = |span: Span| last.saturating_sub(span).tomorrow().unwrap_or(last);
    let first = match since {
        None => back(Unit::Day.span(DAYS)),
        Some(Since::Back(Length(count, unit))) => back(unit.span(count)),
        Some(Since::Day(day)) if day > today => {
            return Err(format!("--since {day} has not come yet: today is {today}"));
        }
        Some(Since::Day(day)) => day,
    };
    if first > last {
        return Err(format!("--until {last} is before --since {first}: did you mean --since {last} --until {first}?"));
    }
    Ok(first..=last)
}

/// Periods of the overview, by name; the last day of each is today.
pub fn periods(today: Date) -> [(&'static str, Date); 3] {
    [("today", today), ("last 7 days", today.saturating_sub(6.days())), ("this month", today.first_of_month())]
}

/// The days whose bars the overview has.
pub fn latest(today: Date) -> RangeInclusive<Date> {
    today.saturating_sub(13.days())..=today
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date as day;

    const TODAY: Date = day(2026, 11, 28);

    fn first(text: &str) -> Date {
        *days(Some(since(text).unwrap()), None, TODAY).unwrap().start()
    }

    #[test]
    fn a_length_ends_today_and_has_today() {
        for (text, expected) in [
            ("1d", TODAY),
            ("7d", day(2026, 11, 22)),
            ("2w", day(2026, 11, 15)),
            ("3m", day(2026, 8, 29)),
            ("1y", day(2025, 11, 29)),
            ("999y", day(1027, 11, 29)),
            ("2026-11-01", day(2026, 11, 1)),
            ("2026-11-28", TODAY),
        ] {
            assert_eq!(first(text), expected, "{text}");
        }
        assert_eq!(days(None, None, TODAY), Ok(day(2026, 10, 30)..=TODAY));
        let february = days(None, Some(day(2026, 3, 1)), TODAY).unwrap();
        assert_eq!(february, day(2026, 1, 31)..=day(2026, 3, 1));
        // A month back from the last day of a longer one.
        let back = days(Some(since("1m").unwrap()), Some(day(2026, 3, 31)), TODAY).unwrap();
        assert_eq!(back, day(2026, 3, 1)..=day(2026, 3, 31));
    }

    #[test]
    fn what_is_no_time_has_its_nearest_one() {
        for (text, said) in [
            ("7days", "did you mean 7d? (7d, 2w, 3m, 1y or a day such as 2026-11-01)"),
            ("2 weeks", "did you mean 2w? (7d, 2w, 3m, 1y or a day such as 2026-11-01)"),
            ("7D", "did you mean 7d? (7d, 2w, 3m, 1y or a day such as 2026-11-01)"),
            ("7", "did you mean 7d? (7d, 2w, 3m, 1y or a day such as 2026-11-01)"),
            ("0d", "it must be a number from 1 to 999 and a letter: 7d"),
            ("99999w", "it must be a number from 1 to 999 and a letter: 7w"),
            ("2026-11-31", "there is no such day: did you mean 2026-11-30?"),
            ("2026-13-01", "there is no such day: did you mean 2026-12-01?"),
            ("2026/11/1", "there is no such day: did you mean 2026-11-01?"),
            ("20261101", "there is no such day: did you mean 2026-11-01?"),
            ("1.11.2026", "there is no such day: did you mean 2026-11-01?"),
            ("2026-11", "there is no such day: did you mean 2026-11-01?"),
            ("", "it must be a length of time, 7d, 2w, 3m or 1y, or a day such as 2026-11-01"),
            ("monday", "it must be a length of time, 7d, 2w, 3m or 1y, or a day such as 2026-11-01"),
            ("-7d", "it must be a length of time, 7d, 2w, 3m or 1y, or a day such as 2026-11-01"),
            ("7ä", "it must be a length of time, 7d, 2w, 3m or 1y, or a day such as 2026-11-01"),
        ] {
            assert_eq!(since(text).unwrap_err(), said, "{text}");
        }
        assert_eq!(until("7d").unwrap_err(), "it must be a day such as 2026-11-30");
        assert_eq!(until("2026-02-30").unwrap_err(), "there is no such day: did you mean 2026-02-28?");
    }

    #[test]
    fn days_in_the_wrong_order_or_to_come_are_refused() {
        let error = |since, until| days(since, until, TODAY).unwrap_err();
        assert_eq!(
            error(Some(Since::Day(day(2026, 11, 5))), Some(day(2026, 11, 4))),
            "--until 2026-11-04 is before --since 2026-11-05: did you mean --since 2026-11-04 --until 2026-11-05?"
        );
        assert_eq!(
            error(Some(Since::Day(day(2026, 12, 1))), None),
            "--since 2026-12-01 has not come yet: today is 2026-11-28"
        );
    }

    #[test]
    fn bars_are_days_weeks_or_months() {
        let unit = |since: &str| Unit::of(&days(Some(super::since(since).unwrap()), None, TODAY).unwrap());
        assert_eq!(
            [unit("1d"), unit("1m"), unit("32d"), unit("6m"), unit("1y")],
            [Unit::Day, Unit::Day, Unit::Week, Unit::Week, Unit::Month]
        );
        let weeks = Unit::Week.within(&(day(2026, 11, 1)..=TODAY));
        assert_eq!(weeks.first(), Some(&day(2026, 10, 26)), "1 November is a Sunday");
        assert_eq!((weeks.len(), weeks.last()), (5, Some(&day(2026, 11, 23))));
        assert_eq!(Unit::Week.name(weeks[0]), "from Mon 26 Oct 2026");
        assert_eq!(Unit::Month.within(&(day(2025, 12, 31)..=TODAY)).len(), 12);
    }
}
