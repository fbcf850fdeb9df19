//! A relay that a test starts itself and talks to as the supervisor and claude do.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use act_claude::config::TokenSource;
use act_claude::delivery::target::{Credentials, Route, Target};
use act_claude::relay::protocol::{FromRelay, Start, ToRelay};
use act_claude::state::outcome::{Outcome, State};
use act_claude::system::environment::PipelineDoubt;

use crate::support;
use crate::support::sandbox::{Sandbox, USER};

/// A started relay. On drop, it is told that claude has ended, and the test waits for it.
pub struct Relay {
    pub child: Child,
    control: Option<UnixStream>,
    address: SocketAddr,
    path: String,
}

static SECRETS: AtomicU64 = AtomicU64::new(1);

/// The secret of another endpoint.
pub fn new_secret() -> String {
    format!("{:08x}{:024x}", std::process::id(), SECRETS.fetch_add(1, Ordering::Relaxed))
}

/// A session for alias `billing` of the sandbox's `configure_one`.
pub fn start_of(sandbox: &Sandbox, endpoint: &str) -> Start {
    Start {
        secret: new_secret(),
        route: Some(Route {
            target: Target {
                alias: "billing".to_owned(),
                account: "acme".to_owned(),
                endpoint: endpoint.to_owned(),
                credentials: Credentials::Act {
                    id: "id-billing".to_owned(),
                    user: USER.to_owned(),
                    token: TokenSource::File(sandbox.home().join("token")),
                },
            },
            copies: Vec::new(),
            attributes: Vec::new(),
            reason: "a test".to_owned(),
            stamp: None,
        }),
        redact: Vec::new(),
        state: Some(sandbox.state()),
        verify: false,
        directory: sandbox.home(),
        moves: false,
        is_session: true,
        claude: PathBuf::from("/nowhere/claude"),
        settings: None,
        pipeline: PipelineDoubt::None,
        network: Vec::new(),
    }
}

impl Relay {
    /// Starts a relay for the sandbox's `billing`.
    pub fn start(sandbox: &Sandbox, endpoint: &str) -> Self {
        Self::start_with(sandbox, start_of(sandbox, endpoint))
    }

    pub fn start_with(sandbox: &Sandbox, start: Start) -> Self {
        Self::start_under(sandbox, start, &[])
    }

    /// Starts it through another program, whose command line is `words`.
    pub fn start_under(sandbox: &Sandbox, start: Start, words: &[OsString]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (ours, theirs) = UnixStream::pair().expect("a socket");
        let mut command = match words.split_first() {
            Some((program, args)) => {
                let mut command = sandbox.command(program);
                command.args(args).arg(support::act_claude()).args(["act", "relay"]);
                command
            }
            None => sandbox.act_claude(&["act", "relay"]),
        };
        command.stdin(OwnedFd::from(listener)).stdout(OwnedFd::from(theirs)).stderr(Stdio::null());
        let child = command.spawn().expect("a relay");
        let path = format!("/{}/v1/metrics", start.secret);
        let mut relay = Self { child, control: Some(ours), address, path };
        relay.say(&ToRelay::Start(Box::new(start)));
        relay
    }

    pub fn say(&mut self, message: &ToRelay) {
        let mut line = serde_json::to_vec(message).expect("JSON");
        line.push(b'\n');
        let _ = self.control.as_mut().expect("a control socket").write_all(&line);
    }

    /// Posts an export; returns the status, or `None` if the connection broke.
    pub fn post(&self, body: &[u8]) -> Option<u16> {
        post(self.address, &self.path, body)
    }

