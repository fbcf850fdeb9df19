//! What the demo started ends with it: on Ctrl-C, and the relays it leaves behind.

use std::io;
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

/// Between two looks at a child.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long an interrupted claude may take to end, and a relay whose ACT has gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ctrl-C, SIGTERM or a closed terminal, noted instead of dying on the spot.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicI32>);

impl Interrupt {
    /// From now on they are noted.
    pub fn note() -> io::Result<Self> {
        let noted = Arc::new(AtomicI32::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut streams = {
            let _guard = runtime.enter();
            let of = |kind| signal(kind);
            (of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?)
        };
        let shared = noted.clone();
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
        Ok(Self(noted))
    }

    /// The signal's number, if there was one.
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// Waits for a child. Interrupted, it ends the child and gives `None`.
    pub fn wait(&self, mut child: Child) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status).filter(|_| self.signal().is_none()));
            }
            if self.signal().is_some() {
                break;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        // Not yet reaped, so the pid is still this child's.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && child.try_wait()?.is_none() {
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = child.kill();
        child.wait()?;
        Ok(None)
    }
}

/// From now on whoever our children leave behind becomes our child, so that it can be waited for.
#[cfg(target_os = "linux")]
pub fn adopt() {
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// There is no such thing; relays end by themselves soon after their ACT has gone.
#[cfg(not(target_os = "linux"))]
pub fn adopt() {}

/// Waits until every child has ended; the stubborn ones are ended.
pub fn reap() {
    let deadline = Instant::now() + PATIENCE;
    let mut ended = false;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {}
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => return,
        }
        if !ended && Instant::now() > deadline {
            ended = true;
            for child in children() {
                let _ = kill(child, Signal::SIGKILL);
            }
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Our children. Not yet reaped, so the pids are theirs.
fn children() -> Vec<Pid> {
    let own = std::process::id().cast_signed();
    let is_child = |pid: &i32| process::look(*pid).is_some_and(|process| process.parent == own);
    process::all().into_iter().filter(is_child).map(Pid::from_raw).collect()
}
