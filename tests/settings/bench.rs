//! A real client beside three listeners: the account's endpoint, the one a settings file names, and where claude's exporter
//! goes when it is told nonsense.

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
    /// Where the file says.
    There,
    /// To 127.0.0.1:4318: the file's value is no URL.
    Default,
    /// Where the environment says: the file is not read, or does not count.
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

    /// Whether exports leave for somewhere else than the environment says.
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

    /// What came since this was last asked.
    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

/// A client with its listeners, in a network of its own.
pub struct Bench {
    pub lab: Lab,
    named: Sink,
    default: Sink,
}

impl Bench {
    /// `None`: skipped, with a word.
    pub fn start(version: &'static str) -> Option<Self> {
        let mut lab = Lab::start(version, &["project"])?;
        // However busy the machine is.
        lab.sandbox.set("CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS", "30000");
        let account = lab.sandbox.account(&lab.act.endpoint());
        lab.sandbox.configure(&json!({
            "accounts": {"acme": account},
            "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "CUSTOM_PROVIDER"}},
            "directories": {"~": "billing"}, "replace_endpoint": true
        }));
        Some(Self { lab, named: Sink::start_on(0), default: Sink::start_on(4318) })
    }

    /// Puts a form into a layer.
    pub fn place(&self, form: &Form, layer: Layer) -> Option<Placed> {
        let url = format!("http://{}/v1/metrics", self.named.server.address());
        layer.place(form.bytes(&url), &self.lab.sandbox)
    }

    /// Where claude, without act-claude, exports with that file.
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

    /// The same through act-claude: what it printed, and all that left for another place than the account's endpoint.
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

/// Whether the account's token is in a request, plain or encoded.
pub fn holds_token(request: &Request) -> bool {
    let everything = format!("{request:?}{}", String::from_utf8_lossy(&request.body()));
    everything.contains(TOKEN) || request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
}
