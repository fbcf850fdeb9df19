//! `install.sh`: installs a released archive without root. Run by several shells, from files and from a server on loopback.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::packages::{LATER, TARGET, VERSION, is_program_of, pack, packing, releases};
use crate::support::http::{Reply, Server};
use crate::support::sandbox::{Sandbox, Text, snapshot};
use crate::support::{eventually, program, skip, user};
use crate::upgrade::Session;

/// A home, and the script for releases at an address.
pub struct Lab {
    pub sandbox: Sandbox,
    pub script: PathBuf,
}

impl Lab {
    /// With the releases in a directory.
    pub fn new(releases: &Path) -> Self {
        Self::at(&format!("file://{}", releases.display()))
    }

    pub fn at(url: &str) -> Self {
        let sandbox = Sandbox::new();
        let script = pack(packing("installer", VERSION).arg(sandbox.root().join("out")).env("RELEASE_URL", url));
        Self { sandbox, script: script[0].clone() }
    }

    /// With the checksums of this version in the script.
    pub fn pinned(url: &str) -> Self {
        let lab = Self::at(url);
        let mut command = packing("installer", VERSION);
        command.arg("--sums").arg(releases().join(format!("v{VERSION}/SHA256SUMS")));
        pack(command.arg(lab.script.parent().unwrap()).env("RELEASE_URL", url));
        lab
    }

    /// Releases of the test's own, which it may damage.
    pub fn copied() -> (Self, PathBuf) {
        let directory = tempfile::Builder::new().prefix("releases-").tempdir().unwrap().keep();
        let copied = Command::new("cp").arg("-R").arg(releases()).arg(&directory).status().unwrap();
        assert!(copied.success());
        let lab = Self::new(&directory.join("releases"));
        std::fs::rename(&directory, lab.sandbox.root().join("moved")).unwrap();
        let at = lab.sandbox.root().join("moved/releases");
        let text = std::fs::read_to_string(&lab.script).unwrap();
        let from = directory.join("releases").display().to_string();
        std::fs::write(&lab.script, text.replace(&from, &at.display().to_string())).unwrap();
        (lab, at)
    }

    pub fn run(&self, shell: &[&str], args: &[&str]) -> Output {
        self.command(shell, args).output().unwrap()
    }

    pub fn command(&self, shell: &[&str], args: &[&str]) -> Command {
        let mut command = self.sandbox.command(shell[0]);
        command.args(&shell[1..]).arg(&self.script).args(args);
        command
    }

    pub fn installed(&self) -> PathBuf {
        self.sandbox.home().join(".local/bin/act-claude")
    }

    /// Asserts that the script fails with a message, and changes nothing in the home.
    pub fn refuses(&self, command: &mut Command, expected: &str) {
        let before = snapshot(&self.sandbox.home());
        let output = command.output().unwrap();
        assert_eq!((output.code(), output.out()), (1, String::new()), "{expected}: {}", output.err());
        let last = output.err().lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with("install.sh: ") && last.contains(expected), "{expected}: {}", output.err());
        assert!(snapshot(&self.sandbox.home()) == before, "{expected}: the home has changed");
    }
}

/// The shells that are here. busybox's uses busybox's own programs where its PATH has nothing else.
pub fn shells() -> Vec<Vec<&'static str>> {
    let shells = [vec!["dash"], vec!["bash"], vec!["bash", "--posix"], vec!["busybox", "sh"], vec!["zsh"], vec!["sh"]];
    shells.into_iter().filter(|shell| program(shell[0]).is_some()).collect()
}

/// The archive of this version.
pub fn archive(releases: &Path) -> PathBuf {
    releases.join(format!("v{VERSION}/act-claude-{VERSION}-{TARGET}.tar.gz"))
}

