//! Findings as text and as JSON (pure).

use std::fmt::Write;
use std::path::Path;

use anstyle::Style;
use serde_json::{Value, json};

use super::Finding;
use crate::text::page::{self, BOLD, DIM, RED};
use crate::text::{command, home};

/// Columns before a finding's text.
const INDENT: usize = 10;
/// Narrower pages have no room for labels beside the text.
const NARROW: usize = 50;

/// The findings in lines of `width` columns, with `~` for the home. Commands are not wrapped, so that they can be copied. The
/// styles are always there: the output stream removes them where a terminal would not show them.
pub fn text(findings: &[Finding], width: usize, home: Option<&Path>) -> String {
    if findings.is_empty() {
        return "no problems found\n".to_owned();
    }
    let short = |text: &str| home::shortened(text, home);
    // On a narrow page the labels have lines of their own.
    let indent = if width < NARROW { 4 } else { INDENT };
    let mut text = String::new();
    for finding in findings {
        let _ = match width < NARROW {
            true => write!(text, "{RED}problem{RED:#}\n  "),
            false => write!(text, "{RED}problem{RED:#}   "),
        };
        page::hang(&mut text, if width < NARROW { 2 } else { indent }, width, BOLD, &short(&finding.what));
        let mut row = |label: &str, style: Style, words: &str| {
            if !words.is_empty() {
                let _ = match width < NARROW {
                    true => write!(text, "  {DIM}{label}{DIM:#}\n    "),
                    false => write!(text, "  {DIM}{label:<6}{DIM:#}  "),
                };
                command::hang(&mut text, indent, width, style, &short(words));
            }
        };
        row("where", Style::new(), &finding.place);
        row("effect", Style::new(), &finding.effect);
        row("fix", Style::new(), &finding.fix);
        if let Some(command) = &finding.command {
            let label = if finding.fix.is_empty() { "fix" } else { "" };
            let command = page::visible(&short(command));
            let _ = match width < NARROW {
                true if label.is_empty() => writeln!(text, "    {BOLD}{command}{BOLD:#}"),
                true => writeln!(text, "  {DIM}{label}{DIM:#}\n    {BOLD}{command}{BOLD:#}"),
                false => writeln!(text, "  {DIM}{label:<6}{DIM:#}  {BOLD}{command}{BOLD:#}"),
            };
        }
        text.push('\n');
    }
    let plural = if findings.len() == 1 { "" } else { "s" };
    let _ = writeln!(text, "{} problem{plural} found.", findings.len());
    text
}

/// The findings as JSON.
pub fn json(findings: &[Finding]) -> Value {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "id": finding.id, "what": finding.what, "where": finding.place, "effect": finding.effect,
                "fix": finding.fix, "command": finding.command,
            })
        })
        .collect();
    Value::Array(findings)
}
