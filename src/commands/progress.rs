//! A progress bar on standard error, where that is a terminal: one line, redrawn in place and cleared at the end. It does not use
//! a crate, because the crates for it need a library that every launch would have to load.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The time between two redraws.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
/// The width of the bar, in characters.
const WIDTH: usize = 30;

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
        Self { total, done: 0, start, due: std::io::stderr().is_terminal().then_some(start) }
    }

    /// Counts one more export as done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.due.is_some_and(|due| due <= Instant::now()) {
            show(&line(self.done, self.total, self.start.elapsed()));
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

fn show(line: &str) {
    // Move to the first column, and clear the line.
    let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
}

fn line(done: usize, total: usize, elapsed: Duration) -> String {
    let (done, total) = (done.min(total), total.max(1));
    let filled = WIDTH * done / total;
    let left = elapsed.mul_f64((total - done) as f64 / done.max(1) as f64).as_secs_f64().ceil();
    format!("[{}{}] {done}/{total} exports, {left} s left", "#".repeat(filled), "-".repeat(WIDTH - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_and_how_long() {
        let half = "[###############---------------] 2/4 exports, 6 s left";
        assert_eq!(line(2, 4, Duration::from_secs(6)), half);
        let whole = "[##############################] 4/4 exports, 0 s left";
        assert_eq!(line(4, 4, Duration::from_secs(6)), whole);
        // More steps than the total: new exports may have come in the meantime.
        assert_eq!(line(5, 4, Duration::from_secs(6)), whole);
    }
}
