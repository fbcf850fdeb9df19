//! Writes to where claude wrote: once, and never blocked for long (promise A22).
#![allow(unsafe_code)]

use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction, sigprocmask};
use nix::unistd::getpid;

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

/// Interrupts system calls with SIGALRM, again and again until dropped. Then the signal and its timer are as before: a program that
/// sets an alarm and executes this one gets that alarm, also where claude starts only after this (promises A5, A11).
struct Timer {
    started: Instant,
    /// What was there before.
    mask: SigSet,
    action: Option<SigAction>,
    alarm: libc::itimerval,
    /// A signal waited, blocked.
    is_pending: bool,
}

/// Whether a signal has come since the timer was started.
static HAS_COME: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(_: i32) {
    HAS_COME.store(true, Ordering::Relaxed);
}

impl Timer {
    fn start() -> Self {
        let mut mask = SigSet::empty();
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&alarm()), Some(&mut mask));
        // From here on no earlier alarm can expire, so one that waits now is the only one.
        let earlier = set_timer(every(Duration::ZERO));
        let is_pending = is_pending();
        let action = act(SigHandler::SigIgn);
        HAS_COME.store(false, Ordering::Relaxed);
        // Without SA_RESTART a system call that the handler interrupts ends.
        act(SigHandler::Handler(interrupt));
        let started = Instant::now();
        set_timer(every(PATIENCE));
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&alarm()), None);
        Self { started, mask, action, alarm: earlier, is_pending }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&alarm()), None);
        set_timer(every(Duration::ZERO));
        let passed = self.started.elapsed();
        // A signal that came before the timer expired was sent by a process.
        let is_sent = passed < PATIENCE && (HAS_COME.load(Ordering::Relaxed) || is_pending());
        // "Ignore" also removes a signal of the timer that still waits.
        act(SigHandler::SigIgn);
        if let Some(action) = self.action {
            // SAFETY: the action that this process had before.
            let _ = unsafe { sigaction(Signal::SIGALRM, &action) };
        }
        if self.is_pending || is_sent {
            let _ = kill(getpid(), Signal::SIGALRM);
        }
        set_timer(left(self.alarm, passed));
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
    }
}

fn alarm() -> SigSet {
    SigSet::from_iter([Signal::SIGALRM])
}

/// Gives SIGALRM an action, and returns the one before.
fn act(handler: SigHandler) -> Option<SigAction> {
    // SAFETY: called with "ignore", which runs no code, and with a handler that only stores a flag.
    unsafe { sigaction(Signal::SIGALRM, &SigAction::new(handler, SaFlags::empty(), SigSet::empty())) }.ok()
}

/// Whether a SIGALRM waits because it is blocked.
fn is_pending() -> bool {
    // SAFETY: the call fills a local, from which the other one reads.
    unsafe {
        let mut pending: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&mut pending) == 0 && libc::sigismember(&pending, libc::SIGALRM) == 1
    }
}

fn every(interval: Duration) -> libc::itimerval {
    let time = time(interval);
    libc::itimerval { it_interval: time, it_value: time }
}

/// A timer after `passed` (pure). One that was due meanwhile expires at once.
fn left(mut timer: libc::itimerval, passed: Duration) -> libc::itimerval {
    let value =
        Duration::from_secs(timer.it_value.tv_sec as u64) + Duration::from_micros(timer.it_value.tv_usec as u64);
    if !value.is_zero() {
        timer.it_value = time(value.saturating_sub(passed).max(Duration::from_micros(1)));
    }
    timer
}

fn time(duration: Duration) -> libc::timeval {
    libc::timeval { tv_sec: duration.as_secs() as _, tv_usec: duration.subsec_micros() as _ }
}

/// Sets the timer, and returns what it was.
fn set_timer(timer: libc::itimerval) -> libc::itimerval {
    let mut before = every(Duration::ZERO);
    // SAFETY: reads and fills locals.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, &mut before) };
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_goes_on_and_is_not_lost() {
        let ms = Duration::from_millis;
        let of = |value, interval| libc::itimerval { it_interval: time(interval), it_value: time(value) };
        for (value, passed, expected) in [
            (ms(0), ms(10), ms(0)),
            (ms(2500), ms(0), ms(2500)),
            (ms(2500), ms(600), ms(1900)),
            (ms(100), ms(100), Duration::from_micros(1)),
            (ms(100), ms(150), Duration::from_micros(1)),
        ] {
            let left = left(of(value, ms(7)), passed);
            let [value, interval] =
                [left.it_value, left.it_interval].map(|time| (time.tv_sec as u64, time.tv_usec as u32));
            assert_eq!(value, (expected.as_secs(), expected.subsec_micros()), "{value:?} {passed:?}");
            assert_eq!(interval, (0, 7000));
        }
    }
}
