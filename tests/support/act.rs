//! A stand-in for ACT with scripted answers; it records every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use serde_json::Value;

use super::http::{Handler, Reply, Request, Server, Wrap};

/// A running stand-in.
pub struct Act {
    server: Server,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
}

struct State {
    requests: Vec<Request>,
    reply: Arc<dyn Fn(&Request) -> Reply + Send + Sync>,
}

/// ACT's answer when all is well.
pub fn accepted() -> Reply {
    Reply::json(200, r#"{"partialSuccess":{}}"#)
}

/// The documented JSON body with a message.
pub fn refused(status: u16, message: &str) -> Reply {
    Reply::json(status, &serde_json::json!({ "message": message }).to_string())
}

impl Act {
    /// Plain HTTP; accepts everything.
    pub fn start() -> Self {
        Self::start_with("http", Arc::new(|stream| Some(Box::new(stream))))
    }

    /// Plain HTTP at this port; accepts everything.
    pub fn start_at(port: u16) -> Self {
        Self::start_on(port, "http", Arc::new(|stream| Some(Box::new(stream))))
    }

    /// HTTPS with a certificate of `tls`.
    pub fn start_tls(tls: &super::tls::Authority) -> Self {
        Self::start_with("https", tls.wrap())
    }

    /// HTTPS at an address, together with `other`, which handles requests for `/v1`.
    pub fn start_beside(other: Handler, address: SocketAddr, tls: &super::tls::Authority) -> Self {
        Self::serve(address, "https", tls.wrap(), Some(other))
    }

    fn start_with(scheme: &'static str, wrap: Wrap) -> Self {
        Self::start_on(0, scheme, wrap)
    }

    fn start_on(port: u16, scheme: &'static str, wrap: Wrap) -> Self {
        Self::serve(([127, 0, 0, 1], port).into(), scheme, wrap, None)
    }

    fn serve(address: SocketAddr, scheme: &'static str, wrap: Wrap, beside: Option<Handler>) -> Self {
        let state = Arc::new(Mutex::new(State { requests: Vec::new(), reply: Arc::new(|_| accepted()) }));
        let noted = state.clone();
        let handler: Handler = Arc::new(move |request| {
            if let Some(beside) = beside.as_ref().filter(|_| request.path.starts_with("/v1/")) {
                return beside(request);
            }
            let reply = {
                let mut state = noted.lock().unwrap();
                state.requests.push(request.clone());
                state.reply.clone()
            };
            reply(request)
        });
        Self { server: Server::start_at(address, handler, wrap), scheme, state }
    }

    /// From now on every request gets this answer.
    pub fn answer(&self, reply: Reply) {
        self.answer_by(move |_| reply.clone());
    }

    /// From now on `reply` makes the answer.
    pub fn answer_by(&self, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.state.lock().unwrap().reply = Arc::new(reply);
    }

    /// The metrics endpoint of account id `A1B2C3`.
    pub fn endpoint(&self) -> String {
        self.endpoint_of("acme-A1B2C3")
    }

    /// The metrics endpoint of an account id.
    pub fn endpoint_of(&self, account: &str) -> String {
        format!("{}/metric-ingestion/v1/{account}/otlp/public/metrics", self.origin())
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.server.address().port())
    }

    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Waits until there are at least `count`.
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        super::eventually(&format!("{count} requests at ACT"), || {
            let requests = self.requests();
            (requests.len() >= count).then_some(requests)
        })
    }
}

/// The `user:token` part, after the prefix, of a request's Authorization header.
pub fn credential(request: &Request) -> String {
    let header = request.header("authorization").expect("an Authorization header");
    let encoded = header.strip_prefix("Basic ").expect("Basic");
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
    String::from_utf8(decoded).expect("text")
}

/// The resource attributes of an export's first resource.
pub fn resource_attributes(body: &Value) -> std::collections::BTreeMap<String, String> {
    let attributes = body["resourceMetrics"][0]["resource"]["attributes"].as_array().cloned().unwrap_or_default();
    attributes
        .iter()
        .map(|attribute| {
            let value = &attribute["value"];
            let text = value["stringValue"].as_str().map_or_else(|| value.to_string(), str::to_owned);
            (attribute["key"].as_str().expect("a key").to_owned(), text)
        })
        .collect()
}

/// The names of all metrics in an export.
pub fn metric_names(body: &Value) -> Vec<String> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = list(body, "resourceMetrics")
        .iter()
        .flat_map(|resource| list(resource, "scopeMetrics"))
        .flat_map(|scope| list(&scope, "metrics"))
        .filter_map(|metric| Some(metric["name"].as_str()?.to_owned()))
        .collect();
    names.sort();
    names
}
