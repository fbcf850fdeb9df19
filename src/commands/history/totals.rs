//! Sums over sessions by day: today, and this week (pure).

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{ToSpan, Zoned};
use serde_json::{Value, json};

use super::listing::{SENT_LATER, state_word};
use crate::claude::metrics::Usage;
use crate::state::outcome::{OPEN, State};
use crate::state::session::Session;
use crate::state::total::Total;
use crate::text::amount::{dollars, grouped};
use crate::text::table::{Table, cell, numbers, words};

/// The sums over the sessions that began in a period.
#[derive(Debug)]
pub struct Totals {
    /// The period's name.
    name: &'static str,
    /// Its first day; the last is today.
    since: Date,
    sessions: u64,
    exports: u64,
    points: u64,
    /// How many exports are in each state.
    states: BTreeMap<State, u64>,
    /// How many exports were waiting or held, and have left this machine since.
    sent_later: u64,
    usage: Usage,
    /// The sessions whose figures are not known, or not all of them.
    incomplete: u64,
}

/// Today and this week, which begins on Monday. A day is one of the time zone of `now`.
pub fn of(sessions: &[Session], now: &Zoned) -> [Totals; 2] {
    let today = now.date();
    let monday = today.saturating_sub(i64::from(today.weekday().to_monday_zero_offset()).days());
    [("today", today), ("this week", monday)].map(|(name, since)| {
        let is_within = |session: &&Session| {
            let day = session.record.start.to_zoned(now.time_zone().clone()).date();
            since <= day && day <= today
        };
        sum(name, since, sessions.iter().filter(is_within))
    })
}

fn sum<'a>(name: &'static str, since: Date, sessions: impl Iterator<Item = &'a Session>) -> Totals {
    let (mut count, mut exports, mut points, mut incomplete) = (0, 0_u64, 0_u64, 0);
    let (mut states, mut totals) = (BTreeMap::new(), BTreeMap::<String, Total>::new());
    let (mut sent_later, mut without_kinds) = (0_u64, BTreeSet::new());
    for session in sessions {
        let record = &session.record;
        count += 1;
        // A damaged record may have any number.
        exports = exports.saturating_add(record.outcome.exports);
        points = points.saturating_add(record.outcome.points);
        let is_complete = Usage::of(&record.totals, record.outcome.has_all_totals()).complete;
        incomplete += u64::from(!is_complete);
        for (state, count) in record.outcome.states.iter().filter(|(_, count)| **count > 0) {
            let is_later = session.went_out_later() && OPEN.contains(state);
            let sum: &mut u64 = if is_later { &mut sent_later } else { states.entry(*state).or_default() };
            *sum = sum.saturating_add(*count);
        }
        for (metric, total) in &record.totals {
            if total.known().is_some() {
                totals.entry(metric.clone()).or_default().join(total);
            }
            if total.kinds.is_empty() {
                without_kinds.insert(metric);
            }
        }
    }
    // The kinds are not known of all sessions: an earlier version did not note them.
    totals.iter_mut().filter(|(metric, _)| without_kinds.contains(metric)).for_each(|(_, total)| total.kinds.clear());
    let usage = Usage::of(&totals, incomplete == 0);
    Totals { name, since, sessions: count, exports, points, states, sent_later, usage, incomplete }
}

impl Totals {
    /// The sums for programs.
    pub fn json(&self) -> Value {
        json!({
            "since": self.since.to_string(), "sessions": self.sessions, "exports": self.exports, "points": self.points,
            "states": self.states, "sent_later": self.sent_later, "usage": self.usage,
            "incomplete_sessions": self.incomplete,
        })
    }
}

