//! What was held for an account goes out, now that its token is right: this account's only, since another's token
//! command must not run unasked.

use std::time::{Duration, Instant};

use crate::delivery::backlog::Backlog;
use crate::delivery::owner::Owners;
use crate::delivery::sender::Desk;
use crate::delivery::verdict::Verdict;
use crate::state;
use crate::state::spool::Spool;
use crate::system::environment::Environment;

/// After this long the rest is left to the next sessions.
const LIMIT: Duration = Duration::from_secs(30);

/// Delivers what sessions that are over left for `account`; how many exports. Running ones try theirs at once.
pub fn release(account: &str, environment: &Environment) -> u64 {
    let Some(state) = state::directory(environment) else { return 0 };
    let spool = Spool::of(&state);
    if !spool.root().is_dir() {
        return 0;
    }
    let _ = spool.nudge();
    let mut backlog = Backlog::new("", account);
    let owners = Owners::new(environment.clone(), None);
    let mut desk = Desk::new(environment.clone(), Some(&state));
    let end = Instant::now() + LIMIT;
    let mut delivered = 0;
    while Instant::now() < end {
        match backlog.deliver_one(&spool, &owners, &mut desk) {
            Some(Some(Verdict::Delivered { .. } | Verdict::Partial { .. })) => delivered += 1,
            Some(Some(Verdict::Waiting { .. })) | None => break,
            Some(_) => {}
        }
    }
    delivered
}
