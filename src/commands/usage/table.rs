//! The sums as tables, in lines that fit the page (pure).

use std::time::Duration;

use anstyle::Style;
use jiff::civil::Date;

use super::bars;
use super::group::{By, Group, Key, Sums};
use super::range::{self, Unit};
use super::report::Report;
use super::words::{has, rest, why};
use crate::claude::measured::Measured;
use crate::commands::here::{Here, is_here};
use crate::commands::history::Page;
use crate::state::outcome::duration;
use crate::text::amount::{dollars, grouped};
use crate::text::page::{self, BOLD, DIM, GREEN, RED, YELLOW};
use crate::text::table::{Table, cell, numbers, styled, words};
use crate::usage::Disposition;

/// Tokens of a kind that is not known here.
const OTHER_TOKENS: &str = "other tokens";

/// Today, the last days and the month.
pub fn overview(report: &Report<'_>, page: &Page, today: Date) -> String {
    let rows: Vec<Line<'_>> = range::periods(today)
        .into_iter()
        .map(|(name, first)| Line::new(name.to_owned(), false, Sums::of(report.since(first))))
        .collect();
    let mut text = lines("Period", &rows, page.width);
    push(&mut text, bars::of(report, &range::latest(today), page.width));
    push(&mut text, states(report, &report.total(), page.width));
    text
}

/// The groups and their total.
pub fn groups(report: &Report<'_>, page: &Page) -> String {
    let title = match report.by {
        By::Alias => "Alias",
        By::Day => "Day",
        By::Week => "Week",
        By::Month => "Month",
        By::Model => "Model",
        By::Directory => "Directory",
        By::Repository => "Repository",
        By::Session => "Session",
    };
    let mut rows = Vec::new();
    for Group { key, sums } in report.groups() {
        let is_marked = matches!(key, Key::Name(name) if report.by == By::Alias && is_here(page.here.as_ref(), name));
        rows.push(Line::new(name(report.by, key, page), is_marked, sums));
    }
    let is_marked = rows.iter().any(|row| row.is_marked);
    let total = report.total();
    let states = states(report, &total, page.width);
    rows.push(Line { is_total: true, ..Line::new("total".to_owned(), false, total) });
    let mut text = lines(title, &rows, page.width);
    if let Some(legend) = page.here.as_ref().filter(|_| is_marked).and_then(Here::legend) {
        text.push('\n');
        page::hang(&mut text, 2, page.width, Style::new(), &legend);
    }
    push(&mut text, bars::of(report, &report.days, page.width));
    push(&mut text, states);
    text
}

/// What is said in place of an empty table.
pub fn nothing(report: &Report<'_>, page: &Page, directory: &str, next: &str) -> String {
    let of = report.alias.map(|alias| format!(" of {alias}")).unwrap_or_default();
    let mut text = String::new();
    let words = format!("no use{of} is noted, {} ({directory}). {next}", report.period());
    page::hang(&mut text, 0, page.width, Style::new(), &words);
    text
}

fn push(text: &mut String, part: String) {
    if !part.is_empty() {
        text.push('\n');
        text.push_str(&part);
    }
}

/// The name of a group for people.
pub fn name(by: By, key: Key<'_>, page: &Page) -> String {
    match key {
        Key::Day(day) => by.unit().unwrap_or(Unit::Day).name(day),
        Key::Name(name) => name.to_owned(),
        Key::Path(_) => key.path().map(|path| page.path(path)).unwrap_or_default(),
        Key::None => by.nameless().to_owned(),
    }
}

/// A line of a table.
struct Line<'a> {
    name: String,
    is_marked: bool,
    is_total: bool,
    sums: Sums<'a>,
    total: Measured,
}

impl<'a> Line<'a> {
    fn new(name: String, is_marked: bool, sums: Sums<'a>) -> Self {
        let total = sums.total();
        Self { name, is_marked, is_total: false, sums, total }
    }

    fn style(&self) -> Style {
        if self.is_total { BOLD } else { Style::new() }
    }

    fn has(&self) -> String {
        let with_act = self.sums.with_act();
        if with_act.points == 0 && !self.sums.is_empty() { "nothing".to_owned() } else { dollars(with_act.cost_usd) }
    }
}

/// The lines as a table with all columns, or, where there is no room for them, with the most important ones.
fn lines(title: &'static str, rows: &[Line<'_>], width: usize) -> String {
    let wide = wide(title, rows);
    if wide.fits(width) { wide.text(width) } else { narrow(title, rows).text(width) }
}

