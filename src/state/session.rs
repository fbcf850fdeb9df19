//! Describes session records for users: each one in `act history`, and once, at a terminal, those that failed in the
//! background.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Value, json};

use crate::state::outcome::{self, OPEN, Outcome, State};
use crate::state::record::{self, Record};
use crate::state::spool::{Spool, Summary, list};

/// A session's record, with its present state.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its record.
    pub record: Record,
    /// Whether its relay runs.
    pub live: bool,
    /// Whether its claude runs, too.
    pub running: bool,
    /// How many of its exports are still in the spool.
    pub kept: u64,
}

impl Session {
    /// Describes a record; checks whether the session is live.
    pub fn new(mut record: Record, state: &Path, spool: &Summary) -> Self {
        let live = record.is_live(state);
        let running = live && record.has_running_claude();
        // A relay writes the end before it releases the lock, so the record on disk is the final one now.
        if record.end.is_none()
            && !live
            && let Some(last) = record::read(state, &record.id)
        {
            record = last;
        }
        // Its relay was killed while claude could still send exports.
        let was_killed = record.end.is_none() && !live;
        record.outcome.relay_lost |= was_killed && !record.claude_has_gone;
        for outcome in std::iter::once(&mut record.outcome).chain(record.copies.values_mut()) {
            outcome.relay_was_killed = was_killed;
        }
        let kept = spool.sessions.get(&record.id).copied().unwrap_or(0);
        if record.end.is_none() && !live && spool.unlisted.is_none() {
            forget(&mut record.outcome, kept);
            for (destination, outcome) in &mut record.copies {
                copies_left(state, destination, &record.id).into_iter().for_each(|kept| forget(outcome, kept));
            }
        }
        Self { record, live, running, kept }
    }

    /// The worst state of its exports.
    pub fn state(&self) -> State {
        match self.record.state() {
            State::UnderWay if self.record.outcome.relay_lost => State::NotObserved,
            state => state,
        }
    }

    /// Whether its relay was killed: the next session sends the exports that it stored.
    pub fn was_killed(&self) -> bool {
        self.record.end.is_none() && !self.live
    }

    /// Whether the exports that its relay left in the spool have left it since. False for a killed relay, where this is not known.
    pub fn went_out_later(&self) -> bool {
        !self.live && self.record.end.is_some() && self.kept == 0 && OPEN.contains(&self.state())
    }

    /// Whether some of its exports did not reach ACT, and are not known to be under way.
    pub fn has_failed(&self) -> bool {
        !self.went_out_later() && (self.needs_someone() || self.state() == State::Waiting)
    }

    /// Whether it has a failure that lasts until the user does something, or for ever.
    pub fn needs_someone(&self) -> bool {
        let outcome = &self.record.outcome;
        let bad = [State::Lost, State::Rejected, State::NotUnderstood, State::Partial, State::Held, State::NotObserved];
        let is_bad = bad.iter().any(|state| outcome.count(*state) > 0);
        is_bad || outcome.may_lack_exports() || self.record.redirected_by.is_some() || self.record.owed
    }

    /// The outcome of its exports in the words of the report.
    pub fn words(&self) -> String {
        match (&self.record.problem, self.record.outcome.exports) {
            (problem, 0) if self.record.owed => outcome::nothing_sent(None, problem.as_ref()),
            (Some(problem), 0) => format!("{}{}", problem.said, outcome::advice(problem)),
            (None, 0) if self.record.outcome.is_silent() => outcome::nothing_sent(None, None),
            _ => outcome::words(&self.record.outcome),
        }
    }

    /// What became of its copies, a text for each destination that does not have them all.
    pub fn copies(&self) -> Vec<String> {
        let is_open = |outcome: &Outcome| match outcome.state() {
            State::Delivered | State::NothingSent => false,
            State::UnderWay => !self.live,
            _ => true,
        };
        let copies = self.record.copies.iter().filter(|(_, outcome)| is_open(outcome));
        let words = |(destination, outcome): (&String, &Outcome)| {
            format!("copy {destination}: {}", outcome::words_of(outcome, destination))
        };
        copies.map(words).collect()
    }

