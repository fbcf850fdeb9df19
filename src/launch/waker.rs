//! A process that continues this one when the command is continued.
//!
//! When the command stops, this process stops, too, so that a shell sees it (promise A8). A stopped process can't see that the
//! command alone is continued, by `kill -CONT`, by `cpulimit`, or by a debugger, and without a terminal nobody may ever continue
//! it. So it leaves a process behind that checks from time to time.
#![allow(unsafe_code)]

use nix::unistd::Pid;

/// The process that checks; it is killed when this value is dropped.
#[derive(Debug)]
pub struct Waker(Pid);

impl Waker {
    /// Its pid, which is the sender of the CONT.
    pub fn pid(&self) -> Pid {
        self.0
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.0, nix::sys::signal::Signal::SIGKILL);
        let _ = nix::sys::wait::waitpid(self.0, None);
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::ffi::{CStr, CString};

    use nix::libc;
    use nix::unistd::{ForkResult, Pid, fork};

    use super::Waker;
    use crate::system::descriptors::close_all_from;

    /// The first pause and the longest one, in milliseconds.
    const PAUSES: (libc::c_long, libc::c_long) = (5, 250);

    impl Waker {
        /// Starts one; `None` where it could not see the command.
        pub fn start(command: Pid) -> Option<Self> {
            let stat = |pid: Pid| CString::new(format!("/proc/{pid}/stat")).ok();
            let own = nix::unistd::getpid();
            let (command, parent) = (stat(command)?, stat(own)?);
            state(&command)?;
            // SAFETY: the child calls only async-signal-safe functions, and ends.
            match unsafe { fork() }.ok()? {
                ForkResult::Parent { child } => Some(Self(child)),
                ForkResult::Child => look(&command, &parent, own.as_raw()),
            }
        }
    }

    /// The new process: checks until the parent is stopped and the command is not. Async-signal-safe.
    fn look(command: &CStr, parent: &CStr, parent_pid: i32) -> ! {
        // SAFETY: async-signal-safe calls on locals. In a group of its own, so that it is not stopped with the others; no
        // signal but KILL ends it.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::setpgid(0, 0);
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
            close_all_from(0);
            let mut pause = PAUSES.0;
            while libc::getppid() == parent_pid {
                if is_stopped(parent) && !is_stopped(command) {
                    libc::kill(parent_pid, libc::SIGCONT);
                    libc::_exit(0);
                }
                let time = libc::timespec { tv_sec: 0, tv_nsec: pause * 1_000_000 };
                libc::nanosleep(&time, std::ptr::null_mut());
                pause = (pause * 2).min(PAUSES.1);
            }
            libc::_exit(0)
        }
    }

    fn is_stopped(stat: &CStr) -> bool {
        matches!(state(stat), Some(b'T' | b't'))
    }

    /// The state letter after the name; the name may hold any character. Async-signal-safe.
    fn state(stat: &CStr) -> Option<u8> {
        let mut text = [0; 128];
        // SAFETY: reads into a local.
        let count = unsafe {
            let file = libc::open(stat.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if file < 0 {
                return None;
            }
            let count = libc::read(file, text.as_mut_ptr().cast(), text.len());
            libc::close(file);
            usize::try_from(count).ok()?
        };
        let end = text[..count].iter().rposition(|&byte| byte == b')')?;
        text.get(end + 2).copied()
    }
}

#[cfg(not(target_os = "linux"))]
impl Waker {
    /// On this system only the parent of a process can see whether it is stopped.
    pub fn start(_command: Pid) -> Option<Self> {
        None
    }
}
