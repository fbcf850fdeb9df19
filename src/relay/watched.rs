//! Watches a process that is not our child until it ends.

#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

#[cfg(target_os = "linux")]
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::{Interest, unix::AsyncFd};

use crate::system::process;

/// Interval between two checks where the system sends no event.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(200);

/// A watched process. On Linux it is identified by a pidfd, on macOS by its pid and the time of its start, so that a pid that is
/// used again is never mistaken for it.
#[derive(Debug)]
pub struct Watched {
    pid: i32,
    #[cfg(not(target_os = "linux"))]
    started: Option<process::Started>,
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
    /// Starts watching; `None` where the process has ended already. Its pid may then be that of another process, which was started
    /// after this one.
    pub fn new(pid: i32) -> Option<Self> {
        let started = process::started(pid);
        let own = process::started(std::process::id().cast_signed());
        let watched = Self { pid, started };
        (started.is_none() || started <= own).then_some(watched).filter(Self::is_running)
    }

    /// Does what `new` does, because this system has no descriptors of processes.
    pub fn with(pid: i32, _descriptor: OwnedFd) -> Option<Self> {
        Self::new(pid)
    }

    /// Waits until it has ended.
    pub async fn gone(&self) {
        /// How long nothing is looked at while the system would tell.
        const TRUST: std::time::Duration = std::time::Duration::from_secs(10);
        #[allow(unsafe_code)]
        // SAFETY: the descriptor belongs to the value alone, which does not replace it.
        let register = |queue| unsafe { AsyncFd::register_with_interest(queue, Interest::READABLE) };
        let mut exit = self.exit().and_then(|queue| register(queue).ok());
        while self.is_running() {
            match exit.take() {
                Some(queue) => {
                    let is_over = tokio::time::timeout(TRUST, queue.readable()).await.is_ok();
                    exit = (!is_over).then_some(queue);
                }
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// A descriptor that becomes readable when it ends; `None` where it has ended.
    fn exit(&self) -> Option<OwnedFd> {
        use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
        let queue = Kqueue::new().ok()?;
        let (pid, flags) = (usize::try_from(self.pid).ok()?, EvFlags::EV_ADD | EvFlags::EV_ONESHOT);
        let exit = KEvent::new(pid, EventFilter::EVFILT_PROC, flags, FilterFlag::NOTE_EXIT, 0, 0);
        queue.kevent(&[exit], &mut [], None).ok()?;
        // If it still runs, the queue has not taken another process for it.
        self.is_running().then(|| queue.into())
    }

    /// Whether it still runs. A pid that is used again has another time.
    fn is_running(&self) -> bool {
        let signal = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), None);
        // A process of another user has no time that this one may see.
        signal != Err(nix::errno::Errno::ESRCH)
            && process::started(self.pid) == self.started
            && process::look(self.pid).is_none_or(|process| !process.is_ending)
    }

    /// Not known on this system: connections are not distinguished by user.
    pub fn user(&self) -> Option<u32> {
        None
    }

    /// Its working directory now.
    pub fn working_directory(&self) -> Option<PathBuf> {
        process::directory(self.pid).filter(|_| self.is_running())
    }
}
