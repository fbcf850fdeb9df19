//! The signal rules: one table, from which handlers and forwarding are derived.
//!
//! Model: the command is the child that this process started and waits for. Both have the same process group and the same
//! terminal, without a pty. The kernel sends the signal of a key or a resize to the whole group, so the command has it already.
//! Another process sends its signal only to us, and means the command. Promises such as A10 are in docs/promises.md.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};

use super::origin::{Note, Sender};

/// How a signal is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Sent on to the command.
    Forward,
    /// Sent on if this process leads its POSIX session: when a terminal closes, the kernel signals the session's leader, and no
    /// other process of the group. In all other cases it signals the whole group.
    ForwardAsLeader,
    /// Nothing is done: the kernel sent it to the command, too.
    Shared,
    /// A child has changed state.
    Reap,
}

/// The rules: signal, action if the kernel sent it, action if a process sent it. A signal that is not listed keeps its inherited
/// action. SIGTTIN and SIGTTOU are not listed. The kernel sends them to the group of a process that uses the terminal in the
/// background: so they stop this process together with the command, and the shell sees a stopped job (promise A10).
pub const RULES: [(Signal, Action, Action); 11] = {
    use Action::{Forward, ForwardAsLeader, Reap, Shared};
    [
        (Signal::SIGINT, Shared, Forward),
        (Signal::SIGQUIT, Shared, Forward),
        (Signal::SIGTSTP, Shared, Forward),
        (Signal::SIGWINCH, Shared, Forward),
        (Signal::SIGHUP, ForwardAsLeader, Forward),
        (Signal::SIGCONT, ForwardAsLeader, Forward),
        // An alarm that was set before act-claude was executed survives exec and expires in this process, not in the command.
        (Signal::SIGALRM, Forward, Forward),
        (Signal::SIGTERM, Forward, Forward),
        (Signal::SIGUSR1, Forward, Forward),
        (Signal::SIGUSR2, Forward, Forward),
        (Signal::SIGCHLD, Reap, Reap),
    ]
};

/// Whether `signal` from `sender` is sent on to the command.
pub fn is_forwarded(signal: Signal, sender: Sender, command: i32, leads_session: bool) -> bool {
    let Some((_, from_kernel, from_process)) = RULES.iter().find(|rule| rule.0 == signal) else { return false };
    let action = match sender {
        Sender::Kernel => from_kernel,
        // The command is not sent its own signal back (promise A7).
        Sender::Process(pid) if pid == command => return false,
        Sender::Process(_) => from_process,
    };
    match action {
        Action::Forward => true,
        Action::ForwardAsLeader => leads_session,
        Action::Shared | Action::Reap => false,
    }
}

/// The signals of [`RULES`].
pub fn handled() -> SigSet {
    RULES.iter().map(|rule| rule.0).collect()
}

/// The pipe's writing end, for the handler.
static WRITER: AtomicI32 = AtomicI32::new(-1);

/// The length of a signal's record in the pipe: 1 if the kernel sent it, its number, the sender's pid.
const RECORD: usize = 9;

/// The handler: writes the signal into the pipe. A full pipe drops it, but hundreds of signals then wait to be read.
extern "C" fn record(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: async-signal-safe: reads the siginfo the kernel passed, writes fewer bytes than PIPE_BUF to a
    // non-blocking pipe, and leaves errno as it was.
    unsafe {
        let errno = errno_location();
        let saved = *errno;
        let note = Note::of(info);
        let mut bytes = [0; RECORD];
        bytes[0] = note.clues;
        bytes[1..5].copy_from_slice(&signal.to_ne_bytes());
        bytes[5..].copy_from_slice(&note.pid.to_ne_bytes());
        libc::write(WRITER.load(Ordering::Relaxed), bytes.as_ptr().cast(), RECORD);
        *errno = saved;
    }
}

/// The place of the calling thread's `errno`.
#[cfg(target_os = "linux")]
unsafe fn errno_location() -> *mut i32 {
    // SAFETY: always valid on the calling thread.
    unsafe { libc::__errno_location() }
}

