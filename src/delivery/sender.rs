//! The counter where exports are handed to ACT: tokens and connections by account, and what is held.
//! The courier and `act flush` stand before it.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use super::upstream::{Limits, Upstream};
use crate::claude::network::Network;
use crate::config::TokenSource;
use crate::config::token::{self, Token, TokenError};
use crate::delivery::cause::{self, Whose};
use crate::delivery::target::Target;
use crate::delivery::verdict::{Answer, Failure, Reason, Verdict, judge};
use crate::state::outcome::{State, Trouble};
use crate::state::spool::mark::{Key, Mark, Marks, now_ms};
use crate::system::environment::Environment;

/// A token read within this time is not read again because of a refusal.
const JUST_READ: Duration = Duration::from_secs(2);

/// What came of an export.
#[derive(Debug)]
pub struct Posted {
    /// The verdict; `None`: ACT was not asked.
    pub verdict: Option<Verdict>,
    /// The state it puts the export in.
    pub state: State,
    /// Why.
    pub trouble: Option<Trouble>,
    /// ACT's own answer.
    pub answer: Option<Answer>,
}

/// Who is told what is being delivered, and asked whether a token command may run.
pub trait Observer: std::fmt::Debug + Send {
    /// An export, known by a number made of its bytes, is being delivered; `None`: it is decided.
    fn delivering(&self, export: Option<u64>);
    /// Whether a token command may run now.
    fn may_run_token_command(&self) -> bool;
}

/// The counter.
pub struct Desk {
    observer: Option<Box<dyn Observer>>,
    environment: Environment,
    network: Network,
    marks: Marks,
    lines: BTreeMap<String, Line>,
    limits: Limits,
}

/// An account's connection.
struct Line {
    endpoint: String,
    user: String,
    token: TokenSource,
    upstream: Option<Upstream>,
    authorization: Option<(Zeroizing<String>, Instant)>,
    /// Its token's file may have been put right: worth a look, which costs nobody anything.
    look_again: bool,
}

impl Desk {
    /// With the marks of a state directory. Tokens are fetched in `environment`; `network` leads to ACT.
    pub fn new(environment: Environment, network: Network, state: Option<&Path>) -> Self {
        let (lines, limits) = (BTreeMap::new(), Limits::default());
        Self { observer: None, environment, network, marks: Marks::of(state), lines, limits }
    }

