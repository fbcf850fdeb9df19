//! `act which`: shows the alias of this directory, and why it is that one.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anstyle::Style;
use serde_json::{Value, json};

use crate::claude::by_itself::ByItself;
use crate::claude::{locate, settings, switched_off, variables};
use crate::config::resolve::{self, Explicit, Reason, Resolution};
use crate::config::typed::secret::missing_file;
use crate::config::{self, Delivery, token};
use crate::plan::flags::Flags;
use crate::plan::line::{self, Line};
use crate::plan::situation::Situation;
use crate::plan::{self, Choice, Plan, Telemetry};
use crate::relay::attribution::{self, Export};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::ExitCode;
use crate::text::page::{self, BOLD};
use crate::text::table::MARK;
use crate::text::{home, paths};

/// Arguments of `act which`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also the variables that claude would get, the token masked, and the attributes that the relay would add
    #[arg(long)]
    env: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// As if started with --alias NAME
    #[arg(long, value_name = "NAME")]
    alias: Option<String>,
    /// As if started with --direct
    #[arg(long)]
    direct: bool,
    /// Show another directory
    directory: Option<PathBuf>,
}

/// Shown in place of a token, and of the secret that is random for each run.
const MASK: &str = "********";

/// Runs the command. Exit status 0 with an alias, 1 without telemetry here, 64 or 78 where a launch would end with it.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let mut environment = environment.clone();
    let directory = match &args.directory {
        Some(directory) => directory.canonicalize(),
        None => std::env::current_dir(),
    };
    let directory = match directory {
        Ok(directory) => directory,
        Err(error) => {
            let named = args.directory.clone().unwrap_or_default();
            crate::run::report::fatal(&format!("{}: {}", missing_file(&named.display().to_string()), plain(&error)));
            return ExitCode::from(crate::system::exit::USAGE);
        }
    };
    if args.directory.is_some() {
        environment.remove("PWD");
    }
    let loaded = config::load(&environment);
    let flags = Flags { alias: args.alias.clone(), direct: args.direct, ..Flags::default() };
    let situation = Situation::of(&flags, &[], &environment, &loaded, &directory);
    let mut plan = match switched_off::is_off(&environment) {
        true => plan::without(&loaded, Line::notice(format!("no telemetry: {} is off", switched_off::VARIABLE))),
        false => plan::decide(&situation, |source| token::look(source, &environment)),
    };
    let itself = ByItself::find(&environment, &situation.layers);
    if let Plan::Plain { lines } = &mut plan {
        *lines = line::beside(std::mem::take(lines), itself.as_ref());
    }
    let explicit = Explicit::of(flags.alias.as_deref(), &environment);
    let resolution = resolve::resolve(explicit, &loaded.config, &situation.place).ok();

    let mut findings = Findings::of(&plan, resolution.as_ref());
    findings.add_copies(&plan, &loaded.config);
    findings.facts.insert(0, ("directory", json!(paths::to_text(&directory))));
    findings.note_once(loaded.faults.iter().map(ToString::to_string));
    findings.note_once(resolution.iter().flat_map(said_beside));
    match locate::locate(&environment, &loaded.config) {
        Ok(claude) => findings.facts.push(("claude", json!(paths::to_text(&claude)))),
        Err(error) => findings.notes.push(error.message),
    }
    let Findings { facts, notes, code } = findings;
    let variables = match (&plan, args.env) {
        (Plan::Run { telemetry, .. }, true) => {
            changes(telemetry, &environment, &situation.layers, loaded.config.export_interval_ms())
        }
        _ => Vec::new(),
    };
    let stamped = match &plan {
        Plan::Run { telemetry, .. } if args.env => stamped(telemetry, &directory, &environment, &loaded.config),
        _ => Vec::new(),
    };
    if args.json {
        super::print_json(&as_json(&facts, &notes, args.env.then_some((&variables, &stamped))));
    } else {
        let (width, home) = (page::table_width(), environment.home());
        let nothing = if itself.is_some() { "no telemetry from act-claude" } else { "no telemetry" };
        let heading = home::shortened(&heading(&plan, &directory, nothing), home.as_deref());
        let none = without(&plan, itself.is_some());
        let text = as_text(&heading, (&facts, none), &notes, (&variables, &stamped), (width, home.as_deref()));
        let _ = page::write(&mut anstream::stdout(), &text);
    }
    ExitCode::from(code)
}

