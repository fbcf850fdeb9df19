//! A release on this machine: the archive of the program under test with its checksum, and what is made for its address.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sandbox::{Sandbox, Text};
use crate::support::{act_claude, example, program};

/// A release in the directory `release` of the sandbox's root, and the directories that shell/integrations makes for `url`, where
/// that release will be. `None`: skipped.
pub fn make(sandbox: &Sandbox, url: &str) -> Option<Release> {
    program("bash")?;
    // Fast compression: the unoptimised program is large.
    let gzip = sandbox.script("fast/gzip", "#!/bin/sh\nPATH=${PATH#*:} exec gzip -1n\n");
    let path = format!("{}:{}", gzip.parent()?.display(), std::env::var("PATH").ok()?);
    let (files, made) = (sandbox.root().join("release"), sandbox.root().join("made"));
    let files = files.join(concat!("v", env!("CARGO_PKG_VERSION")));
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut tarball = script("shell/tarball");
    tarball
        .arg("--binary")
        .arg(act_claude())
        .args(["--target", &target])
        .arg("--man")
        .arg(example("man"))
        .arg(&files)
        .env("PATH", path);
    succeed(tarball);
    let mut sums = Command::new("sh");
    succeed(sums.args(["-c", "sha256sum *.tar.gz >SHA256SUMS"]).current_dir(&files));
    let mut integrations = script("shell/integrations");
    succeed(integrations.arg(&made).env("RELEASE_URL", url));
    Some(Release { action: made.join("action"), feature: made.join("devcontainer") })
}

/// The directories of a release.
pub struct Release {
    pub action: PathBuf,
    pub feature: PathBuf,
}

fn script(name: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).env_remove("RELEASE_URL");
    command
}

fn succeed(mut command: impl std::borrow::BorrowMut<Command>) {
    let output = command.borrow_mut().output().expect("started");
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
}

/// Without an address there is nothing to install from.
#[test]
fn nothing_is_made_without_an_address() {
    if program("bash").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let output = script("shell/integrations").arg(sandbox.root().join("made")).output().unwrap();
    assert_eq!((output.code(), output.out().as_str()), (0, ""));
    assert!(output.err().contains("RELEASE_URL"), "{}", output.err());
    assert!(!sandbox.root().join("made").exists());
}

/// With the archives' checksums in it, a pinned action or feature pins the program: both have the installer that was made with them.
#[test]
fn both_pin_the_checksums_that_are_given() {
    if program("bash").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let project = sandbox.directory("project");
    let mut copy = Command::new("cp");
    copy.args(["-R", "shell", "Cargo.toml"]).arg(&project).current_dir(env!("CARGO_MANIFEST_DIR"));
    succeed(copy);
    // What it is told, it writes into the file whose path it prints.
    sandbox.script(
        "project/shell/installer",
        "#!/usr/bin/env bash\nfor output; do :; done\nprintf '%s\\n' \"$@\" >\"$output/install.sh\"; echo \"$output/install.sh\"\n",
    );
    let sums = sandbox.write("SHA256SUMS", "");
    let integrations = |arguments: &[&str]| {
        let mut command = Command::new("bash");
        command.arg(project.join("shell/integrations")).args(arguments).current_dir(sandbox.home());
        command.env("RELEASE_URL", "https://releases.example").output().expect("started")
    };
    let told =
        |name: &str| std::fs::read_to_string(sandbox.home().join(name).join("installer.sh")).expect("the installer");
    let output = integrations(&["--sums", "SHA256SUMS", "made"]);
    assert_eq!(output.code(), 0, "{}", output.err());
    for name in ["made/action", "made/devcontainer"] {
        let directory = sandbox.home().join(name);
        assert_eq!(told(name), format!("--sums\n{}\n{}\n", sums.display(), directory.display()));
    }
    assert_eq!(integrations(&["made"]).code(), 0);
    assert!(!told("made/action").contains("--sums"));
    for (arguments, code) in
        [(&["--sums"][..], 64), (&["--sums", "absent", "made"], 1), (&["made", "--sums", "SHA256SUMS"], 64)]
    {
        assert_eq!(integrations(arguments).code(), code, "{arguments:?}");
    }
}
