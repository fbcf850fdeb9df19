//! `act demo`: the whole path on this machine, without an account.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver as Events, channel};
use std::time::Duration;

use anstyle::Style;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::ExitCode;
use crate::claude::locate;
use crate::config::Config;
use crate::demo::children::{self, Interrupt};
use crate::demo::compare::{self, Sent, Used};
use crate::demo::messages::Messages;
use crate::demo::session::{PROMPT, Session};
use crate::demo::stage::{self, Place, Stage};
use crate::environment::Environment;
use crate::page::{BOLD, DIM, GREEN, RED, wrap};
use crate::receive::show::Page;
use crate::receive::{Event, Export, Fail, Options, Receiver};

/// How long act-claude may wait for ACT's answer here. It is on this machine: at once, unless that is busy.
const EXIT_WAIT_MS: u64 = 20_000;
/// How long the first export may take to be seen by an ACT that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments of `act demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let ACT fail, and show what act-claude says then
    #[arg(long, value_name = "WHAT")]
    fail: Option<Fail>,
    /// Use the stand-in for claude even where there is a claude
    #[arg(long)]
    stand_in: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Let ACT lose what it has accepted
    #[arg(long, hide = true)]
    drop: bool,
}

/// Exit status 0: all that was sent has arrived, or with `--fail` the failure shows as designed. Otherwise 1.
/// Interrupted: by the same signal.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    match rehearse(args, environment) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            crate::report::fatal(&format!("act demo: {}", crate::config::plain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn rehearse(args: &Args, environment: &Environment) -> io::Result<ExitCode> {
    children::adopt();
    let interrupt = Interrupt::note()?;
    let places = stage::places()?;
    let stage = Stage::set(&places)?;
    let result = perform(args, environment, &places, &stage, &interrupt);
    // ACT and the Messages API have gone with `perform`: what still waits for them ends now.
    children::reap();
    stage.strike()?;
    match interrupt.signal() {
        Some(signal) => Ok(crate::launch::child::Ended::Signal(signal).repeat()),
        None => result,
    }
}

/// Which claude plays.
enum Claude {
    Real(PathBuf),
    /// Why not the real one.
    StandIn(String),
}

impl Claude {
    fn choose(args: &Args, environment: &Environment) -> Self {
        if args.stand_in {
            return Self::StandIn("a stand-in that sends the metrics claude sends".to_owned());
        }
        match locate::locate(environment, &Config::default()) {
            Ok(path) => Self::Real(std::path::absolute(&path).unwrap_or(path)),
            Err(error) if error.code == 127 => {
                Self::StandIn("none on PATH: a stand-in that sends the metrics claude sends".to_owned())
            }
            Err(error) => Self::StandIn(format!("{}: a stand-in instead", error.message)),
        }
    }
}

