//! Text for people: a page's width, lines of whole words, and nothing in it that could steer the terminal.

use std::fmt::Write;
use std::io;

use anstyle::{AnsiColor, Style};

use crate::text::printable;

/// What is to be seen first.
pub const BOLD: Style = Style::new().bold();
/// What may be passed over.
pub const DIM: Style = Style::new().dimmed();
/// All is well.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Not as it should be, or not known.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Wrong.
pub const RED: Style = AnsiColor::Red.on_default();

/// The page's width in columns: `COLUMNS`, else the terminal's, else 80.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|&columns| columns > 0);
    columns.or_else(|| terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())).unwrap_or(80)
}

/// Lines of whole words, each at most `width` columns unless one word is longer. At least one line.
pub fn wrap(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.last_mut().expect("there is one from the start");
        if line.is_empty() {
            line.push_str(word);
        } else if columns(line) + 1 + columns(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Appends `words` to the line that stands at column `indent`; further lines start there.
pub fn hang(text: &mut String, indent: usize, width: usize, style: Style, words: &str) {
    for (index, line) in wrap(&visible(words), width.saturating_sub(indent)).iter().enumerate() {
        let indent = if index == 0 { 0 } else { indent };
        let _ = writeln!(text, "{:indent$}{style}{line}{style:#}", "");
    }
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.chars().count()
}

/// What came from elsewhere can't steer the terminal, hide or reorder text.
pub fn visible(text: &str) -> String {
    printable::visible(text).into_owned()
}

/// Writes a page: lines for people, with colours of ours.
pub fn write(out: &mut impl io::Write, page: &str) -> io::Result<()> {
    out.write_all(printable::page(page).as_bytes())
}
