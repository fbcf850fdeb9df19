//! A fork of this process, and waiting for its end.
#![allow(unsafe_code)]

use std::io;

use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

/// Which of the two processes this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// The new process.
    Itself,
    /// The old one; the new one has this pid.
    Of(Pid),
}

/// Blocks SIGCHLD and SIGTERM, so that a process that waits for its child receives them by `sigwait`.
#[derive(Debug)]
pub struct Waiting {
    signals: SigSet,
    before: SigSet,
}

impl Waiting {
    /// Blocks the signals. For a process with one thread.
    #[must_use]
    pub fn new() -> Self {
        let signals: SigSet = [Signal::SIGCHLD, Signal::SIGTERM].into_iter().collect();
        // While SIGCHLD is ignored, a child's exit status is lost.
        // SAFETY: the default action runs no code of ours.
        let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
        let before = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
        Self { signals, before: before.unwrap_or_else(|_| SigSet::empty()) }
    }

    /// Restores the previous signal mask.
    pub fn end(&self) {
        let _ = self.before.thread_set_mask();
    }

    /// Waits for the child's end. Returns whether it exited with status 0. A SIGTERM that arrives meanwhile is sent on to the
    /// child.
    pub fn wait_for(&self, child: Pid) -> bool {
        loop {
            match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => return code == 0,
                Ok(WaitStatus::Signaled(..)) | Err(nix::errno::Errno::ECHILD) => return false,
                _ => {}
            }
            if self.signals.wait() == Ok(Signal::SIGTERM) {
                let _ = kill(child, Signal::SIGTERM);
            }
        }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self::new()
    }
}

/// Forks this process, which has one thread. The copy has the signal mask from before `waiting`.
pub fn fork(waiting: &Waiting) -> io::Result<Child> {
    // SAFETY: this process has one thread, so no other thread can hold a lock in the copy.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => {
            waiting.end();
            Ok(Child::Itself)
        }
        ForkResult::Parent { child } => Ok(Child::Of(child)),
    }
}

/// The pid of the process that traces `pid`; 0: none does.
#[cfg(target_os = "linux")]
pub fn tracer_of(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("TracerPid:")).and_then(|pid| pid.trim().parse().ok())
}
