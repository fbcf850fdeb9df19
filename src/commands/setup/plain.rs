//! Questions on a terminal that can't redraw a line (`TERM=dumb`: an editor's shell, a serial line, some screen readers). Each
//! question is a line, and its answer is read as a line. Nothing is drawn.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;

use nix::libc::_POSIX_VDISABLE;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, LocalFlags, SetArg, SpecialCharacterIndices, tcflush, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::dialogue::{Answer, Offer, QuestionKind, Request, Stop};
use super::interrupted::{OwnModes, own_modes};
use super::secret;
use crate::text::page::{self, visible};

/// Asks a question until the answer is one.
pub fn ask(request: &Request) -> Result<Answer, Stop> {
    let Request { ask, help, kind } = request;
    let terminal = terminal()?;
    // Before the question is shown, and until its answer is one: a text may be pasted at any moment.
    let _silence = matches!(kind, QuestionKind::Secret(_)).then(|| Silence::of(&terminal)).transpose()?;
    loop {
        let line = match kind {
            QuestionKind::Choice(options) => {
                let offers = options.iter().enumerate().map(|(index, offer)| format!("  {}  {offer}\n", index + 1));
                tell(&format!("{ask}\n{}", offers.collect::<String>()), help);
                read(&terminal, "Number [1]: ", false)?
            }
            QuestionKind::Text(proposal, _) => {
                tell("", help);
                let ask = ask.trim_end_matches(':');
                let proposal = proposal.as_ref().map(|proposal| format!(" [{}]", visible(proposal)));
                read(&terminal, &format!("{}{}: ", visible(ask), proposal.unwrap_or_default()), false)?
            }
            QuestionKind::Confirmation(proposal) => return confirm(ask, help, *proposal).map(Answer::Confirmation),
            QuestionKind::Secret(_) => {
                tell("", help);
                read(&terminal, &format!("{} ", visible(ask)), true)?
            }
        };
        match answer(kind, &line) {
            Ok(answer) => return Ok(answer),
            Err(why) => tell("", &why),
        }
    }
}

/// Asks a yes-or-no question until the answer is one.
pub fn confirm(ask: &str, help: &str, proposal: bool) -> Result<bool, Stop> {
    tell("", help);
    let mut text = String::new();
    page::hang(&mut text, 2, page::width(), anstyle::Style::new(), ask);
    let choices = if proposal { "[Y/n]" } else { "[y/N]" };
    let terminal = terminal()?;
    loop {
        let line = read(&terminal, &format!("{} {choices} ", text.trim_end()), false)?;
        match yes_or_no(&line, proposal) {
            Ok(is_yes) => return Ok(is_yes),
            Err(why) => tell("", &why),
        }
    }
}

/// The meaning of a line (pure).
pub fn yes_or_no(line: &str, proposal: bool) -> Result<bool, String> {
    match line.trim().to_lowercase().as_str() {
        "" => Ok(proposal),
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err("y or n is needed".to_owned()),
    }
}

/// The answer that a line gives (pure). The error says what is wrong with it.
fn answer(kind: &QuestionKind, line: &str) -> Result<Answer, String> {
    let text = line.trim();
    match kind {
        QuestionKind::Text(proposal, check) => {
            let text = match (text, proposal) {
                ("", Some(proposal)) => proposal,
                (text, _) => text,
            };
            check(text).map(|()| Answer::Text(text.to_owned()))
        }
        QuestionKind::Choice(options) => choice(options, text).map(Answer::Choice),
        QuestionKind::Confirmation(_) => Err(String::new()),
        QuestionKind::Secret(check) => check(line).map(|()| Answer::Secret(line.to_owned().into())),
    }
}

fn choice(options: &[Offer], text: &str) -> Result<usize, String> {
    let number = if text.is_empty() { Ok(1) } else { text.parse::<usize>() };
    let index = number.ok().and_then(|number| number.checked_sub(1)).filter(|index| *index < options.len());
    index.ok_or_else(|| format!("a number from 1 to {} is needed", options.len()))
}

