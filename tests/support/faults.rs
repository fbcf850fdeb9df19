//! System calls that fail as a test requires. strace injects the error, from the program's first instruction on, so
//! that it also works with a static program. The call itself is not carried out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::sandbox::Sandbox;

/// Which calls fail, with which error, and when.
#[derive(Debug, Clone)]
pub struct Faults {
    /// Names as strace knows them, separated by commas; `?` before a name that this system may not have.
    pub calls: String,
    /// The error's name, such as `EIO`.
    pub error: String,
    /// The first call that fails, counted from 1.
    pub first: u32,
    /// After that every n-th call fails; `None`: no other call.
    pub step: Option<u32>,
    /// Only calls with this path.
    pub path: Option<PathBuf>,
}

/// The calls of a kind; the C library selects one of them.
pub fn calls(kind: &str) -> &'static str {
    match kind {
        "open" => "?open,openat",
        "read" => "read",
        "write" => "write,?pwrite64",
        "fsync" => "fsync,fdatasync",
        "rename" => "?rename,?renameat,?renameat2",
        "unlink" => "?unlink,unlinkat",
        "flock" => "flock",
        "clone" => "?clone,?clone3",
        "accept" => "?accept,accept4",
        other => panic!("no such kind of calls: {other}"),
    }
}

impl Faults {
    /// Every call of a kind fails.
    pub fn always(kind: &str, error: &str) -> Self {
        Self { calls: calls(kind).to_owned(), error: error.to_owned(), first: 1, step: Some(1), path: None }
    }

    /// Only the first call of a kind with this path fails.
    pub fn once_at(kind: &str, error: &str, path: &Path) -> Self {
        Self { step: None, path: Some(path.to_owned()), ..Self::always(kind, error) }
    }

    /// The command line before the program's. strace writes every failed call to `log`. The program is the direct
    /// child, not strace.
    pub fn words(&self, log: &Path) -> Vec<OsString> {
        let Self { calls, error, first, step, path } = self;
        let when = step.map_or(first.to_string(), |step| format!("{first}+{step}"));
        let mut words: Vec<OsString> = ["strace", "-D", "-f", "-qq", "-o"].map(OsString::from).to_vec();
        words.push(log.into());
        words.extend(["-e".into(), format!("trace={calls}").into()]);
        words.extend(["-e".into(), format!("inject={calls}:error={error}:when={when}").into()]);
        words.extend(["-e".into(), "signal=none".into()]);
        if let Some(path) = path {
            words.extend(["-P".into(), path.into()]);
        }
        words.push("--".into());
        words
    }

    /// act-claude with arguments, under these faults.
    pub fn act_claude(&self, sandbox: &Sandbox, args: &[&str]) -> Command {
        let words = self.words(&sandbox.root().join("strace.log"));
        let mut command = sandbox.command(&words[0]);
        command.args(&words[1..]).arg(super::act_claude()).args(args);
        command
    }
}

/// How many calls failed, according to a log.
pub fn injected(log: &Path) -> usize {
    let log = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&log).lines().filter(|line| line.contains("(INJECTED)")).count()
}

/// Whether system calls can be made to fail here.
pub fn possible() -> bool {
    let Some(strace) = super::program("strace") else { return false };
    let works = Command::new(strace).args(["-qq", "-o", "/dev/null", "-e", "trace=none", "true"]).status();
    let works = works.is_ok_and(|status| status.success());
    if !works {
        super::skip("strace may not trace here");
    }
    works
}
