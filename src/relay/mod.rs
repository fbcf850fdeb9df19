//! The relay: the only process that sees the token. It receives claude's exports on loopback and sends them to ACT. It
//! reports ACT's answers to the supervisor and writes them into the session's record.
//!
//! `server` (HTTP) → `intake` (repair, redact, store) → `delivery_worker` (delivers one export at a time, with the `sender`)
//! → `ledger` (what is known) → `recorder`. `session` decides how long all of them live. A killed supervisor, a closed
//! terminal or a claude that forked away do not end the relay. It ends when no process is left that could send it anything
//! and everything it has is delivered or stored.
//!
//! All of this runs in a child of the process that was executed. That process is the `guard`: it starts another child when
//! one ends unexpectedly. What a child knows is in the `journal`. The next child reads it and compares it
//! with the spool (`recovery`).

mod answer;
pub mod attribution;
mod body;
mod book;
mod connections;
mod copies;
mod deliverer;
mod delivery_worker;
pub mod guard;
mod in_memory;
mod intake;
pub mod journal;
mod lazy_store;
mod ledger;
mod message;
mod meter;
mod own;
mod peer;
pub mod protocol;
mod recent;
mod recorder;
mod recovery;
mod route;
pub mod server;
mod session;
mod start;
mod thread;
pub mod unstarted;
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

pub use book::{answer_of, session_of};

/// Runs the relay. Descriptor 0 is the loopback listener, 1 the socket to the supervisor. Where the arguments say so, 3 is a
/// descriptor of claude or of the process that becomes it, and 4 is the session's journal.
pub fn run(mut environment: Environment, words: &[OsString]) -> ExitCode {
    protect();
    let given = |word| words.iter().any(|given| given == word);
    let watched = given(WATCH).then(|| inherited_descriptor(WATCHED));
    let memory = given(CONTINUE).then(|| inherited_descriptor(JOURNAL));
    close_from(if memory.is_some() { JOURNAL + 1 } else { WATCHED + i32::from(watched.is_some()) });
    let _ = std::env::set_current_dir("/");
    // This process leads a process group, so that a signal to the group reaches both guard and relay. The call fails where this
    // process leads a session, and so its group, already.
    let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
    let listener = std::net::TcpListener::from(inherited_descriptor(0));
    let control = UnixStream::from(inherited_descriptor(1));
    let Some(start) = start::read(&control) else { return ExitCode::FAILURE };
    if start::is_traced_by_a_stranger(&control) {
        return ExitCode::FAILURE;
    }
    // The user's relative path starts at the directory in which act-claude was started. This process has changed to another one.
    if let Some(path) = environment.get("ACT_CLAUDE_CONFIG").filter(|path| !path.is_empty()) {
        let path = start.directory.join(path);
        environment.set("ACT_CLAUDE_CONFIG", path);
    }
    let journal = match memory.as_ref().map_or_else(Journal::new, Journal::of) {
        Ok(journal) => Arc::new(journal),
        Err(error) => {
            unstarted::note(&start, &environment, &error);
            return ExitCode::FAILURE;
        }
    };
    let lock = start::open(&journal, &start);
    let relay_pid = std::process::id();
    let delivers = match guard::guard(&journal) {
        Turn::End(code) => {
            unstarted::note_given_up(&start, &environment, &journal);
            return code;
        }
        Turn::Work { delivers } => delivers,
    };
    // A panic ends the process in a debug build, too, and prints nothing: its message may contain anything.
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    log::start(&environment);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build() else {
        return ExitCode::FAILURE;
    };
    let session = RelaySession { start, environment, watched, journal: journal.clone(), lock, relay_pid, delivers };
    let result = runtime.block_on(session.relay(listener, control));
    // Threads that still run are not waited for: nothing depends on their work any more.
    runtime.shutdown_background();
    if result.is_err() {
        return ExitCode::FAILURE;
    }
    journal.finish();
    ExitCode::SUCCESS
}

/// Keeps other processes from reading memory, descriptors and environment of this process and of those it forks (promise C5).
fn protect() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
    #[cfg(not(target_os = "linux"))]
    {
        use nix::libc;
        let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
        // Ends this process if it is traced already.
        #[allow(unsafe_code)]
        // SAFETY: with this request the other arguments are not used.
        unsafe {
            libc::ptrace(libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0)
        };
    }
}
