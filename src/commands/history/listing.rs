//! The history as text, in lines that fit the page (pure).

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anstyle::Style;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::state::outcome::{self, State};
use crate::state::record::LaunchKind;
use crate::state::session::Session;
use crate::state::spool::Summary;
use crate::state::spool::summary::{Failing, Waiting};
use crate::text::page::{self, BOLD, DIM, GREEN, RED, YELLOW};

/// How to lay out the text.
#[derive(Debug)]
pub struct Page {
    /// The width of a line, in columns.
    pub width: usize,
    /// The time zone of the times shown.
    pub zone: TimeZone,
    /// The home directory, shown as `~`.
    pub home: Option<PathBuf>,
}

/// How many exports that stepped aside are shown by name.
const SHOWN: usize = 5;
/// Columns before the text that follows the time: "  18:02  ".
const INDENT: usize = 9;

impl Page {
    /// The sessions under their days, in the order given.
    pub fn sessions(&self, sessions: &[Session]) -> String {
        let mut text = String::new();
        let mut day = String::new();
        let alias = |session: &Session| page::visible(session.record.alias.as_deref().unwrap_or("-"));
        let widest = sessions.iter().map(|session| page::columns(&alias(session))).max().unwrap_or(0);
        for session in sessions {
            let today = self.local(session.record.start, "%a %-d %b %Y");
            if today != day {
                let gap = if day.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}{BOLD}{today}{BOLD:#}");
                day = today;
            }
            let time = self.local(session.record.start, "%H:%M");
            let (style, state) = state_of(session);
            let name = alias(session);
            let outcome = &session.record.outcome;
            let counts = match outcome.exports {
                0 => String::new(),
                exports => format!("{}, {}", outcome::exports(exports), outcome::points(outcome.points)),
            };
            let line = format!("  {time}  {BOLD}{name:<widest$}{BOLD:#}  {style}{state:<14}{style:#}  {counts}");
            let _ = writeln!(text, "{}", line.trim_end());
            self.beside(&mut text, DIM, &self.circumstances(session));
            if session.has_failed() || outcome.deaths > 0 {
                self.beside(&mut text, Style::new(), &session.words());
            }
        }
        text
    }

