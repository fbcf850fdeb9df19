//! Waits for the command, invisibly to the command and to our own parent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::Pid;

use super::child::{self, Change, Ended};
use super::origin::Sender;
use super::parent_death;
use super::process::{Image, Prepared, Role};
use super::signals::{self, Signals};
use super::terminal::Terminal;
use super::waker::Waker;
use crate::launch::HEAD_START;
use crate::system::descriptors;

/// A running command.
pub struct Supervisor {
    signals: Signals,
    command: Pid,
    /// What to do with the next CONT.
    state: Continuation,
    /// Whether this process leads its session: [`signals::Action::ForwardAsLeader`].
    leads_session: bool,
    /// The terminal's modes before the command was started.
    terminal: Option<Terminal>,
    /// When the deferred work is due; `None` once it has been done.
    due: Option<Instant>,
    /// A signal arrived after the command had ended, so it is meant for us.
    has_late_signal: bool,
    /// Pids of the wakers that have continued us, or could have, and whose signals may not have been read yet.
    wakers: Vec<i32>,
}

/// Whether a CONT that reaches us still has to reach the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Continuation {
    /// It runs: yes, as for any other signal.
    Running,
    /// It is stopped, and so were we: yes, unless the CONT was sent to both.
    Stopped,
    /// It was stopped and has been continued: no, it received the same CONT.
    Continued,
}

/// Work that starts once the command has had a head start.
pub trait Deferred {
    /// A descriptor that makes the start due at once when it becomes readable; `None` after the start.
    fn needed(&self) -> Option<BorrowedFd<'_>>;
    /// When it is to be started again, if it waits for that.
    fn due(&self) -> Option<Instant> {
        None
    }
    /// Starts it.
    fn start(&mut self);
}

/// Nothing is deferred.
impl Deferred for () {
    fn needed(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn start(&mut self) {}
}

/// Whether the sender of `signal` wants us to stop waiting.
fn ends_a_wait(signal: Signal) -> bool {
    !matches!(signal, Signal::SIGCHLD | Signal::SIGWINCH | Signal::SIGCONT)
}

/// How long a CONT to a process group takes to reach every member.
const GROUP_DELIVERY: Duration = Duration::from_millis(50);

impl Supervisor {
    /// Starts the command. Before it exists, signals have their inherited effect; afterwards they are the command's. The order
    /// is: block, spawn, install, unblock (promise A14).
    pub fn start(image: &Image) -> io::Result<Self> {
        let terminal = Terminal::note();
        let signals = Signals::new()?;
        let sigchld_ignored = signals::is_ignored(Signal::SIGCHLD);
        signals::set_sigchld(SigHandler::SigDfl)?;
        let prepared = Prepared::new(image)?;
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals::handled()), Some(&mut mask))?;
        let spawned = prepared.spawn(Role::Command { mask: &mask, sigchld_ignored });
        if let Ok(command) = spawned {
            parent_death::watch(command);
            signals.install();
            // This process unblocks even what it inherited as blocked. A forwarded signal then waits in the command, which still
            // blocks it.
            signals::handled().iter().for_each(|signal| mask.remove(signal));
        } else if sigchld_ignored {
            signals::set_sigchld(SigHandler::SigIgn)?;
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        let command = spawned?;
        let leads_session = nix::unistd::getsid(None) == Ok(nix::unistd::getpid());
        let due = Some(Instant::now() + HEAD_START);
        Ok(Self {
            signals,
            command,
            state: Continuation::Running,
            leads_session,
            terminal,
            due,
            has_late_signal: false,
            wakers: Vec::new(),
        })
    }

    /// The command's pid.
    pub fn command(&self) -> Pid {
        self.command
    }

