//! Who delivers a session's exports: a courier, started as soon as that is possible.
//!
//! What is stored does not depend on it: where no thread can be had, or delivery has ended relays before, exports are
//! stored and acknowledged, and the courier is tried again at the next one.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::courier::{Courier, Post};
use super::journal::{Counter, Journal};
use super::ledger::Ledger;
use super::message::{Direct, Handle, Item, Message};
use crate::delivery::owner::Owners;
use crate::delivery::sender::Observer;
use crate::delivery::target::Target;
use crate::state::outcome::{State, Trouble};
use crate::system::environment::Environment;

/// How often in a row relays end over the same export before delivery waits.
const COINCIDENCE: u64 = 3;
/// How long it waits then at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// How often a session's relays that replaced another one may run a token command.
const TOKEN_COMMANDS: u64 = 3;

/// What couriers of a session are made of.
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
    /// What is known of the session's exports.
    pub ledger: Arc<Ledger>,
    /// What is known of relays before this one.
    pub journal: Arc<Journal>,
    /// Whether this process may deliver.
    pub delivers: bool,
}

impl Deliverers {
    /// Of exports for `target`.
    pub fn of(self: &Arc<Self>, target: Target) -> Deliverer {
        let suspicion = self.journal.count(Counter::Suspicion);
        let not_before = pause(suspicion).map(|pause| Instant::now() + pause);
        Deliverer { deliverers: self.clone(), target, not_before, handle: Mutex::default() }
    }
}

/// How long delivery waits after so many deaths over the same export.
fn pause(suspicion: u64) -> Option<Duration> {
    let times = suspicion.checked_sub(COINCIDENCE)?;
    Some((PAUSES.0 * 2u32.saturating_pow(times.min(16) as u32)).min(PAUSES.1))
}

/// Who delivers.
#[derive(Debug)]
pub struct Deliverer {
    deliverers: Arc<Deliverers>,
    target: Target,
    not_before: Option<Instant>,
    handle: Mutex<Option<Handle>>,
}

impl Deliverer {
    /// Starts to deliver, where that is possible now.
    pub fn start(&self) {
        if let Err(error) = self.courier(&mut self.lock(), None) {
            self.mark_all(&error);
        }
    }

    /// Hands over a message. False: nobody took it, and nobody will. An export that is stored is taken in any case: it will
    /// be found where it is.
    pub fn send(&self, message: Message) -> bool {
        let sequence = match &message {
            Message::Stored(Item { sequence, .. }) | Message::Direct(Direct { sequence, .. }) => Some(*sequence),
            Message::Drain(_) | Message::Stop => None,
        };
        match (self.courier(&mut self.lock(), sequence), &message, sequence) {
            (Ok(courier), ..) => courier.send(message),
            (Err(error), Message::Direct(_), Some(sequence)) => {
                self.deliverers.ledger.mark(sequence, State::Lost, &shortage(&error, 74));
                true
            }
            (Err(error), _, Some(sequence)) => {
                self.deliverers.ledger.mark(sequence, State::Waiting, &shortage(&error, 75));
                true
            }
            (Err(error), ..) => {
                self.mark_all(&error);
                false
            }
        }
    }

    /// Nothing that is stored is under way.
    fn mark_all(&self, error: &io::Error) {
        let ledger = &self.deliverers.ledger;
        tracing::debug!(%error, "delivery could not start");
        for (sequence, _) in ledger.open().0.into_iter().filter(|(_, state)| *state != State::Lost) {
            ledger.mark(sequence, State::Waiting, &shortage(error, 75));
        }
    }

    /// The courier, which takes over what is stored when it starts, but for the export it is about to be given.
    fn courier<'a>(&self, handle: &'a mut Option<Handle>, except: Option<u64>) -> io::Result<&'a Handle> {
        if handle.is_none() {
            let courier = self.new_courier()?;
            let (open, unstored) = self.deliverers.ledger.open();
            for (sequence, state) in open {
                if state != State::Lost && !unstored.contains(&sequence) && Some(sequence) != except {
                    courier.send(Message::Stored(Item { sequence, reply: None }));
                }
            }
            *handle = Some(courier);
        }
        handle.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn new_courier(&self) -> io::Result<Handle> {
        let Deliverers { session, state, verify, environment, ledger, journal, delivers } = &*self.deliverers;
        if !delivers {
            return Err(nix::errno::Errno::EAGAIN.into());
        }
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return Err(io::Error::other("the relay has ended several times while it delivered the same export"));
        }
        let is_replacement = journal.count(Counter::Deaths) > 0;
        let owners = Owners::new(environment.clone(), Some(self.target.clone()));
        let post = Post {
            session,
            target: &self.target,
            state: state.as_deref(),
            verify: *verify,
            is_replacement,
            observer: Box::new(Delivery { journal: journal.clone(), is_replacement }),
        };
        Courier::start(post, owners, environment.clone(), ledger.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Handle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shortage(error: &io::Error, code: u8) -> Trouble {
    let said = format!("delivery could not start: {}", crate::system::error::plain(error));
    Trouble { said, cause: String::new(), fix: String::new(), code }
}

/// Notes which export is being delivered, and counts what may not be done again and again.
#[derive(Debug)]
struct Delivery {
    journal: Arc<Journal>,
    is_replacement: bool,
}

impl Observer for Delivery {
    fn delivering(&self, export: Option<u64>) {
        let number = export.map_or(0, |export| export.max(1));
        self.journal.counter(Counter::Delivering).store(number, Ordering::Release);
    }

    fn may_run_token_command(&self) -> bool {
        !self.is_replacement
            || self.journal.counter(Counter::TokenCommands).fetch_add(1, Ordering::AcqRel) < TOKEN_COMMANDS
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
        let asked = |is_replacement| Delivery { journal: journal.clone(), is_replacement }.may_run_token_command();
        assert_eq!([false; 5].map(asked), [true; 5]);
        assert_eq!([true; 5].map(asked), [true, true, true, false, false]);
        assert!(!asked(true), "the next one, too");
    }
}
