//! `act flush`: delivers what is waiting or held, now, and says what stays and why.

mod tally;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tally::Tallies;

use crate::commands::progress::Progress;
use crate::config::{self, Config};
use crate::delivery::backlog::decided;
use crate::delivery::owner::Owners;
use crate::delivery::sender::{Desk, Posted};
use crate::delivery::target::Target;
use crate::delivery::verdict::Verdict;
use crate::state::outcome::{State, Trouble};
use crate::state::spool::{Claim, Header, Refusal, Spool, list};
use crate::state::{self, record};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::{CONFIGURATION, ExitCode, USAGE};

/// Arguments of `act flush`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 nothing stays, 75 something waits, 77 or 78 something is held until you put it right.")]
pub struct Args {
    /// Deliver under this alias what can't go where it was captured for any more
    #[arg(long, value_name = "ALIAS")]
    to: Option<String>,
    /// Give up what is held and still can't be delivered; it is deleted, and counted as lost
    #[arg(long)]
    discard: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Between two exports.
const GAP: Duration = Duration::from_millis(5);
/// How long running sessions get to deliver theirs.
const RUNNING: Duration = Duration::from_secs(5);

/// Runs it.
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
                crate::run::report::fatal(&format!("there is no alias \"{alias}\"; {known}"));
                return ExitCode::from(USAGE);
            }
        },
        None => None,
    };
    let Some(state) = state::directory(environment) else {
        crate::run::report::fatal("there is no state directory: neither HOME nor XDG_STATE_HOME is set");
        return ExitCode::from(CONFIGURATION);
    };
    if let Err(error) = state::check(&state)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        crate::run::report::fatal(&plain(&error));
        return ExitCode::from(CONFIGURATION);
    }
    crate::state::log::start(environment);
    let flush = Flush::carry_out(environment, &state, to, args.discard);
    if args.json {
        crate::commands::print_json(&flush.tallies.json());
    } else {
        crate::commands::print(&flush.words());
    }
    ExitCode::from(flush.tallies.code())
}

/// Delivers what can be delivered from `state`, and says what became of it.
pub fn deliver(environment: &Environment, state: &Path) -> String {
    Flush::carry_out(environment, state, None, false).words()
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
    owners: Owners,
    desk: Desk,
    to: Option<Target>,
    discard: bool,
    tallies: Tallies,
    /// Why nothing more is tried: for an alias, or with an empty alias for an account.
    stuck: BTreeMap<(String, String), (State, Trouble)>,
}

impl Flush {
    fn carry_out(environment: &Environment, state: &Path, to: Option<Target>, discard: bool) -> Self {
        let mut flush = Self {
            spool: Spool::of(state),
            owners: Owners::new(environment.clone(), None),
            desk: Desk::new(environment.clone(), Some(state)),
            to,
            discard,
            tallies: Tallies::default(),
            stuck: BTreeMap::new(),
        };
        flush.run();
        flush
    }

    fn run(&mut self) {
        let sessions = list::sessions(&self.spool);
        let mut progress = Progress::new(sessions.values().map(Vec::len).sum());
        let (running, over): (Vec<_>, Vec<_>) =
            sessions.into_iter().partition(|(session, _)| record::is_locked(self.spool.state(), session));
        if !running.is_empty() {
            let _ = self.spool.nudge();
        }
        for (session, names) in over {
            for name in names {
                if self.one(&session, &name) {
                    std::thread::sleep(GAP);
                }
                progress.step();
            }
        }
        self.running(running, &mut progress);
    }