    /// Waits until the command has ended, and restores the terminal if a signal killed it. Once the command has had its head
    /// start, this process closes inherited descriptors and starts `deferred`.
    pub fn wait(&mut self, deferred: &mut impl Deferred) -> Ended {
        let ended = loop {
            if let Some(ended) = self.reap() {
                break ended;
            }
            let mut ready = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            ready.extend(deferred.needed().map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)));
            let due = self.due.into_iter().chain(deferred.due()).min();
            let timeout = due.map_or(PollTimeout::NONE, |due| {
                // Rounded up, so that poll does not return too early.
                let left = due.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
                PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX)
            });
            let polled = poll(&mut ready, timeout);
            let is_needed = ready.get(1).is_some_and(|deferred| deferred.any() == Some(true));
            if is_needed || polled == Ok(0) {
                self.close_inherited();
                deferred.start();
            }
            while let Some((signal, sender)) = self.signals.next() {
                // A waker's signal is not for the command, which runs already.
                let is_from_waker = matches!(sender, Sender::Process(pid) if self.wakers.contains(&pid));
                let is_forwarded = signals::is_forwarded(signal, sender, self.command.as_raw(), self.leads_session);
                if is_from_waker || !is_forwarded {
                    continue;
                }
                if child::has_ended(self.command) {
                    self.has_late_signal |= ends_a_wait(signal);
                } else {
                    self.forward(signal);
                }
            }
            self.wakers.clear();
        };
        if let (Ended::Signal(_), Some(terminal)) = (ended, &self.terminal) {
            terminal.restore();
        }
        ended
    }

    /// Closes inherited descriptors. The command does not depend on it, so it comes after the command's first steps.
    pub fn close_inherited(&mut self) {
        if self.due.take().is_some() {
            descriptors::release_inherited();
        }
    }

    /// Handles every state change of a child. The command is signalled only while it has not been reaped, so that its pid can't
    /// belong to another process (promise A15).
    fn reap(&mut self) -> Option<Ended> {
        while let Some((pid, change)) = child::next_change() {
            if pid != self.command {
                continue;
            }
            match change {
                Change::Ended(ended) => return Some(ended),
                Change::Continued if self.state == Continuation::Stopped => self.state = Continuation::Continued,
                Change::Continued => {}
                // It was stopped and continued before we looked.
                Change::Stopped(_) if child::is_running(self.command) => {}
                Change::Stopped(signal) => {
                    self.state = Continuation::Stopped;
                    self.stop_as_well(signal);
                }
            }
        }
        None
    }

    /// Stops this process until it is continued: by a signal to the command and us together, or by the waker, a process that is
    /// left behind in case the command alone is continued. Without a waker and without a terminal it does not stop, because
    /// nobody would continue it.
    fn stop_as_well(&mut self, signal: i32) {
        let waker = Waker::start(self.command);
        if waker.is_none() && std::fs::File::open("/dev/tty").is_err() {
            return;
        }
        self.wakers.extend(waker.as_ref().map(|waker| waker.pid().as_raw()));
        child::stop_self(signal);
    }

    fn forward(&mut self, signal: Signal) {
        if signal == Signal::SIGCONT {
            match std::mem::replace(&mut self.state, Continuation::Running) {
                Continuation::Continued => return,
                Continuation::Stopped if self.continues_within(GROUP_DELIVERY) => return,
                Continuation::Stopped | Continuation::Running => {}
            }
        }
        let _ = nix::sys::signal::kill(self.command, signal);
    }

    /// Whether the command is continued by someone else within `limit`. A shell's `fg` continues the whole group, us and the
    /// command, and the command should receive one CONT, not two.
    fn continues_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !child::is_running(self.command) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Waits until `other` is readable, `limit` is over, or a signal arrives. Returns whether it is readable.
    pub fn wait_for(&mut self, other: impl AsFd, limit: Duration) -> bool {
        self.wait_until(Some(other.as_fd()), limit) == Waited::Readable
    }

    /// Waits until `limit` is over or a signal arrives. Returns whether it is over.
    pub fn pause(&mut self, limit: Duration) -> bool {
        self.wait_until(None, limit) == Waited::Over
    }

    fn wait_until(&mut self, other: Option<BorrowedFd<'_>>, limit: Duration) -> Waited {
        if std::mem::take(&mut self.has_late_signal) {
            return Waited::Interrupted;
        }
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
            let mut ready = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            ready.extend(other.map(|other| PollFd::new(other, PollFlags::POLLIN)));
            match poll(&mut ready, timeout) {
                Ok(0) => return Waited::Over,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return Waited::Interrupted,
                Ok(_) => {}
            }
            if ready.get(1).is_some_and(|other| other.any() == Some(true)) {
                return Waited::Readable;
            }
            while let Some((signal, _)) = self.signals.next() {
                if ends_a_wait(signal) {
                    return Waited::Interrupted;
                }
            }
        }
    }
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    Readable,
    Over,
    Interrupted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_to_end_ends_a_wait_and_who_only_tells_something_does_not() {
        let ending: Vec<_> = signals::handled().iter().filter(|signal| ends_a_wait(*signal)).collect();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            assert!(ending.contains(&signal), "{signal}");
        }
        for signal in [Signal::SIGCHLD, Signal::SIGWINCH, Signal::SIGCONT] {
            assert!(!ending.contains(&signal), "{signal}");
        }
    }
}
