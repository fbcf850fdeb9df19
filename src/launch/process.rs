//! fork and exec: starts a command exactly as a shell would, and a background process as separate from it as possible.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;
use nix::sys::signal::SigSet;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{parent_death, signals};
use crate::launch::HEAD_START;
use crate::system::descriptors::{close_all_from, pipe, put_nothing};
use crate::system::environment::Environment;
use crate::system::inherited;

/// What to execute.
#[derive(Debug)]
pub struct Image {
    path: CString,
    argv: Vec<CString>,
    environment: Vec<CString>,
    /// The arguments for a script without `#!`, which every shell runs with `sh`.
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

    /// Replaces this process. The command gets the signal dispositions, the mask and the descriptors that this process was
    /// started with. Returns only on failure.
    pub fn exec(&self) -> io::Error {
        let pointers = Pointers::of(self);
        restore_inherited(&SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty()), false);
        pointers.execve();
        io::Error::last_os_error()
    }
}

/// Null-terminated pointer arrays, made before fork, because the child must not allocate.
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

    /// Executes the image. Returns only on failure, with errno set. Async-signal-safe.
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

/// Restores what the command would have inherited without act-claude. Async-signal-safe.
fn restore_inherited(mask: &SigSet, sigchld_ignored: bool) {
    let disposition = |ignored| {
        if ignored { libc::SIG_IGN } else { libc::SIG_DFL }
    };
    // SAFETY: async-signal-safe calls on valid values.
    unsafe {
        libc::signal(libc::SIGPIPE, disposition(inherited::sigpipe_ignored()));
        libc::signal(libc::SIGXFSZ, disposition(inherited::sigxfsz_ignored()));
        if sigchld_ignored {
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        }
        for descriptor in inherited::closed_descriptors() {
            libc::close(descriptor);
        }
        libc::sigprocmask(libc::SIG_SETMASK, mask.as_ref(), std::ptr::null_mut());
    }
}

/// The conditions that a child starts under, besides its image.
#[derive(Debug, Clone, Copy)]
pub enum Role<'a> {
    /// The command: in our process group, on our terminal; it gets TERM when this process dies (promise A16).
    Command {
        /// The mask to start with.
        mask: &'a SigSet,
        /// Whether SIGCHLD was ignored.
        sigchld_ignored: bool,
    },
    /// A background process: in a session of its own, with these descriptors and no others.
    Background(Descriptors),
    /// A background process that is a grandchild, and starts after a short pause. This process becomes the command, which must not
    /// find a child that it does not know, nor wait for it.
    Orphan(Descriptors),
}

/// The descriptors of a background process. Descriptor 2 is `/dev/null`.
#[derive(Debug, Clone, Copy)]
pub struct Descriptors {
    /// Becomes descriptor 0.
    pub input: RawFd,
    /// Becomes descriptor 1.
    pub output: RawFd,
    /// Become descriptors 3 and 4.
    pub more: [Option<RawFd>; 2],
}

/// An image with everything prepared, so that little is left to do between a decision and its fork.
pub struct Prepared<'a> {
    pointers: Pointers<'a>,
    stack: Stack,
    /// A pipe that carries the error of a failed exec; an exec that succeeds closes it.
    failure: (OwnedFd, OwnedFd),
}

impl<'a> Prepared<'a> {
    /// Prepares everything that can be prepared before fork.
    pub fn new(image: &'a Image) -> io::Result<Self> {
        Ok(Self { pointers: Pointers::of(image), stack: stack(), failure: pipe()? })
    }

    /// Starts the image, and returns the child's pid; for an orphan that pid is of no use. An error of exec is returned, as
    /// `posix_spawn` does, except for an orphan, where it comes too late.
    pub fn spawn(mut self, role: Role<'_>) -> io::Result<Pid> {
        let (reader, writer) = self.failure;
        let parent = nix::unistd::getpid();
        let child =
            Child { pointers: &self.pointers, role, parent, failure: writer.as_raw_fd() }.start(&mut self.stack)?;
        drop(writer);
        // An orphan keeps the pipe open during its pause. The exit status of the child that forks it tells whether it exists.
        let is_orphan = matches!(role, Role::Orphan(_));
        if is_orphan && waitpid(child, None) == Ok(WaitStatus::Exited(child, 0)) {
            return Ok(child);
        }
        let mut errno = [0; 4];
        if read_fully(&reader, &mut errno) < errno.len() {
            return Ok(child);
        }
        if !is_orphan {
            let _ = waitpid(child, None);
        }
        Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
    }
}

/// 64 KiB, 16-byte aligned. Its untouched pages cost nothing.
type Stack = Vec<std::mem::MaybeUninit<u128>>;

fn stack() -> Stack {
    vec![std::mem::MaybeUninit::uninit(); 64 * 1024 / size_of::<u128>()]
}

/// The work of a new process. Everything that it needs was made before.
#[derive(Clone, Copy)]
struct Child<'a> {
    pointers: &'a Pointers<'a>,
    role: Role<'a>,
    parent: Pid,
    failure: RawFd,
}

