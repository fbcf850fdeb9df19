//! Tables for people, all with one look: a header row, columns that are as wide as their content, and below a row what has no column
//! (pure). Where a line has no room for the columns, the last one is wrapped, or a column of names is made narrower than its longest
//! names; where that is not enough, each value gets a line of its own, after its title. Nothing is ever cut off: a word that is longer than a line stays whole, so that it can be copied.
//!
//! A table library would draw the same columns, but none writes a row as titled lines where the columns have no room.

use std::fmt::Write;

use anstyle::Style;

use super::page::{self, BOLD, columns, hang, wrap};

/// The mark of a row, `*`. Text beside the table says in words what it means.
pub const MARK: char = '*';
/// The gap between two columns.
const GAP: usize = 2;
/// No column is made narrower than this.
const NARROWEST: usize = 16;
/// What stands in place of an empty value where there are columns.
const EMPTY: &str = "-";

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    is_number: bool,
    is_narrowed: bool,
}

impl Column {
    /// A column that may be narrower than its longest names: after such a name the row goes on in the next line.
    pub const fn narrowed(self) -> Self {
        Self { is_narrowed: true, ..self }
    }
}

/// A column of words.
pub const fn words(title: &'static str) -> Column {
    Column { title, is_number: false, is_narrowed: false }
}

/// A column of numbers, aligned to the right.
pub const fn numbers(title: &'static str) -> Column {
    Column { title, is_number: true, is_narrowed: false }
}

/// A value with its style.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
}

/// A value from anywhere.
pub fn cell(text: impl AsRef<str>) -> Cell {
    styled(text, Style::new())
}

/// A value with a style. The style repeats what the text says.
pub fn styled(text: impl AsRef<str>, style: Style) -> Cell {
    Cell { text: page::visible(text.as_ref()), style }
}

#[derive(Debug, Clone)]
enum Line {
    /// Stands before the rows that follow.
    Heading(String),
    Row {
        is_marked: bool,
        cells: Vec<Cell>,
        below: Vec<Cell>,
    },
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table<const N: usize> {
    columns: [Column; N],
    lines: Vec<Line>,
}

impl<const N: usize> Table<N> {
    /// An empty table.
    pub fn new(columns: [Column; N]) -> Self {
        Self { columns, lines: Vec::new() }
    }

    /// Adds a heading for the rows that follow.
    pub fn heading(&mut self, text: &str) {
        self.lines.push(Line::Heading(page::visible(text)));
    }

    /// Adds a row, with a mark or without.
    pub fn row(&mut self, is_marked: bool, cells: [Cell; N]) {
        self.lines.push(Line::Row { is_marked, cells: cells.to_vec(), below: Vec::new() });
    }

    /// Adds a text that stands below the latest row.
    pub fn below(&mut self, text: Cell) {
        if let Some(Line::Row { below, .. }) = self.lines.last_mut() {
            below.push(text);
        }
    }

    /// The table in lines of `width` columns; [`usize::MAX`]: lines of any length. A table without rows has no header row either.
    pub fn text(&self, width: usize) -> String {
        let mut text = String::new();
        if self.rows().next().is_none() {
            return text;
        }
        match self.grid(width) {
            Some(grid) => grid.write(self, &mut text),
            None => self.write_stacked(&mut text, width),
        }
        text
    }

    /// Whether lines of `width` columns have room for all columns.
    pub fn fits(&self, width: usize) -> bool {
        self.grid(width).is_some()
    }

    fn rows(&self) -> impl Iterator<Item = &Vec<Cell>> {
        self.lines.iter().filter_map(|line| match line {
            Line::Row { cells, .. } => Some(cells),
            Line::Heading(_) => None,
        })
    }

    fn indent(&self) -> usize {
        let is_marked = |line: &Line| matches!(line, Line::Row { is_marked: true, .. });
        if self.lines.iter().any(is_marked) { 2 } else { 0 }
    }

