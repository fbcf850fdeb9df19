//! A process that is no child of ours, watched until it ends.

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

/// A watched process. On Linux a descriptor stands for it, so that a pid used again is never mistaken for it.
#[derive(Debug)]
pub struct Watched {
    #[cfg(target_os = "linux")]
    descriptor: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    pid: nix::unistd::Pid,
}

#[cfg(target_os = "linux")]
impl Watched {
    /// Starts watching; `None` where it has gone already.
    pub fn new(pid: i32) -> Option<Self> {
        Some(Self { descriptor: crate::launch::process::pidfd(pid).ok()? })
    }

    /// The kernel does it: the parent-death signal, see `launch::process`.
    pub fn end_with_supervisor(&self) {}

    /// Until it has ended.
    pub async fn gone(self) {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let ended = tokio::task::spawn_blocking(move || {
            let mut ready = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
            while poll(&mut ready, PollTimeout::NONE) == Err(nix::errno::Errno::EINTR) {}
        });
        let _ = ended.await;
    }
}

#[cfg(not(target_os = "linux"))]
impl Watched {
    /// Starts watching; `None` where it has gone already.
    pub fn new(pid: i32) -> Option<Self> {
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, None).is_ok().then_some(Self { pid })
    }

    /// Does what the parent-death signal does on Linux: a killed supervisor takes claude along.
    pub fn end_with_supervisor(&self) {
        let _ = nix::sys::signal::kill(self.pid, nix::sys::signal::Signal::SIGTERM);
    }

    /// Until it has ended.
    pub async fn gone(self) {
        while nix::sys::signal::kill(self.pid, None).is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}
