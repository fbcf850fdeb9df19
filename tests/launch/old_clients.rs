//! A23: no claude fails because of an argument of act-claude's: each one gets only what its version is known to take.

use serde_json::json;

use crate::support::sandbox::{Sandbox, Text};

/// A claude that refuses these arguments, as old versions do, and prints the others.
fn refusing(refused: &str) -> String {
    format!(
        "for arg; do\n  case $arg in {refused}) echo \"error: unknown option '$arg'\" >&2; exit 1;; esac\ndone\necho \"$@\"\n"
    )
}

/// How a claude may be installed: its file, its first lines, and the package beside it.
struct Installed {
    what: &'static str,
    file: &'static str,
    head: &'static str,
    package: Option<&'static str>,
    /// What its version refuses.
    refuses: &'static str,
    /// Our arguments, in this order.
    gets: &'static [&'static str],
}

const SHELL: &str = "#!/bin/sh\n";
const SCRIPT: &str = "node_modules/@anthropic-ai/claude-code/cli.js";
const NATIVE: &str = "node_modules/@anthropic-ai/claude-code/bin/claude.exe";
const NO_LOG: &str = "--debug-file";

const INSTALLED: &[Installed] = &[
    Installed {
        what: "before --settings",
        file: SCRIPT,
        head: SHELL,
        package: Some(r#"{"name": "@anthropic-ai/claude-code", "version": "1.0.60"}"#),
        refuses: "--debug-file|--settings",
        gets: &[],
    },
    Installed {
        what: "the last one before --debug-file",
        file: SCRIPT,
        head: SHELL,
        package: Some(r#"{"name": "@anthropic-ai/claude-code", "version": "2.1.19"}"#),
        refuses: NO_LOG,
        gets: &["--settings"],
    },
    Installed {
        what: "the first one with --debug-file",
        file: SCRIPT,
        head: SHELL,
        package: Some(r#"{"name": "@anthropic-ai/claude-code", "version": "2.1.20"}"#),
        refuses: "nothing",
        gets: &["--settings", "--debug-file"],
    },
    Installed {
        what: "a native one from npm",
        file: NATIVE,
        head: SHELL,
        package: Some(r#"{"name": "@anthropic-ai/claude-code", "version": "2.1.332"}"#),
        refuses: "nothing",
        gets: &["--settings", "--debug-file"],
    },
    Installed {
        what: "by the native installer, old",
        file: ".local/share/claude/versions/2.0.45",
        head: SHELL,
        package: None,
        refuses: NO_LOG,
        gets: &["--settings"],
    },
    Installed {
        what: "by the native installer, in the future",
        file: ".local/share/claude/versions/3.0.0",
        head: SHELL,
        package: None,
        refuses: "nothing",
        gets: &["--settings", "--debug-file"],
    },
    Installed {
        what: "a version before its release",
        file: ".local/share/claude/versions/2.1.20-beta.1",
        head: SHELL,
        package: None,
        refuses: NO_LOG,
        gets: &["--settings"],
    },
    Installed {
        what: "a script without its package",
        file: "copies/cli.js",
        head: "#!/bin/sh\n: '\n// (c) Anthropic PBC. All rights reserved.\n// Version: 2.0.77\n'\n",
        package: None,
        refuses: NO_LOG,
        gets: &["--settings"],
    },
    Installed {
        what: "a package that is no JSON",
        file: SCRIPT,
        head: SHELL,
        package: Some("{"),
        refuses: NO_LOG,
        gets: &["--settings"],
    },
    Installed {
        what: "a package of a version that is none",
        file: SCRIPT,
        head: SHELL,
        package: Some(r#"{"name": "@anthropic-ai/claude-code", "version": "latest"}"#),
        refuses: NO_LOG,
        gets: &["--settings"],
    },
    Installed {
        what: "a shim of a version manager",
        file: ".asdf/shims/claude",
        head: SHELL,
        package: Some(r#"{"name": "asdf", "version": "2.1.330"}"#),
        refuses: NO_LOG,
        gets: &["--settings"],
    },
];

#[test]
fn a23_each_client_gets_only_what_it_is_known_to_take() {
    for Installed { what, file, head, package, refuses, gets } in INSTALLED {
        let mut sandbox = Sandbox::new();
        // Nothing listens there, and nothing is sent. The settings need an overlay.
        sandbox.configure_one("http://127.0.0.1:9/metrics");
        let settings = json!({"env": {"OTEL_METRICS_EXPORTER": "console"}});
        sandbox.write(".claude/settings.json", settings.to_string());
        let real = sandbox.script(file, &format!("{head}{}", refusing(refuses)));
        if let Some(package) = package {
            let place = if file.contains("/bin/") { "../package.json" } else { "package.json" };
            std::fs::write(real.parent().unwrap().join(place), package).unwrap();
        }
        let bin = sandbox.directory("bin");
        std::os::unix::fs::symlink(&real, bin.join("claude")).unwrap();
        sandbox.path_first(&bin);

        let ours = sandbox.act_claude(&["--verify", "-p", "hi"]).output().unwrap();
        let printed = ours.out();
        assert!(printed.ends_with("-p hi\n"), "{what}: {printed}{}", ours.err());
        let added: Vec<&str> = printed.split_whitespace().filter(|word| word.starts_with("--")).collect();
        assert_eq!(added, *gets, "{what}: {printed}");
        // The verdict is that of the relay; claude itself succeeded.
        assert_eq!(ours.code(), 69, "{what}: {}", ours.err());
        let has_log = gets.contains(&"--debug-file");
        assert_eq!(ours.err().contains("there is no log: claude"), !has_log, "{what}: {}", ours.err());

        let ours = sandbox.act_claude(&["--verify", "--direct", "-p", "hi"]).output().unwrap();
        let word = if has_log { "claude's log shows that it sent nothing" } else { "not observed: there is no log" };
        assert!(ours.out().ends_with("-p hi\n") && ours.err().contains(word), "{what}: {}{}", ours.out(), ours.err());
    }
}

#[test]
fn a23_a_pipe_in_the_package_s_place_is_not_waited_for() {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/metrics");
    let claude = sandbox.script("lib/claude", "#!/bin/sh\necho \"$@\"\n");
    nix::unistd::mkfifo(&claude.with_file_name("package.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    sandbox.path_first(claude.parent().unwrap());
    let output = sandbox.act_claude(&["--verify", "-p", "hi"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("-p hi\n", 69), "{}", output.err());
}

#[test]
fn a23_a_log_that_is_a_pipe_is_not_waited_for() {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/metrics");
    let claude = sandbox.script("bin/claude", "#!/bin/sh\necho \"$1\"\n");
    sandbox.path_first(claude.parent().unwrap());
    let pipe = sandbox.home().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for how in [&["--direct", "--verify"][..], &["--verify"]] {
        let args = [how, &["-p", "hi", "--debug-file", pipe.to_str().unwrap()]].concat();
        let output = sandbox.act_claude(&args).output().unwrap();
        let word = format!("there is no log: {} is not a file", sandbox.shown(&pipe));
        assert!(output.err().contains(&word), "{}", output.err());
        assert_eq!((output.out().as_str(), output.code()), ("-p\n", 69), "{}", output.err());
    }
}

/// Settings that send exports elsewhere can't be overridden for a client that takes no `--settings`.
#[test]
fn a23_what_an_old_client_s_settings_override_is_said_and_required_refuses() {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/metrics");
    sandbox.write(".claude/settings.json", json!({"env": {"OTEL_METRICS_EXPORTER": "console"}}).to_string());
    let claude = sandbox.script(".local/share/claude/versions/1.0.60", "#!/bin/sh\necho \"$@\"\n");
    let bin = sandbox.directory("bin");
    std::os::unix::fs::symlink(&claude, bin.join("claude")).unwrap();
    sandbox.path_first(&bin);
    let said = "no settings overlay (this claude has no --settings)";
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("-p hi\n", 0), "{}", output.err());
    assert!(output.err().contains(said), "{}", output.err());

    let file = sandbox.home().join(".config/act-claude/config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["required"] = true.into();
    std::fs::write(&file, config.to_string()).unwrap();
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("", 78), "{}", output.err());
    assert!(output.err().contains(said), "{}", output.err());
}
