//! The relay: the only process that sees the token. Claude's exports come in on loopback and go out to ACT;
//! what ACT said goes to the supervisor and into the session's record.
//!
//! `server` (HTTP front) → `intake` (repair, redact, store) → `worker` (delivery, one at a time, over the `sender`)
//! → `ledger` (what is known) → `recorder`. `session` decides how long all that lives. A supervisor that was killed, a closed terminal
//! or a claude that forked away do not end it: it goes when nobody is left who could send it anything and what
//! it has is delivered or stored.
//!
//! All that happens in a child of the process that was executed: that one is its `guard`, and starts another child where one
//! ends without having been told to. What a child knows is in the `journal`, for the next one, which compares it with the
//! spool (`recovery`).

mod body;
mod book;
mod connections;
mod deliverer;
mod delivery_worker;
pub mod guard;
mod intake;
pub mod journal;
mod ledger;
mod message;
mod own;
pub mod payload;
mod peer;
pub mod protocol;
mod recorder;
mod recovery;
mod route;
pub mod server;
mod session;
mod start;
mod thread;
mod watched;

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::relay::protocol::{CONTINUE, JOURNAL, WATCH, WATCHED};
use crate::state::log;
use crate::system::descriptors::{close_from, inherited_descriptor};
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;
use guard::Turn;
use journal::Journal;
use session::RelaySession;

pub use book::outcome_of;

/// Runs the relay: descriptor 0 is the loopback listener, 1 the supervisor; 3 is claude, or the process that becomes it, where
/// `words` say so, and 4 the session's journal.
pub fn run(mut environment: Environment, words: &[OsString]) -> ExitCode {
    protect();
    let given = |word| words.iter().any(|given| given == word);
    let watched = given(WATCH).then(|| inherited_descriptor(WATCHED));
    let memory = given(CONTINUE).then(|| inherited_descriptor(JOURNAL));
    close_from(if memory.is_some() { JOURNAL + 1 } else { WATCHED + i32::from(watched.is_some()) });
    let _ = std::env::set_current_dir("/");
    // A group of our own, as a session's leader has: who ends it ends guard and relay.
    let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
    let listener = std::net::TcpListener::from(inherited_descriptor(0));
    let control = UnixStream::from(inherited_descriptor(1));
    let Some(start) = start::read(&control) else { return ExitCode::FAILURE };
    if start::is_watched_by_a_stranger(&control) {
        return ExitCode::FAILURE;
    }
    let journal = match memory.as_ref().map_or_else(Journal::new, Journal::of) {
        Ok(journal) => Arc::new(journal),
        Err(_) => return ExitCode::FAILURE,
    };
    let lock = start::open(&journal, &start);
    let relay_pid = std::process::id();
    let delivers = match guard::guard(&journal) {
        Turn::End(code) => return code,
        Turn::Work { delivers } => delivers,
    };
    // In a debug build, too, a panic ends the process. Its message may hold anything.
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    // Relative to where the user is, and we are not.
    if let Some(path) = environment.get("ACT_CLAUDE_CONFIG").filter(|path| !path.is_empty()) {
        let path = start.directory.join(path);
        environment.set("ACT_CLAUDE_CONFIG", path);
    }
    log::start(&environment);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build() else {
        return ExitCode::FAILURE;
    };
    let session = RelaySession { start, environment, watched, journal: journal.clone(), lock, relay_pid, delivers };
    let result = runtime.block_on(session.relay(listener, control));
    // What still runs on other threads has nothing left to lose.
    runtime.shutdown_background();
    if result.is_err() {
        return ExitCode::FAILURE;
    }
    journal.finish();
    ExitCode::SUCCESS
}

/// Keeps others from reading memory, descriptors and environment of this process and of those it forks (promise C5).
fn protect() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
    #[cfg(not(target_os = "linux"))]
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
}
