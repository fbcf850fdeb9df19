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
