//! Asks ACT whether endpoint, token and alias are correct, without a session and without sending metrics.
//!
//! [`proof`] asks Boomi's platform API whether it accepts the credential, where [`platform`] knows that API. [`route`] tests the
//! way to ACT up to a connection. Then [`question`] sends ACT an export without metrics, and the same with a credential or an alias
//! id that can't exist. [`conclusion`] (pure) compares the answers. It does not assume an order in which ACT looks at credential,
//! alias and content, and concludes only what the differences between the answers show. [`copies`] asks the destinations of copies.

mod attributes;
mod command;
mod conclusion;
mod copies;
mod platform;
mod proof;
mod question;
mod route;
mod steps;
mod way;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::claude::network::Network;
use crate::config::token::{Token, TokenError};
use crate::config::typed::endpoint;
use crate::config::{Account, Alias, Config, TokenSource};
use crate::delivery::cause::{self, Whose};
use crate::delivery::upstream::{Limits, Upstream};
use crate::delivery::verdict::{Failure, judge};
use crate::state::outcome::Problem;
use crate::system::environment::Environment;

use proof::{Ask, Proof};
use way::{Receiver, Way};

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
    /// The whole configuration.
    pub config: &'a Config,
}

/// The state of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// It passed.
    Passed,
    /// It failed, and the check stopped here.
    Stopped,
    /// No answer shows whether it passed.
    Open,
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

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// An alias, at ACT.
    Alias {
        /// Its name.
        name: String,
        /// Its account's name.
        account: String,
    },
    /// A destination of copies.
    Copy {
        /// Its name.
        name: String,
        /// The aliases that were checked and whose exports it gets.
        aliases: Vec<String>,
    },
}

/// The result of a check.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What was checked.
    pub checked: Checked,
    /// The metrics URL.
    pub endpoint: String,
    /// The steps, up to the one at which it stopped.
    pub steps: Vec<Step>,
    /// Why no answer shows what is open. Empty where one does, or where ACT's answers are the reason.
    pub unproven: String,
    /// Why it stopped. `None` where all is good, or where no answer shows it.
    pub problem: Option<Problem>,
    /// The exit status: 0 where credential or alias were shown to be good, 69 where nothing was shown, and 65, 75, 77, 78 as
    /// `--verify` would give.
    pub code: u8,
}

impl<'a> Subject<'a> {
    /// The configured alias `name` with its account.
    pub fn of(config: &'a Config, name: &str) -> Option<Self> {
        let (name, alias) = config.aliases.get_key_value(name)?;
        let (account_name, account) = config.accounts.get_key_value(&alias.account)?;
        Some(Self { name, alias, account_name, account, config })
    }

    fn whose(&self) -> Whose<'a> {
        Whose { account: self.account_name, alias: self.name, endpoint: &self.account.endpoint }
    }
}

/// How many accounts or aliases are asked about in parallel.
const PARALLEL: usize = 8;

/// What is known about an account before its aliases are checked.
struct Known {
    token: Result<Token, TokenError>,
    proof: Proof,
}

/// Checks the aliases. Each account's token is fetched once, by `fetch`. Boomi is asked once about each credential of a Boomi
/// account, also where several accounts of the configuration have the same one: it may lock a user after failed logins.
pub fn run_all(
    subjects: &[Subject<'_>],
    environment: &Environment,
    fetch: fn(&TokenSource, &Environment) -> Result<Token, TokenError>,
) -> Vec<Finding> {
    let accounts: BTreeMap<&str, &Account> =
        subjects.iter().map(|subject| (subject.account_name, subject.account)).collect();
    let accounts: Vec<(&str, &Account)> = accounts.into_iter().collect();
    let network = Network::here(environment);
    let tokens =
        in_parallel(&accounts, |(name, account)| fetch(&account.token, environment).map_err(|error| error.of(name)));
    let asks: Vec<Result<Ask<'_>, String>> =
        accounts.iter().zip(&tokens).map(|((name, account), token)| proof::prepare(name, account, token)).collect();
    let mut distinct: Vec<&Ask<'_>> = Vec::new();
    for ask in asks.iter().flatten() {
        if !distinct.iter().any(|other| other.is_same(ask)) {
            distinct.push(ask);
        }
    }
    let answers = in_parallel(&distinct, |ask| ask.carry_out(&network));
    let proof = |ask: &Result<Ask<'_>, String>| match ask {
        Ok(ask) => match distinct.iter().position(|other| other.is_same(ask)) {
            Some(index) => answers[index].clone(),
            None => unreachable!("each is among the distinct ones"),
        },
        Err(why) => Proof::Open(why.clone()),
    };
    let proofs: Vec<Proof> = asks.iter().map(proof).collect();
    drop(asks);
    let known = tokens.into_iter().zip(proofs).map(|(token, proof)| Known { token, proof });
    let known: BTreeMap<&str, Known> = accounts.iter().map(|(name, _)| *name).zip(known).collect();
    in_parallel(subjects, |subject| check(subject, &known[subject.account_name], &network, environment))
}

