//! `--verify`: claude's debug log, followed while claude runs, and what it adds to the verdict.
//!
//! A thread of the supervisor follows the log. It starts after claude, so that the process has one thread when it forks; the
//! relay does not know of it. Nothing is written while claude has the terminal.

mod evidence;
mod follow;
pub mod others;
mod verdict;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

pub use evidence::Evidence;
pub use follow::Follow;
pub use verdict::{Basis, extend, of_log};

use crate::claude::debug_log::{self, LogFile};
use crate::claude::overlay;
use crate::claude::version::Version;
use crate::state::{self, prune::Bounds};
use crate::system::environment::Environment;
use crate::system::file;

/// The pause between two reads of the log.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Logs are kept this long, and at most this many bytes of them, the newest.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The directory of our own logs.
pub fn logs(state: &Path) -> PathBuf {
    state.join("logs")
}

/// The log to follow, found before claude starts.
#[derive(Debug)]
pub struct Prepared {
    /// Claude's arguments.
    pub args: Vec<OsString>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// There is none, where it is known for this reason.
    None(Option<String>),
    File {
        path: PathBuf,
        from: u64,
    },
    /// The first file of a directory that grows.
    In {
        directory: PathBuf,
        before: BTreeMap<PathBuf, u64>,
    },
}

impl Prepared {
    /// A log that the user asked for is followed. Otherwise claude gets a log of its own, where its arguments may be added to
    /// and this `client` is known to take one.
    pub fn new(args: &[OsString], directory: &Path, environment: &Environment, client: Option<Version>) -> Self {
        let unchanged = |source| Self { args: args.to_vec(), source };
        match debug_log::place(args, directory, environment) {
            LogFile::File(path) => unchanged(Source::of(path)),
            LogFile::In(directory) => unchanged(Source::In { before: lengths(&directory).collect(), directory }),
            LogFile::Off { wanted } if overlay::is_allowed(args) => {
                if let Some(why) = debug_log::refusal(client) {
                    return unchanged(Source::None(Some(why)));
                }
                let own = match wanted {
                    Some(wanted) if wanted.is_dir() => Some(wanted.join(format!("{}.txt", name()))),
                    Some(wanted) => Some(wanted),
                    None => state::directory(environment).and_then(|state| own_log(&state).ok()),
                };
                let Some(own) = own else { return unchanged(Source::None(None)) };
                let added = [OsString::from("--debug-file"), own.clone().into()];
                Self { args: added.into_iter().chain(args.iter().cloned()).collect(), source: Source::of(own) }
            }
            LogFile::Off { .. } | LogFile::Nowhere => unchanged(Source::None(None)),
        }
    }

    /// Starts following. Without a thread there is no evidence, and nothing else changes.
    pub fn follow(self) -> Following {
        let (stop, stopped) = channel::<()>();
        let work = move || {
            // Signals are for the supervisor's own thread.
            let _ = nix::sys::signal::SigSet::all().thread_block();
            let mut source = self.source;
            let mut follow = None;
            let mut evidence = Evidence { no_log: source.refusal(), ..Evidence::default() };
            loop {
                let last = !matches!(stopped.recv_timeout(LOOK_AGAIN), Err(RecvTimeoutError::Timeout));
                follow = follow.or_else(|| source.found());
                if let Some(follow) = &mut follow {
                    evidence.path = Some(follow.path().to_path_buf());
                    let _ = follow.read(&mut |line| evidence.take(line));
                    if last {
                        follow.finish(&mut |line| evidence.take(line));
                    }
                }
                if last {
                    return evidence;
                }
            }
        };
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(work);
        Following { stop, thread: thread.ok() }
    }
}

impl Source {
    /// A file, which need not exist yet. What is read from a pipe or a terminal would be missing where it was meant for, and nobody may
    /// ever write into it.
    fn of(path: PathBuf) -> Self {
        match fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() => Self::None(Some(format!("{} is not a file", path.display()))),
            metadata => Self::File { from: metadata.map_or(0, |metadata| metadata.len()), path },
        }
    }

    fn refusal(&self) -> Option<String> {
        if let Self::None(why) = self { why.clone() } else { None }
    }

    fn found(&mut self) -> Option<Follow> {
        let (path, from) = match self {
            Self::None(_) => return None,
            Self::File { path, from } => (path.clone(), *from),
            Self::In { directory, before } => {
                let grown =
                    lengths(directory).filter(|(path, length)| before.get(path).copied().unwrap_or(0) < *length);
                let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
                let (path, _) = grown.min_by_key(|(path, _)| written(path))?;
                let from = before.get(&path).copied().unwrap_or(0);
                (path, from)
            }
        };
        Some(Follow::new(&path, from, debug_log::kept()))
    }
}

fn lengths(directory: &Path) -> impl Iterator<Item = (PathBuf, u64)> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
}

