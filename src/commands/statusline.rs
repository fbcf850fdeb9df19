//! `act statusline`: alias and delivery state, for Claude Code's status line.
//!
//! Claude runs the command as a child process, through a shell. So the session is the one whose claude is an ancestor of this
//! process. The session id in the JSON on standard input does not serve: it changes with /clear, and the relay does not know it.
//! The state is the one that the session's relay last wrote into its record.

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::Zoned;
use serde_json::json;

use crate::claude::ancestry;
use crate::commands::history::state_word;
use crate::state::outcome::{Outcome, State};
use crate::state::record::{self, Record};
use crate::state::total::plain;
use crate::state::{self};
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;
use crate::text::page::{GREEN, YELLOW, visible};
use crate::usage::{Ledger, Row};

/// The most that is kept of the output of the user's own command, in bytes. A status line has some hundred.
const LONGEST: u64 = 64 * 1024;

/// Arguments of `act statusline`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In ~/.claude/settings.json (refreshInterval: seconds; without it claude asks only when something happens):

  \"statusLine\": { \"type\": \"command\", \"command\": \"act-claude act statusline\", \"refreshInterval\": 5 }")]
pub struct Args {
    /// As JSON
    #[arg(long, conflicts_with = "command")]
    json: bool,
    /// Also what the alias has cost today, on this machine
    #[arg(long)]
    cost: bool,
    /// Your own status line command: it gets claude's JSON, and the alias is appended to its output
    #[arg(last = true, value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// Runs the command. The exit status is always 0, because claude shows no status line for another one.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let state = state::directory(environment);
    let record = state.as_ref().and_then(|state| record::of_command(state, &ancestry::pids()));
    let cost = record.as_ref().filter(|_| args.cost).and_then(|record| cost_today(state.as_ref()?, record));
    if args.json {
        return super::print_json(&json(record.as_ref(), cost));
    }
    let colours = environment.text("NO_COLOR").is_none();
    let mut own = record.as_ref().map(|record| text(record, colours)).unwrap_or_default();
    own.extend(cost.map(|cost| format!(" ${cost:.2} today")));
    let theirs = match args.command.split_first() {
        Some((program, args)) => output(program, args),
        None => {
            drain();
            String::new()
        }
    };
    let line = [theirs.trim_end(), &own].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
    super::print_as_is(&format!("{line}\n"))
}

/// The output of the user's own command. Where it can't be run, the output is empty and standard error says why.
fn output(program: &OsString, args: &[OsString]) -> String {
    let mut command = Command::new(program);
    let started = command.args(args).stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    match started.and_then(beginning) {
        Ok(output) => String::from_utf8_lossy(&output).into_owned(),
        Err(error) => {
            let program = program.to_string_lossy();
            crate::run::report::fatal(&format!("{program}: {}", crate::system::error::plain(&error)));
            String::new()
        }
    }
}

/// What a command writes, at most [`LONGEST`] bytes. One that writes more gets a broken pipe.
fn beginning(mut child: Child) -> std::io::Result<Vec<u8>> {
    let mut output = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(LONGEST).read_to_end(&mut output)?;
    }
    child.wait()?;
    Ok(output)
}

/// Reads and discards claude's JSON, so that claude does not get a broken pipe.
fn drain() {
    let mut input = std::io::stdin().lock();
    if !input.is_terminal() {
        let mut buffer = [0; 4096];
        while input.read(&mut buffer).is_ok_and(|count| count > 0) {}
    }
    let _ = std::io::stdout().flush();
}

/// For example "billing ✓ 14" or "billing ! 3 waiting". It is only the alias where ACT has decided about no export yet.
fn text(record: &Record, colours: bool) -> String {
    let Some(alias) = record.alias.as_deref().map(visible) else { return String::new() };
    let sign = |style: anstyle::Style, sign| match colours {
        true => format!("{style}{sign}{style:#}"),
        false => String::from(sign),
    };
    let mut problems = problems(&record.outcome);
    problems.extend(copies(record));
    match (problems, accepted(&record.outcome)) {
        (problems, _) if !problems.is_empty() => format!("{alias} {} {}", sign(YELLOW, "!"), problems.join(", ")),
        (_, 0) => alias,
        (_, count) => format!("{alias} {} {count}", sign(GREEN, "✓")),
    }
}

/// What the session's alias has cost today, by all sessions of this machine.
fn cost_today(state: &Path, record: &Record) -> Option<f64> {
    let today = Zoned::now().date();
    let is_of = |row: &&Row| Some(&row.place.alias) == record.alias.as_ref();
    let rows = Ledger::read(state, &(today..=today)).rows;
    let costs = rows.iter().filter(is_of).map(|row| row.measured.cost_usd);
    record.alias.is_some().then(|| plain(costs.sum()))
}

