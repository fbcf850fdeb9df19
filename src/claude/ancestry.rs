//! Who started us: a loop of scripts has to be recognised (promise A21), and the status line's session be found.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::claude::chain::Chain;
use crate::claude::lineage;
use crate::claude::ourselves::{Identity, identity, is_ourselves};
use crate::system::process::{self, Process};

/// More launches of act-claude than this on top of each other are no nesting of sessions any more.
const DEEPEST: usize = 16;
/// Nor are more than this with nothing but the script in between: a claude that is a script itself starts `claude mcp serve`
/// without a shell.
const DEEPEST_ALONE: usize = 2;

/// The pids above this process, the nearest first.
pub fn pids() -> Vec<i32> {
    process::above().unwrap_or_default().iter().map(|process| process.pid).collect()
}

/// Whether act-claude starts `program`, and that starts us, again and again. A session nested in claude's own Bash tool has
/// claude and a shell in between.
pub fn loops_through(program: &Path, chain: &Chain) -> bool {
    let above = process::above().unwrap_or_default();
    if !repeats(&above) {
        return false;
    }
    let Some(file) = identity(program) else { return false };
    let is_ours = ours(&above);
    let mut is_seen = false;
    let mut only_wrappers = true;
    let mut launches = 0;
    for (process, is_ours) in above.iter().zip(is_ours) {
        let arguments = process::arguments(process.pid);
        if is_ours {
            if arguments.get(1).is_some_and(|word| word == b"act") {
                // A command, which stands in nobody's place. `act demo` starts a launch of its own: no loop.
                return false;
            }
            launches += 1;
            let most = if only_wrappers { DEEPEST_ALONE } else { DEEPEST };
            // A wrapper that makes way by exec, with an environment of its own, is never seen.
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

/// Whether a program that is no shell stands above this process more than once, as act-claude does in a loop.
fn repeats(above: &[Process]) -> bool {
    let programs: Vec<&Path> =
        above.iter().filter(|it| !lineage::is_shell(it)).filter_map(|it| it.executable.as_deref()).collect();
    programs.iter().enumerate().any(|(index, program)| programs[..index].contains(program))
}

/// Which of the processes are act-claude. Each program is looked at once: most are the same few shells.
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

/// The files it may have been started as: its program, and of a script the file behind that.
fn runs(process: &Process, arguments: &[Vec<u8>]) -> Vec<Identity> {
    let words = arguments.iter().take(3).map(|word| Path::new(OsStr::from_bytes(word)));
    words.filter(|word| word.is_absolute()).chain([&*process.program()]).filter_map(identity).collect()
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
