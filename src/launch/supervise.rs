//! Waits for the command as if nobody stood between it and its parent.

use std::io;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::Pid;
use std::os::fd::AsFd;

use super::process::{self, Change, Ended, Image, Role};
use super::signals::{self, Action, Signals};
use super::terminal::Terminal;

/// A running command.
pub struct Supervisor {
    signals: Signals,
    command: Pid,
    stopped: bool,
    terminal: Option<Terminal>,
}

/// How long a continued process group takes to reach every member.
const GROUP_DELIVERY: Duration = Duration::from_millis(50);

impl Supervisor {
    /// Starts the command. Until it exists signals have their inherited effect; from then on they are the
    /// command's: blocked, spawned, installed, unblocked (promise A14).
    pub fn start(image: &Image) -> io::Result<Self> {
        let terminal = Terminal::note();
        let sigchld_ignored = signals::is_ignored(Signal::SIGCHLD);
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals::handled()), Some(&mut mask))?;
        let unblock = |mask: &SigSet| {
            let mut mask = *mask;
            mask.remove(Signal::SIGCHLD);
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)
        };
        let started = process::default_sigchld().and_then(|()| {
            let command = process::spawn(image, Role::Command { mask: &mask, sigchld_ignored })?;
            Ok((command, Signals::install()?))
        });
        match started {
            Ok((command, signals)) => {
                unblock(&mask)?;
                process::release_standard_streams();
                Ok(Self { signals, command, stopped: false, terminal })
            }
            Err(error) => {
                unblock(&mask)?;
                Err(error)
            }
        }
    }

    /// The command's pid.
    pub fn command(&self) -> Pid {
        self.command
    }

    /// Waits until the command has ended, and puts the terminal right if it could not do so itself.
    pub fn wait(&mut self) -> Ended {
        let ended = loop {
            if let Some(ended) = self.reap() {
                break ended;
            }
            let mut ready = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut ready, PollTimeout::NONE);
            while let Some((signal, sender)) = self.signals.next() {
                if signals::action(signal, sender, self.command.as_raw()) == Some(Action::Forward) {
                    self.forward(signal);
                }
            }
        };
        if let (Ended::Signal(_), Some(terminal)) = (ended, &mut self.terminal) {
            terminal.restore();
        }
        ended
    }

    /// Takes note of every change of a child. The command is signalled only while it has not been reaped, so
    /// its pid can't be another's (promise A15).
    fn reap(&mut self) -> Option<Ended> {
        while let Some((pid, change)) = process::next_change() {
            if pid != self.command {
                continue;
            }
            match change {
                Change::Ended(ended) => return Some(ended),
                Change::Continued => self.stopped = false,
                Change::Stopped(signal) => {
                    self.stopped = true;
                    process::stop_self(signal);
                }
            }
        }
        None
    }

    fn forward(&mut self, signal: Signal) {
        if signal == Signal::SIGCONT && self.stopped && self.continued_within(GROUP_DELIVERY) {
            return;
        }
        let _ = nix::sys::signal::kill(self.command, signal);
    }

    /// Whether the command went on by itself: a shell's `fg` continues the whole group, us and it, and the
    /// command should see one CONT, not two.
    fn continued_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if process::is_running(self.command) {
                self.stopped = false;
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            std::thread::sleep(left.min(Duration::from_millis(1)));
        }
    }

    /// Waits until `other` is readable, `limit` is over, or a signal arrives. Returns whether it is readable.
    pub fn wait_for(&self, other: impl AsFd, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
            let mut ready =
                [PollFd::new(other.as_fd(), PollFlags::POLLIN), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, timeout) {
                Ok(0) => return false,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return false,
                Ok(_) => {}
            }
            if ready[0].any() == Some(true) {
                return true;
            }
            while let Some((signal, _)) = self.signals.next() {
                if !matches!(signal, Signal::SIGCHLD | Signal::SIGWINCH | Signal::SIGCONT) {
                    return false;
                }
            }
        }
    }
}
