//! Listens on 127.0.0.1, reads each request within limits, and answers as [`mod@check`] decides.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, ORIGIN, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Fail, Refusal};
use super::check::{self, Expected, check};
use super::event::{Event, Export, JwtRequest, Stray};
use super::platform;
use crate::rehearsal::server::{READ_TIMEOUT, Server};

/// The largest body that is read, both compressed and decompressed, in bytes: 20 MiB.
const LIMIT: usize = 20 << 20;

/// A callback for each request. It is called on the server's thread, before the answer is sent.
pub type OnEvent = Box<dyn Fn(Event) + Send + Sync>;

/// How a receiver listens and answers. The default accepts any alias of any account, on a port that the system chooses.
#[derive(Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// The answer that every export gets. `None`: the checks decide.
    pub fail: Option<Fail>,
    /// The accounts and aliases that are accepted.
    pub expected: Expected,
    /// Whether to answer normally but emit no event for exports, as an ACT would that loses what it accepted.
    pub drop: bool,
    /// Called for each request. A client that has its answer can rely on the event having been emitted.
    pub on_event: Option<OnEvent>,
}

/// A running receiver. Dropping it stops it.
#[derive(Debug)]
pub struct Receiver {
    server: Server,
    fail: Arc<Mutex<Option<Fail>>>,
}