/// The facts and notes to show, in order, and the exit status.
struct Findings {
    facts: Vec<(&'static str, Value)>,
    notes: Vec<String>,
    code: u8,
}

impl Findings {
    /// The findings about what a launch would do.
    fn of(plan: &Plan<'_>, resolution: Option<&Resolution>) -> Self {
        let because = |resolution: &Resolution| {
            [("because", json!(resolution.reason.to_string())), ("reason", json!(resolution.reason.word()))]
        };
        match plan {
            Plan::Run { telemetry, .. } => {
                let Telemetry { choice, delivery, .. } = &**telemetry;
                let Choice { name, alias, account_name, account, reason, .. } = choice;
                let delivery = if *delivery == Delivery::Direct { "direct" } else { "relay" };
                let facts = vec![
                    ("alias", json!(name)),
                    ("because", json!(reason.to_string())),
                    ("reason", json!(reason.word())),
                    ("id", json!(alias.id)),
                    ("account", json!(account_name)),
                    ("endpoint", json!(account.endpoint)),
                    ("user", json!(account.user)),
                    ("delivery", json!(delivery)),
                ];
                Self { facts, notes: Vec::new(), code: 0 }
            }
            Plan::Plain { lines } => {
                let facts = [("alias", Value::Null)].into_iter().chain(resolution.into_iter().flat_map(because));
                let notes = lines.iter().map(|line| line.text.clone()).collect();
                Self { facts: facts.collect(), notes, code: 1 }
            }
            Plan::Refuse { code, message } => {
                let facts = [("alias", Value::Null)].into_iter().chain(resolution.into_iter().flat_map(because));
                Self { facts: facts.collect(), notes: vec![message.clone()], code: *code }
            }
        }
    }

    /// Adds the copies of the exports. Only the relay sends them.
    fn add_copies(&mut self, plan: &Plan<'_>, config: &config::Config) {
        let Plan::Run { telemetry, .. } = plan else { return };
        let mut copies: Vec<&str> = config.copies_of(telemetry.choice.name).map(|(name, _)| name).collect();
        if telemetry.delivery == Delivery::Direct && !copies.is_empty() {
            self.notes.push(format!("direct delivery sends no copies: nothing goes to {}", copies.join(", ")));
            copies.clear();
        }
        self.facts.push(("copies", json!(copies)));
    }

