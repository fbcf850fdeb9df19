//! Delivers the session's own exports in order, except those that fail while others pass. These step aside, and are tried
//! again less and less often.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use super::delivery_worker::{DeliveryWorker, LOOK, problem_saying};
use super::message::Item;
use crate::delivery::blame::{Failed, TRIES};
use crate::delivery::body;
use crate::delivery::sender::Response;
use crate::delivery::verdict::{Answer, Verdict};
use crate::state::outcome::{Problem, State};
use crate::state::spool::{self, Claim, Refusal};

/// An export that stepped aside.
#[derive(Debug)]
pub(super) struct Deferred {
    pub(super) item: Item,
    /// The time of the next try.
    pub(super) due: Instant,
    /// Whether it has been tried again once.
    pub(super) is_retried: bool,
}

/// The result of a try to send an export.
enum Attempt {
    /// ACT has decided: it accepted the export, or rejected it for ever.
    Decided(State, Option<Problem>),
    /// Its file was removed or is damaged. Nothing was sent, so this says nothing about ACT.
    Lost(Problem),
    /// No export of this alias can be sent until something changes.
    Held(State, Problem),
    /// It could not be sent.
    Failed(Failed),
    /// Its file can't be claimed now, and no other file is tried instead.
    Later(Option<Problem>),
}

/// Whose the export in doubt is: the session's own, or the backlog's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Backlog,
}

/// The result of sending another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// ACT has answered for it. Whether it accepted it, and did not reject it for ever.
    Passed(bool),
    /// It failed, too, or there is none; with the pause that the server asked for.
    Failed(Option<Duration>),
}

impl DeliveryWorker {
    /// Adds one of the session's exports. One that had stepped aside before this relay started is still aside.
    pub(super) fn enqueue(&mut self, item: Item) {
        let note = self.spool.as_ref().and_then(|_| self.deferrals.read(&self.name_of(item.sequence)));
        match note.filter(|note| note.is_aside()) {
            Some(note) => {
                self.ledger.step_aside(item.sequence, &note.problem, note.accepts_others);
                let due = Instant::now() + note.due_in(SystemTime::now());
                self.deferred.push(Deferred { item, due, is_retried: false });
            }
            None => self.queue.push_back(item),
        }
    }

    fn name_of(&self, sequence: u64) -> String {
        spool::name(&self.session, sequence)
    }

    /// Sends the session's oldest export that is not decided.
    pub(super) fn deliver_next(&mut self) {
        let Some(sequence) = self.queue.front().map(|item| item.sequence) else { return };
        let (sent, answer) = self.send(sequence);
        self.reply(0, answer);
        match sent {
            Attempt::Decided(state, problem) => self.decided(0, state, problem),
            Attempt::Lost(problem) => self.settle(0, State::Lost, Some(problem)),
            Attempt::Held(state, problem) => self.hold(state, &problem),
            Attempt::Failed(failed) => self.failed(&failed),
            Attempt::Later(problem) => {
                if let Some(problem) = problem {
                    self.set_all(State::Waiting, &problem);
                }
                self.look_at = Some(Instant::now() + LOOK);
            }
        }
    }

    fn failed(&mut self, failed: &Failed) {
        self.set_all(State::Waiting, &failed.problem);
        let mut retry_after = failed.retry_after;
        if failed.is_in_doubt() {
            match self.does_another_pass(Whose::Own) {
                Probe::Passed(is_accepted) => return self.step_aside(failed, is_accepted),
                Probe::Failed(asked) => {
                    retry_after = retry_after.max(asked);
                    self.set_all(State::Waiting, &failed.problem);
                }
            }
        } else if failed.is_unreadable() && failed.tries >= TRIES {
            return self.step_aside(failed, false);
        }
        self.wait(retry_after);
    }

    /// Moves the first export of the queue behind all others. `accepts_others`: another one was accepted.
    fn step_aside(&mut self, failed: &Failed, accepts_others: bool) {
        let Some(item) = self.queue.pop_front() else { return };
        let note = self.deferrals.step_aside(&failed.name, failed.took, accepts_others);
        let accepts_others = note.as_ref().map_or(accepts_others, |note| note.accepts_others);
        tracing::debug!(sequence = item.sequence, tries = failed.tries, said = failed.problem.said, "steps aside");
        self.ledger.step_aside(item.sequence, &failed.problem, accepts_others);
        let due = Instant::now() + note.map_or(LOOK, |note| note.due_in(SystemTime::now()));
        self.deferred.push(Deferred { item, due, is_retried: false });
        self.backoff.reset();
        self.pause = None;
    }

