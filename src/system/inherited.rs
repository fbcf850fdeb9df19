//! The state that this process inherited, noted before it is changed.
//!
//! This program ignores SIGPIPE and SIGXFSZ, and opens `/dev/null` for closed descriptors 0–2. Claude must inherit none of that
//! (promises A12, A20). So `main` first notes what was inherited ([`note`]), and then changes it ([`settle`]).
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use nix::libc;

static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static SIGXFSZ_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED_DESCRIPTORS: AtomicU8 = AtomicU8::new(0);
static PROGRAM_NAME: OnceLock<OsString> = OnceLock::new();

/// Notes the state of signals and descriptors. Returns the arguments, the program's own name included. Without Rust's runtime
/// `std::env::args` is empty on musl; so `main` passes its arguments on all systems.
///
/// # Safety
///
/// Called first in `main`, on the only thread, with `main`'s own arguments.
pub unsafe fn note(count: c_int, arguments: *const *const c_char) -> Vec<OsString> {
    // SAFETY: sigaction with a null new action only reads, and fcntl(F_GETFD) has no side effects.
    unsafe {
        for (signal, is_ignored) in [(libc::SIGPIPE, &SIGPIPE_IGNORED), (libc::SIGXFSZ, &SIGXFSZ_IGNORED)] {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &mut action) == 0 {
                is_ignored.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
            }
        }
        let closed = (0..3).filter(|&fd| libc::fcntl(fd, libc::F_GETFD) == -1);
        CLOSED_DESCRIPTORS.store(closed.fold(0, |set, fd| set | 1 << fd), Ordering::Relaxed);
    }
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: `main` gets `count` C strings that live as long as the process.
    let argument = |at| unsafe { CStr::from_ptr(*arguments.add(at)) };
    let arguments: Vec<OsString> = (0..count).map(|at| OsStr::from_bytes(argument(at).to_bytes()).to_owned()).collect();
    arguments.first().into_iter().for_each(|name| drop(PROGRAM_NAME.set(name.clone())));
    arguments
}

/// The name this program was started under, as the caller wrote it.
pub fn program_name() -> Option<&'static OsStr> {
    PROGRAM_NAME.get().map(OsString::as_os_str)
}

/// Does what Rust's runtime would have done. It ignores SIGPIPE, so that a write to a closed pipe is an error like any other. It
/// opens `/dev/null` in place of closed descriptors 0–2, so that no file of ours gets these numbers.
pub fn settle() {
    // SAFETY: called in main before there is a second thread.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        closed_descriptors().for_each(super::descriptors::put_nothing);
    }
}

/// Whether SIGPIPE was ignored.
pub fn sigpipe_ignored() -> bool {
    SIGPIPE_IGNORED.load(Ordering::Relaxed)
}

/// Whether SIGXFSZ was ignored.
pub fn sigxfsz_ignored() -> bool {
    SIGXFSZ_IGNORED.load(Ordering::Relaxed)
}

/// Ignores SIGXFSZ: from here on a write beyond the file size limit (`ulimit -f`) fails, instead of killing this process.
pub fn ignore_sigxfsz() {
    // SAFETY: ignoring runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Which of the descriptors 0, 1, 2 were closed.
pub fn closed_descriptors() -> impl Iterator<Item = i32> {
    let set = CLOSED_DESCRIPTORS.load(Ordering::Relaxed);
    (0..3).filter(move |fd| set & 1 << fd != 0)
}

/// The path by which this program was executed, as the kernel recorded it; absolute.
#[cfg(target_os = "linux")]
pub fn executed_path() -> Option<PathBuf> {
    // SAFETY: a C string at the top of the stack, or zero; it lives as long as the process.
    let path = unsafe {
        let path = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
        if path.is_null() {
            return None;
        }
        std::ffi::CStr::from_ptr(path)
    };
    std::path::absolute(OsStr::from_bytes(path.to_bytes())).ok()
}

/// On other systems std finds it.
#[cfg(not(target_os = "linux"))]
pub fn executed_path() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// The entries of the environment unchanged, malformed ones included.
pub fn environment_entries() -> Vec<Vec<u8>> {
    #[cfg(not(target_os = "macos"))]
    // SAFETY: the variable of that name in every libc.
    let environ = unsafe {
        unsafe extern "C" {
            static environ: *const *const libc::c_char;
        }
        environ
    };
    #[cfg(target_os = "macos")]
    // SAFETY: Apple's documented way to the same variable.
    let environ: *const *const libc::c_char = unsafe { *libc::_NSGetEnviron() }.cast();
    let mut entries = Vec::new();
    if environ.is_null() {
        return entries;
    }
    for index in 0.. {
        // SAFETY: a null-terminated array of C strings that nothing in this program changes.
        unsafe {
            let entry = *environ.add(index);
            if entry.is_null() {
                break;
            }
            entries.push(std::ffi::CStr::from_ptr(entry).to_bytes().to_vec());
        }
    }
    entries
}
