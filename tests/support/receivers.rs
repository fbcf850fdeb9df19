//! Two real OTLP receivers, each of another author, which tests/run installs: Rotel, and Datadog's test agent.
//!
//! What they took in is read by means other than act-claude's own: Rotel forwards it as Protocol Buffers, and what the test
//! agent keeps is decoded with OpenTelemetry's own definitions.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use base64::Engine;
use serde_json::Value;
use tempfile::TempDir;

use super::act::Act;

/// What a receiver took in: for each name of a metric, how many data points it has, and the sum of their values.
pub type Taken = BTreeMap<String, (usize, f64)>;

/// A running receiver; it ends when it is dropped.
pub trait Receiver {
    /// The URL that metrics are posted to.
    fn metrics_url(&self) -> String;

    /// All it took in so far. Rotel answers before it forwards: see `wait_for`.
    fn taken(&self) -> Taken;

    /// Waits until it has at least so many data points, and returns all it took in.
    fn wait_for(&self, points: usize) -> Taken {
        super::eventually(&format!("{points} points at {}", self.metrics_url()), || {
            let taken = self.taken();
            (taken.values().map(|(count, _)| count).sum::<usize>() >= points).then_some(taken)
        })
    }
}

/// Rotel, with an OTLP receiver of the tests behind it.
pub struct Rotel {
    running: Running,
    upstream: Act,
}

impl Rotel {
    /// At a free port. `None` where it is not installed: the test is skipped then.
    pub fn start() -> Option<Self> {
        let upstream = Act::start();
        let running = Self::forwarding(free_port, &upstream.endpoint(), None)?;
        Some(Self { running, upstream })
    }

    /// The program, which forwards to `upstream` with this header.
    pub fn forwarding(port: impl Fn() -> u16, upstream: &str, header: Option<&str>) -> Option<Running> {
        let agent = installed("target/rotel/rotel/rotel-agent")?;
        Some(Running::start(|| {
            let port = port();
            let mut command = Command::new(&agent);
            command.env_clear();
            command.args(["start", "--otlp-http-endpoint", &format!("127.0.0.1:{port}")]);
            command.args(["--otlp-grpc-endpoint", "127.0.0.1:0", "--disable-batching"]);
            command.args(["--otlp-receiver-traces-disabled", "--otlp-receiver-logs-disabled"]);
            command.args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"]);
            command.args(["--otlp-exporter-endpoint", upstream, "--otlp-exporter-metrics-endpoint", upstream]);
            command.args(["--otlp-exporter-compression", "none"]);
            command.args(header.into_iter().flat_map(|header| ["--otlp-exporter-custom-headers", header]));
            (command, port)
        }))
    }
}

impl Receiver for Rotel {
    fn metrics_url(&self) -> String {
        self.running.metrics_url()
    }

    fn taken(&self) -> Taken {
        let mut taken = Taken::new();
        for request in self.upstream.requests() {
            for metric in within(&request.body(), &[1, 2, 2]) {
                let name = within(metric, &[1]).concat();
                // A gauge, a sum.
                for point in [within(metric, &[5, 1]), within(metric, &[7, 1])].concat() {
                    let number = |field: u64| Some(<[u8; 8]>::try_from(*within(point, &[field]).first()?).unwrap());
                    let value = number(4).map(f64::from_le_bytes);
                    let value = value.or_else(|| number(6).map(|bytes| i64::from_le_bytes(bytes) as f64));
                    let entry = taken.entry(String::from_utf8(name.clone()).expect("a name")).or_default();
                    *entry = (entry.0 + 1, entry.1 + value.expect("a value"));
                }
            }
        }
        taken
    }
}

/// The contents of all fields at this path of numbers in a Protocol Buffers message.
fn within<'a>(message: &'a [u8], path: &[u64]) -> Vec<&'a [u8]> {
    let Some((number, rest)) = path.split_first() else { return vec![message] };
    let fields = fields(message).into_iter().filter(|(own, _)| own == number);
    fields.flat_map(|(_, content)| within(content, rest)).collect()
}