    /// Sends an export after the first of the queue: the first of them that has not failed yet, or else the second of the queue.
    /// `None`: there is none.
    pub(super) fn probe_own(&mut self) -> Option<Probe> {
        while self.queue.len() > 1 {
            let unnoted = |item: &Item| self.deferrals.read(&self.name_of(item.sequence)).is_none();
            let found = self.queue.iter().enumerate().skip(1).find(|(_, item)| unnoted(item)).map(|(at, _)| at);
            if let Some(probe) = self.probe(found.unwrap_or(1)) {
                return Some(probe);
            }
        }
        None
    }

    /// Sends the first of the queue, to test whether only an export of another session fails. `None`: there is none.
    pub(super) fn probe_front(&mut self) -> Option<Probe> {
        while !self.queue.is_empty() {
            if let Some(probe) = self.probe(0) {
                return Some(probe);
            }
        }
        None
    }

    /// Sends an export of the queue. `None`: it is lost and has left the queue, so it proves nothing.
    fn probe(&mut self, at: usize) -> Option<Probe> {
        let sequence = self.queue.get(at)?.sequence;
        let (sent, answer) = self.send(sequence);
        self.reply(at, answer);
        Some(match sent {
            Attempt::Decided(state, problem) => {
                self.decided(at, state, problem);
                Probe::Passed(state != State::Rejected)
            }
            Attempt::Lost(problem) => {
                self.settle(at, State::Lost, Some(problem));
                return None;
            }
            Attempt::Held(state, problem) => {
                self.hold(state, &problem);
                Probe::Failed(None)
            }
            Attempt::Failed(failed) => {
                self.ledger.set_state(sequence, State::Waiting, &failed.problem);
                Probe::Failed(failed.retry_after)
            }
            Attempt::Later(_) => Probe::Failed(None),
        })
    }

    /// Sends an export that stepped aside and is due. It is called where nothing else can be sent.
    pub(super) fn retry_deferred(&mut self) -> bool {
        let now = Instant::now();
        let Some(at) = self.deferred.iter().position(|deferred| deferred.due <= now) else { return false };
        let sequence = self.deferred[at].item.sequence;
        let (sent, _) = self.send(sequence);
        self.deferred[at].is_retried = true;
        match sent {
            Attempt::Decided(state, problem) => {
                self.deferred.swap_remove(at);
                self.ledger.settle(sequence, state, problem);
                self.backoff.reset();
            }
            Attempt::Lost(problem) => {
                self.deferred.swap_remove(at);
                self.ledger.settle(sequence, State::Lost, Some(problem));
            }
            Attempt::Held(state, problem) => {
                self.ledger.set_state(sequence, state, &problem);
                self.deferred[at].due = now + spool::hold::PROBE;
                self.hold(state, &problem);
            }
            // No other export waits for this one: it alone is tried later.
            Attempt::Failed(failed) => {
                let note = self.deferrals.read(&failed.name);
                let accepts_others = note.as_ref().is_some_and(|note| note.accepts_others);
                self.ledger.step_aside(sequence, &failed.problem, accepts_others);
                let due = note.map_or(spool::hold::PROBE, |note| note.due_in(SystemTime::now()));
                self.deferred[at].due = Instant::now() + due.max(LOOK);
            }
            Attempt::Later(_) => self.deferred[at].due = now + LOOK,
        }
        true
    }

    /// Claims and sends one of the session's own exports. The queue does not change.
    fn send(&mut self, sequence: u64) -> (Attempt, Option<Answer>) {
        let name = self.name_of(sequence);
        let Some(spool) = &self.spool else { return (Attempt::Later(None), None) };
        let target = match self.targets.target(&self.account, &self.alias) {
            Ok(target) => target,
            Err(problem) => return (Attempt::Held(State::Held, problem), None),
        };
        if !self.ask_now
            && let Some(hold) = self.sender.is_held(&target)
        {
            return (Attempt::Held(hold.state, hold.problem), None);
        }
        if self.look_at.take().is_some() {
            // The hold was removed or is due: the token may have changed.
            self.sender.forget_tokens();
        }
        let claim = match Claim::take(spool, &name) {
            Ok(claim) => claim,
            Err(refusal) => return (self.refused(name, refusal), None),
        };
        if let Err(problem) = self.targets.of(&claim.header) {
            return (Attempt::Held(State::Held, problem), None);
        }
        let Ok(body) = body::of(&claim) else { return (Attempt::Later(None), None) };
        let ask_now = std::mem::take(&mut self.ask_now);
        let begun = Instant::now();
        let response = self.sender.post(&target, claim.header.points, &body, ask_now);
        let took = begun.elapsed();
        drop(body);
        self.note(response.verdict.as_ref());
        (self.conclude(claim, &response, took), response.answer)
    }

