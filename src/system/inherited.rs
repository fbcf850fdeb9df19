//! What this process was given, before it was touched.
//!
//! We ignore SIGPIPE and open `/dev/null` for closed descriptors 0–2 first thing in `main`, or Rust's runtime does so before
//! it; claude must get neither (promises A12, A20), nor the SIGXFSZ that we ignore. So that is noted by a function the
//! loader calls earlier.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use nix::libc;

static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static SIGXFSZ_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED_DESCRIPTORS: AtomicU8 = AtomicU8::new(0);

#[used]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
static NOTE: extern "C" fn() = note;

extern "C" fn note() {
    // SAFETY: runs once, before main, on the only thread; sigaction with a null new action only reads, and
    // fcntl(F_GETFD) has no side effects.
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
}

/// What Rust's runtime would have done: SIGPIPE ignored, so that a reader who leaves is an error like any other, and
/// `/dev/null` in place of closed descriptors 0–2, so that no file of ours takes their numbers.
pub fn settle() {
    // SAFETY: called first thing in main, on the only thread.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        for _ in closed_descriptors() {
            // Takes the lowest free number.
            libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        }
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

/// From here on a file that may not grow (`ulimit -f`) fails a write of ours; it would kill us otherwise.
pub fn outlive_full_files() {
    // SAFETY: ignoring runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Which of the descriptors 0, 1, 2 were closed.
pub fn closed_descriptors() -> impl Iterator<Item = i32> {
    let set = CLOSED_DESCRIPTORS.load(Ordering::Relaxed);
    (0..3).filter(move |fd| set & 1 << fd != 0)
}

/// The entries of the environment, as they are, odd ones included.
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
