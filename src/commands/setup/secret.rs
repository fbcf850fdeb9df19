//! The question for a secret: what is typed is not shown, and keys that edit a line do what they do in a shell.

use std::io;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind};
use zeroize::{Zeroize, Zeroizing};

use super::dialogue::{Check, Stop};
use super::line::{self, To};
use super::screen::{Line, Raw, Screen};
use crate::config::typed::credential::LONGEST;

/// How soon after a line break more input is part of the same pasted text.
pub const PASTED: Duration = Duration::from_millis(50);

/// What a key does (pure).
#[derive(Debug, PartialEq, Eq)]
enum Edit {
    Put(char),
    Submit,
    Cancel,
    EraseCharacter,
    EraseWord,
    EraseAll,
    Nothing,
}

impl Edit {
    /// What the key does in any line, as far as that makes sense where nobody sees it.
    fn of(key: KeyEvent) -> Self {
        match line::Edit::of(key) {
            line::Edit::Put(letter) => Self::Put(letter),
            line::Edit::Submit => Self::Submit,
            line::Edit::Cancel | line::Edit::EraseNextOrEnd => Self::Cancel,
            line::Edit::Erase(To::Left) => Self::EraseCharacter,
            line::Edit::Erase(To::WordLeft) => Self::EraseWord,
            line::Edit::EraseAll => Self::EraseAll,
            // A pasted text may have one.
            _ if key.code == KeyCode::Tab && key.kind != KeyEventKind::Release => Self::Put('\t'),
            // There is no cursor that could be moved.
            line::Edit::Erase(_) | line::Edit::Move(_) | line::Edit::Nothing => Self::Nothing,
        }
    }
}

/// A secret while it is typed. It never grows beyond its memory, so no copy of it is left elsewhere.
struct Typed(Zeroizing<String>);

impl Typed {
    fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(LONGEST + 8)))
    }

    fn put(&mut self, letter: char) {
        // One more than the longest is enough to be refused as too long.
        if self.0.len() <= LONGEST {
            self.0.push(letter);
        }
    }

    fn erase_word(&mut self) {
        let before = self.0.trim_end();
        let end = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        while self.0.len() > end {
            self.0.pop();
        }
    }
}

/// Asks for a secret until `check` accepts it.
pub fn ask(ask: &str, help: &str, check: Check) -> Result<Zeroizing<String>, Stop> {
    let failed = |error: io::Error| Stop::Terminal(error.to_string());
    let _raw = Raw::start().map_err(failed)?;
    let mut screen = Screen::of(ask, help);
    screen.question("", Line::EMPTY).map_err(failed)?;
    let mut typed = Typed::new();
    loop {
        let edit = match event::read().map_err(failed)? {
            Event::Key(key) => Edit::of(key),
            Event::Paste(mut text) => {
                text.trim_end_matches(['\r', '\n']).chars().for_each(|letter| typed.put(letter));
                text.zeroize();
                Edit::Nothing
            }
            _ => Edit::Nothing,
        };
        match edit {
            Edit::Put(letter) => typed.put(letter),
            Edit::EraseCharacter => drop(typed.0.pop()),
            Edit::EraseWord => typed.erase_word(),
            Edit::EraseAll => typed = Typed::new(),
            Edit::Nothing => {}
            Edit::Cancel => {
                screen.cancelled().map_err(failed)?;
                return Err(Stop::Cancelled);
            }
            // Nobody types that fast: it is the line break of a text that a terminal pastes without saying so. What follows it would
            // be the answer to the next question, and shown.
            Edit::Submit if event::poll(PASTED).map_err(failed)? => typed.put('\n'),
            Edit::Submit => match check(&typed.0) {
                Ok(()) => {
                    screen.answered(if typed.0.is_empty() { "<kept>" } else { "********" }).map_err(failed)?;
                    return Ok(typed.0);
                }
                Err(why) => {
                    typed = Typed::new();
                    screen.question(&why, Line::EMPTY).map_err(failed)?;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;

    #[test]
    fn keys_edit_the_line_and_are_no_letters() {
        let key = |code, modifiers| Edit::of(KeyEvent::new(code, modifiers));
        let control = |letter| key(KeyCode::Char(letter), KeyModifiers::CONTROL);
        assert_eq!(key(KeyCode::Char('u'), KeyModifiers::NONE), Edit::Put('u'));
        assert_eq!(key(KeyCode::Char('U'), KeyModifiers::SHIFT), Edit::Put('U'));
        for (letter, edit) in [
            ('u', Edit::EraseAll),
            ('w', Edit::EraseWord),
            ('h', Edit::EraseCharacter),
            ('a', Edit::Nothing),
            ('e', Edit::Nothing),
            ('k', Edit::Nothing),
            ('c', Edit::Cancel),
            ('d', Edit::Cancel),
            ('j', Edit::Submit),
        ] {
            assert_eq!(control(letter), edit, "Ctrl-{letter}");
        }
        assert_eq!(key(KeyCode::Char('b'), KeyModifiers::ALT), Edit::Nothing);
        assert_eq!(key(KeyCode::Backspace, KeyModifiers::ALT), Edit::EraseWord);
        for code in [KeyCode::Left, KeyCode::Up, KeyCode::Home, KeyCode::Delete, KeyCode::F(1), KeyCode::Null] {
            assert_eq!(key(code, KeyModifiers::NONE), Edit::Nothing, "{code:?}");
        }
    }

    #[test]
    fn a_secret_stays_in_its_memory() {
        let mut typed = Typed::new();
        let place = typed.0.as_ptr();
        "one two  ".chars().for_each(|letter| typed.put(letter));
        typed.erase_word();
        assert_eq!(*typed.0, "one ");
        typed.erase_word();
        assert_eq!(*typed.0, "");
        (0..2 * LONGEST).for_each(|_| typed.put('é'));
        assert!(typed.0.len() > LONGEST && typed.0.as_ptr() == place);
    }
}
