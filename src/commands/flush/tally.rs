//! Counts the results of a flush, and renders them as text and JSON (pure).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use nix::errno::Errno;
use serde::Serialize;

use crate::config::typed::secret::{NOT_REPEATED, holds_credential};
use crate::state::outcome::{Problem, State, exports, points};
use crate::state::spool::deferral::Deferral;
use crate::state::spool::{Header, Spool};
use crate::system::exit::USAGE;
use crate::text::shell::shell_word;
use crate::text::uuid::has_uuid;

/// The results for an alias's exports.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// Exports that ACT took.
    pub delivered: u64,
    /// Their data points.
    pub points: u64,
    /// The data points of these exports that ACT rejected.
    pub rejected_points: u64,
    /// Exports ACT rejected.
    pub rejected: u64,
    /// Exports that were given up.
    pub discarded: u64,
    /// Exports that stay, by state.
    pub stays: BTreeMap<State, u64>,
    /// Exports of running sessions that have left the spool meanwhile.
    pub relayed: u64,
    /// Exports of running sessions that are still in the spool.
    pub running: u64,
    /// Exports that have stepped aside.
    pub deferred: Vec<DeferredExport>,
    /// The only export that waits, where there is no other one to compare it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
    /// Why exports stay.
    #[serde(rename = "trouble")]
    pub problem: Option<Problem>,
}

/// An export that stepped aside.
#[derive(Debug, Serialize)]
pub struct DeferredExport {
    /// Its name in the spool.
    pub export: String,
    /// How often it was tried.
    pub tries: u32,
    /// How it failed last.
    pub said: String,
    /// Whether another one was accepted when it stepped aside.
    pub accepts_others: bool,
}

impl Tally {
    /// Counts an export that has stepped aside, from the content of its note.
    pub fn note_deferred(&mut self, name: &str, note: &Deferral) {
        let Deferral { tries, accepts_others, problem, .. } = note.clone();
        self.deferred.push(DeferredExport { export: name.to_owned(), tries, said: problem.said, accepts_others });
    }
}

/// The results for all exports.
#[derive(Debug, Default)]
pub struct Tallies {
    /// The tallies, by account and alias.
    by_alias: BTreeMap<(String, String), Tally>,
    /// Damaged exports.
    pub corrupt: u64,
    /// Exports written by a newer act-claude.
    pub newer: u64,
    /// Exports that can't be read now, by reason.
    unreadable: BTreeMap<String, u64>,
    /// Damaged exports that could not be moved to the dead letters, by reason.
    corrupt_stays: BTreeMap<String, u64>,
    /// Why the spool could not be listed.
    pub unlisted: Option<String>,
    /// Why an export that is done could not be removed.
    pub unremoved: Option<String>,
    /// Exports named with `--only` that are not in the spool.
    pub unknown: Vec<String>,
    /// The destination, where these are copies.
    pub destination: Option<String>,
    /// The directory of the exports that wait.
    queue: PathBuf,
    /// The directory of damaged exports.
    corrupt_directory: PathBuf,
}

impl Tallies {
    /// The tallies of a spool, still empty.
    pub fn of_spool(spool: &Spool) -> Self {
        let destination = spool.destination().map(str::to_owned);
        Self { destination, queue: spool.queue(), corrupt_directory: spool.corrupt(), ..Self::default() }
    }

    /// The tally of an export's account and alias.
    pub fn of(&mut self, header: &Header) -> &mut Tally {
        self.by_alias.entry((header.account.clone(), header.alias.clone())).or_default()
    }

    /// Counts an export that can't be read now.
    pub fn unreadable(&mut self, errno: Errno) {
        *self.unreadable.entry(errno.desc().to_owned()).or_default() += 1;
    }

    /// Counts a damaged export that could not be moved to the dead letters.
    pub fn corrupt_stays(&mut self, errno: Errno) {
        *self.corrupt_stays.entry(errno.desc().to_owned()).or_default() += 1;
    }

    /// Whether ACT has taken and rejected no export.
    pub fn nothing_passed(&self) -> bool {
        self.by_alias.values().all(|tally| tally.delivered + tally.rejected == 0)
    }

    /// The exit status.
    pub fn code(&self) -> u8 {
        let worst = |tally: &Tally| match tally.stays.keys().next() {
            Some(State::Waiting) => 75,
            Some(_) => tally.problem.as_ref().map_or(78, |problem| problem.code),
            None if tally.running > 0 || !tally.deferred.is_empty() => 75,
            None => 0,
        };
        let unread = !self.unreadable.is_empty() || !self.corrupt_stays.is_empty();
        let own = if unread || self.unlisted.is_some() || self.unremoved.is_some() { 75 } else { 0 };
        let usage = if self.unknown.is_empty() { 0 } else { USAGE };
        self.by_alias.values().map(worst).chain([own, usage]).max().unwrap_or(0)
    }

