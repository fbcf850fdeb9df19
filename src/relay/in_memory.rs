//! Bounds what one receiver has in memory only: exports that could not be stored, and that are sent from there.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// So many exports of one receiver may be in memory only: one that does not answer would otherwise fill the memory.
const MOST: usize = 8;

/// Whether the receiver has accepted an export; `None`: that is not known yet.
type Accepted = Option<bool>;

/// The exports of one receiver that are in memory only.
#[derive(Debug, Default)]
pub struct InMemory {
    sending: Mutex<Vec<watch::Receiver<Accepted>>>,
}

impl InMemory {
    /// A place for one more, where there is one: the ends through which it is told whether the export was accepted. The place is
    /// free again once that is told, or once the export is dropped.
    pub fn place(&self) -> Option<(watch::Sender<Accepted>, watch::Receiver<Accepted>)> {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.retain(|sent| sent.borrow().is_none() && sent.has_changed().is_ok());
        let (accepted, sent) = watch::channel(None);
        (sending.len() < MOST).then(|| {
            sending.push(sent.clone());
            (accepted, sent)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b10_a_place_is_free_again_once_its_export_is_decided_or_dropped() {
        let places = InMemory::default();
        let mut taken: Vec<_> = std::iter::from_fn(|| places.place()).collect();
        assert_eq!(taken.len(), MOST);
        for accepted in [true, false] {
            taken[0].0.send(Some(accepted)).unwrap();
            taken.push(places.place().unwrap());
            assert!(places.place().is_none(), "{accepted}");
            taken.remove(0);
        }
        // Its receivers wait still, but nothing will send it any more.
        let (accepted, _known) = taken.remove(0);
        drop(accepted);
        assert!(places.place().is_some() && places.place().is_some(), "both ends of that one are dropped, too");
    }
}
