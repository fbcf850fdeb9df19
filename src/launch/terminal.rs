//! The terminal's modes, restored when the command was killed and could not do it (promise A17).

use std::fs::File;
use std::io::IsTerminal;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use crate::system::output::{Unstoppable, write_once};

/// The controlling terminal and its modes at the start.
pub struct Terminal {
    tty: File,
    modes: Termios,
}

/// Switches off what a killed full-screen program leaves on: an enhanced keyboard, the alternate screen, a hidden cursor,
/// bracketed paste, reports of focus, colours and mouse. Each sequence is harmless where the mode was off. For the alternate
/// screen that requires saving the cursor first, because leaving that screen restores the cursor.
const RESET: &[u8] = b"\x1b[<u\x1b7\x1b[?1049l\x1b[?25h\x1b[?2004l\x1b[?1004l\x1b[?2031l\
    \x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l";

impl Terminal {
    /// Notes the modes, where one of the standard streams is a terminal.
    pub fn note() -> Option<Self> {
        let on_terminal =
            std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
        if !on_terminal {
            return None;
        }
        let tty = File::options().read(true).write(true).open("/dev/tty").ok()?;
        let modes = tcgetattr(&tty).ok()?;
        Some(Self { tty, modes })
    }

    /// Restores the modes, if this process is in the foreground.
    pub fn restore(&self) {
        if nix::unistd::tcgetpgrp(&self.tty) != Ok(nix::unistd::getpgrp()) {
            return;
        }
        let _guard = Unstoppable::new();
        let _ = tcsetattr(&self.tty, SetArg::TCSANOW, &self.modes);
        write_once(&self.tty, RESET);
    }
}
