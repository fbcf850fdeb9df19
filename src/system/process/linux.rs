//! Processes by `/proc`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use super::{Process, Started};

/// The beginning of the file is enough, and takes one read.
fn stat(pid: i32) -> Option<String> {
    let mut start = [0; 512];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut start).ok()?;
    Some(String::from_utf8_lossy(&start[..length]).into_owned())
}

/// When the process was started. Together with the pid this identifies it, until the system starts again.
pub fn started(pid: i32) -> Option<Started> {
    let stat = stat(pid)?;
    let (_, tail) = stat.rsplit_once(')')?;
    // The 22nd field; the first one here is the third.
    tail.split_ascii_whitespace().nth(19)?.parse().ok().map(|ticks| Started(ticks, 0))
}

pub fn look(pid: i32) -> Option<Process> {
    let stat = stat(pid)?;
    // The name, in parentheses, may hold any character. So fields are counted from its end.
    let (head, tail) = stat.rsplit_once(')')?;
    let parent = tail.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let name = head.split_once('(')?.1.to_owned();
    let executable = fs::read_link(format!("/proc/{pid}/exe"));
    let is_ending = executable.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    Some(Process { pid, parent, name, executable: executable.ok(), is_ending })
}

pub fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

pub fn program(process: &Process) -> PathBuf {
    format!("/proc/{}/exe", process.pid).into()
}

pub fn environment(pid: i32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ")).ok()
}

pub fn arguments(pid: i32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cmdline")).ok()
}

pub fn directory(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}
