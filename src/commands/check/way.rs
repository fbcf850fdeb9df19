//! The way to a receiver's answer, step by step: that of ACT, or of a destination of copies.

use super::route::{self, Hop};
use super::{Step, StepState};
use crate::claude::network::Network;
use crate::delivery::cause::{self, Whose};
use crate::delivery::upstream::{Limits, Upstream};
use crate::delivery::verdict::{Answer, Failure, Reason, Verdict};
use crate::state::outcome::Problem;

/// The receiver that is asked.
#[derive(Debug, Clone, Copy)]
pub enum Receiver<'a> {
    /// ACT.
    Act(Whose<'a>),
    /// A destination of copies.
    Copy {
        /// Its name.
        name: &'a str,
        /// Its metrics URL.
        endpoint: &'a str,
    },
}

impl Receiver<'_> {
    /// Its metrics URL.
    fn endpoint(&self) -> &str {
        match self {
            Self::Act(whose) => whose.endpoint,
            Self::Copy { endpoint, .. } => endpoint,
        }
    }

    /// The problem that a verdict means, if it means one.
    pub fn explain(&self, verdict: &Verdict) -> Option<Problem> {
        match self {
            Self::Act(whose) => cause::explain(verdict, whose).1,
            Self::Copy { name, endpoint } => cause::copy::explain(verdict, name, endpoint).1,
        }
    }

    /// A client under the rules of delivery.
    pub fn client(&self, network: &Network) -> Result<Upstream, Failure> {
        let client = match self {
            Self::Act(_) => Upstream::new,
            Self::Copy { .. } => Upstream::of_copies,
        };
        client(self.endpoint(), network, Limits::default())
    }
}

/// The way to a receiver, with the steps so far.
pub struct Way<'a> {
    /// The receiver.
    pub receiver: Receiver<'a>,
    /// The steps, up to the one at which it stopped.
    pub steps: Vec<Step>,
}

impl<'a> Way<'a> {
    /// The way to a receiver, at its beginning.
    pub fn to(receiver: Receiver<'a>) -> Self {
        Self { receiver, steps: Vec::new() }
    }

    /// Looks up the name, connects, and sends a request by `ask`. The client is for further questions.
    pub fn ask(
        &mut self,
        network: &Network,
        ask: impl FnOnce(&Upstream) -> Result<Answer, Failure>,
    ) -> Result<(Upstream, Answer), Box<Problem>> {
        let hop =
            route::next_hop(self.receiver.endpoint(), network).map_err(|failure| self.failed("route", failure))?;
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
        let upstream = self.receiver.client(network).map_err(|failure| self.failed("route", failure))?;
        match ask(&upstream) {
            Ok(answer) => {
                self.passed_network(&hop);
                Ok((upstream, answer))
            }
            Err(failure) => Err(self.unanswered(&hop, failure)),
        }
    }

    /// Notes that proxy and TLS passed, after a request was answered.
    fn passed_network(&mut self, hop: &Hop) {
        self.passed_proxy(hop);
        if self.receiver.endpoint().starts_with("https:") {
            self.passed("TLS", format!("the certificate of {} is trusted", hop.target));
        }
    }

    fn passed_proxy(&mut self, hop: &Hop) {
        if hop.proxy.is_some() {
            self.passed("proxy", format!("{} forwards to {}", hop.host, hop.target));
        }
    }

    /// Notes the step at which a request without an answer failed.
    fn unanswered(&mut self, hop: &Hop, failure: Failure) -> Box<Problem> {
        let step = match &failure {
            Failure::Proxy { .. } | Failure::ProxyAuthentication { .. } | Failure::ProxySetting { .. } => "proxy",
            Failure::Tls(_) | Failure::Roots { .. } | Failure::Handshake { .. } => {
                self.passed_proxy(hop);
                "TLS"
            }
            _ => "answer",
        };
        self.failed(step, failure)
    }

    /// Notes a step that passed.
    pub fn passed(&mut self, name: &'static str, seen: String) {
        self.steps.push(Step { name, state: StepState::Passed, seen });
    }

    fn failed(&mut self, name: &'static str, failure: Failure) -> Box<Problem> {
        let verdict = Verdict::Waiting { reason: Reason::Failure(failure.clone()), retry_after: None };
        let held = Verdict::Held(Reason::Failure(failure.clone()));
        let verdict = if matches!(failure, Failure::ProxyAuthentication { .. }) { held } else { verdict };
        let problem = self.receiver.explain(&verdict).unwrap_or_else(|| unreachable!("a failure"));
        self.stop(name, problem.said.clone(), problem)
    }

    /// Notes the step at which the way ends.
    pub fn stop(&mut self, name: &'static str, seen: String, problem: Problem) -> Box<Problem> {
        self.steps.push(Step { name, state: StepState::Stopped, seen });
        Box::new(problem)
    }
}