fn perform(
    args: &Args,
    environment: &Environment,
    places: &[Place; 2],
    stage: &Stage,
    interrupt: &Interrupt,
) -> io::Result<ExitCode> {
    let program = std::env::current_exe()?;
    let (sender, events) = channel();
    let receiver = Receiver::start(Options {
        fail: args.fail,
        drop: args.drop,
        expected: stage::expected(places),
        on_event: Some(Box::new(move |event| {
            let _ = sender.send(event);
        })),
        ..Options::default()
    })?;
    let messages = Messages::start()?;
    let claude = Claude::choose(args, environment);
    let executable = match &claude {
        Claude::Real(path) => path.clone(),
        Claude::StandIn(_) => stage.stand_in(&program)?,
    };
    let exit_wait_ms = if args.fail == Some(Fail::Hang) { 300 } else { EXIT_WAIT_MS };
    stage.configure(places, |account| receiver.endpoint(account), &executable, exit_wait_ms)?;
    let launch = stage.environment(environment, &messages.url());

    let show = Show::new(args.json);
    show.text(&introduction(&claude, &receiver, args.fail, places, show.page.width))?;
    let mut played = Vec::new();
    // One failure is as good as two.
    let count = if args.fail.is_some() { 1 } else { places.len() };
    for place in &places[..count] {
        show.text(&format!(
            "{DIM}{} ${DIM:#} {BOLD}act-claude -p \"{PROMPT}\" --output-format json{BOLD:#}\n",
            place.directory
        ))?;
        let Some(session) = Session::run(&program, place, stage, &launch, interrupt)? else {
            return Ok(ExitCode::FAILURE);
        };
        let received = received(&events, args.fail.is_some());
        show.text(&outcome(&session, &received, &show.page))?;
        played.push(Played { place, session, received });
    }
    let verdict = match args.fail {
        None => judge(&played),
        Some(fail) => judge_failure(&played, fail),
    };
    if args.json {
        show.json(&report(&claude, args.fail, &played, &verdict))?;
    } else {
        show.text(&conclusion(&played, args.fail, &claude, &verdict, show.page.width))?;
    }
    Ok(if verdict.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A launch and what ACT saw of it.
struct Played<'a> {
    place: &'a Place,
    session: Session,
    received: Vec<Export>,
}

/// What has come. An ACT that has answered has told of it before; of one that has not, the first is waited for.
fn received(events: &Events<Event>, wait: bool) -> Vec<Export> {
    let first = if wait { events.recv_timeout(PATIENCE).ok() } else { None };
    first
        .into_iter()
        .chain(events.try_iter())
        .filter_map(|event| match event {
            Event::Export(export) => Some(*export),
            Event::Stray(_) => None,
        })
        .collect()
}

/// What is wrong with a launch before anything is compared.
fn fault(played: &Played<'_>) -> Option<String> {
    let Played { place, session, .. } = played;
    let name = place.alias;
    if !session.status.success() {
        return Some(format!("{name}: claude ended with {}: {}", session.status, session.reply));
    }
    if session.used.is_none() {
        return Some(format!("{name}: claude's answer was not understood: {}", session.reply));
    }
    session.report.is_none().then(|| format!("{name}: act-claude gave no report"))
}

/// Everything that is not as it should be; empty: it is.
fn judge(played: &[Played<'_>]) -> Vec<String> {
    let faults: Vec<String> = played.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        return faults;
    }
    let number =
        |played: &Played<'_>, key: &str| played.session.report.as_ref().and_then(|report| report[key].as_u64());
    let sent: Vec<Sent<'_>> = played
        .iter()
        .filter_map(|played| {
            let (exports, points) = (number(played, "exports")?, number(played, "points")?);
            Some(Sent { place: played.place, used: played.session.used.as_ref()?, exports, points })
        })
        .collect();
    let received: Vec<Export> = played.iter().flat_map(|played| played.received.iter().cloned()).collect();
    let undelivered = played.iter().filter(|played| state(played) != "delivered");
    let undelivered = undelivered.map(|played| format!("{}: reported as {}", played.place.alias, state(played)));
    compare::differences(&sent, &received).into_iter().chain(undelivered).collect()
}

/// The same where ACT was told to fail.
fn judge_failure(played: &[Played<'_>], fail: Fail) -> Vec<String> {
    let designed = match fail {
        Fail::Unauthorized | Fail::Forbidden | Fail::UnknownAlias => "held",
        Fail::BadRequest => "rejected",
        Fail::TooManyRequests | Fail::Unavailable => "waiting",
        Fail::Partial => "partial",
        Fail::Hang => "under_way",
    };
    let mut wrong: Vec<String> = played.iter().filter_map(fault).collect();
    for played in played {
        if played.received.is_empty() {
            wrong.push(format!("{}: no export came", played.place.alias));
        }
        if state(played) != designed {
            wrong.push(format!("{}: reported as {}, not {designed}", played.place.alias, state(played)));
        }
    }
    wrong
}

fn state<'a>(played: &'a Played<'_>) -> &'a str {
    played.session.report.as_ref().and_then(|report| report["state"].as_str()).unwrap_or("nothing")
}

/// Where text and JSON go, and how wide.
struct Show {
    page: Page,
    json: bool,
}

impl Show {
    fn new(json: bool) -> Self {
        Self { page: Page { width: crate::page::width(), zone: TimeZone::system() }, json }
    }

    fn text(&self, text: &str) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut stdout = anstream::stdout();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    fn json(&self, value: &Value) -> io::Result<()> {
        writeln!(io::stdout(), "{value}")
    }
}

fn introduction(claude: &Claude, receiver: &Receiver, fail: Option<Fail>, places: &[Place], width: usize) -> String {
    let mut text = String::new();
    for line in wrap(
        "A rehearsal: two directories, two accounts, and a local ACT. Nothing leaves this machine, and nothing stays on it.",
        width,
    ) {
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
    let mut field = |name: &str, value: String| {
        for (index, line) in wrap(&value, width.saturating_sub(10)).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(text, "  {DIM}{name:<6}{DIM:#}  {line}");
        }
    };
    field(
        "claude",
        match claude {
            Claude::Real(path) => format!("{}, the real one; a stand-in answers for the model", path.display()),
            Claude::StandIn(why) => why.clone(),
        },
    );
    field(
        "ACT",
        match fail.and_then(|fail| fail.answer(None, 1)).map(|answer| answer.status()) {
            None => format!("http://{}", receiver.address()),
            Some(None) => format!("http://{}, which never answers", receiver.address()),
            Some(Some(200)) => format!("http://{}, which rejects points of every export", receiver.address()),
            Some(Some(status)) => format!("http://{}, which answers {status} to every export", receiver.address()),
        },
    );
    let _ = writeln!(text, "\n  {DIM}{:<14}  {:<7}  {:<36}  account{DIM:#}", "directory", "alias", "id");
    for Place { directory, alias, id, account, .. } in places {
        let _ = writeln!(text, "  {directory:<14}  {BOLD}{alias:<7}{BOLD:#}  {id}  {account}");
    }
    text.push('\n');
    text
}

/// Claude's reply, the report, and what ACT received.
fn outcome(session: &Session, received: &[Export], page: &Page) -> String {
    let mut text = String::new();
    if let Some(Used { tokens, cost, .. }) = &session.used {
        let _ = writeln!(text, "{} {DIM}({tokens} tokens, {} USD){DIM:#}", session.reply, compare::money(*cost));
    }
    if !session.errors.is_empty() {
        let _ = writeln!(text, "{}", session.errors);
    }
    if let Some(line) = session.line() {
        let _ = writeln!(text, "{BOLD}{line}{BOLD:#}");
    }
    let _ = writeln!(text, "{DIM}what ACT saw:{DIM:#}");
    if received.is_empty() {
        let _ = writeln!(text, "  nothing");
    }
    for export in received {
        text.push_str(&page.event(&Event::Export(Box::new(export.clone()))));
    }
    text.push('\n');
    text
}

fn conclusion(played: &[Played<'_>], fail: Option<Fail>, claude: &Claude, wrong: &[String], width: usize) -> String {
    let mut text = String::new();
    if !wrong.is_empty() {
        let head = match fail {
            None => "What arrived is not what was sent:",
            Some(_) => "The failure does not show as designed:",
        };
        let _ = writeln!(text, "{RED}{head}{RED:#}");
        for word in wrong {
            for (index, line) in wrap(word, width.saturating_sub(4)).iter().enumerate() {
                let _ = writeln!(text, "  {} {line}", if index == 0 { "-" } else { " " });
            }
        }
        if matches!(claude, Claude::Real(_)) && played.iter().any(|played| fault(played).is_some()) {
            let _ = writeln!(text, "The same without the real claude: act-claude act demo --stand-in");
        }
        return text;
    }
    if fail.is_some() {
        for played in played {
            text.push_str(&explanation(played.session.report.as_ref().unwrap_or(&Value::Null), width));
        }
        let _ = writeln!(
            text,
            "{GREEN}The failure shows as designed; claude's work and exit status were as ever.{GREEN:#}"
        );
        return text;
    }
    let sum =
        |key: &str| -> u64 { played.iter().filter_map(|played| played.session.report.as_ref()?[key].as_u64()).sum() };
    let tokens: u64 = played.iter().filter_map(|played| Some(played.session.used.as_ref()?.tokens)).sum();
    let _ = writeln!(
        text,
        "{GREEN}All that claude sent has arrived, under the right alias:{GREEN:#} {} sessions, {} exports,\n\
         {} points, {tokens} tokens.\n",
        played.len(),
        sum("exports"),
        sum("points"),
    );
    let _ = writeln!(text, "{DIM}when ACT fails{DIM:#}  act-claude act demo --fail 401");
    let _ = writeln!(text, "{DIM}for real{DIM:#}        act-claude act setup");
    text
}

/// State, cause and fix of a report, each on its own line.
fn explanation(report: &Value, width: usize) -> String {
    let state = match report["state"].as_str().unwrap_or_default() {
        "held" => "held: kept on this machine, and sent once it is put right",
        "waiting" => "waiting: kept on this machine, and tried again",
        "rejected" => "rejected: set aside on this machine, and not sent again",
        "partial" => "partial: not sent again, ACT has the rest",
        "under_way" => "under way: goes on in the background; claude did not wait for it",
        other => other,
    };
    let or = |key: &str, otherwise: &'static str| {
        let text = report[key].as_str().filter(|text| !text.is_empty());
        text.unwrap_or(otherwise).to_owned()
    };
    let mut text = String::new();
    let mut field = |name: &str, style: Style, value: &str| {
        for (index, line) in wrap(value, width.saturating_sub(9)).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(text, "  {DIM}{name:<5}{DIM:#}  {style}{line}{style:#}");
        }
    };
    field("state", Style::new(), state);
    field("cause", Style::new(), &or("cause", "ACT has not answered yet"));
    let no_fix = match report["state"].as_str() {
        Some("partial") => "none known: ACT's own words are above",
        _ => "none needed: it is tried again by itself",
    };
    field("fix", BOLD, &or("fix", no_fix));
    text.push('\n');
    text
}

fn report(claude: &Claude, fail: Option<Fail>, played: &[Played<'_>], wrong: &[String]) -> Value {
    let executable: Option<&Path> = match claude {
        Claude::Real(path) => Some(path),
        Claude::StandIn(_) => None,
    };
    let sessions: Vec<Value> = played
        .iter()
        .map(|Played { place, session, received }| {
            json!({
                "directory": place.directory, "alias": place.alias, "id": place.id, "account": place.account_id,
                "report": session.report,
                "received": received.iter().map(crate::receive::json::export).collect::<Vec<_>>(),
            })
        })
        .collect();
    let fail = fail.and_then(|fail| clap::ValueEnum::to_possible_value(&fail).map(|value| value.get_name().to_owned()));
    json!({ "claude": executable, "fail": fail, "sessions": sessions, "wrong": wrong })
}
