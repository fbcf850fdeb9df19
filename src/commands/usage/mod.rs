//! `act usage`: what was used, and what of it ACT has.

mod bars;
mod csv;
mod faults;
mod group;
mod html;
mod json;
mod range;
mod report;
mod table;
mod words;

use std::path::PathBuf;

use anstyle::Style;
use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use crate::commands::here::Here;
use crate::commands::history::Page;
use crate::config;
use crate::delivery::stranded;
use crate::state;
use crate::system::environment::Environment;
use crate::system::exit::{ExitCode, USAGE};
use crate::text::page;
use crate::usage::{Ledger, files};
use group::By;
use range::Since;
use report::Report;

/// Arguments of `act usage`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --since, --until and --by: today, the last 7 days, and this month. Otherwise: the last 30 days, by day."
)]
pub struct Args {
    /// The first day, or how long ago: 7d, 2w, 3m, 1y, 2026-11-01
    #[arg(long, value_name = "WHEN", value_parser = range::since, allow_hyphen_values = true)]
    since: Option<Since>,
    /// The last day; today is the default
    #[arg(long, value_name = "DAY", value_parser = range::until, allow_hyphen_values = true)]
    until: Option<Date>,
    /// What the rows are
    #[arg(long, value_name = "WHAT", hide_possible_values = false)]
    by: Option<By>,
    /// Only what was used under this alias
    #[arg(long, value_name = "NAME")]
    alias: Option<String>,
    /// As JSON
    #[arg(long, conflicts_with_all = ["csv", "html"])]
    json: bool,
    /// As CSV, for a spreadsheet: a line for each row and state
    #[arg(long, conflicts_with = "html")]
    csv: bool,
    /// As a page in a new file, or in place of one that act usage wrote
    #[arg(long, value_name = "FILE", conflicts_with = "by")]
    html: Option<PathBuf>,
}

impl Args {
    /// Whether the overview is shown, and not a table of one period.
    fn is_overview(&self) -> bool {
        self.since.is_none()
            && self.until.is_none()
            && self.by.is_none()
            && !self.json
            && !self.csv
            && self.html.is_none()
    }
}

/// Runs the command. Exit status 1 where there is no state directory, 64 where an argument is wrong or the page can't be written.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let Some(state) = state::directory(environment) else {
        crate::run::report::fatal(state::NOWHERE);
        return ExitCode::FAILURE;
    };
    let today = Zoned::now().date();
    let overview = args.is_overview();
    let days = if overview { Ok(report::overview_days(today)) } else { range::days(args.since, args.until, today) };
    let days = match days {
        Ok(days) => days,
        Err(why) => return refuse(&format!("act usage: {why}")),
    };
    let mut ledger = Ledger::read(&state, &days);
    if let Some(alias) = &args.alias {
        ledger.rows.retain(|row| row.place.alias == *alias);
        let config = config::load(environment);
        let is_known = config.general_fault().is_some() || config.config.aliases.contains_key(alias);
        if ledger.rows.is_empty() && !is_known {
            return refuse(&config.config.no_alias(alias));
        }
    }
    let report = Report { days, by: args.by.unwrap_or(By::Day), alias: args.alias.as_deref(), ledger: &ledger };
    if args.json {
        return crate::commands::print_json(&json::of(&report));
    }
    if args.csv {
        return crate::commands::print_as_is(&csv::of(&report));
    }
    if let Some(file) = &args.html {
        let home = environment.home();
        return match html::write(file, &html::page(&report, today, home.as_deref())) {
            Ok(()) => crate::commands::print(&format!("Written: {}\n", file.display())),
            Err(why) => refuse(&format!("act usage: {why}")),
        };
    }
    let here = || {
        let config = config::load(environment).config;
        (Here::of(environment, &config), config)
    };
    let mut page =
        Page { width: page::table_width(), zone: jiff::tz::TimeZone::system(), home: environment.home(), here: None };
    if !overview && args.by == Some(By::Alias) {
        page.here = here().0;
    }
    let text = if report.ledger.rows.is_empty() {
        let next = here();
        let next = next.0.map_or_else(|| "To start one: act-claude".to_owned(), |here| here.how_to_begin(&next.1));
        table::nothing(&report, &page, &page.path(&files::directory(&state)), &next)
    } else if overview {
        let mut text = table::overview(&report, &page, today);
        text.push('\n');
        page::hang(&mut text, 0, page.width, Style::new(), words::MORE);
        text
    } else {
        table::groups(&report, &page)
    };
    let kept = report.is_kept().then(|| {
        let (mut spool, _) = stranded::summaries(&state, environment);
        spool.waiting.retain(|waiting| args.alias.as_ref().is_none_or(|alias| waiting.alias == *alias));
        page.spool(&spool, None, Timestamp::now())
    });
    let _ = page::write(&mut anstream::stdout(), &whole(&report, &page, text, kept));
    ExitCode::SUCCESS
}

/// The text with what is kept, what the sums lack, and what is never counted.
fn whole(report: &Report<'_>, page: &Page, mut text: String, kept: Option<String>) -> String {
    let mut faults = String::new();
    for sentence in faults::sentences(report.ledger, report.unsummed(), |path| page.path(path)) {
        page::hang(&mut faults, 0, page.width, page::YELLOW, &sentence);
    }
    let mut never = String::new();
    for sentence in [words::UNITS, words::NEVER_COUNTED] {
        page::hang(&mut never, 0, page.width, Style::new(), sentence);
    }
    for part in [kept.unwrap_or_default(), faults, never] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

fn refuse(why: &str) -> ExitCode {
    crate::run::report::fatal(why);
    ExitCode::from(USAGE)
}
