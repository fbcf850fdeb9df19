//! Asks the destinations of copies whether they take an export, without sending data: each once, whichever aliases use it.

use std::time::SystemTime;

use super::way::{Receiver, Way};
use super::{Checked, Finding, Step, StepState, Subject, in_parallel, question, source};
use crate::claude::network::{self, Network};
use crate::claude::own_pipeline::{self, OwnPipeline, Unfit};
use crate::claude::settings;
use crate::config::copies::Destination;
use crate::config::token::{self, SecretHeaders, TokenError};
use crate::config::typed::secret;
use crate::config::{Loaded, Pipeline};
use crate::delivery::cause;
use crate::delivery::verdict::{Answer, Reason, Verdict, judge_copy};
use crate::state::outcome::Problem;
use crate::system::environment::Environment;
use crate::text::json::Fault;

/// A destination to ask.
struct Asked<'a> {
    name: &'a str,
    aliases: Vec<String>,
    to: To<'a>,
}

/// Where a destination is from.
enum To<'a> {
    Configured(&'a Destination),
    Own(OwnPipeline),
}

/// Asks the destinations that get the exports of these aliases. A copy that can't be used, and a pipeline of the user's own that
/// can't get a copy, are findings, too.
pub fn run_all(subjects: &[Subject<'_>], loaded: &Loaded, environment: &Environment) -> Vec<Finding> {
    let broken = loaded.faults.iter().filter(|fault| loaded.config.broken.is_of_copy(fault));
    let mut findings: Vec<Finding> = broken.map(|fault| unusable(loaded, fault)).collect();
    let directory = std::env::current_dir().unwrap_or_default();
    let layers = settings::read(&directory, &[], environment);
    let mut all = configured(subjects, loaded);
    if loaded.config.own_pipeline() == Pipeline::Copy {
        let aliases: Vec<String> = subjects.iter().map(|subject| subject.name.to_owned()).collect();
        match own_pipeline::find(environment, &layers, &loaded.config.endpoints()) {
            Some(Ok(own)) => all.push(Asked { name: own_pipeline::NAME, aliases, to: To::Own(own) }),
            Some(Err(why)) => findings.push(unfit(why, aliases)),
            None => {}
        }
    }
    if !all.is_empty() {
        let network = Network::new(environment.clone(), network::of_layers(&layers), &directory);
        findings.extend(in_parallel(&all, |asked| check(asked, &network, environment)));
    }
    findings
}

/// The destinations of the configuration, each with those of the aliases that use it.
fn configured<'a>(subjects: &[Subject<'_>], loaded: &'a Loaded) -> Vec<Asked<'a>> {
    let asked = |(name, destination): (&'a String, &'a crate::config::Located<Destination>)| {
        let gets = |subject: &&Subject<'_>| loaded.config.copies_of(subject.name).any(|(other, _)| other == name);
        let aliases: Vec<String> = subjects.iter().filter(gets).map(|subject| subject.name.to_owned()).collect();
        (!aliases.is_empty()).then(|| Asked { name, aliases, to: To::Configured(&destination.value) })
    };
    loaded.config.copies.iter().filter_map(asked).collect()
}

/// Asks one destination.
fn check(asked: &Asked<'_>, network: &Network, environment: &Environment) -> Finding {
    let endpoint = match &asked.to {
        To::Configured(destination) => destination.endpoint.as_str(),
        To::Own(own) => &own.endpoint,
    };
    let mut way = Way::to(Receiver::Copy { name: asked.name, endpoint });
    let (unproven, problem) = match ask(asked, &mut way, network, environment) {
        Ok(answer) => {
            let verdict = judge_copy(Ok(&answer), 0, SystemTime::now());
            let (step, unproven, problem) = conclude(&verdict, way.receiver.explain(&verdict));
            way.steps.push(step);
            (unproven, problem)
        }
        Err(problem) => (String::new(), Some(*problem)),
    };
    // The URL of somebody else's settings may hold a secret.
    let endpoint = secret::address(endpoint);
    finding(asked.name, &asked.aliases, endpoint, way.steps, problem).unproven(unproven)
}

