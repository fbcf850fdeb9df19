//! Delivers the exports that were held for an account, once its token works. Exports of other accounts are not sent, because
//! their token commands must not run without the user's request.

use std::time::{Duration, Instant};

use crate::claude::network::Network;
use crate::delivery::backlog::{Backlog, Means, Step};
use crate::delivery::blame::Blame;
use crate::delivery::sender::Sender;
use crate::delivery::targets::Targets;
use crate::state;
use crate::state::spool::Spool;
use crate::state::spool::deferral::Deferrals;
use crate::system::environment::Environment;

/// The time limit. Exports that are left after it are delivered by later sessions.
const LIMIT: Duration = Duration::from_secs(30);
/// The time between two attempts to send the same export.
const PAUSE: Duration = Duration::from_millis(500);

/// Delivers the exports that ended sessions left for `account`, and returns how many were delivered. The relays of running
/// sessions are asked to try theirs now.
pub fn release(account: &str, environment: &Environment) -> u64 {
    let Some(state) = state::directory(environment) else { return 0 };
    let spool = Spool::of(&state);
    if !spool.root().is_dir() {
        return 0;
    }
    let _ = spool.nudge();
    let mut backlog = Backlog::new("", account);
    let targets = Targets::new(environment.clone(), None);
    let mut sender = Sender::new(environment.clone(), Network::here(environment), Some(&state));
    let mut deferrals = Deferrals::of(Some(&spool));
    let mut means = Means { spool: &spool, targets: &targets, sender: &mut sender, deferrals: &mut deferrals };
    let end = Instant::now() + LIMIT;
    let mut delivered = 0;
    while Instant::now() < end {
        match backlog.deliver_one(&mut means) {
            Step::DecidedExport(decided) => delivered += u64::from(decided.is_accepted()),
            Step::Held => {}
            Step::Nothing => break,
            Step::Failed(failed) if !failed.is_in_doubt() && failed.blame != Blame::Account => {
                std::thread::sleep(PAUSE)
            }
            Step::Failed(failed) => match backlog.probe(&mut means) {
                Step::DecidedExport(decided) => {
                    delivered += u64::from(decided.is_accepted());
                    backlog.step_aside(&failed, decided.is_accepted(), means.deferrals);
                }
                _ => break,
            },
        }
    }
    delivered
}
