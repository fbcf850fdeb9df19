//! The guard: starts the process that does a relay's work, and another one when that ends without having been told to.
//!
//! It is the process that was executed as the relay, and all it ever does is wait. It keeps the listener, so that
//! connections wait meanwhile, the socket to the supervisor, and the lock of the session's record. Its child is a copy that
//! goes on where the guard stands, so no other process can ever look into the child: the copy's memory is new, and as
//! little dumpable as the guard's own has been for long. The guard never has the token.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::journal::{Counter, Journal};
use crate::system::exit::ExitCode;

/// What this process is to do now.
#[derive(Debug)]
pub enum Turn {
    /// The relay's work; in a child, and the guard waits for it.
    Work {
        /// Whether it may deliver, so have the token.
        delivers: bool,
    },
    /// End: the work is done, or can't be done.
    End(ExitCode),
}

/// A relay that worked at least this long did not end because of how it was started.
const LONG: Duration = Duration::from_secs(10);
/// So many that end faster, one after the other, are enough.
const MOST: u32 = 10;

/// How often in a row relays have ended fast.
#[derive(Debug, Default)]
struct Replacements(u32);

impl Replacements {
    /// How long to wait before the next one; `None`: there is no next one. The first two come at once.
    fn next(&mut self, lived: Duration) -> Option<Duration> {
        self.0 = if lived >= LONG { 1 } else { self.0 + 1 };
        match self.0 {
            0..=2 => Some(Duration::ZERO),
            count if count <= MOST => Some(Duration::from_millis(5 << (count - 3))),
            _ => None,
        }
    }
}

/// Notes that a relay ended without having been told to.
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

/// Guards the relay's work until that is done. Returns in the guard at the end, and in each child at its beginning.
#[cfg(target_os = "linux")]
pub fn guard(journal: &Journal) -> Turn {
    use crate::launch::fork::{Child, Waiting, fork};

    // A guard that was killed along with its relay has left it to this one.
    if journal.count(Counter::Working) == 1 {
        note_death(journal);
    }
    let waiting = Waiting::new();
    let mut replacements = Replacements::default();
    let mut shortage = Duration::from_millis(10);
    let mut is_first = true;
    loop {
        match fork(&waiting) {
            Ok(Child::Itself) => {
                journal.counter(Counter::Working).store(1, Ordering::Release);
                return Turn::Work { delivers: true };
            }
            Ok(Child::Of(child)) => {
                let start = Instant::now();
                if waiting.wait_for(child) {
                    return Turn::End(ExitCode::SUCCESS);
                }
                note_death(journal);
                let Some(pause) = replacements.next(start.elapsed()) else {
                    journal.counter(Counter::GivenUp).store(1, Ordering::Release);
                    return Turn::End(ExitCode::FAILURE);
                };
                std::thread::sleep(pause);
            }
            // Exports can be stored without a guard. They are delivered by the next session.
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

/// Elsewhere a process may not go on as a copy once it has used the system's frameworks, so there is no guard: the
/// supervisor alone starts a relay again.
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
        let mut replacements = Replacements::default();
        let pauses: Vec<_> = std::iter::from_fn(|| replacements.next(Duration::ZERO)).collect();
        let expected = [0, 0, 5, 10, 20, 40, 80, 160, 320, 640].map(Duration::from_millis);
        assert_eq!(pauses, expected);
        assert_eq!(replacements.next(LONG), Some(Duration::ZERO), "a long life counts as the first");
        assert_eq!(replacements.next(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(replacements.next(Duration::ZERO), Some(Duration::from_millis(5)));
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
