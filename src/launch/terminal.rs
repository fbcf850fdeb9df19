//! The terminal's modes, put back when the command was killed and could not (promise A17).

use std::fs::File;
use std::io::IsTerminal;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use crate::system::output::{Unstoppable, write_once};

/// The controlling terminal and its modes at the start.
pub struct Terminal {
    tty: File,
    modes: Termios,
}

/// What a killed full-screen program leaves switched on: an enhanced keyboard, the alternate screen, a hidden
/// cursor, bracketed paste, reports of focus, colours and mouse. Each of these is harmless where it was off; for
/// the alternate screen that takes saving the cursor first, since leaving restores it.
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

    /// Puts the modes back, if this process is in the foreground.
    pub fn restore(&self) {
        if nix::unistd::tcgetpgrp(&self.tty) != Ok(nix::unistd::getpgrp()) {
            return;
        }
        let _guard = Unstoppable::new();
        let _ = tcsetattr(&self.tty, SetArg::TCSANOW, &self.modes);
        write_once(&self.tty, RESET);
    }
}
