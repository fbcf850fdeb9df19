//! Asks ACT, without a session and without data, whether endpoint, token and alias are good.
//!
//! [`route`] goes as far as a connection; then ACT is asked ([`question`]) to take an export without metrics, and
//! the same with something impossible in it. In which order ACT looks at credential, alias and content is not
//! assumed: what the answers tell apart is shown, and nothing more ([`conclusion`], pure).

mod command;
mod conclusion;
mod question;
mod route;
mod steps;

use std::time::{Duration, SystemTime};

use crate::claude::network::Network;
use crate::config::token::{self, Token, TokenError};
use crate::config::{Account, Alias, Config, TokenSource};
use crate::delivery::cause::{self, Whose};
use crate::delivery::upstream::{Limits, Upstream};
use crate::delivery::verdict::{Failure, Reason, Verdict, judge};
use crate::state::outcome::Problem;
use crate::system::environment::Environment;

pub use command::{Args, run};
pub use conclusion::Answers;

/// What is checked: an alias with its account.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The alias's name.
    pub name: &'a str,
    /// The alias.
    pub alias: &'a Alias,
    /// Its account's name.
    pub account_name: &'a str,
    /// Its account.
    pub account: &'a Account,
}

/// How far one step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is as it should be.
    Held,
    /// Here it stopped.
    Stopped,
    /// What ACT answered does not tell.
    Unclear,
}

/// One step on the way to an accepted export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// How far it came.
    pub state: Progress,
    /// What was seen.
    pub seen: String,
}

/// What a check found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The alias's name.
    pub alias: String,
    /// The account's name.
    pub account: String,
    /// The metrics URL.
    pub endpoint: String,
    /// The steps, as far as it came.
    pub steps: Vec<Step>,
    /// Why it stopped; none where all is good, or where ACT's answers don't tell.
    pub problem: Option<Problem>,
    /// The exit status: 0 good, 69 can't be told, 65, 75, 77, 78 as `--verify` would give.
    pub code: u8,
}

impl<'a> Subject<'a> {
    /// An alias of the configuration.
    pub fn of(config: &'a Config, name: &str) -> Option<Self> {
        let (name, alias) = config.aliases.get_key_value(name)?;
        let (account_name, account) = config.accounts.get_key_value(&alias.account)?;
        Some(Self { name, alias, account_name, account })
    }

    fn whose(&self) -> Whose<'a> {
        Whose { account: self.account_name, alias: self.name, endpoint: &self.account.endpoint }
    }
}

/// Checks one alias; the token is fetched from where its account says.
pub fn run_for(subject: &Subject<'_>, environment: &Environment) -> Finding {
    run_with(subject, &token::fetch(&subject.account.token, environment), &Network::here(environment))
}

/// Checks one alias with the token of its account, fetched before.
pub fn run_with(subject: &Subject<'_>, token: &Result<Token, TokenError>, network: &Network) -> Finding {
    let mut walk = Walk { subject, steps: Vec::new() };
    match walk.go(token, network) {
        Ok(answers) => {
            let (steps, problem, code) = conclusion::conclude(&answers, &subject.whose());
            walk.steps.extend(steps);
            walk.finding(problem, code)
        }
        Err(problem) => {
            let code = problem.code;
            walk.finding(Some(*problem), code)
        }
    }
}

/// Why the proxy that leads to `endpoint`, if one does, does not lead there. Asked without a credential.
pub fn blocked_by_proxy(endpoint: &str, network: &Network) -> Option<Failure> {
    match route::next_hop(endpoint, network) {
        Ok(hop) if hop.proxy.is_none() => return None,
        Ok(hop) => {
            if let Err(failure) = hop.resolve().and_then(|addresses| hop.connect(&addresses)) {
                return Some(failure);
            }
        }
        Err(failure) => return Some(failure),
    }
    let limits = Limits { connect: Duration::from_secs(10), whole: Duration::from_secs(10) };
    let asked = Upstream::new(endpoint, network, limits)
        .and_then(|upstream| upstream.request(None, "act-claude-doctor", question::EMPTY));
    asked.err().filter(|failure| matches!(failure, Failure::Proxy { .. } | Failure::ProxyAuthentication { .. }))
}

/// The way to ACT's answers, with a note of each step.
struct Walk<'a> {
    subject: &'a Subject<'a>,
    steps: Vec<Step>,
}

