//! `act-claude`: starts Claude Code under the Agent Control Tower alias of the current directory.
//!
//! This program has a C `main` and does not use std's runtime. Before `main` that runtime ignores SIGPIPE and opens closed
//! descriptors, which claude must not inherit. Its other work (a guard page, which on Linux means reading
//! `/proc/self/maps`; signal handlers) is a considerable part of the time that a launch takes.
#![no_main]

use std::ffi::{c_char, c_int};

use act_claude::claude::ourselves::Mark;
use act_claude::system::inherited;

/// Identifies copies of this program.
#[used]
#[cfg_attr(target_os = "linux", allow(unsafe_code), unsafe(link_section = ".note.act-claude"))]
// The name is that of `ourselves::SECTION`.
#[cfg_attr(target_os = "macos", allow(unsafe_code), unsafe(link_section = "__TEXT,__act_claude"))]
static MARK: Mark = Mark::OURS;

#[allow(unsafe_code)]
// SAFETY: the only `main` of this program, called once by the C library, with the arguments C programs get.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: first in `main`, with its own arguments.
    let arguments = unsafe { inherited::note(count, arguments) };
    inherited::settle();
    // `exit` also writes out what standard output has buffered.
    std::process::exit(act_claude::run(arguments).into())
}