fn tell(lines: &str, words: &str) {
    let mut text = lines.to_owned();
    if !words.is_empty() {
        text.push_str("  ");
        page::hang(&mut text, 2, page::width(), anstyle::Style::new(), words);
    }
    let _ = page::write(&mut anstream::stderr(), &text);
}

/// The terminal that is asked.
fn terminal() -> Result<File, Stop> {
    let stdin = std::io::stdin();
    let opened = match stdin.is_terminal() {
        true => stdin.as_fd().try_clone_to_owned().map(File::from),
        false => File::open("/dev/tty"),
    };
    opened.map_err(failed)
}

fn failed(error: std::io::Error) -> Stop {
    Stop::Terminal(crate::system::error::plain(&error))
}

/// Prints a prompt and reads a line from the terminal. The end of the input cancels.
fn read(mut terminal: &File, prompt: &str, is_secret: bool) -> Result<Zeroizing<String>, Stop> {
    let mut error = std::io::stderr();
    let _ = error.write_all(prompt.as_bytes()).and_then(|()| error.flush());
    // Byte by byte: what was typed ahead stays for the next question, and no buffer keeps the secret.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let mut byte = [0];
    let has_ended = loop {
        match terminal.read(&mut byte) {
            Ok(0) => break true,
            // A further line of a pasted secret would be the answer to the next question, and shown.
            Ok(_) if byte[0] == b'\n' && !(is_secret && has_more(terminal)) => break false,
            Ok(_) => bytes.push(byte[0]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    };
    if is_secret {
        // What is left of a pasted text is no answer to the next question.
        let _ = tcflush(terminal, FlushArg::TCIFLUSH);
    }
    if is_secret || has_ended {
        let _ = error.write_all(b"\n");
    }
    if has_ended {
        return Err(Stop::Cancelled);
    }
    Ok(Zeroizing::new(String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned()))
}

/// Whether more input arrives at once.
fn has_more(terminal: &File) -> bool {
    let timeout = PollTimeout::try_from(secret::PASTED).unwrap_or(PollTimeout::ZERO);
    poll(&mut [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)], timeout).is_ok_and(|ready| ready > 0)
}

/// While this value exists, the terminal does not echo, and Ctrl-Z does nothing: a shell that continues this process would not switch
/// the echo off again.
struct Silence<'a> {
    terminal: &'a File,
    before: nix::sys::termios::Termios,
    modes: Option<OwnModes>,
}

impl<'a> Silence<'a> {
    fn of(terminal: &'a File) -> Result<Self, Stop> {
        let failed = |errno: nix::errno::Errno| Stop::Terminal(errno.desc().to_owned());
        let before = tcgetattr(terminal).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        silent.control_chars[SpecialCharacterIndices::VSUSP as usize] = _POSIX_VDISABLE;
        tcsetattr(terminal, SetArg::TCSANOW, &silent).map_err(failed)?;
        Ok(Self { terminal, before, modes: Some(own_modes()) })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        self.modes = None;
        let _ = tcsetattr(self.terminal, SetArg::TCSANOW, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_line_is_an_answer_or_says_what_is_needed() {
        let check = |text: &str| if text == "bad" { Err("it is bad".to_owned()) } else { Ok(()) };
        let text = QuestionKind::Text(Some("proposal".to_owned()), Rc::new(check));
        let said = |kind: &QuestionKind, line: &str| match answer(kind, line) {
            Ok(Answer::Text(text)) => text,
            Ok(Answer::Choice(index)) => index.to_string(),
            Ok(_) => "another answer".to_owned(),
            Err(why) => why,
        };
        assert_eq!([said(&text, ""), said(&text, " a "), said(&text, "bad")], ["proposal", "a", "it is bad"]);
        let options = QuestionKind::Choice(vec![Offer::plain("x"), Offer::plain("y")]);
        assert_eq!([said(&options, ""), said(&options, "2")], ["0", "1"]);
        for line in ["0", "3", "x", "-1"] {
            assert_eq!(said(&options, line), "a number from 1 to 2 is needed");
        }
    }
}
