//! A progress bar on standard error, where that is a terminal: one line, redrawn in place and cleared at the end. It does not use
//! a crate, because the crates for it need a library that every launch would have to load.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::text::page;

/// The time between two redraws.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
/// The width of the bar, in characters, and the least at which it still shows something.
const WIDTH: usize = 30;
const NARROWEST: usize = 8;

/// The progress bar for a number of exports.
pub struct Progress {
    total: usize,
    done: usize,
    start: Instant,
    /// The time of the next redraw. `None` where nothing is shown.
    due: Option<Instant>,
}

impl Progress {
    /// Starts at 0 of `total` exports.
    pub fn new(total: usize) -> Self {
        let start = Instant::now();
        Self { total, done: 0, start, due: (std::io::stderr().is_terminal() && page::can_redraw()).then_some(start) }
    }

    /// Counts one more export as done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.due.is_some_and(|due| due <= Instant::now()) {
            show(&line(self.done, self.total, self.start.elapsed(), columns()));
            self.due = Some(Instant::now() + REDRAW_INTERVAL);
        }
    }
}

/// Clears the line.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.due.is_some() {
            show("");
        }
    }
}

/// The terminal's width. A line that is longer could not be redrawn, because it would go on in the next one.
fn columns() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| width.0.into())
}

fn show(line: &str) {
    // Move to the first column, and clear the line.
    let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
}

fn line(done: usize, total: usize, elapsed: Duration, columns: usize) -> String {
    let (done, total) = (done.min(total), total.max(1));
    let left = elapsed.mul_f64((total - done) as f64 / done.max(1) as f64).as_secs_f64().ceil();
    let words = format!("{done}/{total} exports, {left} s left");
    // A terminal goes on in the next line after its last column.
    let width = columns.saturating_sub(words.len() + "[] ".len() + 1).min(WIDTH);
    if width < NARROWEST {
        return words.chars().take(columns.saturating_sub(1)).collect();
    }
    let filled = width * done / total;
    format!("[{}{}] {words}", "#".repeat(filled), "-".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_and_how_long() {
        let half = "[###############---------------] 2/4 exports, 6 s left";
        assert_eq!(line(2, 4, Duration::from_secs(6), 80), half);
        let whole = "[##############################] 4/4 exports, 0 s left";
        assert_eq!(line(4, 4, Duration::from_secs(6), 80), whole);
        // More steps than the total: new exports may have come in the meantime.
        assert_eq!(line(5, 4, Duration::from_secs(6), 80), whole);
        // On a narrow terminal the line still fits, so that it can be redrawn.
        assert_eq!(line(2, 4, Duration::from_secs(6), 40), "[#######--------] 2/4 exports, 6 s left");
        for columns in [1, 20, 30, 40, 60] {
            assert!(line(1234, 5678, Duration::from_secs(99), columns).len() < columns, "{columns}");
        }
        assert_eq!(line(2, 4, Duration::from_secs(6), 30), "2/4 exports, 6 s left");
    }
}
