//! The probe: a stand-in for claude. It notes what it was given and what it receives, as JSON lines in `$PROBE_LOG`,
//! and runs `$PROBE_SCRIPT`, one step a line (see tests/support/probe.rs).
//!
//! It does not use Rust's start-up code, which would ignore SIGPIPE and open closed descriptors.
#![no_main]
#![allow(unsafe_code, missing_docs)]

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::termios::{LocalFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, getpid, getppid, getsid};
use serde_json::{Value, json};

#[unsafe(no_mangle)]
extern "C" fn main(count: i32, arguments: *const *const libc::c_char) -> i32 {
    // SAFETY: the loader passes `count` C strings to main.
    let argument = |index| unsafe { std::ffi::CStr::from_ptr(*arguments.add(index)) }.to_bytes().to_vec();
    let arguments: Vec<Vec<u8>> = (0..count as usize).map(argument).collect();
    let script = std::env::var("PROBE_SCRIPT").unwrap_or_default();
    let mut heard = Heard::default();
    for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        run(verb, rest, &arguments, &mut heard);
    }
    0
}

fn run(verb: &str, rest: &str, arguments: &[Vec<u8>], heard: &mut Heard) {
    let number = || rest.parse::<i32>().expect("a number");
    match verb {
        "given" => note(given(arguments)),
        "ready" => note(json!({ "ready": getpid().as_raw() })),
        "catch" => rest.split(' ').for_each(|name| heard.catch(named(name))),
        "hear" => heard.until(|signals| signals.contains(&named(rest))),
        "until" => heard.until(|_| std::path::Path::new(rest).exists()),
        "exit" => std::process::exit(number()),
        "die" => die(number()),
        "stop" => {
            kill(getpid(), named(rest)).expect("stopped");
            note(json!({ "resumed": rest }));
        }
        "signal-parent" => kill(getppid(), named(rest)).expect("sent"),
        "say" => writeln!(std::io::stdout(), "{rest}").expect("written"),
        "spew" => while writeln!(std::io::stdout(), "spew").is_ok() {},
        "run" => {
            let status = std::process::Command::new("sh").args(["-c", rest]).status().expect("sh");
            note(json!({ "run": status.code() }));
        }
        "read" => note(json!({ "read": read_line() })),
        "modes" => note(json!({ "modes": terminal().map(|tty| words(&tcgetattr(tty).expect("modes"))) })),
        "size" => note(json!({ "size": size() })),
        "raw" => change_modes(cfmakeraw),
        "noecho" => change_modes(|modes| modes.local_flags.remove(LocalFlags::ECHO)),
        "touch-modes" => change_modes(|_| {}),
        "nonblock" => set_nonblocking(number(), true),
        "block" => set_nonblocking(number(), false),
        "flood" => flood(number()),
        "post" => post(),
        other => panic!("no step {other:?}"),
    }
}

/// Appends a line to the log. The descriptor is closed again at once.
fn note(what: Value) {
    let path = std::env::var_os("PROBE_LOG").expect("PROBE_LOG");
    let mut log = std::fs::File::options().append(true).create(true).open(path).expect("the log");
    log.write_all(format!("{what}\n").as_bytes()).expect("noted");
}

fn named(name: &str) -> Signal {
    format!("SIG{name}").parse().unwrap_or_else(|_| panic!("no signal {name:?}"))
}

fn given(arguments: &[Vec<u8>]) -> Value {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let environment: Vec<String> = std::fs::read("/proc/self/environ")
        .unwrap_or_default()
        .split(|&byte| byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(text)
        .collect();
    let file = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let status: serde_json::Map<String, Value> = file("status")
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .filter(|(name, _)| STATUS.contains(name))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    let umask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    nix::sys::stat::umask(umask);
    json!({"given": {
        "arguments": arguments.iter().map(|argument| text(argument)).collect::<Vec<_>>(),
        "environment": environment,
        "directory": text(std::env::current_dir().unwrap_or_default().into_os_string().into_vec().as_slice()),
        "descriptors": descriptors(),
        "status": status,
        "umask": format!("{:o}", umask.bits()),
        "nice": nice(),
        "limits": file("limits"),
        "oom": file("oom_score_adj"),
        "cgroup": file("cgroup"),
        "personality": file("personality"),
        "timer slack": file("timerslack_ns"),
        "group": getpgrp().as_raw(),
        "session": getsid(None).expect("a session").as_raw(),
        "foreground": terminal().and_then(|tty| nix::unistd::tcgetpgrp(tty).ok()).map(Pid::as_raw),
        "modes": terminal().map(|tty| words(&tcgetattr(tty).expect("modes"))),
    }})
}

/// Lines of /proc/self/status with inherited values.
const STATUS: [&str; 17] = [
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "SigPnd",
    "ShdPnd",
    "NoNewPrivs",
    "Seccomp",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "Uid",
    "Gid",
    "Groups",
    "Cpus_allowed",
    "Threads",
];

fn descriptors() -> serde_json::Map<String, Value> {
    let mut found = serde_json::Map::new();
    for descriptor in 0..1024 {
        // SAFETY: the calls only read, and accept any number as descriptor.
        let (flags, close_on_exec, is_terminal, stat) = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            let flags = [libc::F_GETFL, libc::F_GETFD].map(|what| libc::fcntl(descriptor, what));
            let is_open = libc::fstat(descriptor, &mut stat) == 0;
            (flags[0], flags[1], libc::isatty(descriptor) == 1, is_open.then_some(stat))
        };
        let Some(stat) = stat else { continue };
        let name = match stat.st_mode & libc::S_IFMT {
            libc::S_IFIFO => "a pipe".to_owned(),
            libc::S_IFSOCK => "a socket".to_owned(),
            _ if is_terminal => "a terminal".to_owned(),
            _ => std::fs::read_link(format!("/proc/self/fd/{descriptor}")).unwrap_or_default().display().to_string(),
        };
        found.insert(descriptor.to_string(), json!([name, flags, close_on_exec]));
    }
    found
}