/// The sums as a table.
pub fn table(totals: &[Totals]) -> Table<7> {
    let titles = ["Sessions", "Exports", "Points", "Tokens", "Cost"].map(numbers);
    let [sessions, exports, points, tokens, cost] = titles;
    let mut table =
        Table::new([words("All sessions"), sessions, exports, points, tokens, cost, words("State of the exports")]);
    for Totals { name, sessions, exports, points, states, sent_later, usage, incomplete, .. } in totals {
        let later = (*sent_later > 0).then_some((SENT_LATER, sent_later));
        let states = states.iter().rev().map(|(state, count)| (state_word(*state), count)).chain(later);
        let states: Vec<String> = states.map(|(word, count)| format!("{} {word}", grouped(*count))).collect();
        table.row(
            false,
            [
                cell(name),
                cell(grouped(*sessions)),
                cell(grouped(*exports)),
                cell(grouped(*points)),
                cell(tokens_of(usage)),
                cell(cost_of(usage)),
                cell(states.join(", ")),
            ],
        );
        if *incomplete > 0 {
            let whose =
                if *incomplete == 1 { "of 1 session" } else { &format!("of {} sessions", grouped(*incomplete)) };
            table.below(cell(format!("tokens and cost {whose} are not known, or not all of them")));
        }
    }
    table
}

/// The tokens; empty where claude reported none.
pub fn tokens_of(usage: &Usage) -> String {
    as_far_as_known(usage, usage.tokens.as_ref().map(|tokens| grouped(tokens.total)))
}

/// The cost; empty where claude reported none.
pub fn cost_of(usage: &Usage) -> String {
    as_far_as_known(usage, usage.cost_usd.map(dollars))
}