    /// The record and values derived from it, for programs.
    pub fn json(&self) -> Value {
        let mut value = serde_json::to_value(&self.record).unwrap_or_default();
        let totals: BTreeMap<_, _> = self.record.totals.iter().map(|(name, total)| (name, total.plainly())).collect();
        value["totals"] = json!(totals);
        if let Some(object) = value.as_object_mut() {
            object.insert("state".to_owned(), json!(self.state()));
            object.insert("live".to_owned(), json!(self.live));
            object.insert("running".to_owned(), json!(self.running));
            object.insert("killed".to_owned(), json!(self.was_killed()));
            object.insert("kept".to_owned(), json!(self.kept));
            object.insert("went_out_later".to_owned(), json!(self.went_out_later()));
            object.insert("failed".to_owned(), json!(self.has_failed()));
            object.insert("text".to_owned(), json!(self.words()));
        }
        value
    }
}

/// How many copies of a session a destination's spool has; `None`: it can't be listed.
fn copies_left(state: &Path, destination: &str, session: &str) -> Option<u64> {
    match list::sessions(&Spool::of_copies(state, destination)) {
        Ok(mut waiting) => Some(waiting.remove(session).map_or(0, |names| names.len() as u64)),
        Err(error) => (error.kind() == ErrorKind::NotADirectory).then_some(0),
    }
}

/// Counts the open exports of a killed relay as not observed where the spool does not have them any more. `kept`: how many it
/// has. The others left it after the relay's last record, or were in memory only; nothing says what became of them.
fn forget(outcome: &mut Outcome, kept: u64) {
    let open: u64 = OPEN.iter().map(|state| outcome.count(*state)).sum();
    let gone = open.saturating_sub(kept);
    let mut left = gone;
    for state in OPEN {
        let less = outcome.count(state).min(left);
        left -= less;
        if let Some(count) = outcome.states.get_mut(&state) {
            *count -= less;
        }
    }
    if gone > 0 {
        *outcome.states.entry(State::NotObserved).or_default() += gone;
    }
}

#[cfg(test)]
pub(crate) mod sample {
    use super::Session;
    use crate::state::outcome::{Outcome, Problem, State};
    use crate::state::record::{LaunchKind, Record, VERSION};

