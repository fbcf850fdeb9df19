//! What a flush did, counted and said (pure).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::state::outcome::{State, Trouble, exports, points};
use crate::state::spool::Header;

/// What became of an alias's exports.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// Exports that ACT has now.
    pub delivered: u64,
    /// Their data points.
    pub points: u64,
    /// Of which ACT rejected these.
    pub rejected_points: u64,
    /// Exports ACT rejected.
    pub rejected: u64,
    /// Exports given up.
    pub discarded: u64,
    /// What stays, by state.
    pub stays: BTreeMap<State, u64>,
    /// Of running sessions, whose relays took care of them meanwhile.
    pub relayed: u64,
    /// Of running sessions, still there.
    pub running: u64,
    /// Why something stays.
    pub trouble: Option<Trouble>,
}

/// What became of all.
#[derive(Debug, Default)]
pub struct Tallies {
    /// By account and alias.
    by_alias: BTreeMap<(String, String), Tally>,
    /// Damaged ones.
    pub corrupt: u64,
    /// Those of a newer act-claude.
    pub newer: u64,
}

impl Tallies {
    /// The tally an export belongs to.
    pub fn of(&mut self, header: &Header) -> &mut Tally {
        self.by_alias.entry((header.account.clone(), header.alias.clone())).or_default()
    }

    /// The exit status.
    pub fn code(&self) -> u8 {
        let worst = |tally: &Tally| match tally.stays.keys().next() {
            Some(State::Waiting) => 75,
            Some(_) => tally.trouble.as_ref().map_or(78, |trouble| trouble.code),
            None if tally.running > 0 => 75,
            None => 0,
        };
        self.by_alias.values().map(worst).max().unwrap_or(0)
    }

    /// For programs.
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
        serde_json::json!({ "aliases": aliases, "corrupt": self.corrupt, "newer": self.newer })
    }

    /// In words, a line each; `corrupt` is where what is damaged was put.
    pub fn words(&self, corrupt: &Path) -> String {
        let mut text = String::new();
        for ((_, alias), tally) in &self.by_alias {
            if tally.delivered > 0 {
                let _ = write!(text, "{alias}: {} delivered ({})", exports(tally.delivered), points(tally.points));
                if tally.rejected_points > 0 {
                    let _ = write!(text, "; ACT rejected {}", points(tally.rejected_points));
                }
                text.push('\n');
            }
            if tally.rejected > 0 {
                let _ = writeln!(text, "{alias}: {} rejected by ACT, set aside", exports(tally.rejected));
            }
            if tally.discarded > 0 {
                let _ = writeln!(text, "{alias}: {} given up", exports(tally.discarded));
            }
            for (state, count) in &tally.stays {
                let what = match state {
                    State::Waiting => "waiting",
                    State::NotUnderstood => "not understood",
                    _ => "held",
                };
                let why = tally.trouble.as_ref().map(words_of).unwrap_or_default();
                let _ = writeln!(text, "{alias}: {} {what}: {why}", exports(*count));
            }
            if tally.relayed > 0 {
                let _ = writeln!(text, "{alias}: {} left with running sessions", exports(tally.relayed));
            }
            if tally.running > 0 {
                let _ = writeln!(
                    text,
                    "{alias}: {} still with running sessions, which go on trying",
                    exports(tally.running)
                );
            }
        }
        if self.newer > 0 {
            let _ = writeln!(text, "{} written by a newer act-claude, left alone", exports(self.newer));
        }
        if self.corrupt > 0 {
            let _ = writeln!(text, "{} damaged, set aside in {}", exports(self.corrupt), corrupt.display());
        }
        if text.is_empty() {
            text.push_str("nothing is waiting\n");
        }
        text
    }
}

/// What happened, what it means, and what to do.
fn words_of(trouble: &Trouble) -> String {
    let rest = [trouble.cause.trim_end_matches('.'), trouble.fix.as_str()];
    let rest = rest.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    if rest.is_empty() { trouble.said.clone() } else { format!("{}. {rest}", trouble.said) }
}