    /// Adds each text that no note contains yet.
    fn note_once(&mut self, words: impl Iterator<Item = String>) {
        for word in words {
            if !self.notes.iter().any(|note| note.contains(&word)) {
                self.notes.push(word);
            }
        }
    }
}

/// The texts that a resolution has besides its alias.
fn said_beside(resolution: &Resolution) -> Vec<String> {
    [&resolution.passed_over[..], &resolution.hints, &resolution.notes].concat()
}

/// The variables that a launch would set, in order.
fn changes(
    telemetry: &Telemetry<'_>,
    environment: &Environment,
    layers: &[settings::Layer],
    interval_ms: u64,
) -> Vec<(String, String)> {
    let mut with = environment.clone();
    match telemetry.delivery {
        Delivery::Direct => variables::set_direct(
            &mut with,
            telemetry.choice.account,
            telemetry.choice.alias,
            &telemetry.choice.attributes,
            &format!("Basic {MASK}"),
            interval_ms,
        ),
        Delivery::Relay => variables::set_relayed(
            &mut with,
            &variables::Relayed {
                endpoint: Some(&format!("http://127.0.0.1:PORT/{MASK}/v1/metrics")),
                attributes: &telemetry.choice.attributes,
                interval_ms,
                wrapper: crate::claude::wrapper::own(environment, environment, layers).as_deref(),
                token_variables: &[],
                debug: false,
            },
        ),
    }
    with.remove(variables::ORIGINALS);
    let changed =
        with.iter().filter(|(name, value)| name.to_str().is_none_or(|name| environment.get(name) != Some(value)));
    changed.map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect()
}

/// The attributes that the relay would add to an export from `directory` that arrives now.
fn stamped(
    telemetry: &Telemetry<'_>,
    directory: &Path,
    environment: &Environment,
    config: &config::Config,
) -> Vec<(String, String)> {
    let stamp = telemetry.choice.stamp.as_ref().filter(|_| telemetry.delivery == Delivery::Relay);
    let export = Export { body: &[], own: &telemetry.choice.attributes, redact: &config.redact() };
    stamp.map(|stamp| attribution::added(stamp, Some(directory), environment, export)).unwrap_or_default()
}

/// Names and values.
type Pairs = Vec<(String, String)>;

fn as_json(facts: &[(&str, Value)], notes: &[String], shown: Option<(&Pairs, &Pairs)>) -> Value {
    let mut object: serde_json::Map<String, Value> =
        facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    object.insert("notes".to_owned(), json!(notes));
    if let Some((variables, stamped)) = shown {
        let map = |pairs: &Pairs| pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        object.insert("env".to_owned(), Value::Object(map(variables)));
        object.insert("attributes".to_owned(), Value::Object(map(stamped)));
    }
    Value::Object(object)
}

/// Columns before a fact: "directory  ".
const INDENT: usize = 11;

/// The alias as a heading, then each fact on a line after its name. `none` stands for an alias that there is not.
fn as_text(
    heading: &str,
    (facts, without): (&[(&str, Value)], &str),
    notes: &[String],
    (variables, stamped): (&Pairs, &Pairs),
    (width, home): (usize, Option<&Path>),
) -> String {
    let mut text = String::new();
    page::hang(&mut text, 2, width, BOLD, heading);
    let is_shown =
        |(name, value): &&(&str, Value)| *name != "reason" && value.as_array().is_none_or(|all| !all.is_empty());
    let facts = facts.iter().filter(is_shown).map(|(name, value)| match value {
        Value::Array(names) => ("also to", names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
        Value::String(value) => (*name, value.clone()),
        Value::Null => (*name, without.to_owned()),
        other => (*name, other.to_string()),
    });
    for (name, value) in facts.chain(notes.iter().map(|note| ("note", note.clone()))) {
        let _ = write!(text, "{name:<10} ");
        page::hang(&mut text, INDENT, width, Style::new(), &home::shortened(&value, home));
    }
    if !variables.is_empty() {
        text.push('\n');
    }
    for (name, value) in variables {
        let _ = writeln!(text, "{}={}", page::visible(name), page::visible(value));
    }
    if !stamped.is_empty() {
        text.push_str("\nResource attributes of an export from here, as things are now:\n");
    }
    for (name, value) in stamped {
        let _ = writeln!(text, "{}={}", page::visible(name), page::visible(value));
    }
    text
}

/// What the lack of an alias, or of a way to report, means for claude.
fn without(plan: &Plan<'_>, sends_itself: bool) -> &'static str {
    match plan {
        Plan::Plain { .. } if sends_itself => "none: act-claude adds nothing here",
        Plan::Refuse { .. } => "none: claude does not run here",
        Plan::Plain { .. } | Plan::Run { .. } => "none: claude runs without telemetry here",
    }
}

/// The heading: the alias, marked where it is that of the directory, and not only of this run.
/// `nothing` says that act-claude adds nothing.
fn heading(plan: &Plan<'_>, directory: &Path, nothing: &str) -> String {
    let directory = paths::to_text(directory);
    match plan {
        Plan::Run { telemetry, .. } if matches!(telemetry.choice.reason, Reason::Flag) => {
            format!("{}  the alias of a run with --alias", telemetry.choice.name)
        }
        Plan::Run { telemetry, .. } => format!("{MARK} {}  the alias of {directory}", telemetry.choice.name),
        Plan::Plain { .. } => format!("{nothing} in {directory}"),
        Plan::Refuse { .. } => format!("claude does not run in {directory}"),
    }
}
