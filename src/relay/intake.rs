//! An export's way in: put right, stored, acknowledged, handed to the courier.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, oneshot, watch};

use super::book::{REMEMBERED, Remembered};
use super::ledger::Ledger;
use super::message::{Direct, Item, Message};
use super::payload::{self, Content};
use super::recorder::Recorder;
use super::route::{NoRoute, Routed, Routing};
use super::watched::Watched;
use crate::delivery::verdict::Answer;
use crate::state::outcome::{State, Trouble};
use crate::state::spool::{Header, NotStored, Store};

/// What a poster is told.
#[derive(Debug)]
pub enum Accepted {
    /// It is in good hands.
    Taken,
    /// ACT's own answer (`--verify`).
    Answered {
        /// The status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// It is no OTLP export.
    NoExport,
    /// There is no alias for it: answered, and dropped.
    Unrouted,
    /// It could be neither stored nor delivered.
    Lost,
}

/// How long `--verify` lets claude wait for ACT's answer: claude's own flush gives up after 2 s.
const VERIFY_WAIT: Duration = Duration::from_millis(1500);
/// How long claude waits for ACT where nothing can be stored. Its exporter's own patience is 10 s.
const DIRECT_WAIT: Duration = Duration::from_secs(8);
/// What is known of an export that may be repeated.
#[derive(Debug, Clone)]
enum Seen {
    /// It is stored: a repetition joins it.
    Stored,
    /// It is not; ACT has it, or not, or that is not known yet.
    Direct(u64, watch::Receiver<Option<bool>>),
}

/// The way in.
#[derive(Debug)]
pub struct Intake {
    routing: Routing,
    redact: Vec<String>,
    verify: bool,
    state: Option<PathBuf>,
    ledger: Arc<Ledger>,
    recorder: Arc<Recorder>,
    store: OnceLock<Arc<Store>>,
    next: AtomicU64,
    busy: AtomicUsize,
    recent: Mutex<VecDeque<([u8; 32], Seen)>>,
}

/// An export that was put right, and whether it is stored.
struct Placed {
    content: Content,
    body: Bytes,
    stored: Result<(), NotStored>,
}

/// Why an export could not be placed.
enum Refused {
    /// That is all there is to say.
    Answered(Accepted),
    /// Nobody knows whose it is: it is lost.
    Broken(Content, Trouble),
}

impl Intake {
    /// For one session.
    pub fn new(
        routing: Routing,
        (redact, verify): (Vec<String>, bool),
        state: Option<PathBuf>,
        ledger: Arc<Ledger>,
        recorder: Arc<Recorder>,
    ) -> Self {
        let (store, busy) = (OnceLock::new(), AtomicUsize::new(0));
        let next = AtomicU64::new(ledger.next());
        let recent = Mutex::new(ledger.remembered().into_iter().filter_map(seen).collect());
        Self { routing, redact, verify, state, ledger, recorder, store, next, busy, recent }
    }

    /// Takes one export. It is seen through even where the poster goes away meanwhile.
    pub async fn accept(self: Arc<Self>, body: Bytes) -> Accepted {
        self.busy.fetch_add(1, Ordering::Relaxed);
        let intake = self.clone();
        let accepted = tokio::spawn(async move {
            let accepted = intake.take(body).await;
            intake.busy.fetch_sub(1, Ordering::Relaxed);
            accepted
        });
        accepted.await.unwrap_or(Accepted::Lost)
    }

