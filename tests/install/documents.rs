//! The lines of README and docs/install.md that install and remove act-claude are run, on packed files.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::Apt;
use crate::npm::{Npm, run};
use crate::others;
use crate::packages::{LATER, PLATFORM, TARGET, VERSION, npm, pack, packing, releases, top};
use crate::support::program;
use crate::support::sandbox::{Sandbox, Text};

/// A home with the files of a release in its working directory, and the directories that commands are installed into on PATH.
struct Lab {
    npm: Npm,
    apt: Apt,
    files: PathBuf,
}

impl Lab {
    fn new() -> Option<Self> {
        if ["apt-get", "dpkg-deb", "dpkg-scanpackages", "readelf"].into_iter().any(|name| program(name).is_none()) {
            return None;
        }
        let (mut npm_, pnpm) = others::with("pnpm")?;
        let (_, yarn) = others::with("yarn")?;
        let sandbox = &mut npm_.sandbox;
        // Newer than what any C library's symbols need.
        let apt = Apt::new(sandbox, "9.0");
        let prefix = npm_.prefix.display().to_string();
        sandbox.set("npm_config_prefix", &prefix);
        sandbox.set("npm_config_offline", "true");
        sandbox.set("PREFIX", &prefix);
        sandbox.set("APT_CONFIG", apt.configuration().as_os_str());
        let usr = apt.installed().parent().unwrap().to_owned();
        for directory in [npm_.prefix.join("bin"), sandbox.home().join(".local/bin"), usr] {
            sandbox.path_first(&directory);
        }
        let files = sandbox.directory("files of a release");
        // Another version's files are beside them.
        for version in [VERSION, LATER] {
            let archive = releases().join(format!("v{version}/act-claude-{version}-{TARGET}.tar.gz"));
            for file in npm(version).into_iter().chain([archive]) {
                std::fs::copy(&file, files.join(file.file_name().unwrap())).unwrap();
            }
        }
        std::fs::write(files.join("act-claude_9.9.9_amd64.deb"), "").unwrap();
        sandbox.directory(&format!("files of a release/act-claude-{LATER}-{TARGET}"));
        pack(packing("debian", VERSION).arg(&files));
        pack(packing("installer", VERSION).arg(&files).env("RELEASE_URL", format!("file://{}", releases().display())));
        // yarn 1 would use a folder of the system for root.
        let yarn = format!(
            "exec {} \"$@\" --offline --global-folder '{}'",
            yarn.display(),
            sandbox.home().join("yarn/global").display()
        );
        let tools = sandbox.script("tools/yarn", &format!("#!/bin/sh\n{yarn}\n"));
        sandbox.script("tools/pnpm", &format!("#!/bin/sh\nexec {} \"$@\"\n", pnpm.display()));
        sandbox.script("tools/sudo", "#!/bin/sh\nexec \"$@\"\n");
        sandbox.script("tools/apt", "#!/bin/sh\nexec apt-get --quiet --yes \"$@\"\n");
        sandbox.path_first(tools.parent().unwrap());
        Some(Self { npm: npm_, apt, files })
    }

    fn sh(&self, line: &str) -> Command {
        let mut command = self.npm.sandbox.command("bash");
        let path = format!("{}:/usr/sbin:/sbin", self.npm.sandbox.get("PATH").unwrap());
        command.args(["-euc", line]).current_dir(&self.files).env("PATH", path);
        command
    }

    /// What `act-claude` on PATH says about itself, where there is one.
    fn version(&self) -> Option<String> {
        let output = self.sh("act-claude act --version").output().unwrap();
        (output.code() == 0).then(|| output.out())
    }
}

/// A line for the version and the system of the tests.
fn here(line: &str) -> String {
    let (debian, processor) = if PLATFORM.ends_with("x64") { ("amd64", "x86_64") } else { ("arm64", "aarch64") };
    let line = line.replace("VERSION", VERSION);
    line.replace("linux-x64", PLATFORM).replace("amd64", debian).replace("x86_64", processor)
}

/// The sections of a text: title, and the lines of its first block of commands.
fn sections(text: &str) -> Vec<(String, Vec<String>)> {
    let sections = text.split("\n## ").skip(1).map(|section| {
        let title = section.lines().next().unwrap_or_default().to_owned();
        let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
        (title, block.lines().map(str::to_owned).collect())
    });
    sections.collect()
}

#[test]
fn every_way_to_install() {
    let text = std::fs::read_to_string(top().join("docs/install.md")).unwrap();
    let all = sections(&text);
    let tried: Vec<_> = all.iter().filter(|(title, _)| !title.contains("untried")).collect();
    let titles: Vec<&str> = tried.iter().map(|(title, _)| title.as_str()).collect();
    let expected = ["npm", "pnpm", "yarn 1", "Debian, Ubuntu", "Any Linux: the archive", "install.sh"];
    assert_eq!(titles, expected);
    for (title, lines) in tried {
        let Some(lab) = Lab::new() else { return };
        let [install, remove] = &lines[..] else { panic!("{title}: one line to install, one to remove: {lines:?}") };
        assert_eq!(lab.version(), None, "{title}");
        run(&mut lab.sh(&here(install)));
        assert!(lab.version().is_some_and(|said| said.starts_with(&format!("act-claude {VERSION}"))), "{title}");
        // An upgrade, or a repair, is the same line.
        run(&mut lab.sh(&here(install)));
        assert!(lab.version().is_some(), "{title}");
        let demo = run(&mut lab.sh("act-claude act demo"));
        assert!(demo.contains("act-claude: billing: 1 export delivered"), "{title}: {demo}");
        run(&mut lab.sh(&here(remove)));
        assert_eq!(lab.version(), None, "{title}");
        drop(lab.apt);
    }
}

#[test]
fn readme() {
    let text = std::fs::read_to_string(top().join("README.md")).unwrap();
    let section = text.split("\n## Install\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let guide = std::fs::read_to_string(top().join("docs/install.md")).unwrap();
    assert!(lines.len() >= 4, "{lines:?}");
    for line in lines {
        assert!(guide.contains(&format!("\n{line}\n")), "docs/install.md has the same line, which is run: {line}");
    }
}

/// The line that checks the files.
#[test]
fn the_checksums() {
    if program("sha256sum").is_none() || program("bash").is_none() {
        return;
    }
    let text = std::fs::read_to_string(top().join("docs/install.md")).unwrap();
    let line = text.split('`').find(|text| text.starts_with("sha256sum ")).expect("the line").to_owned();
    let sandbox = Sandbox::new();
    let directory: &Path = &releases().join(format!("v{VERSION}"));
    run(sandbox.command("sh").args(["-c", &line]).current_dir(directory));
}
