//! fork, exec and wait: a command started exactly as a shell would have started it, and its end as a type.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal};
use nix::unistd::Pid;

use super::inherited;
use crate::environment::Environment;

/// What to execute.
#[derive(Debug)]
pub struct Image {
    path: CString,
    argv: Vec<CString>,
    environment: Vec<CString>,
    /// For a script without `#!`, which every shell runs with `sh`.
    shell_argv: Vec<CString>,
}

impl Image {
    /// `arg0` is what the program sees as its own name.
    pub fn new(path: &Path, arg0: &OsStr, args: &[OsString], environment: &Environment) -> io::Result<Self> {
        let c_string = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
        let path = c_string(path.as_os_str())?;
        let args = args.iter().map(|arg| c_string(arg)).collect::<io::Result<Vec<_>>>()?;
        let argv = std::iter::once(c_string(arg0)?).chain(args.iter().cloned()).collect();
        let shell_argv = [c"sh".to_owned(), path.clone()].into_iter().chain(args).collect();
        Ok(Self { path, argv, environment: environment.to_c_strings(), shell_argv })
    }

    /// Replaces this process, giving the command the dispositions, mask and descriptors this process was
    /// started with. Returns only on failure.
    pub fn exec(&self) -> io::Error {
        let pointers = Pointers::of(self);
        restore_inherited(&SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty()), false);
        pointers.execve();
        io::Error::last_os_error()
    }
}

/// Null-terminated pointer arrays, made before fork: the child must not allocate.
struct Pointers<'a> {
    image: &'a Image,
    argv: Vec<*const libc::c_char>,
    shell_argv: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
}

impl<'a> Pointers<'a> {
    fn of(image: &'a Image) -> Self {
        let pointers =
            |strings: &[CString]| strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        Self {
            argv: pointers(&image.argv),
            shell_argv: pointers(&image.shell_argv),
            environment: pointers(&image.environment),
            image,
        }
    }

    /// Async-signal-safe. Returns on failure, with errno set.
    fn execve(&self) {
        // SAFETY: the arrays are null-terminated and point into `image`, which outlives them.
        unsafe {
            libc::execve(self.image.path.as_ptr(), self.argv.as_ptr(), self.environment.as_ptr());
            if io::Error::last_os_error().raw_os_error() == Some(libc::ENOEXEC) {
                libc::execve(c"/bin/sh".as_ptr(), self.shell_argv.as_ptr(), self.environment.as_ptr());
            }
        }
    }
}

/// Puts back what the command would have inherited without us. Async-signal-safe.
fn restore_inherited(mask: &SigSet, sigchld_ignored: bool) {
    let disposition = |ignored| {
        if ignored { libc::SIG_IGN } else { libc::SIG_DFL }
    };
    // SAFETY: async-signal-safe calls on valid values.
    unsafe {
        libc::signal(libc::SIGPIPE, disposition(inherited::sigpipe_ignored()));
        if sigchld_ignored {
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        }
        for descriptor in inherited::closed_descriptors() {
            libc::close(descriptor);
        }
        libc::sigprocmask(libc::SIG_SETMASK, mask.as_ref(), std::ptr::null_mut());
    }
}

/// How a child starts, besides its image.
#[derive(Debug, Clone, Copy)]
pub enum Role<'a> {
    /// The command: our process group, our terminal; TERM when this process dies (promise A16).
    Command {
        /// The mask to start with.
        mask: &'a SigSet,
        /// Whether SIGCHLD was ignored.
        sigchld_ignored: bool,
    },
    /// The relay: a session of its own, `stdin` and `stdout` its two sockets, stderr `/dev/null`.
    Relay {
        /// Becomes descriptor 0.
        listener: RawFd,
        /// Becomes descriptor 1.
        control: RawFd,
        /// Becomes descriptor [`WATCHED`](crate::protocol::WATCHED).
        watched: Option<RawFd>,
        /// Not our child: what this process becomes must not find one it knows nothing of.
        orphan: bool,
    },
}