    /// An ended session of the launcher form with this many exports in each state.
    pub fn session(id: &str, states: &[(State, u64)]) -> Session {
        let held = Problem {
            said: "ACT answered 401 Unauthorized".to_owned(),
            cause: "The API token or its user is wrong".to_owned(),
            fix: "act-claude act setup --account acme".to_owned(),
            code: 77,
        };
        let exports = states.iter().map(|(_, count)| count).sum();
        let problems = states.iter().filter(|(state, _)| *state != State::Delivered);
        let record = Record {
            version: VERSION,
            id: id.to_owned(),
            kind: LaunchKind::Launcher,
            start: "2026-11-24T18:02:11Z".parse().unwrap(),
            end: Some("2026-11-24T18:14:11Z".parse().unwrap()),
            directory: "/home/dev/work/billing".into(),
            alias: Some("billing".to_owned()),
            reason: Some("a rule".to_owned()),
            account: Some("acme".to_owned()),
            claude: "/bin/claude".into(),
            client_version: Some("2.1.330".to_owned()),
            command_pid: Some(7),
            command_started: None,
            relay_pid: 8,
            outcome: Outcome {
                exports,
                points: exports * 15,
                states: states.iter().copied().collect(),
                problems: problems.map(|(state, _)| (*state, held.clone())).collect(),
                ..Outcome::default()
            },
            copies: Default::default(),
            totals: Default::default(),
            problem: None,
            redirected_by: None,
            claude_has_gone: false,
            owed: false,
            unread: false,
        };
        Session { record, live: false, running: false, kept: exports }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::session;
    use super::*;

    #[test]
    fn what_has_left_the_spool_is_no_failure_any_more() {
        for (state, went_out) in [(State::Held, true), (State::Waiting, true), (State::Lost, false)] {
            let mut session = session("a", &[(state, 1)]);
            session.kept = 0;
            assert_eq!((session.went_out_later(), session.has_failed()), (went_out, !went_out), "{state:?}");
            session.live = true;
            assert!(!session.went_out_later());
        }
    }

    /// Its relay was killed: what has left the spool since the last record is not claimed to have been sent.
    #[test]
    fn what_a_killed_relay_left_undecided_is_not_observed() {
        let directory = tempfile::tempdir().unwrap();
        let killed = |states: &[(State, u64)], kept, claude_has_gone| {
            let mut record = session("a", states).record;
            (record.end, record.claude_has_gone) = (None, claude_has_gone);
            record.outcome.problems.clear();
            let spool = Summary { sessions: [("a".to_owned(), kept)].into(), ..Summary::default() };
            let session = Session::new(record, directory.path(), &spool);
            assert!(!session.went_out_later() && session.was_killed(), "{states:?}");
            (session.state(), session.has_failed(), session.words())
        };
        let after = "; the relay ended unexpectedly, and what claude sent after that is not known";
        let gone = "not observed: the relay was killed before it could note ACT's answer";
        let (delivered, under_way) = ((State::Delivered, 3), (State::UnderWay, 2));
        for (states, kept, has_gone, state, failed, words) in [
            (
                &[delivered, under_way][..],
                0,
                false,
                State::NotObserved,
                true,
                format!("3 of 5 exports delivered; 2 {gone}{after}"),
            ),
            (&[delivered, under_way], 0, true, State::NotObserved, true, format!("3 of 5 exports delivered; 2 {gone}")),
            (&[under_way], 0, false, State::NotObserved, true, format!("2 exports {gone}{after}")),
            (
                &[under_way],
                2,
                false,
                State::NotObserved,
                true,
                format!("2 exports not decided when the relay ended{after}"),
            ),
            (&[(State::Waiting, 2)], 0, true, State::NotObserved, true, format!("2 exports {gone}")),
            // They are still there: the next session sends them.
            (&[under_way], 2, true, State::UnderWay, false, "2 exports not decided when the relay ended".to_owned()),
            // A later process noted all of them.
            (&[delivered], 0, true, State::Delivered, false, "3 exports delivered (45 points)".to_owned()),
            (&[delivered], 0, false, State::NotObserved, true, format!("3 exports delivered (45 points){after}")),
        ] {
            assert_eq!(killed(states, kept, has_gone), (state, failed, words), "{states:?} {kept} {has_gone}");
        }
        // The same for a copy.
        let mut record = session("a", &[delivered]).record;
        (record.end, record.claude_has_gone) = (None, true);
        record.copies.insert("grafana".to_owned(), session("a", &[under_way]).record.outcome);
        record.copies.values_mut().for_each(|copy| copy.problems.clear());
        let session_of = |record| Session::new(record, directory.path(), &Summary::default());
        let copy = session_of(record).record.copies.remove("grafana").unwrap();
        assert!(!crate::state::outcome::words(&copy).contains("in the background"), "nobody delivers it");
        // Nothing is known of the spool.
        let mut record = session("a", &[under_way]).record;
        (record.end, record.claude_has_gone) = (None, true);
        let spool = Summary { unlisted: Some("why".to_owned()), ..Summary::default() };
        assert_eq!(Session::new(record, directory.path(), &spool).state(), State::UnderWay);
    }

    #[test]
    fn what_counts_as_failed() {
        for (states, failed, needs_someone) in [
            (&[(State::Delivered, 3)][..], false, false),
            (&[(State::Delivered, 3), (State::Held, 1)], true, true),
            (&[(State::Delivered, 3), (State::Partial, 1)], true, true),
            (&[(State::Lost, 1)], true, true),
            (&[(State::Rejected, 1)], true, true),
            (&[(State::NotUnderstood, 1)], true, true),
            (&[(State::Waiting, 1)], true, false),
            (&[(State::UnderWay, 1)], false, false),
            (&[], false, false),
        ] {
            let session = session("a", states);
            assert_eq!((session.has_failed(), session.needs_someone()), (failed, needs_someone), "{states:?}");
        }
        let mut redirected = session("a", &[]);
        redirected.record.redirected_by = Some("env.X in s.json".to_owned());
        assert!(redirected.has_failed() && redirected.needs_someone());
        let mut owed = session("a", &[]);
        owed.record.owed = true;
        assert!(owed.has_failed() && owed.needs_someone());
        assert_eq!(owed.words(), "claude sent no metrics");
    }
}
