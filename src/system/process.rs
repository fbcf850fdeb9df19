//! Other processes, as the system shows them: who started whom, which program, with which arguments and environment.
//!
//! What is hidden from this user is not shown, and what is asked of a process that has ended is not there.

use std::path::{Path, PathBuf};

use crate::system::environment::Environment;

#[cfg(not(target_os = "linux"))]
#[path = "process/darwin.rs"]
mod platform;
#[cfg(target_os = "linux")]
#[path = "process/linux.rs"]
mod platform;

/// A process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// Its parent's pid.
    pub parent: i32,
    /// The name of the program as it was executed, or what the process calls itself: the first 15 bytes.
    pub name: String,
    /// The program's file, where it may be seen. Behind the path of a removed file stands " (deleted)" on Linux.
    pub executable: Option<PathBuf>,
    /// It is on its way out: its memory is gone, and with it its environment, and its children are about to get another parent.
    pub is_ending: bool,
}

/// More processes than this on top of each other are not looked at.
const HIGHEST: usize = 256;

/// The process with this pid.
pub fn look(pid: i32) -> Option<Process> {
    platform::look(pid)
}

/// All pids.
pub fn all() -> Vec<i32> {
    platform::all()
}

/// The processes above this one, the nearest first, as far as they are shown. `None`: one of them has ended meanwhile.
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

/// What the process was started with; nothing that it has made of it since.
pub fn environment(pid: i32) -> Option<Environment> {
    Some(Environment::from_entries(entries(&platform::environment(pid)?)))
}

/// The same as the system keeps it: `NAME=VALUE`, each ended by a zero.
pub fn environment_block(pid: i32) -> Option<Vec<u8>> {
    platform::environment(pid)
}

/// Its arguments, its own name first.
pub fn arguments(pid: i32) -> Vec<Vec<u8>> {
    entries(&platform::arguments(pid).unwrap_or_default())
}

/// The directory it works in now.
pub fn directory(pid: i32) -> Option<PathBuf> {
    platform::directory(pid)
}

impl Process {
    /// By this path the program's file can be read, on Linux even where an upgrade has removed it.
    pub fn program(&self) -> PathBuf {
        platform::program(self)
    }

    /// The path the program was executed by, of a removed file, too.
    pub fn path(&self) -> Option<PathBuf> {
        let path = self.executable.as_deref()?;
        let removed = path.to_str().and_then(|path| path.strip_suffix(" (deleted)"));
        Some(removed.map_or(path, Path::new).to_path_buf())
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
        assert_eq!(own.path(), std::env::current_exe().ok());
        assert_eq!(directory(own.pid), std::env::current_dir().ok());
        assert_eq!(environment(own.pid).unwrap().get("PATH"), std::env::var_os("PATH").as_deref());
        assert!(arguments(own.pid)[0].ends_with(own.path().unwrap().file_name().unwrap().as_encoded_bytes()));
        assert!(all().contains(&own.pid));
        assert_eq!(above().unwrap().first().map(|parent| parent.pid).unwrap_or(1), own.parent.max(1));
    }

    #[test]
    fn one_that_has_ended_is_told_from_one_without_an_environment() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().cast_signed();
        // Until it is a zombie.
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
}