impl Receiver {
    /// Listens, and serves on its own thread.
    ///
    /// # Errors
    /// Where the port is taken, or no socket, thread or runtime can be created.
    pub fn start(options: Options) -> io::Result<Self> {
        let fail = Arc::new(Mutex::new(options.fail));
        let service = Arc::new(Service {
            fail: Arc::clone(&fail),
            expected: options.expected,
            drop: options.drop,
            on_event: options.on_event,
        });
        let server = Server::start("receive", options.port, move |request| {
            let service = Arc::clone(&service);
            async move { service.serve(request).await }
        })?;
        Ok(Self { server, fail })
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The metrics endpoint of an account, for a configuration.
    pub fn endpoint(&self, account: &str) -> String {
        format!("http://{}{BEFORE}{account}{AFTER}", self.address())
    }

    /// Sets the answer that every export gets from now on. `None`: the checks decide.
    pub fn set_fail(&self, fail: Option<Fail>) {
        *self.fail.lock().unwrap_or_else(PoisonError::into_inner) = fail;
    }
}

/// The parts of the path before and after the account id.
const BEFORE: &str = "/metric-ingestion/v1/";
const AFTER: &str = "/otlp/public/metrics";

/// The account id in a path, if the path is a metrics endpoint.
fn account(path: &str) -> Option<&str> {
    let id = path.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

struct Service {
    fail: Arc<Mutex<Option<Fail>>>,
    expected: Expected,
    drop: bool,
    on_event: Option<OnEvent>,
}

impl Service {
    async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        if let Some(account) = platform::account(head.uri.path()) {
            return self.jwt(&head, account);
        }
        let known = |id: &&str| {
            self.expected.accounts.is_empty() || self.expected.accounts.iter().any(|account| account.id == **id)
        };
        let Some(account) = account(head.uri.path()).filter(known) else {
            return self.stray(&head, 404, "Not Found");
        };
        if head.method != Method::POST {
            return self.not_allowed(&head, "POST");
        }
        let body = match read(body).await {
            Ok(body) => inflate(&body, head.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes())),
            Err(refusal) => Err(refusal),
        };
        let export = self.decide(&head, account, body);
        let answer = export.answer.clone();
        if !self.drop {
            self.tell(Event::Export(Box::new(export)));
        }
        let Some(status) = answer.status() else { return std::future::pending().await };
        let mut response = respond(status, &answer.body());
        if let Some(seconds) = answer.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    fn decide(&self, head: &Parts, account: &str, body: Result<Vec<u8>, Refusal>) -> Export {
        let header = |name: HeaderName| head.headers.get(name).map(|value| value.as_bytes());
        let checked = check(
            &check::Request {
                account,
                authorization: header(AUTHORIZATION),
                alias: header(HeaderName::from_static("x-alias-id")),
                content_type: header(CONTENT_TYPE),
                body: body.as_deref(),
            },
            &self.expected,
        );
        let points = checked.payload.as_ref().map_or(0, super::payload::Payload::points);
        let fail = *self.fail.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match (fail, checked.refusal) {
            (None | Some(Fail::Partial), Some(refusal)) => Answer::Refused(refusal),
            (fail, _) => {
                fail.and_then(|fail| fail.answer(checked.alias.as_deref(), points)).unwrap_or(Answer::Accepted)
            }
        };
        let body = body.unwrap_or_default();
        Export {
            received: SystemTime::now(),
            account: account.to_owned(),
            alias: checked.alias,
            user: checked.user,
            origin: header(ORIGIN).map(|origin| String::from_utf8_lossy(origin).into_owned()),
            sha256: Sha256::digest(&body).into(),
            body,
            payload: checked.payload,
            answer,
        }
    }

    /// Answers a request for a JWT: plain text, as documented.
    fn jwt(&self, head: &Parts, account: &str) -> Response<Full<Bytes>> {
        if head.method != Method::GET {
            return self.not_allowed(head, "GET");
        }
        let authorization = head.headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let (user, refusal) = platform::check(account, authorization, &self.expected);
        let response = match &refusal {
            Some(refusal) => respond(refusal.status, &json!({ "message": refusal.message })),
            None => {
                let jwt = platform::jwt(user.as_deref().unwrap_or_default(), account);
                let mut response = Response::new(Full::new(Bytes::from(jwt)));
                let kind = hyper::header::HeaderValue::from_static("text/plain");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
        };
        let received = SystemTime::now();
        self.tell(Event::Jwt(JwtRequest { received, account: account.to_owned(), user, refusal }));
        response
    }

    fn not_allowed(&self, head: &Parts, method: &'static str) -> Response<Full<Bytes>> {
        let mut response = self.stray(head, 405, "Method Not Allowed");
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(method));
        response
    }

    fn stray(&self, head: &Parts, status: u16, message: &str) -> Response<Full<Bytes>> {
        self.tell(Event::Stray(Stray {
            received: SystemTime::now(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            status,
        }));
        respond(status, &json!({ "message": message }))
    }

    fn tell(&self, event: Event) {
        if let Some(on_event) = &self.on_event {
            on_event(event);
        }
    }
}

fn respond(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("our own statuses are valid");
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(READ_TIMEOUT, Limited::new(body, LIMIT).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large("the body is larger than 20 MiB")),
        Ok(Err(_)) => Err(Refusal::bad_request("the connection ended before the whole body arrived")),
        Err(_) => Err(Refusal::bad_request("the body did not arrive within 30 s")),
    }
}

fn inflate(body: &[u8], encoding: Option<&[u8]>) -> Result<Vec<u8>, Refusal> {
    match encoding.map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"identity" | b"") => Ok(body.to_vec()),
        Some(b"gzip") => {
            let mut inflated = Vec::new();
            let read = MultiGzDecoder::new(body).take(LIMIT as u64 + 1).read_to_end(&mut inflated);
            match read {
                Err(_) => Err(Refusal::bad_request("Content-Encoding is gzip, but the body is not")),
                Ok(length) if length > LIMIT => Err(Refusal::too_large("the inflated body is larger than 20 MiB")),
                Ok(_) => Ok(inflated),
            }
        }
        Some(other) => Err(Refusal::bad_request(format!(
            "Content-Encoding {} is not supported, gzip is",
            String::from_utf8_lossy(other)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_metrics_endpoints_have_an_account() {
        assert_eq!(account("/metric-ingestion/v1/acme-A1/otlp/public/metrics"), Some("acme-A1"));
        for other in [
            "/",
            "/v1/metrics",
            "/metric-ingestion/v1//otlp/public/metrics",
            "/metric-ingestion/v1/otlp/public/metrics",
            "/metric-ingestion/v1/a/b/otlp/public/metrics",
            "/metric-ingestion/v1/a/otlp/public/metrics/",
            "/x/metric-ingestion/v1/a/otlp/public/metrics",
        ] {
            assert_eq!(account(other), None, "{other}");
        }
    }

    #[test]
    fn inflated_bodies_are_bounded() {
        use std::io::Write;
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(inflate(&gzip(b"{}"), Some(b"GZIP")).unwrap(), b"{}");
        assert_eq!(inflate(b"{}", None).unwrap(), b"{}");
        assert_eq!(inflate(&gzip(&vec![b' '; LIMIT]), Some(b"gzip")).unwrap().len(), LIMIT);
        assert_eq!(inflate(&gzip(&vec![b' '; LIMIT + 1]), Some(b"gzip")).unwrap_err().status, 413);
        assert_eq!(inflate(b"{}", Some(b"gzip")).unwrap_err().status, 400);
        assert_eq!(inflate(b"{}", Some(b"br")).unwrap_err().status, 400);
    }
}
