//! Where a signal came from. Linux tells whether the kernel sent it. macOS names a process in any case, and there the rule below
//! decides.
#![allow(unsafe_code)]

use nix::libc;
use nix::sys::signal::Signal;

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The kernel: for a key, a resize, a hang-up.
    Kernel,
    /// A process.
    Process(i32),
}

/// What a signal handler can note about the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// The sender's pid, as the system says.
    pub pid: i32,
    /// On Linux 1 for the kernel. On macOS the bits of `Clues`.
    pub clues: u8,
}

impl Note {
    /// Whether the kernel sent the signal; if not, the sender's pid. The kernel's own signals have a positive `si_code`; those that a
    /// process sends by `kill`, `tgkill` or `sigqueue` do not. Async-signal-safe.
    ///
    /// # Safety
    ///
    /// `info` is what the kernel passed to the handler.
    #[cfg(target_os = "linux")]
    pub unsafe fn of(info: *const libc::siginfo_t) -> Self {
        // SAFETY: si_pid is meaningful for signals that processes send and for SIGCHLD.
        unsafe { Self { pid: (*info).si_pid(), clues: u8::from((*info).si_code > 0) } }
    }

    /// Who sent the signal.
    #[cfg(target_os = "linux")]
    pub fn sender(self, _signal: Signal) -> Sender {
        if self.clues == 1 { Sender::Kernel } else { Sender::Process(self.pid) }
    }

    /// Async-signal-safe.
    ///
    /// # Safety
    ///
    /// `info` is what the kernel passed to the handler.
    #[cfg(not(target_os = "linux"))]
    pub unsafe fn of(info: *const libc::siginfo_t) -> Self {
        // SAFETY: the kernel filled it; the calls are async-signal-safe.
        unsafe {
            let pid = (*info).si_pid;
            let session = libc::getsid(0);
            let clues = Clues {
                is_foreground: crate::system::process::is_in_foreground(),
                is_of_session: libc::getsid(pid) == session,
                is_elder: pid != libc::getpid() && (pid == session || pid == libc::getppid()),
            };
            Self { pid, clues: clues.bits() }
        }
    }

    /// Who sent the signal.
    #[cfg(not(target_os = "linux"))]
    pub fn sender(self, signal: Signal) -> Sender {
        use crate::system::process;
        let is_ending = || process::look(self.pid).is_none_or(|process| process.is_ending);
        sender(signal, self.pid, Clues::of(self.clues), || process::holds_terminal(self.pid), is_ending)
    }
}

/// What is known of the sender on macOS, besides its pid.
#[cfg(any(test, not(target_os = "linux")))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clues {
    /// This process is in the foreground of its terminal.
    is_foreground: bool,
    /// The sender is in this process's session.
    is_of_session: bool,
    /// The sender leads this session, or is the parent of this process.
    is_elder: bool,
}

#[cfg(any(test, not(target_os = "linux")))]
impl Clues {
    fn bits(self) -> u8 {
        u8::from(self.is_foreground) | u8::from(self.is_of_session) << 1 | u8::from(self.is_elder) << 2
    }

    fn of(bits: u8) -> Self {
        Self { is_foreground: bits & 1 != 0, is_of_session: bits & 2 != 0, is_elder: bits & 4 != 0 }
    }
}

/// The rule for macOS (pure). For a key the system names the process that ran at that moment: the terminal's program, which
/// wrote the key into the terminal. For a closed session it names the process that ends. It names nobody (0) where another
/// signal was delivered first, because it keeps one pid for each process, not one for each signal.
///
/// `holds_terminal`: whether the sender has the other end of our terminal, where that is known. `is_ending`: whether the sender
/// has ended, or is about to.
#[cfg(any(test, not(target_os = "linux")))]
fn sender(
    signal: Signal,
    pid: i32,
    clues: Clues,
    holds_terminal: impl FnOnce() -> Option<bool>,
    is_ending: impl FnOnce() -> bool,
) -> Sender {
    let is_kernel = match signal {
        // The terminal sends these to its foreground, and to nobody else.
        Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTSTP | Signal::SIGWINCH => {
            // A terminal's program of another user (sshd) is not shown. It is in a session of its own.
            clues.is_foreground && (pid == 0 || holds_terminal().unwrap_or(!clues.is_of_session))
        }
        // When a session's leader or a job's last parent ends, the whole group gets these.
        Signal::SIGHUP | Signal::SIGCONT => clues.is_elder && is_ending(),
        _ => false,
    };
    if is_kernel { Sender::Kernel } else { Sender::Process(pid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: Clues = Clues { is_foreground: false, is_of_session: false, is_elder: false };
    const FRONT: Clues = Clues { is_foreground: true, ..AWAY };

    #[test]
    fn a_key_comes_from_who_holds_the_terminal() {
        let beside = Clues { is_of_session: true, ..FRONT };
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGWINCH] {
            for (pid, clues, holds, expected) in [
                // A terminal's program, also one that runs in a terminal itself (script, tmux).
                (8, FRONT, Some(true), Sender::Kernel),
                (8, beside, Some(true), Sender::Kernel),
                // `kill` in another window, and in this session.
                (8, FRONT, Some(false), Sender::Process(8)),
                (8, beside, Some(false), Sender::Process(8)),
                // Its descriptors are not shown: sshd, which is root's; `sudo kill`.
                (8, FRONT, None, Sender::Kernel),
                (8, beside, None, Sender::Process(8)),
                // A job in the background gets no keys.
                (8, AWAY, Some(true), Sender::Process(8)),
                (0, AWAY, None, Sender::Process(0)),
                // Its pid was overwritten.
                (0, FRONT, None, Sender::Kernel),
            ] {
                assert_eq!(
                    sender(signal, pid, clues, || holds, || false),
                    expected,
                    "{signal} {pid} {clues:?} {holds:?}"
                );
            }
        }
    }

    #[test]
    fn a_hang_up_comes_from_an_elder_that_ends() {
        for signal in [Signal::SIGHUP, Signal::SIGCONT] {
            for (is_elder, is_ending, expected) in [
                (true, true, Sender::Kernel),
                // The shell's own `kill`, and a `kill` that has ended already.
                (true, false, Sender::Process(8)),
                (false, true, Sender::Process(8)),
            ] {
                let clues = Clues { is_elder, ..FRONT };
                assert_eq!(sender(signal, 8, clues, || Some(true), || is_ending), expected, "{signal} {clues:?}");
            }
        }
    }

    #[test]
    fn other_signals_come_from_processes() {
        for signal in [Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGALRM, Signal::SIGCHLD] {
            let elder = Clues { is_elder: true, ..FRONT };
            let holds = || unreachable!("not asked");
            assert_eq!(sender(signal, 8, elder, holds, || true), Sender::Process(8), "{signal}");
        }
    }

    #[test]
    fn clues_pass_through_the_handler_s_pipe() {
        for bits in 0..8 {
            assert_eq!(Clues::of(bits).bits(), bits);
        }
    }
}
