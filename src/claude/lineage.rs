//! The ancestors of this process, and the kind of each: a claude, act-claude, a shell, or another program.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use crate::claude::ourselves::is_ourselves;
use crate::system::environment::Environment;
use crate::system::process::{self, Process};

/// Claude sets this variable for its Bash tool, hooks and MCP servers, whatever its settings say (observed on all clients).
pub const MARK: &str = "CLAUDECODE";

/// The kind of a process, which decides what it may do to the environment of its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessKind {
    /// A claude: settings, also those of a repository, change the environment of its children.
    Claude,
    /// A script that act-claude started in claude's place. It may choose the next program; otherwise it is treated as a claude.
    Script,
    /// A shell, or a program that starts a typed command: startup files and command lines change the environment.
    Shell,
    /// act-claude.
    Ourselves,
    /// Any other program. It changes the environment on purpose.
    Other,
}

/// An ancestor of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Its pid.
    pub pid: i32,
    /// Its kind.
    pub kind: ProcessKind,
    /// The environment it was started with, where that can be read.
    pub environment: Option<Environment>,
}

/// The ancestors of this process, the nearest first. There are none where this process is not marked and no ancestor's name
/// suggests a claude. `is_marked`: this process carries claude's marker.
pub fn above(is_marked: bool) -> Vec<Ancestor> {
    // A parent may end during the search, and this process then gets another one (claude's daemon is started in this way).
    // So the search starts again. A process that seems to be ending for ever, such as a kernel thread, is accepted as it is.
    for _ in 0..100 {
        if let Some(ancestors) = look(is_marked, |process| process.is_ending) {
            return ancestors;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    look(is_marked, |_| false).unwrap_or_default()
}

/// One search for the ancestors; `None` where a process has ended meanwhile.
fn look(is_marked: bool, is_ending: impl Fn(&Process) -> bool) -> Option<Vec<Ancestor>> {
    let processes = process::above()?;
    if !is_marked && !processes.iter().any(may_be_claude) {
        let _ = PROCESSES.set(processes);
        return Some(Vec::new());
    }
    let mut ancestors: Vec<Ancestor> = Vec::with_capacity(processes.len());
    for (index, process) in processes.iter().enumerate() {
        let by_act_claude = || processes.get(index + 1).is_some_and(is_act_claude);
        let kind = kind(process, by_act_claude);
        let environment = process::environment(process.pid);
        if environment.as_ref().is_none_or(|environment| environment.iter().next().is_none()) {
            // An environment that is missing or empty is believed only if the process has not ended meanwhile.
            if process::look(process.pid).is_none_or(|now| is_ending(&now)) {
                return None;
            }
        }
        ancestors.push(Ancestor { pid: process.pid, kind, environment });
    }
    recognize_by_mark(&mut ancestors, is_marked);
    let _ = PROCESSES.set(processes);
    Some(ancestors)
}

/// The processes above this one at its start. Reading them takes some 0.05 ms of a launch, so they are kept.
static PROCESSES: OnceLock<Vec<Process>> = OnceLock::new();

/// The processes above this one at its start, the nearest first, as far as they are shown.
pub fn processes() -> &'static [Process] {
    PROCESSES.get_or_init(|| process::above().unwrap_or_default())
}

/// Recognises a claude's program by its name, or by the directory of the native installer (`…/claude/versions/2.1.330`).
pub fn is_claude(path: &Path) -> bool {
    path.file_name() == Some(OsStr::new("claude"))
        || path.parent().is_some_and(|place| place.ends_with("claude/versions"))
}

/// Recognises a claude by its program, or by the name of its process, which a client that runs on node sets itself.
fn may_be_claude(process: &Process) -> bool {
    process.name == "claude"
        || process.path().is_some_and(is_claude)
        || (INTERPRETERS.iter().chain(&ENGINES).any(|name| program_is(process, name)) && runs_claude(process))
}

/// Whether an interpreter's arguments name a claude.
fn runs_claude(process: &Process) -> bool {
    let is_claude = |word: &Vec<u8>| {
        let name = word.rsplit(|&byte| byte == b'/').next();
        name == Some(b"claude") || word.windows(12).any(|part| part == b"claude-code/")
    };
    process::arguments(process.pid).iter().take(3).any(is_claude)
}

/// The kind of a process. `by_act_claude`: whether act-claude started it.
fn kind(process: &Process, by_act_claude: impl Fn() -> bool) -> ProcessKind {
    if is_act_claude(process) {
        return ProcessKind::Ourselves;
    }
    let is_shell = is_shell(process);
    let is_script = is_shell || INTERPRETERS.iter().any(|name| program_is(process, name));
    match (may_be_claude(process), is_script) {
        (true, false) => ProcessKind::Claude,
        // A wrapper that the user started, and that starts act-claude, is no claude.
        (true, true) if by_act_claude() => ProcessKind::Script,
        _ if is_shell => ProcessKind::Shell,
        _ => ProcessKind::Other,
    }
}

/// Whether it is a shell, or a program that starts a typed command.
pub fn is_shell(process: &Process) -> bool {
    SHELLS.iter().any(|name| program_is(process, name))
}

fn is_act_claude(process: &Process) -> bool {
    process.executable.is_some() && is_ourselves(&process.program())
}

/// A program whose child has claude's marker, and that does not have it itself, is a claude under any name.
fn recognize_by_mark(ancestors: &mut [Ancestor], is_marked: bool) {
    let mut child_is_marked = is_marked;
    for ancestor in ancestors {
        let Some(environment) = &ancestor.environment else { continue };
        let is_marked = environment.text(MARK).is_some();
        if child_is_marked && !is_marked && ancestor.kind == ProcessKind::Other {
            ancestor.kind = ProcessKind::Claude;
        }
        child_is_marked = is_marked;
    }
}

/// Whether a process runs the program of this name, in any version (`python3.11`).
fn program_is(process: &Process, name: &str) -> bool {
    let file = process.path().and_then(Path::file_name).and_then(OsStr::to_str);
    let file = file.map(|file| file.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'));
    file.unwrap_or(&process.name) == name
}

/// Shells, and programs that start a command as it was typed.
const SHELLS: [&str; 34] = [
    "sh",
    "bash",
    "rbash",
    "dash",
    "ash",
    "zsh",
    "fish",
    "ksh",
    "mksh",
    "yash",
    "csh",
    "tcsh",
    "nu",
    "elvish",
    "pwsh",
    "busybox",
    "toybox",
    "coreutils",
    "env",
    "timeout",
    "nohup",
    "nice",
    "setsid",
    "stdbuf",
    "xargs",
    "time",
    "script",
    "find",
    "watch",
    "parallel",
    "strace",
    "tmux",
    "screen",
    "unshare",
];
/// Programs that run scripts.
const INTERPRETERS: [&str; 4] = ["python", "perl", "ruby", "pypy"];
/// Programs that Claude Code itself may run on.
const ENGINES: [&str; 4] = ["node", "nodejs", "bun", "deno"];

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, executable: &str) -> Process {
        Process { pid: 0, parent: 1, name: name.to_owned(), executable: Some(executable.into()), is_ending: false }
    }

    #[test]
    fn what_a_process_is() {
        for (name, executable, by_act_claude, expected) in [
            ("claude", "/opt/x/claude", false, ProcessKind::Claude),
            ("claude", "/opt/x/fake", false, ProcessKind::Claude),
            ("2.1.330", "/home/x/.local/share/claude/versions/2.1.330", false, ProcessKind::Claude),
            ("claude", "/usr/bin/node", false, ProcessKind::Claude),
            ("claude", "/usr/bin/dash", true, ProcessKind::Script),
            ("claude", "/usr/bin/dash", false, ProcessKind::Shell),
            ("bash", "/usr/bin/bash", true, ProcessKind::Shell),
            ("timeout", "/usr/bin/timeout", false, ProcessKind::Shell),
            ("python3", "/usr/bin/python3.11", true, ProcessKind::Other),
            ("cargo", "/usr/bin/cargo", false, ProcessKind::Other),
        ] {
            assert_eq!(kind(&process(name, executable), || by_act_claude), expected, "{name} {executable}");
        }
    }

    #[test]
    fn the_mark_tells_a_claude_of_another_name() {
        let ancestor = |kind, marked: bool| Ancestor {
            pid: 1,
            kind,
            environment: Some(marked.then_some((MARK, "1")).into_iter().collect()),
        };
        let mut ancestors = [
            ancestor(ProcessKind::Shell, true),
            ancestor(ProcessKind::Other, false),
            ancestor(ProcessKind::Other, false),
        ];
        recognize_by_mark(&mut ancestors, true);
        assert_eq!(
            ancestors.map(|ancestor| ancestor.kind),
            [ProcessKind::Shell, ProcessKind::Claude, ProcessKind::Other]
        );
    }
}
