//! Delivers the exports that earlier sessions of the same account left, beside the session's own.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::blame::{Blame, Failed, TRIES};
use super::body;
use super::sender::{Response, Sender};
use super::target::Target;
use super::targets::Targets;
use crate::delivery::verdict::Verdict;
use crate::state::outcome::{Problem, State};
use crate::state::record::{self, Later};
use crate::state::spool::deferral::Deferrals;
use crate::state::spool::entry::Fault;
use crate::state::spool::{Claim, Header, Refusal, Spool, list, session_of};
use crate::usage;

/// Interval between two searches of the spool.
const SCAN: Duration = Duration::from_secs(60);
/// Pause before the next search of a spool that can't be read.
const AGAIN: Duration = Duration::from_secs(5);

/// Sessions that have ended, and the exports they left.
#[derive(Debug)]
pub struct Backlog {
    own: String,
    account: String,
    sessions: VecDeque<Remaining>,
    /// Exports that stepped aside, and when each is tried next.
    deferred: Vec<(String, Instant)>,
    scan_at: Instant,
}

/// The exports that one session left, oldest first.
#[derive(Debug)]
struct Remaining {
    session: String,
    names: VecDeque<String>,
}

/// What is needed to deliver.
pub struct Means<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// The targets of its exports.
    pub targets: &'a Targets,
    /// Sends them.
    pub sender: &'a mut Sender,
    /// The notes about exports that fail while others may pass.
    pub deferrals: &'a mut Deferrals,
}

/// The result of one step.
#[derive(Debug, Default)]
pub enum Step {
    /// There is nothing to send now.
    #[default]
    Nothing,
    /// An export has its final state.
    DecidedExport(DecidedExport),
    /// No export of its alias can be sent until something changes.
    Held,
    /// An export could not be sent. Its place in the order does not change.
    Failed(Failed),
}

/// An export with its final state.
#[derive(Debug)]
pub struct DecidedExport {
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// Why its file could not be removed from the spool.
    pub stays: Option<String>,
}

impl DecidedExport {
    /// Whether it was accepted, and not rejected.
    pub fn is_accepted(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Delivered { .. } | Verdict::Partial { .. }))
    }
}

impl Backlog {
    /// The backlog that the session `own` of this account delivers.
    pub fn new(own: &str, account: &str) -> Self {
        let (own, account) = (own.to_owned(), account.to_owned());
        Self { own, account, sessions: VecDeque::new(), deferred: Vec::new(), scan_at: Instant::now() }
    }

    /// Something has changed: exports that could not be delivered may be deliverable now.
    pub fn look_again(&mut self) {
        self.scan_at = Instant::now();
    }

    /// When there may be something to send next: the spool is searched, or an export that stepped aside is due.
    pub fn next(&self) -> Instant {
        self.deferred.iter().map(|(_, due)| *due).chain([self.scan_at]).min().unwrap_or(self.scan_at)
    }

