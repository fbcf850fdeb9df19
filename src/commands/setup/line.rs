//! A question whose answer is a line of text. The keys that edit a line do what they do in a shell, and no other key with Ctrl or Alt is
//! a letter of the answer.

use std::io;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::dialogue::Stop;
use super::screen::{Line, Raw, Screen};

/// The longest answer, in characters. No value that is asked for is as long.
const LONGEST: usize = 8192;

/// What a key does (pure).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    Put(char),
    Submit,
    Cancel,
    /// Erases the character under the cursor. On an empty line it is the end of the input.
    EraseNextOrEnd,
    Erase(To),
    Move(To),
    EraseAll,
    Nothing,
}

/// How far, from the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Start,
    End,
    Left,
    Right,
    WordLeft,
    WordRight,
}

impl Edit {
    pub fn of(key: KeyEvent) -> Self {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            _ if key.kind == KeyEventKind::Release => Self::Nothing,
            KeyCode::Enter => Self::Submit,
            KeyCode::Esc => Self::Cancel,
            KeyCode::Backspace if control || alt => Self::Erase(To::WordLeft),
            KeyCode::Backspace => Self::Erase(To::Left),
            KeyCode::Delete => Self::Erase(To::Right),
            KeyCode::Home => Self::Move(To::Start),
            KeyCode::End => Self::Move(To::End),
            KeyCode::Left if control || alt => Self::Move(To::WordLeft),
            KeyCode::Right if control || alt => Self::Move(To::WordRight),
            KeyCode::Left => Self::Move(To::Left),
            KeyCode::Right => Self::Move(To::Right),
            KeyCode::Char(letter) if control && !alt => match letter.to_ascii_lowercase() {
                'a' => Self::Move(To::Start),
                'b' => Self::Move(To::Left),
                'c' => Self::Cancel,
                'd' => Self::EraseNextOrEnd,
                'e' => Self::Move(To::End),
                'f' => Self::Move(To::Right),
                'h' => Self::Erase(To::Left),
                'j' | 'm' => Self::Submit,
                'k' => Self::Erase(To::End),
                'u' => Self::EraseAll,
                'w' => Self::Erase(To::WordLeft),
                _ => Self::Nothing,
            },
            KeyCode::Char(letter) if alt && !control => match letter.to_ascii_lowercase() {
                'b' => Self::Move(To::WordLeft),
                'd' => Self::Erase(To::WordRight),
                'f' => Self::Move(To::WordRight),
                _ => Self::Nothing,
            },
            KeyCode::Char(letter) if !control && !alt => Self::Put(letter),
            _ => Self::Nothing,
        }
    }
}

/// The answer while it is typed.
#[derive(Default)]
struct Typed {
    letters: Vec<char>,
    cursor: usize,
}

impl Typed {
    fn put(&mut self, letter: char) {
        if self.letters.len() < LONGEST {
            self.letters.insert(self.cursor, letter);
            self.cursor += 1;
        }
    }

    /// The place that is so far from the cursor.
    fn place(&self, to: To) -> usize {
        let is_space = |at: usize| self.letters[at].is_whitespace();
        let mut place = self.cursor;
        match to {
            To::Start => place = 0,
            To::End => place = self.letters.len(),
            To::Left => place = place.saturating_sub(1),
            To::Right => place = (place + 1).min(self.letters.len()),
            To::WordLeft => {
                while place > 0 && is_space(place - 1) {
                    place -= 1;
                }
                while place > 0 && !is_space(place - 1) {
                    place -= 1;
                }
            }
            To::WordRight => {
                while place < self.letters.len() && is_space(place) {
                    place += 1;
                }
                while place < self.letters.len() && !is_space(place) {
                    place += 1;
                }
            }
        }
        place
    }

    /// Does what a key does to the text. Submitting and cancelling are the caller's.
    fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Put(letter) => self.put(letter),
            Edit::Move(to) => self.cursor = self.place(to),
            Edit::Erase(to) => {
                let place = self.place(to);
                self.letters.drain(place.min(self.cursor)..place.max(self.cursor));
                self.cursor = place.min(self.cursor);
            }
            Edit::EraseNextOrEnd => self.edit(Edit::Erase(To::Right)),
            Edit::EraseAll => *self = Self::default(),
            Edit::Submit | Edit::Cancel | Edit::Nothing => {}
        }
    }

    /// Adds a pasted text. The line break at its end is not meant; one within it separates words.
    fn paste(&mut self, text: &str) {
        let line = text.trim_end_matches(['\r', '\n']);
        line.chars().for_each(|letter| self.put(if matches!(letter, '\r' | '\n' | '\t') { ' ' } else { letter }));
    }

    fn text(&self) -> String {
        self.letters.iter().collect()
    }
}

