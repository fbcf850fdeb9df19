//! Sums of claude's measurements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A metric's sum over a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// The sum of all points. It is finite: a larger or smaller sum becomes the largest or smallest number. It is NaN where the sum
    /// is not known: claude sent running totals, or a record says `null`, which an earlier version wrote for a sum that is not
    /// finite.
    #[serde(deserialize_with = "number_or_null")]
    pub value: f64,
    /// The unit as claude names it: `tokens`, `USD`; may be empty.
    pub unit: String,
    /// The parts of `value` that belong to a known kind, such as `input`. Empty also where an earlier version wrote the sum.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, f64>,
}

impl Total {
    /// A sum that is not known.
    pub fn unknown(unit: String) -> Self {
        Self { value: f64::NAN, unit, kinds: BTreeMap::new() }
    }

    /// The sum, where it is known.
    pub fn known(&self) -> Option<f64> {
        Some(self.value).filter(|value| value.is_finite())
    }

    /// The same with [`plain`] numbers.
    pub fn plainly(&self) -> Self {
        let kinds = self.kinds.iter().map(|(kind, value)| (kind.clone(), plain(*value))).collect();
        Self { value: plain(self.value), unit: self.unit.clone(), kinds }
    }

    /// The part of the sum that belongs to a kind, where both are known.
    pub fn of_kind(&self, kind: &str) -> Option<f64> {
        self.known().and(self.kinds.get(kind).copied())
    }

    /// Adds a finite value; with a kind, also to the part of that kind.
    pub fn add(&mut self, value: f64, kind: Option<&str>) {
        self.value = sum(self.value, value);
        if let Some(kind) = kind {
            let part = self.kinds.entry(kind.to_owned()).or_default();
            *part = sum(*part, value);
        }
    }

    /// Adds another sum of the same metric. The result is not known where one of the two is not.
    pub fn join(&mut self, more: &Self) {
        self.value = sum(self.value, more.value);
        self.unit.clone_from(&more.unit);
        for (kind, value) in &more.kinds {
            let part = self.kinds.entry(kind.clone()).or_default();
            *part = sum(*part, *value);
        }
    }
}

/// The sum, within the range of finite numbers. NaN stays NaN.
fn sum(one: f64, other: f64) -> f64 {
    (one + other).clamp(f64::MIN, f64::MAX)
}

/// A sum as it is shown: 0.3 and not 0.30000000000000004, which is what binary numbers make of 0.1 + 0.2. A whole number stays as it
/// is; any other gets twelve digits.
pub fn plain(value: f64) -> f64 {
    if !value.is_finite() || value.fract() == 0.0 {
        return value;
    }
    format!("{value:.11e}").parse().unwrap_or(value)
}

fn number_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_always_a_number() {
        let mut total = Total::default();
        for (value, expected) in [(f64::MAX, f64::MAX), (1e308, f64::MAX), (f64::MIN, 0.0), (-1e308, -1e308)] {
            total.add(value, None);
            assert_eq!(total.value, expected);
        }
        let written =
            serde_json::to_string(&Total { value: f64::MAX, unit: "t".to_owned(), ..Total::default() }).unwrap();
        assert_eq!(written, r#"{"value":1.7976931348623157e+308,"unit":"t"}"#, "as earlier versions wrote it");
        assert_eq!(serde_json::from_str::<Total>(&written).unwrap().value, f64::MAX);
    }

    #[test]
    fn a_sum_is_shown_without_the_noise_of_binary_numbers() {
        for (value, shown) in [(0.1 + 0.2, 0.3), (1234.1 + 0.2, 1234.3), (0.0, 0.0), (48_210.0, 48_210.0)] {
            assert_eq!(plain(value), shown);
        }
        assert_eq!((plain(f64::MAX), plain(1e-7 + 2e-7)), (f64::MAX, 3e-7));
        assert!(plain(f64::NAN).is_nan());
    }

    #[test]
    fn parts_are_summed_by_kind() {
        let mut total = Total { unit: "tokens".to_owned(), ..Total::default() };
        for (value, kind) in [(3.0, Some("input")), (4.0, Some("input")), (5.0, Some("output")), (1.0, None)] {
            total.add(value, kind);
        }
        total.join(&total.clone());
        assert_eq!(
            (total.known(), total.of_kind("input"), total.of_kind("output")),
            (Some(26.0), Some(14.0), Some(10.0))
        );
        assert_eq!(total.of_kind("cacheRead"), None, "never 0 where nothing is known");
        let again: Total = serde_json::from_str(&serde_json::to_string(&total).unwrap()).unwrap();
        assert_eq!(again, total);
    }

    #[test]
    fn what_is_not_known_stays_unknown() {
        let mut total = Total::default();
        total.add(3.0, Some("input"));
        total.join(&Total::unknown("tokens".to_owned()));
        total.add(4.0, Some("input"));
        assert_eq!((total.known(), total.of_kind("input")), (None, None));
        let again: Total = serde_json::from_str(&serde_json::to_string(&total).unwrap()).unwrap();
        assert_eq!(again.known(), None, "also in the journal");
    }
}
