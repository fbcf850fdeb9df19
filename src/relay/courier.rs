//! Delivery: one export at a time, in order, with patience. A thread of its own, because it waits.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use hyper::body::Bytes;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::backoff::{Backoff, random};
use super::ledger::Ledger;
use super::upstream::{Limits, Upstream};
use crate::cause::{self, Whose};
use crate::environment::Environment;
use crate::outcome::{State, Trouble};
use crate::protocol::Target;
use crate::token;
use crate::verdict::{Answer, Failure, Reason, Verdict, judge};

/// One export to deliver.
#[derive(Debug)]
pub struct Item {
    /// Its number in the session.
    pub sequence: u64,
    /// Its data points.
    pub points: u64,
    /// The bytes.
    pub body: Bytes,
    /// Who waits for ACT's answer (`--verify`).
    pub reply: Option<oneshot::Sender<Answer>>,
}

/// To the courier.
#[derive(Debug)]
pub enum Message {
    /// A new export.
    Export(Item),
    /// Nobody can send any more: try what is left once, without waiting for better times.
    Drain,
    /// Leave.
    Stop,
}

/// The sending end.
#[derive(Debug, Clone)]
pub struct Handle(Sender<Message>);

impl Handle {
    /// Hands over a message; whether there still is a courier to take it.
    pub fn send(&self, message: Message) -> bool {
        self.0.send(message).is_ok()
    }
}

/// While something is held: between two tries to see whether it still is.
const PROBE: Duration = Duration::from_secs(60);
/// Between two exports, so that a backlog does not arrive as a flood.
const GAP: Duration = Duration::from_millis(5);

/// The deliverer of one session's exports.
pub struct Courier {
    target: Target,
    environment: Environment,
    ledger: Arc<Ledger>,
    inbox: Receiver<Message>,
    queue: VecDeque<Item>,
    upstream: Option<Upstream>,
    authorization: Option<Zeroizing<String>>,
    backoff: Backoff,
    /// Not before this time.
    pause_until: Option<Instant>,
    draining: bool,
}

impl Courier {
    /// Starts the thread. Token and connection are fetched at once, while claude starts.
    pub fn start(target: Target, environment: Environment, ledger: Arc<Ledger>) -> io::Result<Handle> {
        let (sender, inbox) = channel();
        let courier = Self {
            target,
            environment,
            ledger,
            inbox,
            queue: VecDeque::new(),
            upstream: None,
            authorization: None,
            backoff: Backoff::default(),
            pause_until: None,
            draining: false,
        };
        std::thread::Builder::new().name("courier".to_owned()).stack_size(512 * 1024).spawn(move || courier.run())?;
        Ok(Handle(sender))
    }