/// A log that is followed.
#[derive(Debug)]
pub struct Following {
    stop: Sender<()>,
    thread: Option<JoinHandle<Evidence>>,
}

impl Following {
    /// Reads the rest, once claude has ended.
    pub fn finish(self) -> Evidence {
        drop(self.stop);
        self.thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

/// A new log of our own: 0600, because claude would make it readable by all.
fn own_log(state: &Path) -> std::io::Result<PathBuf> {
    state::prepare(state)?;
    let directory = logs(state);
    state::make_private(&directory)?;
    prune(&directory, SystemTime::now());
    let path = directory.join(format!("{}.txt", name()));
    file::create_private(&path)?;
    Ok(path)
}

/// A name that sorts by time, and that no other process uses.
fn name() -> String {
    format!("{}-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), std::process::id())
}

fn prune(directory: &Path, now: SystemTime) {
    let bounds = Bounds { bytes: MOST_BYTES, ..Bounds::of_age(KEPT) };
    state::prune::prune(lengths(directory).map(|(path, _)| path), bounds, now);
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn environment(home: &Path) -> Environment {
        [("HOME", home.to_str().unwrap())].into_iter().collect()
    }

    fn args(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_log_of_its_own_only_where_the_user_has_none() {
        let home = tempfile::tempdir().unwrap();
        let environment = environment(home.path());
        let client = Some(Version::new(2, 1, 330));
        let prepared = Prepared::new(&args(&["-p", "hi"]), home.path(), &environment, client);
        assert_eq!(
            (prepared.args[0].to_str(), prepared.args[2..].to_vec()),
            (Some("--debug-file"), args(&["-p", "hi"]))
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&prepared.args[1]).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        for line in [&["mcp", "list"][..], &["--debug", "-p", "x"], &["--debug-file", "f"], &["--bg", "x"]] {
            let prepared = Prepared::new(&args(line), home.path(), &environment, client);
            assert_eq!(prepared.args, args(line));
        }
        for client in [None, Some(Version::new(2, 0, 10)), Some(Version::new(2, 1, 19))] {
            let prepared = Prepared::new(&args(&["-p", "hi"]), home.path(), &environment, client);
            assert_eq!(prepared.args, args(&["-p", "hi"]), "{client:?}");
            assert!(prepared.follow().finish().no_log.is_some(), "{client:?}");
        }
    }

    #[test]
    fn the_sessions_own_file_among_others_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let debug = home.path().join(".claude/debug");
        fs::create_dir_all(&debug).unwrap();
        fs::write(debug.join("old.txt"), "old metric\n").unwrap();
        let prepared = Prepared::new(&args(&["--debug"]), home.path(), &environment(home.path()), None);
        fs::write(debug.join("new.txt"), "[3P telemetry] First metrics export: SUCCESS\n").unwrap();
        let evidence = prepared.follow().finish();
        assert_eq!((evidence.path, evidence.lines), (Some(debug.join("new.txt")), 1));
    }

    #[test]
    fn what_stood_there_before_is_no_evidence() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("mine.txt");
        fs::write(&log, "[3P telemetry] First metrics export: SUCCESS\n").unwrap();
        let args = args(&["--debug-file", "mine.txt", "-p", "x"]);
        let prepared = Prepared::new(&args, home.path(), &environment(home.path()), None);
        let mut file = File::options().append(true).open(&log).unwrap();
        // Without a line break, because claude was killed.
        std::io::Write::write_all(&mut file, b"[3P telemetry] First metrics export: FAILED (Bad Request)").unwrap();
        let evidence = prepared.follow().finish();
        assert_eq!((evidence.lines, evidence.failure()), (1, Some("Bad Request")));
    }

    #[test]
    fn the_newest_logs_stay_as_far_as_there_is_room() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir(logs(state.path())).unwrap();
        for (name, length) in [("0.txt", 1), ("1.txt", MOST_BYTES)] {
            File::create(logs(state.path()).join(name)).unwrap().set_len(length).unwrap();
        }
        let left = || lengths(&logs(state.path())).count();
        prune(&logs(state.path()), SystemTime::now());
        assert_eq!((left(), logs(state.path()).join("1.txt").exists()), (1, true));
        // Each new log removes old ones.
        File::create(logs(state.path()).join("0.txt")).unwrap();
        File::options().append(true).open(logs(state.path()).join("1.txt")).unwrap().set_len(MOST_BYTES + 1).unwrap();
        own_log(state.path()).unwrap();
        assert_eq!(left(), 1);
    }

    #[test]
    fn old_logs_go() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.txt"), "x").unwrap();
        prune(directory.path(), SystemTime::now());
        assert_eq!(lengths(directory.path()).count(), 1);
        prune(directory.path(), SystemTime::now() + KEPT * 2);
        assert_eq!(lengths(directory.path()).count(), 0);
    }
}
