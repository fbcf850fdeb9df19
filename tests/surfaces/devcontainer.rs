//! The dev container feature: its script runs as root in a throw-away root directory without a network.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::release;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{self, network};

/// Makes a root from this system, read-only, with a /usr/local and /tmp of its own, and runs a script there.
const ROOT: &str = r#"
set -eu
mount -t tmpfs none "$ROOT"
cd "$ROOT"
mkdir usr dev proc tmp root feature release
mount --rbind /usr usr && mount -o remount,bind,ro usr
mount -t tmpfs none usr/local && mkdir usr/local/bin
for link in bin sbin lib lib32 lib64; do
    if [ -L "/$link" ]; then ln -s "$(readlink "/$link")" "$link"; elif [ -d "/$link" ]; then mkdir "$link" && mount --rbind "/$link" "$link"; fi
done
mount --rbind /dev dev
mount --bind "$FEATURE" feature
mount --bind "$RELEASE" release
PATH=$PATH:/usr/sbin:/sbin exec chroot . /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root VERSION="$VERSION" SHIM="$SHIM" sh -euc "$RUN"
"#;

/// Runs the feature's script with the defaults of its options, but for `shim`, and then another script.
fn install(sandbox: &Sandbox, feature: &Path, shim: &str, then: &str) -> Output {
    let manifest = std::fs::read(feature.join("devcontainer-feature.json")).expect("the manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let mut command: Command = sandbox.command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", ROOT]);
    let root = sandbox.root().join("container");
    std::fs::create_dir_all(&root).expect("a directory");
    command.env("ROOT", root).env("FEATURE", feature).env("RELEASE", sandbox.root().join("release"));
    command.env("VERSION", manifest["options"]["version"]["default"].as_str().expect("a default"));
    command.env("SHIM", shim).env("RUN", format!("cd /tmp; sh /feature/install.sh >&2; {then}"));
    command.output().expect("started")
}

#[test]
fn its_script_installs_and_claude_is_act_claude() {
    if support::program("unshare").is_none() || !network::isolate() {
        return;
    }
    let sandbox = Sandbox::new();
    let Some(release) = release::make(&sandbox, "file:///release") else { return };
    let manifest = std::fs::read_to_string(release.feature.join("devcontainer-feature.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert!(!manifest.to_string().contains('@'), "a place that was not filled in: {manifest}");
    let path = manifest["containerEnv"]["PATH"].as_str().unwrap().strip_suffix(":${PATH}").unwrap();
    let wrapper = manifest["customizations"]["vscode"]["settings"]["claudeCode.claudeProcessWrapper"].as_str().unwrap();

    // The real claude, which the shim must find behind itself.
    let then = format!(
        "printf '#!/bin/sh\\necho real \"$@\"\\n' >/usr/local/bin/claude; chmod 755 /usr/local/bin/claude
         {wrapper} act --version; PATH={path}:$PATH; command -v claude; claude -p hi; {wrapper} /usr/local/bin/claude -p there"
    );
    let output = install(&sandbox, &release.feature, "true", &then);
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    let version = concat!("act-claude ", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        output.out().lines().collect::<Vec<_>>(),
        [version, &format!("{path}/claude"), "real -p hi", "real -p there"],
        "{}",
        output.err()
    );
    let output = install(&sandbox, &release.feature, "false", &format!("test ! -e {path}/claude; echo none"));
    assert_eq!((output.code(), output.out().as_str()), (0, "none\n"), "{}", output.err());
}
