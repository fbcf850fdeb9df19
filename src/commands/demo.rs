//! `act demo`: runs the whole path from claude to ACT on this machine, without an account.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver as Events, channel};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::rehearsal::demo::check::{DemoRun, check, check_failure};
use crate::rehearsal::demo::children::{self, Interrupt};
use crate::rehearsal::demo::claude::Claude;
use crate::rehearsal::demo::messages::Messages;
use crate::rehearsal::demo::sandbox::{self, DemoDirectory, Sandbox};
use crate::rehearsal::demo::session::{Launch, PROMPT};
use crate::rehearsal::demo::words;
use crate::rehearsal::receiver::log_line::Page;
use crate::rehearsal::receiver::{Event, Export, Fail, Options, Receiver};
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;
use crate::text::page::{self, BOLD, DIM};
use crate::text::printable;

/// How long act-claude waits for ACT's answer. This ACT runs on the same machine and answers at once, unless the machine is busy.
const EXIT_WAIT_MS: u64 = 20_000;
/// How long to wait for the first export where ACT is told to fail.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(20);

/// Arguments of `act demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let ACT fail, and show act-claude's message
    #[arg(long, value_name = "WHAT")]
    fail: Option<Fail>,
    /// Use the stand-in for claude even if claude is installed
    #[arg(long)]
    stand_in: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Let ACT lose what it has accepted
    #[arg(long, hide = true)]
    drop: bool,
}

/// Exit status 0: everything that was sent has arrived, or with `--fail` the failure is reported as designed. Otherwise 1.
/// Where a signal interrupted the demo, this process ends itself with the same signal.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    match run_demo(args, environment) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            crate::run::report::fatal(&format!("act demo: {}", crate::system::error::plain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run_demo(args: &Args, environment: &Environment) -> io::Result<ExitCode> {
    children::adopt_orphans();
    let interrupt = Interrupt::catch()?;
    let places = sandbox::places()?;
    let sandbox = Sandbox::create(&places)?;
    let result = run_sessions(args, environment, &places, &sandbox, &interrupt);
    // `run_sessions` has stopped ACT and the Messages API. Processes that still wait for them end now.
    children::reap(sandbox.home());
    sandbox.remove()?;
    match interrupt.signal() {
        Some(signal) => Ok(crate::launch::child::Ended::Signal(signal).repeat()),
        None => result,
    }
}

fn run_sessions(
    args: &Args,
    environment: &Environment,
    places: &[DemoDirectory; 2],
    sandbox: &Sandbox,
    interrupt: &Interrupt,
) -> io::Result<ExitCode> {
    let program = std::env::current_exe()?;
    let (sender, events) = channel();
    let receiver = Receiver::start(Options {
        fail: args.fail,
        drop: args.drop,
        expected: sandbox::expected(places),
        on_event: Some(Box::new(move |event| {
            let _ = sender.send(event);
        })),
        ..Options::default()
    })?;
    let messages = Messages::start()?;
    let claude = Claude::choose(args.stand_in, environment);
    let executable = match &claude {
        Claude::Real(path) => path.clone(),
        Claude::StandIn(_) => sandbox.stand_in(&program)?,
    };
    let exit_wait_ms = if args.fail == Some(Fail::Hang) { 300 } else { EXIT_WAIT_MS };
    sandbox.configure(places, |account| receiver.endpoint(account), &executable, exit_wait_ms)?;
    let launch = sandbox.environment(environment, &messages.url());

    let output = Output::new(args.json);
    output.text(&words::introduction(&claude, &receiver, args.fail, places, output.page.width))?;
    let mut runs = Vec::new();
    // One session is enough to show a failure.
    let count = if args.fail.is_some() { 1 } else { places.len() };
    for place in &places[..count] {
        output.text(&format!(
            "{DIM}{} ${DIM:#} {BOLD}act-claude -p \"{PROMPT}\" --output-format json{BOLD:#}\n",
            place.directory
        ))?;
        let Some(session) = Launch::run(&program, place, sandbox, &launch, interrupt)? else {
            return Ok(ExitCode::FAILURE);
        };
        let received = received(&events, args.fail.is_some());
        output.text(&words::outcome(&session, &received, &output.page))?;
        runs.push(DemoRun { place, session, received });
    }
    let verdict = match args.fail {
        None => check(&runs),
        Some(fail) => check_failure(&runs, fail),
    };
    if args.json {
        output.json(&words::report(&claude, args.fail, &runs, &verdict))?;
    } else {
        output.text(&words::conclusion(&runs, args.fail, &claude, &verdict, output.page.width))?;
    }
    Ok(if verdict.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The exports received so far. ACT sends an event before it answers, so every export that was answered is in the channel. With
/// `wait`, the first export may still be on its way and is waited for.
fn received(events: &Events<Event>, wait: bool) -> Vec<Export> {
    let first = if wait { events.recv_timeout(EXPORT_TIMEOUT).ok() } else { None };
    first
        .into_iter()
        .chain(events.try_iter())
        .filter_map(|event| match event {
            Event::Export(export) => Some(*export),
            Event::Jwt(_) | Event::Stray(_) => None,
        })
        .collect()
}

/// Prints either text or JSON to standard output.
struct Output {
    page: Page,
    json: bool,
}

impl Output {
    fn new(json: bool) -> Self {
        Self { page: Page { width: crate::text::page::width(), zone: TimeZone::system() }, json }
    }

    fn text(&self, text: &str) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut stdout = anstream::stdout();
        page::write(&mut stdout, text)?;
        stdout.flush()
    }

    fn json(&self, value: &Value) -> io::Result<()> {
        writeln!(io::stdout(), "{}", printable::json(&value.to_string()))
    }
}
