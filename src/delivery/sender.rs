//! Sends exports: one client and one set of credentials per account or destination of copies. It knows what is held. The
//! delivery worker and `act flush` use it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::upstream::{Limits, Upstream};
use crate::claude::network::Network;
use crate::claude::{own_pipeline, settings};
use crate::config::token::{self, SecretHeaders, TokenError};
use crate::delivery::cause::{self, Whose};
use crate::delivery::target::{Credentials, Target};
use crate::delivery::verdict::{self, Answer, Failure, Reason, Verdict};
use crate::state::outcome::{Problem, State};
use crate::state::spool::hold::{Hold, Holds, Key, now_ms};
use crate::system::environment::Environment;

/// Credentials read within this time are not read again because of a refusal.
const JUST_READ: Duration = Duration::from_secs(2);

/// The result of sending an export.
#[derive(Debug)]
pub struct Response {
    /// The verdict; `None`: ACT was not asked.
    pub verdict: Option<Verdict>,
    /// The state of the export after it.
    pub state: State,
    /// Why it is in this state.
    pub problem: Option<Problem>,
    /// ACT's own answer.
    pub answer: Option<Answer>,
}

impl Response {
    /// How many points ACT rejected although it accepted the export.
    pub fn rejected(&self) -> u64 {
        match self.verdict {
            Some(Verdict::Partial { rejected, .. }) => rejected,
            _ => 0,
        }
    }
}

/// Receives what is being delivered, and decides whether a token's or header's command may run.
pub trait Observer: std::fmt::Debug + Send {
    /// An export is being delivered, named by a hash of its bytes; `None`: the delivery has ended.
    fn delivering(&self, export: Option<u64>);
    /// Whether such a command may run now.
    fn may_run_token_command(&self) -> bool;
}

/// Sends exports.
pub struct Sender {
    observer: Option<Box<dyn Observer>>,
    environment: Environment,
    /// Claude's `--settings` argument, where it has one.
    settings: Vec<OsString>,
    network: Network,
    holds: Holds,
    connections: BTreeMap<String, Connection>,
    limits: Limits,
}

/// The connection to an account or to a destination.
struct Connection {
    endpoint: String,
    credentials: Credentials,
    upstream: Option<Upstream>,
    /// The secret headers, and when they were read.
    secrets: Option<(SecretHeaders, Instant)>,
    /// A secret's file may have been corrected: it is read again, which asks neither ACT nor the user.
    look_again: bool,
}

impl Sender {
    /// A sender with the holds of a state directory, or of a destination's directory in it. Tokens are fetched in `environment`; `network` has proxy and certificates.
    pub fn new(environment: Environment, network: Network, state: Option<&Path>) -> Self {
        let (connections, limits) = (BTreeMap::new(), Limits::default());
        Self {
            observer: None,
            environment,
            settings: Vec::new(),
            network,
            holds: Holds::of(state),
            connections,
            limits,
        }
    }

