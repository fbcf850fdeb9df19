//! A set of numbers, written as ranges: `0-99,101` (pure).

use std::fmt::Write;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The set: ranges in order, with a gap between any two. Both ends belong to a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Whether a number is in it.
    pub fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).is_some_and(|at| number <= self.0[at].1)
    }

    /// Adds a number.
    pub fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let at = self.0.partition_point(|(first, _)| *first < number);
        let follows = at > 0 && self.0[at - 1].1.checked_add(1) == Some(number);
        let precedes = self.0.get(at).is_some_and(|(first, _)| number.checked_add(1) == Some(*first));
        match (follows, precedes) {
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
            (true, false) => self.0[at - 1].1 = number,
            (false, true) => self.0[at].0 = number,
            (false, false) => self.0.insert(at, (number, number)),
        }
    }
}

impl Serialize for Ranges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for (first, last) in &self.0 {
            let comma = if text.is_empty() { "" } else { "," };
            let _ = if first == last { write!(text, "{comma}{first}") } else { write!(text, "{comma}{first}-{last}") };
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse().ok()?)).filter(|(first, last): &(u64, u64)| first <= last)
        };
        let ranges: Option<Vec<_>> = text.split(',').filter(|part| !part.is_empty()).map(range).collect();
        let mut ranges = ranges.ok_or_else(|| D::Error::custom("no ranges of numbers"))?;
        ranges.sort_unstable();
        Ok(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(numbers in proptest::collection::vec(0_u64..40, 0..60)) {
            let mut ranges = Ranges::default();
            numbers.iter().for_each(|number| ranges.insert(*number));
            let set: BTreeSet<u64> = numbers.into_iter().collect();
            for number in 0..41 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
            prop_assert!(ranges.0.windows(2).all(|two| two[0].1 + 1 < two[1].0), "as few as possible: {:?}", ranges);
            let written = serde_json::to_string(&ranges).unwrap();
            prop_assert_eq!(serde_json::from_str::<Ranges>(&written).unwrap(), ranges);
        }
    }

    #[test]
    fn it_is_written_short() {
        let mut ranges = Ranges::default();
        [u64::MAX, 5, 1, 2, 3, 0].into_iter().for_each(|number| ranges.insert(number));
        assert_eq!(serde_json::to_string(&ranges).unwrap(), format!("\"0-3,5,{}\"", u64::MAX));
        for damaged in ["\"3-1\"", "\"a\"", "\"1-\"", "7"] {
            assert!(serde_json::from_str::<Ranges>(damaged).is_err(), "{damaged}");
        }
    }
}
