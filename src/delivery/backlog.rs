//! What earlier sessions of the same account left, delivered beside the session's own exports, politely.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::blame::{Blame, Failed, TRIES};
use super::sender::{Response, Sender};
use super::targets::Targets;
use crate::delivery::verdict::Verdict;
use crate::state::outcome::{Problem, State};
use crate::state::record;
use crate::state::spool::deferral::Deferrals;
use crate::state::spool::entry::Fault;
use crate::state::spool::{Claim, Refusal, Spool, list, session_of};

/// Between two looks at the spool.
const SCAN: Duration = Duration::from_secs(60);
/// Between two looks at a spool that can't be read.
const AGAIN: Duration = Duration::from_secs(5);

/// Sessions that are over, and what they left.
#[derive(Debug)]
pub struct Backlog {
    own: String,
    account: String,
    sessions: VecDeque<Remaining>,
    /// What has stepped aside, and when it is tried next.
    deferred: Vec<(String, Instant)>,
    scan_at: Instant,
}

/// What one session left, oldest first.
#[derive(Debug)]
struct Remaining {
    session: String,
    names: VecDeque<String>,
}

/// What is needed to deliver.
pub struct Means<'a> {
    /// Where exports are kept.
    pub spool: &'a Spool,
    /// Whose they are.
    pub targets: &'a Targets,
    /// Who sends them.
    pub sender: &'a mut Sender,
    /// Which ones fail by themselves.
    pub deferrals: &'a mut Deferrals,
}

/// What came of one step.
#[derive(Debug, Default)]
pub enum Step {
    /// There is nothing to send now.
    #[default]
    Nothing,
    /// ACT decided about an export.
    DecidedExport(DecidedExport),
    /// Nothing goes for its alias until something changes.
    Held,
    /// An export could not be sent. It stands where it stood.
    Failed(Failed),
}

/// ACT's decision about an export.
#[derive(Debug)]
pub struct DecidedExport {
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// Why its file could not be taken out of the spool.
    pub stays: Option<String>,
}

impl Backlog {
    /// For a session of this account.
    pub fn new(own: &str, account: &str) -> Self {
        let (own, account) = (own.to_owned(), account.to_owned());
        Self { own, account, sessions: VecDeque::new(), deferred: Vec::new(), scan_at: Instant::now() }
    }

    /// Something has changed: what could not be delivered may be now.
    pub fn look_again(&mut self) {
        self.scan_at = Instant::now();
    }

    /// When there may be something to send next: the spool is looked at, or one that stepped aside is due.
    pub fn next(&self) -> Instant {
        self.deferred.iter().map(|(_, due)| *due).chain([self.scan_at]).min().unwrap_or(self.scan_at)
    }

    /// Whether there is nothing left that could be delivered now.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.scan_at > Instant::now()
    }

    /// Sends one export: the first of the first session, else one that stepped aside and is due.
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

    /// The first export fails by itself, it seems: sends another one. Of another session, if there is one: its order
    /// is not concerned. One that has not failed yet comes first.
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

    /// The first export of the first session steps aside.
    pub fn step_aside(&mut self, failed: &Failed, deferrals: &mut Deferrals) {
        for left in &mut self.sessions {
            left.names.retain(|name| *name != failed.name);
        }
        if let Some(note) = deferrals.step_aside(&failed.name, failed.took) {
            tracing::debug!(name = failed.name, tries = note.tries, said = note.problem.said, "steps aside");
            self.deferred.push((failed.name.clone(), Instant::now() + note.due_in(SystemTime::now())));
        }
    }

    /// Tries an export of a session. `None`: it, or its session, is passed over.
    fn attempt(&mut self, session: usize, at: usize, means: &mut Means<'_>) -> Option<Step> {
        let left = self.sessions.get_mut(session)?;
        let Some(name) = left.names.get(at).cloned() else {
            self.sessions.remove(session);
            return None;
        };
        // Another account's is not even read further: a session has one account.
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
        // Another process may have put it behind the others meanwhile.
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
            Refusal::Unreadable(errno) if !refusal.is_general() => {
                let failed = Failed::to_read(name, errno).noted(means.deferrals);
                if failed.tries >= TRIES {
                    self.step_aside(&failed, means.deferrals);
                    return None;
                }
                Some(Step::Failed(failed))
            }
            // Whoever is at it goes on with the rest of that session.
            Refusal::Busy | Refusal::Unreadable(_) | Refusal::ReadOnly(_) => {
                self.sessions.remove(session);
                None
            }
        }
    }

    /// One that stepped aside and is due, where nothing else is to be sent.
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
                // Others go on: it is only tried less and less often.
                Step::Failed(failed) if failed.blame != Blame::Account => {
                    self.step_aside(&failed, means.deferrals);
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
            // Not known is not nothing.
            Err(error) => {
                tracing::debug!(%error, "the spool can't be read");
                self.scan_at = Instant::now() + AGAIN;
            }
        }
    }
}

/// Claims an export of a session that is over. What is damaged is counted in its record.
pub fn claim(spool: &Spool, name: &str) -> Result<Claim, Refusal> {
    let claim = Claim::take(spool, name);
    if matches!(claim, Err(Refusal::Corrupt)) {
        let said = "its file was damaged; it is in spool/corrupt".to_owned();
        let problem = Problem { said, cause: String::new(), fix: String::new(), code: 74 };
        record::decided_later(spool.state(), session_of(name), 0, State::Lost, Some(&problem), 0);
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
    let begun = Instant::now();
    let response = means.sender.post(&target, claim.header.points, claim.body(), false);
    match &response.verdict {
        Some(Verdict::Waiting { .. }) => match Failed::of(claim.name(), &response, begun.elapsed()) {
            Some(failed) => Step::Failed(failed.noted(means.deferrals)),
            None => Step::Held,
        },
        Some(Verdict::Held(_) | Verdict::NotUnderstood(_)) | None => Step::Held,
        Some(_) => {
            let name = claim.name().to_owned();
            let stays = decided(means.spool, claim, &response).err().map(|error| crate::system::error::plain(&error));
            means.deferrals.forget(&name);
            Step::DecidedExport(DecidedExport { verdict: response.verdict, stays })
        }
    }
}

/// An export of a session that is over is decided: it leaves the spool, and the session's record says so. An error: its
/// file could not be taken out.
pub fn decided(spool: &Spool, claim: Claim, response: &Response) -> io::Result<()> {
    let header = claim.header.clone();
    let (left, rejected) = match &response.verdict {
        Some(Verdict::Rejected(_)) => (claim.reject(), 0),
        Some(Verdict::Partial { rejected, .. }) => (claim.done(), *rejected),
        _ => (claim.done(), 0),
    };
    let (state, problem) = (response.state, response.problem.as_ref());
    record::decided_later(spool.state(), &header.session, header.points, state, problem, rejected);
    left
}
