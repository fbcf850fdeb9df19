//! Sums of claude's measurements.

use serde::{Deserialize, Serialize};

/// A metric's sum over a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// The sum of all points. It is finite: a larger or smaller sum becomes the largest or smallest number. It is NaN only
    /// where a record says `null`, which an earlier version wrote for a sum that is not finite.
    #[serde(deserialize_with = "number_or_null")]
    pub value: f64,
    /// The unit as claude names it: `tokens`, `USD`; may be empty.
    pub unit: String,
}

impl Total {
    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        self.value = (self.value + value).clamp(f64::MIN, f64::MAX);
    }
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
            total.add(value);
            assert_eq!(total.value, expected);
        }
        let written = serde_json::to_string(&Total { value: f64::MAX, unit: "t".to_owned() }).unwrap();
        assert_eq!(serde_json::from_str::<Total>(&written).unwrap().value, f64::MAX);
    }
}
