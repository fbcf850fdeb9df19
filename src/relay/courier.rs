//! Delivery: one export at a time, the session's own in order, with patience; beside them what earlier sessions
//! of the same account left. A thread of its own, because it waits.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime};

use super::ledger::Ledger;
use super::message::{Direct, Handle, Item, Message};
use super::worker::Thread;
use crate::delivery::backlog::Backlog;
use crate::delivery::backoff::{Backoff, random};
use crate::delivery::owner::Owners;
use crate::delivery::sender::{Desk, Observer, Posted};
use crate::delivery::target::Target;
use crate::delivery::verdict::Verdict;
use crate::state::outcome::{State, Trouble};
use crate::state::spool::{self, Claim, Refusal, Spool};
use crate::system::environment::Environment;

/// Between two exports that earlier sessions left, so that many do not arrive as a flood.
const GAP: Duration = Duration::from_millis(5);
/// While something is held or waits: between two looks whether something has changed.
const LOOK: Duration = Duration::from_secs(1);

/// The deliverer of one session's exports.
pub struct Courier {
    session: String,
    account: String,
    alias: String,
    spool: Option<Spool>,
    owners: Owners,
    desk: Desk,
    ledger: Arc<Ledger>,
    inbox: Receiver<Message>,
    direct: VecDeque<Direct>,
    queue: VecDeque<Item>,
    /// Where there is a spool.
    backlog: Option<Backlog>,
    backoff: Backoff,
    /// The server has trouble: not before this time.
    pause: Option<Pause>,
    /// The session's own exports are held: looked at again then.
    look_at: Option<Instant>,
    looked_at: Instant,
    nudged: Option<SystemTime>,
    drain_until: Option<Instant>,
    /// `--verify`: the first question is asked whatever is known.
    ask_now: bool,
    is_replacement: bool,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    /// The server named the time.
    is_asked: bool,
}

/// For whom a courier works.
#[derive(Debug)]
pub struct Post<'a> {
    /// The session's id.
    pub session: &'a str,
    /// Where its exports go.
    pub target: &'a Target,
    /// The state directory.
    pub state: Option<&'a Path>,
    /// `--verify`
    pub verify: bool,
    /// Whether it takes the place of one that ended without a word: it asks for the token when there is something to send.
    pub is_replacement: bool,
    /// Who is told what is being delivered.
    pub observer: Box<dyn Observer>,
}

impl Courier {
    /// Made ready; who has the handle starts it. Token and connection are fetched at once then, while claude starts.
    pub fn new(post: Post<'_>, owners: Owners, environment: Environment, ledger: Arc<Ledger>) -> Handle {
        let (sender, inbox) = channel();
        let spool = post.state.map(Spool::of);
        let courier = Self {
            session: post.session.to_owned(),
            account: post.target.account.clone(),
            alias: post.target.alias.clone(),
            backlog: spool.as_ref().map(|_| Backlog::new(post.session, &post.target.account)),
            nudged: spool.as_ref().and_then(Spool::nudged),
            spool,
            desk: Desk::new(environment, post.state).observed_by(post.observer),
            owners,
            ledger,
            inbox,
            direct: VecDeque::new(),
            queue: VecDeque::new(),
            backoff: Backoff::default(),
            pause: None,
            look_at: None,
            looked_at: Instant::now(),
            drain_until: None,
            ask_now: post.verify,
            is_replacement: post.is_replacement,
        };
        let handle = Handle::new(sender, Thread::new("courier", move || courier.run()));
        handle
    }

    fn run(mut self) {
        if let Ok(target) = self.owners.target(&self.account, &self.alias)
            && !self.is_replacement
        {
            self.desk.prepare(&target);
        }
        loop {
            match self.inbox.try_recv() {
                Ok(message) => {
                    if self.take(message).is_break() {
                        break;
                    }
                    continue;
                }
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {}
            }
            let pause = if let Some(gap) = self.step() {
                gap
            } else if self.is_finished() {
                break;
            } else {
                self.idle()
            };
            if let Ok(message) = self.inbox.recv_timeout(pause)
                && self.take(message).is_break()
            {
                break;
            }
        }
        for Direct { sequence, why, .. } in self.direct.drain(..) {
            self.ledger.mark(sequence, State::Lost, &gone(&format!("it could not be kept: {why}")));
        }
        self.ledger.courier_left();
    }

