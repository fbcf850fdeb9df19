//! What a set-up asks, and what was answered (pure).
//!
//! The decision is a function of facts and answers. It asks in a fixed order, so the answers given so far are a list. Where
//! one is missing the decision stops with the question; once it is answered, the decision is made anew. Where nobody can be
//! asked, it goes on with an empty answer and notes the flag that gives it, so that all that is missing is named at once.

use std::fmt;
use std::rc::Rc;

use zeroize::Zeroizing;

use crate::text::page::visible;

/// Why there is no decision.
#[derive(Debug)]
pub enum Stop {
    /// An answer is missing that someone can give.
    Ask(Box<Request>),
    /// Ctrl-C or Esc, or a "no" that ends it.
    Cancelled,
    /// Reasons to end with exit status 64.
    Usage(Vec<String>),
    /// The terminal failed.
    Terminal(String),
}

impl Stop {
    /// One reason to end with exit status 64.
    pub fn usage(reason: impl Into<String>) -> Self {
        Self::Usage(vec![reason.into()])
    }
}

/// A question and the flag that answers it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The question. Of several sentences only the last is asked; the others come before it, as lines.
    pub ask: &'a str,
    /// A line below it.
    pub help: &'a str,
    /// How to answer without being asked, with the reason it must be asked at all.
    pub flag: &'a str,
}

/// What a value must be.
pub type Check = fn(&str) -> Result<(), String>;

/// The same, with what it knows.
pub type Validator = Rc<dyn Fn(&str) -> Result<(), String>>;

/// Something to choose, with a word about it that goes once it is chosen.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What it is.
    pub what: String,
    /// More about it; may be empty.
    pub note: &'static str,
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
        let (what, note) = (visible(what), visible(note));
        if note.is_empty() { write!(out, "{what}") } else { write!(out, "{what} ({note})") }
    }
}

/// A question that waits for its answer.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub ask: String,
    /// A line below it.
    pub help: String,
    /// What kind of answer is wanted.
    pub kind: QuestionKind,
}

/// What kind of answer is wanted.
pub enum QuestionKind {
    /// A text, with a proposal and what it must be.
    Text(Option<String>, Validator),
    /// One of several.
    Choice(Vec<Offer>),
    /// Yes or no, with a proposal.
    Confirmation(bool),
    /// A text that is not shown.
    Secret(Check),
}

impl fmt::Debug for QuestionKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Text(..) => "Text",
            Self::Choice(_) => "Choice",
            Self::Confirmation(_) => "Confirmation",
            Self::Secret(_) => "Secret",
        })
    }
}

/// An answer.
pub enum Answer {
    /// To a text.
    Text(String),
    /// The index of what was chosen.
    Choice(usize),
    /// To a confirmation.
    Confirmation(bool),
    /// To a secret.
    Secret(Zeroizing<String>),
}

/// One making of the decision.
pub struct Dialogue<'a> {
    can_ask: bool,
    answers: &'a [Answer],
    next: usize,
    missing: Vec<String>,
    /// Sentences for people on the way, in order.
    pub notes: Vec<String>,
}

impl<'a> Dialogue<'a> {
    /// With the answers given so far.
    pub fn new(can_ask: bool, answers: &'a [Answer]) -> Self {
        Self { can_ask, answers, next: 0, missing: Vec::new(), notes: Vec::new() }
    }

    /// Whether questions reach someone.
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Says a sentence on the way.
    pub fn tell(&mut self, words: impl Into<String>) {
        self.notes.push(words.into());
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
        check: impl Fn(&str) -> Result<(), String> + 'static,
    ) -> Result<String, Stop> {
        let kind = || QuestionKind::Text(proposal.map(str::to_owned), Rc::new(check));
        match self.answer(question, format!("{}:", question.ask), kind)? {
            Some(Answer::Text(text)) => Ok(text.clone()),
            _ => Ok(String::new()),
        }
    }

    /// One of several; the index. Where it can't be asked, it is missing, and the first one stands for it.
    pub fn choose(&mut self, question: &Question<'_>, options: Vec<Offer>) -> Result<usize, Stop> {
        match self.answer(question, format!("{}:", question.ask), || QuestionKind::Choice(options))? {
            Some(Answer::Choice(index)) => Ok(*index),
            _ => Ok(0),
        }
    }

    /// Yes or no. Where it can't be asked, it is missing, and a yes stands for it.
    pub fn confirm(&mut self, question: &Question<'_>, proposal: bool) -> Result<bool, Stop> {
        match self.answer(question, question.ask.to_owned(), || QuestionKind::Confirmation(proposal))? {
            Some(Answer::Confirmation(is_yes)) => Ok(*is_yes),
            _ => Ok(true),
        }
    }

    /// The same where a "no" ends the set-up.
    pub fn agree(&mut self, question: &Question<'_>, proposal: bool) -> Result<(), Stop> {
        if self.confirm(question, proposal)? { Ok(()) } else { Err(Stop::Cancelled) }
    }

    /// A secret. Where it can't be asked, it is missing, and an empty one stands for it.
    pub fn secret(&mut self, question: &Question<'_>, check: Check) -> Result<Zeroizing<String>, Stop> {
        match self.answer(question, format!("{}:", question.ask), || QuestionKind::Secret(check))? {
            Some(Answer::Secret(text)) => Ok(text.clone()),
            _ => Ok(Zeroizing::default()),
        }
    }

    /// The next answer; `None` where it can't be asked for.
    fn answer(
        &mut self,
        question: &Question<'_>,
        ask: String,
        kind: impl FnOnce() -> QuestionKind,
    ) -> Result<Option<&'a Answer>, Stop> {
        if !self.can_ask {
            self.miss(question.flag);
            return Ok(None);
        }
        let Some(answer) = self.answers.get(self.next) else {
            return Err(Stop::Ask(Box::new(Request { ask, help: question.help.to_owned(), kind: kind() })));
        };
        self.next += 1;
        Ok(Some(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question<'_> = Question { ask: "Name", help: "a word", flag: "--name NAME" };

    #[test]
    fn answers_are_used_in_order_and_the_next_question_stops() {
        let answers = [Answer::Text("a".to_owned()), Answer::Choice(1)];
        let mut dialogue = Dialogue::new(true, &answers);
        assert_eq!(dialogue.text(&QUESTION, None, |_| Ok(())).unwrap(), "a");
        assert_eq!(dialogue.choose(&QUESTION, vec![Offer::plain("x"), Offer::plain("y")]).unwrap(), 1);
        let Err(Stop::Ask(request)) = dialogue.confirm(&QUESTION, true) else { panic!("not asked") };
        assert_eq!((request.ask.as_str(), request.help.as_str()), ("Name", "a word"));
    }

    #[test]
    fn what_nobody_can_be_asked_is_named_all_at_once() {
        let mut dialogue = Dialogue::new(false, &[]);
        assert_eq!(dialogue.text(&QUESTION, None, |_| Ok(())).unwrap(), "");
        assert!(dialogue.agree(&Question { flag: "--endpoint URL", ..QUESTION }, false).is_ok());
        let Err(Stop::Usage(missing)) = dialogue.complete() else { panic!("complete") };
        assert_eq!(missing, ["--name NAME", "--endpoint URL"]);
        assert!(dialogue.complete().is_ok());
    }
}
