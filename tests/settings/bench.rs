//! A real client beside three listeners: the account's endpoint, the endpoint in a settings file, and the default
//! address of claude's exporter for an invalid URL.

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::client::Lab;
use crate::support::http::{Reply, Request, Server};
use crate::support::sandbox::TOKEN;

use super::forms::Form;
use super::layers::{Layer, Placed};

/// Where claude exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the endpoint in the file.
    There,
    /// To 127.0.0.1:4318: the file's value is no URL.
    Default,
    /// To the endpoint in the environment: the file is not read, or has no effect.
    Environment,
    /// Nowhere.
    Nowhere,
    /// Claude ends with an error.
    Refused,
}

impl Way {
    pub fn word(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Default => "4318",
            Self::Environment => "–",
            Self::Nowhere => "nowhere",
            Self::Refused => "ends",
        }
    }

    /// Whether exports go to another endpoint than the one in the environment.
    pub fn is_led_away(self) -> bool {
        matches!(self, Self::There | Self::Default | Self::Nowhere)
    }
}

/// A listener.
struct Sink {
    server: Server,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Sink {
    fn start_on(port: u16) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let noted = requests.clone();
        let handler = move |request: &Request| {
            noted.lock().unwrap().push(request.clone());
            Reply::json(200, "{}")
        };
        let server = Server::start_on(port, Arc::new(handler), Arc::new(|stream| Some(Box::new(stream))));
        Self { server, requests }
    }

    /// The requests since the last call.
    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

/// A client with its listeners, in its own network.
pub struct Bench {
    pub lab: Lab,
    named: Sink,
    default: Sink,
}

impl Bench {
    /// `None`: the test is skipped, with a message.
    pub fn start(version: &'static str) -> Option<Self> {
        let mut lab = Lab::start(version, &["project"])?;
        // A long timeout, for a busy machine.
        lab.sandbox.set("CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS", "30000");
        let account = lab.sandbox.account(&lab.act.endpoint());
        lab.sandbox.configure(&json!({
            "accounts": {"acme": account},
            "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "CUSTOM_PROVIDER"}},
            "directories": {"~": "billing"}, "replace_endpoint": true
        }));
        Some(Self { lab, named: Sink::start_on(0), default: Sink::start_on(4318) })
    }

    /// Writes a form as a file of a layer.
    pub fn place(&self, form: &Form, layer: Layer) -> Option<Placed> {
        let url = format!("http://{}/v1/metrics", self.named.server.address());
        layer.place(form.bytes(&url), &self.lab.sandbox)
    }

    /// Where claude exports with that file, without act-claude.
    pub fn bare(&self, placed: &Placed) -> Way {
        let mut command = self.lab.claude("project", &[]);
        command.args(&placed.arguments).args(["-p", "hi"]).envs([
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &self.lab.act.endpoint()),
        ]);
        let before = self.lab.act.requests().len();
        let output = self.run(command, placed);
        let (named, default) = (self.named.take().len(), self.default.take().len());
        let environment = self.lab.act.requests().len() - before;
        match (named > 0, default > 0, environment > 0) {
            (true, false, false) => Way::There,
            (false, true, false) => Way::Default,
            (false, false, true) => Way::Environment,
            (false, false, false) if !output.status.success() => Way::Refused,
            (false, false, false) => Way::Nowhere,
            several => panic!("exports went to several places: {several:?}"),
        }
    }

    /// Runs claude through act-claude. Returns its output, and all requests to other servers than the account's endpoint.
    pub fn ours(&self, placed: &Placed, flags: &[&str]) -> (Output, Vec<Request>) {
        let mut command = self.lab.act_claude("project", flags);
        command.args(&placed.arguments).args(["-p", "hi"]).env("ACT_CLAUDE_REPORT", "always");
        let output = self.run(command, placed);
        (output, [self.named.take(), self.default.take()].concat())
    }

    fn run(&self, command: Command, placed: &Placed) -> Output {
        placed.seen_by(command, &self.lab.sandbox).output().expect("claude")
    }
}

/// Whether a request contains the account's token, plain or encoded.
pub fn holds_token(request: &Request) -> bool {
    let everything = format!("{request:?}{}", String::from_utf8_lossy(&request.body()));
    everything.contains(TOKEN) || request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
}
