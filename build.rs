//! Adds the commit to the version of a release build, and chooses how the program is linked. Debug builds are not rebuilt for
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
    if env("CARGO_CFG_TARGET_OS") == "linux" && env("HOST") == env("TARGET") {
        if env("CARGO_CFG_TARGET_ENV") == "gnu" {
            link_unwinder_statically();
        }
        if is_release {
            keep_launch_together();
        }
    }
}

/// Puts the functions that a launch runs side by side. The kernel maps a program in pieces of 64 KiB around each page that is
/// touched, and a launch runs some 400 small functions from all over the binary; side by side they need 2 MiB less memory, and
/// 0.1 ms less time. The order is a linker script (GNU ld, lld) that `tests/bench --order` writes; a function that it does not
/// name stays where it was. Where the user has chosen a linker, the script is not used.
fn keep_launch_together() {
    let order = Path::new(&env("CARGO_MANIFEST_DIR")).join("src/launch/order.ld");
    println!("cargo::rerun-if-changed={}", order.display());
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    if !env("RUSTC_LINKER").is_empty() || env("CARGO_ENCODED_RUSTFLAGS").contains("link") {
        return;
    }
    let script = format!("-Wl,-T,{}", order.display());
    let probe = Path::new(&env("OUT_DIR")).join("probe.so");
    let probed =
        Command::new("cc").args(["-shared", "-nostdlib", &script, "-x", "c", "/dev/null", "-o"]).arg(probe).output();
    if probed.is_ok_and(|output| output.status.success()) {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}

/// On glibc systems the standard library's unwinder is a shared library of its own, which costs every launch some 0.1 ms. So
/// the linker finds a script under the name of that library. The script names the static one, where the compiler has it.
fn link_unwinder_statically() {
    let Ok(output) = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output() else { return };
    let archive = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // Where there is none, the compiler prints the name without a path.
    if Path::new(&archive).is_absolute() {
        let script = Path::new(&env("OUT_DIR")).join("libgcc_s.so");
        std::fs::write(script, format!("INPUT({archive})\n")).expect("a file in OUT_DIR");
        println!("cargo::rustc-link-search=native={}", env("OUT_DIR"));
    }
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
