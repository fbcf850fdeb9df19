//! What one day and one model have of an export or of a session (pure).

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::claude::measured::Measured;
use crate::otlp::Portion;

/// A share. It is written as a list: the day, the model or `null`, and the numbers as in [`Measured::NAMES`], without zeros at the
/// end.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The user's local day.
    pub day: Date,
    /// The model.
    pub model: Option<String>,
    /// The sums.
    pub measured: Measured,
}

/// How far the time of a point may be from the time of its arrival, in seconds: a year. What is further away is no clock's time, and
/// would make a file for a month of any year.
const FARTHEST: u64 = 366 * 24 * 60 * 60;

/// The shares of an export that arrives at `now`. A point without a time, or with one that is more than a year away, was measured then.
/// The day is that of the time zone `zone`, at the time of the measurement.
pub fn of_export(portions: &[Portion], zone: &TimeZone, now: Timestamp) -> Vec<Share> {
    let mut shares = Vec::new();
    for Portion { second, model, measured } in portions {
        let near = second.filter(|second| second.abs_diff(now.as_second()) <= FARTHEST);
        let time = near.and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(now);
        let day = time.to_zoned(zone.clone()).date();
        add(&mut shares, Share { day, model: model.clone(), measured: *measured });
    }
    shares
}

/// Adds a share to the one of the same day and model.
pub fn add(shares: &mut Vec<Share>, more: Share) {
    match shares.iter_mut().find(|share| share.day == more.day && share.model == more.model) {
        Some(share) => share.measured.join(&more.measured),
        None => shares.push(more),
    }
}

/// The numbers of a share, without zeros at the end.
pub(super) fn numbers(measured: &Measured) -> Vec<Number> {
    let numbers = measured.numbers();
    let length = numbers.iter().rposition(|number| *number != 0.0).map_or(0, |last| last + 1);
    numbers[..length].iter().copied().map(Number).collect()
}

/// A number that is written without `.0`.
pub(super) struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Every whole number below it is exact in binary floating point.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() < EXACT {
            return serializer.serialize_i64(self.0 as i64);
        }
        serializer.serialize_f64(self.0)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let numbers = numbers(&self.measured);
        let mut list = serializer.serialize_seq(Some(2 + numbers.len()))?;
        list.serialize_element(&self.day)?;
        list.serialize_element(&self.model)?;
        for number in &numbers {
            list.serialize_element(number)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Share;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of day, model and numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Share, A::Error> {
                let missing = |what| serde::de::Error::invalid_length(what, &self);
                let day = list.next_element()?.ok_or_else(|| missing(0))?;
                let model = list.next_element()?.ok_or_else(|| missing(1))?;
                let mut numbers = Vec::with_capacity(Measured::NAMES.len());
                while let Some(number) = list.next_element()? {
                    numbers.push(number);
                }
                Ok(Share { day, model, measured: Measured::of(&numbers) })
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn portion(second: Option<i64>, model: Option<&str>, cost_usd: f64) -> Portion {
        let measured = Measured { points: 1, cost_usd, ..Measured::default() };
        Portion { second, model: model.map(str::to_owned), measured }
    }

    #[test]
    fn a_share_is_written_in_one_short_list() {
        let share = |model: Option<&str>, measured| Share {
            day: date(2026, 11, 28),
            model: model.map(str::to_owned),
            measured,
        };
        for (share, written) in [
            (share(None, Measured::default()), r#"["2026-11-28",null]"#),
            (
                share(Some("m"), Measured { points: 3, cost_usd: 0.1 + 0.2, input: 1e15, ..Measured::default() }),
                r#"["2026-11-28","m",3,0,0,0.3,1000000000000000]"#,
            ),
            (
                share(None, Measured { points: 1, cost_usd: 1e300, ..Measured::default() }),
                r#"["2026-11-28",null,1,0,0,1e+300]"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&share).unwrap(), written);
            let again: Share = serde_json::from_str(written).unwrap();
            assert_eq!(again.measured.numbers(), share.measured.numbers(), "{written}");
        }
        for damaged in ["[]", r#"["2026-11-28"]"#, r#"["2026-02-30",null]"#, r#"["2026-11-28",null,"3"]"#, "7"] {
            assert!(serde_json::from_str::<Share>(damaged).is_err(), "{damaged}");
        }
    }

    /// A day is the user's, also where the clock is changed on it.
    #[test]
    fn a_point_belongs_to_the_local_day_of_its_time() {
        let second = |time: &str| Some(time.parse::<Timestamp>().unwrap().as_second());
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let day = |zone: &str, time: &str| {
            of_export(&[portion(second(time), None, 1.0)], &TimeZone::get(zone).unwrap(), now)[0].day
        };
        for (zone, time, expected) in [
            ("UTC", "2026-11-27T23:59:59Z", date(2026, 11, 27)),
            ("Europe/Berlin", "2026-11-27T23:59:59Z", date(2026, 11, 28)),
            ("America/New_York", "2026-11-28T04:59:59Z", date(2026, 11, 27)),
            ("America/New_York", "2026-11-28T05:00:00Z", date(2026, 11, 28)),
            // The clock goes back at 03:00: this day has 25 hours.
            ("Europe/Berlin", "2026-10-24T22:00:00Z", date(2026, 10, 25)),
            ("Europe/Berlin", "2026-10-25T22:59:59Z", date(2026, 10, 25)),
            ("Europe/Berlin", "2026-10-25T23:00:00Z", date(2026, 10, 26)),
        ] {
            assert_eq!(day(zone, time), expected, "{zone} {time}");
        }
    }

    #[test]
    fn shares_of_one_day_and_model_are_one() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let portions = [
            portion(Some(now.as_second()), Some("a"), 1.0),
            portion(None, Some("a"), 2.0),
            portion(None, None, 4.0),
            portion(Some(now.as_second() - 86_400), Some("a"), 8.0),
            portion(Some(i64::MAX), Some("a"), 16.0),
            portion(Some(1), Some("a"), 32.0),
        ];
        let shares = of_export(&portions, &TimeZone::UTC, now);
        let costs: Vec<_> = shares.iter().map(|share| (share.day.day(), share.measured.cost_usd)).collect();
        assert_eq!(costs, [(28, 51.0), (28, 4.0), (27, 8.0)]);
    }
}
