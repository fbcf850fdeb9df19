//! C2: the relay's endpoint is open to the one who knows its secret, and bounded for everybody.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::act::Act;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{DEADLINE, eventually, fake_claude, process};

/// A claude that waits, with its relay.
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

    /// The status a request gets.
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

    /// The most memory its relay ever had, in MiB.
    fn most_memory(&self) -> usize {
        let status = std::fs::read_to_string(self.relay().file("status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") / 1024
    }

    /// Lets claude go on; all must be as ever.
    fn end(self) {
        std::fs::write(self.sandbox.root().join("go"), "").unwrap();
        let output = self.child.wait_with_output().unwrap();
        let said = output.err();
        assert_eq!(output.code(), 0, "{said}");
        assert!(said.starts_with("act-claude: billing: 1 export delivered (2 points)\n"), "{said}");
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
    session.end();
}

/// What inflates to 400 MiB is not inflated further than it may be large.
#[test]
fn c2_a_bomb_takes_no_memory() {
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
    session.end();
}

#[test]
fn c2_the_secret_has_128_bits_and_only_this_machine_is_served() {
    let (one, other) = (Session::start(), Session::start());
    for session in [&one, &other] {
        let secret = session.path.strip_prefix('/').unwrap().strip_suffix("/v1/metrics").unwrap();
        assert!(secret.len() == 32 && secret.chars().all(|c| c.is_ascii_hexdigit()), "{secret}");
        let (host, port) = session.host.split_once(':').unwrap();
        assert_eq!(host, "127.0.0.1");
        // Bound to this one address, not to every one of the machine.
        assert!(TcpStream::connect(format!("127.0.0.2:{port}")).is_err());
    }
    assert_ne!(one.path, other.path);
    one.end();
    other.end();
}

#[test]
fn c2_slow_and_many_clients_are_cut_off() {
    let session = Session::start();
    // Awake, and its own files open.
    assert_eq!(session.status("POST", "/", JSON, b"{}"), 404);
    let before = session.descriptors();
    let mut slow = session.connect();
    slow.write_all(b"POST / HTTP/1.1\r\nHost:").unwrap();
    let mut stalled = session.connect();
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: 100\r\n\r\n{{", session.path);
    stalled.write_all(head.as_bytes()).unwrap();
    // More than it serves at a time; they say nothing, and go by themselves.
    let idle: Vec<TcpStream> = (0..100).map(|_| session.connect()).collect();
    let start = Instant::now();
    let mut most = 0;
    eventually("64 connections", || {
        most = most.max(session.descriptors().saturating_sub(before));
        (most >= 60 && start.elapsed() > Duration::from_secs(1)).then_some(())
    });
    // 64, give or take a file of its own.
    assert!(most < 70, "{most} connections at a time");
    for stream in [&mut slow, &mut stalled] {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.contains("408"), "{answer}");
    }
    // Ten seconds each, and a busy machine's share.
    assert!(start.elapsed() < Duration::from_secs(25), "cut off after {:?}", start.elapsed());
    drop(idle);
    session.end();
}
