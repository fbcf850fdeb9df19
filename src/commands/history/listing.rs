//! The history as text, in lines that fit the page (pure).

use std::path::{Path, PathBuf};

use anstyle::Style;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::totals::{cost_of, tokens_of};
use crate::claude::metrics::Usage;
use crate::commands::here::{Here, is_here};
use crate::state::outcome::{self, State};
use crate::state::record::LaunchKind;
use crate::state::session::Session;
use crate::text::amount::grouped;
use crate::text::home;
use crate::text::page::{self, BOLD, DIM, GREEN, RED, YELLOW};
use crate::text::table::{Cell, Table, cell, numbers, styled, words};

/// How to lay out the text.
#[derive(Debug)]
pub struct Page {
    /// The width of a line, in columns; [`usize::MAX`]: nothing is wrapped.
    pub width: usize,
    /// The time zone of the times shown.
    pub zone: TimeZone,
    /// The home directory, shown as `~`.
    pub home: Option<PathBuf>,
    /// The alias of this directory, whose sessions are marked.
    pub here: Option<Here>,
}

impl Page {
    /// The sessions under their days, in the order given.
    pub fn sessions(&self, sessions: &[Session]) -> String {
        let [exports, points, tokens, cost] = ["Exports", "Points", "Tokens", "Cost"].map(numbers);
        let mut table =
            Table::new([words("Time"), words("Alias").narrowed(), words("State"), exports, points, tokens, cost]);
        let (mut day, mut is_marked) = (String::new(), false);
        for session in sessions {
            let today = self.local(session.record.start, "%a %-d %b %Y");
            if today != day {
                table.heading(&today);
                day = today;
            }
            let alias = session.record.alias.as_deref();
            let is_this = alias.is_some_and(|alias| is_here(self.here.as_ref(), alias));
            is_marked |= is_this;
            table.row(is_this, self.row(session, alias.unwrap_or_default()));
            table.below(styled(self.circumstances(session), DIM));
            if session.has_failed() || session.record.outcome.deaths > 0 {
                table.below(cell(self.shortened(&session.words())));
            }
            for words in session.copies() {
                table.below(cell(self.shortened(&words)));
            }
        }
        let mut text = table.text(self.width);
        if let Some(legend) = self.here.as_ref().filter(|_| is_marked).and_then(Here::legend) {
            text.push('\n');
            page::hang(&mut text, 2, self.width, Style::new(), &legend);
        }
        text
    }

    fn row(&self, session: &Session, alias: &str) -> [Cell; 7] {
        let outcome = &session.record.outcome;
        let (style, state) = state_of(session);
        let usage = Usage::of(&session.record.totals, outcome.has_all_totals());
        // Where nothing arrived, the state says so.
        let count = |count: u64| if outcome.exports == 0 { String::new() } else { grouped(count) };
        [
            cell(self.local(session.record.start, "%H:%M")),
            styled(alias, BOLD),
            styled(state, style),
            cell(count(outcome.exports)),
            cell(count(outcome.points)),
            cell(tokens_of(&usage)),
            cell(cost_of(&usage)),
        ]
    }

    /// Directory, version and duration: `~/work/billing, claude 2.1.330, 12m00s`.
    fn circumstances(&self, session: &Session) -> String {
        let record = &session.record;
        let mut words = vec![self.path(&record.directory)];
        words.extend(record.client_version.as_ref().map(|version| format!("claude {version}")));
        if record.kind == LaunchKind::Launcher {
            words.push("in the background or an editor".to_owned());
        }
        if let Some(end) = record.end {
            words.push(outcome::duration(end.duration_since(record.start).unsigned_abs()));
        }
        if session.running && session.needs_someone() {
            words.push("still running".to_owned());
        } else if session.live && !session.running {
            words.push("claude has ended, its relay still runs".to_owned());
        }
        words.join(", ")
    }

    /// A path, with `~` for the home directory.
    pub fn path(&self, path: &Path) -> String {
        home::path(path, self.home.as_deref())
    }

    /// A text, with `~` for the home directory.
    pub fn shortened(&self, text: &str) -> String {
        home::shortened(text, self.home.as_deref())
    }

    fn local(&self, time: Timestamp, format: &str) -> String {
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

/// The exports that were kept on this machine have left it since.
pub const SENT_LATER: &str = "sent later";

/// A session's state in one or two words, with its style.
fn state_of(session: &Session) -> (Style, &'static str) {
    if session.running && !session.needs_someone() {
        return (BOLD, "running");
    }
    if session.went_out_later() {
        return (GREEN, SENT_LATER);
    }
    match session.state() {
        _ if session.record.redirected_by.is_some() => (RED, "went elsewhere"),
        State::NothingSent if session.record.owed => (RED, state_word(State::NothingSent)),
        state => (style(state), state_word(state)),
    }
}

fn style(state: State) -> Style {
    match state {
        State::Delivered => GREEN,
        State::Partial | State::Waiting | State::UnderWay => YELLOW,
        State::Held | State::Rejected | State::NotUnderstood | State::Lost => RED,
        State::NotObserved => YELLOW,
        State::NothingSent => DIM,
    }
}

/// A state in one or two words.
pub fn state_word(state: State) -> &'static str {
    match state {
        State::Delivered => "delivered",
        State::Partial => "partial",
        State::Held => "held",
        State::Waiting => "waiting",
        State::UnderWay => "under way",
        State::Rejected => "rejected",
        State::NotUnderstood => "not understood",
        State::Lost => "lost",
        State::NothingSent => "nothing sent",
        State::NotObserved => "not observed",
    }
}

#[cfg(test)]
mod tests;
