//! Text for people: the width of a page, wrapping, and escaping of everything that could control the terminal.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use crate::text::{locale, printable};

/// The most important text.
pub const BOLD: Style = Style::new().bold();
/// Less important text.
pub const DIM: Style = Style::new().dimmed();
/// A good state.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// A state that needs attention, or that is not known.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// A failure.
pub const RED: Style = AnsiColor::Red.on_default();

/// The page's width in columns: `COLUMNS`, else the terminal's, else 80.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|&columns| columns > 0);
    columns.or_else(|| terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())).unwrap_or(80)
}

/// The home directory of whoever reads the page, which is shown as `~`.
pub fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// Whether the terminal can clear and redraw a line. `TERM=dumb` has no sequence for that.
pub fn can_redraw() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// The width for tables: that of [`width`] on a terminal. Elsewhere [`usize::MAX`]: a program that reads them always gets the same
/// lines, with nothing wrapped.
pub fn table_width() -> usize {
    if io::stdout().is_terminal() { width() } else { usize::MAX }
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

/// Appends `words` to the line that ends at column `indent`; further lines are indented to the same column.
pub fn hang(text: &mut String, indent: usize, width: usize, style: Style, words: &str) {
    for (index, line) in wrap(&visible(words), width.saturating_sub(indent)).iter().enumerate() {
        let indent = if index == 0 { 0 } else { indent };
        let _ = writeln!(text, "{:indent$}{style}{line}{style:#}", "");
    }
}

/// How many columns a text occupies: none for a combining character, two for a wide one.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// Makes text from elsewhere harmless: it can't control the terminal, nor hide or reorder text.
pub fn visible(text: &str) -> String {
    printable::visible(text).into_owned()
}

/// Writes a page: lines for people, with our own colours.
pub fn write(out: &mut impl io::Write, page: &str) -> io::Result<()> {
    out.write_all(locale::shown(&printable::page(page)).as_bytes())
}
