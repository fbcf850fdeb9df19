//! Delivers one export at a time: the session's own in order, with backoff, and the backlog whenever none of its own can be sent.
//! It runs on a thread of its own, because it waits. The file `own` sends the session's own exports, and decides which of them
//! step aside. Words such as backlog, hold, ledger and to step aside are explained in docs/architecture.md.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime};

use super::ledger::Ledger;
use super::message::{Handle, Item, Message, Unstored};
use super::own::{Deferred, Probe, Whose};
use super::thread::Thread;
use crate::delivery::backlog::{self, Backlog, Means, Step};
use crate::delivery::backoff::{Backoff, random};
use crate::delivery::sender::{Observer, Response, Sender};
use crate::delivery::target::Target;
use crate::delivery::targets::Targets;
use crate::delivery::verdict::Verdict;
use crate::state::outcome::{Problem, State};
use crate::state::spool::Spool;
use crate::state::spool::deferral::Deferrals;

/// Pause between two exports of the backlog, so that ACT does not get many at once; also the shortest time to wait.
const GAP: Duration = Duration::from_millis(5);
/// While exports are held or wait: interval between two checks whether something has changed.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// After [`Message::Drain`]: an export that failed is tried again after this time at most.
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// Delivers one session's exports.
pub struct DeliveryWorker {
    pub(super) session: String,
    pub(super) account: String,
    pub(super) alias: String,
    pub(super) spool: Option<Spool>,
    pub(super) targets: Targets,
    pub(super) sender: Sender,
    pub(super) ledger: Arc<Ledger>,
    inbox: Receiver<Message>,
    /// Exports that are in memory only. (This has nothing to do with `--direct`.)
    direct: VecDeque<Unstored>,
    pub(super) queue: VecDeque<Item>,
    /// The session's own exports that stepped aside.
    pub(super) deferred: Vec<Deferred>,
    /// The notes on disk about exports that failed while others may pass.
    pub(super) deferrals: Deferrals,
    /// The exports that earlier sessions left; `None` where there is no spool.
    backlog: Option<Backlog>,
    pub(super) backoff: Backoff,
    /// ACT has a problem: nothing is sent before this time.
    pub(super) pause: Option<Pause>,
    /// The session's own exports are held, or the first of them can't be claimed now: the time of the next try.
    pub(super) look_at: Option<Instant>,
    looked_at: Instant,
    /// When `act flush` last asked all workers for a new try, as far as this one has noticed.
    nudged: Option<SystemTime>,
    /// The identity and the modification time of the spool's directory when it was last searched for the session's files.
    pub(super) seen: Option<(u64, u64, i64, i64)>,
    drain_until: Option<Instant>,
    is_stopped: bool,
    /// `--verify`: the first request is sent even if a hold says that ACT would refuse it.
    pub(super) ask_now: bool,
    is_replacement: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    begun: Instant,
    pub(super) until: Instant,
    /// The server named the time (`Retry-After`).
    is_asked: bool,
}

/// A worker's task: its post, not an HTTP POST.
#[derive(Debug)]
pub struct Post<'a> {
    /// The session's id.
    pub session: &'a str,
    /// Where its exports go.
    pub target: &'a Target,
    /// The spool that they are in.
    pub spool: Option<Spool>,
    /// `--verify`
    pub verify: bool,
    /// Whether its relay replaces one that ended unexpectedly. Then it reads the token only when there is something to send.
    pub is_replacement: bool,
    /// Receives what is being delivered, and decides whether a token command may run.
    pub observer: Box<dyn Observer>,
}

impl DeliveryWorker {
    /// Prepares a worker; the handle starts it. Then it reads the token and root certificates at once, while claude starts.
    pub fn ready(post: Post<'_>, targets: Targets, sender: Sender, ledger: Arc<Ledger>) -> Handle {
        let (messages, inbox) = channel();
        let spool = post.spool;
        let worker = Self {
            session: post.session.to_owned(),
            account: post.target.account.clone(),
            alias: post.target.alias.clone(),
            backlog: spool.as_ref().map(|_| Backlog::new(post.session, &post.target.account)),
            nudged: spool.as_ref().and_then(Spool::nudged),
            deferrals: Deferrals::of(spool.as_ref()),
            deferred: Vec::new(),
            seen: None,
            spool,
            sender: sender.observed_by(post.observer),
            targets,
            ledger,
            inbox,
            direct: VecDeque::new(),
            queue: VecDeque::new(),
            backoff: Backoff::default(),
            pause: None,
            look_at: None,
            looked_at: Instant::now(),
            drain_until: None,
            is_stopped: false,
            ask_now: post.verify,
            is_replacement: post.is_replacement,
        };
        Handle::new(messages, Thread::new("delivery", move || worker.run()))
    }

