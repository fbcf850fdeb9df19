//! A terminal: a command runs in its own session on a pty; tests can read its screen and send keys.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

/// A command on a terminal of 24 rows and 80 columns.
pub struct Pty {
    master: Option<Arc<File>>,
    pub child: Child,
    state: Arc<Mutex<State>>,
}

struct State {
    parser: vt100::Parser,
    raw: Vec<u8>,
    /// The window is closed: the reader must close the terminal.
    closed: bool,
    ended: bool,
}

impl Pty {
    /// Starts `command` as the terminal's session leader.
    pub fn start(mut command: Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a pty");
        // Otherwise children of other tests would inherit it.
        for end in [&pair.master, &pair.slave] {
            nix::fcntl::fcntl(end, nix::fcntl::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).expect("close-on-exec");
        }
        let stdio = |end: &OwnedFd| Stdio::from(end.try_clone().expect("a descriptor"));
        command.stdin(stdio(&pair.slave)).stdout(stdio(&pair.slave)).stderr(stdio(&pair.slave));
        // SAFETY: setsid and ioctl are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                if libc::ioctl(0, libc::TIOCSCTTY as _, 0) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("started");
        drop((command, pair.slave));
        let master = Arc::new(File::from(pair.master));
        let parser = vt100::Parser::new(cells(24), cells(80), 1000);
        let state = Arc::new(Mutex::new(State { parser, raw: Vec::new(), closed: false, ended: false }));
        let (reader, shared) = (master.clone(), state.clone());
        std::thread::spawn(move || {
            read(&reader, &shared);
            drop(reader);
            shared.lock().unwrap().ended = true;
        });
        Self { master: Some(master), child, state }
    }

    /// Sends keys.
    pub fn send(&self, keys: &str) {
        let mut master: &File = self.master.as_ref().expect("open");
        master.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// What the screen shows.
    pub fn screen(&self) -> String {
        self.state.lock().unwrap().parser.screen().contents()
    }

    /// All output so far.
    pub fn raw(&self) -> Vec<u8> {
        self.state.lock().unwrap().raw.clone()
    }

    /// Waits until the screen satisfies `look`; returns the screen.
    pub fn wait_until(&self, what: &str, look: impl Fn(&str) -> bool) -> String {
        let end = std::time::Instant::now() + super::DEADLINE;
        loop {
            let screen = self.screen();
            if look(&screen) {
                return screen;
            }
            assert!(std::time::Instant::now() < end, "never came: {what}\n--- the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the screen shows `text`.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until a shell with the prompt `$ ` waits there, after so many typed lines.
    pub fn wait_for_prompt(&self, typed: usize) -> String {
        self.wait_until("a prompt", |screen| is_at_prompt(screen, typed))
    }

    /// Changes the size; the kernel sends WINCH to the foreground group.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the call reads one Winsize.
        let result = unsafe { libc::ioctl(self.descriptor(), libc::TIOCSWINSZ, &size) };
        assert_eq!(result, 0);
        self.state.lock().unwrap().parser.screen_mut().set_size(cells(rows), cells(columns));
    }

    /// The terminal's modes.
    pub fn modes(&self) -> nix::sys::termios::Termios {
        nix::sys::termios::tcgetattr(self.master.as_deref().expect("open")).expect("modes")
    }

    /// Sets the modes of the terminal, as a shell does.
    pub fn set_modes(&self, modes: &nix::sys::termios::Termios) {
        let master = self.master.as_ref().expect("open");
        nix::sys::termios::tcsetattr(master, nix::sys::termios::SetArg::TCSANOW, modes).expect("the modes");
    }

    /// The master's descriptor.
    pub fn descriptor(&self) -> i32 {
        self.master.as_ref().expect("open").as_raw_fd()
    }

    /// Closes the terminal, as closing its window does.
    pub fn hang_up(&mut self) {
        self.master = None;
        self.state.lock().unwrap().closed = true;
        super::eventually("the closing of the terminal", || self.state.lock().unwrap().ended.then_some(()));
    }

    /// Waits for the command's end.
    pub fn wait(&mut self) -> ExitStatus {
        super::eventually("the end of the command on the terminal", || self.child.try_wait().expect("waitable"))
    }

    /// Waits for the end of the command, then for all output.
    pub fn finish(&mut self) -> (ExitStatus, String) {
        let status = self.wait();
        super::eventually("the end of output", || self.state.lock().unwrap().ended.then_some(()));
        (status, self.screen())
    }
}

/// Whether a screen shows a shell at an empty prompt, `$ `, after so many typed lines.
pub fn is_at_prompt(screen: &str, typed: usize) -> bool {
    let mut lines = screen.trim_end().lines().map(str::trim_end).rev();
    lines.next() == Some("$") && lines.filter(|line| line.starts_with("$ ")).count() == typed
}

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("at least one")
}

/// Reads until no process has the terminal open, or the window is closed.
fn read(mut master: &File, state: &Mutex<State>) {
    let mut buffer = [0; 8192];
    loop {
        let mut ready = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ready, PollTimeout::from(20u8));
        if state.lock().unwrap().closed {
            return;
        }
        if ready[0].any() != Some(true) {
            continue;
        }
        match master.read(&mut buffer) {
            Ok(count @ 1..) => {
                let mut state = state.lock().unwrap();
                state.parser.process(&buffer[..count]);
                state.raw.extend_from_slice(&buffer[..count]);
            }
            _ => return,
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = nix::sys::signal::killpg(
                nix::unistd::Pid::from_raw(self.child.id().cast_signed()),
                nix::sys::signal::Signal::SIGKILL,
            );
            let _ = self.child.wait();
        }
    }
}
