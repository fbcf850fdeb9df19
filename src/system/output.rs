//! Writes to where claude wrote: once, and never blocked for long (promise A22).
#![allow(unsafe_code)]

use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};

/// The longest text written, in bytes. A pipe that has room takes this much in one piece.
pub const LONGEST: usize = 4096;
/// How long to wait for `output` to be ready, and how long the write itself may take.
const PATIENCE: Duration = Duration::from_millis(150);

/// Writes at most [`LONGEST`] bytes with one call, and ignores a failure. None of these can block, stop or kill this process: a
/// pipe without a reader, a full pipe, a terminal paused with Ctrl-S, a file at its size limit, a terminal in whose background
/// this process runs.
pub fn write_once(mut output: impl Write + AsFd, bytes: &[u8]) {
    let _guard = Unstoppable::new();
    let mut ready = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut ready, PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::ZERO)) == Ok(0) {
        return;
    }
    // A descriptor that is ready may take one byte and block for the rest. It is shared with other processes, so it can't be made
    // non-blocking. So a timer interrupts the write.
    let _timer = Timer::start();
    let _ = output.write(&bytes[..bytes.len().min(LONGEST)]);
}

/// While this value exists, SIGTTOU is blocked: a terminal then accepts output from a background process.
pub struct Unstoppable(SigSet);

impl Unstoppable {
    /// Blocks the signal.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let ttou = SigSet::from_iter([Signal::SIGTTOU]);
        let mut before = SigSet::empty();
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ttou), Some(&mut before));
        Self(before)
    }
}

impl Drop for Unstoppable {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None);
    }
}

/// Interrupts system calls with SIGALRM, again and again until dropped.
struct Timer;

extern "C" fn interrupt(_: i32) {}

impl Timer {
    fn start() -> Self {
        let action = SigAction::new(SigHandler::Handler(interrupt), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing. Without SA_RESTART a system call it interrupts ends.
        let _ = unsafe { sigaction(Signal::SIGALRM, &action) };
        let alarm = SigSet::from_iter([Signal::SIGALRM]);
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&alarm), None);
        set_timer(PATIENCE);
        Self
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        set_timer(Duration::ZERO);
    }
}

fn set_timer(every: Duration) {
    let time = libc::timeval { tv_sec: 0, tv_usec: every.subsec_micros() as libc::suseconds_t };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: reads a local.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
}
