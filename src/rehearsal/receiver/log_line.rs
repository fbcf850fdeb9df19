//! Renders one request as a block of text for people. Pure: width and time zone are parameters. The styles are always there: the
//! output stream removes them where a terminal would not show them.

use std::fmt::Write;
use std::time::SystemTime;

use anstyle::Style;
use jiff::tz::TimeZone;

use super::answer::Answer;
use super::event::{Event, Export, JwtRequest, Stray};
use super::payload::{Attributes, Metric};
use super::summary::{number, summary};
use crate::text::page::{BOLD, DIM, GREEN, RED, YELLOW, columns, visible, wrap};

/// Prefixes of resource attributes that do not identify the sender. These attributes are shown last, if there is room.
const MACHINE: [&str; 4] = ["service.", "host.", "os.", "process."];

/// How to lay out the text.
#[derive(Clone, Debug)]
pub struct Page {
    /// The width of a line, in columns. Words longer than a line are not broken.
    pub width: usize,
    /// The time zone of the times shown.
    pub zone: TimeZone,
}

impl Page {
    /// The block for one request, with a line break at its end.
    pub fn event(&self, event: &Event) -> String {
        match event {
            Event::Export(export) => self.export(export),
            Event::Jwt(request) => self.jwt(request),
            Event::Stray(stray) => self.stray(stray),
        }
    }

    fn export(&self, export: &Export) -> String {
        let (style, status) = match &export.answer {
            Answer::Accepted => (GREEN, "200 accepted".to_owned()),
            Answer::Partial { .. } => (YELLOW, "200 partial".to_owned()),
            Answer::Refused(refusal) => (RED, format!("{} refused", refusal.status)),
            Answer::Silence => (YELLOW, "no answer".to_owned()),
        };
        let clock = self.clock(export.received);
        let alias = export.alias.as_deref().map_or("no alias".into(), visible);
        let account = visible(&export.account);
        let taken = columns(&clock) + columns(&status) + columns(&alias) + columns(&account) + 6;
        let user = export.user.as_deref().map(visible);
        let user = user.filter(|user| taken + 2 + columns(user) <= self.width);
        let mut parts = vec![(DIM, clock), (style, status), (BOLD, alias), (DIM, account)];
        parts.extend(user.map(|user| (DIM, user)));
        let mut text = self.parts(&parts);
        match &export.answer {
            Answer::Refused(refusal) => {
                self.wrapped(&mut text, style, &visible(&refusal.message));
                self.wrapped(&mut text, Style::new(), &visible(&refusal.cause));
            }
            Answer::Partial { message, .. } => self.wrapped(&mut text, style, &visible(message)),
            Answer::Accepted | Answer::Silence => {}
        }
        for resource in export.payload.iter().flat_map(|payload| &payload.resources) {
            self.attributes(&mut text, &resource.attributes);
            self.metrics(&mut text, &resource.metrics);
        }
        text
    }

    /// Parts beside each other. One for which a line has no room begins the next line, indented.
    fn parts(&self, parts: &[(Style, String)]) -> String {
        let (mut text, mut at) = (String::new(), 0);
        for (style, part) in parts {
            let is_next = at > 0 && at + 2 + columns(part) > self.width;
            let (before, from) = match (at, is_next) {
                (0, _) => ("", 0),
                (_, true) => ("\n  ", 2),
                (at, false) => ("  ", at + 2),
            };
            text.push_str(before);
            at = from + columns(part);
            let _ = write!(text, "{style}{part}{style:#}");
        }
        text.push('\n');
        text
    }

    /// A request for a JWT: `act check` or `act setup` asked whether a credential is good.
    fn jwt(&self, request: &JwtRequest) -> String {
        let clock = self.clock(request.received);
        let (style, status) = match &request.refusal {
            None => (GREEN, "200 JWT".to_owned()),
            Some(refusal) => (RED, format!("{} no JWT", refusal.status)),
        };
        let account = visible(&request.account);
        let user = request.user.as_deref().map(|user| format!("  {}", visible(user))).unwrap_or_default();
        let mut text = format!("{DIM}{clock}{DIM:#}  {style}{status}{style:#}  {DIM}{account}{user}{DIM:#}\n");
        if let Some(refusal) = &request.refusal {
            self.wrapped(&mut text, style, &visible(&refusal.message));
            self.wrapped(&mut text, Style::new(), &visible(&refusal.cause));
        }
        text
    }

