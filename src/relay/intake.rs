//! Receives one export: repairs it, stores it, answers it, and gives it to the delivery worker.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, oneshot, watch};

use super::answer::{IntakeAnswer, Unreadable};
use super::body::LARGEST;
use super::copies::{Copies, Made, Original};
use super::deliverer::Deliverer;
use super::in_memory::InMemory;
use super::lazy_store::LazyStore;
use super::ledger::Ledger;
use super::message::{Item, Message, Unstored};
use super::recent::{EarlierExport, RecentExports};
use super::recorder::Recorder;
use super::route::{NoRoute, Routed, Routing};
use super::watched::Watched;
use crate::delivery::cause::{self, Unfit};
use crate::delivery::verdict::Answer;
use crate::otlp::{self, Content, NoResult};
use crate::state::outcome::{Problem, State};
use crate::state::spool::{Header, LONGEST_BODY, NotStored, Store};
use crate::system::error::plain;

/// How long `--verify` lets claude wait for ACT's answer. Claude gives up its own flush after 2 s.
const VERIFY_WAIT: Duration = Duration::from_millis(1500);
/// How long claude waits for ACT where nothing can be stored. Its exporter's own timeout is 10 s.
const DIRECT_WAIT: Duration = Duration::from_secs(8);
/// Interval between two tries to start the delivery worker where there was no thread for it.
const START_AGAIN: Duration = Duration::from_millis(250);

/// Receives the exports of one session.
#[derive(Debug)]
pub struct Intake {
    /// Decides where the exports go.
    routing: Routing,
    /// Keys of the attributes that are removed.
    redact: Vec<String>,
    /// Whether claude gets ACT's own answers (`--verify`).
    verify: bool,
    /// Counts the exports.
    ledger: Arc<Ledger>,
    /// Writes the session's record, and holds its lock.
    recorder: Arc<Recorder>,
    /// The spool, opened for the first export.
    store: LazyStore,
    /// The exports that could not be stored, and are sent from memory.
    in_memory: InMemory,
    /// The number of the next export.
    next: AtomicU64,
    /// How many exports are being processed.
    busy: AtomicUsize,
    /// A task is trying to start the delivery worker.
    is_starting: AtomicBool,
    /// The latest exports. The lock also makes exports wait for each other.
    recent: Mutex<RecentExports>,
}

/// An export after repair and redaction, and whether it could be stored.
struct ProcessedExport {
    content: Content,
    body: Bytes,
    stored: Result<(), NotStored>,
    /// The copies, in the order of the route's; `None` where one has been handed over before.
    copies: Vec<Option<Made>>,
}

/// Why an export is neither stored nor delivered.
enum Refused {
    /// It gets this answer, and is not counted as an export.
    NotCounted(IntakeAnswer),
    /// It is counted as lost until claude sends it again. The answer, the content, and the reason.
    Lost(IntakeAnswer, Content, Box<Problem>),
}

impl Intake {
    /// Creates the intake of one session.
    pub fn new(
        routing: Routing,
        (redact, verify): (Vec<String>, bool),
        state: Option<PathBuf>,
        ledger: Arc<Ledger>,
        recorder: Arc<Recorder>,
    ) -> Self {
        let (store, next) = (LazyStore::new(state), AtomicU64::new(ledger.free()));
        let recent = Mutex::new(RecentExports::of(ledger.remembered()));
        let (busy, is_starting) = (AtomicUsize::new(0), AtomicBool::new(false));
        let in_memory = InMemory::default();
        Self { routing, redact, verify, ledger, recorder, store, in_memory, next, busy, is_starting, recent }
    }

    /// Processes one export, to the end even if the client closes the connection meanwhile. Returns the answer to it.
    pub async fn accept(self: Arc<Self>, body: Bytes) -> IntakeAnswer {
        self.busy.fetch_add(1, Ordering::Relaxed);
        let intake = self.clone();
        let task = tokio::spawn(async move {
            let answer = match intake.take(body).await {
                IntakeAnswer::NoExport => intake.clone().unreadable(Unreadable::Unfit(Unfit::NoExport)).await,
                answer => answer,
            };
            intake.busy.fetch_sub(1, Ordering::Relaxed);
            answer
        });
        task.await.unwrap_or(IntakeAnswer::Lost)
    }

