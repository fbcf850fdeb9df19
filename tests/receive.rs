//! The local ACT over real connections, and `act receive` as a process.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver as Events, channel};
use std::time::{Duration, Instant};

use act_claude::rehearsal::receiver::{Account, Answer, Event, Expected, Export, Fail, OnEvent, Options, Receiver};
use base64::Engine;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};

const DEADLINE: Duration = Duration::from_secs(20);
const CANARY: &str = "canary-51f0";
const PATH: &str = "/metric-ingestion/v1/acme/otlp/public/metrics";
const BODY: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"providerType","value":{"stringValue":"P"}}]},"scopeMetrics":[{"metrics":[{"name":"claude_code.token.usage","unit":"tokens","sum":{"dataPoints":[{"attributes":[{"key":"type","value":{"stringValue":"input"}}],"asInt":"10"},{"attributes":[{"key":"type","value":{"stringValue":"output"}}],"asDouble":5}]}}]}]}]}"#;

/// A receiver with two accounts, and the events that it reports.
fn start(options: Options) -> (Receiver, Events<Event>) {
    let (sender, events) = channel();
    let on_event: OnEvent = Box::new(move |event| {
        let _ = sender.send(event);
    });
    let accounts = vec![Account::new("acme").with_credential("dev@acme.com", CANARY), Account::new("other")];
    let aliases = [("a1", "acme"), ("b1", "other")].map(|(id, account)| (id.to_owned(), Some(account.to_owned())));
    let expected = Expected { accounts, aliases: aliases.into_iter().collect() };
    (Receiver::start(Options { expected, on_event: Some(on_event), ..options }).unwrap(), events)
}

