//! The tables of the page (pure).

use std::fmt::Write;

use super::markup::{escaped, money, with_commands};
use crate::commands::usage::group::{self, By, Key, Part, Sums};
use crate::commands::usage::report::Report;
use crate::commands::usage::table::{active_of, count, details};
use crate::commands::usage::words::{has, points, rest, why};
use crate::text::amount::grouped;
use crate::usage::Disposition;

/// What ACT has, and what not, with the reasons.
pub fn states(sums: &Sums<'_>) -> String {
    let mut text = "<h2>What ACT has, and what not</h2>\n".to_owned();
    let _ = match sums.is_whole() {
        true => writeln!(text, "<p>ACT has all of it: {}.</p>", points(sums.total().points)),
        false => writeln!(
            text,
            "<p>{} (the single values that Claude Code sends). The table says what became of the rest, and what to do.</p>",
            has(sums),
        ),
    };
    text.push_str(&picture(sums));
    text.push_str(
        "<table class=\"states\">\n<thead><tr><th scope=\"col\">State</th><th scope=\"col\" class=\"n\">Cost</th>",
    );
    text.push_str(
        "<th scope=\"col\" class=\"n\">Points</th><th scope=\"col\">Why, and what to do</th></tr></thead>\n<tbody>\n",
    );
    for (disposition, part) in &sums.parts {
        let _ = writeln!(
            text,
            "<tr><th scope=\"row\">{}{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            key(colour(*disposition)),
            disposition.word(),
            money(part.measured.cost_usd),
            points(part.measured.points),
            with_commands(&why(*disposition, part)),
        );
    }
    text + "</tbody>\n</table>\n"
}

/// One bar with a part for each state, by points: some states have no cost.
fn picture(sums: &Sums<'_>) -> String {
    let all = sums.total().points as f64;
    if all <= 0.0 {
        return String::new();
    }
    // A part that is too small to be seen is drawn larger.
    let shares: Vec<f64> = sums.parts.values().map(|part| (part.measured.points as f64 / all).max(0.01)).collect();
    let whole: f64 = shares.iter().sum();
    let said = |(disposition, part): (&Disposition, &Part<'_>)| {
        format!("{} {}", points(part.measured.points), disposition.word())
    };
    let words: Vec<String> = sums.parts.iter().map(said).collect();
    let mut text = format!(
        "<svg class=\"whole\" viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" role=\"img\"><title>What became of the points</title>\
         <desc>{}</desc>",
        escaped(&words.join(", "))
    );
    let mut x = 0.0;
    for (disposition, share) in sums.parts.keys().zip(shares) {
        let (class, width) = (colour(*disposition), share / whole * 100.0);
        let _ =
            write!(text, "<rect class=\"c{class}\" x=\"{x:.3}\" y=\"0\" width=\"{:.3}\" height=\"6\"/>", width - 0.2);
        x += width;
    }
    text + "</svg>\n"
}

/// A colour for a state. The word stands beside it.
fn colour(disposition: Disposition) -> usize {
    match disposition {
        Disposition::Delivered => 2,
        Disposition::Partial => 4,
        Disposition::Waiting => 1,
        Disposition::UnderWay => 0,
        Disposition::Held => 3,
        Disposition::NotUnderstood => 6,
        Disposition::Rejected | Disposition::Lost => 5,
        Disposition::Discarded | Disposition::NotObserved => 7,
    }
}

/// A square in a colour of a picture.
pub fn key(colour: usize) -> String {
    format!(
        "<svg class=\"key\" viewBox=\"0 0 8 8\" aria-hidden=\"true\"><rect class=\"c{colour}\" width=\"8\" height=\"8\"/></svg>"
    )
}

/// The columns of sums: title and class. A phone shows the title beside each value.
const COLUMNS: [(&str, &str); 6] =
    [("Cost", "n"), ("ACT has", "n"), ("The rest", "rest"), ("Sessions", "n"), ("Active", "n"), ("Tokens", "n")];

/// The sums by alias, model or repository, each with a bar for its cost.
pub fn groups(report: &Report<'_>, by: By) -> String {
    let word = by.word();
    let found = groups_of(report, by);
    let highest = found.iter().map(|(_, sums)| sums.total().cost_usd).fold(0.0, f64::max);
    let mut text = format!(
        "<h2>By {word}</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"By {word}\">\n<table class=\"groups\">\n"
    );
    let title = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    let _ = write!(text, "<thead><tr><th scope=\"col\">{title}</th>");
    for (title, class) in COLUMNS {
        let _ = write!(text, "<th scope=\"col\" class=\"{class}\">{title}</th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for (name, sums) in &found {
        row(&mut text, name, sums, highest);
    }
    text + "</tbody>\n</table>\n</div>\n"
}

fn groups_of<'a>(report: &Report<'a>, by: By) -> Vec<(String, Sums<'a>)> {
    group::groups(&report.ledger.rows, by).into_iter().map(|group| (named(by, group.key), group.sums)).collect()
}

/// The name of a group that has no day and no path.
pub fn named(by: By, key: Key<'_>) -> String {
    match key {
        Key::Name(name) => name.to_owned(),
        _ => by.nameless().to_owned(),
    }
}

fn row(text: &mut String, name: &str, sums: &Sums<'_>, highest: f64) {
    let total = sums.total();
    let length = if highest > 0.0 { (total.cost_usd / highest).clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    let bar = format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"c0\" \
         width=\"{length:.2}\" height=\"10\"/></svg>"
    );
    let rest = rest(sums);
    let _ = write!(text, "<tr class=\"sum\"><th scope=\"row\">{}{bar}</th>", escaped(name));
    let values = [
        money(total.cost_usd),
        money(sums.with_act().cost_usd),
        if rest.is_empty() { "-".to_owned() } else { escaped(&rest) },
        grouped(sums.sessions()),
        active_of(&total),
        count(total.tokens()),
    ];
    for ((title, class), value) in COLUMNS.iter().zip(values) {
        let _ = write!(text, "<td class=\"{class}\" data-title=\"{title}\">{value}</td>");
    }
    text.push_str("</tr>\n");
    let _ = writeln!(text, "<tr class=\"soft\"><td colspan=\"7\">{}</td></tr>", details(&total));
}