    /// The widths of the columns; `None` where there is no room for them.
    fn grid(&self, width: usize) -> Option<Grid> {
        let widest = |index: usize| {
            let values = self.rows().map(|cells| columns(shown(&cells[index])));
            values.chain([columns(self.columns[index].title)]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..N).map(widest).collect();
        let needed = self.indent() + widths.iter().map(|width| width + GAP).sum::<usize>() - GAP;
        let missing = needed.saturating_sub(width);
        if missing > 0 {
            let narrowed = self.columns.iter().position(|column| column.is_narrowed);
            let can_lose = |index: &usize| widths[*index].saturating_sub(self.narrowest(*index)) >= missing;
            let index = [Some(N - 1), narrowed].into_iter().flatten().find(can_lose)?;
            widths[index] -= missing;
        }
        Some(Grid { indent: self.indent(), widths, width })
    }

    /// How narrow a column may be made.
    fn narrowest(&self, index: usize) -> usize {
        let Column { title, is_number, is_narrowed } = self.columns[index];
        if is_narrowed {
            return columns(title).max(NARROWEST);
        }
        if is_number || index + 1 < N {
            return usize::MAX;
        }
        let words = self.rows().flat_map(|cells| cells[index].text.split(' '));
        words.map(columns).max().unwrap_or(0).max(NARROWEST)
    }

    /// Each value on a line of its own, after its title.
    fn write_stacked(&self, text: &mut String, width: usize) {
        // An empty line parts the rows, but not a heading from the row below it.
        let mut gap = "";
        for line in &self.lines {
            text.push_str(gap);
            match line {
                Line::Heading(heading) => {
                    let _ = writeln!(text, "{BOLD}{heading}{BOLD:#}");
                    gap = "";
                }
                Line::Row { is_marked, cells, below } => {
                    gap = "\n";
                    let mark = if *is_marked { format!("{MARK} ") } else { String::new() };
                    for (index, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
                        if index > 0 && cell.text.is_empty() {
                            continue;
                        }
                        let style = if index == 0 { BOLD } else { cell.style };
                        text.push_str(if index == 0 { &mark } else { "  " });
                        hang(text, 4, width, style, &format!("{}: {}", column.title, shown(cell)));
                    }
                    for Cell { text: words, style } in below {
                        text.push_str("  ");
                        hang(text, 2, width, *style, words);
                    }
                }
            }
        }
    }
}

fn shown(cell: &Cell) -> &str {
    if cell.text.is_empty() { EMPTY } else { &cell.text }
}

/// A table's layout in columns.
struct Grid {
    indent: usize,
    widths: Vec<usize>,
    width: usize,
}

impl Grid {
    fn write<const N: usize>(&self, table: &Table<N>, text: &mut String) {
        let titles: Vec<Cell> = table.columns.iter().map(|column| styled(column.title, BOLD)).collect();
        self.write_row(text, table, ' ', &titles);
        let mut is_first = true;
        for line in &table.lines {
            match line {
                Line::Heading(heading) => {
                    let gap = if is_first { "" } else { "\n" };
                    let _ = writeln!(text, "{gap}{BOLD}{heading}{BOLD:#}");
                }
                Line::Row { is_marked, cells, below } => {
                    self.write_row(text, table, if *is_marked { MARK } else { ' ' }, cells);
                    let indent = self.indent + self.widths.first().map_or(0, |width| width + GAP);
                    for Cell { text: words, style } in below {
                        text.push_str(&blanks(indent));
                        hang(text, indent, self.width, *style, words);
                    }
                }
            }
            is_first = false;
        }
    }

    fn write_row<const N: usize>(&self, text: &mut String, table: &Table<N>, mark: char, cells: &[Cell]) {
        let start = text.len();
        if self.indent > 0 {
            text.push(mark);
            text.push_str(&blanks(self.indent - 1));
        }
        for (index, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            let (words, style, pad) = (shown(cell), cell.style, width.saturating_sub(columns(shown(cell))));
            let gap = if index + 1 < N { GAP } else { 0 };
            if index + 1 == N && pad == 0 {
                // Only the last column may be narrower than its content.
                let indent = self.indent + self.widths[..index].iter().map(|width| width + GAP).sum::<usize>();
                for (at, line) in wrap(words, *width).iter().enumerate() {
                    let (end, indent) = if at == 0 { ("", 0) } else { ("\n", indent) };
                    let _ = write!(text, "{end}{}{style}{line}{style:#}", blanks(indent));
                }
            } else if table.columns[index].is_number {
                let _ = write!(text, "{}{style}{words}{style:#}{}", blanks(pad), blanks(gap));
            } else {
                let is_too_long = columns(words) > *width;
                let after = if is_too_long { 0 } else { pad + gap };
                let _ = write!(text, "{style}{words}{style:#}{}", blanks(after));
                if is_too_long {
                    let indent = self.indent + self.widths[..=index].iter().map(|width| width + GAP).sum::<usize>();
                    text.push('\n');
                    text.push_str(&blanks(indent));
                }
            }
        }
        let end = text[start..].trim_end_matches(' ').len();
        text.truncate(start + end);
        text.push('\n');
    }
}

/// Blanks. The standard library's formatting has at most 65,535, and panics with more.
fn blanks(count: usize) -> String {
    " ".repeat(count)
}

#[cfg(test)]
mod tests;
