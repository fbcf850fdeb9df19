//! The connections that are open, and which of them gives way when there are too many.
//!
//! Whoever can reach the port can open connections, but only the session knows the secret path. So a connection that has
//! not named it gives way to a new one, which may be claude's: the oldest first. Then comes the one that the session has
//! not used for longest. One that is being served never gives way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All open connections.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    table: Mutex<Table>,
    /// One has gone.
    left: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// Counts connections and requests, so that it tells what came before what.
    clock: u64,
    open: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    leave: Arc<Notify>,
}

/// What a connection has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not the secret path.
    Unknown,
    /// It is the session's; between two requests since then.
    Idle(u64),
    /// It is the session's, and has an answer to come.
    Busy,
}

/// Which one gives way.
fn gives_way(open: impl Iterator<Item = (u64, Standing)>) -> Option<u64> {
    let rank = |(id, standing): (u64, Standing)| match standing {
        Standing::Unknown => Some((0, id, id)),
        Standing::Idle(since) => Some((1, since, id)),
        Standing::Busy => None,
    };
    open.filter_map(rank).min().map(|(_, _, id)| id)
}

impl Connections {
    /// For so many at a time.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, table: Mutex::default(), left: Notify::new() })
    }

    /// A place for one more. Waits only while all of them are being served.
    pub async fn enter(self: &Arc<Self>) -> Connection {
        loop {
            let left = self.left.notified();
            if self.lock().open.len() < self.most || self.give_way() {
                break;
            }
            left.await;
        }
        let mut table = self.lock();
        table.clock += 1;
        let (id, leave) = (table.clock, Arc::new(Notify::new()));
        table.open.insert(id, Entry { standing: Standing::Unknown, leave: leave.clone() });
        Connection { connections: self.clone(), id, leave }
    }

    /// Tells one to leave; false where none may.
    pub fn give_way(&self) -> bool {
        let mut table = self.lock();
        let Some(id) = gives_way(table.open.iter().map(|(id, entry)| (*id, entry.standing))) else { return false };
        if let Some(entry) = table.open.remove(&id) {
            tracing::debug!(standing = ?entry.standing, "a connection gives way");
            entry.leave.notify_one();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection, until dropped.
#[derive(Debug)]
pub struct Connection {
    connections: Arc<Connections>,
    id: u64,
    leave: Arc<Notify>,
}

impl Connection {
    /// Until another needs its place.
    pub async fn must_leave(&self) {
        self.leave.notified().await;
    }

    /// Whether it has named the secret path.
    pub fn is_known(&self) -> bool {
        // One that has been told to leave is not looked at any more.
        self.connections.lock().open.get(&self.id).is_some_and(|entry| entry.standing != Standing::Unknown)
    }

    /// It has named the secret path, and is served until this is dropped.
    pub fn serve(&self) -> Served<'_> {
        self.set(|_| Standing::Busy);
        Served(self)
    }

    fn set(&self, standing: impl FnOnce(u64) -> Standing) {
        let mut table = self.connections.lock();
        table.clock += 1;
        let now = table.clock;
        if let Some(entry) = table.open.get_mut(&self.id) {
            entry.standing = standing(now);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.id);
        self.connections.left.notify_one();
    }
}

/// A request of the session that has no answer yet.
#[derive(Debug)]
pub struct Served<'a>(&'a Connection);

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.set(Standing::Idle);
        self.0.connections.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_shown_nothing_gives_way_first_and_who_is_served_never() {
        use Standing::{Busy, Idle, Unknown};
        for (open, expected) in [
            (&[][..], None),
            (&[(1, Busy), (2, Busy)], None),
            (&[(1, Busy), (2, Idle(9)), (3, Unknown), (4, Unknown)], Some(3)),
            (&[(1, Idle(9)), (2, Idle(5)), (3, Busy)], Some(2)),
        ] {
            assert_eq!(gives_way(open.iter().copied()), expected, "{open:?}");
        }
    }

    #[tokio::test]
    async fn a_new_one_waits_only_for_those_that_are_served() {
        let connections = Connections::new(2);
        let (one, two) = (connections.enter().await, connections.enter().await);
        let served = one.serve();
        assert!(one.is_known() && !two.is_known());
        // The one that has shown nothing is told to leave, at once.
        let three = connections.enter().await;
        two.must_leave().await;
        let also = three.serve();
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), connections.enter());
        assert!(waits.await.is_err(), "both are served");
        drop(also);
        let four = connections.enter().await;
        three.must_leave().await;
        drop((served, four));
        assert!(one.is_known(), "between two requests it is still the session's");
    }
}