impl Child<'_> {
    /// Runs in the new process. Async-signal-safe: it uses only locals and errno.
    fn run(self) -> ! {
        let mut failure = self.failure;
        match self.role {
            Role::Command { mask, sigchld_ignored } => {
                parent_death::follow(self.parent);
                restore_inherited(mask, sigchld_ignored);
            }
            Role::Background(descriptors) => failure = detach(descriptors, failure),
            Role::Orphan(descriptors) => {
                fork_again(failure);
                failure = detach(descriptors, failure);
                pause();
            }
        }
        self.pointers.execve();
        give_up(failure)
    }

    /// Starts it in a new process, and returns once that has executed or ended. The child borrows this process's memory, as with
    /// `posix_spawn`: copying page tables would take longer than everything else here.
    #[cfg(target_os = "linux")]
    fn start(mut self, stack: &mut Stack) -> io::Result<Pid> {
        extern "C" fn enter(child: *mut libc::c_void) -> libc::c_int {
            // SAFETY: the pointer given to clone below; it is valid, because the parent waits.
            unsafe { *child.cast::<Child<'_>>() }.run()
        }
        // SAFETY: the child has a stack of its own (which grows down from its 16-byte aligned end), its own descriptors,
        // dispositions and mask. It has executed or ended before this call returns, and calls only async-signal-safe functions.
        let pid = unsafe {
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            libc::clone(enter, stack.as_mut_ptr_range().end.cast(), flags, (&raw mut self).cast())
        };
        if pid == -1 { Err(io::Error::last_os_error()) } else { Ok(Pid::from_raw(pid)) }
    }

    /// On other systems the child has a copy of this process's memory; the pipe tells when it has executed.
    #[cfg(not(target_os = "linux"))]
    fn start(self, _stack: &mut Stack) -> io::Result<Pid> {
        // SAFETY: the child calls only async-signal-safe functions until it executes the image or ends.
        match unsafe { nix::unistd::fork() }? {
            nix::unistd::ForkResult::Child => self.run(),
            nix::unistd::ForkResult::Parent { child } => Ok(child),
        }
    }
}

/// Continues as a grandchild with its own memory, which nobody has to wait for. Async-signal-safe.
fn fork_again(failure: RawFd) {
    // SAFETY: async-signal-safe; the first child ends at once.
    match unsafe { plain_fork() } {
        0 => {}
        -1 => give_up(failure),
        // SAFETY: as above.
        _ => unsafe { libc::_exit(0) },
    }
}

/// Only the system call: the C library's function would take locks that it shares with the parent, whose memory this is.
#[cfg(target_os = "linux")]
unsafe fn plain_fork() -> libc::c_long {
    // SAFETY: no flags, no stack: a copy of this process.
    unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }
}

/// On other systems the memory is a copy already.
#[cfg(not(target_os = "linux"))]
unsafe fn plain_fork() -> libc::c_long {
    // SAFETY: as the caller's.
    unsafe { libc::fork() }.into()
}

/// Sleeps until descriptor 0 is readable, or the command's head start is over. Async-signal-safe.
fn pause() {
    const MILLISECONDS: libc::c_int = HEAD_START.as_millis() as libc::c_int;
    let mut ready = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: async-signal-safe on Linux and macOS; the length passed to the call is correct.
    unsafe { libc::poll(&mut ready, 1, MILLISECONDS) };
}

/// Ends a child that can't continue, and tells the parent why. Async-signal-safe.
fn give_up(failure: RawFd) -> ! {
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    // SAFETY: writes four bytes of a local, then ends the child without running anything else.
    unsafe {
        libc::write(failure, errno.to_ne_bytes().as_ptr().cast(), 4);
        libc::_exit(127)
    }
}

/// Whether `error` says that the system has no more processes, descriptors or memory for us.
pub fn is_scarcity(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE))
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

/// Turns the child into a background process. It first starts a session, so that no signal meant for the terminal's job reaches
/// it. The descriptors become 0, 1, 2 (`/dev/null`), 3 and 4. `failure`, which carries the error of a failed exec, becomes 5;
/// that number is returned, and exec closes it. All others are closed, on systems other than Linux by the program itself.
fn detach(descriptors: Descriptors, failure: RawFd) -> RawFd {
    const FAILURE: RawFd = 5;
    let Descriptors { input, output, more: [third, fourth] } = descriptors;
    let wanted = [Some(input), Some(output), None, third, fourth, Some(failure)];
    // SAFETY: async-signal-safe calls on descriptors this process owns; their numbers may themselves be 0–5, so they are first
    // moved above that range.
    unsafe {
        libc::setsid();
        // The handlers are the supervisor's, and its memory may be shared with this process.
        for (signal, ..) in signals::RULES {
            libc::signal(signal as libc::c_int, libc::SIG_DFL);
        }
        for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let mut empty: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut empty);
        libc::sigprocmask(libc::SIG_SETMASK, &empty, std::ptr::null_mut());
        let moved = wanted.map(|fd| fd.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, FAILURE + 1)));
        for (target, source) in (0..).zip(moved) {
            match source {
                Some(source) => drop(libc::dup2(source, target)),
                None if target == 2 => put_nothing(target),
                None => drop(libc::close(target)),
            }
        }
        libc::fcntl(FAILURE, libc::F_SETFD, libc::FD_CLOEXEC);
        close_all_from(FAILURE + 1);
        libc::umask(0o077);
    }
    FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_from_a_command_that_can_t_run() {
        let is_scarcity = |errno| is_scarcity(&io::Error::from_raw_os_error(errno));
        for errno in [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE] {
            assert!(is_scarcity(errno), "{errno}");
        }
        for errno in [libc::ENOENT, libc::EACCES, libc::ENOEXEC, libc::E2BIG, libc::ETXTBSY] {
            assert!(!is_scarcity(errno), "{errno}");
        }
    }
}
