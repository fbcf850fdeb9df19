//! Watches a process that is not our child until it ends.

#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

#[cfg(target_os = "linux")]
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
#[cfg(target_os = "linux")]
use tokio::io::{Interest, unix::AsyncFd};

use crate::system::process;

/// Interval between two checks where the system sends no event.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(200);

/// A watched process. On Linux it is identified by a pidfd, so that another process with the same pid is never confused with it.
#[derive(Debug)]
pub struct Watched {
    pid: i32,
    #[cfg(target_os = "linux")]
    descriptor: std::sync::Arc<OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Watched {
    /// Starts watching; `None` where the process has ended already.
    pub fn new(pid: i32) -> Option<Self> {
        Self::with(pid, crate::system::descriptors::pidfd(pid).ok()?)
    }

    /// Starts watching, with a descriptor of the process that was opened before.
    pub fn with(pid: i32, descriptor: OwnedFd) -> Option<Self> {
        Some(Self { pid, descriptor: descriptor.into() })
    }

    /// Does nothing: the kernel ends claude with the supervisor (the parent-death signal, see `launch::process`).
    pub fn end_with_supervisor(&self) {}

    /// Waits until it has ended. It needs no thread, because the system may not give one.
    pub async fn gone(&self) {
        #[allow(unsafe_code)]
        // SAFETY: the descriptor is shared, never replaced, and open as long as the clone in here.
        let descriptor = unsafe { AsyncFd::register_with_interest(self.descriptor.clone(), Interest::READABLE) };
        if let Ok(descriptor) = descriptor {
            let _ = descriptor.readable().await;
        }
        while !wait(&self.descriptor, PollTimeout::ZERO) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The user it runs as now, where that can be seen.
    pub fn user(&self) -> Option<u32> {
        let user = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{}", self.pid)).ok()?);
        (!wait(&self.descriptor, PollTimeout::ZERO)).then_some(user)
    }

    /// Its working directory now.
    pub fn working_directory(&self) -> Option<PathBuf> {
        let directory = process::directory(self.pid)?;
        // If it still runs, the pid was its own all the time.
        (!wait(&self.descriptor, PollTimeout::ZERO)).then_some(directory)
    }
}

/// Whether the process has ended within `timeout`.
#[cfg(target_os = "linux")]
fn wait(descriptor: &OwnedFd, timeout: PollTimeout) -> bool {
    let mut ready = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut ready, timeout) {
            Err(nix::errno::Errno::EINTR) => {}
            ready => return ready != Ok(0),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Watched {
    /// Starts watching; `None` where the process has ended already.
    pub fn new(pid: i32) -> Option<Self> {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok().then_some(Self { pid })
    }

    /// Does what `new` does, because this system has no descriptors of processes.
    pub fn with(pid: i32, _descriptor: std::os::fd::OwnedFd) -> Option<Self> {
        Self::new(pid)
    }

    /// Ends claude after the supervisor was killed, as the parent-death signal does on Linux.
    pub fn end_with_supervisor(&self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), nix::sys::signal::Signal::SIGTERM);
    }

    /// Waits until it has ended.
    pub async fn gone(&self) {
        while nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), None).is_ok() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Not known on this system: connections are not distinguished by user.
    pub fn user(&self) -> Option<u32> {
        None
    }

    /// Its working directory now.
    pub fn working_directory(&self) -> Option<PathBuf> {
        process::directory(self.pid)
    }
}
