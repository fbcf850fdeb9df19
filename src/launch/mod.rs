//! Starting claude and standing in its place until it has gone: the transparent parent (promises A1–A22).

pub mod inherited;
pub mod process;
pub mod relayed;
pub mod signals;
pub mod supervise;
pub mod terminal;

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Whether `output` takes a line now. A reader that has gone, a full pipe or a terminal held with Ctrl-S must
/// not keep us: after a fifth of a second the answer is no (promise A22).
pub fn write_bounded(output: impl AsFd) -> bool {
    let mut ready = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
    let timeout = PollTimeout::from(200u8);
    matches!(poll(&mut ready, timeout), Ok(1))
        && ready[0].revents().is_some_and(|events| events.contains(PollFlags::POLLOUT))
}
