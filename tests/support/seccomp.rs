//! Makes system calls of one command, and of all that it starts, fail.

#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

/// Offsets in the filter's input: the number of the call, and the lower half of its first argument.
const NUMBER: u32 = 0;
const FIRST: u32 = 16;

/// Makes the system call `number` fail with EPERM, as a sandbox does.
pub fn forbid(command: &mut Command, number: i64) {
    filter(
        command,
        vec![
            load(NUMBER),
            unless_equal(number, 1),
            fail_with(libc::EPERM), //
            allow(),
        ],
    );
}

/// Makes it impossible to create a thread; processes can still be started. C libraries whose call for it, clone3, does not exist
/// use clone.
pub fn forbid_threads(command: &mut Command) {
    filter(
        command,
        vec![
            load(NUMBER),
            unless_equal(libc::SYS_clone3, 1),
            fail_with(libc::ENOSYS),
            unless_equal(libc::SYS_clone, 3),
            load(FIRST),
            jump(libc::BPF_JSET, libc::CLONE_THREAD.cast_unsigned(), 0, 1),
            fail_with(libc::EAGAIN),
            allow(),
        ],
    );
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).expect("a code"), jt: 0, jf: 0, k }
}

/// Skips `jt` instructions if the condition holds, else `jf`.
fn jump(condition: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { jt, jf, ..statement(libc::BPF_JMP | libc::BPF_K | condition, k) }
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Skips `count` instructions unless the loaded value is `number`.
fn unless_equal(number: i64, count: u8) -> libc::sock_filter {
    jump(libc::BPF_JEQ, u32::try_from(number).expect("a system call"), 0, count)
}

fn fail_with(errno: i32) -> libc::sock_filter {
    statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned())
}

fn allow() -> libc::sock_filter {
    statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW)
}

fn filter(command: &mut Command, mut program: Vec<libc::sock_filter>) {
    // SAFETY: prctl is async-signal-safe; the program points to the filter, which the closure owns.
    unsafe {
        command.pre_exec(move || {
            let length = program.len() as libc::c_ushort;
            let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
            let filtered = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0;
            if filtered { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
}
