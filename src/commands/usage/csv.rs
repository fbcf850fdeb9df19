//! The report for a spreadsheet (pure): RFC 4180, one line for each group and what became of it.

use super::group::Key;
use super::json;
use super::report::Report;
use crate::claude::measured::Measured;
use crate::text::printable;

/// The report. A pivot table has the totals; here each number stands once.
pub fn of(report: &Report<'_>) -> String {
    let mut text = String::new();
    let titles = [report.by.word(), "state"].into_iter().chain(Measured::NAMES).map(str::to_owned);
    line(&mut text, titles);
    for group in report.groups() {
        let name = match group.key {
            Key::Day(day) => day.to_string(),
            key => safe(&json::name(key).unwrap_or_default()),
        };
        for (disposition, part) in &group.sums.parts {
            let state = disposition.word().replace(' ', "_");
            let numbers = json::numbers(&part.measured, part.sessions()).map(|(_, number)| number.to_string());
            line(&mut text, [name.clone(), state].into_iter().chain(numbers));
        }
    }
    text
}

/// A text that no spreadsheet takes for a formula.
fn safe(text: &str) -> String {
    let text = printable::visible(text);
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{text}") } else { text.into_owned() }
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(',');
        }
        if cell.contains(['"', ',', '\r', '\n']) {
            text.push_str(&format!("\"{}\"", cell.replace('"', "\"\"")));
        } else {
            text.push_str(&cell);
        }
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_text() {
        for (name, shown) in [
            ("web", "web"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            (" =1", "' =1"),
            ("\t=1", r"\t=1"),
            ("a\u{202e}b", r"a\u{202e}b"),
        ] {
            assert_eq!(safe(name), shown);
        }
    }

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        let mut text = String::new();
        line(&mut text, ["a", "b,c", "say \"x\"", "two\nlines", ""].into_iter().map(str::to_owned));
        assert_eq!(text, "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\r\n");
    }
}
