//! The processes that started this one. They show a loop of scripts (promise A21), and the session of a status line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::claude::chain::Chain;
use crate::claude::lineage;
use crate::claude::ourselves::{Identity, identity, is_ourselves};
use crate::system::process::{self, Process};

/// More launches of act-claude nested in each other than this are a loop, not nested sessions.
const DEEPEST: usize = 16;
/// The limit on nested launches where only the script is in between: a claude that is itself a script starts
/// `claude mcp serve` without a shell.
const DEEPEST_ALONE: usize = 2;

/// The pids of this process's ancestors, the nearest first.
pub fn pids() -> Vec<i32> {
    lineage::processes().iter().map(|process| process.pid).collect()
}

/// Whether act-claude and `program` start each other in a loop. In a session that is nested in claude's own Bash tool, claude and
/// a shell are in between.
pub fn loops_through(program: &Path, chain: &Chain) -> bool {
    let above = lineage::processes();
    if !repeats(above) {
        return false;
    }
    let Some(file) = identity(program) else { return false };
    let is_ours = ours(above);
    let mut is_seen = false;
    let mut only_wrappers = true;
    let mut launches = 0;
    for (process, is_ours) in above.iter().zip(is_ours) {
        let arguments = process::arguments(process.pid);
        if is_ours {
            if arguments.get(1).is_some_and(|word| word == b"act") {
                // An `act` command does not run in claude's place. `act demo` starts a launch of its own, which is no loop.
                return false;
            }
            launches += 1;
            let most = if only_wrappers { DEEPEST_ALONE } else { DEEPEST };
            // A wrapper that replaces itself by exec, with an environment of its own, is never visible. So very many launches are
            // a loop, too.
            if (is_seen && launches > most) || launches > 2 * DEEPEST {
                return true;
            }
        } else {
            let names = arguments.iter().any(|word| holds(word, program.as_os_str().as_encoded_bytes()));
            let runs = runs(process, &arguments);
            is_seen |= runs.contains(&file) || names;
            only_wrappers &= names || runs.iter().any(|run| *run == file || chain.has_started(*run));
        }
    }
    false
}

/// Whether a program that is no shell occurs more than once above this process, as act-claude does in a loop.
fn repeats(above: &[Process]) -> bool {
    let programs: Vec<&Path> =
        above.iter().filter(|it| !lineage::is_shell(it)).filter_map(|it| it.executable.as_deref()).collect();
    programs.iter().enumerate().any(|(index, program)| programs[..index].contains(program))
}

/// Which of the processes are act-claude. Each program is checked once, because most are the same few shells.
fn ours(above: &[Process]) -> Vec<bool> {
    let mut known: Vec<(&Path, bool)> = Vec::new();
    let mut is_ours = Vec::with_capacity(above.len());
    for process in above {
        let Some(path) = process.executable.as_deref() else {
            is_ours.push(false);
            continue;
        };
        let before = known.iter().find(|(it, _)| *it == path).map(|(_, is_ours)| *is_ours);
        let it = before.unwrap_or_else(|| is_ourselves(&process.program()));
        known.push((path, it));
        is_ours.push(it);
    }
    is_ours
}

/// The files it may have been started as: its program, and, for a script, the file that the program runs.
fn runs(process: &Process, arguments: &[Vec<u8>]) -> Vec<Identity> {
    let words = arguments.iter().take(3).map(|word| Path::new(OsStr::from_bytes(word)));
    words.filter(|word| word.is_absolute()).chain([&*process.program()]).filter_map(identity).collect()
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