    fn conclude(&mut self, claim: Claim, response: &Response, took: Duration) -> Attempt {
        let problem = || response.problem.clone().unwrap_or_else(|| problem_saying("it is held"));
        let name = claim.name().to_owned();
        let left = match &response.verdict {
            Some(Verdict::Delivered { .. } | Verdict::Partial { .. } | Verdict::Rejected(_)) => {
                self.ledger.decided(claim.header.sequence, response.state, response.rejected());
                if response.state == State::Rejected { claim.reject() } else { claim.done() }
            }
            Some(Verdict::Waiting { .. }) => {
                return match Failed::of(&name, response, took) {
                    Some(failed) => Attempt::Failed(failed.noted(&mut self.deferrals)),
                    None => Attempt::Held(response.state, problem()),
                };
            }
            Some(Verdict::Held(_) | Verdict::NotUnderstood(_)) | None => {
                return Attempt::Held(response.state, problem());
            }
        };
        if let Err(error) = left {
            self.ledger.spool_problem(&crate::system::error::plain(&error));
        }
        self.deferrals.forget(&name);
        Attempt::Decided(response.state, response.problem.clone())
    }

    fn refused(&mut self, name: String, refusal: Refusal) -> Attempt {
        let lost = |said: &str| Attempt::Lost(problem_saying(said));
        match refusal {
            Refusal::Gone => lost("its file was removed from the spool"),
            Refusal::Corrupt => lost("its file was damaged; it is in spool/corrupt"),
            Refusal::CorruptStays(errno) => {
                lost(&format!("its file was damaged, and can't be moved to spool/corrupt ({})", errno.desc()))
            }
            Refusal::Busy | Refusal::Newer(_) => Attempt::Later(None),
            Refusal::Unreadable(errno) if !refusal.affects_all_files() => {
                Attempt::Failed(Failed::to_read(name, errno).noted(&mut self.deferrals))
            }
            Refusal::Unreadable(errno) | Refusal::ReadOnly(errno) => {
                Attempt::Later(Some(Failed::to_read(name, errno).problem))
            }
        }
    }

    /// Gives ACT's own answer to the request that waits for it (`--verify`).
    fn reply(&mut self, at: usize, answer: Option<Answer>) {
        if let (Some(answer), Some(item)) = (answer, self.queue.get_mut(at))
            && let Some(reply) = item.reply.take()
        {
            let _ = reply.send(answer);
        }
    }

    /// ACT has decided about an export of the queue, so it answers again.
    fn decided(&mut self, at: usize, state: State, problem: Option<Problem>) {
        self.settle(at, state, problem);
        self.backoff.reset();
    }

    /// An export of the queue has its final state.
    fn settle(&mut self, at: usize, state: State, problem: Option<Problem>) {
        if let Some(item) = self.queue.remove(at) {
            tracing::debug!(sequence = item.sequence, ?state, "decided");
            self.ledger.settle(item.sequence, state, problem);
        }
    }

    /// None of the session's exports can be sent until something changes.
    fn hold(&mut self, state: State, problem: &Problem) {
        tracing::debug!(exports = self.queue.len(), ?state, said = problem.said, "no export can be sent for now");
        self.set_all(state, problem);
        self.look_at = Some(Instant::now() + LOOK);
    }

    fn set_all(&self, state: State, problem: &Problem) {
        for item in &self.queue {
            self.ledger.set_state(item.sequence, state, problem);
        }
    }

    /// Counts exports as lost whose files were removed from the spool while they waited.
    pub(super) fn look_for_removed(&mut self) {
        let (Some(spool), false) = (&self.spool, self.queue.is_empty() && self.deferred.is_empty()) else { return };
        let waiting = spool.queue();
        // A file that is added or removed changes the directory's modification time.
        let now = fs::metadata(&waiting)
            .ok()
            .map(|metadata| (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
        if now.is_some() && now == self.seen {
            return;
        }
        self.seen = now;
        let session = self.session.clone();
        let is_gone = |item: &Item| {
            fs::symlink_metadata(waiting.join(spool::name(&session, item.sequence)))
                .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        };
        let ledger = self.ledger.clone();
        let keep = |item: &Item| {
            let is_gone = is_gone(item);
            if is_gone {
                ledger.settle(item.sequence, State::Lost, Some(problem_saying("its file was removed from the spool")));
            }
            !is_gone
        };
        self.queue.retain(keep);
        self.deferred.retain(|deferred| keep(&deferred.item));
    }
}