    fn take(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Stored(item) => {
                // While something before it is held or waits, so does this one: order is kept.
                if (self.pause.is_some() || self.look_at.is_some())
                    && let Some((state, trouble)) = self.front_trouble()
                {
                    self.ledger.mark(item.sequence, state, &trouble);
                }
                self.queue.push_back(item);
            }
            Message::Direct(direct) => self.direct.push_back(direct),
            Message::Drain(until) => {
                self.drain_until = Some(until);
                self.pause = self.pause.filter(|pause| pause.is_asked);
            }
            Message::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn front_trouble(&self) -> Option<(State, Trouble)> {
        self.ledger.trouble_of(self.queue.front()?.sequence)
    }

    /// Does the next thing that is due, and says how long to wait then; `None`: nothing is.
    fn step(&mut self) -> Option<Duration> {
        self.notice();
        if let Some(direct) = self.direct.pop_front() {
            self.deliver_direct(direct);
            return Some(Duration::ZERO);
        }
        if self.pause.is_some_and(|pause| pause.until > Instant::now()) {
            return None;
        }
        self.pause = None;
        if !self.queue.is_empty() && self.look_at.is_none_or(|at| at <= Instant::now()) {
            self.deliver_next();
            return Some(Duration::ZERO);
        }
        self.deliver_backlog().then_some(GAP)
    }

    /// Whether the user changed something, or asks for it.
    fn notice(&mut self) {
        if self.looked_at.elapsed() < LOOK {
            return;
        }
        self.looked_at = Instant::now();
        let nudged = self.spool.as_ref().and_then(Spool::nudged);
        let is_nudged = nudged != self.nudged;
        self.nudged = nudged;
        let is_changed = self.owners.refresh();
        if is_changed || is_nudged {
            // What a command gives can't be watched: asked for, it is read again, too.
            self.desk.forget_tokens();
            self.look_at = None;
            self.backlog.iter_mut().for_each(Backlog::look_again);
        }
        if is_nudged {
            self.pause = None;
        }
    }

    fn is_finished(&self) -> bool {
        let Some(until) = self.drain_until else { return false };
        if until <= Instant::now() {
            return true;
        }
        let own =
            self.queue.is_empty() || self.look_at.is_some() || self.pause.is_some_and(|pause| pause.until > until);
        own && self.direct.is_empty() && (self.pause.is_some() || self.backlog.as_ref().is_none_or(Backlog::is_empty))
    }

    /// How long there will be nothing to do.
    fn idle(&self) -> Duration {
        let now = Instant::now();
        let pause = self.pause.map(|pause| pause.until);
        let stuck = (!self.queue.is_empty() || self.pause.is_some()).then(|| now + LOOK);
        let times = [pause, self.look_at, stuck, self.drain_until, self.backlog.as_ref().map(Backlog::next_scan)];
        let next = times.into_iter().flatten().min().unwrap_or(now + LOOK);
        next.saturating_duration_since(now).max(GAP)
    }

    /// The session's oldest export that is not decided.
    fn deliver_next(&mut self) {
        let (Some(spool), Some(item)) = (&self.spool, self.queue.front()) else { return };
        let target = match self.owners.target(&self.account, &self.alias) {
            Ok(target) => target,
            Err(trouble) => return self.hold(State::Held, &trouble),
        };
        if !self.ask_now
            && let Some(mark) = self.desk.is_held(&target)
        {
            return self.hold(mark.state, &mark.trouble);
        }
        if self.look_at.take().is_some() {
            // The mark has gone or is due: the token may be another.
            self.desk.forget_tokens();
        }
        let claim = match Claim::take(spool, &spool::name(&self.session, item.sequence)) {
            Ok(claim) => claim,
            Err(Refusal::Gone) => return self.settle(State::Lost, Some(gone("its file was removed from the spool"))),
            Err(Refusal::Corrupt) => {
                return self.settle(State::Lost, Some(gone("its file was damaged; it is in spool/corrupt")));
            }
            Err(Refusal::Busy | Refusal::Newer(_) | Refusal::Unreadable) => {
                self.look_at = Some(Instant::now() + LOOK);
                return;
            }
        };
        if let Err(trouble) = self.owners.of(&claim.header) {
            return self.hold(State::Held, &trouble);
        }
        let ask_now = std::mem::take(&mut self.ask_now);
        let Posted { verdict, state, trouble, answer } =
            self.desk.post(&target, claim.header.points, claim.body(), ask_now);
        if let (Some(answer), Some(item)) = (answer, self.queue.front_mut())
            && let Some(reply) = item.reply.take()
        {
            let _ = reply.send(answer);
        }
        match verdict {
            Some(Verdict::Delivered { .. } | Verdict::Partial { .. }) => {
                claim.done();
                self.note(verdict.as_ref());
                self.settle(state, trouble);
            }
            Some(Verdict::Rejected(_)) => {
                claim.reject();
                self.settle(state, trouble);
            }
            Some(Verdict::Waiting { retry_after, .. }) => {
                self.mark_all(state, trouble.as_ref());
                self.wait(retry_after);
            }
            Some(Verdict::Held(_) | Verdict::NotUnderstood(_)) | None => {
                self.hold(state, &trouble.unwrap_or_else(|| gone("it is held")));
            }
        }
    }

    /// What is in memory only is tried at once: out of order is better than lost.
    fn deliver_direct(&mut self, direct: Direct) {
        let Direct { sequence, points, body, why, taken, reply } = direct;
        let posted = match self.owners.target(&self.account, &self.alias) {
            Ok(target) => {
                let ask_now = std::mem::take(&mut self.ask_now);
                self.desk.post(&target, points, &body, ask_now)
            }
            Err(trouble) => Posted { verdict: None, state: State::Held, trouble: Some(trouble), answer: None },
        };
        if let (Some(answer), Some(reply)) = (posted.answer, reply) {
            let _ = reply.send(answer);
        }
        self.note(posted.verdict.as_ref());
        match posted.verdict {
            Some(Verdict::Delivered { .. } | Verdict::Partial { .. }) => {
                self.ledger.settle(sequence, posted.state, posted.trouble);
                self.backoff.reset();
                self.pause = None;
                let _ = taken.send(Some(true));
            }
            _ => {
                let trouble = posted.trouble.unwrap_or_else(|| gone("it could not be delivered"));
                let said = format!("{}, and it could not be kept: {why}", trouble.said);
                self.ledger.mark(sequence, State::Lost, &Trouble { said, code: 74, ..trouble });
                let _ = taken.send(Some(false));
            }
        }
    }

    /// One export an earlier session left.
    fn deliver_backlog(&mut self) -> bool {
        let (Some(spool), Some(backlog)) = (&self.spool, &mut self.backlog) else { return false };
        match backlog.deliver_one(spool, &self.owners, &mut self.desk) {
            None => false,
            Some(Some(Verdict::Waiting { retry_after, .. })) => {
                self.wait(retry_after);
                true
            }
            Some(verdict) => {
                if matches!(verdict, Some(Verdict::Delivered { .. } | Verdict::Partial { .. })) {
                    self.backoff.reset();
                }
                true
            }
        }
    }

    fn note(&self, verdict: Option<&Verdict>) {
        match verdict {
            Some(Verdict::Delivered { warning: Some(warning) }) => self.ledger.warned(warning.clone()),
            Some(Verdict::Partial { rejected, .. }) => self.ledger.refused_points(*rejected),
            _ => {}
        }
    }

    /// The front export is decided.
    fn settle(&mut self, state: State, trouble: Option<Trouble>) {
        if let Some(item) = self.queue.pop_front() {
            tracing::debug!(sequence = item.sequence, ?state, "decided");
            self.ledger.settle(item.sequence, state, trouble);
        }
        self.backoff.reset();
    }

    /// Nothing of the session's can go until something changes.
    fn hold(&mut self, state: State, trouble: &Trouble) {
        tracing::debug!(exports = self.queue.len(), ?state, said = trouble.said, "nothing goes for now");
        self.mark_all(state, Some(trouble));
        self.look_at = Some(Instant::now() + LOOK);
    }

    fn wait(&mut self, retry_after: Option<Duration>) {
        let pause = self.backoff.pause(retry_after, random());
        tracing::debug!(exports = self.queue.len(), ?pause, ?retry_after, "tried again later");
        let until = Instant::now() + pause;
        self.pause = Some(Pause { until, is_asked: retry_after.is_some_and(|pause| pause > Duration::ZERO) });
    }

    fn mark_all(&self, state: State, trouble: Option<&Trouble>) {
        let Some(trouble) = trouble else { return };
        for item in &self.queue {
            self.ledger.mark(item.sequence, state, trouble);
        }
    }
}

fn gone(said: &str) -> Trouble {
    Trouble { said: said.to_owned(), cause: String::new(), fix: String::new(), code: 74 }
}