/// Fetches the headers and sends an export without metrics.
fn ask(
    asked: &Asked<'_>,
    way: &mut Way<'_>,
    network: &Network,
    environment: &Environment,
) -> Result<Answer, Box<Problem>> {
    let headers = match headers(&asked.to, environment) {
        Ok((headers, seen)) => {
            if !headers.is_empty() {
                way.passed("headers", seen);
            }
            headers
        }
        Err(error) => return Err(way.stop("headers", error.what.clone(), cause::without_token(&error))),
    };
    let secrets: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    way.ask(network, |upstream| upstream.send(&[], &secrets, question::EMPTY)).map(|(_, answer)| answer)
}

/// The headers, and where they are from. In the user's own pipeline, a name may be a part of a value in the wrong form.
fn headers(to: &To<'_>, environment: &Environment) -> Result<(SecretHeaders, String), TokenError> {
    match to {
        To::Own(own) => Ok((own.headers.clone(), "those that your own pipeline has".to_owned())),
        To::Configured(destination) => {
            let headers = token::fetch_headers(&destination.headers, environment)?;
            let seen = destination.headers.iter().map(|(name, from)| format!("{name} {}", source(from)));
            Ok((headers, seen.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// What an answer to an export without metrics shows: the step, why it is open, and the problem (pure).
fn conclude(verdict: &Verdict, problem: Option<Problem>) -> (Step, String, Option<Problem>) {
    let step = |state, seen| Step { name: "answer", state, seen };
    let warning = match verdict {
        Verdict::Delivered { warning: Some(warning) } => format!("; it says: {warning}"),
        _ => String::new(),
    };
    let Some(problem) = problem else {
        return (step(StepState::Passed, format!("it takes OTLP in JSON{warning}")), String::new(), None);
    };
    // The receivers that look at the headers first refuse them with another status.
    if let Verdict::Rejected(Reason::Status { status: 400 | 422, .. }) = verdict {
        let why = format!("{}: an export without metrics shows no more than that it does not refuse you", problem.said);
        return (step(StepState::Open, problem.said), why, None);
    }
    (step(StepState::Stopped, problem.said.clone()), String::new(), Some(problem))
}

/// A copy that can't be used because of a fault.
fn unusable(loaded: &Loaded, fault: &Fault) -> Finding {
    let copies = loaded.config.broken.copies.iter();
    let name = copies.filter(|(_, other)| *other == fault).map(|(name, _)| secret::value(name)).next();
    let said = fault.to_string();
    let cause = "This copy gets nothing, ACT gets everything".to_owned();
    let problem = Problem { said: said.clone(), cause, fix: String::new(), code: 78 };
    let steps = vec![Step { name: "configuration", state: StepState::Stopped, seen: said }];
    finding(name.as_deref().unwrap_or_default(), &[], String::new(), steps, Some(problem))
}

/// The user's own pipeline, which can't get a copy.
fn unfit(Unfit(why): Unfit, aliases: Vec<String>) -> Finding {
    let cause =
        "Your own pipeline can't get a copy, so it gets your metrics as before, and ACT gets nothing".to_owned();
    let fix = "act-claude act doctor".to_owned();
    let problem = Problem { said: why.clone(), cause, fix, code: 78 };
    let steps = vec![Step { name: "pipeline", state: StepState::Stopped, seen: why }];
    finding(own_pipeline::NAME, &aliases, String::new(), steps, Some(problem))
}

fn finding(name: &str, aliases: &[String], endpoint: String, steps: Vec<Step>, problem: Option<Problem>) -> Finding {
    let code = problem.as_ref().map_or(0, |problem| problem.code);
    let checked = Checked::Copy { name: name.to_owned(), aliases: aliases.to_vec() };
    Finding { checked, endpoint, steps, unproven: String::new(), problem, code }
}

impl Finding {
    fn unproven(self, unproven: String) -> Self {
        Self { unproven, ..self }
    }
}
