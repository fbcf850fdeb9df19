//! The loopback HTTP front: one path that only claude knows, POST only, everything bounded (promise C2).

use std::convert::Infallible;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use super::intake::Accepted;
use super::intake::Intake;
use super::journal::Journal;

/// The largest export, compressed and inflated, in bytes.
pub const LARGEST: usize = 20 * 1024 * 1024;
/// More connections than claude and its agents open at once.
const CONNECTIONS: usize = 64;
/// How long a client may take over its headers, and again over its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a request is answered.
pub type Reply = Response<Full<Bytes>>;

/// Serves until dropped.
pub async fn serve(listener: TcpListener, path: Arc<str>, intake: Arc<Intake>, journal: Arc<Journal>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of descriptors: they come back when connections close.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (path, intake, journal) = (path.clone(), intake.clone(), journal.clone());
        // A connection brings a request: until that begins, it counts as one.
        let first = Arc::new(Mutex::new(Some(journal.clone().begin())));
        let begin = move || {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            first.unwrap_or_else(|| journal.clone().begin())
        };
        tokio::spawn(async move {
            talk(stream, path, begin, move |body| intake.clone().accept(body)).await;
            drop(permit);
        });
    }
}

/// Talks over one connection until its end; each export goes to `accept`. What `begin` gives is kept from a request's head to
/// its answer.
pub async fn talk<S, B, G, A, F>(stream: S, path: Arc<str>, begin: B, accept: A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Fn() -> G + Clone,
    A: Fn(Bytes) -> F + Clone,
    F: Future<Output = Accepted>,
{
    let service = hyper::service::service_fn(move |request| {
        let (path, begin, accept) = (path.clone(), begin.clone(), accept.clone());
        async move { Ok::<_, Infallible>(answer(request, &path, begin, accept).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

async fn answer<G, F: Future<Output = Accepted>>(
    request: Request<Incoming>,
    path: &str,
    begin: impl Fn() -> G,
    accept: impl Fn(Bytes) -> F,
) -> Reply {
    if !bool::from(request.uri().path().as_bytes().ct_eq(path.as_bytes())) {
        return status(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::POST {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let _begun = begin();
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let json =
        header(CONTENT_TYPE).is_some_and(|kind| kind.split(';').next().unwrap_or("").trim() == "application/json");
    if !json {
        return status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let gzip = match header(CONTENT_ENCODING).as_deref() {
        None | Some("identity") => false,
        Some("gzip") => true,
        Some(_) => return status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    };
    let body = match tokio::time::timeout(PATIENCE, Limited::new(request.into_body(), LARGEST).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return status(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Ok(Err(_)) => return status(StatusCode::BAD_REQUEST),
        Err(_) => return status(StatusCode::REQUEST_TIMEOUT),
    };
    let body = if gzip {
        match inflate(&body) {
            Ok(body) => Bytes::from(body),
            Err(code) => return status(code),
        }
    } else {
        body
    };
    match accept(body).await {
        Accepted::Taken | Accepted::Unrouted => {
            json_reply(StatusCode::OK, Bytes::from_static(b"{\"partialSuccess\":{}}"))
        }
        Accepted::Answered { status, body } => {
            json_reply(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), body.into())
        }
        Accepted::NoExport => status(StatusCode::BAD_REQUEST),
        Accepted::Lost => status(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, StatusCode> {
    let mut inflated = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(body).take(LARGEST as u64 + 1);
    decoder.read_to_end(&mut inflated).map_err(|_| StatusCode::BAD_REQUEST)?;
    if inflated.len() > LARGEST { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(inflated) }
}

fn status(code: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = code;
    reply
}

fn json_reply(code: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = code;
    reply.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    reply
}
