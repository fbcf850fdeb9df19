//! The programs that were started in claude's place on the way to this process (promise A21).
//!
//! A wrapper named claude may start act-claude, which would start the wrapper again. So act-claude passes a variable to a program
//! that it starts in claude's place. It names the program's file and the process that started it. An act-claude that is that
//! process, or a child of it, knows that this file is a wrapper, and does not start it again. That needs no `/proc`. Where other
//! programs are in between, `ancestry` finds the loop; where it can't, the number of launches within a short time does: sessions
//! nest, but each takes longer than a second to start.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::system::environment::Environment;

use super::ourselves::{Identity, identity};
use super::version;

/// The variable that holds the chain, for a program that is started in claude's place.
pub const VARIABLE: &str = "ACT_CLAUDE_CHAIN";

/// Launches are counted within this many seconds.
const WINDOW: u64 = 60;
/// This many launches within [`WINDOW`] are a loop, not nested sessions.
const RUNAWAY: u32 = 32;
/// From this many launches on, nothing is started.
const MOST: u32 = 2 * RUNAWAY;
/// This many files are remembered, the latest ones.
const REMEMBERED: usize = 16;

/// How a program was started in claude's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The process with this pid executes it, and is no longer act-claude.
    Exec(i32),
    /// The process with this pid waits for it.
    Child(i32),
}

/// The programs that were started in claude's place so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many launches came before this one, since `since`.
    launches: u32,
    /// Seconds since 1970.
    since: u64,
    /// Files that turned out to be wrappers.
    tried: Vec<Identity>,
    /// All files that were started in claude's place, wrappers or not.
    started: Vec<Identity>,
}

impl Chain {
    /// The chain that leads to this process.
    pub fn here(environment: &Environment) -> Self {
        let pids = (nix::unistd::getpid().as_raw(), nix::unistd::getppid().as_raw());
        let value = environment.text(VARIABLE).unwrap_or_default();
        Self::read(value, pids, now())
    }

    /// The chain that leads to the process with `pids`, its own and its parent's.
    fn read(value: &str, (own, parent): (i32, i32), now: u64) -> Self {
        let mut chain = Self { since: now, ..Self::default() };
        let Some(Written { launches, since, start, tried, started }) = parse(value) else { return chain };
        if (since..since.saturating_add(WINDOW)).contains(&now) {
            (chain.launches, chain.since, chain.started) = (launches, since, started);
        }
        let is_in_place_of_claude = match start {
            Start::Exec(pid) => pid == own,
            // The first process of a container is the parent of all orphans.
            Start::Child(pid) => pid == parent && pid != 1,
        };
        if is_in_place_of_claude {
            chain.tried = tried;
        }
        chain
    }

    /// `environment` for a program that is started now. Claude itself does not get the chain, so that a new one begins below it.
    pub fn handed_on(&self, environment: &Environment, program: &Path, start: Start) -> Environment {
        let mut with = environment.clone();
        match version::is_native(program) {
            true => with.remove(VARIABLE),
            false => with.set(VARIABLE, self.with(program, start)),
        }
        with
    }

    /// The variable's value for a program that is started now.
    fn with(&self, program: &Path, start: Start) -> String {
        let program = identity(program);
        let written = |files: &[Identity]| {
            let files = files.iter().copied().filter(|file| Some(*file) != program).chain(program);
            let files: Vec<String> = files.map(|(device, inode)| format!("{device}.{inode}")).collect();
            files[files.len().saturating_sub(REMEMBERED)..].join(",")
        };
        let start = match start {
            Start::Exec(pid) => format!("exec.{pid}"),
            Start::Child(pid) => format!("child.{pid}"),
        };
        let launches = self.launches.saturating_add(1);
        format!("{launches} {} {start} {} {}", self.since, written(&self.tried), written(&self.started))
    }

    /// Whether `program` was started in claude's place, and started this process.
    pub fn has_tried(&self, program: &Path) -> bool {
        identity(program).is_some_and(|identity| self.tried.contains(&identity))
    }

    /// Whether the file was started in claude's place, as a wrapper or not.
    pub fn has_started(&self, file: Identity) -> bool {
        self.started.contains(&file)
    }

    /// Whether launches are nested so deeply that a program which may be a wrapper is treated as one.
    pub fn is_runaway(&self) -> bool {
        self.launches >= RUNAWAY
    }

    /// Whether nothing may be started any more.
    pub fn is_endless(&self) -> bool {
        self.launches >= MOST
    }
}

/// The contents of the variable.
struct Written {
    launches: u32,
    since: u64,
    start: Start,
    tried: Vec<Identity>,
    started: Vec<Identity>,
}

fn parse(value: &str) -> Option<Written> {
    let mut words = value.split(' ');
    let launches = words.next()?.parse().ok()?;
    let since = words.next()?.parse().ok()?;
    let (how, pid) = words.next()?.split_once('.')?;
    let pid = pid.parse().ok()?;
    let start = match how {
        "exec" => Start::Exec(pid),
        "child" => Start::Child(pid),
        _ => return None,
    };
    let identity = |text: &str| {
        let (device, inode) = text.split_once('.')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    };
    let mut files = || words.next().unwrap_or_default().split(',').filter_map(identity).collect();
    Some(Written { launches, since, start, tried: files(), started: files() })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_stands_in_claude_s_place_knows_what_was_tried() {
        let wrapper = Path::new("/");
        let value = |start| Chain::read("", (7, 6), 1000).with(wrapper, start);
        for (start, pids, is_known) in [
            (Start::Exec(7), (7, 6), true),
            // Claude itself starts a session.
            (Start::Exec(7), (8, 7), false),
            (Start::Child(7), (8, 7), true),
            // Claude, which is process 8, or its shell starts one.
            (Start::Child(7), (9, 8), false),
            (Start::Child(7), (7, 6), false),
            // An orphan in a container.
            (Start::Child(1), (9, 1), false),
        ] {
            let chain = Chain::read(&value(start), pids, 1001);
            assert_eq!(
                (chain.launches, chain.since, chain.has_tried(wrapper)),
                (1, 1000, is_known),
                "{start:?} {pids:?}"
            );
            assert!(!chain.has_tried(Path::new("/proc/self/exe")) && !chain.has_tried(Path::new("/nowhere")));
        }
    }

    #[test]
    fn launches_count_within_a_minute() {
        let mut value = String::new();
        for launch in 0..MOST {
            let chain = Chain::read(&value, (7, 6), 1000 + u64::from(launch) / 4);
            assert_eq!((chain.is_runaway(), chain.is_endless()), (launch >= RUNAWAY, false), "{launch}");
            value = chain.with(Path::new("/"), Start::Exec(7));
        }
        assert!(Chain::read(&value, (7, 6), 1030).is_endless());
        assert!(!Chain::read(&value, (7, 6), 1000 + WINDOW).is_runaway());
        assert!(!Chain::read(&value, (7, 6), 999).is_runaway(), "the clock was set back");
        assert!(value.len() < 1024, "{value}");
    }

    #[test]
    fn what_is_no_chain_says_nothing() {
        for value in ["", "x", "99", "99 1000", "99 1000 exec.7x", "-1 1000 exec.7 1.1", "99 1000 fork.7 1.1"] {
            assert_eq!(Chain::read(value, (7, 6), 1000), Chain { since: 1000, ..Chain::default() }, "{value}");
        }
    }
}
