//! A loopback HTTP server on its own thread, for the local ACT and for the stand-in of the Messages API.
//!
//! The relay has a server of its own, because it limits the number of connections and tells claude from other clients.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

/// How long a client may take to send the head of a request, and its body.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait after a connection could not be accepted, for example because no descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// The response to a request.
pub type Answer = Response<Full<Bytes>>;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `port` of 127.0.0.1 (0: the system chooses one), and serves on a thread named `name`.
    ///
    /// # Errors
    /// Where the port is taken, or no socket, thread or runtime can be created.
    pub fn start<S, F>(name: &str, port: u16, serve: S) -> io::Result<Self>
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _guard = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.spawn(accept(listener, serve));
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept<S, F>(listener: tokio::net::TcpListener, serve: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let serve = serve.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let serve = serve.clone();
                async move { Ok::<_, Infallible>(serve(request).await) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT);
            // Errors of one connection do not concern the server.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