    /// Counts an export that could not be read as lost, unless this directory has no telemetry. Returns the answer to it.
    pub async fn unreadable(self: Arc<Self>, why: Unreadable) -> IntakeAnswer {
        if self.routing.known().is_none() {
            // Only one request at a time may decide the route.
            let _lock = self.recent.lock().await;
            let intake = self.clone();
            let is_unwanted = move || matches!(intake.routing.get(), Err(NoRoute::None));
            if self.recorder.worker().run(is_unwanted).await == Some(true) {
                return why.answer();
            }
        }
        tracing::debug!(?why, "an export is refused");
        let problem = match why {
            Unreadable::TooLarge => cause::too_large(LARGEST, false),
            Unreadable::NoMemory => cause::shortage(&io::ErrorKind::OutOfMemory.into()),
            Unreadable::Unfit(why) => cause::unfit(why),
        };
        self.ledger.lost(problem);
        why.answer()
    }

    /// Whether an export is being taken in.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    async fn take(self: &Arc<Self>, body: Bytes) -> IntakeAnswer {
        let digest: [u8; 32] = Sha256::digest(&body).into();
        // Exports are handled one at a time, because their numbers define the order of delivery.
        let mut recent = self.recent.lock().await;
        // The number of the export that this one repeats.
        let repeats = match recent.find(&digest) {
            Some(EarlierExport::Stored) => {
                tracing::debug!("this export is stored already");
                return IntakeAnswer::Accepted;
            }
            Some(EarlierExport::Unstored(sequence, accepted)) if has_failed(&accepted) => Some(sequence),
            Some(EarlierExport::Unstored(_, accepted)) => {
                drop(recent);
                return wait_for(accepted).await;
            }
            None => None,
        };
        let sequence = repeats.unwrap_or_else(|| self.next.load(Ordering::Relaxed));
        // If this relay is killed before the export is counted, the next one finds this note and the stored file.
        self.ledger.taking(sequence, &digest);
        let intake = self.clone();
        let panicked = || Refused::Lost(IntakeAnswer::Lost, Content::default(), cause::panicked().into());
        let processed = self.recorder.worker().run(move || intake.repair_and_store(&body, sequence)).await;
        let export = match processed.unwrap_or_else(|| Err(panicked())) {
            Ok(export) => export,
            Err(Refused::NotCounted(answer)) => return answer,
            Err(Refused::Lost(answer, content, problem)) => {
                // If claude sends this export again, it gets the same number, so it is counted once.
                if repeats.is_none() {
                    self.next.fetch_add(1, Ordering::Relaxed);
                    self.ledger.received(sequence, content);
                    recent.add(digest, EarlierExport::lost(sequence));
                }
                self.ledger.set_state(sequence, State::Lost, &problem);
                return answer;
            }
        };
        let Some(routed) = self.routing.known() else { return IntakeAnswer::Unrouted };
        let ProcessedExport { content, body, stored, copies } = export;
        let (points, not_stored) = (content.points, stored.as_ref().err().map(ToString::to_string));
        tracing::debug!(sequence, points, bytes = body.len(), not_stored, "an export");
        if repeats.is_some() {
            self.ledger.repeated(sequence);
        } else {
            self.next.fetch_add(1, Ordering::Relaxed);
            self.ledger.received(sequence, content);
        }
        let (reply, answered) = oneshot::channel();
        let reply = self.verify.then_some(reply);
        let (outcome, message) = match not_stored {
            None => (EarlierExport::Stored, Some(Message::Stored(Item { sequence, reply }))),
            Some(why) => self.in_memory_only(sequence, points, body, why, reply),
        };
        recent.add(digest, outcome.clone());
        message.into_iter().for_each(|message| self.hand_over(routed, sequence, message));
        let made = routed.copies.iter().zip(copies).filter_map(|(copy, made)| Some((copy, made?)));
        made.for_each(|(copy, made)| copy.hand_over(sequence, points, made));
        self.clone().start_worker();
        drop(recent);
        self.answer(outcome, answered).await
    }

    /// An export that could not be stored is sent from memory. Where too many are there, it is lost until claude sends it again.
    fn in_memory_only(
        &self,
        sequence: u64,
        points: u64,
        body: Bytes,
        why: String,
        reply: Option<oneshot::Sender<Answer>>,
    ) -> (EarlierExport, Option<Message>) {
        self.ledger.unkept(sequence, why.clone());
        let Some((accepted, known)) = self.in_memory.place() else {
            self.ledger.set_state(sequence, State::Lost, &cause::too_many_in_memory(&why));
            return (EarlierExport::lost(sequence), None);
        };
        let message = Message::Unstored(Unstored { sequence, points, body, why, accepted, reply });
        (EarlierExport::Unstored(sequence, known), Some(message))
    }

    /// The answer to claude for an export that was handed over: with `--verify` ACT's own answer, if it comes in time.
    async fn answer(&self, outcome: EarlierExport, answered: oneshot::Receiver<Answer>) -> IntakeAnswer {
        if self.verify
            && let Ok(Ok(Answer { status, body, .. })) = tokio::time::timeout(VERIFY_WAIT, answered).await
        {
            return IntakeAnswer::Answered { status, body };
        }
        match outcome {
            EarlierExport::Stored => IntakeAnswer::Accepted,
            EarlierExport::Unstored(_, accepted) => wait_for(accepted).await,
        }
    }

    /// Starts the delivery worker as soon as there is a thread for it. Stored exports wait meanwhile. Does nothing if the worker
    /// runs, or if an earlier call still tries to start it.
    pub fn start_worker(self: Arc<Self>) {
        if !self.routing.known().is_some_and(|routed| routed.workers().any(Deliverer::is_waiting)) {
            return;
        }
        if self.is_starting.swap(true, Ordering::Relaxed) {
            return;
        }
        tokio::spawn(async move {
            let fails = |worker: &Deliverer| worker.start().is_err();
            while self.routing.known().is_some_and(|routed| routed.workers().filter(|one| fails(one)).count() > 0) {
                tokio::time::sleep(START_AGAIN).await;
            }
            self.is_starting.store(false, Ordering::Relaxed);
        });
    }

    /// Hands an export to the delivery worker.
    fn hand_over(&self, routed: &Routed, sequence: u64, message: Message) {
        // If it can't be delivered now, a stored export waits for this session's worker or for the next session. An export
        // that is in memory only is lost.
        let state = if matches!(message, Message::Stored(_)) { State::Waiting } else { State::Lost };
        if let Err(error) = routed.worker.start() {
            self.ledger.set_state(sequence, state, &cause::no_worker(&error));
        }
        if !routed.worker.send(message) {
            self.ledger.set_state(sequence, state, &cause::late());
        }
    }

    /// Repairs an export and stores it. It waits for the disk, so it runs on the disk thread, if there is one.
    fn repair_and_store(&self, body: &Bytes, sequence: u64) -> Result<ProcessedExport, Refused> {
        let content = otlp::read(body).ok_or(Refused::NotCounted(IntakeAnswer::NoExport))?;
        let routed = match self.routing.get() {
            Ok(routed) => routed,
            Err(NoRoute::None) => return Err(Refused::NotCounted(IntakeAnswer::Unrouted)),
            Err(NoRoute::Broken(problem)) => {
                self.ledger.arrived(sequence, &content, ("", ""), false);
                return Err(Refused::Lost(IntakeAnswer::Lost, content, problem.into()));
            }
        };
        let reported = (routed.target.alias.as_str(), routed.target.account.as_str());
        let attributes = self.routing.attributes(routed, body, &self.redact);
        let as_act_gets_it = match otlp::repair(body, &attributes, &self.redact, LONGEST_BODY) {
            Ok(Cow::Borrowed(_)) => body.clone(),
            Ok(Cow::Owned(body)) => Bytes::from(body),
            Err(why) => {
                self.ledger.arrived(sequence, &content, reported, false);
                let (answer, problem) = match why {
                    NoResult::TooLarge => (IntakeAnswer::TooLarge, cause::too_large(LONGEST_BODY, true)),
                    NoResult::NoMemory => (IntakeAnswer::Lost, cause::shortage(&io::ErrorKind::OutOfMemory.into())),
                };
                return Err(Refused::Lost(answer, content, problem.into()));
            }
        };
        let original = Original {
            session: self.recorder.id(),
            sequence,
            points: content.points,
            body,
            act: &as_act_gets_it,
            attributes: &attributes,
            redact: &self.redact,
        };
        let made = |file: Option<(&Path, u64)>| routed.copies.iter().map(|copy| copy.make(&original, file)).collect();
        let mut copies: Vec<Option<Made>> = Vec::new();
        let stored = self.store(routed, &original, &mut |file, start| copies = made(Some((file, start))));
        if stored.is_err() {
            // They may have been made from a file that is not there any more.
            copies = made(None);
        }
        self.ledger.arrived(sequence, &content, reported, stored.is_ok());
        Ok(ProcessedExport { content, body: as_act_gets_it, stored, copies })
    }

    fn store(
        &self,
        routed: &Routed,
        original: &Original<'_>,
        copy: &mut dyn FnMut(&Path, u64),
    ) -> Result<(), NotStored> {
        let store = self.store.get(|state| Store::open(state, routed.limits))?;
        // Takes the lock of the session's record, if this process does not hold it any more: the state directory may have been
        // removed. The lock says that the session's files belong to this relay.
        self.recorder.open()?;
        let header = Header {
            session: original.session.to_owned(),
            sequence: original.sequence,
            alias: routed.target.alias.clone(),
            account: routed.target.account.clone(),
            endpoint: routed.target.endpoint.clone(),
            user: routed.target.user().to_owned(),
            points: original.points,
            captured: Timestamp::now(),
            shared: None,
        };
        store.append_after(&header, original.act, copy)
    }

    /// Notes that connections are waiting because `accept` fails.
    pub fn unaccepted(&self, error: &io::Error) {
        self.ledger.unaccepted(&plain(error));
    }

    /// Sets the process whose working directory decides about the alias.
    pub fn follow(&self, command: Arc<Watched>) {
        self.routing.follow(command);
    }

    /// The part that decides where exports go.
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Sends a message to each delivery worker; false where there is none.
    pub fn tell(&self, message: impl Fn() -> Message) -> bool {
        let Some(routed) = self.routing.known() else { return false };
        routed.workers().filter(|worker| worker.send(message())).count() > 0
    }

    /// The relay ends: what nobody can send after it is lost.
    pub fn give_up(&self) {
        self.routing.known().iter().flat_map(|routed| &routed.copies).for_each(Copies::give_up);
    }

    /// The ledgers of the copies.
    pub fn copies(&self) -> impl Iterator<Item = &Ledger> {
        self.routing.known().into_iter().flat_map(|routed| &routed.copies).map(Copies::ledger)
    }
}

/// Whether ACT did not take an export that is only in memory.
fn has_failed(accepted: &watch::Receiver<Option<bool>>) -> bool {
    *accepted.borrow() == Some(false)
}

/// Waits for ACT's answer to an export that is only in memory. No answer in time counts as lost.
async fn wait_for(mut accepted: watch::Receiver<Option<bool>>) -> IntakeAnswer {
    let known = tokio::time::timeout(DIRECT_WAIT, accepted.wait_for(Option::is_some)).await;
    match known {
        Ok(Ok(known)) if *known == Some(true) => IntakeAnswer::Accepted,
        _ => IntakeAnswer::Lost,
    }
}
