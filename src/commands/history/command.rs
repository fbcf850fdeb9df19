//! `act history`: what recent sessions delivered, and which exports are waiting or held.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::commands::history::listing::Page;
use crate::state::record::Unread;
use crate::state::session::Session;
use crate::state::{self, record, spool};
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;
use crate::text::page;

/// Arguments of `act history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many sessions, the latest first
    #[arg(short, long = "number", value_name = "N", default_value_t = 10)]
    number: usize,
    /// All recorded sessions (90 days)
    #[arg(long, conflicts_with = "number")]
    all: bool,
    /// Only sessions with a failure or with waiting exports
    #[arg(long)]
    failed: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit status 1 where there is no state directory.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let Some(state) = state::directory(environment) else {
        crate::run::report::fatal(state::NOWHERE);
        return ExitCode::FAILURE;
    };
    let (records, unread): (Vec<_>, Vec<_>) =
        record::ids(&state).iter().map(|id| record::try_read(&state, id)).partition(Result::is_ok);
    let newer = unread.iter().filter(|unread| matches!(unread, Err(Unread::Newer))).count();
    let spool = spool::summary(&state);
    let sessions = records
        .into_iter()
        .flatten()
        .map(|record| Session::new(record, &state, &spool))
        .filter(|session| !args.failed || session.has_failed())
        .take(if args.all { usize::MAX } else { args.number });
    let sessions: Vec<Session> = sessions.collect();
    if args.json {
        let sessions: Vec<_> = sessions.iter().map(Session::json).collect();
        return crate::commands::print_json(&json!({ "sessions": sessions, "newer": newer, "spool": spool }));
    }
    let page = Page { width: page::width(), zone: TimeZone::system(), home: environment.home() };
    let mut text = if sessions.is_empty() {
        let which = match (args.failed, newer) {
            (true, _) => "no session has failed",
            (false, 0) => "no session is recorded yet",
            (false, _) => "no session that this act-claude can read",
        };
        format!("{which} ({})\n", page.path(&record::directory(&state)))
    } else {
        page.sessions(&sessions)
    };
    if newer > 0 {
        let plural = if newer == 1 { "session was" } else { "sessions were" };
        text.push_str(&format!("\n{newer} {plural} recorded by a newer act-claude: upgrade this one to see them\n"));
    }
    let spool = page.spool(&spool, Timestamp::now());
    if !spool.is_empty() {
        text.push('\n');
        text.push_str(&spool);
    }
    let _ = page::write(&mut anstream::stdout(), &text);
    ExitCode::SUCCESS
}
