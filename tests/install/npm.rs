//! `npm install` of the packages from files, without a network.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{
    LATER, PLATFORM, VERSION, assert_becomes_the_program, built, is_native, is_program_of, npm, pack, packing,
};
use crate::support::network::isolate;
use crate::support::program;
use crate::support::sandbox::{Sandbox, Text, snapshot};

/// npm with a home of its own, and a prefix for global installations whose path has blanks.
pub struct Npm {
    pub sandbox: Sandbox,
    pub prefix: PathBuf,
}

impl Npm {
    /// `None` where there is no npm, or no way to be without a network: skipped with a word.
    pub fn new() -> Option<Self> {
        let npm = program("npm")?;
        program("bash")?;
        if !isolate() {
            return None;
        }
        let mut sandbox = Sandbox::new();
        sandbox.path_first(npm.parent().unwrap());
        for (name, value) in [
            ("npm_config_cache", sandbox.root().join("cache").display().to_string()),
            ("npm_config_update_notifier", "false".to_owned()),
            ("npm_config_audit", "false".to_owned()),
            ("npm_config_fund", "false".to_owned()),
            ("npm_config_fetch_retries", "0".to_owned()),
        ] {
            sandbox.set(name, value);
        }
        let prefix = sandbox.directory("my prefix");
        Some(Self { sandbox, prefix })
    }

    /// `npm -g` with the prefix.
    pub fn global(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.command("npm");
        command.arg("--prefix").arg(&self.prefix).arg("-g").args(args);
        command
    }

    /// Installs packages globally. The network is off anyway; `--offline` makes npm not wait for it.
    pub fn install(&self, packages: &[PathBuf], args: &[&str]) {
        run(self.global(&["install", "--offline"]).args(args).args(packages));
    }

    /// The command on PATH.
    pub fn command(&self) -> PathBuf {
        self.prefix.join("bin/act-claude")
    }
}

/// Runs a command that must succeed, and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.code(), 0, "{command:?}: {}{}", output.out(), output.err());
    output.out()
}

#[test]
fn with_scripts_the_command_is_the_program() {
    let Some(mut npm_) = Npm::new() else { return };
    npm_.install(&npm(VERSION), &[]);
    assert!(is_program_of(&npm_.command(), VERSION));
    assert!(npm_.prefix.join("share/man/man1/act-claude.1").is_file(), "npm links the man page");
    let command = npm_.command();
    assert_becomes_the_program(&mut npm_.sandbox, &command);
    let inner = npm_.prefix.join("lib/node_modules/act-claude/bin");
    assert_eq!(std::fs::read_dir(inner).unwrap().count(), 1, "nothing but the command");
    // The script may run again.
    run(&mut npm_.global(&["rebuild"]));
    assert!(is_program_of(&command, VERSION));
    assert_eq!(std::fs::read_dir(npm_.prefix.join("lib/node_modules/act-claude/bin")).unwrap().count(), 1);
}

