//! `act history`: what recent sessions delivered, and which exports are waiting or held.

use std::collections::BTreeMap;
use std::num::NonZero;

use anstyle::Style;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::claude::metrics::Usage;
use crate::commands::here::Here;
use crate::commands::history::listing::Page;
use crate::commands::history::totals::{self, Totals};
use crate::config;
use crate::delivery::stranded;
use crate::state::record::Unread;
use crate::state::session::Session;
use crate::state::spool::Summary;
use crate::state::{self, record};
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;
use crate::text::page;

/// Arguments of `act history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many sessions, the latest first
    #[arg(short, long = "number", value_name = "N", default_value_t = NonZero::new(10).expect("not zero"))]
    number: NonZero<usize>,
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
    let unread_for = |why: Unread| unread.iter().filter(|unread| unread.as_ref().err() == Some(&why)).count();
    let counts = Counts { newer: unread_for(Unread::Newer), unreadable: unread_for(Unread::Unreadable) };
    let (spool, copies) = stranded::summaries(&state, environment);
    let all: Vec<Session> = records.into_iter().flatten().map(|record| Session::new(record, &state, &spool)).collect();
    let now = Timestamp::now();
    let totals = totals::of(&all, &now.to_zoned(TimeZone::system()));
    let is_wanted = |session: &&Session| !args.failed || session.has_failed();
    let number = if args.all { usize::MAX } else { args.number.get() };
    let sessions: Vec<Session> = all.iter().filter(is_wanted).take(number).cloned().collect();
    if args.json {
        return crate::commands::print_json(&as_json(&sessions, &counts, (&spool, &copies), &totals));
    }
    let config = config::load(environment).config;
    let here = Here::of(environment, &config);
    let next = here.as_ref().map_or_else(|| "To start one: act-claude".to_owned(), |here| here.how_to_begin(&config));
    let page = Page { width: page::table_width(), zone: TimeZone::system(), home: environment.home(), here };
    let mut text = if sessions.is_empty() {
        let (which, next) = nothing(args.failed, counts.newer, &next);
        let mut text = String::new();
        let words = format!("{which} ({}). {next}", page.path(&record::directory(&state)));
        let words = words.trim_end_matches(". ");
        page::hang(&mut text, 0, page.width, Style::new(), words);
        text
    } else {
        page.sessions(&sessions)
    };
    let mut add = |part: String| {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    };
    add(counts.text(&page, &page.path(&record::directory(&state))));
    add(page.spool(&spool, None, now));
    for (destination, spool) in &copies {
        add(page.spool(spool, Some(destination), now));
    }
    if !all.is_empty() {
        add(totals::table(&totals).text(page.width));
    }
    let _ = page::write(&mut anstream::stdout(), &text);
    ExitCode::SUCCESS
}

/// What is said in place of an empty list, and what to do next.
fn nothing(failed: bool, newer: usize, next: &str) -> (&'static str, &str) {
    match (failed, newer) {
        (true, _) => ("no session has failed", "All sessions: act-claude act history"),
        (false, 0) => ("no session is recorded yet", next),
        (false, _) => ("no session that this act-claude can read", ""),
    }
}

/// Records that are not shown.
struct Counts {
    /// A newer act-claude wrote them.
    newer: usize,
    /// They can't be read, or are damaged.
    unreadable: usize,
}

impl Counts {
    fn text(&self, page: &Page, directory: &str) -> String {
        let mut text = String::new();
        let mut line = |words: &str| page::hang(&mut text, 0, page.width, Style::new(), words);
        if self.newer > 0 {
            let sessions = if self.newer == 1 { "session was" } else { "sessions were" };
            line(&format!("{} {sessions} recorded by a newer act-claude: upgrade this one to see them", self.newer));
        }
        if self.unreadable > 0 {
            let records = if self.unreadable == 1 { "record" } else { "records" };
            line(&format!("{} {records} in {directory} can't be read, and not counted here", self.unreadable));
        }
        text
    }
}

fn as_json(
    sessions: &[Session],
    counts: &Counts,
    (spool, copies): (&Summary, &BTreeMap<String, Summary>),
    totals: &[Totals; 2],
) -> Value {
    let sessions = sessions.iter().map(|session| {
        let mut value = session.json();
        value["usage"] = json!(Usage::of(&session.record.totals, session.record.outcome.has_all_totals()));
        value
    });
    let [today, this_week] = totals;
    json!({
        "sessions": sessions.collect::<Vec<_>>(), "newer": counts.newer, "unreadable": counts.unreadable,
        "spool": spool, "copies": copies, "totals": { "today": today.json(), "this_week": this_week.json() },
    })
}
