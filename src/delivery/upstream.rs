//! The connection to ACT: HTTPS with keep-alive, through a proxy where there is one, no redirects.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderValue, Response};
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;

use crate::claude::network::Network;
use crate::config::is_loopback;
use crate::delivery::verdict::{Answer, Failure, LONGEST_BODY};

use super::addresses::Addresses;
use super::mask::mask;
use super::proxy::{self, Proxy};
use super::roots;
use super::tls;

/// Time limits of a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// For the whole request, until its answer is complete.
    pub whole: Duration,
}

/// A request that began before claude had ended ends within the 30 s that `--verify` waits and that a relay drains. With the same
/// limit, its result would depend on milliseconds.
impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), whole: Duration::from_secs(25) }
    }
}

/// A client for one endpoint.
#[derive(Debug)]
pub struct Upstream {
    agent: Agent,
    addresses: Addresses,
    endpoint: String,
    host: String,
    through: Option<Through>,
    /// A file of certificates that is named but gives none.
    unused_roots: Option<roots::Unused>,
}

/// The proxy, as messages name it.
#[derive(Debug)]
struct Through {
    /// Host and port.
    address: String,
    /// The variable that names it, or the settings key.
    place: String,
    /// How to set credentials for it.
    with_credentials: String,
}

impl Through {
    fn new(proxy: &Proxy, network: &Network) -> Self {
        Self {
            address: proxy.address(),
            place: network.place(proxy.variable),
            with_credentials: network.fix(proxy.variable, "http://user:password@proxy:port"),
        }
    }

    /// The failure of a proxy that did not connect; `what` says what it did instead.
    fn failure(&self, what: &str) -> Failure {
        Failure::Proxy { place: self.place.clone(), what: format!("{} {what}", self.address) }
    }
}

/// The proxy for `endpoint`, if there is one. A setting that can't be used is a failure.
pub fn proxy_for(endpoint: &hyper::Uri, network: &Network) -> Result<Option<Proxy>, Failure> {
    proxy::proxy_for(endpoint, network).map_err(|unusable| Failure::ProxySetting {
        place: network.place(unusable.variable),
        fix: network.fix(unusable.variable, proxy::LIKE),
        why: unusable.why,
    })
}

impl Upstream {
    /// A client for `endpoint`. Root certificates are read only where they are needed.
    pub fn new(endpoint: &str, network: &Network, limits: Limits) -> Result<Self, Failure> {
        let uri: hyper::Uri = endpoint.parse().map_err(not_a_url)?;
        if uri.scheme_str() != Some("https") && !is_loopback(uri.host().unwrap_or_default()) {
            return Err(Failure::Tls("plain http is allowed only to this machine".to_owned()));
        }
        Self::of_copies(endpoint, network, limits)
    }

    /// A client for a copy's destination, where the configuration may allow plain http to another machine.
    pub fn of_copies(endpoint: &str, network: &Network, limits: Limits) -> Result<Self, Failure> {
        let uri: hyper::Uri = endpoint.parse().map_err(not_a_url)?;
        let host = uri.host().unwrap_or_default().to_owned();
        let secure = uri.scheme_str() == Some("https");
        let proxy = proxy_for(&uri, network)?;
        let through = proxy.as_ref().map(|proxy| Through::new(proxy, network));
        let proxy = match (&proxy, &through) {
            (Some(proxy), Some(through)) => Some(proxy.for_client().map_err(|_| through.failure("has no valid name"))?),
            _ => None,
        };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("act-claude/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .proxy(proxy)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_global(Some(limits.whole))
            .input_buffer_size(16 * 1024)
            .output_buffer_size(16 * 1024)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1);
        let mut unused_roots = None;
        if secure {
            let (trusted, unused) = roots::load(network);
            unused_roots = unused;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let tls = TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .unversioned_rustls_crypto_provider(provider)
                .root_certs(trusted);
            config = config.tls_config(tls.build());
        }
        let addresses = Addresses::default();
        let agent = Agent::with_parts(config.build(), DefaultConnector::default(), addresses.clone());
        Ok(Self { agent, addresses, endpoint: endpoint.to_owned(), host, through, unused_roots })
    }

    /// Sends one export to ACT, with or without a credential.
    pub fn request(&self, authorization: Option<&str>, alias_id: &str, body: &[u8]) -> Result<Answer, Failure> {
        let own = [("X-Alias-Id", alias_id), ("Origin", "https://claude.ai")];
        let secrets: Vec<_> = authorization.iter().map(|value| ("Authorization", *value)).collect();
        self.send(&own, &secrets, body)
    }