#[test]
fn without_scripts_the_stub_becomes_the_program() {
    let Some(mut npm_) = Npm::new() else { return };
    npm_.install(&npm(VERSION), &["--ignore-scripts"]);
    let command = npm_.command();
    assert!(!is_native(&command));
    assert_becomes_the_program(&mut npm_.sandbox, &command);
    // By a path relative to the working directory, and by a chain of links.
    let link = npm_.sandbox.home().join("a link");
    std::os::unix::fs::symlink("my prefix/bin/act-claude", &link).unwrap();
    for words in [["./my prefix/bin/act-claude"], ["./a link"]] {
        let said = run(npm_.sandbox.command("sh").args(["-c", r#""$0" act --version"#]).args(words));
        assert!(said.starts_with("act-claude "), "{said}");
    }
    let said =
        run(npm_.sandbox.command("sh").args(["./act-claude", "act", "--version"]).current_dir(npm_.prefix.join("bin")));
    assert!(said.starts_with("act-claude "), "{said}");
    let said =
        run(npm_.sandbox.command("sh").args(["act-claude", "act", "--version"]).current_dir(npm_.prefix.join("bin")));
    assert!(said.starts_with("act-claude "), "{said}");
}

#[test]
fn a_local_installation() {
    for scripts in [true, false] {
        let Some(mut npm_) = Npm::new() else { return };
        let app = npm_.sandbox.directory("work/my app");
        std::fs::write(app.join("package.json"), r#"{"private": true}"#).unwrap();
        let mut install = npm_.sandbox.command("npm");
        install.args(["install", "--offline"]).args(npm(VERSION)).current_dir(&app);
        install.args((!scripts).then_some("--ignore-scripts"));
        run(&mut install);
        let command = app.join("node_modules/.bin/act-claude");
        assert_eq!(is_native(&command), scripts);
        assert_becomes_the_program(&mut npm_.sandbox, &command);
    }
}

#[test]
fn uninstalling_leaves_nothing() {
    for args in [&[][..], &["--ignore-scripts"]] {
        let Some(npm_) = Npm::new() else { return };
        npm_.install(&npm(VERSION), args);
        let said = run(npm_.sandbox.command(npm_.command()).args(["act", "uninstall", "--yes"]));
        let line =
            said.lines().find_map(|line| line.trim().strip_prefix("the program: ")).expect("its line").to_owned();
        let real = std::fs::canonicalize(&npm_.prefix).unwrap();
        assert_eq!(line, format!("npm uninstall -g --prefix '{}' act-claude act-claude-{PLATFORM}", real.display()));
        // The line does what it says.
        run(npm_.sandbox.command("sh").args(["-c", &line]));
        let left: Vec<PathBuf> = snapshot(&npm_.prefix).into_keys().collect();
        let left: Vec<&PathBuf> = left.iter().filter(|path| !path.ends_with(".package-lock.json")).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(npm_.command().symlink_metadata().is_err());
    }
}

/// Without the package for this system the installation succeeds, and the command says what is missing.
#[test]
fn the_package_with_the_program_is_missing() {
    let Some(npm_) = Npm::new() else { return };
    let [main, program] = npm(VERSION);
    npm_.install(std::slice::from_ref(&main), &[]);
    let output = npm_.sandbox.command(npm_.command()).args(["-p", "hi"]).output().unwrap();
    assert_eq!((output.code(), output.out()), (127, String::new()));
    let said = format!(
        "act-claude: the package act-claude-{PLATFORM}, which has the program, is not installed: give npm its file, too (npm install -g FILE FILE)\n"
    );
    assert_eq!(output.err(), said);
    npm_.install(&[main, program], &[]);
    assert!(is_program_of(&npm_.command(), VERSION));
}

/// A package of the right name in a directory above, or in the user's home, can be anybody's: it is not run.
#[test]
fn a_package_that_is_not_beside_it_is_not_used() {
    for args in [&[][..], &["--ignore-scripts"]] {
        let Some(npm_) = Npm::new() else { return };
        for above in ["my prefix/lib", "my prefix", "."] {
            for modules in ["node_modules/x", "node_modules", ".node_modules"] {
                let directory = format!("{above}/{modules}/act-claude-{PLATFORM}");
                if directory.starts_with("my prefix/lib/node_modules/act") {
                    continue;
                }
                npm_.sandbox.script(&format!("{directory}/act-claude"), "#!/bin/sh\necho foreign\n");
                let manifest = format!(r#"{{"name": "act-claude-{PLATFORM}", "version": "{VERSION}"}}"#);
                std::fs::write(npm_.sandbox.home().join(format!("{directory}/package.json")), manifest).unwrap();
            }
        }
        npm_.install(&npm(VERSION)[..1], args);
        let output = npm_.sandbox.command(npm_.command()).args(["-p", "hi"]).output().unwrap();
        assert_eq!((output.code(), output.out()), (127, String::new()), "{}", output.err());
    }
}

#[test]
fn packages_of_two_versions_are_refused() {
    for [main, program] in [[VERSION, LATER], [LATER, VERSION]] {
        let Some(npm_) = Npm::new() else { return };
        let packages = [&npm(main)[0], &npm(program)[1]];
        let output = npm_.global(&["install", "--offline"]).args(packages).output().unwrap();
        let said = format!("is act-claude-{PLATFORM} {program}, and this package is act-claude {main}: install both");
        assert!(output.code() != 0 && output.err().contains(&said), "{}", output.err());
    }
}

/// A directory that is shared with another system has that system's package, too.
#[test]
fn packages_for_several_systems() {
    let Some(npm_) = Npm::new() else { return };
    npm_.install(&npm(VERSION), &["--ignore-scripts"]);
    let modules = npm_.prefix.join("lib/node_modules");
    let fake = npm_.sandbox.directory("fake uname");
    for (uname, platform) in [
        ("Linux x86_64", "linux-x64"),
        ("Linux aarch64", "linux-arm64"),
        ("Darwin arm64", "darwin-arm64"),
        ("Darwin x86_64", "darwin-x64"),
    ] {
        let script = format!("#!/bin/sh\necho {platform} \"$@\"\n");
        npm_.sandbox.script(&format!("my prefix/lib/node_modules/act-claude-{platform}/act-claude"), &script);
        npm_.sandbox.script("fake uname/uname", &format!("#!/bin/sh\necho {uname}\n"));
        assert!(modules.join(format!("act-claude-{platform}/act-claude")).is_file());
        let path = format!("{}:/usr/bin:/bin", fake.display());
        let said = run(npm_.sandbox.command(npm_.command()).arg("x").env("PATH", path));
        assert_eq!(said, format!("{platform} x\n"));
    }
    npm_.sandbox.script("fake uname/uname", "#!/bin/sh\necho SunOS sun4u\n");
    let path = format!("{}:/usr/bin:/bin", fake.display());
    let output = npm_.sandbox.command(npm_.command()).env("PATH", path).output().unwrap();
    assert_eq!(
        (output.code(), output.err().as_str()),
        (127, "act-claude: there is no program for this system (SunOS sun4u)\n")
    );
}

#[test]
fn the_same_program_and_source_give_the_same_packages() {
    let Some(npm_) = Npm::new() else { return };
    let again = pack(packing("npm", VERSION).arg(npm_.sandbox.root().join("again")));
    for (one, two) in npm(VERSION).iter().zip(&again) {
        assert_eq!(one.file_name(), two.file_name());
        assert!(std::fs::read(one).unwrap() == std::fs::read(two).unwrap(), "{}", one.display());
    }
}

/// A later version, then this one again, both over the other.
#[test]
fn another_version_takes_the_place() {
    let Some(npm_) = Npm::new() else { return };
    for version in [VERSION, LATER, VERSION] {
        npm_.install(&npm(version), &[]);
        assert!(is_program_of(&npm_.command(), version), "{version}");
    }
    assert!(!is_program_of(Path::new(&built(VERSION)), LATER), "the versions differ");
}

/// What npm or readelf can't do is not packed.
#[test]
fn a_tool_that_fails_is_a_failure() {
    if ["bash", "readelf", "dpkg-deb"].into_iter().any(|name| program(name).is_none()) {
        return;
    }
    let sandbox = Sandbox::new();
    let path = format!("{}:{}", sandbox.directory("tools").display(), std::env::var("PATH").unwrap());
    for (name, tool) in [("npm", "npm"), ("debian", "readelf")] {
        for status in [1, 0] {
            // readelf with nothing to say is one of a static program.
            if (name, status) == ("debian", 0) {
                continue;
            }
            sandbox.script(&format!("tools/{tool}"), &format!("#!/bin/sh\nexit {status}\n"));
            let output = packing(name, VERSION).arg(sandbox.root().join("out")).env("PATH", &path).output().unwrap();
            assert_eq!((output.code(), output.out()), (1, String::new()), "{name}: {}", output.err());
            assert!(output.err().starts_with(&format!("shell/{name}: {tool} ")), "{}", output.err());
        }
    }
}

#[test]
fn wrong_use_is_refused() {
    if program("bash").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let script = sandbox.script("no program", "#!/bin/sh\n");
    let shell = |name: &str| {
        let mut command = Command::new("bash");
        command.arg(crate::packages::top().join("shell").join(name)).current_dir(sandbox.root());
        command
    };
    let output = |command: &mut Command| command.arg("--man").arg("true").output().unwrap();
    for name in ["tarball", "debian", "npm"] {
        let said = output(shell(name).arg("--binary").arg(&script).args(["--target", "x86_64-unknown-linux-musl"]));
        let expected = format!("shell/{name}: {} is not a program for x86_64-unknown-linux-musl\n", script.display());
        assert_eq!((said.code(), said.err()), (1, expected), "{name}");
        let said =
            output(shell(name).arg("--binary").arg(built(VERSION)).args(["--target", "riscv64gc-unknown-linux-gnu"]));
        assert!(said.code() == 64 && said.err().contains("unknown target: riscv64gc"), "{name}: {}", said.err());
        let said = shell(name).arg("--frobnicate").arg("x").output().unwrap();
        assert!(said.code() == 64 && said.err().contains("unknown option: --frobnicate"), "{name}: {}", said.err());
    }
    let mut scoped = shell("npm");
    scoped
        .arg("--binary")
        .arg(built(VERSION))
        .args(["--target", crate::packages::TARGET])
        .env("RELEASE_NPM_SCOPE", "a/b");
    let said = output(&mut scoped);
    assert!(said.code() == 64 && said.err().contains("RELEASE_NPM_SCOPE"), "{}", said.err());
}