/// Forks and executes. An error of exec arrives here as it would from `posix_spawn`.
pub fn spawn(image: &Image, role: Role<'_>) -> io::Result<Pid> {
    let pointers = Pointers::of(image);
    let (reader, writer) = pipe()?;
    let parent = nix::unistd::getpid();
    let null = match role {
        Role::Relay { .. } => Some(std::fs::File::options().write(true).open("/dev/null")?),
        Role::Command { .. } => None,
    };
    // SAFETY: this process has one thread; the child calls only async-signal-safe functions until it
    // executes the image or exits.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => {
            match role {
                Role::Command { mask, sigchld_ignored } => {
                    die_with(parent);
                    restore_inherited(mask, sigchld_ignored);
                }
                Role::Relay { listener, control, watched, orphan } => {
                    if orphan {
                        fork_again(&writer);
                    }
                    detach(listener, control, null.as_ref().map_or(2, AsRawFd::as_raw_fd), watched);
                }
            }
            pointers.execve();
            give_up(&writer)
        }
        nix::unistd::ForkResult::Parent { child } => {
            drop(writer);
            let mut errno = [0; 4];
            let failed = read_fully(&reader, &mut errno) == 4;
            if failed || matches!(role, Role::Relay { orphan: true, .. }) {
                let _ = nix::sys::wait::waitpid(child, None);
            }
            if failed { Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))) } else { Ok(child) }
        }
    }
}

/// Goes on as a grandchild, which nobody has to wait for. Async-signal-safe.
fn fork_again(writer: &OwnedFd) {
    // SAFETY: async-signal-safe; the first child ends at once.
    match unsafe { libc::fork() } {
        0 => {}
        -1 => give_up(writer),
        // SAFETY: as above.
        _ => unsafe { libc::_exit(0) },
    }
}

/// Ends a child that can't become what it should, telling the parent why. Async-signal-safe.
fn give_up(writer: &OwnedFd) -> ! {
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    // SAFETY: writes four bytes of a local, then ends the child without running anything else.
    unsafe {
        libc::write(writer.as_raw_fd(), errno.to_ne_bytes().as_ptr().cast(), 4);
        libc::_exit(127)
    }
}

/// A close-on-exec pipe whose ends are above the standard descriptors, which may have been closed.
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

fn read_fully(reader: &OwnedFd, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match nix::unistd::read(reader, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    filled
}

/// Linux: the child gets TERM when the forking thread, which is the only one, ends.
#[cfg(target_os = "linux")]
fn die_with(parent: Pid) {
    // SAFETY: async-signal-safe; the second look closes the gap between fork and prctl.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        if libc::getppid() != parent.as_raw() {
            libc::raise(libc::SIGTERM);
        }
    }
}

/// Elsewhere there is no such signal: the relay, which watches both, does it (see `relay::session`).
#[cfg(not(target_os = "linux"))]
fn die_with(_parent: Pid) {}

/// Makes the child the relay: own session first, so that no signal meant for the terminal's job reaches it.
fn detach(listener: RawFd, control: RawFd, null: RawFd, watched: Option<RawFd>) {
    // SAFETY: async-signal-safe calls on descriptors this process owns; they may themselves stand on 0–3, so
    // they are first moved out of the way.
    unsafe {
        libc::setsid();
        for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let mut empty: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut empty);
        libc::sigprocmask(libc::SIG_SETMASK, &empty, std::ptr::null_mut());
        let wanted = [Some(listener), Some(control), Some(null), watched];
        let moved = wanted.map(|fd| fd.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 4)));
        for (target, source) in (0..).zip(moved) {
            if let Some(source) = source {
                libc::dup2(source, target);
            }
        }
        libc::umask(0o077);
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With an exit status.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl Ended {
    /// Ends this process the same way: by the same signal where that kills us (promise A2).
    pub fn repeat(self) -> ExitCode {
        let signal = match self {
            Self::Code(code) => return ExitCode::from(code as u8),
            Self::Signal(signal) => signal,
        };
        let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
        // SAFETY: from here on nothing but the signal's default action is wanted.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, signal);
            libc::sigprocmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
            libc::kill(libc::getpid(), signal);
        }
        // Still here: pid 1 of its namespace, which default actions do not kill.
        ExitCode::from((128 + signal) as u8)
    }
}

