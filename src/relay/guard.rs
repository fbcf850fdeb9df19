//! The guard: starts the process that does the relay's work, and another one when it ends unexpectedly.
//!
//! The guard is the process that was executed as the relay. It only waits. It keeps the listener, so that connections
//! wait while a child is replaced, the socket to the supervisor, and the lock of the session's record. Its child is a forked
//! copy, so no other process can ever read the child's memory: it is new, and not dumpable, because the guard's own is not.
//! The guard never reads the token.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::journal::{Counter, Journal};
use crate::system::exit::ExitCode;

/// What this process has to do next.
#[derive(Debug)]
pub enum Turn {
    /// The relay's work. This process is a child, and the guard waits for it.
    Work {
        /// Whether it may deliver, and so have the token.
        delivers: bool,
    },
    /// End, because the work is done or can't be done.
    End(ExitCode),
}

/// A relay that worked at least this long did not end because of how it was started.
const LONG: Duration = Duration::from_secs(10);
/// There is no further replacement after this many in a row that ended sooner and received no export.
const MOST_IN_A_ROW: u32 = 10;
/// There is no further replacement after this many in all.
const MOST: u32 = 1000;

/// How often relays have been replaced.
#[derive(Debug)]
pub struct Replacements {
    in_a_row: u32,
    all: u32,
    started: Instant,
    received: u64,
}

impl Replacements {
    /// The first relay starts.
    pub fn new(journal: Option<&Journal>) -> Self {
        Self { in_a_row: 0, all: 0, started: Instant::now(), received: received(journal) }
    }

    /// A relay has ended. How long to wait before the next one; `None`: there is no next one.
    pub fn next(&mut self, journal: Option<&Journal>) -> Option<Duration> {
        let received = received(journal);
        let was_useful = self.started.elapsed() >= LONG || received != self.received;
        (self.started, self.received) = (Instant::now(), received);
        self.count(was_useful)
    }

    /// The first two replacements come at once.
    fn count(&mut self, was_useful: bool) -> Option<Duration> {
        self.all += 1;
        self.in_a_row = if was_useful { 1 } else { self.in_a_row + 1 };
        match self.in_a_row {
            _ if self.all > MOST => None,
            0..=2 => Some(Duration::ZERO),
            count if count <= MOST_IN_A_ROW => Some(Duration::from_millis(5 << (count - 3))),
            _ => None,
        }
    }
}

fn received(journal: Option<&Journal>) -> u64 {
    journal.map_or(0, |journal| journal.count(Counter::Received))
}

/// Notes that a relay ended unexpectedly: the requests that it cut off, and whether it was delivering the same export as the one
/// before it, which that export may then have ended.
pub fn note_death(journal: &Journal) {
    journal.counter(Counter::Working).store(0, Ordering::Release);
    journal.counter(Counter::Deaths).fetch_add(1, Ordering::AcqRel);
    let in_flight = journal.counter(Counter::InFlight).swap(0, Ordering::AcqRel);
    journal.counter(Counter::CutOff).fetch_add(in_flight, Ordering::AcqRel);
    let delivering = journal.counter(Counter::Delivering).swap(0, Ordering::AcqRel);
    let is_the_same = delivering != 0 && journal.count(Counter::Suspect) == delivering;
    let suspicion = if is_the_same { journal.count(Counter::Suspicion) + 1 } else { u64::from(delivering != 0) };
    journal.counter(Counter::Suspect).store(delivering, Ordering::Release);
    journal.counter(Counter::Suspicion).store(suspicion, Ordering::Release);
}

/// Starts and replaces children until the relay's work is done. It returns in the guard at the end, and in each child at its
/// start.
#[cfg(target_os = "linux")]
pub fn guard(journal: &Journal) -> Turn {
    use crate::launch::fork::{Child, Waiting, fork};

    // An earlier guard was killed together with its relay, so nobody has counted that death yet.
    if journal.count(Counter::Working) == 1 {
        note_death(journal);
    }
    let waiting = Waiting::new();
    let mut replacements = Replacements::new(Some(journal));
    let mut shortage = Duration::from_millis(10);
    let mut is_first = true;
    loop {
        match fork(&waiting) {
            Ok(Child::Itself) => {
                journal.counter(Counter::Working).store(1, Ordering::Release);
                return Turn::Work { delivers: true };
            }
            Ok(Child::Of(child)) => {
                if waiting.wait_for(child) {
                    return Turn::End(ExitCode::SUCCESS);
                }
                note_death(journal);
                let Some(pause) = replacements.next(Some(journal)) else {
                    journal.counter(Counter::GivenUp).store(1, Ordering::Release);
                    return Turn::End(ExitCode::FAILURE);
                };
                std::thread::sleep(pause);
            }
            // The first child can't be forked, so this process does the relay's work without a guard. It does not get the token,
            // because its memory was not protected from its first moment on. Exports are only stored, and the next session
            // delivers them.
            Err(_) if is_first => {
                waiting.end();
                return Turn::Work { delivers: false };
            }
            Err(_) => {
                std::thread::sleep(shortage);
                shortage = (shortage * 2).min(Duration::from_secs(1));
            }
        }
        is_first = false;
    }
}

/// On other systems a forked copy may not continue once the process has used the system's frameworks. So there is no guard:
/// only the supervisor starts a relay again.
#[cfg(not(target_os = "linux"))]
pub fn guard(journal: &Journal) -> Turn {
    if journal.count(Counter::Working) == 1 {
        note_death(journal);
    }
    journal.counter(Counter::Working).store(1, Ordering::Release);
    Turn::Work { delivers: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_come_soon_and_not_for_ever() {
        let mut replacements = Replacements::new(None);
        let pauses: Vec<_> = std::iter::from_fn(|| replacements.count(false)).collect();
        let expected = [0, 0, 5, 10, 20, 40, 80, 160, 320, 640].map(Duration::from_millis);
        assert_eq!(pauses, expected);
        let pauses = [true, false, false].map(|was_useful| replacements.count(was_useful).unwrap().as_millis());
        assert_eq!(pauses, [0, 0, 5], "one that was useful counts as the first");
        let rest = std::iter::from_fn(|| replacements.count(true)).count();
        assert_eq!(rest, MOST as usize - 14, "there is an end");
    }

    #[test]
    fn one_that_received_an_export_was_useful() {
        let journal = Journal::new().unwrap();
        let mut replacements = Replacements::new(Some(&journal));
        for _ in 0..50 {
            journal.counter(Counter::Received).fetch_add(1, Ordering::AcqRel);
            assert_eq!(replacements.next(Some(&journal)), Some(Duration::ZERO));
        }
        assert_eq!(std::iter::from_fn(|| replacements.next(Some(&journal))).count(), 9);
    }

    #[test]
    fn a_death_counts_what_it_cut_off_and_whom_it_met() {
        let journal = Journal::new().unwrap();
        let set = |counter, value| journal.counter(counter).store(value, Ordering::Release);
        let suspicion = |delivering| {
            set(Counter::Delivering, delivering);
            note_death(&journal);
            journal.count(Counter::Suspicion)
        };
        set(Counter::InFlight, 3);
        assert_eq!([7, 7, 7, 8, 0, 8].map(suspicion), [1, 2, 3, 1, 0, 1]);
        assert_eq!([Counter::Deaths, Counter::CutOff, Counter::InFlight].map(|it| journal.count(it)), [6, 3, 0]);
    }
}