/// The fields of a message that are of a fixed width, or have a length.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let width = match key & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => varint(&mut message) as usize,
            5 => 4,
            other => panic!("no field has wire type {other}"),
        };
        let (content, rest) = message.split_at(width);
        found.push((key >> 3, content));
        message = rest;
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let (first, rest) = message.split_first().expect("a whole number");
        *message = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Datadog's test agent. It keeps each request, and tells it when asked. Its answer to JSON is an empty body of type
/// `application/x-protobuf`.
pub struct TestAgent {
    running: Running,
    python: PathBuf,
    _home: TempDir,
}

/// Prints, for a list of exports, what `Taken` has. Anything that is not in OpenTelemetry's definitions is an error.
const DECODE: &str = r#"
import json, sys
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest as Export
taken = {}
for body in json.load(sys.stdin):
    for resource in ParseDict(body, Export()).resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    count, sum = taken.get(metric.name, (0, 0.0))
                    taken[metric.name] = count + 1, sum + getattr(point, point.WhichOneof("value"))
print(json.dumps(taken))
"#;

impl TestAgent {
    /// At free ports. `None` where it is not installed: the test is skipped then.
    pub fn start() -> Option<Self> {
        let agent = installed("target/tools/bin/ddapm-test-agent")?;
        let home = tempfile::tempdir().expect("a directory");
        let running = Running::start(|| {
            let port = free_port();
            let mut command = Command::new(&agent);
            // Variables such as DD_SITE would configure it.
            command.env_clear().env("HOME", home.path()).current_dir(home.path());
            command.args(["--host", "127.0.0.1", "--otlp-http-port", &port.to_string()]);
            command.args(["--port", &free_port().to_string(), "--otlp-grpc-port", &free_port().to_string()]);
            command.arg("--disable-llmobs-data-forwarding");
            (command, port)
        });
        Some(Self { running, python: agent.with_file_name("python"), _home: home })
    }

    /// The headers and the body of each request for metrics, as it came.
    pub fn requests(&self) -> Vec<(BTreeMap<String, String>, Vec<u8>)> {
        let asked: Vec<Value> = serde_json::from_str(&self.ask("/test/session/requests")).expect("requests");
        let metrics = asked.iter().filter(|request| request["url"].as_str().expect("a URL").ends_with("/v1/metrics"));
        let read = |request: &Value| {
            let headers = request["headers"].as_object().expect("headers").iter();
            let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap().to_owned()));
            let body = request["body"].as_str().expect("a body");
            (headers.collect(), base64::engine::general_purpose::STANDARD.decode(body).expect("base64"))
        };
        metrics.map(read).collect()
    }

    fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.running.port)).expect("a connection");
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert_eq!(head.split_ascii_whitespace().nth(1), Some("200"), "{answer}");
        body.to_owned()
    }
}

impl Receiver for TestAgent {
    fn metrics_url(&self) -> String {
        self.running.metrics_url()
    }

    fn taken(&self) -> Taken {
        let mut decode = Command::new(&self.python);
        decode.args(["-c", DECODE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut decode = decode.spawn().expect("Python");
        decode.stdin.take().unwrap().write_all(self.ask("/test/session/metrics").as_bytes()).unwrap();
        let output = decode.wait_with_output().unwrap();
        assert!(output.status.success(), "not as OTLP defines it: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("counts")
    }
}

/// A program that listens at a port of 127.0.0.1; killed when dropped.
pub struct Running {
    child: Child,
    port: u16,
}

impl Running {
    /// Starts what `make` returns, a program and its port, and waits until it listens. Where another program has taken the port
    /// meanwhile it ends, and `make` is asked again.
    fn start(make: impl Fn() -> (Command, u16)) -> Self {
        let start = || {
            let (mut command, port) = make();
            let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Self { child: silent.spawn().expect("a receiver"), port }
        };
        let mut running = start();
        super::eventually("a receiver that listens", || {
            if running.child.try_wait().unwrap().is_some() {
                running = start();
            }
            TcpStream::connect(("127.0.0.1", running.port)).ok()
        });
        running
    }

    fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/metrics", self.port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens at, and that no system hands out by itself: no other test gets it before it is used.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16;
    super::eventually("a free port", || {
        let port = 20_000 + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    })
}

/// A program below the project's directory.
fn installed(place: &str) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
    if !program.is_file() {
        super::skip(&format!("{place} is not there: tests/run installs it"));
        return None;
    }
    Some(program)
}
