//! Descriptors: tells our own from inherited ones, and closes the inherited ones.
//!
//! This program opens every descriptor with close-on-exec. So an open descriptor without that flag was inherited.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

/// A close-on-exec pipe. Its ends are above the standard descriptors: those are open from the start of `main` on.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(target_os = "linux")]
    let ends = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    #[cfg(not(target_os = "linux"))]
    let ends = {
        use nix::fcntl::{F_SETFD, FdFlag, fcntl};
        let ends = nix::unistd::pipe()?;
        fcntl(&ends.0, F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(&ends.1, F_SETFD(FdFlag::FD_CLOEXEC))?;
        ends
    };
    Ok(ends)
}

/// Two connected sockets. The first one takes `length` bytes before anybody reads from the second one.
pub fn socket_pair(length: usize) -> io::Result<(UnixStream, UnixStream)> {
    /// This many bytes fit as it is: macOS has room for 8 KiB, Linux for 208 KiB.
    const ALWAYS: usize = 4096;
    /// So that nothing becomes smaller than it was.
    const LEAST: usize = 256 * 1024;
    let (ours, theirs) = UnixStream::pair()?;
    if length > ALWAYS {
        // The double, because Linux counts its own records, too. Where the system gives less, a write waits for the reader.
        let size = length.saturating_mul(2).max(LEAST);
        let _ = setsockopt(&ours, sockopt::SndBuf, &size);
        let _ = setsockopt(&theirs, sockopt::RcvBuf, &size);
    }
    Ok((ours, theirs))
}

/// Opens a descriptor without input and output: `/dev/null`, or, where that is missing, a socket whose other end is closed. Its
/// number is at least `lowest`. Async-signal-safe.
fn nothing(lowest: RawFd) -> RawFd {
    // SAFETY: async-signal-safe calls on descriptors that are made here.
    unsafe {
        let mut nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if nothing < 0 {
            let mut ends = [-1; 2];
            libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr());
            libc::close(ends[1]);
            nothing = ends[0];
        }
        let moved = libc::fcntl(nothing, libc::F_DUPFD_CLOEXEC, lowest);
        libc::close(nothing);
        moved
    }
}

/// Replaces `descriptor` by one without input and output; closes it where none can be opened. Async-signal-safe.
pub fn put_nothing(descriptor: RawFd) {
    let nothing = nothing(3);
    // SAFETY: async-signal-safe; the caller does not use the replaced descriptor any more.
    unsafe {
        if libc::dup2(nothing, descriptor) < 0 {
            libc::close(descriptor);
        }
        libc::close(nothing);
    }
}

/// A descriptor without input and output, for a child's standard input or output.
pub fn no_input_or_output() -> std::process::Stdio {
    let nothing = nothing(3);
    if nothing < 0 {
        return std::process::Stdio::null();
    }
    // SAFETY: just opened, and owned by nobody else.
    unsafe { OwnedFd::from_raw_fd(nothing) }.into()
}

/// Closes every inherited descriptor except standard error, so that a reader sees the end of file when claude ends (promise A19).
/// Standard input and output are replaced by `/dev/null`.
pub fn release_inherited() {
    // This process does not read or write these two from here on.
    [0, 1].into_iter().for_each(put_nothing);
    for descriptor in open_descriptors().filter(|&descriptor| descriptor > 2) {
        // SAFETY: a descriptor without close-on-exec was inherited, so nothing in this process uses it.
        unsafe {
            if libc::fcntl(descriptor, libc::F_GETFD) == 0 {
                libc::close(descriptor);
            }
        }
    }
}

/// The open descriptors; where they can't be listed, every number that may be one.
fn open_descriptors() -> impl Iterator<Item = RawFd> {
    // Linux has both directories, macOS has the first.
    let listed = ["/dev/fd", "/proc/self/fd"].iter().find_map(|directory| std::fs::read_dir(directory).ok());
    let listed: Option<Vec<RawFd>> =
        listed.map(|open| open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect());
    let all = listed.is_none().then(|| 0..most_descriptors());
    listed.into_iter().flatten().chain(all.into_iter().flatten())
}

