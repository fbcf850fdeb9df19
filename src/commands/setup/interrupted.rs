//! Gives a terminal its modes back where a signal ends this process during a question, and the question its own where a shell has
//! stopped this process and continues it: a shell sets the terminal as it is for itself, with echo.

use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// The signals that end a process and that a user sends, and the one that continues it. Ctrl-C is a key during a question, not a signal.
fn signals() -> SigSet {
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGCONT].into_iter().collect()
}

/// The modes that the terminal had before the question.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The modes that the question has set.
static DURING: Mutex<Option<Termios>> = Mutex::new(None);

/// The modes of the terminal are those of a question, until the result is dropped.
pub fn own_modes() -> OwnModes {
    *DURING.lock().unwrap_or_else(PoisonError::into_inner) = tcgetattr(std::io::stderr()).ok();
    OwnModes
}

/// See [`own_modes`].
pub struct OwnModes;

impl Drop for OwnModes {
    fn drop(&mut self) {
        *DURING.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// While it exists, a signal that ends this process restores the terminal first.
pub struct Watch;

impl Watch {
    /// Starts to watch. The first call starts a thread, which waits as long as this process lives.
    pub fn start() -> Self {
        static WAITING: Once = Once::new();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = tcgetattr(std::io::stderr()).ok();
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
        if signal == Signal::SIGCONT {
            if let Some(during) = &*DURING.lock().unwrap_or_else(PoisonError::into_inner) {
                let _ = tcsetattr(std::io::stderr(), SetArg::TCSANOW, during);
            }
            continue;
        }
        let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let during = tcgetattr(std::io::stderr()).ok();
        if let Some(before) = &before {
            let _ = tcsetattr(std::io::stderr(), SetArg::TCSANOW, before);
        }
        // A question that is drawn hides the cursor, and reads a pasted text as one.
        let is_drawn = during.as_ref().is_some_and(|modes| !modes.local_flags.contains(LocalFlags::ICANON));
        let _ = std::io::stderr().write_all(if is_drawn { b"\x1b[?25h\x1b[?2004l\r\n" } else { b"\n" });
        let one: SigSet = [signal].into_iter().collect();
        let _ = one.thread_unblock();
        let _ = raise(signal);
        // It is still here: the signal was inherited as ignored.
        let _ = one.thread_block();
        if let Some(during) = &during {
            let _ = tcsetattr(std::io::stderr(), SetArg::TCSANOW, during);
        }
    }
}
