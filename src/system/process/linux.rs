//! Processes by `/proc`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use super::{Block, Process, Started};

/// What the file says, by one read: it is a line of some 300 bytes.
fn stat(pid: i32) -> Option<String> {
    let mut start = [0; 1024];
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

pub fn environment(pid: i32) -> Block {
    loop {
        match read_environment(pid) {
            Err(_) => return Block::Hidden,
            Ok(block) if !block.is_empty() => return Block::Shown(block),
            Ok(_) => {}
        }
        match memory(pid) {
            // The kernel sets this after the place of the environment. A process that is ending has neither, nor a program.
            Some(Memory { end_of_code: 0, .. }) if fs::read_link(format!("/proc/{pid}/exe")).is_ok() => {
                return Block::NotYet;
            }
            Some(Memory { end_of_code: 0, .. }) | None => return Block::Hidden,
            Some(Memory { has_environment: false, .. }) => return Block::Shown(Vec::new()),
            // The program has just begun.
            Some(_) => {}
        }
    }
}

/// Reads all at once: where the process executes a program between two reads, the second one finds nothing, as at the end.
fn read_environment(pid: i32) -> std::io::Result<Vec<u8>> {
    const MOST_HAVE_LESS: usize = 8 * 1024;
    let mut block = vec![0; MOST_HAVE_LESS];
    loop {
        let length = File::open(format!("/proc/{pid}/environ"))?.read(&mut block)?;
        if length < block.len() {
            block.truncate(length);
            return Ok(block);
        }
        block.resize(block.len() * 4, 0);
    }
}

/// What `/proc/PID/stat` says of a process's memory.
struct Memory {
    end_of_code: u64,
    has_environment: bool,
}

fn memory(pid: i32) -> Option<Memory> {
    let stat = stat(pid)?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // proc_pid_stat(5) counts from 1; the first field after the name is the third.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Memory { end_of_code: field(27)?, has_environment: field(50)? != field(51)? })
}

pub fn arguments(pid: i32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cmdline")).ok()
}

pub fn directory(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}
