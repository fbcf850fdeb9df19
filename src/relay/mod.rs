//! The relay: the only process that sees the token. Claude's exports come in on loopback and go out to ACT;
//! what ACT said goes to the supervisor and into the session's record.
//!
//! `server` (HTTP front) → `intake` (repair, redact, store) → `courier` (delivery, one at a time, over the `desk`)
//! → `ledger` (what is known) → `recorder`. `session` decides how long all that lives. A supervisor that was killed, a closed terminal
//! or a claude that forked away do not end it: it goes when nobody is left who could send it anything and what
//! it has is delivered or stored.

mod body;
mod connections;
mod courier;
mod intake;
mod ledger;
mod message;
mod own;
pub mod payload;
mod peer;
pub mod protocol;
mod recorder;
mod route;
pub mod server;
mod session;
mod watched;
mod worker;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::relay::protocol::{Start, ToRelay, WATCHED};
use crate::state::log;
use crate::system::descriptors::{close_from, inherited_descriptor};
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;

/// How long the supervisor may take to say what is to be relayed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the relay: descriptor 0 is the loopback listener, 1 the supervisor, and if it `watches`, 3 is the
/// process that becomes claude.
pub fn run(mut environment: Environment, watches: bool) -> ExitCode {
    let watched = watches.then(|| inherited_descriptor(WATCHED));
    retire(if watches { WATCHED + 1 } else { WATCHED });
    let listener = std::net::TcpListener::from(inherited_descriptor(0));
    let control = UnixStream::from(inherited_descriptor(1));
    let Some(start) = read_start(&control) else { return ExitCode::FAILURE };
    // Relative to where the user is, and we are not.
    if let Some(path) = environment.get("ACT_CLAUDE_CONFIG").filter(|path| !path.is_empty()) {
        let path = start.directory.join(path);
        environment.set("ACT_CLAUDE_CONFIG", path);
    }
    log::start(&environment);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(session::run(start, environment, listener, control, watched));
            // What still runs on other threads has nothing left to lose.
            runtime.shutdown_background();
            if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(_) => ExitCode::FAILURE,
    }
}

/// Lets go of everything the user's terminal and programs might miss: descriptors, the working directory;
/// and keeps others from reading the token out of memory (promise C5).
fn retire(first_unused: i32) {
    close_from(first_unused);
    let _ = std::env::set_current_dir("/");
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
    #[cfg(not(target_os = "linux"))]
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    // A panic's message may hold anything.
    std::panic::set_hook(Box::new(|_| {}));
}

/// The supervisor's first line. Nothing behind it is read, so that the rest is the session's.
fn read_start(control: &UnixStream) -> Option<Start> {
    control.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut line = String::new();
    let mut reader = BufReader::with_capacity(1, control);
    reader.read_line(&mut line).ok()?;
    control.set_read_timeout(None).ok()?;
    match serde_json::from_str(&line).ok()? {
        ToRelay::Start(start) => Some(*start),
        _ => None,
    }
}