fn nice() -> i32 {
    // SAFETY: the call only reads.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// The controlling terminal.
fn terminal() -> Option<std::fs::File> {
    std::fs::File::options().read(true).write(true).open("/dev/tty").ok()
}

fn words(modes: &Termios) -> Value {
    let Termios { input_flags, output_flags, control_flags, local_flags, .. } = modes;
    json!([input_flags.bits(), output_flags.bits(), control_flags.bits(), local_flags.bits()])
}

fn size() -> Value {
    let Some(tty) = terminal() else { return Value::Null };
    // SAFETY: the call fills a local.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        libc::ioctl(tty.as_raw_fd(), libc::TIOCGWINSZ, &mut size);
        size
    };
    json!([size.ws_row, size.ws_col])
}

fn change_modes(change: impl Fn(&mut Termios)) {
    let tty = terminal().expect("a terminal");
    let mut modes = tcgetattr(&tty).expect("modes");
    change(&mut modes);
    tcsetattr(&tty, SetArg::TCSANOW, &modes).expect("set");
}

fn set_nonblocking(descriptor: i32, on: bool) {
    // SAFETY: the calls only change a flag.
    unsafe {
        let flags = libc::fcntl(descriptor, libc::F_GETFL) & !libc::O_NONBLOCK;
        libc::fcntl(descriptor, libc::F_SETFL, flags | if on { libc::O_NONBLOCK } else { 0 });
    }
}

/// Fills a pipe until no byte more can be written.
fn flood(descriptor: i32) {
    set_nonblocking(descriptor, true);
    let block = [b'.'; 4096];
    for size in [block.len(), 1] {
        // SAFETY: the call reads from a local.
        while unsafe { libc::write(descriptor, block.as_ptr().cast(), size) } > 0 {}
    }
}

/// Byte by byte and without a buffer, because the next process reads the rest.
fn read_line() -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while nix::unistd::read(std::io::stdin(), &mut byte) == Ok(1) && byte != *b"\n" {
        line.push(byte[0]);
    }
    line.escape_ascii().to_string()
}

/// One export in claude's format; notes the status of the answer.
fn post() {
    let Ok(endpoint) = std::env::var("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") else { return note(json!({"post": null})) };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos().to_string();
    let point = json!({"asDouble": 1.0, "timeUnixNano": now, "attributes": []});
    let body = json!({"resourceMetrics": [{"resource": {"attributes": []}, "scopeMetrics": [{"scope": {"name": "probe"},
        "metrics": [{"name": "claude_code.session.count", "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [point]}}]}]}]});
    let status = ureq::post(&endpoint).content_type("application/json").send(body.to_string());
    note(json!({"post": status.map(|answer| answer.status().as_u16()).unwrap_or(0)}));
}

/// Ends by the default action of a signal, which may be a real-time signal, without a core file.
fn die(signal: i32) {
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    // SAFETY: the signal gets its default action only.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
        libc::raise(signal);
    }
    panic!("signal {signal} did not kill");
}

/// The received signals, in order.
#[derive(Default)]
struct Heard {
    reader: Option<OwnedFd>,
    signals: Vec<Signal>,
}

static WRITER: AtomicI32 = AtomicI32::new(-1);

extern "C" fn hear(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: reads the kernel's struct and writes a few bytes to a pipe.
    unsafe {
        let record = [signal, (*info).si_code, (*info).si_pid()];
        libc::write(WRITER.load(Ordering::Relaxed), record.as_ptr().cast(), size_of_val(&record));
    }
}

impl Heard {
    fn catch(&mut self, signal: Signal) {
        if self.reader.is_none() {
            let (reader, writer) = nix::unistd::pipe().expect("a pipe");
            WRITER.store(writer.as_raw_fd(), Ordering::Relaxed);
            std::mem::forget(writer);
            self.reader = Some(reader);
        }
        let action = SigAction::new(SigHandler::SigAction(hear), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: `hear` is async-signal-safe.
        unsafe { sigaction(signal, &action) }.expect("a handler");
    }

    /// Notes received signals until `enough`. The time limit is longer than a test waits, so a test notices a hanging
    /// probe before it ends, and no probe stays for long.
    fn until(&mut self, enough: impl Fn(&[Signal]) -> bool) {
        let end = Instant::now() + Duration::from_secs(150);
        while !enough(&self.signals) && Instant::now() < end {
            let Some(reader) = &self.reader else {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            let mut ready = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut ready, PollTimeout::from(2u8)), Ok(1)) {
                continue;
            }
            let mut record = [0; 12];
            nix::unistd::read(reader, &mut record).expect("a record");
            let field = |index: usize| i32::from_ne_bytes(record[index * 4..][..4].try_into().expect("four"));
            let signal = Signal::try_from(field(0)).expect("a signal");
            note(json!({"signal": &signal.as_str()[3..], "from": sender(field(1), field(2))}));
            self.signals.push(signal);
        }
    }
}

fn sender(code: i32, pid: i32) -> &'static str {
    match pid {
        _ if code > 0 => "kernel",
        pid if pid == getpid().as_raw() => "itself",
        pid if pid == getppid().as_raw() => "parent",
        _ => "another",
    }
}
