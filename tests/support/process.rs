//! Reads /proc for the processes a test started.

use std::path::PathBuf;

/// A process, found by a text in its environment or command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub command_line: String,
}

impl Process {
    /// `/proc/PID/NAME`
    pub fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    /// Its environment as raw bytes.
    pub fn environment(&self) -> Vec<u8> {
        std::fs::read(self.file("environ")).unwrap_or_default()
    }

    /// Whether it is a relay.
    pub fn is_relay(&self) -> bool {
        self.command_line.starts_with("act-claude act relay")
    }

    /// The process that started it, or its new parent.
    pub fn parent(&self) -> Option<i32> {
        let stat = std::fs::read_to_string(self.file("stat")).ok()?;
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    /// Whether it exists and is no zombie.
    pub fn is_alive(&self) -> bool {
        let stat = std::fs::read_to_string(self.file("stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    }
}

/// All processes whose environment contains `text`. With a sandbox's root these are all processes of that test, and no
/// other.
pub fn with_environment(text: &str) -> Vec<Process> {
    all()
        .into_iter()
        .filter(|process| memchr::memmem::find(&process.environment(), text.as_bytes()).is_some())
        .collect()
}

/// The relays of a test's sandbox: the guards, and the working processes.
pub fn relays(root: &std::path::Path) -> (Vec<Process>, Vec<Process>) {
    relays_with(&root.display().to_string())
}

/// The relays with this text in their environment: the guards, and the working processes.
pub fn relays_with(text: &str) -> (Vec<Process>, Vec<Process>) {
    let relays: Vec<Process> = with_environment(text).into_iter().filter(|it| it.is_relay() && it.is_alive()).collect();
    let parents: Vec<i32> = relays.iter().filter_map(Process::parent).collect();
    relays.into_iter().partition(|relay| parents.contains(&relay.pid))
}

/// Ends the relays of a test's sandbox, which would otherwise retry for a while. Their exports are left to the next
/// session.
pub fn end_relays(root: &std::path::Path) {
    let root = root.display().to_string();
    let relays = || with_environment(&root).into_iter().filter(Process::is_relay);
    for relay in relays() {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(relay.pid), nix::sys::signal::Signal::SIGTERM);
    }
    super::eventually("the relays' end", || relays().next().is_none().then_some(()));
}

/// All visible processes.
pub fn all() -> Vec<Process> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command_line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command_line = String::from_utf8_lossy(&command_line).trim_end_matches('\0').replace('\0', " ");
        found.push(Process { pid, command_line });
    }
    found
}

/// How the C library numbers resources.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = nix::libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = nix::libc::c_int;

/// Limits a resource of a command that is about to start: `RLIMIT_NPROC`, for example.
#[allow(unsafe_code)]
pub fn limit(command: &mut std::process::Command, resource: Resource, value: u64) {
    use nix::libc::{rlimit, setrlimit};
    // SAFETY: setrlimit is async-signal-safe.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, move || {
            match setrlimit(resource, &rlimit { rlim_cur: value, rlim_max: value }) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}

/// Makes the system call `number` fail with EPERM, as a sandbox does.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn forbid(command: &mut std::process::Command, number: i64) {
    use nix::libc;
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let is_equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).expect("a code"), jt, jf, k };
    // The number is the first field of the filter's input.
    let mut filter = [
        step(load, 0, 0, 0),
        step(is_equal, 0, 1, u32::try_from(number).expect("a system call")),
        step(libc::BPF_RET, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned()),
        step(libc::BPF_RET, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    // SAFETY: prctl is async-signal-safe; the program points to the filter, which the closure owns.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, move || {
            let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
            let filtered = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0;
            if filtered { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
}