    fn run(mut self) {
        let _ = self.prepare();
        loop {
            let due = !self.queue.is_empty() && self.pause_until.is_none_or(|until| Instant::now() >= until);
            let message = if due {
                self.inbox.try_recv().map_err(|_| RecvTimeoutError::Timeout)
            } else {
                let wait = match self.pause_until {
                    Some(until) if !self.queue.is_empty() => until.saturating_duration_since(Instant::now()),
                    _ => Duration::from_secs(3600),
                };
                self.inbox.recv_timeout(wait)
            };
            match message {
                Ok(Message::Export(item)) => self.enqueue(item),
                Ok(Message::Drain) => {
                    self.draining = true;
                    self.pause_until = None;
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if due => self.deliver_next(),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn enqueue(&mut self, item: Item) {
        // While something before it is held or waits, so does this one: order is kept.
        if let (Some(_), Some((state, trouble))) = (self.pause_until, self.front_trouble()) {
            self.ledger.mark(item.sequence, state, trouble);
        }
        self.queue.push_back(item);
    }

    fn front_trouble(&self) -> Option<(State, Trouble)> {
        self.ledger.trouble_of(self.queue.front()?.sequence)
    }

    /// Token and client, where they are not there yet.
    fn prepare(&mut self) -> Result<(), Trouble> {
        if self.authorization.is_none() {
            let token =
                token::fetch(&self.target.token, &self.environment).map_err(|error| cause::without_token(&error))?;
            self.authorization = Some(token.authorization(&self.target.user));
        }
        if self.upstream.is_none() {
            let upstream = Upstream::new(&self.target.endpoint, &self.environment, Limits::default());
            self.upstream = Some(upstream.map_err(|failure| self.explain_failure(failure))?);
        }
        Ok(())
    }

    fn explain_failure(&self, failure: Failure) -> Trouble {
        let verdict = Verdict::Held(Reason::Failure(failure));
        cause::explain(&verdict, &self.whose()).1.unwrap_or_else(|| unreachable!("held has a trouble"))
    }

    fn whose(&self) -> Whose<'_> {
        Whose { account: &self.target.account, alias: &self.target.alias, endpoint: &self.target.endpoint }
    }

    fn deliver_next(&mut self) {
        if let Err(trouble) = self.prepare() {
            self.mark_all(State::Held, &trouble);
            return self.pause(PROBE);
        }
        let verdict = self.attempt();
        // The token may just have been renewed: read again, once.
        let verdict = match verdict {
            Verdict::Held(Reason::Status { status: 401 | 403 | 404, .. }) if self.token_changed() => self.attempt(),
            verdict => verdict,
        };
        let (state, trouble) = cause::explain(&verdict, &self.whose());
        match verdict {
            Verdict::Delivered { warning } => {
                warning.into_iter().for_each(|warning| self.ledger.warned(warning));
                self.settle(state, None);
            }
            Verdict::Partial { rejected, .. } => {
                self.ledger.refused_points(rejected);
                self.settle(state, trouble);
            }
            Verdict::Rejected(_) => self.settle(state, trouble),
            Verdict::Held(_) | Verdict::NotUnderstood(_) => {
                self.mark_all(state, &trouble.unwrap_or_else(|| unreachable!("explained")));
                self.pause(PROBE);
            }
            Verdict::Waiting { retry_after, .. } => {
                self.mark_all(state, &trouble.unwrap_or_else(|| unreachable!("explained")));
                let pause = self.backoff.pause(retry_after, random());
                self.pause(pause);
            }
        }
    }

    fn attempt(&mut self) -> Verdict {
        let (Some(item), Some(upstream), Some(authorization)) =
            (self.queue.front_mut(), &self.upstream, &self.authorization)
        else {
            unreachable!("prepared, and due only with something queued")
        };
        let answer = upstream.post(authorization, &self.target.id, &item.body);
        let verdict = judge(answer.as_ref(), item.points, SystemTime::now());
        if let (Some(reply), Ok(answer)) = (item.reply.take(), answer) {
            let _ = reply.send(answer);
        }
        verdict
    }

    fn token_changed(&mut self) -> bool {
        match token::fetch(&self.target.token, &self.environment) {
            Ok(token) => {
                let fresh = Some(token.authorization(&self.target.user));
                let changed = fresh != self.authorization;
                self.authorization = fresh;
                changed
            }
            Err(_) => false,
        }
    }

    /// The front export is decided.
    fn settle(&mut self, state: State, trouble: Option<Trouble>) {
        if let Some(item) = self.queue.pop_front() {
            self.ledger.settle(item.sequence, state, trouble);
        }
        self.backoff.reset();
        self.pause_until = None;
        if !self.queue.is_empty() {
            std::thread::sleep(GAP);
        }
    }

    fn mark_all(&self, state: State, trouble: &Trouble) {
        for item in &self.queue {
            self.ledger.mark(item.sequence, state, trouble.clone());
        }
    }

    fn pause(&mut self, pause: Duration) {
        self.pause_until = Some(Instant::now() + pause);
    }
}