    /// One export of a session that is over; true where ACT was asked.
    fn one(&mut self, session: &str, name: &str) -> bool {
        let claim = match Claim::take(&self.spool, name) {
            Ok(claim) => claim,
            Err(Refusal::Gone) => return false,
            Err(Refusal::Corrupt) => {
                self.tallies.corrupt += 1;
                return false;
            }
            Err(Refusal::Newer(_)) => {
                self.tallies.newer += 1;
                return false;
            }
            // A relay is at it.
            Err(Refusal::Busy | Refusal::Unreadable) => {
                if let Ok(header) = list::peek(&self.spool, name) {
                    self.tallies.of(&header).running += 1;
                }
                return false;
            }
        };
        let header = claim.header.clone();
        let target = match (self.owners.of(&header), &self.to) {
            (Ok(target), _) => target,
            (Err(_), Some(to)) => to.clone(),
            (Err(trouble), None) => {
                self.stays(claim, State::Held, trouble);
                return false;
            }
        };
        let account = (target.account.clone(), String::new());
        let alias = (target.account.clone(), target.alias.clone());
        if let Some((state, trouble)) = self.stuck.get(&account).or_else(|| self.stuck.get(&alias)).cloned() {
            self.stays(claim, state, trouble);
            return false;
        }
        let posted = self.desk.post(&target, header.points, claim.body(), true);
        let Posted { verdict, state, trouble, .. } = &posted;
        let trouble = trouble.clone();
        match verdict {
            Some(Verdict::Delivered { .. } | Verdict::Partial { .. } | Verdict::Rejected(_)) => {
                let tally = self.tallies.of(&header);
                match verdict {
                    Some(Verdict::Rejected(_)) => tally.rejected += 1,
                    _ => {
                        tally.delivered += 1;
                        tally.points += header.points;
                    }
                }
                if let Some(Verdict::Partial { rejected, .. }) = verdict {
                    tally.rejected_points += rejected;
                }
                if trouble.is_some() {
                    tally.trouble = trouble;
                }
                decided(&self.spool, claim, &posted);
                tracing::debug!(session, state = ?posted.state, "flushed");
            }
            verdict => {
                let state = *state;
                let trouble = trouble.unwrap_or_else(|| unreachable!("what stays has a reason"));
                let key = if matches!(verdict, Some(Verdict::Waiting { .. })) { account } else { alias };
                self.stuck.insert(key, (state, trouble.clone()));
                self.stays(claim, state, trouble);
            }
        }
        true
    }

    fn stays(&mut self, claim: Claim, state: State, trouble: Trouble) {
        let discard = self.discard && state != State::Waiting;
        let header = claim.header.clone();
        if discard {
            claim.done();
            let said = "given up with act flush --discard".to_owned();
            let given_up = Trouble { said, cause: String::new(), fix: String::new(), code: 74 };
            let state = self.spool.state();
            record::decided_later(state, &header.session, header.points, State::Lost, Some(&given_up), 0);
        }
        let tally = self.tallies.of(&header);
        if discard {
            tally.discarded += 1;
        } else {
            *tally.stays.entry(state).or_default() += 1;
            tally.trouble = Some(trouble);
        }
    }

    /// The relays of running sessions have been asked to try now; what leaves soon is counted. What a relay leaves that
    /// ends meanwhile, the session just over, is ours.
    fn running(&mut self, sessions: Vec<(String, Vec<String>)>, progress: &mut Progress) {
        struct Left {
            session: String,
            name: String,
            header: Header,
        }
        let mut left = Vec::new();
        for (session, names) in sessions {
            for name in names {
                if let Ok(header) = list::peek(&self.spool, &name) {
                    left.push(Left { session: session.clone(), name, header });
                }
            }
        }
        let deadline = Instant::now() + RUNNING;
        while !left.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            for export in std::mem::take(&mut left) {
                // In this order: a relay that has ended takes nothing any more.
                let is_over = !record::is_locked(self.spool.state(), &export.session);
                if !self.spool.waiting().join(&export.name).exists() {
                    self.tallies.of(&export.header).relayed += 1;
                } else if is_over {
                    self.one(&export.session, &export.name);
                } else {
                    left.push(export);
                    continue;
                }
                progress.step();
            }
        }
        for export in left {
            self.tallies.of(&export.header).running += 1;
        }
    }

    fn words(&self) -> String {
        self.tallies.words(&self.spool.corrupt())
    }
}