    /// Whether there is nothing left that could be delivered now.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.scan_at > Instant::now()
    }

    /// Sends one export: the first of the first session, or else one that stepped aside and is due.
    pub fn deliver_one(&mut self, means: &mut Means<'_>) -> Step {
        if self.sessions.is_empty() && self.scan_at <= Instant::now() {
            self.scan(means.spool);
        }
        while !self.sessions.is_empty() {
            if let Some(step) = self.attempt(0, 0, means) {
                return step;
            }
        }
        self.retry(means)
    }

    /// The first export may be the only one that fails: sends another one. It is one of another session, if there is one, so that
    /// the order within the first session is kept. An export that has not failed yet comes first.
    pub fn probe(&mut self, means: &mut Means<'_>) -> Step {
        loop {
            let (session, at) = match self.candidate(means.deferrals) {
                Some(found) => found,
                None if self.sessions.front().is_some_and(|left| left.names.len() > 1) => (0, 1),
                None => return Step::Nothing,
            };
            if let Some(step) = self.attempt(session, at, means) {
                return step;
            }
        }
    }

    fn candidate(&self, deferrals: &Deferrals) -> Option<(usize, usize)> {
        let others = (1..self.sessions.len()).map(|session| (session, 0));
        let behind = (1..self.sessions.front()?.names.len()).map(|at| (0, at));
        let unnoted = |&(session, at): &(usize, usize)| {
            self.sessions[session].names.get(at).is_some_and(|name| deferrals.read(name).is_none())
        };
        others.chain(behind).find(unnoted)
    }

    /// A failed export steps aside. `accepts_others`: another one was accepted.
    pub fn step_aside(&mut self, failed: &Failed, accepts_others: bool, deferrals: &mut Deferrals) {
        for left in &mut self.sessions {
            left.names.retain(|name| *name != failed.name);
        }
        if let Some(note) = deferrals.step_aside(&failed.name, failed.took, accepts_others) {
            tracing::debug!(name = failed.name, tries = note.tries, said = note.problem.said, "steps aside");
            self.deferred.push((failed.name.clone(), Instant::now() + note.due_in(SystemTime::now())));
        }
    }

    /// Tries an export of a session. `None`: the export or its session is skipped.
    fn attempt(&mut self, session: usize, at: usize, means: &mut Means<'_>) -> Option<Step> {
        let left = self.sessions.get_mut(session)?;
        let Some(name) = left.names.get(at).cloned() else {
            self.sessions.remove(session);
            return None;
        };
        // Of another account's export only the header is read, and its session is skipped: a session has one account.
        match list::peek(means.spool, &name) {
            Ok(header) if header.account == self.account && !record::is_locked(means.spool.state(), &left.session) => {}
            Err(Fault::Unreadable(_) | Fault::Corrupt) if !record::is_locked(means.spool.state(), &left.session) => {}
            Err(Fault::Newer(_) | Fault::Gone | Fault::Delivered) => {
                left.names.remove(at);
                return None;
            }
            _ => {
                self.sessions.remove(session);
                return None;
            }
        }
        let claim = match claim(means.spool, &name) {
            Ok(claim) => claim,
            Err(refusal) => return self.refused(session, at, name, refusal, means),
        };
        // Another process may have noted meanwhile that it steps aside.
        if let Some(note) = means.deferrals.read(&name)
            && note.is_aside()
        {
            left.names.remove(at);
            self.deferred.push((name, Instant::now() + note.due_in(SystemTime::now())));
            return None;
        }
        let step = send(claim, &self.account, means);
        match &step {
            Step::DecidedExport(_) => {
                self.sessions[session].names.remove(at);
            }
            Step::Held => {
                self.sessions.remove(session);
            }
            Step::Failed(_) => {}
            Step::Nothing => {
                self.sessions.remove(session);
                return None;
            }
        }
        Some(step)
    }

    fn refused(
        &mut self,
        session: usize,
        at: usize,
        name: String,
        refusal: Refusal,
        means: &mut Means<'_>,
    ) -> Option<Step> {
        match refusal {
            Refusal::Gone | Refusal::Corrupt | Refusal::CorruptStays(_) | Refusal::Newer(_) => {
                self.sessions[session].names.remove(at);
                None
            }
            Refusal::Unreadable(errno) if !refusal.affects_all_files() => {
                let failed = Failed::to_read(name, errno).noted(means.deferrals);
                if failed.tries >= TRIES {
                    self.step_aside(&failed, false, means.deferrals);
                    return None;
                }
                Some(Step::Failed(failed))
            }
            // A process that holds the claim goes on with the rest of that session.
            Refusal::Busy | Refusal::Unreadable(_) | Refusal::ReadOnly(_) => {
                self.sessions.remove(session);
                None
            }
        }
    }

    /// Sends an export that stepped aside and is due. It is called where nothing else can be sent.
    fn retry(&mut self, means: &mut Means<'_>) -> Step {
        let now = Instant::now();
        while let Some(at) = self.deferred.iter().position(|(_, due)| *due <= now) {
            let (name, _) = self.deferred.swap_remove(at);
            let Ok(claim) = claim(means.spool, &name) else { continue };
            let due = means.deferrals.read(&name).map_or(Duration::ZERO, |note| note.due_in(SystemTime::now()));
            if due > Duration::ZERO {
                // Another process has just tried it.
                self.deferred.push((name, now + due));
                continue;
            }
            let step = send(claim, &self.account, means);
            match step {
                // The other exports are still sent: only this one is tried less and less often.
                Step::Failed(failed) if failed.blame != Blame::Account => {
                    self.step_aside(&failed, false, means.deferrals);
                }
                Step::Failed(failed) => {
                    self.deferred.push((name, now + SCAN));
                    return Step::Failed(failed);
                }
                Step::Nothing => {}
                step => return step,
            }
        }
        Step::Nothing
    }

    fn scan(&mut self, spool: &Spool) {
        match list::sessions(spool) {
            Ok(sessions) => {
                self.scan_at = Instant::now() + SCAN;
                self.deferred.clear();
                let sessions = sessions.into_iter().filter(|(session, _)| *session != self.own);
                self.sessions = sessions.map(|(session, names)| Remaining { session, names: names.into() }).collect();
            }
            // A spool that can't be read may not be empty.
            Err(error) => {
                tracing::debug!(%error, "the spool can't be read");
                self.scan_at = Instant::now() + AGAIN;
            }
        }
    }
}

