//! State changes of a child, as types; and repeating them in this process.
#![allow(unsafe_code)]

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal};
use nix::unistd::Pid;

use crate::system::exit::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Ended {
    /// Ends this process the same way: by the same signal, where that signal kills this process (promise A2).
    pub fn repeat(self) -> ExitCode {
        let signal = match self {
            Self::Code(code) => return ExitCode::from(code as u8),
            Self::Signal(signal) => signal,
        };
        no_core();
        // SAFETY: from here on only the signal's default action is wanted.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, signal);
            libc::sigprocmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
            libc::kill(libc::getpid(), signal);
        }
        // This process is still alive: it is pid 1 of its namespace, which default actions do not kill.
        ExitCode::from((128 + signal) as u8)
    }
}

/// Prevents a core file of this process: nothing in it explains why the command died. The limit has no effect where cores go
/// through a pipe, so on Linux the process is also made not dumpable.
fn no_core() {
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// A change that `waitpid` reported of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has ended.
    Ended(Ended),
    /// It was stopped by a signal.
    Stopped(i32),
    /// It was continued.
    Continued,
}

/// The next change of any child, without waiting. It calls libc itself, because nix can't represent real-time signals.
pub fn next_change() -> Option<(Pid, Change)> {
    let mut status = 0;
    // SAFETY: writes a status into a local.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED) };
    if pid <= 0 {
        return None;
    }
    let change = if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else if libc::WIFCONTINUED(status) {
        Change::Continued
    } else if libc::WIFSIGNALED(status) {
        Change::Ended(Ended::Signal(libc::WTERMSIG(status)))
    } else {
        Change::Ended(Ended::Code(libc::WEXITSTATUS(status)))
    };
    Some((Pid::from_raw(pid), change))
}

/// Whether a stopped child was continued, or has ended.
pub fn is_running(child: Pid) -> bool {
    peek(child, libc::WCONTINUED | libc::WEXITED)
}

/// Whether a child that has not been waited for has ended.
pub fn has_ended(child: Pid) -> bool {
    peek(child, libc::WEXITED)
}

/// Whether the kernel reports a change of one of these kinds. The change stays there for `next_change`.
fn peek(child: Pid, kinds: libc::c_int) -> bool {
    // SAFETY: an all-zero siginfo is valid, and waitid fills it; with WNOWAIT the change can still be waited for.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = kinds | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, child.as_raw() as libc::id_t, &mut info, flags) == 0 && info.si_signo != 0
    }
}

/// Stops this process with `signal`, as the command was stopped (promise A8). Returns once it is continued.
pub fn stop_self(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else {
        return;
    };
    if signal == Signal::SIGSTOP {
        let _ = nix::sys::signal::raise(signal);
        return;
    }
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    let mut only = SigSet::empty();
    only.add(signal);
    let mut before = SigSet::empty();
    // SAFETY: installs the default action, which runs no code of ours, and then restores the previous one.
    let Ok(action) = (unsafe { nix::sys::signal::sigaction(signal, &default) }) else {
        return;
    };
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&only), Some(&mut before));
    let _ = nix::sys::signal::raise(signal);
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    // SAFETY: `action` is the one that was installed before.
    let _ = unsafe { nix::sys::signal::sigaction(signal, &action) };
}
