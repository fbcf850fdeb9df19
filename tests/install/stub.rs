//! A21: the script that stands for act-claude where npm may run no scripts is act-claude itself, under any name.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::npm::Npm;
use crate::packages::{VERSION, npm};
use crate::support::act_claude;
use crate::support::fake_claude;
use crate::support::sandbox::Text;

/// npm with the packages installed without scripts, and a fake claude that ends with 21.
fn installed() -> Option<Npm> {
    let mut npm_ = Npm::new()?;
    npm_.install(&npm(VERSION), &["--ignore-scripts"]);
    let starts = npm_.sandbox.root().join("environment");
    fake_claude::install(&mut npm_.sandbox, &format!("environment {}\nprint started\nexit 21", starts.display()));
    Some(npm_)
}

/// Runs a program with a directory first on PATH.
fn run(npm_: &Npm, program: &Path, first: &Path) -> Output {
    let path = format!("{}:{}", first.display(), npm_.sandbox.get("PATH").unwrap());
    npm_.sandbox.command(program).args(["-p", "hi"]).env("PATH", path).output().unwrap()
}

#[test]
fn a21_the_stub_is_not_taken_for_claude() {
    let Some(npm_) = installed() else { return };
    let stub = std::fs::canonicalize(npm_.command()).unwrap();
    let (linked, copied) = (npm_.sandbox.directory("linked"), npm_.sandbox.directory("copied"));
    symlink(npm_.command(), linked.join("claude")).unwrap();
    std::fs::copy(&stub, copied.join("claude")).unwrap();
    // Under the name claude it starts act-claude, which finds it first on PATH. And so does another act-claude.
    let starts: [(PathBuf, &Path); 5] = [
        (linked.join("claude"), &linked),
        (npm_.command(), &linked),
        (npm_.command(), &copied),
        (act_claude(), &linked),
        (act_claude(), &copied),
    ];
    for (program, first) in &starts {
        let output = run(&npm_, program, first);
        assert_eq!(
            (output.code(), output.out().as_str()),
            (21, "started\n"),
            "{}: {}",
            program.display(),
            output.err()
        );
    }
    // No other claude.
    let alone = |variable: &str, value: &Path| {
        let mut command = npm_.sandbox.command(act_claude());
        command.env("PATH", format!("{}:/usr/bin:/bin", linked.display())).env(variable, value).output().unwrap()
    };
    let output = alone("IRRELEVANT", &stub);
    assert_eq!(output.code(), 127);
    assert!(output.err().contains("no claude on PATH but act-claude itself"), "{}", output.err());
    let output = alone("ACT_CLAUDE_BIN", &linked.join("claude"));
    assert_eq!(output.code(), 126);
    assert!(output.err().contains("is act-claude itself"), "{}", output.err());
}

/// The stub passes on the environment, and adds nothing to it.
#[test]
fn the_environment_arrives_unchanged() {
    let Some(npm_) = installed() else { return };
    let environment = |program: &Path| {
        // Variables of the names that a careless script would use.
        let mut command = npm_.sandbox.command(program);
        command
            .args(["--no-act", "-p", "hi"])
            .env("platform", "mine")
            .env("at", "")
            .env("self", "x\ny")
            .env("found", "a b");
        assert_eq!(command.output().unwrap().code(), 21);
        let text = std::fs::read_to_string(npm_.sandbox.root().join("environment")).unwrap();
        let mut entries: Vec<String> = text.split('\0').map(str::to_owned).collect();
        // What a shell sets itself, and what differs from run to run.
        entries.retain(|entry| {
            !["PWD=", "OLDPWD=", "SHLVL=", "_=", "ACT_CLAUDE_CHAIN="].iter().any(|name| entry.starts_with(name))
        });
        entries.sort();
        entries
    };
    assert_eq!(environment(&npm_.command()), environment(&act_claude()));
}

/// Background agents are started by a path that is still there after an upgrade.
#[test]
fn the_launcher_for_background_agents_outlives_an_upgrade() {
    let Some(npm_) = installed() else { return };
    npm_.sandbox.configure_one("http://127.0.0.1:9/account/otlp/public/metrics");
    assert_eq!(npm_.sandbox.command(npm_.command()).args(["-p", "hi"]).output().unwrap().code(), 21);
    let text = std::fs::read_to_string(npm_.sandbox.root().join("environment")).unwrap();
    let launcher = text.split('\0').find_map(|entry| entry.strip_prefix("CLAUDE_CODE_PROCESS_WRAPPER=")).expect("it");
    npm_.install(&npm(crate::packages::LATER), &["--ignore-scripts"]);
    assert!(Path::new(launcher).is_absolute() && Path::new(launcher).is_file(), "{launcher}");
}