    fn run(mut self) {
        if let Ok(target) = self.targets.target(&self.account, &self.alias)
            && !self.is_replacement
        {
            self.sender.prepare(&target);
        }
        while !self.is_stopped {
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
        for Unstored { sequence, why, .. } in self.direct.drain(..) {
            self.ledger.set_state(sequence, State::Lost, &problem_saying(&format!("it could not be stored: {why}")));
        }
        self.ledger.worker_ended();
    }

    fn take(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Stored(item) => {
                // While an export before it is held or waits, this one does, too: the order is kept.
                if (self.pause.is_some() || self.look_at.is_some())
                    && let Some((state, problem)) = self.front_problem()
                {
                    self.ledger.set_state(item.sequence, state, &problem);
                }
                self.enqueue(item);
            }
            Message::Unstored(direct) => self.direct.push_back(direct),
            Message::Drain(until) => {
                self.drain_until = Some(until);
                self.hurry();
            }
            Message::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Shortens a long pause to [`LAST_PAUSE`], because little time is left. A pause that the server asked for stays as it is.
    fn hurry(&mut self) {
        if let Some(pause) = self.pause.as_mut().filter(|pause| !pause.is_asked) {
            pause.until = pause.until.min(pause.begun + LAST_PAUSE);
        }
        self.look_for_removed();
    }

    fn front_problem(&self) -> Option<(State, Problem)> {
        self.ledger.problem_of(self.queue.front()?.sequence)
    }

    /// Does the next thing that is due, and returns how long to wait after it; `None`: nothing is due.
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
        if self.deliver_backlog() {
            return Some(GAP);
        }
        self.retry_deferred().then_some(Duration::ZERO)
    }

    /// Checks whether the user has changed the configuration, or asks for a new try.
    fn notice(&mut self) {
        if self.looked_at.elapsed() < LOOK {
            return;
        }
        self.looked_at = Instant::now();
        self.look_for_removed();
        let nudged = self.spool.as_ref().and_then(Spool::nudged);
        let is_nudged = nudged != self.nudged;
        self.nudged = nudged;
        let is_changed = self.targets.refresh();
        if is_changed || is_nudged {
            // The token may be another one, which can't be noticed for a token command: so it is read again in any case.
            self.sender.forget_tokens();
            self.look_at = None;
            self.backlog.iter_mut().for_each(Backlog::look_again);
        }
        if is_nudged {
            self.pause = None;
            self.deferred.iter_mut().for_each(|deferred| deferred.due = Instant::now());
        }
    }

    fn is_finished(&self) -> bool {
        let Some(until) = self.drain_until else { return false };
        if until <= Instant::now() {
            return true;
        }
        let own =
            self.queue.is_empty() || self.look_at.is_some() || self.pause.is_some_and(|pause| pause.until > until);
        // An export that has just stepped aside is tried once more before it is left to later sessions.
        let deferred = self.deferred.iter().all(|deferred| deferred.is_retried || deferred.due > until);
        own && deferred
            && self.direct.is_empty()
            && (self.pause.is_some() || self.backlog.as_ref().is_none_or(Backlog::is_empty))
    }

    /// How long until there may be something to do.
    fn idle(&self) -> Duration {
        let now = Instant::now();
        let pause = self.pause.map(|pause| pause.until);
        let stuck = (!self.queue.is_empty() || self.pause.is_some()).then(|| now + LOOK);
        let deferred = self.deferred.iter().map(|deferred| deferred.due).min();
        let backlog = self.backlog.as_ref().map(Backlog::next);
        let times = [pause, self.look_at, stuck, deferred, self.drain_until, backlog];
        let next = times.into_iter().flatten().min().unwrap_or(now + LOOK);
        next.saturating_duration_since(now).max(GAP)
    }

    /// Sends an export that is in memory only, at once: out of order is better than lost.
    fn deliver_direct(&mut self, direct: Unstored) {
        let Unstored { sequence, points, body, why, accepted, reply } = direct;
        let response = match self.targets.target(&self.account, &self.alias) {
            Ok(target) => {
                let ask_now = std::mem::take(&mut self.ask_now);
                self.sender.post(&target, points, &body, ask_now)
            }
            Err(problem) => Response { verdict: None, state: State::Held, problem: Some(problem), answer: None },
        };
        let rejected = response.rejected();
        if let (Some(answer), Some(reply)) = (response.answer, reply) {
            let _ = reply.send(answer);
        }
        self.note(response.verdict.as_ref());
        match response.verdict {
            Some(Verdict::Delivered { .. } | Verdict::Partial { .. }) => {
                self.ledger.decided(sequence, response.state, rejected);
                self.ledger.settle(sequence, response.state, response.problem);
                self.backoff.reset();
                self.pause = None;
                let _ = accepted.send(Some(true));
            }
            _ => {
                let problem = response.problem.unwrap_or_else(|| problem_saying("it could not be delivered"));
                let said = format!("{}, and it could not be stored: {why}", problem.said);
                self.ledger.set_state(sequence, State::Lost, &Problem { said, code: 74, ..problem });
                let _ = accepted.send(Some(false));
            }
        }
    }

    /// Sends one export of the backlog. False: there is nothing to send now.
    fn deliver_backlog(&mut self) -> bool {
        match self.with_backlog(Backlog::deliver_one) {
            Step::Nothing => return false,
            Step::Held => {}
            Step::DecidedExport(decided) => self.passed(decided),
            Step::Failed(failed) => {
                let mut retry_after = failed.retry_after;
                if failed.is_in_doubt() {
                    match self.does_another_pass(Whose::Backlog) {
                        Probe::Passed(is_accepted) => {
                            self.with_backlog(|backlog, means| {
                                backlog.step_aside(&failed, is_accepted, means.deferrals);
                            });
                            return true;
                        }
                        Probe::Failed(asked) => retry_after = retry_after.max(asked),
                    }
                }
                self.wait(retry_after);
            }
        }
        true
    }

    /// One export is in doubt: it may be the only one that fails. Sends another one. If that passes, ACT itself has no problem.
    pub(super) fn does_another_pass(&mut self, whose: Whose) -> Probe {
        self.collect();
        let is_free = self.look_at.is_none();
        let step = match whose {
            Whose::Own if let Some(probe) = self.probe_own() => return probe,
            Whose::Own => self.with_backlog(Backlog::deliver_one),
            Whose::Backlog if is_free && let Some(probe) = self.probe_front() => return probe,
            Whose::Backlog => self.with_backlog(Backlog::probe),
        };
        match step {
            Step::DecidedExport(decided) => {
                let is_accepted = decided.is_accepted();
                self.passed(decided);
                Probe::Passed(is_accepted)
            }
            Step::Failed(failed) => Probe::Failed(failed.retry_after),
            Step::Nothing | Step::Held => Probe::Failed(None),
        }
    }

    /// Takes the messages that arrived during a request.
    fn collect(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.is_stopped |= self.take(message).is_break();
        }
    }

