//! Questions: on a terminal they are asked; elsewhere, and with `--yes`, what only an answer could tell is named
//! with the flag that gives it, all at once, and nothing is written.

use std::fmt;
use std::fs::File;
use std::io::{IsTerminal, Write};

use anstyle::Style;
use inquire::list_option::ListOption;
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, Password, PasswordDisplayMode, Select, Text};
use zeroize::Zeroizing;

use crate::text::page;

/// Why there is no answer.
#[derive(Debug)]
pub enum Stop {
    /// Ctrl-C or Esc.
    Cancelled,
    /// Reasons to end with exit status 64.
    Usage(Vec<String>),
    /// The terminal failed.
    Terminal(String),
}

/// Asks, or notes what it would have asked.
pub struct Asker {
    can_ask: bool,
    missing: Vec<String>,
}

/// A question and the flag that answers it.
pub struct Question<'a> {
    /// The question. Of several sentences only the last is asked; the others come before it, as lines.
    pub ask: &'a str,
    /// A line below it.
    pub help: &'a str,
    /// How to answer without being asked, with the reason it must be asked at all.
    pub flag: &'a str,
}

/// Something to choose, with a word about it that goes once it is chosen.
pub struct Offer {
    /// What it is.
    what: String,
    /// More about it; may be empty.
    note: &'static str,
}

impl Offer {
    /// One with a word about it.
    pub fn noted(what: impl Into<String>, note: &'static str) -> Self {
        Self { what: what.into(), note }
    }

    /// One that speaks for itself.
    pub fn plain(what: impl Into<String>) -> Self {
        Self::noted(what, "")
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, note } = self;
        if note.is_empty() { write!(out, "{what}") } else { write!(out, "{what} ({note})") }
    }
}

/// How to choose.
const MOVE: &str = "↑ and ↓ move, Enter chooses";

/// What a value must be.
pub type Check = fn(&str) -> Result<(), String>;

impl Asker {
    /// Asks only on a terminal, and not with `--yes`.
    pub fn new(yes: bool) -> Self {
        let has_input = || std::io::stdin().is_terminal() || File::open("/dev/tty").is_ok();
        Self { can_ask: !yes && std::io::stderr().is_terminal() && has_input(), missing: Vec::new() }
    }

    /// Whether questions reach someone.
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Notes that something is missing that was not asked.
    pub fn miss(&mut self, what: impl Into<String>) {
        self.missing.push(what.into());
    }

    /// Ends where something is missing.
    pub fn complete(&mut self) -> Result<(), Stop> {
        if self.missing.is_empty() { Ok(()) } else { Err(Stop::Usage(std::mem::take(&mut self.missing))) }
    }

    /// A text. Where it can't be asked, it is missing, and an empty one stands for it.
    pub fn text(
        &mut self,
        question: &Question<'_>,
        proposal: Option<&str>,
        check: impl Fn(&str) -> Result<(), String> + Clone + 'static,
    ) -> Result<String, Stop> {
        if !self.can_ask {
            self.miss(question.flag);
            return Ok(String::new());
        }
        let ask = format!("{}:", question.ask);
        let mut text = Text::new(&ask).with_validator(move |text: &str| {
            Ok(match check(text.trim()) {
                Ok(()) => Validation::Valid,
                Err(why) => Validation::Invalid(why.into()),
            })
        });
        if !question.help.is_empty() {
            text = text.with_help_message(question.help);
        }
        if let Some(proposal) = proposal {
            text = text.with_default(proposal);
        }
        text.prompt().map(|text| text.trim().to_owned()).map_err(stop)
    }

    /// One of several; the index.
    pub fn choose(&mut self, question: &Question<'_>, options: Vec<Offer>) -> Result<usize, Stop> {
        if !self.can_ask {
            self.miss(question.flag);
            return Ok(0);
        }
        let ask = format!("{}:", question.ask);
        let chosen = |option: ListOption<&Offer>| option.value.what.clone();
        let mut select = Select::new(&ask, options).without_filtering().with_formatter(&chosen);
        select = select.with_help_message(if question.help.is_empty() { MOVE } else { question.help });
        select.raw_prompt().map(|option| option.index).map_err(stop)
    }

    /// Yes or no.
    pub fn confirm(&mut self, question: &Question<'_>, proposal: bool) -> Result<bool, Stop> {
        if !self.can_ask {
            self.miss(question.flag);
            return Ok(true);
        }
        let ask = match question.ask.rsplit_once(". ") {
            Some((before, ask)) => {
                let mut text = String::new();
                page::hang(&mut text, 2, page::width(), Style::new(), &format!("{before}."));
                let _ = anstream::stderr().write_all(text.as_bytes());
                ask
            }
            None => question.ask,
        };
        let mut confirm = Confirm::new(ask).with_default(proposal);
        if !question.help.is_empty() {
            confirm = confirm.with_help_message(question.help);
        }
        confirm.prompt().map_err(stop)
    }

    /// A secret, without echo.
    pub fn secret(&mut self, question: &Question<'_>, check: Check) -> Result<Zeroizing<String>, Stop> {
        if !self.can_ask {
            self.miss(question.flag);
            return Ok(Zeroizing::default());
        }
        let ask = format!("{}:", question.ask);
        let mut password = Password::new(&ask)
            .without_confirmation()
            .with_display_mode(PasswordDisplayMode::Hidden)
            .with_validator(move |text: &str| {
                Ok(match check(text) {
                    Ok(()) => Validation::Valid,
                    Err(why) => Validation::Invalid(why.into()),
                })
            });
        if !question.help.is_empty() {
            password = password.with_help_message(question.help);
        }
        password.prompt().map(Zeroizing::new).map_err(stop)
    }
}

fn stop(error: InquireError) -> Stop {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => Stop::Cancelled,
        other => Stop::Terminal(other.to_string()),
    }
}