impl Walk<'_> {
    fn go(&mut self, token: &Result<Token, TokenError>, network: &Network) -> Result<Answers, Box<Problem>> {
        let account = self.subject.account;
        let token = match token {
            Ok(token) => {
                self.held("token", source(&account.token));
                token
            }
            Err(error) => return Err(self.stop("token", error.what.clone(), cause::without_token(error))),
        };
        let hop = route::next_hop(&account.endpoint, network).map_err(|failure| self.failed("route", failure))?;
        let addresses = match hop.resolve() {
            Ok(addresses) => addresses,
            Err(failure) => return Err(self.failed("DNS", failure)),
        };
        if !hop.is_address() {
            self.held("DNS", format!("{} is {}", hop.host, route::list(&addresses)));
        }
        match hop.connect(&addresses) {
            Ok(address) => self.held(
                "connection",
                match &hop.proxy {
                    Some(place) => format!("to the proxy at {address} ({place})"),
                    None => format!("to {address}"),
                },
            ),
            Err(failure) => return Err(self.failed("connection", failure)),
        }
        let upstream = Upstream::new(&account.endpoint, network, Limits::default())
            .map_err(|failure| self.failed("route", failure))?;
        let authorization = token.authorization(&account.user);
        let asked = |authorization: Option<&str>, alias: &str| {
            let answer = upstream.request(authorization, alias, question::EMPTY);
            (judge(answer.as_ref(), 0, SystemTime::now()), answer.err())
        };
        let (main, failure) = asked(Some(&authorization), &self.subject.alias.id);
        if let Some(failure) = failure {
            return Err(self.unanswered(&hop, failure));
        }
        self.through(&hop);
        Ok(question::with_controls(main, &self.subject.alias.id, &authorization, |authorization, alias| {
            asked(authorization, alias).0
        }))
    }

    /// A request came to an answer: proxy and TLS did their part.
    fn through(&mut self, hop: &route::Hop) {
        if hop.proxy.is_some() {
            self.held("proxy", format!("{} lets us through to {}", hop.host, hop.target));
        }
        if self.subject.account.endpoint.starts_with("https:") {
            self.held("TLS", format!("the certificate of {} is trusted", hop.target));
        }
    }

    /// A request got no answer: the failure tells at which step it stopped.
    fn unanswered(&mut self, hop: &route::Hop, failure: Failure) -> Box<Problem> {
        let step = match &failure {
            Failure::Proxy { .. } | Failure::ProxyAuthentication { .. } | Failure::ProxySetting { .. } => "proxy",
            Failure::Tls(_) => {
                if hop.proxy.is_some() {
                    self.held("proxy", format!("{} lets us through to {}", hop.host, hop.target));
                }
                "TLS"
            }
            _ => "answer",
        };
        self.failed(step, failure)
    }

    fn held(&mut self, name: &'static str, seen: String) {
        self.steps.push(Step { name, state: Progress::Held, seen });
    }

    fn failed(&mut self, name: &'static str, failure: Failure) -> Box<Problem> {
        let verdict = Verdict::Waiting { reason: Reason::Failure(failure.clone()), retry_after: None };
        let held = Verdict::Held(Reason::Failure(failure.clone()));
        let verdict = if matches!(failure, Failure::ProxyAuthentication { .. }) { held } else { verdict };
        let problem = cause::explain(&verdict, &self.subject.whose()).1.unwrap_or_else(|| unreachable!("a failure"));
        self.stop(name, problem.said.clone(), problem)
    }

    fn stop(&mut self, name: &'static str, seen: String, problem: Problem) -> Box<Problem> {
        self.steps.push(Step { name, state: Progress::Stopped, seen });
        Box::new(problem)
    }

    fn finding(self, problem: Option<Problem>, code: u8) -> Finding {
        let Subject { name, account_name, account, .. } = self.subject;
        Finding {
            alias: (*name).to_owned(),
            account: (*account_name).to_owned(),
            endpoint: account.endpoint.clone(),
            steps: self.steps,
            problem,
            code,
        }
    }
}

/// Where the token came from, in words.
fn source(source: &TokenSource) -> String {
    match source {
        TokenSource::Command(argv) => format!("from the command {}", argv.join(" ")),
        TokenSource::File(path) => format!("from the file {}", path.display()),
        TokenSource::Env(name) => format!("from the variable {name}"),
    }
}