#[cfg(not(target_os = "linux"))]
unsafe fn errno_location() -> *mut i32 {
    // SAFETY: always valid on the calling thread.
    unsafe { libc::__error() }
}

/// The signals that the handlers caught, read from a pipe in order.
pub struct Signals {
    reader: OwnedFd,
    writer: OwnedFd,
}

/// Whether `signal` was inherited as ignored.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: only reads.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal as i32, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Gives SIGCHLD its default action, because children can't be waited for while it is ignored; or has it ignored again
/// (promise A13).
pub fn set_sigchld(action: SigHandler) -> io::Result<()> {
    let action = SigAction::new(action, SaFlags::empty(), SigSet::empty());
    // SAFETY: called with the default action and with "ignore", which run no code of ours.
    unsafe { nix::sys::signal::sigaction(Signal::SIGCHLD, &action) }?;
    Ok(())
}

impl Signals {
    /// Makes the pipe, and installs no handlers yet: everything that can fail is done before there is a command.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = crate::system::descriptors::pipe()?;
        for end in [&reader, &writer] {
            nix::fcntl::fcntl(end, nix::fcntl::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
        }
        Ok(Self { reader, writer })
    }

    /// Installs the handlers of [`RULES`], except where the signal was inherited as ignored (promise A11). SIGCHLD always gets
    /// its handler, because children can't be waited for while it is ignored (promise A13). Call it while all of them are
    /// blocked: for a moment an ignored signal has a handler, too.
    pub fn install(&self) {
        WRITER.store(self.writer.as_raw_fd(), Ordering::Relaxed);
        let flags = SaFlags::SA_SIGINFO | SaFlags::SA_RESTART;
        let action = SigAction::new(SigHandler::SigAction(record), flags, SigSet::all());
        for (signal, ..) in RULES {
            // SAFETY: `record` is async-signal-safe; the previous action may be restored. An error is not possible: sigaction
            // fails for invalid signals only.
            unsafe {
                if let Ok(before) = nix::sys::signal::sigaction(signal, &action)
                    && matches!(before.handler(), SigHandler::SigIgn)
                    && signal != Signal::SIGCHLD
                {
                    let _ = nix::sys::signal::sigaction(signal, &before);
                }
            }
        }
    }

    /// The next signal caught, if there is one.
    pub fn next(&self) -> Option<(Signal, Sender)> {
        let mut bytes = [0; RECORD];
        match nix::unistd::read(&self.reader, &mut bytes) {
            Ok(RECORD) => {}
            _ => return None,
        }
        let number = |at: usize| i32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let signal = Signal::try_from(number(1)).ok()?;
        Some((signal, Note { clues: bytes[0], pid: number(5) }.sender(signal)))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: i32 = 7;

    #[test]
    fn what_is_forwarded() {
        // Signal; forwarded: from the kernel, the same to a session leader, from a process, from the command.
        let expected = [
            (Signal::SIGHUP, [false, true, true, false]),
            (Signal::SIGINT, [false, false, true, false]),
            (Signal::SIGQUIT, [false, false, true, false]),
            (Signal::SIGUSR1, [true, true, true, false]),
            (Signal::SIGUSR2, [true, true, true, false]),
            (Signal::SIGALRM, [true, true, true, false]),
            (Signal::SIGTERM, [true, true, true, false]),
            (Signal::SIGCONT, [false, true, true, false]),
            (Signal::SIGTSTP, [false, false, true, false]),
            (Signal::SIGWINCH, [false, false, true, false]),
            (Signal::SIGCHLD, [false, false, false, false]),
            (Signal::SIGTTIN, [false, false, false, false]),
            (Signal::SIGTTOU, [false, false, false, false]),
        ];
        for (signal, forwarded) in expected {
            let seen = [(Sender::Kernel, false), (Sender::Kernel, true), (Sender::Process(8), false)]
                .map(|(sender, leads)| is_forwarded(signal, sender, COMMAND, leads));
            assert_eq!(seen, forwarded[..3], "{signal}");
            assert_eq!(is_forwarded(signal, Sender::Process(COMMAND), COMMAND, true), forwarded[3], "{signal}");
        }
    }
}
