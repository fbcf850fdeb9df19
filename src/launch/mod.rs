//! Starts claude, and supervises it until it ends: the transparent parent (promises A1–A22).

pub mod child;
pub mod fork;
pub mod origin;
mod parent_death;
pub mod process;
pub mod signals;
pub mod supervise;
pub mod terminal;
mod waker;

use std::time::Duration;

/// How long the start of a background process is delayed while nothing needs it. Until then the command starts without
/// competition for the machine; and a command that ends earlier may need none: `claude --version` does.
pub const HEAD_START: Duration = Duration::from_millis(30);
