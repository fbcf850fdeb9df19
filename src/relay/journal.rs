//! What a relay hands on to the relay that replaces it: an append-only list of lines in shared memory, and a few counters.
//!
//! A line is never visible in part: its bytes are written before the length that makes them visible. The memory has two
//! halves, of which one is valid. Once its list has grown, a snapshot is written to the other half, which then becomes the
//! valid one. A process that ends at any moment of this leaves one valid half. The journal is not on disk, and it holds no
//! token.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::system::shared_memory::SharedMemory;

/// The size of a journal's memory. Only pages that are written take up memory.
pub const LENGTH: usize = FIRST_HALF + 2 * HALF;

const FIRST_HALF: usize = 4096;
const HALF: usize = 4 << 20;
/// A list longer than this asks for a snapshot.
const LONG: usize = 32 * 1024;

/// Indexes of the numbers in the memory.
const VALID: usize = 0;
const LENGTHS: [usize; 2] = [1, 2];
const COUNTERS: usize = 8;

/// The counters. Other processes read and write them, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Requests that have begun and are not answered yet.
    InFlight,
    /// How often a relay ended unexpectedly.
    Deaths,
    /// Requests that were cut off by such an end, and whose export is not known to be stored.
    CutOff,
    /// The export that is being delivered, as a hash of its bytes, at least 1; 0: none is.
    Delivering,
    /// The export that was being delivered at the last death.
    Suspect,
    /// At how many deaths in a row that was the same export.
    Suspicion,
    /// How often relays that replaced another one ran a token command.
    TokenCommands,
    /// 1 while a relay works; 0 again when it ends as it was told.
    Working,
    /// 1 once relays end so fast that they are not replaced any more.
    GivenUp,
    /// How many exports the relays have received.
    Received,
    /// How often relays that replaced another one ran a command for a copy's headers; some bits for each destination.
    HeaderCommands,
}

/// The journal.
#[derive(Debug)]
pub struct Journal {
    memory: SharedMemory,
    /// The length of the valid half right after its snapshot.
    snapshot: Mutex<usize>,
}

impl Journal {
    /// A new journal, shared by this process and those it forks.
    pub fn new() -> io::Result<Self> {
        SharedMemory::new(LENGTH).map(Self::in_memory)
    }

    /// The journal behind a descriptor.
    pub fn of(descriptor: &OwnedFd) -> io::Result<Self> {
        SharedMemory::of(descriptor, LENGTH).map(Self::in_memory)
    }

    fn in_memory(memory: SharedMemory) -> Self {
        Self { memory, snapshot: Mutex::new(0) }
    }

    /// A counter.
    pub fn counter(&self, counter: Counter) -> &AtomicU64 {
        self.memory.number(COUNTERS + counter as usize)
    }

    /// A request has begun; it is in flight until the result is dropped.
    pub fn begin(self: Arc<Self>) -> InFlight {
        self.counter(Counter::InFlight).fetch_add(1, Ordering::AcqRel);
        InFlight(self)
    }

    /// The relay ends as it was told.
    pub fn finish(&self) {
        self.counter(Counter::Working).store(0, Ordering::Release);
    }

    /// A counter's value.
    pub fn count(&self, counter: Counter) -> u64 {
        self.counter(counter).load(Ordering::Acquire)
    }

    /// Appends a line (without its end). True: the list is long, a snapshot should [replace](Self::replace) it. A line for which
    /// there is no room is left out.
    pub fn append(&self, line: &[u8]) -> bool {
        let snapshot = *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let (half, length) = self.valid();
        let end = length + line.len() + 1;
        if end > HALF {
            return true;
        }
        let at = FIRST_HALF + half * HALF + length;
        if self.memory.write(at, line) && self.memory.write(at + line.len(), b"\n") {
            self.memory.number(LENGTHS[half]).store(end as u64, Ordering::Release);
        }
        end > LONG.max(snapshot * 2)
    }

    /// Replaces all lines by one.
    pub fn replace(&self, line: &[u8]) {
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let other = 1 - self.valid().0;
        let at = FIRST_HALF + other * HALF;
        let end = line.len() + 1;
        if end <= HALF && self.memory.write(at, line) && self.memory.write(at + line.len(), b"\n") {
            self.memory.number(LENGTHS[other]).store(end as u64, Ordering::Release);
            self.memory.number(VALID).store(other as u64, Ordering::Release);
            *snapshot = end;
        }
    }

    /// All lines.
    pub fn read(&self) -> Vec<u8> {
        let (half, length) = self.valid();
        self.memory.read(FIRST_HALF + half * HALF, length)
    }

    /// The valid half, and the length of its list.
    fn valid(&self) -> (usize, usize) {
        let half = usize::from(self.memory.number(VALID).load(Ordering::Acquire) != 0);
        let length = self.memory.number(LENGTHS[half]).load(Ordering::Acquire);
        (half, usize::try_from(length).unwrap_or(HALF).min(HALF))
    }
}

/// The requests in flight over one connection.
#[derive(Debug, Default)]
pub struct Requests {
    journal: Option<Arc<Journal>>,
    /// A new connection counts as a request in flight until its first request begins.
    first: Mutex<Option<InFlight>>,
}

impl Requests {
    /// Those of a connection that has just been accepted.
    pub fn of(journal: &Arc<Journal>) -> Self {
        Self { journal: Some(journal.clone()), first: Mutex::new(Some(journal.clone().begin())) }
    }

    /// A request begins.
    pub fn begin(&self) -> Option<InFlight> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.or_else(|| Some(self.journal.clone()?.begin()))
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub struct InFlight(Arc<Journal>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.counter(Counter::InFlight).fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_in_order() {
        let journal = Journal::new().unwrap();
        assert!(journal.read().is_empty());
        assert!(!journal.append(b"one") && !journal.append(b"two"));
        assert_eq!(journal.read(), b"one\ntwo\n");
    }

    #[test]
    fn a_snapshot_stands_for_all_before_it() {
        let journal = Journal::new().unwrap();
        journal.append(b"one");
        journal.replace(b"all so far");
        journal.append(b"two");
        assert_eq!(journal.read(), b"all so far\ntwo\n");
        journal.replace(b"again");
        assert_eq!(journal.read(), b"again\n");
    }

    #[test]
    fn a_long_list_asks_for_a_snapshot_and_a_long_snapshot_for_fewer() {
        let journal = Journal::new().unwrap();
        let line = [b'x'; 1023];
        let until_asked = |journal: &Journal| (1..).find(|_| journal.append(&line)).unwrap();
        assert_eq!(until_asked(&journal), LONG / 1024 + 1);
        journal.replace(&vec![b'y'; 64 * 1024 - 1]);
        assert_eq!(until_asked(&journal), 65);
    }

    #[test]
    fn what_has_no_room_changes_nothing() {
        let journal = Journal::new().unwrap();
        journal.append(b"one");
        journal.replace(&vec![b'x'; HALF]);
        assert!(journal.append(&vec![b'x'; HALF - 4]));
        assert_eq!(journal.read(), b"one\n");
    }

    #[test]
    fn counters_are_apart_from_each_other_and_from_the_list() {
        let journal = Journal::new().unwrap();
        journal.counter(Counter::InFlight).fetch_add(3, Ordering::AcqRel);
        journal.counter(Counter::GivenUp).store(1, Ordering::Release);
        journal.append(b"one");
        assert_eq!(
            [Counter::InFlight, Counter::Deaths, Counter::GivenUp].map(|counter| journal.count(counter)),
            [3, 0, 1]
        );
    }
}