    /// Exports that wait or are held on this machine, and the dead letters.
    pub fn spool(&self, spool: &Summary, now: Timestamp) -> String {
        let mut text = String::new();
        if !spool.waiting.is_empty() {
            let _ = writeln!(text, "{BOLD}Kept on this machine{BOLD:#}");
        }
        for Waiting { alias, exports, oldest, state, problem, .. } in &spool.waiting {
            let style = if *state == State::Waiting { YELLOW } else { RED };
            let age = outcome::duration(now.duration_since(*oldest).try_into().unwrap_or_default());
            let count = outcome::exports(*exports);
            let why = problem.as_ref().map(|problem| format!(": {}{}", problem.said, outcome::advice(problem)));
            let words = format!("{count} {}, the oldest for {age}{}", state_word(*state), why.unwrap_or_default());
            let alias = page::visible(alias);
            let _ = write!(text, "  {BOLD}{alias}{BOLD:#}  ");
            page::hang(&mut text, 4 + page::columns(&alias), self.width, style, &words);
        }
        for waiting in &spool.waiting {
            self.failing(&mut text, waiting);
        }
        if let Some(why) = &spool.unlisted {
            let _ = writeln!(text, "  {RED}the exports on this machine can't be listed: {why}{RED:#}");
        }
        if spool.waiting.iter().any(|waiting| waiting.live < waiting.exports) {
            let _ = writeln!(text, "  to deliver it now: act-claude act flush");
        }
        for (count, what) in [
            (spool.rejected, "in the dead letters: ACT rejected them"),
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

    /// The names of the exports that fail while others pass, or that may fail because of their own content.
    fn failing(&self, text: &mut String, waiting: &Waiting) {
        // A single export has no other to be compared with: ACT itself may be what fails.
        let alone = waiting.failing.iter().filter(|_| waiting.exports == 1).map(|failing| (failing, "fails"));
        let deferred = waiting.deferred.iter().map(|failing| (failing, "stepped aside (ACT accepts other exports)"));
        for (failing, what) in deferred.chain(alone).take(SHOWN) {
            let Failing { export, tries, problem, .. } = failing;
            let words = format!(
                "{export} {what}: {}, tried {tries} times. To delete it: act-claude act flush --discard --only {export}",
                problem.said
            );
            text.push_str("    ");
            page::hang(text, 4, self.width, YELLOW, &words);
        }
    }

    fn beside(&self, text: &mut String, style: Style, words: &str) {
        let _ = write!(text, "{:INDENT$}", "");
        page::hang(text, INDENT, self.width, style, words);
    }

    /// Directory, version, duration and totals: `~/work/billing, claude 2.1.330, 12m00s, 48,210 tokens, $0.42`.
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
        let total = |metric: &str| record.totals.get(metric).map(|total| total.value).filter(|value| *value > 0.0);
        words.extend(total("claude_code.token.usage").map(|tokens| format!("{} tokens", grouped(tokens as u64))));
        words.extend(total("claude_code.cost.usage").map(|dollars| format!("${dollars:.2}")));
        words.join(", ")
    }

    /// A path, with `~` for the home directory.
    pub fn path(&self, path: &Path) -> String {
        match self.home.as_deref().and_then(|home| path.strip_prefix(home).ok()) {
            Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        }
    }

    fn local(&self, time: Timestamp, format: &str) -> String {
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

/// A session's state in one or two words, with its style.
fn state_of(session: &Session) -> (Style, &'static str) {
    if session.live && !session.needs_someone() {
        return (BOLD, "running");
    }
    if session.went_out_later() {
        return (GREEN, "sent later");
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

fn state_word(state: State) -> &'static str {
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

/// A number with its thousands separated: `48,210`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::record::Total;
    use crate::state::session::sample::session;

    fn page() -> Page {
        Page { width: 80, zone: TimeZone::UTC, home: Some("/home/dev".into()) }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn sessions_by_day() {
        let mut delivered = session("3", &[(State::Delivered, 14)]);
        let total = |value, unit: &str| Total { value, unit: unit.to_owned() };
        delivered.record.kind = LaunchKind::Supervised;
        delivered.record.totals.insert("claude_code.cost.usage".to_owned(), total(0.4242, "USD"));
        delivered.record.totals.insert("claude_code.token.usage".to_owned(), total(48210.0, "tokens"));
        let held = session("2", &[(State::Held, 3)]);
        let mut running = session("1", &[(State::Delivered, 1)]);
        running.record.start = "2026-11-23T09:00:00Z".parse().unwrap();
        (running.record.end, running.live) = (None, true);
        running.record.alias = Some("web".to_owned());
        running.record.directory = "/srv/web".into();
        assert_eq!(
            plain(&page().sessions(&[delivered, held, running])),
            "\
Tue 24 Nov 2026
  18:02  billing  delivered       14 exports, 210 points
         ~/work/billing, claude 2.1.330, 12m00s, 48,210 tokens, $0.42
  18:02  billing  held            3 exports, 45 points
         ~/work/billing, claude 2.1.330, in the background or an editor, 12m00s
         3 exports held: ACT answered 401 Unauthorized. The API token or its
         user is wrong: act-claude act setup --account acme

Mon 23 Nov 2026
  09:00  web      running         1 export, 15 points
         /srv/web, claude 2.1.330, in the background or an editor
"
        );
    }

    #[test]
    fn what_went_elsewhere_says_so() {
        let mut redirected = session("1", &[]);
        redirected.record.redirected_by = Some("env.X in s.json".to_owned());
        redirected.record.problem = Some(crate::state::outcome::Problem {
            said: "no export arrived: exports go to https://x".to_owned(),
            cause: "A setting overrides it".to_owned(),
            fix: "remove env.X from s.json".to_owned(),
            code: 78,
        });
        let text = plain(&page().sessions(&[redirected]));
        assert!(text.contains("  18:02  billing  went elsewhere\n"), "{text}");
        let words =
            "no export arrived: exports go to https://x. A setting overrides it:\n         remove env.X from s.json\n";
        assert!(text.ends_with(words), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_page() {
        let text = plain(&page().sessions(&[session("1", &[(State::Held, 3)])]));
        assert!(text.lines().all(|line| page::columns(line) <= 80), "{text}");
    }

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 999, 1000, 48210, 1234567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "48,210", "1,234,567"]);
    }
}
