//! The questions of a set-up and their answers (pure).
//!
//! The decision is a function of facts and answers. It asks in a fixed order, so the answers given so far are a list. Where an
//! answer is missing, the decision stops with the question. Once it is answered, the decision runs again from the start. Where
//! questions can't be asked, the decision goes on with an empty answer and notes the flag that would give it, so that one error
//! names all missing flags.

use std::fmt;
use std::rc::Rc;

use zeroize::Zeroizing;

use crate::text::locale;
use crate::text::page::visible;

/// Why there is no decision.
#[derive(Debug)]
pub enum Stop {
    /// An answer is missing that the user can give.
    Ask(Box<Request>),
    /// Ctrl-C, Esc, or a "no" that ends the set-up.
    Cancelled,
    /// Reasons to end with exit status 64.
    Usage(Vec<String>),
    /// Flags for answers that are missing, and that nobody can be asked for; also exit status 64.
    Missing(Vec<String>),
    /// The terminal failed.
    Terminal(String),
    /// Something that was changed could not be taken back.
    Partly {
        /// Why the set-up has ended.
        why: Box<Stop>,
        /// What is no longer as it was.
        left: Vec<String>,
    },
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
    /// The question. Of several sentences only the last one is the prompt; the others are printed before it.
    pub ask: &'a str,
    /// A line below it.
    pub help: &'a str,
    /// The flag that answers it without a question, and why an answer is needed.
    pub flag: &'a str,
}

/// Checks a value. The error says what is wrong with it.
pub type Check = fn(&str) -> Result<(), String>;

/// A check that may capture values.
pub type Validator = Rc<dyn Fn(&str) -> Result<(), String>>;

/// An option of a choice, with a note that is no longer shown once it is chosen.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The option's text.
    pub what: String,
    /// A note about it; may be empty.
    pub note: &'static str,
}

impl Offer {
    /// An option with a note.
    pub fn noted(what: impl Into<String>, note: &'static str) -> Self {
        Self { what: what.into(), note }
    }

    /// An option without a note.
    pub fn plain(what: impl Into<String>) -> Self {
        Self::noted(what, "")
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, note } = self;
        let (what, note) = (visible(what), locale::shown(note));
        if note.is_empty() { write!(out, "{what}") } else { write!(out, "{what} ({note})") }
    }
}

/// A question that waits for its answer.
#[derive(Debug)]
pub struct Request {
    /// The question.
    pub ask: String,
    /// A line below it.
    pub help: String,
    /// The kind of answer expected.
    pub kind: QuestionKind,
}

/// The kind of answer that a question expects.
pub enum QuestionKind {
    /// A text, with a proposed answer and a check.
    Text(Option<String>, Validator),
    /// One of several options.
    Choice(Vec<Offer>),
    /// Yes or no, with a proposed answer.
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
    /// The answer to [`QuestionKind::Text`].
    Text(String),
    /// The index of the chosen option.
    Choice(usize),
    /// The answer to [`QuestionKind::Confirmation`].
    Confirmation(bool),
    /// The answer to [`QuestionKind::Secret`].
    Secret(Zeroizing<String>),
}

/// The answers and notes of one run of the decision.
pub struct Dialogue<'a> {
    can_ask: bool,
    takes_defaults: bool,
    answers: &'a [Answer],
    next: usize,
    missing: Vec<String>,
    /// Sentences to show to the user, in order.
    pub notes: Vec<String>,
}

impl<'a> Dialogue<'a> {
    /// A dialogue with the answers given so far.
    pub fn new(can_ask: bool, answers: &'a [Answer]) -> Self {
        Self { can_ask, takes_defaults: false, answers, next: 0, missing: Vec::new(), notes: Vec::new() }
    }

    /// The same, where `--yes` was given: a question with a proposed answer is answered with it.
    pub fn with_defaults(self, takes_defaults: bool) -> Self {
        Self { takes_defaults, ..self }
    }

    /// Whether proposed answers are taken without a question.
    pub fn takes_defaults(&self) -> bool {
        self.takes_defaults && !self.can_ask
    }

    /// Whether questions can be asked.
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Adds a sentence to show to the user.
    pub fn tell(&mut self, words: impl Into<String>) {
        self.notes.push(words.into());
    }