    /// Whether an export is on its way in.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    async fn take(self: &Arc<Self>, body: Bytes) -> Accepted {
        let digest: [u8; 32] = Sha256::digest(&body).into();
        // One after the other: their numbers say in which order.
        let mut recent = self.recent.lock().await;
        let seen = recent.iter().find(|(known, _)| *known == digest).map(|(_, seen)| seen.clone());
        let again = match seen {
            Some(Seen::Stored) => {
                tracing::debug!("a repetition of what is stored");
                return Accepted::Taken;
            }
            // Bound first: a borrow must not live across the wait.
            Some(Seen::Direct(sequence, taken)) => {
                let known = *taken.borrow();
                if known != Some(false) {
                    drop(recent);
                    return wait_for(taken).await;
                }
                Some(sequence)
            }
            None => None,
        };
        let sequence = again.unwrap_or_else(|| self.next.load(Ordering::Relaxed));
        self.ledger.taking(sequence, &digest);
        let intake = self.clone();
        let placed = tokio::task::spawn_blocking(move || intake.place(&body, sequence)).await;
        let placed = match placed {
            Ok(Ok(placed)) => placed,
            Ok(Err(Refused::Answered(answer))) => return answer,
            Ok(Err(Refused::Broken(content, trouble))) => {
                // Claude tries it again: it counts once.
                if again.is_none() {
                    self.next.fetch_add(1, Ordering::Relaxed);
                    self.ledger.received(sequence, content);
                    recent.push_back((digest, Seen::Direct(sequence, watch::channel(Some(false)).1)));
                }
                self.ledger.mark(sequence, State::Lost, &trouble);
                return Accepted::Lost;
            }
            Err(_) => return Accepted::Lost,
        };
        let Some(routed) = self.routing.known() else { return Accepted::Unrouted };
        let points = placed.content.points;
        let (bytes, stored) = (placed.body.len(), placed.stored.as_ref().err());
        let not_stored = stored.map(ToString::to_string);
        tracing::debug!(sequence, points, bytes, not_stored, "an export");
        if again.is_some() {
            self.ledger.again(sequence);
            recent.retain(|(known, _)| *known != digest);
        } else {
            self.next.fetch_add(1, Ordering::Relaxed);
            self.ledger.received(sequence, placed.content);
        }
        let (reply, answered) = oneshot::channel();
        let reply = self.verify.then_some(reply);
        let (seen, message) = match placed.stored {
            Ok(()) => (Seen::Stored, Message::Stored(Item { sequence, reply })),
            Err(why) => {
                let why = why.to_string();
                self.ledger.unkept(sequence, why.clone());
                let (taken, known) = watch::channel(None);
                let direct = Direct { sequence, points, body: placed.body, why, taken, reply };
                (Seen::Direct(sequence, known), Message::Direct(direct))
            }
        };
        recent.push_back((digest, seen.clone()));
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
        if !routed.courier.send(message) {
            // Too late for this relay: what is stored waits for the next session.
            let state = if matches!(seen, Seen::Stored) { State::Waiting } else { State::Lost };
            let said = "it came when the relay had to leave".to_owned();
            let trouble = Trouble { said, cause: String::new(), fix: String::new(), code: 75 };
            self.ledger.mark(sequence, state, &trouble);
        }
        drop(recent);
        if self.verify
            && let Ok(Ok(Answer { status, body, .. })) = tokio::time::timeout(VERIFY_WAIT, answered).await
        {
            return Accepted::Answered { status, body };
        }
        match seen {
            Seen::Stored => Accepted::Taken,
            Seen::Direct(_, taken) => wait_for(taken).await,
        }
    }

    /// Puts an export right and stores it. On a thread of its own, because it waits for the disk.
    fn place(&self, body: &Bytes, sequence: u64) -> Result<Placed, Refused> {
        let content = payload::read(body).ok_or(Refused::Answered(Accepted::NoExport))?;
        let routed = match self.routing.get() {
            Ok(routed) => routed,
            Err(NoRoute::None) => return Err(Refused::Answered(Accepted::Unrouted)),
            Err(NoRoute::Broken(trouble)) => return Err(Refused::Broken(content, trouble)),
        };
        let body = match payload::repair(body, &routed.attributes, &self.redact) {
            Cow::Borrowed(_) => body.clone(),
            Cow::Owned(body) => Bytes::from(body),
        };
        let stored = self.store(routed, content.points, &body, sequence);
        Ok(Placed { content, body, stored })
    }

    fn store(&self, routed: &Routed, points: u64, body: &[u8], sequence: u64) -> Result<(), NotStored> {
        let store = match self.store.get() {
            Some(store) => store,
            None => {
                let missing = || std::io::Error::other("there is no state directory: neither HOME nor XDG_STATE_HOME");
                let state = self.state.as_ref().ok_or_else(missing)?;
                let store = Store::open(state, routed.limits)?;
                // Its files belong to this relay from the first on.
                self.recorder.open()?;
                self.store.get_or_init(|| Arc::new(store))
            }
        };
        let header = Header {
            session: self.recorder.id().to_owned(),
            sequence,
            alias: routed.target.alias.clone(),
            account: routed.target.account.clone(),
            endpoint: routed.target.endpoint.clone(),
            user: routed.target.user.clone(),
            points,
            captured: Timestamp::now(),
        };
        store.append(&header, body)
    }

    /// The process whose working directory decides about the alias.
    pub fn follow(&self, command: Arc<Watched>) {
        self.routing.follow(command);
    }

    /// What is still to be decided about where exports go.
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// A word to the courier; false where there is none.
    pub fn tell(&self, message: Message) -> bool {
        self.routing.known().is_some_and(|routed| routed.courier.send(message))
    }
}

/// What a relay before this one had taken, or had to refuse.
fn seen((known, is_stored): (Remembered, bool)) -> Option<([u8; 32], Seen)> {
    let direct = || Seen::Direct(known.sequence, watch::channel(Some(false)).1);
    Some((known.bytes()?, if is_stored { Seen::Stored } else { direct() }))
}

/// Until it is known whether ACT has an export that is stored nowhere.
async fn wait_for(mut taken: watch::Receiver<Option<bool>>) -> Accepted {
    let known = tokio::time::timeout(DIRECT_WAIT, taken.wait_for(Option::is_some)).await;
    match known {
        Ok(Ok(known)) if *known == Some(true) => Accepted::Taken,
        _ => Accepted::Lost,
    }
}
