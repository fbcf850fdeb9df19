//! The Debian package is built, installed below a directory of its own, used and removed. Afterwards the files are the
//! same as before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{LATER, VERSION, built, is_program_of, pack, packing};
use crate::support::program;
use crate::support::sandbox::{Sandbox, Text};
use crate::upgrade::Session;

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

/// The package of a version.
fn made(sandbox: &Sandbox, version: &str) -> PathBuf {
    pack(packing("debian", version).arg(sandbox.root().join("packages"))).remove(0)
}

/// A field of a package.
fn field(package: &Path, name: &str) -> String {
    let output = Command::new("dpkg-deb").arg("--field").arg(package).arg(name).output().unwrap();
    output.out().trim().to_owned()
}

#[test]
fn installs_works_and_is_removed() {
    if program("dpkg-deb").is_none() || program("bash").is_none() {
        return;
    }
    let mut sandbox = Sandbox::new();
    let package = made(&sandbox, VERSION).display().to_string();

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
    assert!(is_program_of(&installed, VERSION));
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

#[test]
fn the_same_program_and_source_give_the_same_package() {
    if program("dpkg-deb").is_none() || program("bash").is_none() {
        return;
    }
    let (one, two) = (Sandbox::new(), Sandbox::new());
    let first = std::fs::read(made(&one, VERSION)).unwrap();
    let second = pack(packing("debian", VERSION).arg(two.root().join("elsewhere")).env("TZ", "Asia/Tokyo"));
    assert!(first == std::fs::read(&second[0]).unwrap());
}

/// A copy of the built program with another processor in its header, and without the program header that names a dynamic
/// loader, as in a static program.
fn altered(sandbox: &Sandbox, machine: u8, is_static: bool) -> PathBuf {
    let mut content = std::fs::read(built(VERSION)).unwrap();
    content[18] = machine;
    if is_static {
        let number = |at: usize, size: usize| {
            content[at..at + size].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let (headers, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        let loader = (0..count).map(|index| headers + index * size).find(|at| number(*at, 4) == 3);
        content[loader.expect("the loader's header")] = 0;
    }
    sandbox.write(&format!("program-{machine}-{is_static}"), content)
}

/// What a package depends on is read from its program, and its architecture is that of the target.
#[test]
fn dependencies_and_architecture() {
    if program("dpkg-deb").is_none() || program("bash").is_none() || program("readelf").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    for (machine, target, architecture) in
        [(0x3e, "x86_64-unknown-linux-musl", "amd64"), (0xb7, "aarch64-unknown-linux-gnu", "arm64")]
    {
        for is_static in [true, false] {
            let program = altered(&sandbox, machine, is_static);
            let mut command = Command::new("bash");
            command.arg(crate::packages::top().join("shell/debian")).arg("--binary").arg(program);
            command.args(["--target", target, "--man", "/bin/true"]).arg(sandbox.root().join("packages"));
            command.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
            let package = pack(&mut command).remove(0);
            let name = format!("act-claude_{VERSION}_{architecture}.deb");
            assert_eq!(package.file_name().unwrap(), name.as_str());
            assert_eq!(field(&package, "Architecture"), architecture);
            let depends = field(&package, "Depends");
            match is_static {
                true => assert_eq!(depends, ""),
                false => assert!(depends.split(", ").any(|it| it.starts_with("libc6 (>= 2.")), "{depends}"),
            }
        }
    }
}

/// apt with a root directory of its own, and a repository of files.
pub struct Apt {
    system: System,
    repository: PathBuf,
    configuration: PathBuf,
}

impl Apt {
    /// With the package libc6 in this version, and with libgcc-s1.
    pub fn new(sandbox: &Sandbox, libc: &str) -> Self {
        let system = System::new(sandbox.root().join("system"));
        let root = &system.root;
        let repository = sandbox.root().join("repository");
        std::fs::create_dir_all(&repository).unwrap();
        for directory in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
        ] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        let source = format!("deb [trusted=yes] file:{} ./\n", repository.display());
        std::fs::write(root.join("etc/apt/sources.list"), source).unwrap();
        let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let status = format!(
            "Package: libc6\nStatus: install ok installed\nArchitecture: {architecture}\nMulti-Arch: same\nVersion: {libc}\n\
             Maintainer: x <x@localhost>\nDescription: x\n\n\
             Package: libgcc-s1\nStatus: install ok installed\nArchitecture: {architecture}\nMulti-Arch: same\nVersion: 9\n\
             Maintainer: x <x@localhost>\nDescription: x\n\n"
        );
        std::fs::write(root.join("var/lib/dpkg/status"), status).unwrap();
        let configuration = sandbox.root().join("apt.conf");
        let root = root.display();
        let text = format!(
            "Dir \"{root}\";\nDir::State::status \"{root}/var/lib/dpkg/status\";\nDir::Log \"/dev/null\";\n\
             APT::Architecture \"{architecture}\";\nAPT::Sandbox::User \"\";\nDebug::NoLocking \"true\";\n\
             DPkg::Options {{ \"--root={root}\"; \"--force-not-root\"; \"--log=/dev/null\"; }};\n"
        );
        std::fs::write(&configuration, text).unwrap();
        Self { system, repository, configuration }
    }

    /// Puts a package into the repository, and makes its list again.
    fn publish(&self, package: &Path) {
        std::fs::copy(package, self.repository.join(package.file_name().unwrap())).unwrap();
        let list =
            Command::new("dpkg-scanpackages").arg("--multiversion").arg(".").current_dir(&self.repository).output();
        std::fs::write(self.repository.join("Packages"), list.unwrap().stdout).unwrap();
        let output = self.get(&["update"]);
        assert_eq!(output.code(), 0, "{}", output.err());
    }

    fn get(&self, args: &[&str]) -> std::process::Output {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", &self.configuration).env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
        command.args(["--quiet", "--yes"]).args(args).output().unwrap()
    }

    /// The configuration, for APT_CONFIG.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    pub fn installed(&self) -> PathBuf {
        self.system.root.join("usr/bin/act-claude")
    }
}

#[test]
fn a_repository_for_apt() {
    if ["dpkg-deb", "bash", "apt-get", "dpkg-scanpackages", "readelf"].into_iter().any(|name| program(name).is_none()) {
        return;
    }
    let mut sandbox = Sandbox::new();
    let package = made(&sandbox, VERSION);
    let depends = field(&package, "Depends");
    let needed = depends.split("libc6 (>= ").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or("2.0").to_owned();
    let apt = Apt::new(&sandbox, &needed);
    apt.publish(&package);
    let output = apt.get(&["install", "act-claude"]);
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    assert!(is_program_of(&apt.installed(), VERSION));

    // An upgrade beside a session, and the removal beside another one.
    let session = Session::start(&mut sandbox, &apt.installed());
    apt.publish(&made(&sandbox, LATER));
    let output = apt.get(&["upgrade"]);
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    assert!(is_program_of(&apt.installed(), LATER));
    session.ends_well(&sandbox);
    let session = Session::start(&mut sandbox, &apt.installed());
    let output = apt.get(&["purge", "act-claude"]);
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    assert!(!apt.installed().exists());
    session.ends_well(&sandbox);

    // A system whose C library is too old.
    if !depends.is_empty() {
        let older = Sandbox::new();
        let apt = Apt::new(&older, "2.19-18");
        apt.publish(&package);
        let output = apt.get(&["install", "act-claude"]);
        assert_eq!(output.code(), 100, "{}", output.out());
        assert!(output.out().contains(&format!("Depends: libc6 (>= {needed})")), "{}", output.out());
        assert!(!apt.installed().exists());
    }
}
