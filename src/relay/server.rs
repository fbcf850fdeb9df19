//! The loopback HTTP server: one path that only claude knows, POST only, with limits on everything (promise C2).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{Backlog, listen};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

pub use super::answer::IntakeAnswer;
use super::answer::Unreadable;
use super::body::{Budget, Buffer, Unread};
use super::connections::{Connection, Connections};
use super::intake::Intake;
use super::journal::{Journal, Requests};
use super::peer::{self, Peers};
use crate::delivery::cause::Unfit;
use crate::system::descriptors::is_readable;

/// At most this many connections are open. Claude and its agents open fewer.
const CONNECTIONS: u64 = 64;
/// Descriptors that the relay needs for itself: for its runtime, for files, for the connection to ACT.
const OWN_DESCRIPTORS: u64 = 24;
/// How long a client may take to name the secret path, and the same again to send a body.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before the next try to accept a connection after an error.
const SHORTAGE: Duration = Duration::from_millis(50);
/// After this time a client may have given up its export: claude waits 10 s, and its wait began before this process could
/// see the connection.
const LONG_SHORTAGE: Duration = Duration::from_secs(1);

/// The response to a request.
pub type Reply = Response<Full<Bytes>>;

/// Serves until dropped.
pub async fn serve(listener: TcpListener, path: Arc<str>, intake: Arc<Intake>, journal: Arc<Journal>) {
    // Many connections may arrive at once. One that finds no place in the queue is tried again by the kernel only after a second.
    let _ = listen(&listener, Backlog::MAXCONN);
    let connections = Connections::new(room());
    let budget = Arc::new(Budget::default());
    let mut peers = Peers::default();
    let mut is_failing = false;
    let mut waiting = None;
    let (own, here) = (nix::unistd::geteuid().as_raw(), listener.local_addr().ok());
    loop {
        let (accepted, requests) = accept(&listener, &journal).await;
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                drop(requests);
                // A shortage is reported even where no connection waits. A connection gives way only at the second error in a
                // row, so that the one accepted last has time to send its request. Another error concerns that connection only,
                // unless it comes again.
                let is_lasting = std::mem::replace(&mut is_failing, true);
                let is_waited_for = is_lasting && is_readable(&listener);
                if is_waited_for && waiting.get_or_insert_with(Instant::now).elapsed() > LONG_SHORTAGE {
                    intake.unaccepted(&error);
                }
                let has_room = is_waited_for && is_shortage(&error) && connections.give_way();
                if (is_lasting || is_shortage(&error)) && !has_room {
                    sleep(SHORTAGE).await;
                }
                // A connection that was told to close does so first.
                tokio::task::yield_now().await;
                continue;
            }
        };
        is_failing = false;
        waiting = None;
        let user = here.and_then(|here| peers.user(peer, here));
        if let Some(user) = user.filter(|user| peer::is_stranger(*user, own, || intake.routing().command_user())) {
            tracing::debug!(user, "a connection of another user is refused");
            continue;
        }
        let connection = connections.enter().await;
        let _ = stream.set_nodelay(true);
        let (path, intake, budget) = (path.clone(), intake.clone(), budget.clone());
        tokio::spawn(async move {
            serve_one(stream, path, (&connection, &requests), &budget, move |export| {
                let intake = intake.clone();
                async move {
                    match export {
                        Ok(body) => intake.accept(body).await,
                        Err(why) => intake.unreadable(why).await,
                    }
                }
            })
            .await;
        });
        // A new connection is read from before it may have to give way to another.
        tokio::task::yield_now().await;
    }
}

/// The next connection. It counts as a request in flight before the system hands it over, so that it is counted as cut off
/// when the relay is killed in between.
async fn accept(listener: &TcpListener, journal: &Arc<Journal>) -> (io::Result<(TcpStream, SocketAddr)>, Requests) {
    std::future::poll_fn(|context| {
        let requests = Requests::of(journal);
        listener.poll_accept(context).map(|accepted| (accepted, requests))
    })
    .await
}

/// How many connections there may be at a time. Where the limit on descriptors is low, it is raised as far as allowed.
fn room() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        let wanted = hard.min(CONNECTIONS + OWN_DESCRIPTORS);
        if soft >= wanted || setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_err() { soft } else { wanted }
    });
    let room = limit.map_or(CONNECTIONS, |limit| limit.saturating_sub(OWN_DESCRIPTORS));
    usize::try_from(room.clamp(2, CONNECTIONS)).unwrap_or(2)
}

/// Whether there was no descriptor or memory for a connection.
fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS))
}

/// Serves one connection until its end; each export goes to `accept`.
pub async fn talk<S, A, F>(stream: S, path: Arc<str>, accept: A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Bytes) -> F + Clone,
    F: Future<Output = IntakeAnswer>,
{
    let connection = Connections::new(1).enter().await;
    let accept = |export: Result<Bytes, Unreadable>| {
        let accept = accept.clone();
        async move {
            match export {
                Ok(body) => accept(body).await,
                Err(why) => why.answer(),
            }
        }
    };
    serve_one(stream, path, (&connection, &Requests::default()), &Budget::default(), accept).await;
}

