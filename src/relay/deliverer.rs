//! Starts the worker that delivers a session's exports, as soon as that is possible.
//!
//! Storing does not depend on it. Where the system gives no thread, or several relays have ended during a delivery, exports are
//! stored and acknowledged, and the next export tries to start the worker again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::copies::Copies;
use super::delivery_worker::{DeliveryWorker, Post};
use super::journal::{Counter, Journal};
use super::ledger::Ledger;
use super::message::{Handle, Item, Message};
use crate::claude::network::Network;
use crate::config::copies::MOST;
use crate::delivery::cause;
use crate::delivery::sender::{Observer, Sender};
use crate::delivery::target::{Copy, Target};
use crate::delivery::targets::Targets;
use crate::state::outcome::State;
use crate::state::spool::Spool;
use crate::system::environment::Environment;

/// How many relays in a row have to end during the delivery of the same export before delivery waits.
const COINCIDENCE: u64 = 3;
/// The first pause of delivery in this case, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// How often the relays of a session that replaced another one may run a token command, all together.
const TOKEN_COMMANDS: u64 = 3;

/// What is needed to make a session's delivery worker.
#[derive(Debug)]
pub struct Deliverers {
    /// The session's id.
    pub session: String,
    /// The state directory.
    pub state: Option<PathBuf>,
    /// `--verify`
    pub verify: bool,
    /// The variables the relay was started with.
    pub environment: Environment,
    /// Claude's `--settings` argument.
    pub settings: Option<PathBuf>,
    /// The proxy and the certificates for requests to ACT.
    pub network: Network,
    /// What is known of the session's exports.
    pub ledger: Arc<Ledger>,
    /// What is known of earlier relays.
    pub journal: Arc<Journal>,
    /// Whether this process may deliver.
    pub delivers: bool,
}

impl Deliverers {
    /// The worker for `target`. Exports that are already stored are handed over to it.
    pub fn of(&self, target: &Target, targets: Targets) -> Deliverer {
        let not_before = pause(self.journal.count(Counter::Suspicion)).map(|pause| Instant::now() + pause);
        let deliverer = self.worker(target, targets, (self.state.as_deref().map(Spool::of), None), &self.ledger);
        Deliverer { not_before, ..deliverer }
    }

    /// The copies for one destination, the route's with this index, with a worker. Those that are already stored are handed over
    /// to it.
    pub fn copies(&self, index: usize, copy: Copy) -> Copies {
        let destination = copy.target.account.clone();
        let targets = Targets::of_copies(self.environment.clone(), &destination, Some(copy.target.clone()));
        let (limits, ledger) = (targets.limits(), Arc::new(self.ledger.of_copies(&destination)));
        let spool = self.state.as_deref().map(|state| Spool::of_copies(state, &destination));
        let worker = self.worker(&copy.target, targets, (spool, Some(index)), &ledger);
        Copies::new(copy, self.state.clone(), limits, ledger, worker)
    }

    fn worker(
        &self,
        target: &Target,
        targets: Targets,
        (spool, copy): (Option<Spool>, Option<usize>),
        ledger: &Arc<Ledger>,
    ) -> Deliverer {
        let is_replacement = self.journal.count(Counter::Deaths) > 0;
        let journal = self.journal.clone();
        let place = spool.as_ref().map(Spool::place);
        let post = Post {
            session: &self.session,
            target,
            spool,
            verify: self.verify && copy.is_none(),
            is_replacement,
            observer: Box::new(Delivery { journal, is_replacement, copy }),
        };
        let sender = Sender::new(self.environment.clone(), self.network.clone(), place.as_deref())
            .with_settings(self.settings.as_deref());
        let worker = DeliveryWorker::ready(post, targets, sender, ledger.clone());
        for sequence in ledger.stored() {
            worker.send(Message::Stored(Item { sequence, reply: None }));
        }
        Deliverer { worker, ledger: ledger.clone(), delivers: self.delivers, not_before: None }
    }
}

/// How long delivery waits after this many deaths in a row during the delivery of the same export.
fn pause(suspicion: u64) -> Option<Duration> {
    let times = suspicion.checked_sub(COINCIDENCE)?;
    Some((PAUSES.0 * 2u32.saturating_pow(times.min(16) as u32)).min(PAUSES.1))
}

/// A delivery worker. Messages wait until it can be started.
#[derive(Debug)]
pub struct Deliverer {
    worker: Handle,
    ledger: Arc<Ledger>,
    delivers: bool,
    not_before: Option<Instant>,
}

impl Deliverer {
    /// Starts delivery, where that is possible now.
    pub fn start(&self) -> io::Result<()> {
        if !self.delivers {
            return Err(nix::errno::Errno::EAGAIN.into());
        }
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return Err(io::Error::other("the relay has ended several times while it delivered the same export"));
        }
        self.worker.start()
    }

    /// Starts delivery. Where that is not possible now, all stored exports wait.
    pub fn start_all(&self) {
        let Err(error) = self.start() else { return };
        tracing::debug!(%error, "delivery can't start");
        for sequence in self.ledger.stored() {
            self.ledger.set_state(sequence, State::Waiting, &cause::no_worker(&error));
        }
    }

    /// Whether the worker has not been started yet.
    pub fn is_waiting(&self) -> bool {
        self.worker.is_waiting()
    }

    /// Sends a message; false: the worker has ended.
    pub fn send(&self, message: Message) -> bool {
        self.worker.send(message)
    }
}

/// Notes which export is being delivered, and limits how often a token command runs.
#[derive(Debug)]
struct Delivery {
    journal: Arc<Journal>,
    is_replacement: bool,
    /// The destination's index; `None`: ACT.
    copy: Option<usize>,
}

/// So many bits of a counter count the commands of one destination. Each of them has its own number of commands.
const BITS: usize = 4;

impl Observer for Delivery {
    fn delivering(&self, export: Option<u64>) {
        if self.copy.is_some() {
            return;
        }
        let number = export.map_or(0, |export| export.max(1));
        self.journal.counter(Counter::Delivering).store(number, Ordering::Release);
    }

    fn may_run_token_command(&self) -> bool {
        let commands = if self.copy.is_some() { Counter::HeaderCommands } else { Counter::TokenCommands };
        let shift = self.copy.unwrap_or(0) % MOST * BITS;
        let is_left = |count: u64| (count >> shift & 0xf < TOKEN_COMMANDS).then(|| count + (1 << shift));
        let counter = self.journal.counter(commands);
        !self.is_replacement || counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, is_left).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_waits_longer_the_more_often_it_ends_relays() {
        let seconds = |suspicion| pause(suspicion).map(|pause| pause.as_secs());
        assert_eq!(
            [0, 2, 3, 4, 6, 9, 100].map(seconds),
            [None, None, Some(5), Some(10), Some(40), Some(300), Some(300)]
        );
    }

    #[test]
    fn a_replacement_runs_a_token_command_three_times_a_session() {
        let journal = Arc::new(Journal::new().unwrap());
        let of =
            |is_replacement, copy| Delivery { journal: journal.clone(), is_replacement, copy }.may_run_token_command();
        let asked = |is_replacement| of(is_replacement, None);
        assert_eq!([false; 5].map(asked), [true; 5]);
        assert_eq!([true; 5].map(asked), [true, true, true, false, false]);
        assert!(!asked(true), "the next one, too");
        for copy in 0..MOST {
            assert_eq!([(); 4].map(|()| of(true, Some(copy))), [true, true, true, false], "each destination, {copy}");
        }
    }
}