/// Asks until `read` takes the answer. `read` returns it with the words that stand for it on the screen. After a refusal the line is
/// empty, so that the next answer is not appended.
pub fn ask<T>(screen: Screen<'_>, read: impl Fn(&str) -> Result<(T, String), String>) -> Result<T, Stop> {
    let failed = |error: io::Error| Stop::Terminal(error.to_string());
    let mut screen = screen;
    let _raw = Raw::start().map_err(failed)?;
    let (mut typed, mut why) = (Typed::default(), String::new());
    loop {
        screen.question(&why, Line { typed: &typed.letters, cursor: typed.cursor }).map_err(failed)?;
        let edit = match event::read().map_err(failed)? {
            Event::Key(key) => Edit::of(key),
            Event::Paste(text) => {
                typed.paste(&text);
                Edit::Nothing
            }
            _ => Edit::Nothing,
        };
        match edit {
            Edit::Cancel => {
                screen.cancelled().map_err(failed)?;
                return Err(Stop::Cancelled);
            }
            Edit::EraseNextOrEnd if typed.letters.is_empty() => {
                screen.cancelled().map_err(failed)?;
                return Err(Stop::Cancelled);
            }
            Edit::Submit => match read(&typed.text()) {
                Ok((answer, shown)) => {
                    screen.answered(&shown).map_err(failed)?;
                    return Ok(answer);
                }
                Err(refused) => (typed, why) = (Typed::default(), refused),
            },
            edit => typed.edit(edit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_the_line_and_are_no_letters() {
        let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        let alt = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::ALT);
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let letter = |letter| key(KeyCode::Char(letter));
        let cases: [(&str, &[KeyEvent], &str); 13] = [
            ("teh", &[control('u'), letter('w')], "w|"),
            ("one two ", &[control('w'), letter('x')], "one x|"),
            ("bc", &[control('a'), letter('a'), control('e'), letter('d')], "abcd|"),
            ("bc", &[key(KeyCode::Home), letter('a'), key(KeyCode::End), letter('d')], "abcd|"),
            ("abc", &[key(KeyCode::Left), key(KeyCode::Left), control('k')], "a|"),
            ("abc", &[control('b'), key(KeyCode::Delete)], "ab|"),
            ("abc", &[control('b'), control('b'), control('f'), control('d')], "ab|"),
            ("abc", &[key(KeyCode::Backspace), control('h'), letter('x')], "ax|"),
            ("one two", &[alt('b'), letter('x'), alt('b'), alt('b'), alt('f'), alt('d')], "one|"),
            ("ab", &[control('x'), control('t'), control('y'), alt('x'), key(KeyCode::Tab), key(KeyCode::Up)], "ab|"),
            ("", &[control('k'), control('w'), key(KeyCode::Left), key(KeyCode::Right), letter('U')], "U|"),
            ("a", &[key(KeyCode::Right), key(KeyCode::Backspace), key(KeyCode::Backspace)], "|"),
            ("\u{4e00}b", &[control('b'), key(KeyCode::Backspace)], "|b"),
        ];
        for (start, keys, expected) in cases {
            let mut typed = Typed::default();
            typed.paste(start);
            keys.iter().for_each(|key| typed.edit(Edit::of(*key)));
            let mut seen = typed.text();
            seen.insert(typed.letters[..typed.cursor].iter().map(|letter| letter.len_utf8()).sum(), '|');
            assert_eq!(seen, expected, "{start:?}");
        }
        for cancel in [control('c'), key(KeyCode::Esc)] {
            assert_eq!(Edit::of(cancel), Edit::Cancel);
        }
        assert_eq!([Edit::of(control('j')), Edit::of(key(KeyCode::Enter))], [Edit::Submit; 2]);
    }

    #[test]
    fn a_pasted_text_is_one_line() {
        let mut typed = Typed::default();
        typed.paste("a\r\nb\n\n");
        assert_eq!(typed.text(), "a  b");
        (0..2 * LONGEST).for_each(|_| typed.put('x'));
        assert_eq!(typed.letters.len(), LONGEST);
    }
}