/// A sum to which something may be missing says so.
fn as_far_as_known(usage: &Usage, sum: Option<String>) -> String {
    match (sum, usage.complete) {
        (sum, true) => sum.unwrap_or_default(),
        (Some(sum), false) => format!("at least {}", sum.replace("<$0.01", "$0.00")),
        (None, false) => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::session::sample::session;

    fn at(start: &str, state: State, exports: u64, tokens: Option<f64>) -> Session {
        let mut session = session("1", &[(state, exports)]);
        session.record.start = start.parse().unwrap();
        let total = |value| Total { value, unit: String::new(), kinds: [("input".to_owned(), value)].into() };
        session.record.totals =
            tokens.map(|tokens| ("claude_code.token.usage".to_owned(), total(tokens))).into_iter().collect();
        session
    }

    fn counts(sessions: &[Session], now: &str) -> [u64; 2] {
        of(sessions, &now.parse().unwrap()).map(|totals| totals.sessions)
    }

    /// Tuesday, 24 November 2026, in a zone that is nine hours ahead: local days count, and the week begins on Monday.
    #[test]
    fn days_are_local_and_the_week_begins_on_monday() {
        let now = "2026-11-24T18:00:00+09:00[Asia/Tokyo]";
        for (start, expected) in [
            ("2026-11-24T08:00:00Z", [1, 1]),
            ("2026-11-23T15:00:00Z", [1, 1]), // Tuesday 00:00 there
            ("2026-11-23T14:59:59Z", [0, 1]), // Monday 23:59
            ("2026-11-22T15:00:00Z", [0, 1]), // Monday 00:00
            ("2026-11-22T14:59:59Z", [0, 0]), // Sunday 23:59
            ("2026-11-24T15:00:00Z", [0, 0]), // tomorrow: the clock was wrong, then or now
        ] {
            assert_eq!(counts(&[at(start, State::Delivered, 1, None)], now), expected, "{start}");
        }
        let monday = [at("2026-11-22T16:00:00Z", State::Delivered, 1, None)];
        assert_eq!(counts(&monday, "2026-11-23T09:00:00+09:00[Asia/Tokyo]"), [1, 1]);
        assert_eq!(counts(&monday, "2026-11-29T23:59:59+09:00[Asia/Tokyo]"), [0, 1], "Sunday ends the week");
        assert_eq!(counts(&monday, "2026-11-30T00:00:00+09:00[Asia/Tokyo]"), [0, 0]);
    }

    #[test]
    fn sums_as_text_and_json() {
        let sessions = [
            at("2026-11-24T08:00:00Z", State::Delivered, 14, Some(48_210.0)),
            at("2026-11-24T07:00:00Z", State::Held, 3, None),
            at("2026-11-23T07:00:00Z", State::Delivered, 1_000, Some(2_000_000.0)),
        ];
        let totals = of(&sessions, &"2026-11-24T18:00:00Z[UTC]".parse().unwrap());
        let text = table(&totals).text(100);
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "\
All sessions  Sessions  Exports  Points     Tokens  Cost  State of the exports
today                2       17     255     48,210     -  14 delivered, 3 held
this week            3    1,017  15,255  2,048,210     -  1,014 delivered, 3 held
"
        );
        let json = totals[0].json();
        assert_eq!((&json["since"], &json["states"]), (&json!("2026-11-24"), &json!({"held": 3, "delivered": 14})));
        assert_eq!(json["sent_later"], 0);
        assert_eq!((&json["usage"]["tokens"]["input"], &json["usage"]["cost_usd"]), (&json!(48_210), &Value::Null));
    }

    #[test]
    fn what_has_left_this_machine_is_not_held_any_more() {
        let mut session = at("2026-11-24T08:00:00Z", State::Held, 3, None);
        session.kept = 0;
        let totals = of(&[session], &"2026-11-24T18:00:00Z[UTC]".parse().unwrap());
        assert_eq!((totals[0].sent_later, totals[0].states.len()), (3, 0));
        assert!(table(&totals).text(100).contains("  3 sent later\n"));
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let mut lost = at("2026-11-24T08:00:00Z", State::Delivered, 1, None);
        lost.record.outcome.unsummed = 1;
        let sessions = [lost, at("2026-11-24T09:00:00Z", State::Delivered, 2, Some(7.0))];
        let now = "2026-11-24T18:00:00Z[UTC]".parse().unwrap();
        let text =
            |sessions: &[Session]| anstream::adapter::strip_str(&table(&of(sessions, &now)).text(100)).to_string();
        assert_eq!(
            text(&sessions).lines().take(3).collect::<Vec<_>>(),
            [
                "All sessions  Sessions  Exports  Points      Tokens       Cost  State of the exports",
                "today                2        3      45  at least 7  not known  3 delivered",
                "              tokens and cost of 1 session are not known, or not all of them",
            ]
        );
        assert!(text(&sessions[..1]).contains("  not known  not known  1 delivered\n"), "{}", text(&sessions[..1]));
        assert!(!text(&sessions[1..]).contains("known"), "{}", text(&sessions[1..]));
        assert_eq!(of(&sessions, &now)[0].json()["incomplete_sessions"], 1);
    }

    /// An earlier version noted no kinds: their sum over all sessions is not known then.
    #[test]
    fn kinds_that_one_session_lacks_are_not_known() {
        let mut old = at("2026-11-24T08:00:00Z", State::Delivered, 1, Some(7.0));
        old.record.totals.values_mut().for_each(|total| total.kinds.clear());
        let sessions = [old, at("2026-11-24T08:00:00Z", State::Delivered, 1, Some(5.0))];
        let tokens = of(&sessions, &"2026-11-24T18:00:00Z[UTC]".parse().unwrap())[0].usage.tokens.clone().unwrap();
        assert_eq!((tokens.total, tokens.input), (12, None));
    }

    #[test]
    fn numbers_of_a_damaged_record_do_no_harm() {
        let mut damaged = at("2026-11-24T08:00:00Z", State::Delivered, 1, Some(f64::NAN));
        damaged.record.outcome.exports = u64::MAX;
        damaged.record.outcome.states = [(State::Delivered, u64::MAX)].into();
        let totals = of(&[damaged.clone(), damaged], &"2026-11-24T18:00:00Z[UTC]".parse().unwrap());
        assert_eq!((totals[0].exports, totals[0].usage.tokens.clone()), (u64::MAX, None));
    }
}