/// A connection, and its requests in flight.
type Counted<'a> = (&'a Connection, &'a Requests);

/// Serves one of many connections: it may have to close for another one, and has to name the path in time.
async fn serve_one<S, A, F>(stream: S, path: Arc<str>, place: Counted<'_>, budget: &Budget, accept: A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Result<Bytes, Unreadable>) -> F,
    F: Future<Output = IntakeAnswer>,
{
    let (path, accept, is_refused) = (&*path, &accept, &AtomicBool::new(false));
    let accept = &move |export: Result<Bytes, Unreadable>| async move {
        let is_unread = export.is_err();
        let answer = accept(export).await;
        if is_unread || matches!(answer, IntakeAnswer::NoExport) {
            is_refused.store(true, Ordering::Relaxed);
        }
        answer
    };
    let service = hyper::service::service_fn(move |request| async move {
        Ok::<_, Infallible>(answer(request, path, place, budget, accept).await)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        // The session's connection stays open between two exports: claude may use it at any time.
        .header_read_timeout(None)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let too_late = async {
        sleep(PATIENCE).await;
        if place.0.is_known() {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = connection => ended,
        () = place.0.must_leave() => return,
        () = too_late => return,
    };
    // hyper answers what is no request. After a refused one, it may be the rest of its body.
    let is_malformed = ended.is_err_and(|error| error.is_parse());
    if is_malformed && place.0.is_known() && !is_refused.load(Ordering::Relaxed) {
        accept(Err(Unreadable::Unfit(Unfit::Malformed))).await;
    }
}

async fn answer<F: Future<Output = IntakeAnswer>>(
    request: Request<Incoming>,
    path: &str,
    (place, requests): Counted<'_>,
    budget: &Budget,
    accept: &impl Fn(Result<Bytes, Unreadable>) -> F,
) -> Reply {
    if !bool::from(request.uri().path().as_bytes().ct_eq(path.as_bytes())) {
        let mut reply = status(StatusCode::NOT_FOUND);
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return reply;
    }
    let (_served, _in_flight) = (place.serve(), requests.begin());
    if request.method() != Method::POST {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let mut body = Buffer::new(budget);
    let export = match read(request, &mut body).await {
        Ok(()) => Ok(body.take()),
        Err(Some(why)) => Err(why),
        // The client closed the connection, and may send the export again: nothing was refused.
        Err(None) => return status(StatusCode::BAD_REQUEST),
    };
    match accept(export).await {
        IntakeAnswer::Accepted | IntakeAnswer::Unrouted => {
            json_reply(StatusCode::OK, Bytes::from_static(b"{\"partialSuccess\":{}}"))
        }
        IntakeAnswer::Answered { status, body } => {
            json_reply(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), body.into())
        }
        IntakeAnswer::NoExport => status(StatusCode::BAD_REQUEST),
        IntakeAnswer::Unsupported => status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        IntakeAnswer::TooSlow => status(StatusCode::REQUEST_TIMEOUT),
        IntakeAnswer::TooLarge => status(StatusCode::PAYLOAD_TOO_LARGE),
        IntakeAnswer::Lost => status(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Reads an export. An error says why it can't be read; `None` if its client closed the connection.
async fn read(request: Request<Incoming>, body: &mut Buffer<'_>) -> Result<(), Option<Unreadable>> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let kind = header(CONTENT_TYPE).unwrap_or_default();
    match kind.split(';').next().unwrap_or("").trim() {
        "application/json" => {}
        "application/x-protobuf" | "application/protobuf" => return Err(Some(Unreadable::Unfit(Unfit::Protobuf))),
        _ => return Err(Some(Unreadable::Unfit(Unfit::ContentType))),
    }
    let gzip = match header(CONTENT_ENCODING).as_deref() {
        None | Some("identity") => false,
        Some("gzip") => true,
        Some(_) => return Err(Some(Unreadable::Unfit(Unfit::Encoding))),
    };
    let read = match body.read(request.into_body(), PATIENCE).await {
        Ok(()) if gzip => body.inflate().map(|inflated| *body = inflated),
        read => read,
    };
    read.map_err(|unread| match unread {
        Unread::TooLarge => Some(Unreadable::TooLarge),
        Unread::NoMemory => Some(Unreadable::NoMemory),
        Unread::NotGzip => Some(Unreadable::Unfit(Unfit::NotGzip)),
        Unread::Broken => Some(Unreadable::Unfit(Unfit::Malformed)),
        Unread::Slow => Some(Unreadable::Unfit(Unfit::Slow)),
        Unread::Gone => None,
    })
}

fn status(code: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = code;
    reply
}

fn json_reply(code: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = code;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}