#[test]
fn installs_upgrades_and_removes() {
    if program("bash").is_none() {
        return;
    }
    for shell in shells() {
        let lab = Lab::new(releases());
        let output = lab.run(&shell, &[]);
        assert_eq!((output.code(), output.err()), (0, String::new()), "{shell:?}");
        let command = lab.installed();
        let said = output.out();
        assert!(said.starts_with("Installed: act-claude ") && said.contains(&command.display().to_string()), "{said}");
        let line = format!("export PATH=\"{}:$PATH\"\n", command.parent().unwrap().display());
        assert!(said.contains(&line) && said.ends_with("Next: act-claude act setup\n"), "{said}");
        assert!(is_program_of(&command, VERSION));
        assert_eq!(std::fs::metadata(&command).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(
            snapshot(&lab.sandbox.home()).len(),
            1,
            "no directories for the man page and completions, so no files"
        );

        // On PATH, with the directories for the other files.
        let mut lab = lab;
        lab.sandbox.path_first(command.parent().unwrap());
        let data = lab.sandbox.home().join(".local/share");
        let extras =
            ["man/man1/act-claude.1", "bash-completion/completions/act-claude", "zsh/site-functions/_act-claude"];
        for extra in extras {
            std::fs::create_dir_all(data.join(extra).parent().unwrap()).unwrap();
        }
        let output = lab.run(&shell, &["--version", LATER]);
        assert_eq!((output.code(), output.err()), (0, String::new()), "{shell:?}");
        assert!(!output.out().contains("PATH"), "{}", output.out());
        assert!(is_program_of(&command, LATER));
        let mut expected: Vec<PathBuf> = extras.iter().map(|extra| data.join(extra)).collect();
        expected.push(command);
        expected.sort();
        assert_eq!(snapshot(&lab.sandbox.home()).into_keys().collect::<Vec<_>>(), expected);
        assert!(std::fs::read_to_string(data.join(extras[2])).unwrap().starts_with("#compdef act-claude\n"));

        let output = lab.run(&shell, &["--uninstall"]);
        assert_eq!((output.code(), output.err()), (0, String::new()), "{shell:?}");
        assert_eq!(snapshot(&lab.sandbox.home()), BTreeMap::new());
        assert_eq!(lab.run(&shell, &["--uninstall"]).code(), 0, "there is nothing more to remove");
    }
}

/// The line that `act uninstall` prints removes all that was installed.
#[test]
fn act_uninstall_names_its_files() {
    if program("bash").is_none() {
        return;
    }
    let lab = Lab::new(releases());
    lab.sandbox.directory(".local/share/man/man1");
    assert_eq!(lab.run(&["sh"], &[]).code(), 0);
    assert_eq!(snapshot(&lab.sandbox.home()).len(), 2);
    let said = lab.sandbox.command(lab.installed()).args(["act", "uninstall", "--yes"]).output().unwrap().out();
    let line = said.lines().find_map(|line| line.trim().strip_prefix("the program: ")).expect("its line");
    assert_eq!(lab.sandbox.command("sh").args(["-c", line]).output().unwrap().code(), 0, "{line}");
    assert_eq!(snapshot(&lab.sandbox.home()), BTreeMap::new());
}

/// Serves a directory.
fn serve(directory: &Path) -> Server {
    let directory = directory.to_owned();
    Server::start(Arc::new(move |request| match std::fs::read(directory.join(request.path.trim_start_matches('/'))) {
        Ok(body) => Reply::Full { status: 200, headers: Vec::new(), body },
        Err(_) => Reply::json(404, "{}"),
    }))
}

/// Interrupted while the archive arrives: nothing is installed, and nothing is left behind.
#[test]
fn an_interrupted_download_leaves_nothing() {
    if program("bash").is_none() || program("curl").is_none() {
        return;
    }
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let asked = Arc::new(AtomicBool::new(false));
        let ask = asked.clone();
        let server = Server::start(Arc::new(move |request| match request.path.ends_with("SHA256SUMS") {
            true => Reply::with(200, "text/plain", ""),
            false => {
                ask.store(true, Ordering::SeqCst);
                Reply::Hang
            }
        }));
        let mut lab = Lab::at(&format!("http://{}", server.address()));
        let temporary = lab.sandbox.directory("temporary");
        lab.sandbox.set("TMPDIR", temporary.as_os_str());
        let mut command = lab.command(&["sh"], &[]);
        let mut child = command.process_group(0).stderr(Stdio::null()).spawn().unwrap();
        eventually("the request", || asked.load(Ordering::SeqCst).then_some(()));
        killpg(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
        assert!(snapshot(&lab.sandbox.home()).is_empty());
    }
}

/// A directory with links to these programs only, for PATH.
fn toolbox(lab: &Lab, name: &str, tools: &[&str]) -> Option<PathBuf> {
    let directory = lab.sandbox.directory(name);
    for tool in tools {
        symlink(program(tool)?, directory.join(tool)).unwrap();
    }
    Some(directory)
}

/// What the script needs, but for a program that fetches, and one for checksums.
const TOOLS: [&str; 11] = ["sh", "id", "uname", "mkdir", "mktemp", "tar", "gzip", "chmod", "mv", "rm", "cat"];

#[test]
fn with_each_program_that_fetches_and_each_for_checksums() {
    if program("bash").is_none() {
        return;
    }
    let server = serve(releases());
    for (tools, expected) in [
        (&["curl", "sha256sum"][..], None),
        (&["wget", "sha256sum"], Some("needs curl: for version")),
        (&["curl", "openssl"], None),
        (&["curl", "shasum", "perl"], None),
        (&["sha256sum"], Some("needs curl or wget")),
        (&["curl"], Some("needs sha256sum, shasum or openssl")),
    ] {
        let lab = Lab::at(&format!("http://{}", server.address()));
        let Some(path) = toolbox(&lab, "tools", &[&TOOLS[..], tools].concat()) else { continue };
        let mut command = lab.command(&["sh"], &[]);
        command.env("PATH", &path);
        match expected {
            None => {
                let output = command.output().unwrap();
                assert_eq!((output.code(), output.err()), (0, String::new()), "{tools:?}");
                assert!(is_program_of(&lab.installed(), VERSION));
            }
            Some(expected) => {
                let home = lab.sandbox.home();
                let output = command.output().unwrap();
                assert_eq!(output.code(), 1, "{tools:?}");
                assert!(output.err().contains(expected), "{tools:?}: {}", output.err());
                assert!(!home.join(".local/bin/act-claude").exists());
            }
        }
    }
}

#[test]
fn with_busybox_alone() {
    let Some(busybox) = program("busybox") else { return };
    if program("bash").is_none() {
        return;
    }
    let server = serve(releases());
    let lab = Lab::pinned(&format!("http://{}", server.address()));
    let tools = lab.sandbox.directory("busybox");
    assert!(Command::new(&busybox).args(["--install", "-s"]).arg(&tools).status().unwrap().success());
    let output = lab.command(&["sh"], &[]).env("PATH", &tools).output().unwrap();
    assert_eq!((output.code(), output.err()), (0, String::new()), "{}", output.out());
    assert!(is_program_of(&lab.installed(), VERSION));
}

#[test]
fn other_places() {
    if program("bash").is_none() {
        return;
    }
    let lab = Lab::new(releases());
    let target = lab.sandbox.home().join("my programs");
    // By option, relative; by variable; through a link; for others with a strict umask.
    for (args, variable) in [(&["--dir", "my programs"][..], ""), (&[], target.to_str().unwrap())] {
        let mut command = lab.command(&["sh"], args);
        let output = command.env("ACT_CLAUDE_INSTALL_DIR", variable).env_remove("XDG_DATA_HOME").output().unwrap();
        assert_eq!((output.code(), output.err()), (0, String::new()));
        assert!(is_program_of(&target.join("act-claude"), VERSION));
        std::fs::remove_file(target.join("act-claude")).unwrap();
    }
    let link = lab.sandbox.home().join("link");
    symlink(&target, &link).unwrap();
    let output = lab.run(&["sh"], &["--dir", link.to_str().unwrap()]);
    assert_eq!(output.code(), 0, "{}", output.err());
    assert!(is_program_of(&target.join("act-claude"), VERSION));
    let script = lab.script.display().to_string();
    let line = format!("umask 077; sh '{script}' --dir \"$HOME/strict\"");
    assert_eq!(lab.sandbox.command("sh").args(["-c", &line]).output().unwrap().code(), 0);
    let mode = std::fs::metadata(lab.sandbox.home().join("strict/act-claude")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);

    // A directory in the program's place, a file in the directory's place.
    lab.sandbox.directory("taken/act-claude");
    lab.refuses(&mut lab.command(&["sh"], &["--dir", "taken"]), "taken/act-claude is a directory");
    lab.sandbox.write("file", "x");
    lab.refuses(&mut lab.command(&["sh"], &["--dir", "file/bin"]), "file/bin can't be written to");
    // A file in the program's place is replaced, a link too, and not what it leads to.
    let other = lab.sandbox.write("other program", "x");
    let linked = lab.sandbox.directory("linked");
    symlink(&other, linked.join("act-claude")).unwrap();
    assert_eq!(lab.run(&["sh"], &["--dir", "linked"]).code(), 0);
    assert!(is_program_of(&linked.join("act-claude"), VERSION) && std::fs::read(&other).unwrap() == b"x");
}

#[test]
fn a_directory_that_can_t_be_written_to() {
    if !nix::unistd::geteuid().is_root() {
        return skip("an ordinary user beside this one needs root");
    }
    if program("bash").is_none() {
        return;
    }
    let lab = Lab::new(releases());
    let locked = lab.sandbox.directory("locked");
    std::fs::set_permissions(lab.sandbox.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    let args = ["--dir", locked.to_str().unwrap()];
    lab.refuses(lab.command(&["sh"], &args).uid(user::USER).gid(user::USER), "locked can't be written to: choose");
    let below = locked.join("bin");
    let args = ["--dir", below.to_str().unwrap()];
    lab.refuses(lab.command(&["sh"], &args).uid(user::USER).gid(user::USER), "locked/bin can't be written to: choose");
}

#[test]
fn upgrades_beside_a_session() {
    if program("bash").is_none() {
        return;
    }
    let mut lab = Lab::new(releases());
    assert_eq!(lab.run(&["sh"], &[]).code(), 0);
    let command = lab.installed();
    let session = Session::start(&mut lab.sandbox, &command);
    let output = lab.run(&["sh"], &["--version", LATER]);
    assert_eq!(output.code(), 0, "{}", output.err());
    assert!(is_program_of(&command, LATER));
    session.ends_well(&lab.sandbox);
    let session = Session::start(&mut lab.sandbox, &command);
    let output = lab.run(&["sh"], &["--uninstall"]);
    assert_eq!(output.code(), 0, "{}", output.err());
    assert!(output.out().contains(&format!("Left: {}", lab.sandbox.state().display())), "{}", output.out());
    session.ends_well(&lab.sandbox);
}

/// Where its download is cut off, nothing of it is executed: `curl … | sh`.
#[test]
fn a_part_of_the_script_does_nothing() {
    if program("bash").is_none() {
        return;
    }
    let lab = Lab::new(releases());
    let text = std::fs::read(&lab.script).unwrap();
    let text = text.trim_ascii_end();
    let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let cuts: Vec<usize> = ends.chain(text.len() - 60..text.len()).collect();
    let part = lab.sandbox.root().join("part");
    let before = snapshot(&lab.sandbox.home());
    for cut in cuts {
        std::fs::write(&part, &text[..cut]).unwrap();
        let output = lab.sandbox.command("sh").stdin(std::fs::File::open(&part).unwrap()).output().unwrap();
        assert_eq!(output.out(), "", "{cut} of {}", text.len());
        assert!(snapshot(&lab.sandbox.home()) == before, "{cut} of {} bytes", text.len());
    }
    // The whole does something.
    let output = lab.sandbox.command("sh").stdin(std::fs::File::open(&lab.script).unwrap()).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    assert!(is_program_of(&lab.installed(), VERSION));
}

#[test]
fn without_an_address_there_is_no_script() {
    if program("bash").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let output = packing("installer", VERSION).arg(sandbox.root().join("out")).output().unwrap();
    assert_eq!((output.code(), output.out()), (0, String::new()));
    assert!(output.err().contains("nothing to do without RELEASE_URL"), "{}", output.err());
    assert!(!sandbox.root().join("out").exists());
    for url in [
        "http://releases.example",
        "ftp://releases.example",
        "https://",
        "https://x/'; rm -rf ~; '",
        "https://a|b",
        "http://127.0.0.1:x@evil.example/r",
        "http://127.0.0.1.evil.example",
        "https://user@host.example",
    ] {
        let mut command = packing("installer", VERSION);
        let output = command.arg(sandbox.root().join("out")).env("RELEASE_URL", url).output().unwrap();
        assert!(output.code() == 64 && output.err().contains("RELEASE_URL"), "{url}: {}", output.err());
        assert!(!sandbox.root().join("out/install.sh").exists());
    }
}
