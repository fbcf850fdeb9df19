//! Starts claude, and supervises it until it ends: the transparent parent (promises A1–A22).

pub mod child;
pub mod fork;
pub mod process;
pub mod signals;
pub mod supervise;
pub mod terminal;
mod waker;

use std::time::Duration;

/// How long the start of the relay is delayed while nobody connects. Until then claude starts without competition for the
/// machine; and a claude that ends earlier without a connection needs no relay.
pub const HEAD_START: Duration = Duration::from_millis(30);