    /// The results as JSON.
    pub fn json(&self) -> serde_json::Value {
        let aliases: Vec<_> = self
            .by_alias
            .iter()
            .map(|((account, alias), tally)| {
                let mut entry = serde_json::json!({ "alias": alias, "account": account });
                if let (Some(entry), Ok(serde_json::Value::Object(tally))) =
                    (entry.as_object_mut(), serde_json::to_value(tally))
                {
                    entry.extend(tally);
                }
                entry
            })
            .collect();
        serde_json::json!({
            "aliases": aliases, "corrupt": self.corrupt, "newer": self.newer, "unreadable": self.unreadable,
            "corrupt_stays": self.corrupt_stays, "unlisted": self.unlisted, "unremoved": self.unremoved,
            "unknown": self.unknown,
        })
    }

    /// The results as text, a line each; empty where there are none.
    pub fn words(&self) -> String {
        let mut text = String::new();
        let what = self.destination.as_ref().map(|name| format!("copy {name}: ")).unwrap_or_default();
        for ((_, alias), tally) in &self.by_alias {
            tally.words(&format!("{what}{alias}"), self.destination.as_deref(), &mut text);
        }
        for name in &self.unknown {
            // An export's name may be as long as a token.
            let is_secret = has_uuid(name) || holds_credential(name);
            let name = if is_secret { NOT_REPEATED } else { name };
            let names = shell_word(&self.queue);
            let _ = writeln!(text, "there is no export {name} in the spool; those that are there: ls {names}");
        }
        let corrupt = self.corrupt_directory.display();
        if self.newer > 0 {
            let _ = writeln!(text, "{what}{} written by a newer act-claude, left alone", exports(self.newer));
        }
        if self.corrupt > 0 {
            let _ = writeln!(text, "{what}{} damaged, moved to {corrupt}", exports(self.corrupt));
        }
        for (why, count) in &self.corrupt_stays {
            let _ = writeln!(text, "{what}{} damaged, can't be moved to {corrupt} ({why})", exports(*count));
        }
        for (why, count) in &self.unreadable {
            let _ = writeln!(text, "{what}{} can't be read now ({why}), kept: try again later", exports(*count));
        }
        if let Some(why) = &self.unlisted {
            let _ = writeln!(text, "{what}the waiting exports can't be listed: {why}");
        }
        if let Some(why) = &self.unremoved {
            let _ = writeln!(text, "{what}finished exports can't be removed from the spool: {why}");
        }
        text
    }
}

/// How many exports that stepped aside are shown by name; there may be thousands.
const SHOWN: usize = 5;

impl Tally {
    fn words(&self, alias: &str, destination: Option<&str>, text: &mut String) {
        let (receiver, flush) = (destination.unwrap_or("ACT"), super::command(destination));
        if self.delivered > 0 {
            let _ = write!(text, "{alias}: {} delivered ({})", exports(self.delivered), points(self.points));
            if self.rejected_points > 0 {
                let _ = write!(text, "; {receiver} rejected {}", points(self.rejected_points));
            }
            text.push('\n');
        }
        if self.rejected > 0 {
            let what = exports(self.rejected);
            let _ = writeln!(text, "{alias}: {what} rejected by {receiver}, moved to the dead letters");
        }
        if self.discarded > 0 {
            let _ = writeln!(text, "{alias}: {} deleted", exports(self.discarded));
        }
        for (state, count) in &self.stays {
            let what = match state {
                State::Waiting => "waiting",
                State::NotUnderstood => "not understood",
                _ => "held",
            };
            let why = self.problem.as_ref().map(words_of).unwrap_or_default();
            let _ = writeln!(text, "{alias}: {} {what}: {why}", exports(*count));
        }
        if let Some(name) = self.alone.as_ref().filter(|_| self.stays.contains_key(&State::Waiting)) {
            let _ = writeln!(text, "  to delete it: {flush} --discard --only {name}");
        }
        for DeferredExport { export, tries, said, accepts_others } in self.deferred.iter().take(SHOWN) {
            let others = if *accepts_others {
                format!("{receiver} accepts other exports")
            } else {
                "The others go first".to_owned()
            };
            let _ = writeln!(text, "{alias}: 1 export stepped aside, tried {tries} times: {said}. {others}");
            let _ = writeln!(text, "  to delete it: {flush} --discard --only {export}");
        }
        if let Some(more) = self.deferred.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(text, "{alias}: {more} more stepped aside; all: act-claude act flush --json");
        }
        if self.relayed > 0 {
            let _ = writeln!(text, "{alias}: {} delivered or handled by running sessions", exports(self.relayed));
        }
        if self.running > 0 {
            let what = exports(self.running);
            let _ = writeln!(text, "{alias}: {what} still in running sessions, which keep trying to deliver");
        }
    }
}

/// A problem as text: what happened, its cause, and the fix.
fn words_of(problem: &Problem) -> String {
    let rest = [problem.cause.trim_end_matches('.'), problem.fix.as_str()];
    let rest = rest.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    if rest.is_empty() { problem.said.clone() } else { format!("{}. {rest}", problem.said) }
}
