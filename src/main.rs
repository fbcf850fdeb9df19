//! `act-claude`: starts Claude Code under the Agent Control Tower alias of the current directory.
//!
//! Where the platform gives `std::env::args` its arguments without it, std's runtime is passed over: what it does before
//! `main` (a guard page, which on Linux means reading `/proc/self/maps`; signal handlers; a look at descriptors 0–2) is a
//! sizeable part of what a launcher takes in all, and claude must get the state from before it.
#![cfg_attr(any(target_env = "gnu", target_vendor = "apple"), no_main)]

use act_claude::claude::ourselves::Mark;

/// By which copies of this program are known.
#[used]
#[cfg_attr(target_os = "linux", allow(unsafe_code), unsafe(link_section = ".note.act-claude"))]
static MARK: Mark = Mark::OURS;

#[cfg(any(target_env = "gnu", target_vendor = "apple"))]
#[allow(unsafe_code)]
// SAFETY: the one `main` of this program, called once by the C library, with the arguments C programs get.
#[unsafe(no_mangle)]
extern "C" fn main(_count: std::ffi::c_int, _arguments: *const *const std::ffi::c_char) -> std::ffi::c_int {
    act_claude::system::inherited::settle();
    // Also writes out what standard output has buffered.
    std::process::exit(act_claude::run().into())
}

#[cfg(not(any(target_env = "gnu", target_vendor = "apple")))]
fn main() {
    std::process::exit(act_claude::run().into())
}