/// What `waitpid` said of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has ended.
    Ended(Ended),
    /// It was stopped by a signal.
    Stopped(i32),
    /// It goes on.
    Continued,
}

/// The next change of any child, without waiting. Raw, because real-time signals kill too.
pub fn next_change() -> Option<(Pid, Change)> {
    let mut status = 0;
    // SAFETY: writes a status into a local.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED) };
    if pid <= 0 {
        return None;
    }
    let change = if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else if libc::WIFCONTINUED(status) {
        Change::Continued
    } else if libc::WIFSIGNALED(status) {
        Change::Ended(Ended::Signal(libc::WTERMSIG(status)))
    } else {
        Change::Ended(Ended::Code(libc::WEXITSTATUS(status)))
    };
    Some((Pid::from_raw(pid), change))
}

/// Stops this process with `signal`, as the command was stopped (promise A8). Returns once continued.
pub fn stop_self(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else {
        return;
    };
    if signal == Signal::SIGSTOP {
        let _ = nix::sys::signal::raise(signal);
        return;
    }
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    let mut only = SigSet::empty();
    only.add(signal);
    let mut before = SigSet::empty();
    // SAFETY: installs the default action, which runs no code of ours, and then puts back what was there.
    let Ok(action) = (unsafe { nix::sys::signal::sigaction(signal, &default) }) else {
        return;
    };
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&only), Some(&mut before));
    let _ = nix::sys::signal::raise(signal);
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    // SAFETY: `action` is what was installed a moment ago.
    let _ = unsafe { nix::sys::signal::sigaction(signal, &action) };
}

/// Gives SIGCHLD its default action: ignored, children could not be waited for (promise A13).
pub fn default_sigchld() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    unsafe { nix::sys::signal::sigaction(Signal::SIGCHLD, &default) }?;
    Ok(())
}

/// Whether a stopped child has gone on (or ended): the kernel's word, without taking it from `next_change`.
pub fn is_running(child: Pid) -> bool {
    // SAFETY: an all-zero siginfo is valid, waitid fills it; WNOWAIT leaves the state to be waited for.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WCONTINUED | libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, child.as_raw() as libc::id_t, &mut info, flags) == 0 && info.si_signo != 0
    }
}

/// Lets go of standard input and output, so that a reader sees the end when claude ends (promise A19).
pub fn release_standard_streams() {
    let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") else {
        return;
    };
    for descriptor in [0, 1] {
        // SAFETY: replaces a standard descriptor; nothing in this process reads or writes it from here on.
        let copy = unsafe { libc::dup2(null.as_raw_fd(), descriptor) };
        debug_assert_eq!(copy, descriptor);
    }
}

/// Takes over a descriptor this process was started with.
///
/// Call it once per descriptor, and only for those the starter promised (the relay's 0 and 1).
pub fn inherited_descriptor(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the caller owns it from here on, by the contract above.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    // SAFETY: called before this process has opened anything it needs above `first`.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } == 0;
    #[cfg(not(target_os = "linux"))]
    let closed = false;
    if !closed {
        let limit = nix::unistd::sysconf(nix::unistd::SysconfVar::OPEN_MAX).ok().flatten().unwrap_or(1024);
        for descriptor in first..RawFd::try_from(limit).unwrap_or(1024).min(65_536) {
            // SAFETY: as above.
            unsafe { libc::close(descriptor) };
        }
    }
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

/// A descriptor of this very process; it stays the same one through exec.
pub fn own_descriptor() -> io::Result<Option<OwnedFd>> {
    #[cfg(target_os = "linux")]
    return pidfd(nix::unistd::getpid().as_raw()).map(Some);
    #[cfg(not(target_os = "linux"))]
    Ok(None)
}