    fn with_backlog<T: Default>(&mut self, act: impl FnOnce(&mut Backlog, &mut Means<'_>) -> T) -> T {
        let (Some(spool), Some(backlog)) = (&self.spool, &mut self.backlog) else { return T::default() };
        let (targets, sender, deferrals) = (&self.targets, &mut self.sender, &mut self.deferrals);
        act(backlog, &mut Means { spool, targets, sender, deferrals })
    }

    fn passed(&mut self, decided: backlog::DecidedExport) {
        if let Some(why) = decided.stays {
            self.ledger.spool_problem(&why);
        }
        self.backoff.reset();
    }

    pub(super) fn note(&self, verdict: Option<&Verdict>) {
        match verdict {
            Some(Verdict::Delivered { warning: Some(warning) }) => self.ledger.warned(warning.clone()),
            Some(Verdict::Partial { rejected, .. }) => self.ledger.refused_points(*rejected),
            _ => {}
        }
    }

    pub(super) fn wait(&mut self, retry_after: Option<Duration>) {
        let pause = self.backoff.pause(retry_after, random());
        tracing::debug!(exports = self.queue.len(), ?pause, ?retry_after, "tried again later");
        let begun = Instant::now();
        let is_asked = retry_after.is_some_and(|pause| pause > Duration::ZERO);
        self.pause = Some(Pause { begun, until: begun + pause, is_asked });
    }
}

/// A problem that needs no explanation. 74 is `--verify`'s exit status for a lost export.
pub(super) fn problem_saying(said: &str) -> Problem {
    Problem { said: said.to_owned(), cause: String::new(), fix: String::new(), code: 74 }
}