    /// With an observer.
    pub fn observed_by(self, observer: Box<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Fetches the token and opens the roots, ahead of the first export.
    pub fn prepare(&mut self, target: &Target) {
        let _ = self.authorize(target, true);
        let _ = self.connect(target);
    }

    /// Why nothing would be asked now. Cheap where a mark says so.
    pub fn is_held(&mut self, target: &Target) -> Option<Mark> {
        if self.may_look(target) {
            return None;
        }
        let key = self.key(target);
        self.marks.read(&key).filter(|mark| !mark.is_due(SystemTime::now()))
    }

    /// Forgets tokens: they may have been renewed.
    pub fn forget_tokens(&mut self) {
        for line in self.lines.values_mut() {
            line.authorization = None;
            line.look_again = true;
        }
    }

    /// Sends an export of `points` data points, unless its alias is held and ACT was asked within the minute;
    /// `now`: the user wants to know.
    pub fn post(&mut self, target: &Target, points: u64, body: &[u8], now: bool) -> Posted {
        let tell = |desk: &Self, export| {
            if let Some(observer) = &desk.observer {
                observer.delivering(export);
            }
        };
        tell(self, Some(number_of(body)));
        let posted = self.post_one(target, points, body, now);
        tell(self, None);
        posted
    }

    fn post_one(&mut self, target: &Target, points: u64, body: &[u8], now: bool) -> Posted {
        if let Some(refusal) = self.authorize(target, now) {
            return refusal;
        }
        let mut key = self.key(target);
        if let Some(mark) = self.marks.read(&key) {
            if !self.marks.take_turn(&key, now) {
                return held(mark);
            }
            // A minute has passed: the token may have been renewed.
            self.token_changed(target);
            key = self.key(target);
        }
        let mut answer = self.ask(target, body);
        let mut verdict = judge(answer.as_ref(), points, SystemTime::now());
        // The token may just have been renewed: read again, once.
        if matches!(verdict, Verdict::Held(Reason::Status { status: 401 | 403 | 404, .. }))
            && self.token_changed(target)
        {
            key = self.key(target);
            answer = self.ask(target, body);
            verdict = judge(answer.as_ref(), points, SystemTime::now());
        }
        let (state, trouble) = cause::explain(&verdict, &whose(target));
        let status = answer.as_ref().map(|answer| answer.status).ok();
        let said = trouble.as_ref().map(|trouble| trouble.said.as_str());
        tracing::debug!(alias = target.alias, points, bytes = body.len(), status, ?state, said, "asked ACT");
        match (&verdict, &trouble) {
            (Verdict::Held(_) | Verdict::NotUnderstood(_), Some(trouble)) => self.mark(&key, target, state, trouble),
            (Verdict::Delivered { .. } | Verdict::Partial { .. }, _) => self.marks.clear(&key),
            _ => {}
        }
        Posted { verdict: Some(verdict), state, trouble, answer: answer.ok() }
    }

    fn ask(&mut self, target: &Target, body: &[u8]) -> Result<Answer, Failure> {
        self.connect(target)?;
        let line = self.line(target);
        match (&line.upstream, &line.authorization) {
            (Some(upstream), Some((authorization, _))) => upstream.post(authorization, &target.id, body),
            _ => Err(Failure::Broken("there is no token".to_owned())),
        }
    }

    fn connect(&mut self, target: &Target) -> Result<(), Failure> {
        if self.line(target).upstream.is_none() {
            let upstream = Upstream::new(&target.endpoint, &self.network, self.limits)?;
            self.line(target).upstream = Some(upstream);
        }
        Ok(())
    }

    /// Fetches the token, where it is not there; `Some`: why there is none. A source that fails is tried once a
    /// minute, too: it may ask the user.
    fn authorize(&mut self, target: &Target, now: bool) -> Option<Posted> {
        if self.line(target).authorization.is_some() {
            return None;
        }
        let may_look = self.may_look(target);
        self.line(target).look_again = false;
        let key = self.key(target);
        if let Some(mark) = self.marks.read(&key)
            && !may_look
            && !self.marks.take_turn(&key, now)
        {
            return Some(held(mark));
        }
        match self.fetch(target) {
            Ok(token) => {
                if self.marks.read(&key).is_some() {
                    self.marks.clear_one(&key);
                }
                let authorization = token.authorization(&target.user);
                self.line(target).authorization = Some((authorization, Instant::now()));
                None
            }
            Err(error) => {
                let trouble = cause::without_token(&error);
                tracing::debug!(account = target.account, said = trouble.said, "no token");
                self.mark(&key, target, State::Held, &trouble);
                Some(Posted { verdict: None, state: State::Held, trouble: Some(trouble), answer: None })
            }
        }
    }

    /// Whether the token is to be read whatever a mark says: that asks neither ACT nor the user.
    fn may_look(&mut self, target: &Target) -> bool {
        let line = self.line(target);
        line.look_again && line.authorization.is_none() && matches!(line.token, TokenSource::File(_))
    }

    fn token_changed(&mut self, target: &Target) -> bool {
        let Some((old, read)) = self.line(target).authorization.clone() else { return false };
        if read.elapsed() < JUST_READ {
            return false;
        }
        let Ok(token) = self.fetch(target) else { return false };
        let new = token.authorization(&target.user);
        let changed = new != old;
        self.line(target).authorization = Some((new, Instant::now()));
        changed
    }

    fn fetch(&self, target: &Target) -> Result<Token, TokenError> {
        let may_run = || self.observer.as_ref().is_none_or(|observer| observer.may_run_token_command());
        if matches!(target.token, TokenSource::Command(_)) && !may_run() {
            let what = "the relay was replaced too often to run the token command again".to_owned();
            return Err(TokenError { what, fix: "act-claude act flush".to_owned() });
        }
        token::fetch(&target.token, &self.environment)
    }

    fn mark(&mut self, key: &Key, target: &Target, state: State, trouble: &Trouble) {
        let (alias, account) = (target.alias.clone(), target.account.clone());
        self.marks.set(key, Mark { alias, account, state, trouble: trouble.clone(), asked_ms: now_ms() });
    }

    /// For what would be presented now; without a token, for its source.
    fn key(&mut self, target: &Target) -> Key {
        let source = format!("{:?}", target.token);
        let line = self.line(target);
        let presented = line.authorization.as_ref().map_or(source.as_str(), |(authorization, _)| authorization);
        Key::new(&target.account, &target.alias, &[&target.endpoint, &target.user, &target.id, presented])
    }

    fn line(&mut self, target: &Target) -> &mut Line {
        let new = || Line {
            endpoint: target.endpoint.clone(),
            user: target.user.clone(),
            token: target.token.clone(),
            upstream: None,
            authorization: None,
            look_again: false,
        };
        let line = self.lines.entry(target.account.clone()).or_insert_with(new);
        if (&line.endpoint, &line.user, &line.token) != (&target.endpoint, &target.user, &target.token) {
            *line = new();
        }
        line
    }
}

/// A number for an export: the same bytes have the same.
fn number_of(body: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

fn whose(target: &Target) -> Whose<'_> {
    Whose { account: &target.account, alias: &target.alias, endpoint: &target.endpoint }
}

fn held(mark: Mark) -> Posted {
    Posted { verdict: None, state: mark.state, trouble: Some(mark.trouble), answer: None }
}