    /// Adds an observer.
    pub fn observed_by(self, observer: Box<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Adds claude's `--settings` argument, which may have the headers of the user's own pipeline.
    pub fn with_settings(self, settings: Option<&Path>) -> Self {
        let settings = settings.map(|value| vec!["--settings".into(), value.as_os_str().to_owned()]);
        Self { settings: settings.unwrap_or_default(), ..self }
    }

    /// Fetches the token and reads the root certificates before the first export.
    pub fn prepare(&mut self, target: &Target) {
        let _ = self.authorize(target, true);
        let _ = self.connect(target);
    }

    /// The hold because of which nothing would be sent now. It reads at most one file.
    pub fn is_held(&mut self, target: &Target) -> Option<Hold> {
        if self.may_look(target) {
            return None;
        }
        let key = self.key(target);
        self.holds.read(&key).filter(|hold| !hold.is_due(SystemTime::now()))
    }

    /// Forgets tokens: they may have been renewed.
    pub fn forget_tokens(&mut self) {
        for connection in self.connections.values_mut() {
            connection.secrets = None;
            connection.look_again = true;
        }
    }

    /// Sends an export of `points` data points, unless its alias is held and ACT was asked within the last minute. With `now`, it
    /// is sent in any case, because the user wants to know.
    pub fn post(&mut self, target: &Target, points: u64, body: &[u8], now: bool) -> Response {
        let tell = |sender: &Self, export| {
            if let Some(observer) = &sender.observer {
                observer.delivering(export);
            }
        };
        tell(self, Some(number_of(body)));
        let response = self.post_one(target, points, body, now);
        tell(self, None);
        response
    }

    fn post_one(&mut self, target: &Target, points: u64, body: &[u8], now: bool) -> Response {
        if let Some(refusal) = self.authorize(target, now) {
            return refusal;
        }
        let mut key = self.key(target);
        if let Some(hold) = self.holds.read(&key) {
            if !self.holds.take_turn(&key, now) {
                return held(hold);
            }
            // The hold is due for a new request: the token may have been renewed.
            self.token_changed(target);
            key = self.key(target);
        }
        let mut answer = self.ask(target, body);
        let judge = if target.is_copy() { verdict::judge_copy } else { verdict::judge };
        let mut verdict = judge(answer.as_ref(), points, SystemTime::now());
        // The token may just have been renewed: it is read again, once. Servers also answer 404 to those who may not see what is
        // there.
        if matches!(verdict, Verdict::Held(Reason::Status { status: 401 | 403 | 404, .. }))
            && self.token_changed(target)
        {
            key = self.key(target);
            answer = self.ask(target, body);
            verdict = judge(answer.as_ref(), points, SystemTime::now());
        }
        let (state, problem) = match target.is_copy() {
            true => cause::copy::explain(&verdict, &target.account, &target.endpoint),
            false => cause::explain(&verdict, &whose(target)),
        };
        let status = answer.as_ref().map(|answer| answer.status).ok();
        let said = problem.as_ref().map(|problem| problem.said.as_str());
        let asked = if target.is_copy() { target.account.as_str() } else { "ACT" };
        tracing::debug!(alias = target.alias, points, bytes = body.len(), status, ?state, said, "asked {asked}");
        match (&verdict, &problem) {
            (Verdict::Held(_) | Verdict::NotUnderstood(_), Some(problem)) => self.hold(&key, target, state, problem),
            (Verdict::Delivered { .. } | Verdict::Partial { .. }, _) => self.holds.clear(&key),
            _ => {}
        }
        Response { verdict: Some(verdict), state, problem, answer: answer.ok() }
    }

    fn ask(&mut self, target: &Target, body: &[u8]) -> Result<Answer, Failure> {
        self.connect(target)?;
        let connection = self.connection(target);
        let (Some(upstream), Some((secrets, _))) = (&connection.upstream, &connection.secrets) else {
            return Err(Failure::Broken("there is no token".to_owned()));
        };
        match &target.credentials {
            Credentials::Act { id, .. } => upstream.request(secrets.first().map(|(_, value)| value.as_str()), id, body),
            Credentials::Headers(_) | Credentials::Own { .. } => {
                let secrets: Vec<_> = secrets.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                upstream.send(&[], &secrets, body)
            }
        }
    }

    fn connect(&mut self, target: &Target) -> Result<(), Failure> {
        if self.connection(target).upstream.is_none() {
            let client = if target.is_copy() { Upstream::of_copies } else { Upstream::new };
            let upstream = client(&target.endpoint, &self.network, self.limits)?;
            self.connection(target).upstream = Some(upstream);
        }
        Ok(())
    }

    /// Fetches the credentials, if that was not done yet; `Some`: why there are none. A source that fails is tried once a minute at
    /// most, because it may ask the user.
    fn authorize(&mut self, target: &Target, now: bool) -> Option<Response> {
        if self.connection(target).secrets.is_some() {
            return None;
        }
        let may_look = self.may_look(target);
        self.connection(target).look_again = false;
        let key = self.key(target);
        if let Some(hold) = self.holds.read(&key)
            && !may_look
            && !self.holds.take_turn(&key, now)
        {
            return Some(held(hold));
        }
        match self.fetch(target) {
            Ok(secrets) => {
                if self.holds.read(&key).is_some() {
                    self.holds.clear_one(&key);
                }
                self.connection(target).secrets = Some((secrets, Instant::now()));
                None
            }
            Err(error) => {
                let problem = cause::without_token(&error);
                tracing::debug!(account = target.account, said = problem.said, "no credentials");
                self.hold(&key, target, State::Held, &problem);
                Some(Response { verdict: None, state: State::Held, problem: Some(problem), answer: None })
            }
        }
    }

    /// Whether the credentials are read despite a hold. This is done for files only, because reading them asks neither ACT nor the
    /// user.
    fn may_look(&mut self, target: &Target) -> bool {
        let connection = self.connection(target);
        connection.look_again && connection.secrets.is_none() && connection.credentials.are_in_files()
    }

    /// Reads the credentials again, unless they have just been read. Returns whether they are others.
    fn token_changed(&mut self, target: &Target) -> bool {
        let Some((old, read)) = self.connection(target).secrets.clone() else { return false };
        if read.elapsed() < JUST_READ {
            return false;
        }
        let Ok(new) = self.fetch(target) else { return false };
        let changed = new != old;
        self.connection(target).secrets = Some((new, Instant::now()));
        changed
    }

    fn fetch(&self, target: &Target) -> Result<SecretHeaders, TokenError> {
        let may_run = || self.observer.as_ref().is_none_or(|observer| observer.may_run_token_command());
        if target.credentials.need_a_command() && !may_run() {
            let what = "the relay was replaced too often to run the token command again".to_owned();
            return Err(TokenError { what, fix: "act-claude act flush".to_owned() });
        }
        match &target.credentials {
            Credentials::Act { user, token, .. } => {
                let token = token::fetch(token, &self.environment).map_err(|error| error.of(&target.account))?;
                Ok(vec![("Authorization".to_owned(), token.authorization(user))])
            }
            Credentials::Headers(headers) => token::fetch_headers(headers, &self.environment),
            Credentials::Own { .. } => self.own_headers(&target.endpoint),
        }
    }

    /// The headers of the user's own pipeline, as claude's settings and the environment have them now.
    fn own_headers(&self, endpoint: &str) -> Result<SecretHeaders, TokenError> {
        let layers = settings::read(Path::new("/"), &self.settings, &self.environment);
        let error = |what: String| TokenError { what, fix: "act-claude act doctor".to_owned() };
        match own_pipeline::find(&self.environment, &layers, &[]) {
            Some(Ok(own)) if own.endpoint == endpoint => Ok(own.headers),
            Some(Err(unfit)) => Err(error(format!("your own pipeline can't get a copy any more: {}", unfit.0))),
            _ => Err(error("your own pipeline is not what it was when claude started".to_owned())),
        }
    }

    fn hold(&mut self, key: &Key, target: &Target, state: State, problem: &Problem) {
        let (alias, account) = (target.alias.clone(), target.account.clone());
        self.holds.set(key, Hold { alias, account, state, problem: problem.clone(), asked_ms: now_ms() });
    }

    /// The key of the hold for the credential that would be sent now; without a token, for the token's source.
    fn key(&mut self, target: &Target) -> Key {
        let sources = target.credentials.sources();
        let mut presented = vec![target.endpoint.as_str(), target.user(), target.credentials.id()];
        match &self.connection(target).secrets {
            Some((secrets, _)) => {
                presented.extend(secrets.iter().map(|(_, value)| value.as_str()));
                Key::new(&target.account, &target.alias, &presented)
            }
            None => {
                presented.extend(sources.iter().map(String::as_str));
                Key::new(&target.account, &target.alias, &presented)
            }
        }
    }

    fn connection(&mut self, target: &Target) -> &mut Connection {
        let new = || Connection {
            endpoint: target.endpoint.clone(),
            credentials: target.credentials.clone(),
            upstream: None,
            secrets: None,
            look_again: false,
        };
        let connection = self.connections.entry(target.account.clone()).or_insert_with(new);
        let is_same = connection.endpoint == target.endpoint && connection.credentials.ask_as(&target.credentials);
        if !is_same {
            *connection = new();
        }
        connection
    }
}

/// A hash of an export's bytes.
fn number_of(body: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

fn whose(target: &Target) -> Whose<'_> {
    Whose { account: &target.account, alias: &target.alias, endpoint: &target.endpoint }
}

fn held(hold: Hold) -> Response {
    Response { verdict: None, state: hold.state, problem: Some(hold.problem), answer: None }
}
