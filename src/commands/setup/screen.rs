//! A question on the screen of a terminal that can redraw a line, in the form that a choice has, too.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use crossterm::event;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::interrupted::{OwnModes, own_modes};
use crate::text::{locale, page};

/// The terminal without echo, until it is dropped.
pub struct Raw(Option<OwnModes>);

impl Raw {
    pub fn start() -> io::Result<Self> {
        enable_raw_mode()?;
        // A pasted text then arrives as one, with its line breaks.
        let _ = crossterm::execute!(io::stderr(), event::EnableBracketedPaste);
        Ok(Self(Some(own_modes())))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.0 = None;
        let _ = crossterm::execute!(io::stderr(), event::DisableBracketedPaste);
        let _ = disable_raw_mode();
    }
}

/// What stands behind a question: the answer so far, and the cursor's place in it, in characters.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    pub typed: &'a [char],
    pub cursor: usize,
}

impl Line<'_> {
    /// Nothing, or nothing that is shown.
    pub const EMPTY: Line<'static> = Line { typed: &[], cursor: 0 };
}

/// The question on the screen.
pub struct Screen<'a> {
    ask: &'a str,
    help: &'a str,
    /// The proposed answer, or the choices.
    proposal: String,
    /// The rows above the cursor that belong to the question.
    rows: usize,
    colour: bool,
}

impl<'a> Screen<'a> {
    pub fn of(ask: &'a str, help: &'a str) -> Self {
        let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        Self { ask, help, proposal: String::new(), rows: 0, colour }
    }

    /// The same, with a proposed answer.
    pub fn with_proposal(self, proposal: &str) -> Self {
        Self { proposal: format!("({}) ", page::visible(proposal)), ..self }
    }

    fn styled(&self, style: AnsiColor, words: &str) -> String {
        let style = if self.colour { style.on_default() } else { Style::new() };
        format!("{style}{words}{style:#}")
    }

    /// Goes to the beginning of the question and clears what is there.
    fn clear(&mut self) -> String {
        let up = if self.rows > 0 { format!("\x1b[{}A", self.rows) } else { String::new() };
        self.rows = 0;
        format!("\r{up}\x1b[J")
    }

    /// Shows the question, under the reason why the last answer is refused.
    pub fn question(&mut self, why: &str, line: Line<'_>) -> io::Result<()> {
        let mut text = self.clear();
        let width = page::width().max(3);
        if !why.is_empty() {
            for (index, line) in page::wrap(&page::visible(why), width - 2).iter().enumerate() {
                let sign = if index == 0 { self.styled(AnsiColor::BrightRed, "#") } else { " ".to_owned() };
                text.push_str(&format!("{sign} {}\r\n", self.styled(AnsiColor::BrightRed, line)));
                self.rows += 1;
            }
        }
        let mut flow = Flow { text, width, row: 0, column: 2 };
        flow.text.push_str(&format!("{} ", self.styled(AnsiColor::BrightGreen, "?")));
        format!("{} {}", self.ask, self.proposal).chars().for_each(|letter| flow.put(letter));
        let mut cursor = flow.place();
        for (index, letter) in line.typed.iter().enumerate() {
            flow.put(*letter);
            if index + 1 == line.cursor {
                cursor = flow.place();
            }
        }
        let (last, _) = flow.place();
        let mut text = flow.text;
        let mut below = last - cursor.0;
        if !self.help.is_empty() {
            text.push_str(&format!(
                "\r\n{}",
                self.styled(AnsiColor::BrightCyan, &format!("[{}]", self.help.replace('\n', "\r\n")))
            ));
            below += self.help.lines().count();
        }
        text.push('\r');
        for (count, direction) in [(below, 'A'), (cursor.1, 'C')] {
            // Of zero, a terminal makes one.
            text.push_str(&if count > 0 { format!("\x1b[{count}{direction}") } else { String::new() });
        }
        self.rows += cursor.0;
        write(&text)
    }

    /// Leaves one line of the question, with the answer.
    pub fn answered(&mut self, answer: &str) -> io::Result<()> {
        self.end(if self.colour { ">" } else { "?" }, AnsiColor::BrightCyan, answer)
    }

    /// The same, where the user cancelled.
    pub fn cancelled(&mut self) -> io::Result<()> {
        self.end("?", AnsiColor::Red, "<canceled>")
    }

    fn end(&mut self, sign: &str, colour: AnsiColor, answer: &str) -> io::Result<()> {
        let text = self.clear();
        let sign = self.styled(AnsiColor::BrightGreen, sign);
        write(&format!("{text}{sign} {} {}\r\n", self.ask, self.styled(colour, answer)))
    }
}

/// Text that breaks at the end of a row. The terminal would do the same, but where its cursor is then differs among terminals.
struct Flow {
    text: String,
    width: usize,
    row: usize,
    column: usize,
}

impl Flow {
    fn put(&mut self, letter: char) {
        let shown = page::visible(letter.encode_utf8(&mut [0; 4]));
        let columns = page::columns(&shown);
        if self.column + columns > self.width {
            self.next_row();
        }
        self.text.push_str(&shown);
        self.column += columns;
    }

    fn next_row(&mut self) {
        self.text.push_str("\r\n");
        self.row += 1;
        self.column = 0;
    }

    /// Where the next letter stands.
    fn place(&mut self) -> (usize, usize) {
        if self.column >= self.width {
            self.next_row();
        }
        (self.row, self.column)
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    out.write_all(locale::shown(text).as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_goes_on_in_the_next_row() {
        let mut flow = Flow { text: String::new(), width: 5, row: 0, column: 2 };
        "abc".chars().for_each(|letter| flow.put(letter));
        assert_eq!(flow.place(), (1, 0));
        "de\u{301}\u{4e00}\u{4e00}x".chars().for_each(|letter| flow.put(letter));
        assert_eq!(flow.text, "abc\r\nde\u{301}\u{4e00}\r\n\u{4e00}x");
        flow.put('\u{202e}');
        assert!(!flow.text.contains('\u{202e}'), "it would reorder what follows");
    }
}
