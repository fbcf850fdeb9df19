//! What claude's metrics say about a session: cost, tokens, time, lines of code (pure).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::state::total::{Total, plain};

pub(super) const COST: &str = "claude_code.cost.usage";
pub(super) const TOKENS: &str = "claude_code.token.usage";
pub(super) const ACTIVE: &str = "claude_code.active_time.total";
pub(super) const LINES: &str = "claude_code.lines_of_code.count";
pub(super) const COMMITS: &str = "claude_code.commit.count";
pub(super) const PULL_REQUESTS: &str = "claude_code.pull_request.count";
pub(super) const SESSIONS: &str = "claude_code.session.count";

/// The metrics whose points have a kind (the attribute `type`), with the kinds by which they are summed. Other texts in that
/// attribute are not kept.
const KINDS: [(&str, &[&str]); 2] =
    [(TOKENS, &["input", "output", "cacheRead", "cacheCreation"]), (LINES, &["added", "removed"])];

/// The kinds by which a metric is summed; none for most metrics.
pub fn kinds(metric: &str) -> &'static [&'static str] {
    KINDS.iter().find(|(name, _)| *name == metric).map_or(&[], |(_, kinds)| kinds)
}

/// What a session used. `None`: not known, or claude did not report it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Whether these are sums over all that claude sent, as far as is known.
    pub complete: bool,
    /// The cost in US dollars, as claude estimates it.
    pub cost_usd: Option<f64>,
    /// The tokens.
    pub tokens: Option<Tokens>,
    /// The time in which claude was in use, in seconds.
    pub active_seconds: Option<f64>,
    /// Lines of code that were added.
    pub lines_added: Option<u64>,
    /// Lines of code that were removed.
    pub lines_removed: Option<u64>,
    /// Commits that were made.
    pub commits: Option<u64>,
    /// Pull requests that were opened.
    pub pull_requests: Option<u64>,
}

/// Tokens by kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tokens {
    /// All of them, those of an unknown kind included.
    pub total: u64,
    /// Of the input.
    pub input: Option<u64>,
    /// Of the output.
    pub output: Option<u64>,
    /// Read from the cache.
    pub cache_read: Option<u64>,
    /// Written to the cache.
    pub cache_creation: Option<u64>,
}

impl Usage {
    /// The usage that a session's totals show. `complete`: nothing is known to be missing in them.
    pub fn of(totals: &BTreeMap<String, Total>, complete: bool) -> Self {
        let known = |metric: &str| totals.get(metric).and_then(Total::known);
        let count = |metric: &str| known(metric).and_then(whole);
        let of_kind =
            |metric: &str, kind: &str| totals.get(metric).and_then(|total| total.of_kind(kind)).and_then(whole);
        Self {
            complete: complete && totals.values().all(|total| total.known().is_some()),
            cost_usd: known(COST).map(plain),
            tokens: count(TOKENS).map(|total| Tokens {
                total,
                input: of_kind(TOKENS, "input"),
                output: of_kind(TOKENS, "output"),
                cache_read: of_kind(TOKENS, "cacheRead"),
                cache_creation: of_kind(TOKENS, "cacheCreation"),
            }),
            active_seconds: known(ACTIVE).map(plain),
            lines_added: of_kind(LINES, "added"),
            lines_removed: of_kind(LINES, "removed"),
            commits: count(COMMITS),
            pull_requests: count(PULL_REQUESTS),
        }
    }
}

/// A count; `None` for a number that can be none. One beyond the range becomes the largest.
fn whole(value: f64) -> Option<u64> {
    (value >= 0.0).then(|| value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn total(value: f64, kinds: &[(&str, f64)]) -> Total {
        let kinds = kinds.iter().map(|(kind, value)| ((*kind).to_owned(), *value)).collect();
        Total { value, unit: String::new(), kinds }
    }

    #[test]
    fn what_is_not_known_is_null_and_never_0() {
        let mut nothing = serde_json::to_value(Usage::of(&BTreeMap::new(), true)).unwrap();
        assert_eq!(nothing.as_object_mut().unwrap().remove("complete"), Some(json!(true)));
        let unknown = [("x".to_owned(), total(f64::NAN, &[]))].into();
        assert!(!Usage::of(&unknown, true).complete);
        assert!(nothing.as_object().unwrap().values().all(serde_json::Value::is_null), "{nothing}");
        let totals = [
            (COST, total(f64::NAN, &[])),
            (TOKENS, total(12.0, &[("input", 10.0), ("cacheRead", 0.0)])),
            (LINES, total(3.0, &[("added", 3.0)])),
            (COMMITS, total(-1.0, &[])),
        ];
        let totals = totals.map(|(name, total)| (name.to_owned(), total)).into();
        assert_eq!(
            serde_json::to_value(Usage::of(&totals, false)).unwrap(),
            json!({
                "complete": false,
                "cost_usd": null,
                "tokens": {"total": 12, "input": 10, "output": null, "cache_read": 0, "cache_creation": null},
                "active_seconds": null, "lines_added": 3, "lines_removed": null, "commits": null, "pull_requests": null
            })
        );
    }
}
