//! What data points of claude's metrics measure: cost, tokens, time, lines of code (pure).

use super::metrics::{ACTIVE, COMMITS, COST, LINES, PULL_REQUESTS, SESSIONS, TOKENS};
use crate::state::total::plain;

/// Sums over data points. Zero where no point says anything.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// How many data points.
    pub points: u64,
    /// Those of them that are not in the sums below: they are running totals, or no number.
    pub unsummed: u64,
    /// Those of them that ACT rejected in an export that it accepted. It says how many, not which.
    pub rejected: u64,
    /// US dollars, as claude estimates them.
    pub cost_usd: f64,
    /// Tokens of the input.
    pub input: f64,
    /// Tokens of the output.
    pub output: f64,
    /// Tokens read from the cache.
    pub cache_read: f64,
    /// Tokens written to the cache.
    pub cache_creation: f64,
    /// Tokens of a kind that is not known here.
    pub other_tokens: f64,
    /// Seconds in which claude was in use.
    pub active_seconds: f64,
    /// Lines of code that were added.
    pub lines_added: f64,
    /// Lines of code that were removed.
    pub lines_removed: f64,
    /// Commits that were made.
    pub commits: f64,
    /// Pull requests that were opened.
    pub pull_requests: f64,
    /// Sessions that claude counted.
    pub sessions: f64,
}

impl Measured {
    /// The names of the numbers, in the order of [`Self::numbers`]. The order never changes: a new one comes last.
    pub const NAMES: [&'static str; 15] = [
        "points",
        "unsummed",
        "rejected",
        "cost_usd",
        "input",
        "output",
        "cache_read",
        "cache_creation",
        "other_tokens",
        "active_seconds",
        "lines_added",
        "lines_removed",
        "commits",
        "pull_requests",
        "sessions",
    ];

    /// All numbers, without the noise of binary sums.
    pub fn numbers(&self) -> [f64; Self::NAMES.len()] {
        let mut copy = *self;
        let [points, unsummed, rejected] = [self.points, self.unsummed, self.rejected].map(|count| count as f64);
        let mut numbers = [0.0; Self::NAMES.len()];
        numbers[..3].copy_from_slice(&[points, unsummed, rejected]);
        numbers[3..].copy_from_slice(&copy.sums().map(|sum| plain(*sum)));
        numbers
    }

    /// The sums that these numbers say. Numbers that are missing are zero.
    pub fn of(numbers: &[f64]) -> Self {
        let at = |index: usize| numbers.get(index).copied().filter(|number| number.is_finite()).unwrap_or(0.0);
        let (points, unsummed, rejected) = (at(0) as u64, at(1) as u64, at(2) as u64);
        let mut measured = Self { points, unsummed, rejected, ..Self::default() };
        measured.sums().into_iter().zip(3..).for_each(|(sum, index)| *sum = at(index));
        measured
    }

    /// The numbers that are sums of values, in the order of [`Self::NAMES`].
    fn sums(&mut self) -> [&mut f64; 12] {
        [
            &mut self.cost_usd,
            &mut self.input,
            &mut self.output,
            &mut self.cache_read,
            &mut self.cache_creation,
            &mut self.other_tokens,
            &mut self.active_seconds,
            &mut self.lines_added,
            &mut self.lines_removed,
            &mut self.commits,
            &mut self.pull_requests,
            &mut self.sessions,
        ]
    }

    /// Adds the value of a data point of a sum of changes. `kind` is its attribute `type`.
    pub fn add(&mut self, metric: &str, kind: Option<&str>, value: f64) {
        let sum = match (metric, kind) {
            (COST, _) => &mut self.cost_usd,
            (TOKENS, Some("input")) => &mut self.input,
            (TOKENS, Some("output")) => &mut self.output,
            (TOKENS, Some("cacheRead")) => &mut self.cache_read,
            (TOKENS, Some("cacheCreation")) => &mut self.cache_creation,
            (TOKENS, _) => &mut self.other_tokens,
            (ACTIVE, _) => &mut self.active_seconds,
            (LINES, Some("added")) => &mut self.lines_added,
            (LINES, Some("removed")) => &mut self.lines_removed,
            (COMMITS, _) => &mut self.commits,
            (PULL_REQUESTS, _) => &mut self.pull_requests,
            (SESSIONS, _) => &mut self.sessions,
            _ => return,
        };
        *sum = within(*sum + value);
    }

    /// Adds other sums.
    pub fn join(&mut self, other: &Self) {
        let counts = [&mut self.points, &mut self.unsummed, &mut self.rejected];
        for (count, more) in counts.into_iter().zip([other.points, other.unsummed, other.rejected]) {
            *count = count.saturating_add(more);
        }
        let mut other = *other;
        for (sum, more) in self.sums().into_iter().zip(other.sums()) {
            *sum = within(*sum + *more);
        }
    }

    /// All tokens.
    pub fn tokens(&self) -> f64 {
        within(self.input + self.output + self.cache_read + self.cache_creation + self.other_tokens)
    }
}

/// A sum within the range of finite numbers.
fn within(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_written_read_and_added() {
        let numbers: [f64; Measured::NAMES.len()] = std::array::from_fn(|index| index as f64 + 1.0);
        let mut measured = Measured::of(&numbers);
        assert_eq!(measured.numbers(), numbers);
        measured.join(&Measured::of(&numbers));
        assert_eq!(measured.numbers(), numbers.map(|number| 2.0 * number));
        assert_eq!(measured.tokens(), 2.0 * (5.0 + 6.0 + 7.0 + 8.0 + 9.0));
        assert_eq!(
            Measured::of(&numbers[..4]),
            Measured { points: 1, unsummed: 2, rejected: 3, cost_usd: 4.0, ..Measured::default() }
        );
    }

    #[test]
    fn a_point_is_added_where_its_metric_and_kind_say() {
        let mut measured = Measured::default();
        for (metric, kind, value) in [
            ("claude_code.cost.usage", None, 0.1),
            ("claude_code.cost.usage", None, 0.2),
            ("claude_code.token.usage", Some("cacheRead"), 5.0),
            ("claude_code.token.usage", Some("new"), 7.0),
            ("claude_code.lines_of_code.count", Some("added"), 9.0),
            ("claude_code.lines_of_code.count", Some("moved"), 9.0),
            ("claude_code.session.count", None, 1.0),
            ("other", None, 3.0),
        ] {
            measured.add(metric, kind, value);
        }
        let expected = Measured {
            cost_usd: 0.3,
            cache_read: 5.0,
            other_tokens: 7.0,
            lines_added: 9.0,
            sessions: 1.0,
            ..Measured::default()
        };
        assert_eq!(measured.numbers(), expected.numbers());
    }

    #[test]
    fn a_sum_is_always_finite() {
        let mut measured = Measured::default();
        for _ in 0..2 {
            measured.add("claude_code.cost.usage", None, f64::MAX);
        }
        assert_eq!(measured.cost_usd, f64::MAX);
        measured.join(&measured.clone());
        assert_eq!((measured.cost_usd, Measured::of(&[f64::NAN]).points), (f64::MAX, 0));
    }
}
