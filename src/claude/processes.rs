//! Finds the running claude processes of this home directory, and the alias or relay each reports under: for `act doctor`, and
//! for `--verify`, which names sessions started under another configuration.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::lineage;
use super::variables::{ENDPOINT, ORIGINALS};
use crate::claude::arguments::{self, Call};
use crate::system::environment::Environment;
use crate::system::process;

/// The purpose of a claude process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A session, in a terminal, an editor or the background.
    Session,
    /// It starts background sessions (`claude daemon run`), with the environment of the process that needed it first.
    Daemon,
}

/// The relay or the alias that a process reports under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// A relay of act-claude's.
    Relay,
    /// The alias of this id, by a header in its environment: direct delivery, or the guide's recipe.
    Alias(String),
    /// Neither, as far as its environment shows.
    Nothing,
}

/// A running claude.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// Its purpose.
    pub role: Role,
    /// Its working directory.
    pub directory: PathBuf,
    /// The environment it was started with.
    pub environment: Environment,
}

impl Process {
    /// The relay or the alias that it reports under, as far as its environment decides.
    pub fn under(&self) -> Under {
        let text = |name: &str| self.environment.text(name);
        let is_relay = |endpoint: &str| endpoint.starts_with("http://127.0.0.1:");
        if text(ORIGINALS).is_some() && text(ENDPOINT).is_some_and(is_relay) {
            return Under::Relay;
        }
        let headers = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"];
        let alias = headers.iter().filter_map(|name| text(name)).flat_map(|list| list.split(',')).find_map(|header| {
            let (name, value) = header.split_once('=')?;
            name.trim().eq_ignore_ascii_case("x-alias-id").then(|| value.trim().to_owned())
        });
        alias.map_or(Under::Nothing, Under::Alias)
    }
}

/// All claude processes that run for the home directory of `environment`; `claude` is the executable that act-claude would start.
pub fn running(claude: Option<&Path>, environment: &Environment) -> Vec<Process> {
    let claude = claude.and_then(|claude| claude.canonicalize().ok());
    let home = environment.get("HOME").map(OsStr::to_owned);
    let own = std::process::id().cast_signed();
    let found = seen().into_iter().filter(|seen| seen.pid != own && is_claude(seen, claude.as_deref()));
    let processes = found.filter_map(|seen| {
        let process = Process {
            pid: seen.pid,
            role: role(seen.arguments.get(1..).unwrap_or_default())?,
            environment: process::environment(seen.pid)?,
            directory: process::directory(seen.pid)?,
        };
        (process.environment.get("HOME").map(OsStr::to_owned) == home).then_some(process)
    });
    processes.collect()
}

/// A process, as the system shows it.
struct Candidate {
    pid: i32,
    executable: PathBuf,
    arguments: Vec<OsString>,
}

/// Every process whose program this user may see: the user's own ones.
fn seen() -> Vec<Candidate> {
    let look = |pid: i32| {
        let executable = process::look(pid)?.path()?.to_path_buf();
        Some(Candidate {
            pid,
            executable,
            arguments: process::arguments(pid).into_iter().map(OsString::from_vec).collect(),
        })
    };
    process::all().into_iter().filter_map(look).collect()
}

/// Recognises a claude by its program, or by the name of its process, which a client that runs on node sets itself.
fn is_claude(seen: &Candidate, claude: Option<&Path>) -> bool {
    lineage::is_claude(&seen.executable)
        || claude == Some(&seen.executable)
        || seen.arguments.first().is_some_and(|name| name == "claude")
}

/// The purpose that its arguments show; `None` for one that is neither a session nor the daemon, or that ends soon.
fn role(arguments: &[OsString]) -> Option<Role> {
    let word = |index: usize| arguments.get(index).and_then(|argument| argument.to_str()).unwrap_or_default();
    match (word(0), word(1)) {
        ("daemon", "run") => Some(Role::Daemon),
        ("--bg-pty-host" | "--bg-spare", _) => None,
        _ if arguments::is_background(arguments) => None,
        _ => (arguments::call(arguments) == Call::Session).then_some(Role::Session),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_is_for() {
        for (line, expected) in [
            ("", Some(Role::Session)),
            ("-p hi", Some(Role::Session)),
            ("--session-id 5", Some(Role::Session)),
            ("daemon run", Some(Role::Daemon)),
            ("daemon status", None),
            ("--bg-spare x", None),
            ("--bg-pty-host", None),
            ("--bg prompt", None),
            ("mcp list", None),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(role(&arguments), expected, "{line}");
        }
    }

    #[test]
    fn what_is_a_claude() {
        let seen = |executable: &str, name: &str| Candidate {
            pid: 1,
            executable: executable.into(),
            arguments: vec![name.into(), "-p".into()],
        };
        let claude = Some(Path::new("/opt/cc/cli"));
        for (executable, name, expected) in [
            ("/usr/bin/claude", "claude", true),
            ("/home/x/.local/share/claude/versions/2.1.330", "claude", true),
            ("/opt/cc/cli", "/opt/cc/cli", true),
            ("/usr/bin/node", "claude", true),
            ("/usr/bin/vim", "vim", false),
            ("/usr/bin/act-claude", "act-claude", false),
        ] {
            assert_eq!(is_claude(&seen(executable, name), claude), expected, "{executable}");
        }
    }

    #[test]
    fn under_what_it_reports() {
        let under = |pairs: &[(&str, &str)]| {
            let environment = pairs.iter().copied().collect();
            Process { pid: 1, role: Role::Session, directory: "/".into(), environment }.under()
        };
        assert_eq!(under(&[(ORIGINALS, "{}"), (ENDPOINT, "http://127.0.0.1:5/s/v1/metrics")]), Under::Relay);
        // Claude's own tools keep the first variable, and lack the second.
        assert_eq!(under(&[(ORIGINALS, "{}")]), Under::Nothing);
        let recipe = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic x,X-Alias-Id=a1,Origin=https://claude.ai");
        assert_eq!(under(&[recipe]), Under::Alias("a1".to_owned()));
    }
}
