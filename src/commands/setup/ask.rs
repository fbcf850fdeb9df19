//! Questions on a terminal.

use std::fs::File;
use std::io::IsTerminal;

use anstyle::Style;
use inquire::list_option::ListOption;
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, Select, Text};

use super::dialogue::{Answer, Offer, QuestionKind, Request, Stop, Validator};
use super::interrupted::Watch;
use super::{plain, secret};
use crate::text::locale;
use crate::text::page::{self, visible};

/// The help line of a choice.
const MOVE: &str = "↑ and ↓ move, Enter chooses";
/// The columns of the signs around a help line or before a reason.
const FRAME: usize = 3;

/// Whether questions can be asked: only on a terminal, and not with `--yes`.
pub fn can_ask(yes: bool) -> bool {
    let has_input = || std::io::stdin().is_terminal() || File::open("/dev/tty").is_ok();
    !yes && std::io::stderr().is_terminal() && has_input()
}

/// Why nothing can be asked.
pub fn why_not() -> &'static str {
    match std::io::stdin().is_terminal() && !std::io::stderr().is_terminal() {
        true => "nothing can be asked, because standard error is no terminal",
        false => "there is no terminal to ask on",
    }
}

/// A help line or a reason, wrapped at words. The terminal itself would break it inside of a word.
fn wrapped(words: &str) -> String {
    page::wrap(&visible(words), page::width().saturating_sub(FRAME)).join("\n")
}

/// Asks a question and returns the answer.
pub fn ask(request: &Request) -> Result<Answer, Stop> {
    let _watch = Watch::start();
    if !page::can_redraw() {
        return plain::ask(request);
    }
    let Request { ask, help, kind } = request;
    let (ask, help) = (&visible(ask), &wrapped(help));
    match kind {
        QuestionKind::Text(proposal, check) => text(ask, help, proposal.as_deref(), check).map(Answer::Text),
        QuestionKind::Choice(options) => choose(ask, help, options.clone()).map(Answer::Choice),
        QuestionKind::Confirmation(proposal) => confirm(ask, help, *proposal).map(Answer::Confirmation),
        QuestionKind::Secret(check) => return secret::ask(ask, help, *check).map(Answer::Secret),
    }
    .map_err(stop)
}

fn text(ask: &str, help: &str, proposal: Option<&str>, check: &Validator) -> Result<String, InquireError> {
    let check = check.clone();
    let mut text = Text::new(ask).with_validator(move |text: &str| {
        Ok(match check(text.trim()) {
            Ok(()) => Validation::Valid,
            Err(why) => Validation::Invalid(wrapped(&why).into()),
        })
    });
    if !help.is_empty() {
        text = text.with_help_message(help);
    }
    if let Some(proposal) = proposal {
        text = text.with_default(proposal);
    }
    text.prompt().map(|text| text.trim().to_owned())
}

fn choose(ask: &str, help: &str, options: Vec<Offer>) -> Result<usize, InquireError> {
    let chosen = |option: ListOption<&Offer>| visible(&option.value.what);
    let moving = locale::shown(MOVE);
    let mut select = Select::new(ask, options).without_filtering().with_formatter(&chosen);
    select = select.with_help_message(if help.is_empty() { &moving } else { help });
    select.raw_prompt().map(|option| option.index)
}

/// Asks a yes-or-no question. Of several sentences, all but the last are printed before it.
pub fn confirm(ask: &str, help: &str, proposal: bool) -> Result<bool, InquireError> {
    if !page::can_redraw() {
        return plain::confirm(ask, help, proposal).map_err(|_| InquireError::OperationCanceled);
    }
    let ask = match ask.rsplit_once(". ") {
        Some((before, ask)) => {
            let mut text = String::new();
            page::hang(&mut text, 2, page::width(), Style::new(), &format!("{before}."));
            let _ = page::write(&mut anstream::stderr(), &text);
            ask
        }
        None => ask,
    };
    let ask = visible(ask);
    let help = wrapped(help);
    let _watch = Watch::start();
    let mut confirm = Confirm::new(&ask).with_default(proposal);
    if !help.is_empty() {
        confirm = confirm.with_help_message(&help);
    }
    confirm.prompt()
}

/// The reason to stop where there is no answer.
pub fn stop(error: InquireError) -> Stop {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => Stop::Cancelled,
        other => Stop::Terminal(other.to_string()),
    }
}
