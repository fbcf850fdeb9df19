//! Which claude processes of this home run, and under what they report: for `act doctor`, and for `--verify`, which
//! names sessions started under another configuration.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::variables::{ENDPOINT, ORIGINALS};
use crate::claude::arguments::{self, Call};
use crate::system::environment::Environment;

/// What a claude process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Someone works with it, in a terminal, an editor or the background.
    Session,
    /// It starts background sessions (`claude daemon run`), with the environment of whoever needed it first.
    Daemon,
}

/// Under what a process reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// A relay of act-claude's.
    Relay,
    /// The alias of this id, by a header in its environment: direct delivery, or the guide's recipe.
    Alias(String),
    /// Nothing that its environment shows.
    Nothing,
}

/// A running claude.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// What it is for.
    pub role: Role,
    /// Where it works.
    pub directory: PathBuf,
    /// The environment it was started with.
    pub environment: Environment,
}

impl Process {
    /// Under what it reports, as far as its environment decides.
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

/// All that run for the home of `environment`; `claude` is the one act-claude would start.
pub fn running(claude: Option<&Path>, environment: &Environment) -> Vec<Process> {
    let claude = claude.and_then(|claude| claude.canonicalize().ok());
    let home = environment.get("HOME").map(OsStr::to_owned);
    let own = std::process::id().cast_signed();
    let found = system::all().into_iter().filter(|seen| seen.pid != own && is_claude(seen, claude.as_deref()));
    let processes = found.filter_map(|seen| {
        let process = Process {
            pid: seen.pid,
            role: role(seen.arguments.get(1..).unwrap_or_default())?,
            environment: system::environment(seen.pid)?,
            directory: system::directory(seen.pid)?,
        };
        (process.environment.get("HOME").map(OsStr::to_owned) == home).then_some(process)
    });
    processes.collect()
}

/// A process, as the system shows it.
struct Seen {
    pid: i32,
    executable: PathBuf,
    arguments: Vec<OsString>,
}

/// The name of the program, or the native installer's place for it (`…/claude/versions/2.1.330`); a client that runs
/// on node gives itself the name.
fn is_claude(seen: &Seen, claude: Option<&Path>) -> bool {
    let is_named = |path: &Path| path.file_name() == Some(OsStr::new("claude"));
    let is_installed = || seen.executable.parent().is_some_and(|place| place.ends_with("claude/versions"));
    let runs = is_named(&seen.executable) || claude == Some(&seen.executable) || is_installed();
    runs || seen.arguments.first().is_some_and(|name| name == "claude")
}

/// What its arguments make of it; none for what is neither a session nor the daemon, or gone in a moment.
fn role(arguments: &[OsString]) -> Option<Role> {
    let word = |index: usize| arguments.get(index).and_then(|argument| argument.to_str()).unwrap_or_default();
    match (word(0), word(1)) {
        ("daemon", "run") => Some(Role::Daemon),
        ("--bg-pty-host" | "--bg-spare", _) => None,
        _ if arguments::is_background(arguments) => None,
        _ => (arguments::call(arguments) == Call::Session).then_some(Role::Session),
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::ffi::{OsStr, OsString};
    use std::fs;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::PathBuf;

    use super::Seen;
    use crate::system::environment::Environment;

    /// Every process whose program may be looked at: the user's own.
    pub fn all() -> Vec<Seen> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let executable = fs::read_link(entry.path().join("exe")).ok()?;
                let arguments = split(&fs::read(entry.path().join("cmdline")).ok()?).map(OsString::from_vec).collect();
                Some(Seen { pid, executable: undeleted(executable), arguments })
            })
            .collect()
    }

    /// An upgrade removed the file; it is the same program all the same.
    fn undeleted(executable: PathBuf) -> PathBuf {
        let path = executable.as_os_str().as_bytes().strip_suffix(b" (deleted)");
        path.map(|path| OsStr::from_bytes(path).into()).unwrap_or(executable)
    }

    pub fn environment(pid: i32) -> Option<Environment> {
        let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
        Some(Environment::from_entries(split(&bytes).collect()))
    }

    pub fn directory(pid: i32) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{pid}/cwd")).ok()
    }

    fn split(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
        bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec)
    }
}

/// `ps` and `lsof` tell the same, but for values with spaces in them.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::ffi::OsString;
    use std::path::PathBuf;
    use std::process::Command;

    use super::Seen;
    use crate::system::environment::Environment;

    pub fn all() -> Vec<Seen> {
        let text = output("/bin/ps", &["-xww", "-o", "pid=,command="]);
        let lines = text.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let pid = words.next()?.parse().ok()?;
            let arguments: Vec<OsString> = words.map(OsString::from).collect();
            Some(Seen { pid, executable: PathBuf::from(arguments.first()?), arguments })
        });
        lines.collect()
    }

    pub fn environment(pid: i32) -> Option<Environment> {
        let text = output("/bin/ps", &["-wwE", "-o", "command=", "-p", &pid.to_string()]);
        let entries = text.split_ascii_whitespace().filter(|word| word.contains('='));
        Some(Environment::from_entries(entries.map(|entry| entry.as_bytes().to_vec()).collect()))
    }

    pub fn directory(pid: i32) -> Option<PathBuf> {
        let text = output("/usr/sbin/lsof", &["-a", "-p", &pid.to_string(), "-d", "cwd", "-Fn"]);
        text.lines().find_map(|line| line.strip_prefix('n')).map(PathBuf::from)
    }

    fn output(program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
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
        let seen = |executable: &str, name: &str| Seen {
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
        // Claude's own tools keep the one, not the other.
        assert_eq!(under(&[(ORIGINALS, "{}")]), Under::Nothing);
        let recipe = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic x,X-Alias-Id=a1,Origin=https://claude.ai");
        assert_eq!(under(&[recipe]), Under::Alias("a1".to_owned()));
    }
}