fn wide(title: &'static str, rows: &[Line<'_>]) -> Table<13> {
    let titles =
        ["Sessions", "Active", "Input", "Output", "Cache read", "Cache write", "Lines", "Commits", "PRs", "Cost"];
    let [sessions, active, input, output, read, write, changed, commits, requests, cost] = titles.map(numbers);
    let mut table = Table::new([
        words(title).narrowed(),
        sessions,
        active,
        input,
        output,
        read,
        write,
        changed,
        commits,
        requests,
        cost,
        numbers("ACT has"),
        words("The rest"),
    ]);
    for row in rows {
        let total = &row.total;
        let style = row.style();
        table.row(
            row.is_marked,
            [
                styled(&row.name, style),
                styled(grouped(row.sums.sessions()), style),
                styled(active_of(total), style),
                styled(count(total.input), style),
                styled(count(total.output), style),
                styled(count(total.cache_read), style),
                styled(count(total.cache_creation), style),
                styled(format!("+{} -{}", count(total.lines_added), count(total.lines_removed)), style),
                styled(count(total.commits), style),
                styled(count(total.pull_requests), style),
                styled(dollars(total.cost_usd), style),
                styled(row.has(), style),
                cell(rest(&row.sums)),
            ],
        );
        if total.other_tokens > 0.0 {
            table.below(styled(format!("{OTHER_TOKENS} {}", count(total.other_tokens)), DIM));
        }
    }
    table
}

fn narrow(title: &'static str, rows: &[Line<'_>]) -> Table<6> {
    let [sessions, active, cost, has] = ["Sessions", "Active", "Cost", "ACT has"].map(numbers);
    let mut table = Table::new([words(title).narrowed(), sessions, active, cost, has, words("The rest")]);
    for row in rows {
        let style = row.style();
        table.row(
            row.is_marked,
            [
                styled(&row.name, style),
                styled(grouped(row.sums.sessions()), style),
                styled(active_of(&row.total), style),
                styled(dollars(row.total.cost_usd), style),
                styled(row.has(), style),
                cell(rest(&row.sums)),
            ],
        );
        let details = details(&row.total);
        if !details.is_empty() {
            table.below(styled(details, DIM));
        }
    }
    table
}

/// What the narrow table has no columns for.
pub fn details(total: &Measured) -> String {
    let mut words = Vec::new();
    let tokens = [
        (total.input, "input"),
        (total.output, "output"),
        (total.cache_read, "cache read"),
        (total.cache_creation, "cache write"),
        (total.other_tokens, OTHER_TOKENS),
    ];
    words.extend(
        tokens.iter().filter(|(tokens, _)| *tokens > 0.0).map(|(tokens, kind)| format!("{kind} {}", count(*tokens))),
    );
    if total.lines_added > 0.0 || total.lines_removed > 0.0 {
        words.push(format!("lines +{} -{}", count(total.lines_added), count(total.lines_removed)));
    }
    for (number, what) in [(total.commits, "commits"), (total.pull_requests, "PRs")] {
        if number > 0.0 {
            words.push(format!("{what} {}", count(number)));
        }
    }
    words.join(", ")
}

/// A number that claude counts in whole ones.
pub fn count(number: f64) -> String {
    grouped(number.round() as u64)
}

/// The active time.
pub fn active_of(total: &Measured) -> String {
    duration(Duration::from_secs(total.active_seconds.round() as u64))
}

/// What became of everything, and why; empty where ACT has all.
fn states(report: &Report<'_>, sums: &Sums<'_>, width: usize) -> String {
    let mut text = String::new();
    if sums.is_whole() {
        page::hang(&mut text, 0, width, GREEN, &format!("ACT has all of it, {}", report.period()));
        return text;
    }
    page::hang(&mut text, 0, width, BOLD, "What ACT has, and what not");
    page::hang(&mut text, 0, width, Style::new(), &format!("{}: {}", report.period(), has(sums)));
    let mut table = Table::new([words("State"), numbers("Cost"), numbers("Points"), words("Why, and what to do")]);
    for (disposition, part) in &sums.parts {
        table.row(
            false,
            [
                styled(disposition.word(), style(*disposition)),
                cell(dollars(part.measured.cost_usd)),
                cell(grouped(part.measured.points)),
                cell(why(*disposition, part)),
            ],
        );
    }
    text.push_str(&table.text(width));
    text
}

fn style(disposition: Disposition) -> Style {
    match disposition {
        Disposition::Delivered => GREEN,
        Disposition::Partial | Disposition::Waiting | Disposition::UnderWay | Disposition::NotObserved => YELLOW,
        Disposition::Held | Disposition::NotUnderstood | Disposition::Rejected | Disposition::Lost => RED,
        Disposition::Discarded => DIM,
    }
}
