//! A small HTTP/1.1 server for stand-ins: reads whole requests, and sends the answers that a test defines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A request, with its body joined and inflated.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// As received, with the chunks joined.
    pub raw: Vec<u8>,
}

impl Request {
    /// A header's value; panics if it occurs twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} came twice: {:?}", self.headers);
        value
    }

    /// The body, inflated where it was compressed.
    pub fn body(&self) -> Vec<u8> {
        if self.header("content-encoding") != Some("gzip") {
            return self.raw.clone();
        }
        let mut body = Vec::new();
        flate2::read::MultiGzDecoder::new(&self.raw[..]).read_to_end(&mut body).expect("gzip");
        body
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The answer to send.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole answer.
    Full { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Another reply, after a delay.
    After(Duration, Box<Reply>),
    /// Raw bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// Raw bytes, then nothing more until the server stops or the client has closed the connection.
    Stalled(Vec<u8>),
    /// The connection is closed without an answer.
    Close,
    /// No answer until the server stops.
    Hang,
}

impl Reply {
    /// A status with a JSON body.
    pub fn json(status: u16, body: &str) -> Self {
        Self::with(status, "application/json", body)
    }

    /// A status with a body of this type.
    pub fn with(status: u16, kind: &str, body: &str) -> Self {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        Self::Full { status, headers, body: body.as_bytes().to_vec() }
    }

    /// Adds one header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Full { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// Answers requests; called on the connection's thread.
pub type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A stream to serve: plain or TLS.
pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Turns an accepted connection into a stream (TLS); `None` where that fails.
pub type Wrap = Arc<dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync>;

/// A running server on 127.0.0.1; stops when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Serves plain HTTP.
    pub fn start(handler: Handler) -> Self {
        Self::start_with(handler, Arc::new(|stream| Some(Box::new(stream))))
    }

    /// Serves the streams that `wrap` makes from connections.
    pub fn start_with(handler: Handler, wrap: Wrap) -> Self {
        Self::start_on(0, handler, wrap)
    }

    /// Serves at a port of 127.0.0.1; 0 takes a free one.
    pub fn start_on(port: u16, handler: Handler, wrap: Wrap) -> Self {
        Self::start_at(([127, 0, 0, 1], port).into(), handler, wrap)
    }

    /// Serves at an address.
    pub fn start_at(address: SocketAddr, handler: Handler, wrap: Wrap) -> Self {
        // A server that was dropped may take a moment to close this port.
        let listener = super::eventually("a port", || TcpListener::bind(address).ok());
        let address = listener.local_addr().expect("its address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, wrap, stopped) = (handler.clone(), wrap.clone(), stopped.clone());
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    if let Some(stream) = wrap(stream) {
                        serve(stream, &handler, &stopped);
                    }
                });
            }
        });
        Self { address, stop }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: Box<dyn Stream>, handler: &Handler, stop: &AtomicBool) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let mut reply = handler(&request);
        if let Reply::After(pause, then) = reply {
            std::thread::sleep(pause);
            reply = *then;
        }
        let bytes = match reply {
            Reply::Full { status, headers, body } => {
                let phrase = hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
                let phrase = phrase.unwrap_or("Status");
                let mut head = format!("HTTP/1.1 {status} {phrase}\r\nContent-Length: {}\r\n", body.len());
                headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
                [head.as_bytes(), b"\r\n", &body].concat()
            }
            Reply::Raw(bytes) => {
                let _ = stream.get_mut().write_all(&bytes);
                let _ = stream.get_mut().flush();
                return;
            }
            Reply::Stalled(bytes) => {
                let _ = stream.get_mut().write_all(&bytes);
                let _ = stream.get_mut().flush();
                // The client sends nothing more: this read ends when it closes.
                let _ = stream.read(&mut [0]);
                return;
            }
            Reply::Hang => {
                while !stop.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return;
            }
            Reply::Close | Reply::After(..) => return,
        };
        let written = stream.get_mut().write_all(&bytes).and_then(|()| stream.get_mut().flush());
        if written.is_err() || request.header("connection").is_some_and(|word| word.eq_ignore_ascii_case("close")) {
            return;
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_ascii_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request { method, path, headers, raw: Vec::new() };
    if request.header("expect").is_some() {
        // No test needs an answer to `Expect`.
        return None;
    }
    if request.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let start = request.raw.len();
            request.raw.resize(start + size, 0);
            stream.read_exact(&mut request.raw[start..]).ok()?;
            stream.read_line(&mut String::new()).ok()?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = request.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        request.raw.resize(length, 0);
        stream.read_exact(&mut request.raw).ok()?;
    }
    Some(request)
}
