//! The session's own exports, on their way to ACT: in order, but for those that fail by themselves while others pass.
//! These step aside and are tried again less and less often.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use super::courier::{Courier, LOOK, Probe, Whose, gone};
use super::message::Item;
use crate::delivery::blame::{Failed, TRIES};
use crate::delivery::sender::Posted;
use crate::delivery::verdict::{Answer, Verdict};
use crate::state::outcome::{State, Trouble};
use crate::state::spool::{self, Claim, Refusal};

/// An export that stepped aside.
#[derive(Debug)]
pub(super) struct Deferred {
    pub(super) item: Item,
    /// When it is tried again.
    pub(super) due: Instant,
    /// Whether that has been done once.
    pub(super) is_retried: bool,
}

/// What came of sending one.
enum Sent {
    /// It is decided.
    Decided(State, Option<Trouble>),
    /// Nothing of this alias goes until something changes.
    Held(State, Trouble),
    /// It could not be sent.
    Failed(Failed),
    /// Its file can't be had now, for reasons that concern all files.
    Later(Option<Trouble>),
}

impl Courier {
    /// One more of the session's exports; one that had stepped aside before this relay started is still aside.
    pub(super) fn enqueue(&mut self, item: Item) {
        let note = self.spool.as_ref().and_then(|_| self.deferrals.read(&self.name_of(item.sequence)));
        match note.filter(|note| note.is_aside()) {
            Some(note) => {
                self.ledger.step_aside(item.sequence, &note.trouble);
                let due = Instant::now() + note.due_in(SystemTime::now());
                self.deferred.push(Deferred { item, due, is_retried: false });
            }
            None => self.queue.push_back(item),
        }
    }

    fn name_of(&self, sequence: u64) -> String {
        spool::name(&self.session, sequence)
    }

    /// The session's oldest export that is not decided.
    pub(super) fn deliver_next(&mut self) {
        let Some(sequence) = self.queue.front().map(|item| item.sequence) else { return };
        let (sent, answer) = self.send(sequence);
        self.reply(0, answer);
        match sent {
            Sent::Decided(state, trouble) => self.settle(0, state, trouble),
            Sent::Held(state, trouble) => self.hold(state, &trouble),
            Sent::Failed(failed) => self.failed(&failed),
            Sent::Later(trouble) => {
                if let Some(trouble) = trouble {
                    self.mark_all(State::Waiting, &trouble);
                }
                self.look_at = Some(Instant::now() + LOOK);
            }
        }
    }

    fn failed(&mut self, failed: &Failed) {
        self.mark_all(State::Waiting, &failed.trouble);
        let mut retry_after = failed.retry_after;
        if failed.is_in_doubt() {
            match self.does_another_pass(Whose::Own) {
                Probe::Passed => return self.step_aside(failed),
                Probe::Failed(asked) => {
                    retry_after = retry_after.max(asked);
                    self.mark_all(State::Waiting, &failed.trouble);
                }
            }
        } else if failed.is_unreadable() && failed.tries >= TRIES {
            return self.step_aside(failed);
        }
        self.wait(retry_after);
    }

    /// The front export goes behind all others.
    fn step_aside(&mut self, failed: &Failed) {
        let (Some(item), note) = (self.queue.pop_front(), self.deferrals.step_aside(&failed.name, failed.took)) else {
            return;
        };
        tracing::debug!(sequence = item.sequence, tries = failed.tries, said = failed.trouble.said, "steps aside");
        self.ledger.step_aside(item.sequence, &failed.trouble);
        let due = Instant::now() + note.map_or(LOOK, |note| note.due_in(SystemTime::now()));
        self.deferred.push(Deferred { item, due, is_retried: false });
        self.backoff.reset();
        self.pause = None;
    }

    /// Sends one behind the front; the first that has not failed yet, else any. `None`: there is none.
    pub(super) fn probe_own(&mut self) -> Option<Probe> {
        let unnoted = |item: &Item| self.deferrals.read(&self.name_of(item.sequence)).is_none();
        let found = self.queue.iter().enumerate().skip(1).find(|(_, item)| unnoted(item)).map(|(at, _)| at);
        self.queue.get(1)?;
        Some(self.probe(found.unwrap_or(1)))
    }

    /// Sends the front one, because one of another session's is in doubt.
    pub(super) fn probe_front(&mut self) -> Probe {
        self.probe(0)
    }

    fn probe(&mut self, at: usize) -> Probe {
        let Some(sequence) = self.queue.get(at).map(|item| item.sequence) else { return Probe::Failed(None) };
        let (sent, answer) = self.send(sequence);
        self.reply(at, answer);
        match sent {
            Sent::Decided(state, trouble) => {
                self.settle(at, state, trouble);
                Probe::Passed
            }
            Sent::Held(state, trouble) => {
                self.hold(state, &trouble);
                Probe::Failed(None)
            }
            Sent::Failed(failed) => {
                self.ledger.mark(sequence, State::Waiting, &failed.trouble);
                Probe::Failed(failed.retry_after)
            }
            Sent::Later(_) => Probe::Failed(None),
        }
    }

