//! Starting claude and standing in its place until it has gone: the transparent parent (promises A1–A22).

pub mod child;
pub mod fork;
pub mod process;
pub mod signals;
pub mod supervise;
pub mod terminal;
mod waker;

use std::time::Duration;

/// How long a relay waits before it starts, if nobody connects: claude's first steps have the machine to
/// themselves, and what ends sooner without a connection never needed a relay.
pub const HEAD_START: Duration = Duration::from_millis(30);
