//! Gives a terminal its modes back where a signal ends this process during a question.

use std::io::Write;
use std::sync::Once;

use crossterm::terminal::{disable_raw_mode, enable_raw_mode, is_raw_mode_enabled};
use nix::sys::signal::{SigSet, Signal, raise};

/// The signals that end a process and that a user sends. Ctrl-C is a key during a question, not a signal.
fn signals() -> SigSet {
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM].into_iter().collect()
}

/// While it exists, a signal that ends this process restores the terminal first.
pub struct Watch;

impl Watch {
    /// Starts to watch. The first call starts a thread, which waits as long as this process lives.
    pub fn start() -> Self {
        static WAITING: Once = Once::new();
        // Blocked in this thread, and so in the new one: only `wait` gets them.
        let _ = signals().thread_block();
        WAITING.call_once(|| drop(std::thread::Builder::new().name("signals".to_owned()).spawn(wait)));
        Self
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = signals().thread_unblock();
    }
}

fn wait() {
    let signals = signals();
    while let Ok(signal) = signals.wait() {
        let is_raw = is_raw_mode_enabled().unwrap_or_default();
        let _ = disable_raw_mode();
        // The cursor, and pasting as usual.
        let _ = std::io::stderr().write_all(b"\x1b[?25h\x1b[?2004l\r\n");
        let one: SigSet = [signal].into_iter().collect();
        let _ = one.thread_unblock();
        let _ = raise(signal);
        // It is still here: the signal was inherited as ignored.
        let _ = one.thread_block();
        if is_raw {
            let _ = enable_raw_mode();
        }
    }
}
