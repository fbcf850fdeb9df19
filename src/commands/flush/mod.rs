//! `act flush`: delivers the exports that wait or are held, and says which ones stay and why.

mod queue;
mod tally;

use std::collections::BTreeMap;
use std::path::Path;

use crate::claude::network::Network;
use crate::commands::progress::Progress;
use crate::config::typed::secret::quoted;
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
    /// Only this export (name from flush or history); with --discard also one that only waits
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
    let to = match &args.to {
        Some(alias) => match target(&loaded.config, alias) {
            Some(target) => Some(target),
            None => {
                let known = loaded.config.suggest_alias(alias);
                crate::run::report::fatal(&format!("there is no alias {}; {known}", quoted(alias)));
                return ExitCode::from(USAGE);
            }
        },
        None => None,
    };
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
    let choice = Choice { to, discard: args.discard, only: args.only.clone() };
    let flush = Flush::carry_out(environment, &state, choice);
    if args.json {
        crate::commands::print_json(&flush.tallies.json());
    } else {
        crate::commands::print(&flush.words());
    }
    ExitCode::from(flush.tallies.code())
}

/// Delivers what can be delivered from the state directory `state`, and returns the result as text.
pub fn deliver(environment: &Environment, state: &Path) -> String {
    Flush::carry_out(environment, state, Choice::default()).words()
}

fn target(config: &Config, alias: &str) -> Option<Target> {
    let (name, alias) = config.aliases.get_key_value(alias)?;
    let account = config.accounts.get(&alias.account)?;
    Some(Target {
        alias: name.clone(),
        id: alias.id.clone(),
        account: alias.account.clone(),
        endpoint: account.endpoint.clone(),
        user: account.user.clone(),
        token: account.token.clone(),
    })
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
#[derive(Debug, Default)]
struct Choice {
    to: Option<Target>,
    discard: bool,
    /// The exports to deliver. Empty: all.
    only: Vec<String>,
}

impl Flush {
    fn carry_out(environment: &Environment, state: &Path, choice: Choice) -> Self {
        let spool = Spool::of(state);
        let mut flush = Self {
            deferrals: Deferrals::of(Some(&spool)),
            spool,
            targets: Targets::new(environment.clone(), None),
            sender: Sender::new(environment.clone(), Network::here(environment), Some(state)),
            choice,
            tallies: Tallies::default(),
            stuck: BTreeMap::new(),
        };
        flush.run();
        flush
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

    fn words(&self) -> String {
        self.tallies.words(&self.spool.corrupt())
    }
}
