//! Adds the commit to the version of a release build. Debug builds are not rebuilt for
//! each commit. Without git, or outside a checkout of this project, the version has no commit.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env("CARGO_PKG_VERSION");
    let is_release = env("PROFILE") == "release";
    let commit = if is_release { commit() } else { None };
    let version = commit.map_or(version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=ACT_CLAUDE_VERSION={version}");
}

/// The commit and its date, with a note where tracked files differ from it.
fn commit() -> Option<String> {
    // Where a package is unpacked inside another repository, git shows that repository's commits, not ours.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&env("CARGO_MANIFEST_DIR")).canonicalize().ok()? {
        return None;
    }
    println!("cargo::rerun-if-changed=src");
    for name in ["HEAD", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", name])?);
    }
    let commit = git(&["log", "-1", "--format=%h %cs"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|status| !status.is_empty());
    Some(if changed { format!("{commit}, changed") } else { commit })
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(env("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
