//! Ends the processes that the demo started: claude on Ctrl-C, and the relays that outlive their sessions.

use std::io;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use crate::system::process;

/// The time between two checks of a child process.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long an interrupted claude may take to end, and also a relay after its ACT was stopped.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Catches SIGINT, SIGTERM and SIGHUP and saves which one came, so that the demo can clean up before it ends.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicI32>);

impl Interrupt {
    /// Starts to catch the signals.
    pub fn catch() -> io::Result<Self> {
        let caught = Arc::new(AtomicI32::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut streams = {
            let _guard = runtime.enter();
            let of = |kind| signal(kind);
            (of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?)
        };
        let shared = caught.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                let signal = tokio::select! {
                    _ = streams.0.recv() => Signal::SIGINT,
                    _ = streams.1.recv() => Signal::SIGTERM,
                    _ = streams.2.recv() => Signal::SIGHUP,
                };
                shared.store(signal as i32, Ordering::SeqCst);
            });
        })?;
        Ok(Self(caught))
    }

    /// The number of the signal that came, if one did.
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// Waits for a child. After a signal it ends the child and returns `None`.
    pub fn wait(&self, mut child: Child) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status).filter(|_| self.signal().is_none()));
            }
            if self.signal().is_some() {
                break;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        // The child is not reaped yet, so its pid was not reused.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let deadline = Instant::now() + END_TIMEOUT;
        while Instant::now() < deadline && child.try_wait()?.is_none() {
            std::thread::sleep(POLL_INTERVAL);
        }
        let _ = child.kill();
        child.wait()?;
        Ok(None)
    }
}

/// Makes this process the parent of all orphaned descendants, so that it can wait for them.
#[cfg(target_os = "linux")]
pub fn adopt_orphans() {
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Only Linux has child subreapers. On other systems [`reap`] finds the orphans by their environment.
#[cfg(not(target_os = "linux"))]
pub fn adopt_orphans() {}

/// Waits until every process of the demo has ended. Kills those that take too long. `home`: the demo's home directory, which is
/// in the environment of each of them, and of no other process.
pub fn reap(home: &Path) {
    let deadline = Instant::now() + END_TIMEOUT;
    let mut killed = false;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {}
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) if orphans(home).is_empty() => return,
            // A process that can't be killed is not waited for.
            Err(_) if killed => return,
            Err(_) => {}
        }
        if !killed && Instant::now() > deadline {
            killed = true;
            for process in children().into_iter().chain(orphans(home)) {
                let _ = kill(process, Signal::SIGKILL);
            }
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The pids of this process's children. They are not reaped yet, so the pids were not reused.
fn children() -> Vec<Pid> {
    let own = std::process::id().cast_signed();
    let is_child = |pid: &i32| process::look(*pid).is_some_and(|process| process.parent == own);
    process::all().into_iter().filter(is_child).map(Pid::from_raw).collect()
}

/// All are children.
#[cfg(target_os = "linux")]
fn orphans(_home: &Path) -> Vec<Pid> {
    Vec::new()
}

/// The processes of the demo that have another parent.
#[cfg(not(target_os = "linux"))]
fn orphans(home: &Path) -> Vec<Pid> {
    home.to_str().into_iter().flat_map(crate::claude::carriers::all).map(Pid::from_raw).collect()
}
