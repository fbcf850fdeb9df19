//! The connection to ACT: HTTPS with keep-alive, through a proxy where there is one, no redirects.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use ureq::Agent;
use ureq::http::{HeaderValue, Response};
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;

use zeroize::Zeroizing;

use crate::config::is_loopback;
use crate::delivery::verdict::{Answer, Failure, LONGEST_BODY};
use crate::system::environment::Environment;

use super::addresses::Addresses;
use super::{proxy, roots};

/// How long a connection may take, and a whole exchange.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until connected, TLS included.
    pub connect: Duration,
    /// Until the whole answer is there.
    pub whole: Duration,
}

/// An exchange that began before claude had gone is over before the 30 s that `--verify` waits for it, and a relay drains:
/// what became of it must not be a matter of milliseconds.
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
    /// Host and port, where there is one.
    proxy: Option<String>,
}

impl Upstream {
    /// A client for `endpoint`. Roots are read only where they are needed.
    pub fn new(endpoint: &str, environment: &Environment, limits: Limits) -> Result<Self, Failure> {
        let uri: hyper::Uri = endpoint.parse().map_err(|_| Failure::Broken("the endpoint is not a URL".to_owned()))?;
        let host = uri.host().unwrap_or_default().to_owned();
        let secure = uri.scheme_str() == Some("https");
        if !secure && !is_loopback(&host) {
            return Err(Failure::Tls("plain http only goes to this machine".to_owned()));
        }
        let proxy = match proxy::proxy_for(&uri, environment) {
            None => None,
            Some(url) => Some(ureq::Proxy::new(&url).map_err(|_| Failure::Proxy("its URL is not one".to_owned()))?),
        };
        let through = proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
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
        if secure {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let tls = TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .unversioned_rustls_crypto_provider(provider)
                .root_certs(roots::load(environment));
            config = config.tls_config(tls.build());
        }
        let addresses = Addresses::default();
        let agent = Agent::with_parts(config.build(), DefaultConnector::default(), addresses.clone());
        Ok(Self { agent, addresses, endpoint: endpoint.to_owned(), host, proxy: through })
    }

    /// Sends one export.
    pub fn post(&self, authorization: &str, alias_id: &str, body: &[u8]) -> Result<Answer, Failure> {
        self.request(Some(authorization), alias_id, body)
    }

    /// The same, also without a credential (`act check`).
    pub fn request(&self, authorization: Option<&str>, alias_id: &str, body: &[u8]) -> Result<Answer, Failure> {
        let header =
            |value: &str| HeaderValue::from_str(value).map_err(|_| Failure::Broken("a header is malformed".to_owned()));
        let mut request = self.agent.post(&self.endpoint);
        if let Some(authorization) = authorization {
            let mut authorization = header(authorization)?;
            authorization.set_sensitive(true);
            request = request.header("Authorization", authorization);
        }
        let response = request
            .header("X-Alias-Id", header(alias_id)?)
            .header("Origin", "https://claude.ai")
            .header("Content-Type", "application/json")
            .send(body)
            .map_err(|error| self.failure(error))?;
        let mut answer = read(response);
        if let Some(authorization) = authorization {
            mask(&mut answer, authorization);
        }
        Ok(answer)
    }

    fn failure(&self, error: ureq::Error) -> Failure {
        self.addresses.forget();
        match error {
            ureq::Error::HostNotFound => self.unknown_host(),
            ureq::Error::Timeout(ureq::Timeout::Connect) => self.at_the_proxy("did not answer", Failure::TimedOut),
            ureq::Error::Timeout(_) => Failure::TimedOut,
            ureq::Error::ConnectProxyFailed(what) if what.contains("407") => Failure::ProxyAuthentication,
            ureq::Error::ConnectProxyFailed(what) => Failure::Proxy(proxy_words(&what)),
            ureq::Error::Rustls(error) => Failure::Tls(tls_words(&error)),
            ureq::Error::Tls(what) => Failure::Tls(what.to_owned()),
            ureq::Error::Io(error) => self.io_failure(&error),
            other => Failure::Broken(other.to_string()),
        }
    }

    fn io_failure(&self, error: &io::Error) -> Failure {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Failure::Tls(tls_words(tls));
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => self.at_the_proxy("refused the connection", Failure::Refused),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Failure::TimedOut,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown => {
                Failure::NoRoute
            }
            io::ErrorKind::UnexpectedEof => Failure::Broken("it was closed without an answer".to_owned()),
            _ if error.to_string().contains("lookup address") => self.unknown_host(),
            _ => Failure::Broken(crate::system::error::plain(error)),
        }
    }

    fn unknown_host(&self) -> Failure {
        self.at_the_proxy("has no address", Failure::UnknownHost(self.host.clone()))
    }

    /// With a proxy it is the proxy that is looked up and connected to: what fails there is not ACT's.
    fn at_the_proxy(&self, what: &str, without: Failure) -> Failure {
        self.proxy.as_ref().map_or(without, |proxy| Failure::Proxy(format!("{proxy} {what}")))
    }
}

/// Takes the credential out of an answer that repeats what it was sent: its words go into reports and records
/// (promise C1).
fn mask(answer: &mut Answer, authorization: &str) {
    let encoded = authorization.strip_prefix("Basic ").unwrap_or(authorization);
    let plain = Zeroizing::new(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default());
    let token = plain.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default();
    // Shorter ones are no secrets, and would take ordinary words apart.
    for secret in [encoded.as_bytes(), token].into_iter().filter(|secret| secret.len() >= 8) {
        while let Some(at) = memchr::memmem::find(&answer.body, secret) {
            answer.body.splice(at..at + secret.len(), *b"***");
        }
        let text = std::str::from_utf8(secret).unwrap_or_default();
        answer.location = answer.location.take().map(|location| location.replace(text, "***"));
    }
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

/// "proxy server responded 403/403", in the words used elsewhere.
fn proxy_words(what: &str) -> String {
    let status = what.rsplit_once('/').and_then(|(_, code)| hyper::StatusCode::from_bytes(code.as_bytes()).ok());
    status.map_or_else(|| what.to_owned(), |status| format!("it answered {status}"))
}

fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer) => "the certificate's issuer is not known".to_owned(),
        rustls::Error::InvalidCertificate(BadSignature) => {
            "the certificate is not signed by the authority it names".to_owned()
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => "the certificate has expired".to_owned(),
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "the certificate is for another host".to_owned()
        }
        other => other.to_string(),
    }
}
