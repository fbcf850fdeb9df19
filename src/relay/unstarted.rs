//! The record of a session whose relay could not start. In the launcher form no process is left that could report this: `act
//! history` and the next run at a terminal name it.

use std::io;

use jiff::Timestamp;

use super::book::session_of;
use super::journal::{Counter, Journal};
use super::protocol::Start;
use super::route::{self, NoRoute};
use crate::delivery::cause;
use crate::state;
use crate::state::record::{self, LaunchKind, Record};
use crate::system::environment::Environment;

/// Writes the record, where claude's arguments ask for a session, and its exports would have had a route. Where a supervisor
/// reports, there is none.
pub fn note(start: &Start, environment: &Environment, error: &io::Error) {
    if start.is_session && start.route.is_none() {
        let noted = write(start, environment, error);
        tracing::debug!(%error, ?noted, "the relay can't start");
    }
}

/// Writes the record of a session whose relays ended again and again, before one of them could write it.
pub(super) fn note_given_up(start: &Start, environment: &Environment, journal: &Journal) {
    let has_record = || Some(record::read(start.state.as_ref()?, &session_of(journal)?).is_some());
    if journal.count(Counter::GivenUp) != 0 && !has_record().unwrap_or(false) {
        let times = journal.count(Counter::Deaths);
        note(start, environment, &io::Error::other(format!("it ended unexpectedly {times} times")));
    }
}

fn write(start: &Start, environment: &Environment, error: &io::Error) -> io::Result<()> {
    let Some(state) = start.state.as_ref().filter(|state| state::is_usable(state)) else { return Ok(()) };
    let now = Timestamp::now();
    let id = record::new_id(now)?;
    let mut record = Record::new(id, LaunchKind::Launcher, now, &start.directory, &start.claude);
    // The directory of a warm spare is not its session's, so nothing is known of its alias.
    if !start.moves {
        match route::find(environment, &start.directory) {
            Ok((route, _)) => {
                record.alias = Some(route.target.alias);
                record.account = Some(route.target.account);
                record.reason = Some(route.reason);
            }
            Err(NoRoute::None) => return Ok(()),
            Err(NoRoute::Broken(_)) => {}
        }
    }
    record.end = Some(now);
    record.outcome.relay_lost = true;
    record.problem = Some(cause::unstarted(error));
    state::prepare(state)?;
    state::make_private(&record::directory(state))?;
    record.write(state)?;
    // Elsewhere a relay does this when it ends.
    record::prune(state, std::time::SystemTime::now());
    Ok(())
}