/// Claims an export of a session that has ended. A damaged one is counted in the session's record.
pub fn claim(spool: &Spool, name: &str) -> Result<Claim, Refusal> {
    let claim = Claim::take(spool, name);
    if matches!(claim, Err(Refusal::Corrupt)) {
        let said = "its file was damaged; it is in spool/corrupt".to_owned();
        let problem = Problem { said, cause: String::new(), fix: String::new(), code: 74 };
        if spool.destination().is_none() {
            usage::lost(spool.state(), name);
        }
        let export = Later { id: session_of(name), destination: spool.destination(), points: 0 };
        record::decided_later(spool.state(), export, State::Lost, Some(&problem), 0);
    }
    claim
}

/// Sends a claimed export.
fn send(claim: Claim, account: &str, means: &mut Means<'_>) -> Step {
    if claim.header.account != account {
        return Step::Nothing;
    }
    let Ok(target) = means.targets.of(&claim.header) else { return Step::Nothing };
    if means.sender.is_held(&target).is_some() {
        return Step::Nothing;
    }
    let Ok(body) = body::of(&claim) else { return Step::Nothing };
    let begun = Instant::now();
    let response = means.sender.post(&target, claim.header.points, &body, false);
    match &response.verdict {
        Some(Verdict::Waiting { .. }) => match Failed::of(claim.name(), &response, begun.elapsed()) {
            Some(failed) => Step::Failed(failed.noted(means.deferrals)),
            None => Step::Held,
        },
        Some(Verdict::Held(_) | Verdict::NotUnderstood(_)) | None => Step::Held,
        Some(_) => {
            let name = claim.name().to_owned();
            let stays =
                decided(means.spool, claim, &response, &target).err().map(|error| crate::system::error::plain(&error));
            means.deferrals.forget(&name);
            Step::DecidedExport(DecidedExport { verdict: response.verdict, stays })
        }
    }
}

/// Removes an export of an ended session from the spool, or moves it to the dead letters, and notes its final state in the
/// session's record and in the usage ledger, under the alias of `target`. An error: its file could not be removed or moved.
pub fn decided(spool: &Spool, claim: Claim, response: &Response, target: &Target) -> io::Result<()> {
    let header = claim.header.clone();
    let (state, problem, rejected) = (response.state, response.problem.as_ref(), response.rejected());
    let reported = Header { alias: target.alias.clone(), account: target.account.clone(), ..header.clone() };
    // What was used is counted by what ACT has of it.
    if spool.destination().is_none() {
        usage::decided(spool.state(), &reported, claim.body(), state.into(), rejected);
    }
    let left = if state == State::Rejected { claim.reject() } else { claim.done() };
    let export = Later { id: &header.session, destination: spool.destination(), points: header.points };
    record::decided_later(spool.state(), export, state, problem, rejected);
    left
}
