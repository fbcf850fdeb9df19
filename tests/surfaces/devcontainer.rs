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

/// Runs the feature's script, with a umask that gives others nothing.
const INSTALL: &str = "cd /tmp; umask 077; sh /feature/install.sh >&2";

/// Runs a script with the feature's options in the environment: the defaults, but for these.
fn run(sandbox: &Sandbox, feature: &Path, options: &[(&str, &str)], script: &str) -> Output {
    let manifest = std::fs::read(feature.join("devcontainer-feature.json")).expect("the manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let option = |name: &str| {
        let given = options.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        let default = &manifest["options"][name]["default"];
        given.unwrap_or_else(|| default.as_str().map_or_else(|| default.to_string(), str::to_owned))
    };
    let mut command: Command = sandbox.command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", ROOT]);
    let root = sandbox.root().join("container");
    std::fs::create_dir_all(&root).expect("a directory");
    command.env("ROOT", root).env("FEATURE", feature).env("RELEASE", sandbox.root().join("release"));
    command.env("VERSION", option("version")).env("SHIM", option("shim")).env("RUN", script);
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
    let script = format!(
        "{INSTALL}
         printf '#!/bin/sh\\necho real \"$@\"\\n' >/usr/local/bin/claude; chmod 755 /usr/local/bin/claude
         {wrapper} act --version; PATH={path}:$PATH; command -v claude; claude -p hi; {wrapper} /usr/local/bin/claude -p there
         stat -c %a {path} {wrapper}"
    );
    let output = run(&sandbox, &release.feature, &[], &script);
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    let version = concat!("act-claude ", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        output.out().lines().collect::<Vec<_>>(),
        [version, &format!("{path}/claude"), "real -p hi", "real -p there", "755", "755"],
        "{}",
        output.err()
    );
    let output = run(
        &sandbox,
        &release.feature,
        &[("shim", "false"), ("version", "latest")],
        &format!("{INSTALL}; {wrapper} act --version >&2; test ! -e {path}/claude; echo none"),
    );
    assert_eq!((output.code(), output.out().as_str()), (0, "none\n"), "{}", output.err());
}

/// An image without curl: a package manager that it has is asked. Where that fails, the installer says whether anything is missing.
#[test]
fn curl_is_installed_where_it_can_be() {
    if support::program("unshare").is_none() || !network::isolate() {
        return;
    }
    let sandbox = Sandbox::new();
    let Some(release) = release::make(&sandbox, "file:///release") else { return };
    for (manager, status, calls) in [
        ("apt-get", 0, "update\ninstall -y --no-install-recommends curl ca-certificates\nclean\n"),
        ("apt-get", 1, "update\n"),
        ("apk", 0, "add --no-cache curl ca-certificates\n"),
        ("none", 1, ""),
    ] {
        let script = format!(
            "mkdir /tmp/few; for directory in /bin /usr/bin; do ln -sf $directory/* /tmp/few; done
             PATH=/tmp/few; cd /tmp/few; rm -f curl wget apt-get apk; : >/tmp/calls
             printf '#!/bin/sh\necho \"$@\" >>/tmp/calls; exit {status}\n' >{manager}; chmod 755 {manager}
             {INSTALL}; /usr/local/bin/act-claude act --version >&2; cat /tmp/calls"
        );
        let output = run(&sandbox, &release.feature, &[], &script);
        assert_eq!((output.code(), output.out().as_str()), (0, calls), "{manager}: {}", output.err());
        let said = output.err().contains("add curl and ca-certificates to the image");
        assert_eq!(said, status != 0, "{manager}: {}", output.err());
    }
}
