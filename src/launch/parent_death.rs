//! The command gets TERM when this process is killed (promise A16).
//!
//! On Linux the kernel sends it. macOS has no such signal, so there a third process waits for the end of both.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use nix::libc;
use nix::unistd::Pid;

/// In the child, before it executes the command. The child gets TERM when the thread that forked it, which is the only one,
/// ends. Async-signal-safe.
#[cfg(target_os = "linux")]
pub fn follow(parent: Pid) {
    // SAFETY: async-signal-safe; the check of the parent closes the gap between fork and prctl.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        if libc::getppid() != parent.as_raw() {
            // `raise` would address the parent's thread.
            libc::kill(libc::getpid(), libc::SIGTERM);
        }
    }
}

/// Nothing that the child can do itself.
#[cfg(not(target_os = "linux"))]
pub fn follow(_parent: Pid) {}

/// In this process, once the command runs: nothing is left to do.
#[cfg(target_os = "linux")]
pub fn watch(_command: Pid) {}

#[cfg(not(target_os = "linux"))]
pub use watcher::watch;

/// What the watcher does once these processes have ended.
#[cfg(any(test, not(target_os = "linux")))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Both still run.
    Wait,
    /// The command has ended.
    End,
    /// The supervisor has ended, and the command has not.
    EndCommand,
}

#[cfg(any(test, not(target_os = "linux")))]
fn next(ended: &[i32], supervisor: i32, command: i32) -> Next {
    match (ended.contains(&command), ended.contains(&supervisor)) {
        (true, _) => Next::End,
        (false, true) => Next::EndCommand,
        (false, false) => Next::Wait,
    }
}

#[cfg(not(target_os = "linux"))]
mod watcher {
    use nix::errno::Errno;
    use nix::libc;
    use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
    use nix::sys::signal::{SigSet, Signal, kill};
    use nix::unistd::{ForkResult, Pid, fork, getpid, setsid};

    use super::{Next, next};
    use crate::system::descriptors::close_from;
    use crate::system::process;

    /// Starts the watcher. It ends as soon as the command has ended. Where it can't be started, the command outlives a killed
    /// supervisor.
    pub fn watch(command: Pid) {
        let supervisor = getpid();
        let started = process::started(command.as_raw());
        // SAFETY: this process has one thread, so no other thread can hold a lock in the copy.
        if let Ok(ForkResult::Child) = unsafe { fork() } {
            if run(supervisor, command) == Next::EndCommand
                // The pid may be another process's by now.
                && started.is_some()
                && process::started(command.as_raw()) == started
            {
                let _ = kill(command, Signal::SIGTERM);
            }
            // SAFETY: ends the copy without running anything of the supervisor's.
            unsafe { libc::_exit(0) }
        }
    }

    /// The new process: waits until something is to be done. It holds nothing of the supervisor's, belongs to no job, and no
    /// signal but KILL ends it.
    fn run(supervisor: Pid, command: Pid) -> Next {
        let _ = SigSet::all().thread_block();
        let _ = setsid();
        close_from(0);
        let _ = std::env::set_current_dir("/");
        let Ok(queue) = Kqueue::new() else { return Next::End };
        let event = |pid: Pid| {
            let ident = usize::try_from(pid.as_raw()).unwrap_or_default();
            let flags = EvFlags::EV_ADD | EvFlags::EV_RECEIPT;
            KEvent::new(ident, EventFilter::EVFILT_PROC, flags, FilterFlag::NOTE_EXIT, 0, 0)
        };
        let asked = [supervisor, command].map(event);
        let mut told = asked;
        // With receipts, each request is answered at once: 0, or why it failed. A process that has ended can't be watched.
        let Ok(count) = retried(|| queue.kevent(&asked, &mut told, None)) else { return Next::End };
        let mut ended: Vec<i32> = told[..count].iter().filter(|it| it.data() != 0).filter_map(pid_of).collect();
        loop {
            match next(&ended, supervisor.as_raw(), command.as_raw()) {
                Next::Wait => {}
                next => return next,
            }
            let Ok(count) = retried(|| queue.kevent(&[], &mut told, None)) else { return Next::End };
            ended.extend(told[..count].iter().filter_map(pid_of));
        }
    }

    fn pid_of(event: &KEvent) -> Option<i32> {
        i32::try_from(event.ident()).ok()
    }

    fn retried(mut ask: impl FnMut() -> nix::Result<usize>) -> nix::Result<usize> {
        loop {
            match ask() {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_ended_only_after_the_supervisor_and_only_while_it_runs() {
        let (supervisor, command) = (7, 8);
        for (ended, expected) in [
            (&[][..], Next::Wait),
            (&[9], Next::Wait),
            (&[supervisor], Next::EndCommand),
            (&[command], Next::End),
            (&[supervisor, command], Next::End),
            (&[command, supervisor], Next::End),
        ] {
            assert_eq!(next(ended, supervisor, command), expected, "{ended:?}");
        }
    }
}
