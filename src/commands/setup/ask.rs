//! Questions on a terminal.

use std::fs::File;
use std::io::IsTerminal;

use anstyle::Style;
use inquire::list_option::ListOption;
use inquire::{InquireError, Select};

use super::dialogue::{Answer, Offer, QuestionKind, Request, Stop, Validator};
use super::interrupted::Watch;
use super::screen::Screen;
use super::{line, plain, secret};
use crate::text::locale;
use crate::text::page::{self, visible};

/// The help line of a choice.
const MOVE: &str = "↑ and ↓ move, Enter chooses";
/// The columns of the signs around a help line.
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

/// A help line, wrapped at words. The terminal itself would break it inside of a word.
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
        QuestionKind::Choice(options) => choose(ask, help, options.clone()).map(Answer::Choice).map_err(stop),
        QuestionKind::Confirmation(proposal) => confirm(ask, help, *proposal).map(Answer::Confirmation),
        QuestionKind::Secret(check) => secret::ask(ask, help, *check).map(Answer::Secret),
    }
}

fn text(ask: &str, help: &str, proposal: Option<&str>, check: &Validator) -> Result<String, Stop> {
    let screen = Screen::of(ask, help);
    let screen = if let Some(proposal) = proposal { screen.with_proposal(proposal) } else { screen };
    line::ask(screen, |text| {
        let answer = match (text.trim(), proposal) {
            ("", Some(proposal)) => proposal,
            (text, _) => text,
        };
        check(answer).map(|()| (answer.to_owned(), visible(answer)))
    })
}

fn choose(ask: &str, help: &str, options: Vec<Offer>) -> Result<usize, InquireError> {
    let chosen = |option: ListOption<&Offer>| visible(&option.value.what);
    let moving = locale::shown(MOVE);
    let mut select = Select::new(ask, options).without_filtering().with_formatter(&chosen);
    select = select.with_help_message(if help.is_empty() { &moving } else { help });
    select.raw_prompt().map(|option| option.index)
}

/// Asks a yes-or-no question. Of several sentences, all but the last are printed before it.
pub fn confirm(ask: &str, help: &str, proposal: bool) -> Result<bool, Stop> {
    if !page::can_redraw() {
        return plain::confirm(ask, help, proposal);
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
    let screen = Screen::of(&ask, &help).with_proposal(if proposal { "Y/n" } else { "y/N" });
    line::ask(screen, |text| {
        let is_yes = plain::yes_or_no(text, proposal)?;
        Ok((is_yes, if is_yes { "Yes" } else { "No" }.to_owned()))
    })
}

/// The reason to stop where there is no answer.
fn stop(error: InquireError) -> Stop {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => Stop::Cancelled,
        other => Stop::Terminal(other.to_string()),
    }
}
