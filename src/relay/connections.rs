//! The open connections, and which of them is closed when there are too many.
//!
//! Any process that reaches the port can open connections, but only the session knows the secret path. So a connection that
//! has not named it is closed for a new one, which may be claude's: the oldest first. The next is the one that the session
//! has not used for the longest time. A connection with a request that is being served is never closed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All open connections.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    table: Mutex<Table>,
    /// Notified when a connection has closed or is idle.
    left: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// Counts connections and requests. Its values give their order.
    clock: u64,
    open: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    leave: Arc<Notify>,
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has not named the secret path.
    Unknown,
    /// It belongs to the session. It has had no request since this time of the clock.
    Idle(u64),
    /// It belongs to the session, and a request of it is being served.
    Busy,
}

/// The connection that is closed first.
fn gives_way(open: impl Iterator<Item = (u64, Standing)>) -> Option<u64> {
    let rank = |(id, standing): (u64, Standing)| match standing {
        Standing::Unknown => Some((0, id, id)),
        Standing::Idle(since) => Some((1, since, id)),
        Standing::Busy => None,
    };
    open.filter_map(rank).min().map(|(_, _, id)| id)
}

impl Connections {
    /// For at most this many connections at a time.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, table: Mutex::default(), left: Notify::new() })
    }

    /// Registers one more connection. Waits only while all of them are being served.
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

    /// Tells one to close; false where all are being served.
    pub fn give_way(&self) -> bool {
        let mut table = self.lock();
        let Some(id) = gives_way(table.open.iter().map(|(id, entry)| (*id, entry.standing))) else { return false };
        if let Some(entry) = table.open.remove(&id) {
            tracing::debug!(standing = ?entry.standing, "a connection is closed for a new one");
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
    /// Waits until it has to close for another one.
    pub async fn must_leave(&self) {
        self.leave.notified().await;
    }

    /// Whether it has named the secret path.
    pub fn is_known(&self) -> bool {
        // One that was told to close is not in the table any more.
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
        // The one that has not named the path is told to close, at once.
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
