//! Asks ACT whether endpoint, token and alias are correct, without a session and without sending metrics.
//!
//! [`route`] tests the way up to a connection. Then [`question`] sends ACT an export without metrics, and the same with a credential
//! or an alias id that can't exist. [`conclusion`] (pure) compares the answers. It does not assume an order in which ACT looks at
//! credential, alias and content, and concludes only what the differences between the answers show.

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

/// The subject of a check: an alias with its account.
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

/// The state of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// It passed.
    Passed,
    /// It failed, and the check stopped here.
    Stopped,
    /// ACT's answers do not show whether it passed.
    Unclear,
}

/// One step on the way to an accepted export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// Its state.
    pub state: StepState,
    /// What was observed, as text.
    pub seen: String,
}

/// The result of a check.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The alias's name.
    pub alias: String,
    /// The account's name.
    pub account: String,
    /// The metrics URL.
    pub endpoint: String,
    /// The steps, up to the one at which it stopped.
    pub steps: Vec<Step>,
    /// Why it stopped. `None` where all is good, or where ACT's answers do not show it.
    pub problem: Option<Problem>,
    /// The exit status: 0 good, 69 unclear, and 65, 75, 77, 78 as `--verify` would give.
    pub code: u8,
}

impl<'a> Subject<'a> {
    /// The configured alias `name` with its account.
    pub fn of(config: &'a Config, name: &str) -> Option<Self> {
        let (name, alias) = config.aliases.get_key_value(name)?;
        let (account_name, account) = config.accounts.get_key_value(&alias.account)?;
        Some(Self { name, alias, account_name, account })
    }

    fn whose(&self) -> Whose<'a> {
        Whose { account: self.account_name, alias: self.name, endpoint: &self.account.endpoint }
    }
}

/// Checks one alias with a token fetched from its account's source.
pub fn run_for(subject: &Subject<'_>, environment: &Environment) -> Finding {
    run_with(subject, &token::fetch(&subject.account.token, environment), &Network::here(environment))
}

/// Checks one alias with its account's token, which was fetched before.
pub fn run_with(subject: &Subject<'_>, token: &Result<Token, TokenError>, network: &Network) -> Finding {
    let mut run = CheckRun { subject, steps: Vec::new() };
    match run.ask(token, network) {
        Ok(answers) => {
            let (steps, problem, code) = conclusion::conclude(&answers, &subject.whose());
            run.steps.extend(steps);
            run.finding(problem, code)
        }
        Err(problem) => {
            let code = problem.code;
            run.finding(Some(*problem), code)
        }
    }
}

/// Why the proxy to `endpoint` does not work. `None` also where there is no proxy. The request has no credential.
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

/// One check, with the steps so far.
struct CheckRun<'a> {
    subject: &'a Subject<'a>,
    steps: Vec<Step>,
}

impl CheckRun<'_> {
    fn ask(&mut self, token: &Result<Token, TokenError>, network: &Network) -> Result<Answers, Box<Problem>> {
        let account = self.subject.account;
        let token = match token {
            Ok(token) => {
                self.passed("token", source(&account.token));
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
            self.passed("DNS", format!("{} is {}", hop.host, route::list(&addresses)));
        }
        match hop.connect(&addresses) {
            Ok(address) => self.passed(
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
        self.passed_network(&hop);
        Ok(question::with_controls(main, &self.subject.alias.id, &authorization, |authorization, alias| {
            asked(authorization, alias).0
        }))
    }

    /// Notes that proxy and TLS passed, after a request was answered.
    fn passed_network(&mut self, hop: &route::Hop) {
        if hop.proxy.is_some() {
            self.passed("proxy", format!("{} forwards to {}", hop.host, hop.target));
        }
        if self.subject.account.endpoint.starts_with("https:") {
            self.passed("TLS", format!("the certificate of {} is trusted", hop.target));
        }
    }

    /// Notes the step at which a request without an answer failed.
    fn unanswered(&mut self, hop: &route::Hop, failure: Failure) -> Box<Problem> {
        let step = match &failure {
            Failure::Proxy { .. } | Failure::ProxyAuthentication { .. } | Failure::ProxySetting { .. } => "proxy",
            Failure::Tls(_) | Failure::Roots { .. } => {
                if hop.proxy.is_some() {
                    self.passed("proxy", format!("{} forwards to {}", hop.host, hop.target));
                }
                "TLS"
            }
            _ => "answer",
        };
        self.failed(step, failure)
    }

    fn passed(&mut self, name: &'static str, seen: String) {
        self.steps.push(Step { name, state: StepState::Passed, seen });
    }

    fn failed(&mut self, name: &'static str, failure: Failure) -> Box<Problem> {
        let verdict = Verdict::Waiting { reason: Reason::Failure(failure.clone()), retry_after: None };
        let held = Verdict::Held(Reason::Failure(failure.clone()));
        let verdict = if matches!(failure, Failure::ProxyAuthentication { .. }) { held } else { verdict };
        let problem = cause::explain(&verdict, &self.subject.whose()).1.unwrap_or_else(|| unreachable!("a failure"));
        self.stop(name, problem.said.clone(), problem)
    }

    fn stop(&mut self, name: &'static str, seen: String, problem: Problem) -> Box<Problem> {
        self.steps.push(Step { name, state: StepState::Stopped, seen });
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

/// The token's source, as text.
fn source(source: &TokenSource) -> String {
    match source {
        TokenSource::Command(argv) => format!("from the command {}", argv.join(" ")),
        TokenSource::File(path) => format!("from the file {}", path.display()),
        TokenSource::Env(name) => format!("from the variable {name}"),
    }
}