    /// Posts an export, and waits `patience` for the answer.
    pub fn post_within(&self, body: &[u8], patience: Duration) -> Option<u16> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        exchange(&mut stream, &self.path, body, patience)
    }

    /// The address and the path of the endpoint, for threads.
    pub fn place(&self) -> (SocketAddr, String) {
        (self.address, self.path.clone())
    }

    /// The relay's outcome of the exports. `wait` is how long the supervisor waits.
    pub fn outcome(&mut self, wait: Duration) -> Outcome {
        self.try_outcome(wait).expect("an answer")
    }

    /// The relay's outcome of the exports; `None` if the relay has died.
    pub fn try_outcome(&mut self, wait: Duration) -> Option<Outcome> {
        let wait_ms = u64::try_from(wait.as_millis()).expect("short");
        self.say(&ToRelay::Ended { wait_ms, owed: None });
        let control = self.control.as_ref().expect("a control socket");
        control.set_read_timeout(Some(wait + support::DEADLINE)).expect("a timeout");
        let mut line = String::new();
        BufReader::new(control).read_line(&mut line).ok().filter(|count| *count > 0)?;
        let FromRelay::Outcome(answer) = serde_json::from_str(&line).expect("an outcome");
        Some(answer.outcome)
    }

    /// Waits until the session's record has this many exports in this state.
    pub fn until(&self, sandbox: &Sandbox, state: State, count: u64) {
        let pid = self.child.id();
        support::eventually(&format!("{count} exports {state:?}"), || {
            let records = act_claude::state::record::read_all(&sandbox.state());
            let record = records.into_iter().find(|record| record.relay_pid == pid)?;
            (record.outcome.states.get(&state) == Some(&count)).then_some(())
        });
    }

    /// Tells the relay that claude and the supervisor have ended.
    pub fn end(&mut self) {
        self.control = None;
    }

    /// Ends the relay and waits for its end.
    pub fn finish(mut self) {
        self.end();
        self.wait();
    }

    pub fn wait(&mut self) {
        support::eventually("the relay's end", || self.child.try_wait().expect("a child"));
    }

    /// The process that does the work; the child is its guard.
    pub fn worker(&self) -> Pid {
        let guard = self.child.id();
        let children = format!("/proc/{guard}/task/{guard}/children");
        support::eventually("a working relay", || {
            let children = std::fs::read_to_string(&children).ok()?;
            children.split_ascii_whitespace().next()?.parse().ok().map(Pid::from_raw)
        })
    }

    /// Kills the guard and the relay with SIGKILL.
    pub fn kill(&mut self) {
        let guard = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).unwrap_or_default();
        let _ = self.child.kill();
        // The group's id is the guard's pid, and is not used again while the group has a process.
        let _ = killpg(Pid::from_raw(guard.cast_signed()), Signal::SIGKILL);
        let _ = self.child.wait();
        for pid in children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()) {
            let relay = support::process::Process { pid, command_line: String::new() };
            support::eventually("the relay's end", || (!relay.is_alive()).then_some(()));
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.control = None;
        if self.child.try_wait().ok().flatten().is_none() {
            self.kill();
        }
    }
}

/// Posts an export; returns the status, or `None` if the connection broke.
pub fn post(address: SocketAddr, path: &str, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    send(&mut stream, path, body)
}

/// Posts an export over an existing connection.
pub fn send(stream: &mut TcpStream, path: &str, body: &[u8]) -> Option<u16> {
    exchange(stream, path, body, support::DEADLINE)
}

fn exchange(stream: &mut TcpStream, path: &str, body: &[u8], patience: Duration) -> Option<u16> {
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    stream.write_all(&request).ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        answer.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map_or(0, |length| length.parse().expect("a length"));
        if body.len() >= length {
            return head.split_ascii_whitespace().nth(1)?.parse().ok();
        }
    }
}

/// An export of one point that contains `name`.
pub fn export(name: &str) -> Vec<u8> {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[]}},"scopeMetrics":[{{"metrics":[{{"name":"claude_code.token.usage","unit":"tokens","sum":{{"aggregationTemporality":1,"dataPoints":[{{"asInt":"1","attributes":[{{"key":"export","value":{{"stringValue":"{name}"}}}}]}}]}}}}]}}]}}]}}"#
    )
    .into_bytes()
}

/// The name in an export.
pub fn name_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once(r#""export","value":{"stringValue":""#).expect("one of ours");
    rest.split_once('"').expect("an end").0.to_owned()
}

/// The names of the files in `spool/new`.
pub fn waiting(sandbox: &Sandbox) -> Vec<String> {
    files(sandbox, "new")
}

/// The names of the files in a part of the spool, sorted.
pub fn files(sandbox: &Sandbox, part: &str) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.state().join("spool").join(part)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Stores exports in the spool as if an ended session had left them; returns their names.
pub fn leave(sandbox: &Sandbox, session: &str, names: &[&str], endpoint: &str) -> Vec<String> {
    std::fs::create_dir_all(sandbox.state()).expect("a state directory");
    let store = act_claude::state::spool::Store::open(&sandbox.state(), act_claude::state::spool::Limits::default());
    let store = store.expect("a spool");
    let stored = names.iter().enumerate().map(|(sequence, name)| {
        let sequence = sequence as u64;
        let header = act_claude::state::spool::Header {
            session: session.to_owned(),
            sequence,
            alias: "billing".to_owned(),
            account: "acme".to_owned(),
            endpoint: endpoint.to_owned(),
            user: USER.to_owned(),
            points: 1,
            captured: jiff::Timestamp::now(),
            shared: None,
        };
        store.append(&header, &export(name)).expect("stored");
        act_claude::state::spool::name(session, sequence)
    });
    stored.collect()
}
