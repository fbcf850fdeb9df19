//! Processes by libproc and sysctl.
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, c_int};
use std::mem::{MaybeUninit, size_of};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::libc;

use super::Process;

pub fn look(pid: i32) -> Option<Process> {
    let info: libc::proc_bsdinfo = information(pid, libc::PROC_PIDTBSDINFO)?;
    // SAFETY: the kernel ends the name with a zero.
    let name = unsafe { CStr::from_ptr(info.pbi_comm.as_ptr()) }.to_string_lossy().into_owned();
    let parent = i32::try_from(info.pbi_ppid).ok()?;
    Some(Process { pid, parent, name, executable: executable(pid), is_ending: info.pbi_status == libc::SZOMB })
}

pub fn all() -> Vec<i32> {
    // As many as there are, with room for those that start meanwhile.
    // SAFETY: without a buffer it only returns the number.
    let count = unsafe { libc::proc_listallpids(std::ptr::null_mut(), 0) };
    let mut pids = vec![0i32; usize::try_from(count).unwrap_or_default() + 256];
    let size = c_int::try_from(pids.len() * size_of::<i32>()).unwrap_or(c_int::MAX);
    // SAFETY: the buffer is as long as `size` says.
    let found = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), size) };
    pids.truncate(usize::try_from(found).unwrap_or_default());
    pids
}

pub fn program(process: &Process) -> PathBuf {
    process.executable.clone().unwrap_or_default()
}

/// `None` for a protected program: its environment can't be read, which is not the same as an empty one.
pub fn environment(pid: i32) -> Option<Vec<u8>> {
    let (_, environment) = started_with(pid)?;
    (!environment.is_empty()).then_some(environment)
}

pub fn arguments(pid: i32) -> Option<Vec<u8>> {
    started_with(pid).map(|(arguments, _)| arguments)
}

pub fn directory(pid: i32) -> Option<PathBuf> {
    let info: libc::proc_vnodepathinfo = information(pid, libc::PROC_PIDVNODEPATHINFO)?;
    // SAFETY: the kernel ends the path with a zero, within the array.
    let path = unsafe { CStr::from_ptr(info.pvi_cdir.vip_path.as_ptr().cast()) };
    (!path.is_empty()).then(|| Path::new(OsStr::from_bytes(path.to_bytes())).to_path_buf())
}

/// Asks `proc_pidinfo` for the structure that belongs to `flavor`.
fn information<T: Copy>(pid: i32, flavor: c_int) -> Option<T> {
    let mut info = MaybeUninit::<T>::zeroed();
    let size = c_int::try_from(size_of::<T>()).ok()?;
    // SAFETY: the buffer is as long as `size` says.
    let read = unsafe { libc::proc_pidinfo(pid, flavor, 0, info.as_mut_ptr().cast(), size) };
    // SAFETY: the structure consists of integers and byte arrays, for which zeroes are valid, and all of it was written.
    (read == size).then(|| unsafe { info.assume_init() })
}

fn executable(pid: i32) -> Option<PathBuf> {
    let mut path = [0u8; 4096];
    // SAFETY: the buffer is as long as the call is told.
    let length = unsafe { libc::proc_pidpath(pid, path.as_mut_ptr().cast(), 4096) };
    let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
    Some(Path::new(OsStr::from_bytes(&path[..length])).to_path_buf())
}

/// Arguments and environment. The system gives a count, the program's path, padding, then all strings.
fn started_with(pid: i32) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    let mut buffer = vec![0u8; 1024 * 1024];
    let mut length = buffer.len();
    // SAFETY: name and buffer are as long as the call is told.
    let result = unsafe {
        libc::sysctl(name.as_mut_ptr(), 3, buffer.as_mut_ptr().cast(), &raw mut length, std::ptr::null_mut(), 0)
    };
    if result != 0 || length < 4 {
        return None;
    }
    let count = usize::try_from(i32::from_ne_bytes(buffer[..4].try_into().ok()?)).ok()?;
    let path = buffer[4..length].iter().position(|byte| *byte == 0)? + 4;
    let first = buffer[path..length].iter().position(|byte| *byte != 0)? + path;
    let ends = buffer[first..length].iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| first + at + 1);
    let second = match count {
        0 => first,
        count => ends.take(count).last()?,
    };
    Some((buffer[first..second].to_vec(), buffer[second..length].to_vec()))
}
