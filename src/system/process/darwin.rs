//! Processes by libproc and sysctl.
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, c_int};
use std::mem::{MaybeUninit, size_of};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::libc;

use super::started_with::{self, StartedWith};
use super::terminal::{Device, is_other_end};
use super::{Block, Process, Started};

/// `PROC_FLAG_INEXIT`: it is in the middle of its exit.
const ENDING: u32 = 4;
/// `PROX_FDTYPE_VNODE`: a file or a device.
const FILE: u32 = 1;
/// `PROC_PIDFDVNODEINFO`
const FILE_INFORMATION: c_int = 1;
/// `VCHR`: a character device.
const CHARACTER_DEVICE: c_int = 4;

pub fn look(pid: i32) -> Option<Process> {
    let info = basics(pid)?;
    // SAFETY: the kernel ends the name with a zero.
    let name = unsafe { CStr::from_ptr(info.pbi_comm.as_ptr()) }.to_string_lossy().into_owned();
    let parent = i32::try_from(info.pbi_ppid).ok()?;
    let is_ending = info.pbi_status == libc::SZOMB || info.pbi_flags & ENDING != 0;
    Some(Process { pid, parent, name, executable: executable(pid), is_ending })
}

/// When the process was started. Together with the pid this identifies it.
pub fn started(pid: i32) -> Option<Started> {
    basics(pid).map(|info| Started(info.pbi_start_tvsec, info.pbi_start_tvusec))
}

/// Whether this process is in the foreground of its terminal. Async-signal-safe.
pub fn is_in_foreground() -> bool {
    // SAFETY: always succeeds.
    let own = unsafe { libc::getpid() };
    basics(own).is_some_and(|info| Device(info.e_tdev).is_some() && info.e_tpgid == info.pbi_pgid)
}

/// Whether the process holds the other end of this process's terminal, as the terminal's program does. `None`: the system does
/// not show its descriptors.
pub fn holds_terminal(pid: i32) -> Option<bool> {
    let terminal = Device(basics(std::process::id().cast_signed())?.e_tdev);
    let ends = Device(u32::try_from(std::fs::metadata("/dev/ptmx").ok()?.rdev()).ok()?);
    let Some(descriptors) = descriptors(pid) else {
        let is_gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH);
        return is_gone.then_some(false);
    };
    let files = descriptors.iter().filter(|descriptor| descriptor.proc_fdtype == FILE);
    let mut devices = files.filter_map(|file| device(pid, file.proc_fd));
    Some(devices.any(|device| is_other_end(device, terminal, ends)))
}

/// `struct vnode_fdinfo`, which libc lacks: 24 bytes about the descriptor, then the file.
#[derive(Clone, Copy)]
#[repr(C)]
struct FileInformation {
    _descriptor: [u64; 3],
    file: libc::vnode_info,
}

/// The device that a descriptor of the process leads to.
fn device(pid: i32, descriptor: i32) -> Option<Device> {
    let mut info = MaybeUninit::<FileInformation>::zeroed();
    let size = c_int::try_from(size_of::<FileInformation>()).ok()?;
    // SAFETY: the buffer is as long as `size` says.
    let read = unsafe { libc::proc_pidfdinfo(pid, descriptor, FILE_INFORMATION, info.as_mut_ptr().cast(), size) };
    // SAFETY: the structure consists of integers, for which zeroes are valid, and all of it was written.
    let info = (read == size).then(|| unsafe { info.assume_init() })?;
    (info.file.vi_type == CHARACTER_DEVICE).then_some(Device(info.file.vi_stat.vst_rdev))
}

/// The descriptors of a process, with room for those that it opens meanwhile.
fn descriptors(pid: i32) -> Option<Vec<libc::proc_fdinfo>> {
    let empty = libc::proc_fdinfo { proc_fd: -1, proc_fdtype: 0 };
    // SAFETY: without a buffer it only returns the size.
    let needed = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDLISTFDS, 0, std::ptr::null_mut(), 0) };
    let count = usize::try_from(needed).ok().filter(|needed| *needed > 0)? / size_of::<libc::proc_fdinfo>() + 32;
    let mut found = vec![empty; count];
    let size = c_int::try_from(count * size_of::<libc::proc_fdinfo>()).ok()?;
    // SAFETY: the buffer is as long as `size` says.
    let read = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDLISTFDS, 0, found.as_mut_ptr().cast(), size) };
    found.truncate(usize::try_from(read).ok().filter(|read| *read > 0)? / size_of::<libc::proc_fdinfo>());
    Some(found)
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

/// `None` also for a restricted program: its environment can't be read, which is not the same as an empty one.
/// Nothing is shown of a process that executes a program, so it can't be told from one that is hidden.
pub fn environment(pid: i32) -> Block {
    started_with(pid).and_then(|started| started.environment).map_or(Block::Hidden, Block::Shown)
}

pub fn arguments(pid: i32) -> Option<Vec<u8>> {
    Some(started_with(pid)?.arguments)
}

pub fn directory(pid: i32) -> Option<PathBuf> {
    let info: libc::proc_vnodepathinfo = information(pid, libc::PROC_PIDVNODEPATHINFO, 0)?;
    // SAFETY: the kernel ends the path with a zero, within the array.
    let path = unsafe { CStr::from_ptr(info.pvi_cdir.vip_path.as_ptr().cast()) };
    (!path.is_empty()).then(|| Path::new(OsStr::from_bytes(path.to_bytes())).to_path_buf())
}

/// Of a process of this user, also of one that has ended and was not waited for. Async-signal-safe.
fn basics(pid: i32) -> Option<libc::proc_bsdinfo> {
    information(pid, libc::PROC_PIDTBSDINFO, 1)
}

/// Asks `proc_pidinfo` for the structure that belongs to `flavor`. Async-signal-safe.
fn information<T: Copy>(pid: i32, flavor: c_int, argument: u64) -> Option<T> {
    let mut info = MaybeUninit::<T>::zeroed();
    let size = c_int::try_from(size_of::<T>()).ok()?;
    // SAFETY: the buffer is as long as `size` says.
    let read = unsafe { libc::proc_pidinfo(pid, flavor, argument, info.as_mut_ptr().cast(), size) };
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

fn started_with(pid: i32) -> Option<StartedWith> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    // The system refuses a longer buffer, and no process has more.
    let mut buffer = vec![0u8; 1024 * 1024];
    let mut length = buffer.len();
    // SAFETY: name and buffer are as long as the call is told.
    let result = unsafe {
        libc::sysctl(name.as_mut_ptr(), 3, buffer.as_mut_ptr().cast(), &raw mut length, std::ptr::null_mut(), 0)
    };
    if result == 0 { started_with::parse(buffer.get(..length)?) } else { None }
}
