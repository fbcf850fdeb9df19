//! `act flush`: delivers the exports that wait or are held, and says which ones stay and why.

mod queue;
mod results;
mod tally;

use std::collections::BTreeMap;
use std::path::Path;

use crate::claude::network::Network;
use crate::claude::own_pipeline;
use crate::commands::configured;
use crate::commands::progress::Progress;
use crate::config::{self, Config};
use crate::delivery::sender::Sender;
use crate::delivery::target::Target;
use crate::delivery::targets::Targets;
use crate::state::outcome::{Problem, State};
use crate::state::spool::deferral::Deferrals;
use crate::state::spool::{Spool, list};
use crate::state::{self, record};
use crate::system::environment::Environment;
use crate::system::exit::{CONFIGURATION, ExitCode, USAGE};
use crate::text::shell::shell_word;

use queue::Queue;
use tally::Tallies;

/// Arguments of `act flush`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 no export is left, 75 an export waits, has stepped aside or can't be read now, 77 or 78 an export is held until \
you correct the cause.")]
pub struct Args {
    /// Deliver under this alias the exports whose own alias no longer exists or has changed
    #[arg(long, value_name = "ALIAS")]
    to: Option<String>,
    /// Delete held or stepped-aside exports that still can't be delivered
    #[arg(long)]
    discard: bool,
    /// Only the copies for this destination; also those that were captured for an earlier URL of it
    #[arg(long, value_name = "DESTINATION", conflicts_with = "to")]
    copy: Option<String>,
    /// Only this export, by the name of its file in the spool (flush and history name those that step aside); with --discard
    /// also one that only waits
    #[arg(long, value_name = "EXPORT")]
    only: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let loaded = config::load(environment);
    for fault in &loaded.faults {
        crate::run::report::fatal(&fault.to_string());
    }
    if loaded.general_fault().is_some() {
        return ExitCode::from(CONFIGURATION);
    }
    if let Some(refused) = args.to.as_ref().and_then(|alias| configured::unusable(&loaded.config, alias)) {
        return configured::refuse(refused);
    }
    let to = args.to.as_ref().and_then(|alias| target(&loaded.config, alias));
    let Some(state) = state::directory(environment) else {
        crate::run::report::fatal(state::NOWHERE);
        return ExitCode::from(CONFIGURATION);
    };
    if let Err(error) = state::check(&state)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        let why = crate::system::error::plain(&error);
        crate::run::report::fatal(&format!("{why}: {}", state::fix(&state)));
        return ExitCode::from(CONFIGURATION);
    }
    crate::state::log::start(environment);
    let choice = Choice { to, discard: args.discard, only: args.only.clone(), ..Choice::default() };
    let results = match &args.copy {
        Some(destination) if loaded.config.copies.contains_key(destination) || is_kept(&state, destination) => {
            let spool = Spool::of_copies(&state, destination);
            let is_moved = loaded.config.copies.contains_key(destination) || destination == own_pipeline::NAME;
            vec![Flush::carry_out(environment, spool, Choice { is_moved, ..choice })]
        }
        Some(destination) => {
            let known = loaded.config.copies.keys().map(String::as_str);
            crate::run::report::fatal(&configured::no_copy(destination, known));
            return ExitCode::from(USAGE);
        }
        None => all(environment, &state, &choice),
    };
    if args.json {
        crate::commands::print_json(&results::json(&results));
    } else {
        crate::commands::print(&results::words(&results));
    }
    ExitCode::from(results::code(&results))
}

/// `act flush` for one receiver alone: an export and its copies have the same name, but not the same state.
pub fn command(destination: Option<&str>) -> String {
    let copy = destination.map(|destination| format!(" --copy {}", shell_word(Path::new(destination))));
    format!("act-claude act flush{}", copy.unwrap_or_default())
}

/// Whether there is a spool of copies for this destination.
fn is_kept(state: &Path, destination: &str) -> bool {
    Spool::all_of_copies(state).iter().any(|spool| spool.destination() == Some(destination))
}

/// Delivers ACT's exports, then the copies, destination by destination.
fn all(environment: &Environment, state: &Path, choice: &Choice) -> Vec<Tallies> {
    let act = Flush::carry_out(environment, Spool::of(state), choice.clone());
    let copies = Spool::all_of_copies(state).into_iter();
    let copies = copies.map(|spool| Flush::carry_out(environment, spool, Choice { to: None, ..choice.clone() }));
    let mut results: Vec<Tallies> = std::iter::once(act).chain(copies).collect();
    results::forget_known(&mut results);
    results
}

/// Delivers what can be delivered from the state directory `state`, and returns the result as text.
pub fn deliver(environment: &Environment, state: &Path) -> String {
    results::words(&all(environment, state, &Choice::default()))
}

fn target(config: &Config, alias: &str) -> Option<Target> {
    let (name, alias) = config.aliases.get_key_value(alias)?;
    let account = config.accounts.get(&alias.account)?;
    Some(Target::act(name, alias, account))
}

struct Flush {
    spool: Spool,
    targets: Targets,
    sender: Sender,
    deferrals: Deferrals,
    choice: Choice,
    tallies: Tallies,
    /// Accounts and aliases for which nothing more is tried, and why. An empty alias stands for the whole account.
    stuck: BTreeMap<(String, String), (State, Problem)>,
}

/// The user's choices.
#[derive(Debug, Default, Clone)]
struct Choice {
    to: Option<Target>,
    /// Copies go to the present URL of their destination, also those that were captured for an earlier one.
    is_moved: bool,
    discard: bool,
    /// The exports to deliver. Empty: all.
    only: Vec<String>,
}

impl Flush {
    fn carry_out(environment: &Environment, spool: Spool, choice: Choice) -> Tallies {
        let targets = match spool.destination() {
            Some(destination) => Targets::of_copies(environment.clone(), destination, None),
            None => Targets::new(environment.clone(), None),
        };
        let mut flush = Self {
            deferrals: Deferrals::of(Some(&spool)),
            targets,
            sender: Sender::new(environment.clone(), Network::here(environment), Some(&spool.place())),
            choice,
            tallies: Tallies::of_spool(&spool),
            stuck: BTreeMap::new(),
            spool,
        };
        flush.run();
        flush.tallies
    }

    fn run(&mut self) {
        let sessions = match list::sessions(&self.spool) {
            Ok(sessions) => sessions,
            Err(error) => {
                self.tallies.unlisted = Some(crate::system::error::plain(&error));
                return;
            }
        };
        let only = &self.choice.only;
        let wanted = |name: &String| only.is_empty() || only.contains(name);
        let queues = sessions
            .into_iter()
            .map(|(session, names)| Queue { session, names: names.into_iter().filter(wanted).collect() });
        let queues: Vec<Queue> = queues.filter(|queue| !queue.names.is_empty()).collect();
        for name in only {
            if !queues.iter().any(|queue| queue.names.contains(name)) {
                self.tallies.unknown.push(name.clone());
            }
        }
        let mut progress = Progress::new(queues.iter().map(|queue| queue.names.len()).sum());
        let (running, over): (Vec<_>, Vec<_>) =
            queues.into_iter().partition(|queue| record::is_locked(self.spool.state(), &queue.session));
        if !running.is_empty() {
            let _ = self.spool.nudge();
        }
        let busy = self.deliver(over.into(), &mut progress);
        self.wait_for(running.into_iter().chain(busy).collect(), &mut progress);
    }
}