    /// One of the session's that stepped aside and is due, where nothing else is to be sent.
    pub(super) fn retry_deferred(&mut self) -> bool {
        let now = Instant::now();
        let Some(at) = self.deferred.iter().position(|deferred| deferred.due <= now) else { return false };
        let sequence = self.deferred[at].item.sequence;
        let (sent, _) = self.send(sequence);
        self.deferred[at].is_retried = true;
        match sent {
            Sent::Decided(state, trouble) => {
                self.deferred.swap_remove(at);
                self.ledger.settle(sequence, state, trouble);
                self.backoff.reset();
            }
            Sent::Held(state, trouble) => {
                self.ledger.mark(sequence, state, &trouble);
                self.deferred[at].due = now + spool::mark::PROBE;
                self.hold(state, &trouble);
            }
            // Nobody waits for this one: it alone is tried later.
            Sent::Failed(failed) => {
                self.ledger.step_aside(sequence, &failed.trouble);
                let note = self.deferrals.read(&failed.name);
                let due = note.map_or(spool::mark::PROBE, |note| note.due_in(SystemTime::now()));
                self.deferred[at].due = Instant::now() + due.max(LOOK);
            }
            Sent::Later(_) => self.deferred[at].due = now + LOOK,
        }
        true
    }

    /// Claims and sends one of the session's own; the queue is as before.
    fn send(&mut self, sequence: u64) -> (Sent, Option<Answer>) {
        let name = self.name_of(sequence);
        let Some(spool) = &self.spool else { return (Sent::Later(None), None) };
        let target = match self.owners.target(&self.account, &self.alias) {
            Ok(target) => target,
            Err(trouble) => return (Sent::Held(State::Held, trouble), None),
        };
        if !self.ask_now
            && let Some(mark) = self.desk.is_held(&target)
        {
            return (Sent::Held(mark.state, mark.trouble), None);
        }
        if self.look_at.take().is_some() {
            // The mark has gone or is due: the token may be another.
            self.desk.forget_tokens();
        }
        let claim = match Claim::take(spool, &name) {
            Ok(claim) => claim,
            Err(refusal) => return (self.refused(name, refusal), None),
        };
        if let Err(trouble) = self.owners.of(&claim.header) {
            return (Sent::Held(State::Held, trouble), None);
        }
        let ask_now = std::mem::take(&mut self.ask_now);
        let begun = Instant::now();
        let posted = self.desk.post(&target, claim.header.points, claim.body(), ask_now);
        let took = begun.elapsed();
        self.note(posted.verdict.as_ref());
        (self.judge(claim, &posted, took), posted.answer)
    }

    fn judge(&mut self, claim: Claim, posted: &Posted, took: Duration) -> Sent {
        let trouble = || posted.trouble.clone().unwrap_or_else(|| gone("it is held"));
        let name = claim.name().to_owned();
        let left = match &posted.verdict {
            Some(Verdict::Delivered { .. } | Verdict::Partial { .. }) => claim.done(),
            Some(Verdict::Rejected(_)) => claim.reject(),
            Some(Verdict::Waiting { .. }) => {
                return match Failed::of(&name, posted, took) {
                    Some(failed) => Sent::Failed(failed.noted(&mut self.deferrals)),
                    None => Sent::Held(posted.state, trouble()),
                };
            }
            Some(Verdict::Held(_) | Verdict::NotUnderstood(_)) | None => return Sent::Held(posted.state, trouble()),
        };
        if let Err(error) = left {
            self.ledger.spool_trouble(&crate::system::error::plain(&error));
        }
        self.deferrals.forget(&name);
        Sent::Decided(posted.state, posted.trouble.clone())
    }

    fn refused(&mut self, name: String, refusal: Refusal) -> Sent {
        let lost = |said: &str| Sent::Decided(State::Lost, Some(gone(said)));
        match refusal {
            Refusal::Gone => lost("its file was removed from the spool"),
            Refusal::Corrupt => lost("its file was damaged; it is in spool/corrupt"),
            Refusal::CorruptStays(errno) => {
                lost(&format!("its file was damaged, and can't be moved to spool/corrupt ({})", errno.desc()))
            }
            Refusal::Busy | Refusal::Newer(_) => Sent::Later(None),
            Refusal::Unreadable(errno) if !refusal.is_general() => {
                Sent::Failed(Failed::to_read(name, errno).noted(&mut self.deferrals))
            }
            Refusal::Unreadable(errno) | Refusal::ReadOnly(errno) => {
                Sent::Later(Some(Failed::to_read(name, errno).trouble))
            }
        }
    }

    /// Whoever waits for ACT's own answer gets it (`--verify`).
    fn reply(&mut self, at: usize, answer: Option<Answer>) {
        if let (Some(answer), Some(item)) = (answer, self.queue.get_mut(at))
            && let Some(reply) = item.reply.take()
        {
            let _ = reply.send(answer);
        }
    }

    /// An export of the queue is decided.
    fn settle(&mut self, at: usize, state: State, trouble: Option<Trouble>) {
        if let Some(item) = self.queue.remove(at) {
            tracing::debug!(sequence = item.sequence, ?state, "decided");
            self.ledger.settle(item.sequence, state, trouble);
        }
        self.backoff.reset();
    }

    /// Nothing of the session's can go until something changes.
    fn hold(&mut self, state: State, trouble: &Trouble) {
        tracing::debug!(exports = self.queue.len(), ?state, said = trouble.said, "nothing goes for now");
        self.mark_all(state, trouble);
        self.look_at = Some(Instant::now() + LOOK);
    }

    fn mark_all(&self, state: State, trouble: &Trouble) {
        for item in &self.queue {
            self.ledger.mark(item.sequence, state, trouble);
        }
    }

    /// What somebody removed from the spool while it waited is not kept for anybody: it is lost, and said to be.
    pub(super) fn look_for_removed(&mut self) {
        let (Some(spool), false) = (&self.spool, self.queue.is_empty() && self.deferred.is_empty()) else { return };
        let waiting = spool.waiting();
        // Whatever comes or goes changes the directory's time.
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
                ledger.settle(item.sequence, State::Lost, Some(gone("its file was removed from the spool")));
            }
            !is_gone
        };
        self.queue.retain(keep);
        self.deferred.retain(|deferred| keep(&deferred.item));
    }
}