    /// Sends one export with these headers. An answer never repeats the value of a secret one.
    pub fn send(&self, headers: &[(&str, &str)], secrets: &[(&str, &str)], body: &[u8]) -> Result<Answer, Failure> {
        let mut request = self.agent.post(&self.endpoint).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, header(value)?);
        }
        for (name, value) in secrets {
            let mut value = header(value)?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        let mut answer = read(request.send(body).map_err(|error| self.failure(error))?);
        secrets.iter().for_each(|(_, value)| mask(&mut answer, value));
        Ok(answer)
    }

    /// Asks for the URL itself, with a credential, once.
    pub fn get(&self, authorization: &str) -> Result<Answer, Failure> {
        let mut value = header(authorization)?;
        value.set_sensitive(true);
        let response = self.agent.get(&self.endpoint).header("Authorization", value).call();
        let mut answer = read(response.map_err(|error| self.failure(error))?);
        mask(&mut answer, authorization);
        Ok(answer)
    }

    fn failure(&self, error: ureq::Error) -> Failure {
        self.addresses.forget();
        match error {
            ureq::Error::HostNotFound => self.unknown_host(),
            ureq::Error::Timeout(ureq::Timeout::Connect) => self.at_the_proxy("did not answer", Failure::TimedOut),
            ureq::Error::Timeout(_) => Failure::TimedOut,
            ureq::Error::ConnectProxyFailed(what) => self.through.as_ref().map_or_else(
                || Failure::Broken(what.clone()),
                |through| match what.contains("407") {
                    true => Failure::ProxyAuthentication { fix: through.with_credentials.clone() },
                    false => Failure::Proxy { place: through.place.clone(), what: proxy_words(&what) },
                },
            ),
            ureq::Error::Rustls(error) => self.tls_failure(&error),
            ureq::Error::Tls(what) => Failure::Tls(what.to_owned()),
            ureq::Error::Io(error) => self.io_failure(&error),
            other => Failure::Broken(other.to_string()),
        }
    }

    fn io_failure(&self, error: &io::Error) -> Failure {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return self.tls_failure(tls);
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => self.at_the_proxy("refused the connection", Failure::Refused),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Failure::TimedOut,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown => {
                Failure::NoRoute
            }
            io::ErrorKind::UnexpectedEof => Failure::Broken("it was closed without an answer".to_owned()),
            _ if error.to_string().contains("lookup address") => {
                self.at_the_proxy("has no address", Failure::of_look_up(error, &self.host))
            }
            _ => Failure::Broken(crate::system::error::plain(error)),
        }
    }

    /// A certificate of an unknown issuer is what happens where the file with the company's certificate can't be used.
    fn tls_failure(&self, error: &rustls::Error) -> Failure {
        use rustls::{CertificateError::UnknownIssuer, Error::InvalidCertificate};
        match (&self.unused_roots, error) {
            (Some(unused), InvalidCertificate(UnknownIssuer)) => {
                Failure::Roots { what: tls::words(error), cause: unused.said(), fix: unused.fix() }
            }
            _ => match tls::cause(error) {
                None => Failure::Tls(tls::words(error)),
                Some(cause) => Failure::Handshake { what: tls::words(error), cause },
            },
        }
    }

    fn unknown_host(&self) -> Failure {
        self.at_the_proxy("has no address", Failure::UnknownHost(self.host.clone()))
    }

    /// The failure of a look-up or a connection. With a proxy, both concern the proxy's host, so the failure is not ACT's.
    fn at_the_proxy(&self, what: &str, without: Failure) -> Failure {
        self.through.as_ref().map_or(without, |through| through.failure(what))
    }
}

fn not_a_url(_: hyper::http::uri::InvalidUri) -> Failure {
    Failure::Broken("the endpoint is not a URL".to_owned())
}

fn header(value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(value).map_err(|_| Failure::Broken("a header is malformed".to_owned()))
}

fn read(mut response: Response<ureq::Body>) -> Answer {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut answer = Answer {
        status: response.status().as_u16(),
        content_type: header("content-type"),
        retry_after: header("retry-after"),
        location: header("location"),
        ..Answer::default()
    };
    let body = response.body_mut().as_reader();
    let ended = body.take(LONGEST_BODY as u64 + 1).read_to_end(&mut answer.body);
    answer.cut = ended.is_err() || answer.body.len() > LONGEST_BODY;
    answer.body.truncate(LONGEST_BODY);
    answer
}

/// Rewrites the client's "proxy server responded 403/403" as act-claude's other messages do.
fn proxy_words(what: &str) -> String {
    let status = what.rsplit_once('/').and_then(|(_, code)| hyper::StatusCode::from_bytes(code.as_bytes()).ok());
    status.map_or_else(|| what.to_owned(), |status| format!("it answered {status}"))
}