/// How many exports ACT took.
fn accepted(outcome: &Outcome) -> u64 {
    [State::Delivered, State::Partial].iter().filter_map(|state| outcome.states.get(state)).sum()
}

/// The problems to show to the user, the worst first.
fn problems(outcome: &Outcome) -> Vec<String> {
    let counts = outcome.states.iter().filter(|(_, count)| **count > 0);
    counts
        .filter_map(|(state, count)| match state {
            State::Lost => Some(format!("{count} lost")),
            State::Rejected => Some(format!("{count} rejected")),
            State::NotUnderstood => Some(format!("{count} not understood")),
            State::Partial => Some(format!("{} points rejected", outcome.rejected_points)),
            State::Held => Some(format!("{count} held")),
            State::Waiting => waiting(*count, outcome.deferred()),
            State::UnderWay | State::NothingSent | State::NotObserved | State::Delivered => None,
        })
        .collect()
}

/// For example "copy grafana held": the copies of which the user has to correct something.
fn copies(record: &Record) -> impl Iterator<Item = String> {
    let states = record.copies.iter().map(|(destination, outcome)| (destination, outcome.state()));
    let problems = states.filter(|(_, state)| state.needs_action());
    problems.map(|(destination, state)| format!("copy {} {}", visible(destination), state_word(state)))
}

/// For example "2 waiting, 1 stepped aside".
fn waiting(count: u64, deferred: u64) -> Option<String> {
    let parts = [(count - deferred, "waiting"), (deferred, "stepped aside")];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn json(record: Option<&Record>, cost: Option<f64>) -> serde_json::Value {
    let states = |(name, outcome): (&String, &Outcome)| {
        (name.clone(), json!({ "state": outcome.state(), "exports": outcome.exports, "states": outcome.states }))
    };
    let copies: serde_json::Map<_, _> = record.iter().flat_map(|record| &record.copies).map(states).collect();
    let mut value = match record {
        None => json!({ "alias": null }),
        Some(record) => json!({
            "alias": record.alias, "account": record.account, "session": record.id, "state": record.state(),
            "exports": record.outcome.exports, "states": record.outcome.states, "text": text(record, false),
            "copies": copies,
        }),
    };
    if let Some(cost) = cost {
        value["cost_usd_today"] = json!(cost);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alias_and_what_is_known() {
        for (states, rejected_points, expected) in [
            (&[][..], 0, "billing"),
            (&[(State::UnderWay, 1)], 0, "billing"),
            (&[(State::Delivered, 14)], 0, "billing ✓ 14"),
            (&[(State::Delivered, 13), (State::UnderWay, 1)], 0, "billing ✓ 13"),
            (&[(State::Delivered, 11), (State::Waiting, 3)], 0, "billing ! 3 waiting"),
            (&[(State::Held, 2), (State::Waiting, 0)], 0, "billing ! 2 held"),
            (&[(State::Partial, 1), (State::Lost, 1)], 3, "billing ! 1 lost, 3 points rejected"),
        ] {
            let outcome = Outcome { states: states.iter().copied().collect(), rejected_points, ..Outcome::default() };
            let record = record(Some("billing"), outcome);
            assert_eq!(text(&record, false), expected);
        }
        let problem =
            crate::state::outcome::Problem { said: "500".into(), cause: String::new(), fix: String::new(), code: 75 };
        for (waiting, deferred, expected) in [
            (3, 1, "billing ! 2 waiting, 1 stepped aside"),
            (1, 1, "billing ! 1 stepped aside"),
            (1, 2, "billing ! 1 stepped aside"),
        ] {
            let deferred = Some(crate::state::outcome::Deferred {
                exports: deferred,
                accepts_others: true,
                problem: problem.clone(),
            });
            let outcome = Outcome { states: [(State::Waiting, waiting)].into(), deferred, ..Outcome::default() };
            assert_eq!(text(&record(Some("billing"), outcome), false), expected);
        }
        assert_eq!(text(&record(None, Outcome::default()), false), "");
        let delivered = Outcome { states: [(State::Delivered, 1)].into(), ..Outcome::default() };
        assert_eq!(text(&record(Some("b"), delivered), true), "b \u{1b}[32m✓\u{1b}[0m 1");
    }

    fn record(alias: Option<&str>, outcome: Outcome) -> Record {
        Record {
            version: record::VERSION,
            id: "a".to_owned(),
            kind: record::LaunchKind::Supervised,
            start: jiff::Timestamp::UNIX_EPOCH,
            end: None,
            directory: "/w".into(),
            alias: alias.map(str::to_owned),
            reason: None,
            account: None,
            claude: "/bin/claude".into(),
            client_version: None,
            command_pid: Some(7),
            command_started: None,
            relay_pid: 8,
            outcome,
            copies: Default::default(),
            totals: Default::default(),
            problem: None,
            redirected_by: None,
            claude_has_gone: false,
            owed: false,
            unread: false,
        }
    }
}