    fn stray(&self, stray: &Stray) -> String {
        let word = match stray.status {
            404 => "not a metrics endpoint",
            _ if super::platform::account(&stray.path).is_some() => "a JWT is got with GET",
            _ => "exports use POST",
        };
        let Stray { method, path, status, received } = stray;
        let clock = self.clock(*received);
        format!("{DIM}{clock}{DIM:#}  {RED}{status}{RED:#}  {} {}: {word}\n", visible(method), visible(path))
    }

    fn clock(&self, time: SystemTime) -> String {
        jiff::Timestamp::try_from(time)
            .map(|time| time.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string())
            .unwrap_or_else(|_| "--:--:--".to_owned())
    }

    /// The provider type and the other resource attributes, on one line, with the number of those that did not fit.
    fn attributes(&self, text: &mut String, attributes: &Attributes) {
        let is_machine = |key: &str| MACHINE.iter().any(|prefix| key.starts_with(prefix));
        let mut words: Vec<String> = attributes.get("providerType").map(plain).into_iter().collect();
        for machine in [false, true] {
            let rest = attributes.iter().filter(|(key, _)| *key != "providerType" && is_machine(key) == machine);
            words.extend(rest.map(|(key, value)| format!("{}={}", visible(key), plain(value))));
        }
        if words.is_empty() {
            return;
        }
        let mut line = String::new();
        for (shown, word) in words.iter().enumerate() {
            let left = words.len() - shown;
            let gap = if shown == 0 { 0 } else { 2 };
            let more = if left > 1 { format!("  +{} more", left - 1).len() } else { 0 };
            if shown > 0 && 2 + columns(&line) + gap + columns(word) + more > self.width {
                let _ = write!(line, "  +{left} more");
                break;
            }
            let _ = write!(line, "{:gap$}{word}", "");
        }
        let _ = writeln!(text, "  {DIM}{line}{DIM:#}");
    }

    /// The metrics in columns, a line each: name, value (aligned to the right, not at the decimal point), unit, breakdown.
    fn metrics(&self, text: &mut String, metrics: &[Metric]) {
        let rows: Vec<[String; 4]> = metrics
            .iter()
            .map(|metric| {
                let (total, breakdown) = summary(metric);
                [visible(&metric.name), number(total), visible(&metric.unit), visible(&breakdown)]
            })
            .collect();
        let widest = |column: usize| rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0);
        let (names, values, units) = (widest(0), widest(1), widest(2));
        let indent = 2 + names + 2 + values + 1 + units + 2;
        // Where a line has no room for three columns, the value stands beside the name, or below it.
        let is_wide = 2 + names + 2 + values + 1 + units <= self.width;
        for [name, value, unit, breakdown] in &rows {
            let fits = 2 + columns(name) + 2 + columns(value) + 1 + columns(unit) <= self.width;
            let _ = match (is_wide, fits) {
                (true, _) => write!(text, "  {name:<names$}  {BOLD}{value:>values$}{BOLD:#}"),
                (false, true) => write!(text, "  {name}  {BOLD}{value}{BOLD:#}"),
                (false, false) => write!(text, "  {name}\n      {BOLD}{value}{BOLD:#}"),
            };
            if !unit.is_empty() || !breakdown.is_empty() {
                let _ = write!(text, " {unit}");
            }
            if breakdown.is_empty() {
                text.push('\n');
            } else if indent + 16 <= self.width {
                let lines = wrap(breakdown, self.width - indent);
                let _ = writeln!(text, "{:1$}  {2}", "", units - columns(unit), lines[0]);
                for line in &lines[1..] {
                    let _ = writeln!(text, "{:indent$}{line}", "");
                }
            } else {
                // The page is too narrow for a fourth column, so the breakdown goes below, indented.
                text.push('\n');
                for line in wrap(breakdown, self.width.saturating_sub(6)) {
                    let _ = writeln!(text, "      {line}");
                }
            }
        }
    }

    fn wrapped(&self, text: &mut String, style: Style, words: &str) {
        for line in wrap(words, self.width.saturating_sub(2)) {
            let _ = writeln!(text, "  {style}{line}{style:#}");
        }
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| visible(&value.to_string()), visible)
}

#[cfg(test)]
pub(super) mod sample;
#[cfg(test)]
mod tests;
