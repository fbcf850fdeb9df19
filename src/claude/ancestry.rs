//! Who started us: a loop of scripts has to be recognised (promise A21), and the status line's session be found.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::claude::chain::Chain;
use crate::claude::ourselves::{Identity, identity, is_ourselves};

/// A process on the way up.
struct Ancestor {
    parent: i32,
    executable: std::path::PathBuf,
    arguments: Vec<u8>,
}

/// More launches of act-claude than this on top of each other are no nesting of sessions any more.
const DEEPEST: usize = 16;
/// Nor are more than this with nothing but the script in between: a claude that is a script itself starts `claude mcp serve`
/// without a shell.
const DEEPEST_ALONE: usize = 2;

/// The processes above this one, the nearest first.
pub fn pids() -> Vec<i32> {
    let parent = |pid: i32| look(pid).map(|ancestor| ancestor.parent).filter(|parent| *parent > 0);
    std::iter::successors(Some(nix::unistd::getppid().as_raw()), |pid| parent(*pid)).collect()
}

/// Whether act-claude starts `program`, and that starts us, again and again. A session nested in claude's own Bash tool has
/// claude and a shell in between.
pub fn loops_through(program: &Path, chain: &Chain) -> bool {
    let Some(file) = identity(program) else { return false };
    let mut pid = nix::unistd::getppid().as_raw();
    let mut is_seen = false;
    let mut only_wrappers = true;
    let mut launches = 0;
    while let Some(ancestor) = look(pid) {
        if is_ourselves(&ancestor.executable) {
            if is_command(&ancestor.arguments) {
                // `act demo` starts a launch of its own: no loop.
                return false;
            }
            launches += 1;
            let most = if only_wrappers { DEEPEST_ALONE } else { DEEPEST };
            // A wrapper that makes way by exec, with an environment of its own, is never seen.
            if (is_seen && launches > most) || launches > 2 * DEEPEST {
                return true;
            }
        } else {
            let runs = ancestor.runs();
            is_seen |= runs.contains(&file) || ancestor.names(program);
            only_wrappers &= ancestor.names(program) || runs.iter().any(|run| *run == file || chain.has_started(*run));
        }
        if ancestor.parent <= 1 {
            return false;
        }
        pid = ancestor.parent;
    }
    false
}

impl Ancestor {
    /// The files it may have been started as: its program, and of a script the file behind that.
    fn runs(&self) -> Vec<Identity> {
        let words = self.arguments.split(|&byte| byte == 0).take(3).map(|word| Path::new(OsStr::from_bytes(word)));
        let files = words.filter(|word| word.is_absolute()).chain([&*self.executable]);
        files.filter_map(identity).collect()
    }

    /// Whether its arguments hold this path.
    fn names(&self, program: &Path) -> bool {
        let name = program.as_os_str().as_encoded_bytes();
        self.arguments.windows(name.len()).any(|window| window == name)
    }
}

/// Whether these are the arguments of a command under `act`, which stands in nobody's place.
fn is_command(arguments: &[u8]) -> bool {
    let mut words = arguments.split(|&byte| byte == 0 || (cfg!(not(target_os = "linux")) && byte == b' '));
    words.nth(1) == Some(b"act")
}

#[cfg(target_os = "linux")]
fn look(pid: i32) -> Option<Ancestor> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may itself hold anything: count from its end.
    let parent = String::from_utf8_lossy(&stat).rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Ancestor {
        parent,
        executable: format!("/proc/{pid}/exe").into(),
        arguments: std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default(),
    })
}

/// Without /proc, `ps` tells the same.
#[cfg(not(target_os = "linux"))]
fn look(pid: i32) -> Option<Ancestor> {
    let field = |name: &str| {
        let output = std::process::Command::new("/bin/ps").args(["-o", name, "-p", &pid.to_string()]).output().ok()?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    Some(Ancestor {
        parent: field("ppid=")?.parse().ok()?,
        executable: field("comm=")?.into(),
        arguments: field("args=")?.into_bytes(),
    })
}
