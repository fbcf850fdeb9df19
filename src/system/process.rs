//! Other processes as the system shows them: parent, program, arguments and environment.
//!
//! Whatever the system hides from this user is missing, and so is everything about a process that has ended.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::system::environment::Environment;

#[cfg(not(target_os = "linux"))]
#[path = "process/darwin.rs"]
mod platform;
#[cfg(target_os = "linux")]
#[path = "process/linux.rs"]
mod platform;
#[cfg(any(test, not(target_os = "linux")))]
mod started_with;
#[cfg(any(test, not(target_os = "linux")))]
mod terminal;

pub use platform::started;
#[cfg(not(target_os = "linux"))]
pub use platform::{holds_terminal, is_in_foreground};

/// When a process was started, by a clock of the system. On Linux: ticks since the system's start, and 0. Elsewhere: seconds since
/// 1970, and microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Started(u64, u64);

/// A process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// Its parent's pid.
    pub parent: i32,
    /// The name of the program as it was executed, or what the process calls itself: the first 15 bytes.
    pub name: String,
    /// The program's file, where this user may see it. On Linux the path of a removed file ends in " (deleted)".
    pub executable: Option<PathBuf>,
    /// The process is ending: its memory and its environment can't be read any more, and its children will get another parent.
    pub is_ending: bool,
}

/// What the system shows of a process's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// All of it.
    Shown(Vec<u8>),
    /// Nothing for a moment: the process executes a program that has not begun.
    NotYet,
    /// Nothing: it is another user's, or it has ended.
    Hidden,
}

/// At most this many ancestors are looked at.
const HIGHEST: usize = 256;

/// The process with this pid.
pub fn look(pid: i32) -> Option<Process> {
    platform::look(pid)
}

/// All pids.
pub fn all() -> Vec<i32> {
    platform::all()
}

/// The ancestors of this process, the nearest first, as far as the system shows them. `None`: one of them has ended meanwhile.
pub fn above() -> Option<Vec<Process>> {
    let mut found: Vec<Process> = Vec::new();
    let mut pid = nix::unistd::getppid().as_raw();
    while pid > 1 && found.len() < HIGHEST {
        let Some(process) = look(pid) else {
            let parent = match found.last() {
                Some(child) => look(child.pid)?.parent,
                None => nix::unistd::getppid().as_raw(),
            };
            return (parent == pid).then_some(found);
        };
        pid = process.parent;
        found.push(process);
    }
    Some(found)
}

/// The environment that the process was started with, without its own later changes.
pub fn environment(pid: i32) -> Option<Environment> {
    match platform::environment(pid) {
        Block::Shown(block) => Some(Environment::from_entries(entries(&block))),
        Block::NotYet | Block::Hidden => None,
    }
}

/// The environment that the process was started with, in the system's form: entries `NAME=VALUE`, each ended by a zero byte.
pub fn environment_block(pid: i32) -> Block {
    platform::environment(pid)
}

/// Its arguments; the first is its own name.
pub fn arguments(pid: i32) -> Vec<Vec<u8>> {
    entries(&platform::arguments(pid).unwrap_or_default())
}

/// Its current working directory.
pub fn directory(pid: i32) -> Option<PathBuf> {
    platform::directory(pid)
}

impl Process {
    /// A path by which the program's file can be read, on Linux even after an upgrade has removed the file.
    pub fn program(&self) -> PathBuf {
        platform::program(self)
    }

    /// The path by which the program was executed, also for a removed file.
    pub fn path(&self) -> Option<&Path> {
        let path = self.executable.as_deref()?;
        let removed = path.to_str().and_then(|path| path.strip_suffix(" (deleted)"));
        Some(removed.map_or(path, Path::new))
    }
}

fn entries(block: &[u8]) -> Vec<Vec<u8>> {
    block.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_those_above() {
        let own = look(std::process::id().cast_signed()).unwrap();
        assert_eq!(own.path(), std::env::current_exe().ok().as_deref());
        assert_eq!(directory(own.pid), std::env::current_dir().ok());
        assert_eq!(environment(own.pid).unwrap().get("PATH"), std::env::var_os("PATH").as_deref());
        assert!(started(own.pid).is_some() && started(own.pid) == started(own.pid));
        assert!(arguments(own.pid)[0].ends_with(own.path().unwrap().file_name().unwrap().as_encoded_bytes()));
        assert!(all().contains(&own.pid));
        assert_eq!(above().unwrap().first().map(|parent| parent.pid).unwrap_or(1), own.parent.max(1));
    }

    #[cfg(target_os = "linux")] // nix has no waitid elsewhere
    #[test]
    fn one_that_has_ended_is_told_from_one_without_an_environment() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().cast_signed();
        // Waits until it is a zombie.
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(nix::sys::wait::Id::Pid(nix::unistd::Pid::from_raw(pid)), flags).unwrap();
        assert!(look(pid).is_some_and(|process| process.is_ending));
        child.wait().unwrap();
        assert!(look(pid).is_none());
        let mut child = std::process::Command::new("sleep").arg("60").env_clear().spawn().unwrap();
        assert!(look(child.id().cast_signed()).is_some_and(|process| !process.is_ending));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The kernel still says where its environment is, as of a program that has just begun.
    #[cfg(target_os = "linux")]
    #[test]
    fn one_that_has_removed_the_memory_of_its_environment_is_not_waited_for() {
        use std::io::Read;
        use std::process::{Command, Stdio};

        // The argument before the environment is so long that nothing else is in the same page.
        let script = "import ctypes, sys\n\
            place = int(open('/proc/self/stat').read().rsplit(')')[-1].split()[47]) // 4096 * 4096\n\
            end = next(int(line.split()[0].split('-')[1], 16) for line in open('/proc/self/maps') if '[stack]' in line)\n\
            assert ctypes.CDLL(None).munmap(ctypes.c_void_p(place), ctypes.c_size_t(end - place)) == 0\n\
            sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()";
        let mut command = Command::new("python3");
        command.args(["-c", script, &"x".repeat(3 * 4096)]).env("PADDING", "x".repeat(3 * 4096));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).expect("the page is removed");
        let pid = child.id().cast_signed();
        assert!(std::fs::read(format!("/proc/{pid}/environ")).unwrap().is_empty(), "it can't be read");
        assert!(matches!(environment_block(pid), Block::Hidden));
        assert!(environment(pid).is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
