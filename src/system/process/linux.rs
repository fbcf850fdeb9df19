//! Processes by `/proc`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use super::{Block, Process, Started};

/// What `/proc/PID/stat` says, by one read: it is a line of some 300 bytes.
struct Stat(String);

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let mut start = [0; 1024];
        let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut start).ok()?;
        Some(Self(String::from_utf8_lossy(&start[..length]).into_owned()))
    }

    /// The name. It may hold any character, also parentheses.
    fn name(&self) -> Option<&str> {
        Some(self.0.rsplit_once(')')?.0.split_once('(')?.1)
    }

    /// A field behind the name, by its number in proc_pid_stat(5), which counts from 1. The first of them is the third.
    fn field<T: std::str::FromStr>(&self, number: usize) -> Option<T> {
        self.0.rsplit_once(')')?.1.split_ascii_whitespace().nth(number - 3)?.parse().ok()
    }
}

/// When the process was started. Together with the pid this identifies it, until the system starts again.
pub fn started(pid: i32) -> Option<Started> {
    Stat::read(pid)?.field(22).map(|ticks| Started(ticks, 0))
}

pub fn look(pid: i32) -> Option<Process> {
    let stat = Stat::read(pid)?;
    let (name, parent) = (stat.name()?.to_owned(), stat.field(4)?);
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
    for _ in 0..BEGINNINGS {
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
            Some(_) => std::thread::yield_now(),
        }
    }
    Block::Hidden
}

/// So often is looked again for an environment whose program has just begun. A process may also have removed the memory of its own.
const BEGINNINGS: u32 = 100;

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

/// What the kernel says of a process's memory.
struct Memory {
    end_of_code: u64,
    has_environment: bool,
}

fn memory(pid: i32) -> Option<Memory> {
    let stat = Stat::read(pid)?;
    let place = |number| stat.field::<u64>(number);
    Some(Memory { end_of_code: place(27)?, has_environment: place(50)? != place(51)? })
}

pub fn arguments(pid: i32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cmdline")).ok()
}

pub fn directory(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}