fn authorization(token: &str) -> String {
    let credential = format!("BOOMI_TOKEN.dev@acme.com:{token}");
    format!("Authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(credential))
}

fn good() -> Vec<String> {
    [&authorization(CANARY), "X-Alias-Id: a1", "Content-Type: application/json", "Origin: https://claude.ai"]
        .map(str::to_owned)
        .to_vec()
}

/// The valid headers without those called `name`, plus `instead`.
fn but(name: &str, instead: &str) -> Vec<String> {
    let rest = good().into_iter().filter(|header| !header.starts_with(name));
    rest.chain((!instead.is_empty()).then(|| instead.to_owned())).collect()
}

/// Sends a request; `body` is sent as it is.
fn send(address: SocketAddr, start: &str, headers: &[String], body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!("{start} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// Head and body of the answer.
fn answer(mut stream: TcpStream) -> (String, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

/// POSTs with a Content-Length; returns status and body of the answer.
fn post(address: SocketAddr, path: &str, mut headers: Vec<String>, body: &[u8]) -> (u16, String) {
    headers.push(format!("Content-Length: {}", body.len()));
    let (head, body) = answer(send(address, &format!("POST {path}"), &headers, body));
    (head[9..12].parse().unwrap(), body)
}

fn export(events: &Events<Event>) -> Export {
    match events.try_recv().expect("an event is there before its answer") {
        Event::Export(export) => *export,
        other => panic!("{other:?}"),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_event_holds_what_was_sent_but_not_the_token() {
    let (receiver, events) = start(Options::default());
    let address = receiver.address();
    assert_eq!(receiver.endpoint("acme"), format!("http://{address}{PATH}"));
    assert!(address.ip().is_loopback());

    let accepted = (200, r#"{"partialSuccess":{}}"#.to_owned());
    assert_eq!(post(address, PATH, good(), BODY.as_bytes()), accepted);
    assert_eq!(post(address, PATH, but("-", "Content-Encoding: gzip"), &gzip(BODY.as_bytes())), accepted);
    let (one, two) = BODY.split_at(100);
    let pieces = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let chunked = but("-", "Transfer-Encoding: chunked");
    let (head, body) = answer(send(address, &format!("POST {PATH}"), &chunked, pieces.as_bytes()));
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-type: application/json"), "{head}");
    assert_eq!(body, accepted.1);

    for _ in 0..3 {
        let export = export(&events);
        assert_eq!(export.body, BODY.as_bytes());
        assert_eq!(export.sha256, <[u8; 32]>::from(Sha256::digest(BODY)));
        assert_eq!(export.account, "acme");
        assert_eq!(export.alias.as_deref(), Some("a1"));
        assert_eq!(export.user.as_deref(), Some("dev@acme.com"));
        assert_eq!(export.origin.as_deref(), Some("https://claude.ai"));
        assert_eq!(export.points(), 2);
        assert_eq!(export.answer, Answer::Accepted);
        assert!(!format!("{export:?}").contains(CANARY));
    }
}

#[test]
fn the_documented_refusals() {
    let (receiver, events) = start(Options::default());
    let large = vec![b' '; (20 << 20) + 1];
    let bomb = gzip(&large);
    let body = BODY.as_bytes();
    let table = [
        (but("Authorization", ""), body, 401, "Unauthorized"),
        (but("Authorization", &authorization("wrong")), body, 401, "Unauthorized"),
        (but("Authorization", &format!("{}x", authorization(CANARY))), body, 401, "Unauthorized"),
        (but("X-Alias-Id", ""), body, 400, "Bad Request"),
        (but("X-Alias-Id", "X-Alias-Id: zz"), body, 404, "Agent alias zz not found"),
        (but("X-Alias-Id", "X-Alias-Id: b1"), body, 400, "Alias does not belong to the specified account"),
        (but("Content-Type", "Content-Type: application/x-protobuf"), body, 400, "Bad Request"),
        (good(), &body[1..], 400, "Bad Request"),
        (good(), br#"{"resourceMetrics":[]}"#, 400, "Empty resourceMetrics in OTLP payload"),
        (good(), &large, 413, "Payload Too Large"),
        (but("-", "Content-Encoding: gzip"), &bomb, 413, "Payload Too Large"),
        (but("-", "Content-Encoding: gzip"), body, 400, "Bad Request"),
    ];
    for (headers, body, status, message) in table {
        let expected = (status, format!(r#"{{"message":"{message}"}}"#));
        assert_eq!(post(receiver.address(), PATH, headers.clone(), body), expected, "{headers:?}");
        let Answer::Refused(refusal) = export(&events).answer else { panic!("accepted: {headers:?}") };
        assert_eq!((refusal.status, refusal.message.as_str()), (status, message));
        assert!(!refusal.cause.is_empty() && !refusal.cause.contains(CANARY));
    }
}

#[test]
fn other_paths_and_methods_are_no_exports() {
    let (receiver, events) = start(Options::default());
    let not_found = (404, r#"{"message":"Not Found"}"#.to_owned());
    for path in ["/v1/metrics", "/", &PATH.replace("acme", "nobody")] {
        assert_eq!(post(receiver.address(), path, good(), BODY.as_bytes()), not_found, "{path}");
        let Ok(Event::Stray(stray)) = events.try_recv() else { panic!("no stray for {path}") };
        assert_eq!((stray.path.as_str(), stray.status), (path, 404));
    }
    let (head, body) = answer(send(receiver.address(), &format!("GET {PATH}"), &[], b""));
    assert!(head.starts_with("http/1.1 405 ") && head.contains("\r\nallow: post"), "{head}");
    assert_eq!(body, r#"{"message":"Method Not Allowed"}"#);
}

/// The path of Boomi's platform API that `act check` asks for.
#[test]
fn a_jwt_for_a_good_credential() {
    let (receiver, events) = start(Options { fail: Some(Fail::Hang), ..Options::default() });
    let jwt = |method: &str, account: &str, token: &str| {
        let start = format!("{method} /auth/jwt/generate/{account}");
        answer(send(receiver.address(), &start, &[authorization(token)], b""))
    };
    let (head, body) = jwt("GET", "acme", CANARY);
    assert!(head.starts_with("http/1.1 200 ") && head.contains("\r\ncontent-type: text/plain"), "{head}");
    assert!(body.split('.').count() == 3 && !body.contains(CANARY), "{body}");
    for (method, account, token, status) in
        [("GET", "acme", "wrong", 401), ("GET", "nobody", CANARY, 401), ("POST", "acme", CANARY, 405)]
    {
        let (head, body) = jwt(method, account, token);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert!(!body.contains('.'), "{body}");
    }
    let seen: Vec<Event> = events.try_iter().collect();
    let [Event::Jwt(good), Event::Jwt(wrong), Event::Jwt(other), Event::Stray(post)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((good.account.as_str(), good.user.as_deref(), &good.refusal), ("acme", Some("dev@acme.com"), &None));
    assert!(wrong.refusal.is_some() && other.refusal.is_some() && post.status == 405);
    assert!(!format!("{seen:?}").contains(CANARY));
}

#[test]
fn fail_switches_while_it_runs() {
    let (receiver, events) = start(Options { fail: Some(Fail::Forbidden), ..Options::default() });
    let post = || post(receiver.address(), PATH, good(), BODY.as_bytes());
    assert_eq!(post(), (403, r#"{"message":"Forbidden"}"#.to_owned()));
    receiver.set_fail(Some(Fail::Partial));
    let partial = r#"{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"2 points rejected"}}"#;
    assert_eq!(post(), (200, partial.to_owned()));
    receiver.set_fail(None);
    assert_eq!(post().0, 200);
    let answers: Vec<Option<u16>> = (0..3).map(|_| export(&events).answer.status()).collect();
    assert_eq!(answers, [Some(403), Some(200), Some(200)]);

    receiver.set_fail(Some(Fail::TooManyRequests));
    let headers = but("-", "Content-Length: 2");
    let (head, _) = answer(send(receiver.address(), &format!("POST {PATH}"), &headers, b"{}"));
    assert!(head.starts_with("http/1.1 429 ") && head.contains("\r\nretry-after: 2"), "{head}");
}

#[test]
fn a_hanging_receiver_never_answers_but_stops() {
    let (receiver, events) = start(Options { fail: Some(Fail::Hang), ..Options::default() });
    let headers = but("-", &format!("Content-Length: {}", BODY.len()));
    let mut stream = send(receiver.address(), &format!("POST {PATH}"), &headers, BODY.as_bytes());
    let Ok(Event::Export(export)) = events.recv_timeout(DEADLINE) else { panic!("no event") };
    assert_eq!(export.answer, Answer::Silence);
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");

    let address = receiver.address();
    drop(receiver);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let closed = match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(closed, "the connection outlived the receiver");
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_receiver_that_drops_answers_200_and_reports_no_event() {
    let (receiver, events) = start(Options { drop: true, ..Options::default() });
    assert_eq!(post(receiver.address(), PATH, good(), BODY.as_bytes()).0, 200);
    assert!(events.try_recv().is_err());
}

/// `act receive` as a process, killed on drop.
struct Act(Child);

impl Act {
    fn start(args: &[&str], home: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_act-claude"))
            .args(["act", "receive"])
            .args(args)
            .env_clear()
            .env("HOME", home)
            .env("COLUMNS", "80")
            .env("TZ", "America/New_York")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    /// The exit code, if the process ends before the deadline.
    fn exit(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("still running");
    }

    /// All of standard error, after the process has ended.
    fn errors(&mut self) -> String {
        let mut errors = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        errors
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads up to the line that ends the introduction; returns the address in it, and the text.
fn introduction(reader: &mut impl BufRead) -> (SocketAddr, String) {
    let mut text = String::new();
    while !text.ends_with("Ctrl-C ends.\n") {
        assert_ne!(reader.read_line(&mut text).unwrap(), 0, "ended early: {text}");
    }
    let address = text.split_once("http://").unwrap().1.split_once('/').unwrap().0.parse().unwrap();
    (address, text)
}

#[test]
fn act_receive_prints_exports_and_ends_with_totals() {
    let home = tempfile::tempdir().unwrap();
    let mut act = Act::start(&["--alias", "a1=acme"], home.path());
    let mut output = BufReader::new(act.0.stdout.take().unwrap());
    let (address, introduction) = introduction(&mut output);
    let configuration = &introduction[introduction.find('{').unwrap()..=introduction.rfind('}').unwrap()];
    let configuration: serde_json::Value = serde_json::from_str(configuration).unwrap();
    assert_eq!(configuration["accounts"]["local"]["endpoint"], format!("http://{address}{PATH}"));

    assert_eq!(post(address, PATH, good(), BODY.as_bytes()).0, 200);
    assert_eq!(post(address, PATH, but("X-Alias-Id", "X-Alias-Id: zz"), BODY.as_bytes()).0, 404);
    act.signal(Signal::SIGTERM);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(act.exit(), Some(0));
    for line in [
        "  200 accepted  a1  acme  dev@acme.com\n  P\n  claude_code.token.usage  15 tokens  input 10, output 5\n",
        "  404 refused  zz  acme  dev@acme.com\n  Agent alias zz not found\n",
        "2 exports under 2 aliases: 1 accepted, 1 refused; 2 points accepted\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(!text.contains(CANARY) && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn act_receive_json_is_nothing_but_json() {
    let home = tempfile::tempdir().unwrap();
    let mut act = Act::start(&["--json", "--fail", "503"], home.path());
    let mut notes = BufReader::new(act.0.stderr.take().unwrap());
    let (address, _) = introduction(&mut notes);
    assert_eq!(post(address, PATH, good(), BODY.as_bytes()).0, 503);
    act.signal(Signal::SIGINT);
    let mut text = String::new();
    act.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(act.exit(), Some(0));
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert_eq!((&lines[0]["status"], &lines[0]["points"]), (&503.into(), &2.into()));
    assert!(!text.contains(CANARY));
}

#[test]
fn act_receive_ends_without_a_message_when_its_reader_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let mut act = Act::start(&[], home.path());
    let mut output = BufReader::new(act.0.stdout.take().unwrap());
    introduction(&mut output);
    drop(output);
    assert_eq!(act.exit(), Some(0));
    assert_eq!(act.errors(), "");
}

#[test]
fn act_receive_says_that_a_port_is_taken() {
    let (receiver, _events) = start(Options::default());
    let home = tempfile::tempdir().unwrap();
    let port = receiver.address().port().to_string();
    let mut act = Act::start(&["--port", &port], home.path());
    assert_eq!(act.exit(), Some(1));
    let expected = format!("act-claude: act receive: port {port} is taken; --port 0 takes a free one\n");
    assert_eq!(act.errors(), expected);
}

#[test]
fn act_receive_shows_local_time() {
    if !Path::new("/usr/share/zoneinfo/America/New_York").exists() {
        assert!(std::env::var_os("CI").is_none(), "no time zone database");
        eprintln!("skipped: no time zone database");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut act = Act::start(&[], home.path());
    let mut output = BufReader::new(act.0.stdout.take().unwrap());
    let (address, _) = introduction(&mut output);
    let hour = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 3600;
    let before = hour();
    assert_eq!(post(address, PATH, good(), BODY.as_bytes()).0, 200);
    let after = hour();
    act.signal(Signal::SIGTERM);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    let line = text.lines().find(|line| line.contains("200 accepted")).unwrap();
    let shown: u64 = line[..2].parse().unwrap();
    let local = |utc: u64, behind: u64| (utc - behind) % 24;
    assert!((before..=after).any(|utc| [4, 5].iter().any(|&behind| local(utc, behind) == shown)), "{line}");
}