    /// Notes a missing flag.
    pub fn note_missing(&mut self, what: impl Into<String>) {
        self.missing.push(what.into());
    }

    /// Stops the decision where flags are missing.
    pub fn complete(&mut self) -> Result<(), Stop> {
        if self.missing.is_empty() { Ok(()) } else { Err(Stop::Missing(std::mem::take(&mut self.missing))) }
    }

    /// Asks for a text. Where questions can't be asked, the proposed answer is taken if that is allowed. Otherwise the flag is
    /// noted as missing and the result is an empty text.
    pub fn text(
        &mut self,
        question: &Question<'_>,
        proposal: Option<&str>,
        check: impl Fn(&str) -> Result<(), String> + 'static,
    ) -> Result<String, Stop> {
        if let Some(proposal) = proposal.filter(|_| self.takes_defaults()) {
            return Ok(proposal.to_owned());
        }
        let kind = || QuestionKind::Text(proposal.map(str::to_owned), Rc::new(check));
        match self.answer(question, format!("{}:", question.ask), kind)? {
            Some(Answer::Text(text)) => Ok(text.clone()),
            _ => Ok(String::new()),
        }
    }

    /// Asks for one of several options and returns its index. Where questions can't be asked, the flag is noted as missing and
    /// the result is the first option.
    pub fn choose(&mut self, question: &Question<'_>, options: Vec<Offer>) -> Result<usize, Stop> {
        match self.answer(question, format!("{}:", question.ask), || QuestionKind::Choice(options))? {
            Some(Answer::Choice(index)) => Ok(*index),
            _ => Ok(0),
        }
    }

    /// Asks for yes or no. Where questions can't be asked, the flag is noted as missing and the result is yes.
    pub fn confirm(&mut self, question: &Question<'_>, proposal: bool) -> Result<bool, Stop> {
        match self.answer(question, question.ask.to_owned(), || QuestionKind::Confirmation(proposal))? {
            Some(Answer::Confirmation(is_yes)) => Ok(*is_yes),
            _ => Ok(true),
        }
    }

    /// Asks for yes or no. A no ends the set-up.
    pub fn agree(&mut self, question: &Question<'_>, proposal: bool) -> Result<(), Stop> {
        if self.confirm(question, proposal)? { Ok(()) } else { Err(Stop::Cancelled) }
    }

    /// Asks for a secret. Where questions can't be asked, the flag is noted as missing and the result is empty.
    pub fn secret(&mut self, question: &Question<'_>, check: Check) -> Result<Zeroizing<String>, Stop> {
        match self.answer(question, format!("{}:", question.ask), || QuestionKind::Secret(check))? {
            Some(Answer::Secret(text)) => Ok(text.clone()),
            _ => Ok(Zeroizing::default()),
        }
    }

    /// The next answer. `None` where questions can't be asked.
    fn answer(
        &mut self,
        question: &Question<'_>,
        ask: String,
        kind: impl FnOnce() -> QuestionKind,
    ) -> Result<Option<&'a Answer>, Stop> {
        if !self.can_ask {
            self.note_missing(question.flag);
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
        let Err(Stop::Missing(missing)) = dialogue.complete() else { panic!("complete") };
        assert_eq!(missing, ["--name NAME", "--endpoint URL"]);
        assert!(dialogue.complete().is_ok());
    }

    #[test]
    fn a_proposed_answer_is_taken_only_where_that_is_allowed() {
        let text = |dialogue: &mut Dialogue<'_>, proposal| dialogue.text(&QUESTION, proposal, |_| Ok(())).unwrap();
        let mut dialogue = Dialogue::new(false, &[]).with_defaults(true);
        assert_eq!((text(&mut dialogue, Some("a")), text(&mut dialogue, None)), ("a".to_owned(), String::new()));
        assert_eq!(dialogue.missing, ["--name NAME"]);
        let mut dialogue = Dialogue::new(false, &[]);
        assert_eq!(text(&mut dialogue, Some("a")), "");
        let mut dialogue = Dialogue::new(true, &[]).with_defaults(true);
        assert!(
            matches!(dialogue.text(&QUESTION, Some("a"), |_| Ok(())), Err(Stop::Ask(_))),
            "it is asked where it can be"
        );
    }
}