/// Does `work` for all, a few in parallel. The results have the same order.
fn in_parallel<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let work = &work;
    let some_of = |some: &[T]| -> Vec<R> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|one| scope.spawn(move || work(one))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        })
    };
    all.chunks(PARALLEL).flat_map(some_of).collect()
}

/// The hosts to which a check sends an account's token, each with its port where the URL names one: ACT's, and that of Boomi's
/// platform API where it is known.
pub fn hosts(account: &Account) -> (String, Option<String>) {
    let act = endpoint::address(&account.endpoint);
    (act.unwrap_or_default(), platform::question(account).ok().map(|question| question.host))
}

/// Checks one alias.
fn check(subject: &Subject<'_>, known: &Known, network: &Network, environment: &Environment) -> Finding {
    let mut way = Way::to(Receiver::Act(subject.whose()));
    let (mut problem, mut code) = match ask(subject, &mut way, known, network) {
        Ok(answers) => {
            let (steps, problem, code) = conclusion::conclude(&answers, &subject.whose(), &known.proof);
            way.steps.extend(steps);
            (problem.map(|problem| proof::with_user(problem, &answers.main, &known.proof, subject.account)), code)
        }
        Err(problem) => (Some(*problem.clone()), problem.code),
    };
    let unproven = match &known.proof {
        Proof::Open(why) if way.steps.iter().any(|step| step.name == "credential" && step.state == StepState::Open) => {
            why.clone()
        }
        _ => String::new(),
    };
    let more = if problem.is_none() { attributes::of(subject, environment) } else { Vec::new() };
    if !more.is_empty() {
        problem = ask_attributes(subject, &mut way, &more, known, network);
        code = problem.as_ref().map_or(code, |problem| problem.code);
    }
    let Subject { name, account_name, account, .. } = subject;
    Finding {
        checked: Checked::Alias { name: (*name).to_owned(), account: (*account_name).to_owned() },
        endpoint: account.endpoint.clone(),
        steps: way.steps,
        unproven,
        problem,
        code,
    }
}

/// Asks ACT about an alias.
fn ask(subject: &Subject<'_>, way: &mut Way<'_>, known: &Known, network: &Network) -> Result<Answers, Box<Problem>> {
    let account = subject.account;
    let token = match &known.token {
        Ok(token) => {
            way.passed("token", source(&account.token));
            token
        }
        Err(error) => return Err(way.stop("token", error.what.clone(), cause::without_token(error))),
    };
    match &known.proof {
        Proof::Accepted(id) => way.passed("credential", proof::accepted(&account.user, id)),
        // ACT is not asked: it would count one more failed login.
        Proof::Refused(id) => {
            let problem = proof::refused(&account.user, id, subject.account_name);
            return Err(way.stop("credential", problem.said.clone(), problem));
        }
        Proof::Open(_) => {}
    }
    let (authorization, id) = (token.authorization(&account.user), &subject.alias.id);
    let (upstream, answer) =
        way.ask(network, |upstream| upstream.request(Some(&authorization), id, question::EMPTY))?;
    let main = judge(Ok(&answer), 0, SystemTime::now());
    let is_proven = matches!(known.proof, Proof::Accepted(_));
    Ok(question::with_controls(main, id, &authorization, is_proven, |authorization, alias| {
        judge(upstream.request(authorization, alias, question::EMPTY).as_ref(), 0, SystemTime::now())
    }))
}

/// Asks about the attributes that `attribute` of the alias adds.
fn ask_attributes(
    subject: &Subject<'_>,
    way: &mut Way<'_>,
    more: &[(String, String)],
    known: &Known,
    network: &Network,
) -> Option<Problem> {
    let authorization = known.token.as_ref().ok()?.authorization(&subject.account.user);
    let upstream = way.receiver.client(network).ok()?;
    let ask = |export: &[u8]| {
        let answer = upstream.request(Some(&authorization), &subject.alias.id, export);
        judge(answer.as_ref(), 0, SystemTime::now())
    };
    let (step, problem) = attributes::step(subject, more, ask);
    way.steps.push(step);
    problem
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

/// The token's source, as text.
fn source(source: &TokenSource) -> String {
    match source {
        // Its arguments may be secrets.
        TokenSource::Command(argv) => format!("from the command {}", argv.first().map_or("", String::as_str)),
        TokenSource::File(path) => format!("from the file {}", path.display()),
        TokenSource::Env(name) => format!("from the variable {name}"),
    }
}