/// One more than the largest descriptor that may be open.
fn most_descriptors() -> RawFd {
    bounded(nix::unistd::sysconf(nix::unistd::SysconfVar::OPEN_MAX).ok().flatten())
}

/// The limit (`ulimit -n`), as far as it can be counted to: `None` stands for "unlimited".
fn bounded(limit: Option<libc::c_long>) -> RawFd {
    const MOST: RawFd = 65_536;
    limit.and_then(|limit| RawFd::try_from(limit).ok()).filter(|limit| *limit >= 0).unwrap_or(MOST).min(MOST)
}

/// Takes ownership of a descriptor that this process was started with. Programs that this process starts do not get it.
///
/// Call it once per descriptor, and only for those that the parent process passes (the relay's 0 and 1).
pub fn inherited_descriptor(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the caller owns it from here on, by the contract above.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let _ = fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    owned
}

/// Closes every descriptor from `first` on with one system call. Returns false where the system has no such call; the relay then
/// closes them itself ([`close_from`]). Async-signal-safe.
pub fn close_all_from(first: RawFd) -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: called where nothing above `first` is needed any more.
    return unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } == 0;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = first;
        false
    }
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: RawFd) {
    if !close_all_from(first) {
        for descriptor in open_descriptors().filter(|&descriptor| descriptor >= first) {
            // SAFETY: called before this process has opened anything it needs above `first`.
            unsafe { libc::close(descriptor) };
        }
    }
}

/// Whether there is something to read, or a connection to accept. Where that can't be known: yes.
pub fn is_readable(descriptor: &impl AsFd) -> bool {
    let mut ready = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO) != Ok(0)
}

/// A descriptor that becomes readable when the process ends.
#[cfg(target_os = "linux")]
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: returns a new descriptor, or -1.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}

/// A descriptor of a child that has not been waited for; `None` where the system has none.
pub fn descriptor_of(child: nix::unistd::Pid) -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    return pidfd(child.as_raw()).ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = child;
        None
    }
}

/// A descriptor of this process; it stays valid through exec.
pub fn own_descriptor() -> io::Result<Option<OwnedFd>> {
    #[cfg(target_os = "linux")]
    return pidfd(nix::unistd::getpid().as_raw()).map(Some);
    #[cfg(not(target_os = "linux"))]
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_that_may_be_open_is_counted() {
        for (limit, expected) in [
            (Some(256), 256),
            (Some(65_536), 65_536),
            (Some(1_048_576), 65_536),
            (Some(libc::c_long::MAX), 65_536),
            (Some(-1), 65_536),
            (None, 65_536),
        ] {
            assert_eq!(bounded(limit), expected, "{limit:?}");
        }
    }

    #[test]
    fn a_long_message_is_taken_before_anybody_reads() {
        use std::io::{Read, Write};
        for length in [0, 1, 5000, 100 * 1024, 300 * 1024] {
            let (mut ours, mut theirs) = socket_pair(length).unwrap();
            ours.set_nonblocking(true).unwrap();
            ours.write_all(&vec![b'x'; length]).unwrap();
            drop(ours);
            assert_eq!(theirs.read_to_end(&mut Vec::new()).unwrap(), length);
        }
    }

    #[test]
    fn open_descriptors_are_listed_whatever_the_limit_is() {
        let file = tempfile::tempfile().unwrap();
        let high = nix::fcntl::fcntl(&file, nix::fcntl::F_DUPFD_CLOEXEC(900)).unwrap();
        // SAFETY: just made, and owned by nobody else.
        let _high = unsafe { OwnedFd::from_raw_fd(high) };
        assert!(open_descriptors().any(|descriptor| descriptor == high));
    }
}
