//! What earlier sessions of the same account left, delivered beside the session's own exports, politely.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::owner::Owners;
use super::sender::Desk;
use crate::delivery::verdict::Verdict;
use crate::state::record;
use crate::state::spool::entry::Fault;
use crate::state::spool::{Claim, Refusal, Spool, list};

/// Between two looks at the spool.
const SCAN: Duration = Duration::from_secs(60);

/// Sessions that are over, and what they left.
#[derive(Debug)]
pub struct Backlog {
    own: String,
    account: String,
    sessions: VecDeque<(String, VecDeque<String>)>,
    scan_at: Instant,
}

impl Backlog {
    /// For a session of this account.
    pub fn new(own: &str, account: &str) -> Self {
        let (own, account) = (own.to_owned(), account.to_owned());
        Self { own, account, sessions: VecDeque::new(), scan_at: Instant::now() }
    }

    /// Something has changed: what could not be delivered may be now.
    pub fn look_again(&mut self) {
        self.scan_at = Instant::now();
    }

    /// When the spool is looked at next.
    pub fn next_scan(&self) -> Instant {
        self.scan_at
    }

    /// Whether there is nothing left that could be delivered now.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.scan_at > Instant::now()
    }

    /// Sends one export. `None`: there is nothing to send now; inside, the verdict, where ACT was asked.
    pub fn deliver_one(&mut self, spool: &Spool, owners: &Owners, desk: &mut Desk) -> Option<Option<Verdict>> {
        if self.sessions.is_empty() && self.scan_at <= Instant::now() {
            self.scan(spool);
        }
        while let Some((session, names)) = self.sessions.front_mut() {
            let Some(name) = names.pop_front() else {
                self.sessions.pop_front();
                continue;
            };
            // Another account's is not even read further: a session has one account.
            match list::peek(spool, &name) {
                Ok(header) if header.account == self.account && !record::is_locked(spool.state(), session) => {}
                Err(Fault::Newer(_)) => continue,
                Err(Fault::Corrupt) if Claim::take(spool, &name).is_err() => continue,
                _ => {
                    self.sessions.pop_front();
                    continue;
                }
            }
            let claim = match Claim::take(spool, &name) {
                Ok(claim) => claim,
                Err(Refusal::Gone | Refusal::Corrupt | Refusal::Newer(_)) => continue,
                // Whoever is at it goes on with the rest of that session.
                Err(Refusal::Busy | Refusal::Unreadable) => {
                    self.sessions.pop_front();
                    continue;
                }
            };
            let Ok(target) = owners.of(&claim.header) else {
                self.sessions.pop_front();
                continue;
            };
            if desk.is_held(&target).is_some() {
                self.sessions.pop_front();
                continue;
            }
            let posted = desk.post(&target, claim.header.points, claim.body(), false);
            match &posted.verdict {
                Some(Verdict::Waiting { .. }) => names.push_front(name),
                Some(Verdict::Held(_) | Verdict::NotUnderstood(_)) | None => {
                    self.sessions.pop_front();
                }
                Some(_) => {
                    decided(spool, claim, &posted);
                }
            }
            return Some(posted.verdict);
        }
        None
    }

    fn scan(&mut self, spool: &Spool) {
        self.scan_at = Instant::now() + SCAN;
        let sessions = list::sessions(spool).into_iter().filter(|(session, _)| *session != self.own);
        self.sessions = sessions.map(|(session, names)| (session, names.into())).collect();
    }
}

/// An export of a session that is over is decided: it leaves the spool, and the session's record says so.
pub fn decided(spool: &Spool, claim: Claim, posted: &super::sender::Posted) {
    let header = claim.header.clone();
    let rejected = match &posted.verdict {
        Some(Verdict::Rejected(_)) => {
            claim.reject();
            0
        }
        Some(Verdict::Partial { rejected, .. }) => {
            claim.done();
            *rejected
        }
        _ => {
            claim.done();
            0
        }
    };
    let (state, trouble) = (posted.state, posted.trouble.as_ref());
    record::decided_later(spool.state(), &header.session, header.points, state, trouble, rejected);
}
