//! The ways to read the data of another process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;

/// How long after opening it a memory is read.
const LATER: Duration = Duration::from_millis(900);
/// How many of the newest processes are checked.
const NEWEST: i32 = 64;

struct Memory {
    opened: Instant,
    whose: String,
    file: File,
    /// Opened early, so that it can be read later, like the memory.
    maps: File,
}

pub fn snoop() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (stop, secrets) = arguments.split_first().expect("STOP SECRET…");
    let mut memories: Vec<Memory> = Vec::new();
    let mut got: BTreeSet<String> = BTreeSet::new();
    let mut kept: BTreeMap<i32, usize> = BTreeMap::new();
    let mut attempts = 0;
    loop {
        let is_over = Path::new(stop).exists();
        let newest = newest();
        for pid in newest - NEWEST..=newest {
            let Some(whose) = relay(pid) else { continue };
            attempts += 1;
            let [memory, maps] = ["mem", "maps"].map(|name| File::open(format!("/proc/{pid}/{name}")));
            if let Ok(file) = memory {
                got.insert(format!("opened mem of {whose} {pid}"));
                let Ok(maps) = maps else { continue };
                // Each exec gives the process a new memory.
                let count = kept.entry(pid).or_default();
                *count += 1;
                if *count <= 20 {
                    memories.push(Memory { opened: Instant::now(), whose: format!("{whose} {pid}"), file, maps });
                }
            }
            for file in ["maps", "environ", "auxv"] {
                if fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|bytes| !bytes.is_empty()) {
                    got.insert(format!("opened {file} of {whose} {pid}"));
                }
            }
            if fs::read_dir(format!("/proc/{pid}/fd")).is_ok() {
                got.insert(format!("opened fd of {whose} {pid}"));
            }
            if steal(pid) {
                got.insert(format!("opened descriptors of {whose} {pid}"));
            }
            if pid % 4 == 0 && trace(pid) {
                got.insert(format!("opened ptrace of {whose} {pid}"));
            }
        }
        memories.retain(|memory| {
            let is_due = is_over || memory.opened.elapsed() >= LATER;
            if is_due && holds_any(memory, secrets) {
                got.insert(format!("secret in memory of {}", memory.whose));
            }
            !is_due
        });
        if is_over {
            break;
        }
    }
    println!("attempts {attempts}");
    got.iter().for_each(|line| println!("{line}"));
}

fn newest() -> i32 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().next_back().and_then(|pid| pid.parse().ok()).unwrap_or(0)
}

/// What kind of relay a process is, if it is one.
fn relay(pid: i32) -> Option<&'static str> {
    let is_relay = |pid: i32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"act-claude\0act\0relay\0"))
    };
    if !is_relay(pid) {
        return None;
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let parent: i32 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(if is_relay(parent) { "relay" } else { "guard" })
}

/// Whether a descriptor of the process can be copied.
#[allow(unsafe_code)]
fn steal(pid: i32) -> bool {
    // SAFETY: both calls take numbers and return a descriptor or -1.
    unsafe {
        let process = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
        if process < 0 {
            return false;
        }
        let stolen = (0..12).map(|number| libc::syscall(libc::SYS_pidfd_getfd, process, number, 0) as i32);
        let stolen: Vec<i32> = stolen.filter(|descriptor| *descriptor >= 0).collect();
        for descriptor in stolen.iter().chain([&process]) {
            libc::close(*descriptor);
        }
        !stolen.is_empty()
    }
}

/// Whether it can be traced. It is detached at once.
#[allow(unsafe_code)]
fn trace(pid: i32) -> bool {
    // SAFETY: neither call reads or writes memory of ours.
    unsafe {
        let seized = libc::ptrace(libc::PTRACE_SEIZE, pid, 0, libc::PTRACE_O_TRACEFORK) == 0;
        if seized {
            libc::ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0);
            libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL);
            libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0);
        }
        seized
    }
}

/// Whether a memory contains one of the secrets.
fn holds_any(memory: &Memory, secrets: &[String]) -> bool {
    let mut maps = String::new();
    let _ = (&memory.maps).read_to_string(&mut maps);
    let ranges = maps.lines().filter(|line| line.contains(" rw")).filter_map(|line| {
        let (start, end) = line.split_ascii_whitespace().next()?.split_once('-')?;
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    });
    for (start, end) in ranges {
        let length = usize::try_from(end - start).unwrap_or(0).min(16 << 20);
        let mut bytes = vec![0; length];
        let read = memory.file.read_at(&mut bytes, start).unwrap_or(0);
        if secrets.iter().any(|secret| memchr::memmem::find(&bytes[..read], secret.as_bytes()).is_some()) {
            return true;
        }
    }
    false
}
