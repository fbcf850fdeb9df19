//! The report as a page: one file, without scripts, that needs no network and may use none (pure, but for [`file::write`]).

mod days;
mod file;
mod markup;
mod tables;

use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use sha2::{Digest, Sha256};

use super::faults;
use super::group::{By, Sums};
use super::range::Unit;
use super::report::Report;
use super::table::{active_of, count};
use super::words::NEVER_COUNTED;
use crate::text::amount::grouped;
use crate::text::home;
use markup::{escaped, money, with_commands};

pub use file::write;

const STYLE: &str = include_str!("style.css");

/// The page.
pub fn page(report: &Report<'_>, today: Date, home: Option<&Path>) -> String {
    let total = report.total();
    let mut page = head(report);
    let _ = writeln!(page, "<h1>Use of Claude Code</h1>\n<p>{}</p>", escaped(&of(report)));
    let written = format!(
        "Written by act-claude on {}. Costs are US dollars, as Claude Code estimates them.",
        Unit::Day.name(today)
    );
    let _ = writeln!(page, "<p class=\"soft\">{}</p>", escaped(&written));
    if total.is_empty() {
        page.push_str("<p>No use is noted in these days.</p>\n");
    } else {
        page.push_str(&figures(&total));
        page.push_str(&tables::states(&total));
        page.push_str(&days::section(report));
        for by in [By::Alias, By::Model, By::Repository] {
            page.push_str(&tables::groups(report, by));
        }
    }
    page.push_str("<h2>What is not in these sums</h2>\n");
    for sentence in faults::sentences(report.ledger, report.unsummed(), |path| home::path(path, home)) {
        let _ = writeln!(page, "<p class=\"warn\">{}</p>", with_commands(&sentence));
    }
    let _ = writeln!(page, "<p>{}</p>\n</main>\n</body>\n</html>", escaped(NEVER_COUNTED));
    page
}

/// Everything before the content. The policy forbids every request and every script; the style is the one that stands here.
fn head(report: &Report<'_>) -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "{first}\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
        first = file::FIRST_LINE,
        title = escaped(&format!("Use of Claude Code, {}", report.period())),
    )
}

fn of(report: &Report<'_>) -> String {
    match report.alias {
        Some(alias) => format!("{}, alias {alias}", report.period()),
        None => report.period(),
    }
}

/// The most important figures.
fn figures(sums: &Sums<'_>) -> String {
    let total = sums.total();
    let mut text = "<dl>\n".to_owned();
    for (name, figure) in [
        ("Cost", money(total.cost_usd)),
        ("ACT has", money(sums.with_act().cost_usd)),
        ("The rest", money(sums.cost_of_rest())),
        ("Sessions", grouped(sums.sessions())),
        ("Active", active_of(&total)),
        ("Tokens", count(total.tokens())),
        ("Lines added", count(total.lines_added)),
        ("Lines removed", count(total.lines_removed)),
        ("Commits", count(total.commits)),
        ("Pull requests", count(total.pull_requests)),
    ] {
        let _ = writeln!(text, "<div><dt>{name}</dt><dd>{figure}</dd></div>");
    }
    text + "</dl>\n"
}

#[cfg(test)]
mod tests;
