//! `act receive`: a local ACT that shows what arrives, for experiments.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::mpsc;

use jiff::tz::TimeZone;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use serde_json::Value;

use crate::rehearsal::receiver::log_line::Page;
use crate::rehearsal::receiver::totals::Totals;
use crate::rehearsal::receiver::{Event, Expected, Fail, Options, Receiver};
use crate::system::exit::ExitCode;
use crate::text::printable;

/// The account id in the sample configuration, unless `--alias` gives another one.
const ACCOUNT: &str = "local";
/// The alias id in the sample configuration, unless `--alias` gives another one.
const ALIAS: &str = "trial-alias-id";

/// Arguments of `act receive`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// A known alias id, of this account only if one is named; can be repeated. Without it every alias is known
    #[arg(long = "alias", value_name = "ID[=ACCOUNT]", value_parser = alias)]
    aliases: Vec<(String, Option<String>)>,
    /// Give every export this answer
    #[arg(long, value_name = "WHAT")]
    fail: Option<Fail>,
    /// One JSON object a line for each export; everything else goes to standard error
    #[arg(long)]
    json: bool,
}

/// What the main loop waits for.
enum Next {
    Event(Event),
    /// Ctrl-C or SIGTERM.
    Stop,
    /// Nobody reads standard output any more.
    Unread,
}

/// Runs until Ctrl-C or SIGTERM, or until nobody reads standard output any more: exit status 0. Exit status 1 where the port is
/// taken or the output can't be written.
pub fn run(args: &Args) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            crate::run::report::fatal(&format!("act receive: {}", crate::system::error::plain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> io::Result<()> {
    let (sender, next) = mpsc::channel();
    // Blocked before any thread starts: threads inherit the mask, so only the thread that waits for these signals gets them.
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGINT);
    ends.add(Signal::SIGTERM);
    ends.thread_block()?;
    let on_event = sender.clone();
    let receiver = Receiver::start(Options {
        port: args.port,
        fail: args.fail,
        expected: Expected { aliases: args.aliases.iter().cloned().collect::<BTreeMap<_, _>>(), ..Expected::default() },
        on_event: Some(Box::new(move |event| {
            let _ = on_event.send(Next::Event(event));
        })),
        ..Options::default()
    })
    .map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => io::Error::other(format!("port {} is taken; --port 0 takes a free one", args.port)),
        _ => error,
    })?;
    let stop = sender.clone();
    std::thread::spawn(move || {
        let _ = ends.wait();
        let _ = stop.send(Next::Stop);
    });
    std::thread::spawn(move || {
        wait_until_unread();
        let _ = sender.send(Next::Unread);
    });

    let page = Page { width: crate::text::page::width(), zone: TimeZone::system() };
    note(args, &introduction(args, &receiver))?;
    let mut totals = Totals::default();
    for next in next {
        match next {
            Next::Event(event) => {
                if let Event::Export(export) = &event {
                    totals.add(export);
                }
                match &event {
                    Event::Export(export) if args.json => {
                        let line = crate::rehearsal::receiver::json::export(export);
                        write(anstream::stdout(), &format!("{}\n", printable::json(&line.to_string())))?;
                    }
                    _ => note(args, &format!("{}\n", page.event(&event)))?,
                }
            }
            Next::Stop => {
                drop(receiver);
                // The terminal has echoed ^C: start a new line.
                let start = if io::stdout().is_terminal() { "\n" } else { "" };
                return note(args, &format!("{start}{}\n", totals.line()));
            }
            Next::Unread => return Ok(()),
        }
    }
    Ok(())
}

/// Writes text for people: to standard output, or with `--json` to standard error.
fn note(args: &Args, text: &str) -> io::Result<()> {
    if args.json { write(anstream::stderr(), text) } else { write(anstream::stdout(), text) }
}

fn write(mut stream: impl Write, text: &str) -> io::Result<()> {
    crate::text::page::write(&mut stream, text)?;
    stream.flush()
}

/// Says where the receiver listens, and shows a configuration that reports there.
fn introduction(args: &Args, receiver: &Receiver) -> String {
    let (id, account) = match args.aliases.first() {
        Some((id, account)) => (id.as_str(), account.as_deref().unwrap_or(ACCOUNT)),
        None => (ALIAS, ACCOUNT),
    };
    let bold = anstyle::Style::new().bold();
    let endpoint = receiver.endpoint(account);
    let others = if account == ACCOUNT { " (or any other id in its place)" } else { "" };
    format!(
        "Receiving for account {account}{others} at\n  {bold}{endpoint}{bold:#}\n\n\
         A configuration that reports here, to save as trial.json:\n\n{}\n\n\
         Then, in another terminal:\n  ACT_CLAUDE_CONFIG=$PWD/trial.json act-claude act check trial\n  ACT_CLAUDE_CONFIG=$PWD/trial.json act-claude --alias trial -p hi\n\n\
         Ctrl-C ends.\n\n",
        configuration(&endpoint, &format!("http://{}", receiver.address()), id)
    )
}

/// The sample configuration, formatted for reading and pasting. Its `api` is this receiver, too.
fn configuration(endpoint: &str, api: &str, id: &str) -> String {
    let text = |value: &str| Value::from(value).to_string();
    format!(
        r#"{{
  "accounts": {{
    "local": {{
      "endpoint": {},
      "user": "you@example.com",
      "token": {{ "command": ["echo", "any-token"] }},
      "api": {}
    }}
  }},
  "aliases": {{
    "trial": {{
      "account": "local",
      "id": {},
      "provider_type": "CUSTOM_PROVIDER"
    }}
  }}
}}"#,
        text(endpoint),
        text(api),
        text(id)
    )
}

/// Returns when standard output is a pipe without a reader, or a terminal that was closed.
fn wait_until_unread() {
    let stdout = io::stdout();
    let mut ends = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    while poll(&mut ends, PollTimeout::NONE).is_err() {}
}

fn alias(text: &str) -> Result<(String, Option<String>), String> {
    let (id, account) = match text.split_once('=') {
        Some((id, account)) => (id, Some(account)),
        None => (text, None),
    };
    if id.is_empty() || account == Some("") {
        return Err("an alias id, or an alias id and an account id: a1=acme-A1B2C3".to_owned());
    }
    Ok((id.to_owned(), account.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_json_whatever_the_id() {
        let read: Value =
            serde_json::from_str(&configuration("http://127.0.0.1:1/x", "http://127.0.0.1:1", "a\"1")).unwrap();
        assert_eq!(read["accounts"]["local"]["endpoint"], "http://127.0.0.1:1/x");
        assert_eq!(read["accounts"]["local"]["token"]["command"], serde_json::json!(["echo", "any-token"]));
        assert_eq!(read["aliases"]["trial"]["id"], "a\"1");
    }

    #[test]
    fn aliases_with_and_without_account() {
        assert_eq!(alias("a1"), Ok(("a1".to_owned(), None)));
        assert_eq!(alias("a1=acme"), Ok(("a1".to_owned(), Some("acme".to_owned()))));
        assert!(alias("").is_err() && alias("=x").is_err() && alias("a=").is_err());
    }
}
