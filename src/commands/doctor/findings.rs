//! Findings as text and as JSON (pure).

use std::fmt::Write;

use anstyle::Style;
use serde_json::{Value, json};

use super::Finding;
use crate::text::page::{self, BOLD, DIM, RED};

/// Columns before a finding's text.
const INDENT: usize = 10;

/// The findings in lines of `width` columns. Commands are not wrapped, so that they can be copied. The styles are always there:
/// the output stream removes them where a terminal would not show them.
pub fn text(findings: &[Finding], width: usize) -> String {
    if findings.is_empty() {
        return "no problems found\n".to_owned();
    }
    let mut text = String::new();
    for finding in findings {
        let _ = write!(text, "{RED}✗{RED:#} ");
        page::hang(&mut text, 2, width, BOLD, &finding.what);
        let mut row = |label: &str, style: Style, words: &str| {
            if !words.is_empty() {
                let _ = write!(text, "  {DIM}{label:<6}{DIM:#}  ");
                page::hang(&mut text, INDENT, width, style, words);
            }
        };
        row("where", Style::new(), &finding.place);
        row("effect", Style::new(), &finding.effect);
        row("fix", Style::new(), &finding.fix);
        if let Some(command) = &finding.command {
            let label = if finding.fix.is_empty() { "fix" } else { "" };
            let _ = writeln!(text, "  {DIM}{label:<6}{DIM:#}  {BOLD}{}{BOLD:#}", page::visible(command));
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
    json!({ "findings": findings })
}
