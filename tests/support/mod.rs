//! Code that tests share: a sandboxed home, stand-ins for ACT and for the Messages API, a stand-in for claude, the real
//! clients, real OTLP receivers, a terminal.
//!
//! Each test target includes it (`#[path = "../support/mod.rs"] mod support;`).
#![allow(dead_code)]

pub mod act;
pub mod client;
pub mod failures;
pub mod fake_claude;
pub mod faults;
pub mod http;
pub mod messages;
pub mod network;
pub mod probe;
pub mod process;
pub mod pty;
pub mod random;
pub mod receivers;
pub mod recipe;
pub mod sandbox;
#[cfg(target_os = "linux")]
pub mod seccomp;
pub mod site;
pub mod system;
pub mod tls;
pub mod tunnel;
pub mod usage;
pub mod user;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After this time a test reports a hang. It is long, because the machine may be busy: tests check order, not time.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Calls `look` until it returns a value. Panics with `what` after the deadline.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reports that a test is skipped. In CI this is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped: {why}");
    eprintln!("skipped: {why}");
}

/// A program the test needs; without it the test is skipped.
pub fn program(name: &str) -> Option<PathBuf> {
    let found = std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// The program under test: the one built with the tests, or that of `ACT_CLAUDE_TEST_BINARY`, such as a release build.
pub fn act_claude() -> PathBuf {
    std::env::var_os("ACT_CLAUDE_TEST_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_act-claude").into(), PathBuf::from)
}

/// A test program built as an example, which `cargo test` does by itself (with `--test NAME`: `cargo build --examples`).
pub fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_act-claude")).with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is not built: cargo build --examples", path.display());
    path
}
