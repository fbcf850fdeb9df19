//! The Debian package is built, installed below a directory of its own, used and removed. Afterwards the files are the
//! same as before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sandbox::{Sandbox, Text};
use crate::support::{act_claude, program};

/// A root directory for the package, and dpkg working on it.
struct System {
    root: PathBuf,
}

impl System {
    fn new(root: PathBuf) -> Self {
        for directory in ["var/lib/dpkg/updates", "var/lib/dpkg/info", "var/log"] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["status", "available"] {
            std::fs::write(root.join("var/lib/dpkg").join(file), "").unwrap();
        }
        Self { root }
    }

    /// Runs dpkg as an ordinary user, without dependency checks.
    fn dpkg(&self, args: &[&str]) -> String {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", self.root.display())).args(["--force-not-root", "--force-depends"]);
        command.arg("--log=/dev/null").args(args).env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
        let output = command.output().unwrap();
        assert_eq!(output.code(), 0, "{args:?}: {}{}", output.out(), output.err());
        output.out()
    }

    /// All files except dpkg's own database.
    fn tree(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.root.clone()];
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(&next).unwrap().flatten() {
                if entry.path() != self.root.join("var/lib/dpkg") {
                    found.insert(entry.path());
                    if entry.file_type().unwrap().is_dir() {
                        open.push(entry.path());
                    }
                }
            }
        }
        found
    }
}

#[test]
fn installs_works_and_is_removed() {
    if program("dpkg-deb").is_none() || program("bash").is_none() {
        return;
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sandbox = Sandbox::new();
    let (man, output) = (crate::support::example("man"), sandbox.root().join("packages"));
    let mut build = Command::new("bash");
    build.arg(top.join("shell/debian")).arg("--binary").arg(act_claude()).arg("--man").arg(man).arg(&output);
    // Fast compression: the unoptimised program is large.
    build.env("DPKG_DEB_COMPRESSOR_TYPE", "gzip").env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
    let built = build.output().unwrap();
    assert_eq!(built.code(), 0, "{}", built.err());
    let package = built.out().trim().to_owned();

    let system = System::new(sandbox.root().join("system"));
    let before = system.tree();
    system.dpkg(&["--install", &package]);
    for file in [
        "usr/bin/act-claude",
        "usr/share/bash-completion/completions/act-claude",
        "usr/share/fish/vendor_completions.d/act-claude.fish",
        "usr/share/zsh/vendor-completions/_act-claude",
        "usr/share/man/man1/act-claude.1.gz",
        "usr/share/doc/act-claude/copyright",
        "usr/share/doc/act-claude/reference.md",
    ] {
        assert!(system.root.join(file).is_file(), "{file}");
    }

    let installed = system.root.join("usr/bin/act-claude");
    let home = crate::support::sandbox::snapshot(&sandbox.home());
    let version = sandbox.command(&installed).args(["act", "--version"]).output().unwrap();
    let expected = concat!("act-claude ", env!("CARGO_PKG_VERSION"));
    assert!(version.out().starts_with(expected), "{}", version.out());
    sandbox.path_first(installed.parent().unwrap());
    let demo = sandbox.command(&installed).args(["act", "demo"]).output().unwrap();
    assert_eq!((demo.code(), demo.err().as_str()), (0, ""), "{}", demo.out());
    for alias in ["billing", "shop"] {
        let delivered = format!("act-claude: {alias}: 1 export delivered");
        assert!(demo.out().contains(&delivered), "{alias}: {}", demo.out());
    }
    let list = sandbox.root().join("system/var/lib/dpkg/info/act-claude.list");
    assert!(list.is_file(), "dpkg knows the package");
    completes(&sandbox, &system.root);
    let gone = sandbox.command(&installed).args(["act", "uninstall", "--yes"]).output().unwrap();
    assert_eq!(gone.code(), 0, "{}", gone.err());
    assert!(gone.out().contains("the program: "), "{}", gone.out());
    assert_eq!(crate::support::sandbox::snapshot(&sandbox.home()), home, "the home is as it was");

    system.dpkg(&["--purge", "act-claude"]);
    assert_eq!(system.tree(), before);
    assert!(!list.exists(), "dpkg has forgotten the package");
}

/// Asserts that the package's completions work without the shell integration.
fn completes(sandbox: &Sandbox, root: &Path) {
    let share = root.join("usr/share");
    if program("bash").is_some() {
        let script = format!(
            ". '{}'; COMP_WORDS=(act-claude act whi) COMP_CWORD=2; _act_claude act-claude whi act; echo \"${{COMPREPLY[*]}}\"; alias",
            share.join("bash-completion/completions/act-claude").display()
        );
        let output = sandbox.command("bash").args(["--norc", "-euc", &script]).output().unwrap();
        assert_eq!((output.out().as_str(), output.err().as_str()), ("which\n", ""));
    }
    if program("fish").is_some() {
        let script = format!(
            "source '{}'; complete -C 'act-claude act whi'; functions -q claude; or echo no alias",
            share.join("fish/vendor_completions.d/act-claude.fish").display()
        );
        let output = sandbox.command("fish").args(["--no-config", "-c", &script]).output().unwrap();
        assert!(output.out().starts_with("which\t") && output.out().ends_with("no alias\n"), "{}", output.out());
    }
    if program("zsh").is_some() {
        let script = format!(
            "fpath=('{}' $fpath); autoload -Uz compinit; compinit -u -D; echo $_comps[act-claude]",
            share.join("zsh/vendor-completions").display()
        );
        let output = sandbox.command("zsh").args(["-f", "-c", &script]).output().unwrap();
        assert_eq!((output.out().as_str(), output.err().as_str()), ("_act-claude\n", ""));
    }
}
