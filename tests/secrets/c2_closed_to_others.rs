//! C2: only a client that knows the secret path can use the relay's endpoint, and its use of resources is bounded for
//! all clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::act::Act;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{DEADLINE, eventually, fake_claude, process, user as support_user};

/// A waiting claude with its relay.
struct Session {
    _act: Act,
    sandbox: Sandbox,
    child: Child,
    host: String,
    path: String,
}

impl Session {
    fn start() -> Self {
        let act = Act::start();
        let mut sandbox = Sandbox::new();
        sandbox.configure_one(&act.endpoint());
        let (environment, here) = (sandbox.root().join("environment"), sandbox.root().join("here"));
        let (go, post) = (sandbox.root().join("go"), "post");
        let script =
            format!("environment {}\ntouch {}\nwait {}\n{post}", environment.display(), here.display(), go.display());
        fake_claude::install(&mut sandbox, &script);
        let mut command = sandbox.act_claude(&["--report", "always", "-p", "hi"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        eventually("claude", || here.exists().then_some(()));
        let environment = String::from_utf8(std::fs::read(environment).unwrap()).unwrap();
        let endpoint = environment
            .split('\0')
            .find_map(|entry| entry.strip_prefix("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://"))
            .expect("an endpoint");
        let (host, path) = endpoint.split_once('/').unwrap();
        Self { _act: act, child, host: host.to_owned(), path: format!("/{path}"), sandbox }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// The status that answers a request.
    fn status(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> u16 {
        let mut stream = self.connect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("{answer:?}"))
    }

    fn relay(&self) -> process::Process {
        eventually("the relay", || process::relays(self.sandbox.root()).1.pop())
    }

    /// How many descriptors its relay has open.
    fn descriptors(&self) -> usize {
        std::fs::read_dir(self.relay().file("fd")).expect("its descriptors").count()
    }

    /// The maximum of its relay's memory, in MiB.
    fn most_memory(&self) -> usize {
        self.memory("VmHWM:")
    }

    fn memory(&self, what: &str) -> usize {
        let status = std::fs::read_to_string(self.relay().file("status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("a number");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") / 1024
    }

    /// Posts `count` exports of the session, each over its own connection; returns how long each took, the longest
    /// last.
    fn exports(&self, count: usize, mark: &str) -> Vec<Duration> {
        let took = (0..count).map(|index| {
            let body = format!(r#"{{"resourceMetrics":[],"{mark}":{index}}}"#);
            let start = Instant::now();
            assert_eq!(self.status("POST", &self.path, JSON, body.as_bytes()), 200, "{mark} {index}");
            start.elapsed()
        });
        let mut took: Vec<Duration> = took.collect();
        took.sort();
        took
    }

    /// Lets claude continue and end; the result must be normal.
    fn end(self) {
        self.end_with("1 export delivered (2 points)");
    }

    /// Lets claude continue and end; the report must contain `words`.
    fn end_with(self, words: &str) {
        std::fs::write(self.sandbox.root().join("go"), "").unwrap();
        let output = self.child.wait_with_output().unwrap();
        let said = output.err();
        assert_eq!(output.code(), 0, "{said}");
        assert!(said.starts_with(&format!("act-claude: billing: {words}\n")), "{said}");
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn c2_wrong_path_method_kind_and_size() {
    let session = Session::start();
    let path = session.path.clone();
    let wrong = format!("{}x{}", &path[..path.len() / 2], &path[path.len() / 2 + 1..]);
    let bomb = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b' '; (20 << 20) + 1]).unwrap();
        encoder.finish().unwrap()
    };
    assert!(bomb.len() < 100_000);
    let gzip = format!("{JSON}Content-Encoding: gzip\r\n");
    for (method, path, headers, body, expected) in [
        ("POST", "/v1/metrics", JSON, &b"{}"[..], 404),
        ("POST", "/", JSON, b"{}", 404),
        ("POST", &wrong, JSON, b"{}", 404),
        ("GET", "/", JSON, b"", 404),
        ("GET", &path, JSON, b"", 405),
        ("PUT", &path, JSON, b"{}", 405),
        ("POST", &path, "Content-Type: application/x-protobuf\r\n", b"{}", 415),
        ("POST", &path, "", b"{}", 415),
        ("POST", &path, JSON, b"[]", 400),
        ("POST", &path, JSON, b"not json", 400),
        ("POST", &path, &gzip, b"not gzip", 400),
        ("POST", &path, &gzip, &bomb, 413),
        ("POST", &path, JSON, &vec![b' '; (20 << 20) + 1], 413),
    ] {
        assert_eq!(session.status(method, path, headers, body), expected, "{method} {path} {headers:?}");
    }
    // Five of a wrong form and two that are too large; those without the secret, and what is no POST, are not counted.
    session.end_with("1 of 8 exports delivered; 7 lost: an export is larger than 20 MiB");
}

/// A body that inflates to 400 MiB is inflated only up to the size limit.
#[test]
fn c2_a_gzip_bomb_takes_no_memory() {
    let session = Session::start();
    let bomb = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b' '; 4 << 20]).unwrap();
        encoder.finish().unwrap().repeat(100)
    };
    let gzip = format!("{JSON}Content-Encoding: gzip\r\n");
    assert_eq!(session.status("POST", &session.path, &gzip, &bomb), 413);
    let most = session.most_memory();
    assert!(most < 200, "{most} MiB");
    session.end_with("1 of 2 exports delivered; 1 lost: an export is larger than 20 MiB");
}

/// Three megabytes that would grow to two hundred when the missing attributes are added.
#[test]
fn c2_a_million_resources_take_no_memory() {
    let session = Session::start();
    assert_eq!(session.status("POST", "/", JSON, b"{}"), 404);
    let before = session.most_memory();
    let body = format!(r#"{{"resourceMetrics":[{}]}}"#, vec!["{}"; 1_000_000].join(","));
    assert_eq!(session.status("POST", &session.path, JSON, body.as_bytes()), 413);
    let (most, now) = (session.most_memory(), session.memory("VmRSS:"));
    eprintln!("MiB: {before} before, {most} at most, {now} afterwards");
    assert!(most < before + 60 && now < before + 10, "{before}, {most}, {now} MiB");
    session.end_with(
        "1 of 2 exports delivered; 1 lost: an export is larger than 24 MiB. With its missing resource attributes added, it is too large to be stored",
    );
}

#[test]
fn c2_the_secret_has_128_bits_and_only_this_machine_is_served() {
    let (one, other) = (Session::start(), Session::start());
    for session in [&one, &other] {
        let secret = session.path.strip_prefix('/').unwrap().strip_suffix("/v1/metrics").unwrap();
        assert!(secret.len() == 32 && secret.chars().all(|c| c.is_ascii_hexdigit()), "{secret}");
        let (host, port) = session.host.split_once(':').unwrap();
        assert_eq!(host, "127.0.0.1");
        // Bound to this one address, not to all addresses of the machine.
        assert!(TcpStream::connect(format!("127.0.0.2:{port}")).is_err());
    }
    assert_ne!(one.path, other.path);
    one.end();
    other.end();
}

#[test]
fn c2_slow_and_many_clients_are_cut_off() {
    let session = Session::start();
    // After this request the relay is active and has its own files open.
    assert_eq!(session.status("POST", "/", JSON, b"{}"), 404);
    let before = session.descriptors();
    let mut slow = session.connect();
    slow.write_all(b"POST / HTTP/1.1\r\nHost:").unwrap();
    let mut stalled = session.connect();
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: 100\r\n\r\n{{", session.path);
    stalled.write_all(head.as_bytes()).unwrap();
    // More connections than it serves in parallel; they send nothing.
    let idle: Vec<TcpStream> = (0..100).map(|_| session.connect()).collect();
    let start = Instant::now();
    let mut most = 0;
    eventually("64 connections", || {
        most = most.max(session.descriptors().saturating_sub(before));
        (most >= 60 && start.elapsed() > Duration::from_secs(1)).then_some(())
    });
    // 64 connections, and a few files of its own.
    assert!(most < 70, "{most} connections at a time");
    for stream in [&mut slow, &mut stalled] {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.contains("408"), "{answer}");
    }
    // The limit is ten seconds for each; the rest is for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(25), "cut off after {:?}", start.elapsed());
    drop(idle);
    // The stalled one has named the path.
    session.end_with(
        "1 of 2 exports delivered; 1 lost: an export's body did not arrive in time. A header that claude's environment or settings add may be the reason: remove Content-Length from OTEL_EXPORTER_OTLP_METRICS_HEADERS and OTEL_EXPORTER_OTLP_HEADERS",
    );
}

/// Many connections to one relay, reopened as soon as they are closed, until dropped. Each one sends `says` and waits.
struct Crowd {
    stop: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// `user`: the id of another user, if the connections are not our own.
    fn start(host: &str, count: usize, user: Option<u32>, says: &'static str) -> Self {
        let (stop, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let thread = |_| {
            let (host, stop, open): (SocketAddr, _, _) = (host.parse().unwrap(), stop.clone(), open.clone());
            std::thread::spawn(move || {
                if let Some(user) = user {
                    // For this thread only: its sockets belong to that user.
                    support_user::this_thread_becomes(user);
                }
                let mut held: Vec<Option<TcpStream>> = (0..count / THREADS).map(|_| None).collect();
                while !stop.load(Ordering::SeqCst) {
                    for place in &mut held {
                        if place.as_ref().is_none_or(is_closed) {
                            *place = TcpStream::connect_timeout(&host, Duration::from_secs(1)).ok();
                            if let Some(stream) = place {
                                let _ = stream.write_all(says.as_bytes()).and_then(|()| stream.set_nonblocking(true));
                                open.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    }
                    // Once a second all closed connections are opened again.
                    std::thread::sleep(Duration::from_secs(1));
                }
            })
        };
        Self { threads: (0..THREADS).map(thread).collect(), stop, open }
    }

    /// How many connections it has opened so far.
    fn opened(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

const THREADS: usize = 4;

fn is_closed(stream: &TcpStream) -> bool {
    match (&mut &*stream).read(&mut [0; 64]) {
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        Ok(count) => count == 0,
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| thread.join().expect("ended"));
    }
}

/// What the connections send: nothing, half a head, and an incomplete body on a wrong path.
const WORDS: [&str; 3] = [
    "",
    "POST / HTTP/1.1\r\nHost: x\r\n",
    "POST /x/v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{",
];

/// While other processes open and hold any number of connections, the session's exports are answered at once.
fn crowded(count: usize, user: Option<u32>) {
    let session = Session::start();
    let quiet = session.exports(20, "quiet");
    for (index, says) in WORDS.into_iter().enumerate() {
        let crowd = Crowd::start(&session.host, count, user, says);
        eventually("the crowd", || (crowd.opened() >= count).then_some(()));
        let took = session.exports(20, &format!("crowd{index}"));
        let opened = crowd.opened();
        eprintln!(
            "{count} connections of {user:?} ({opened} opened): median {:?}, longest {:?}; before {:?}, {:?}",
            took[10], took[19], quiet[10], quiet[19]
        );
        // A tenth of a second, and more for a busy machine. Waiting for a free connection would take seconds.
        assert!(took[10] < Duration::from_millis(100) + quiet[10] * 10, "{says:?}: {took:?}; before {quiet:?}");
        assert!(took[19] < Duration::from_secs(3), "{says:?}: {took:?}");
    }
    session.end_with("81 exports delivered (2 points)");
}

#[test]
fn c2_another_user_s_connections_delay_no_export() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("becoming another user needs root");
    }
    crowded(1_000, Some(65_534));
}

/// If the system does not tell to which user connections belong, those that have not yet sent a valid request are
/// closed first.
#[test]
fn c2_connections_without_the_secret_are_closed_first() {
    crowded(300, None);
}
