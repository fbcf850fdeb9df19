//! The exports that are kept on this machine, as text (pure).

use std::fmt::Write;

use jiff::Timestamp;

use super::listing::{Page, state_word};
use crate::commands::flush;
use crate::state::outcome::{self, State};
use crate::state::spool::Summary;
use crate::state::spool::summary::{Failing, Waiting};
use crate::text::page::{self, BOLD, RED, YELLOW};

/// How many exports that stepped aside are shown by name.
const SHOWN: usize = 5;

impl Page {
    /// Exports that wait or are held on this machine, and the dead letters: ACT's, or the copies for one destination.
    pub fn spool(&self, spool: &Summary, destination: Option<&str>, now: Timestamp) -> String {
        let mut text = String::new();
        let receiver = destination.map_or_else(|| "ACT".to_owned(), page::visible);
        let title = match destination {
            Some(_) => format!("Copies for {receiver}, kept on this machine"),
            None => "Kept on this machine".to_owned(),
        };
        let is_empty = spool.waiting.is_empty() && spool.rejected + spool.corrupt + spool.unreadable + spool.newer == 0;
        if !spool.waiting.is_empty() || (destination.is_some() && !is_empty) {
            let _ = writeln!(text, "{BOLD}{title}{BOLD:#}");
        }
        for Waiting { alias, exports, oldest, state, problem, .. } in &spool.waiting {
            let style = if *state == State::Waiting { YELLOW } else { RED };
            let age = outcome::duration(now.duration_since(*oldest).try_into().unwrap_or_default());
            let count = outcome::exports(*exports);
            let why = problem
                .as_ref()
                .map(|problem| self.shortened(&format!(": {}{}", problem.said, outcome::advice(problem))));
            let words = format!("{count} {}, the oldest for {age}{}", state_word(*state), why.unwrap_or_default());
            let alias = page::visible(alias);
            let _ = write!(text, "  {BOLD}{alias}{BOLD:#}  ");
            page::hang(&mut text, 4 + page::columns(&alias), self.width, style, &words);
        }
        for waiting in &spool.waiting {
            self.failing(&mut text, waiting, destination);
        }
        if let Some(why) = &spool.unlisted {
            let _ = writeln!(
                text,
                "  {RED}the exports on this machine can't be listed: {}{RED:#}",
                page::visible(&self.shortened(why))
            );
        }
        if spool.waiting.iter().any(|waiting| !waiting.is_stranded && waiting.live < waiting.exports) {
            let _ = writeln!(text, "  to deliver it now: act-claude act flush");
        }
        let rejected = format!("in the dead letters: {receiver} rejected them");
        for (count, what) in [
            (spool.rejected, rejected.as_str()),
            (spool.corrupt, "in the dead letters: damaged"),
            (spool.unreadable, "kept, but can't be read now"),
            (spool.newer, "written by a newer act-claude, left alone"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "  {} {what}", outcome::exports(count));
            }
        }
        text
    }

    /// The names of the exports that stepped aside, or that may fail because of their own content.
    fn failing(&self, text: &mut String, waiting: &Waiting, destination: Option<&str>) {
        let receiver = destination.map_or_else(|| "ACT".to_owned(), page::visible);
        let flush = flush::command(destination);
        // A single export has no other to be compared with: ACT itself may be what fails.
        let alone =
            waiting.failing.iter().filter(|_| waiting.exports == 1).map(|failing| (failing, "fails".to_owned()));
        let aside = |failing: &Failing| match failing.accepts_others {
            true => format!("stepped aside ({receiver} accepts other exports)"),
            false => "stepped aside (the others go first)".to_owned(),
        };
        let deferred = waiting.deferred.iter().map(|failing| (failing, aside(failing)));
        for (failing, what) in deferred.chain(alone).take(SHOWN) {
            let Failing { export, tries, problem, .. } = failing;
            let words = format!(
                "{export} {what}: {}, tried {tries} times. To delete it: {flush} --discard --only {export}",
                problem.said
            );
            text.push_str("    ");
            page::hang(text, 4, self.width, YELLOW, &self.shortened(&words));
        }
    }
}
