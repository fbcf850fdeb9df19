//! A network with loopback only, for this thread and all processes it starts: a real claude must reach nothing else.
#![allow(unsafe_code)]

use std::io;

#[cfg(target_os = "linux")]
use nix::libc;

/// There are no network namespaces: the test is skipped, in CI too, because nothing that could be installed would change that.
#[cfg(not(target_os = "linux"))]
pub fn isolate() -> bool {
    eprintln!("skipped: only Linux has the network namespace that a real claude runs in");
    false
}

/// There are no mounts of one thread's own.
#[cfg(not(target_os = "linux"))]
pub fn own_mounts() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Moves this thread into its own network namespace, with loopback up. Servers must be started after this. Users other
/// than root need `unshare -rn` around the tests; otherwise the test is skipped.
#[cfg(target_os = "linux")]
pub fn isolate() -> bool {
    if only_loopback() {
        return true;
    }
    // SAFETY: changes this thread's network namespace and nothing else.
    let unshared = match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => loopback_up(),
        _ => Err(io::Error::last_os_error()),
    };
    match unshared {
        Ok(()) => {
            assert!(only_loopback(), "the new namespace has more than loopback");
            true
        }
        Err(error) => {
            super::skip(&format!("no network namespace ({error}): run the tests as root or under unshare -rn"));
            false
        }
    }
}

/// Gives this thread and all processes it starts their own mounts.
#[cfg(target_os = "linux")]
pub fn own_mounts() -> io::Result<()> {
    // SAFETY: changes this thread's mount namespace, and with it its own view of the working directory, nothing else.
    match unsafe { libc::unshare(libc::CLONE_NEWNS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this thread's network has only a working loopback device. Where that can't be read: no.
#[cfg(target_os = "linux")]
fn only_loopback() -> bool {
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let devices: Vec<&str> = devices.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
    // An address can be bound even where the device is down.
    let reached = || std::net::TcpStream::connect(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?);
    devices == ["lo"] && reached().is_ok()
}

#[cfg(target_os = "linux")]
fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: an all-zero ifreq is valid; the name is terminated; both ioctls read and write just that struct.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&socket);
        if libc::ioctl(descriptor, libc::SIOCGIFFLAGS, &mut request) != 0 {
            return Err(io::Error::last_os_error());
        }
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        if libc::ioctl(descriptor, libc::SIOCSIFFLAGS, &request) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
