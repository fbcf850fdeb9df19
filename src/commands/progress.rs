//! How far a command is, where standard error is a terminal: one line, drawn again and again, gone at the end. Written by
//! hand: the crates for it bring a library that every launch would have to load.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two drawings.
const PAUSE: Duration = Duration::from_millis(100);
/// Cells of the bar.
const WIDTH: usize = 30;

/// A number of exports, one after the other.
pub struct Progress {
    total: usize,
    done: usize,
    start: Instant,
    /// `None` where nothing is shown; then the time of the next drawing.
    due: Option<Instant>,
}

impl Progress {
    /// At the start of `total`.
    pub fn new(total: usize) -> Self {
        let start = Instant::now();
        Self { total, done: 0, start, due: std::io::stderr().is_terminal().then_some(start) }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.due.is_some_and(|due| due <= Instant::now()) {
            show(&line(self.done, self.total, self.start.elapsed()));
            self.due = Some(Instant::now() + PAUSE);
        }
    }
}

/// Nothing of it stays.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.due.is_some() {
            show("");
        }
    }
}

fn show(line: &str) {
    // To the first column, and away with what is there.
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
        // More than were there at first.
        assert_eq!(line(5, 4, Duration::from_secs(6)), whole);
    }
}
