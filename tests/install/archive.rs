//! The archive.

use std::collections::BTreeSet;
use std::process::Command;

use crate::packages::{TARGET, VERSION, built, pack, packing, releases, top};
use crate::support::program;
use crate::support::sandbox::{Sandbox, Text};

#[test]
fn has_all_files_and_the_same_bytes_each_time() {
    if program("tar").is_none() || program("bash").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let name = format!("act-claude-{VERSION}-{TARGET}");
    let archive = releases().join(format!("v{VERSION}/{name}.tar.gz"));
    let again = pack(packing("tarball", VERSION).arg(sandbox.root()).env("TZ", "Asia/Tokyo").env("LC_ALL", "C.UTF-8"));
    assert!(std::fs::read(&archive).unwrap() == std::fs::read(&again[0]).unwrap(), "the same bytes");
    let at_a_time = pack(packing("tarball", VERSION).arg(sandbox.root()).env("SOURCE_DATE_EPOCH", "86400"));

    let list = |verbose: &str, archive| {
        let output =
            Command::new("tar").args([verbose, "--numeric-owner", "-f"]).arg(archive).env("TZ", "UTC").output();
        output.unwrap().out()
    };
    let listed: Vec<String> = list("-tvz", &at_a_time[0]).lines().map(str::to_owned).collect();
    for line in &listed {
        let is_ordinary =
            ["drwxr-xr-x 0/0 ", "-rw-r--r-- 0/0 ", "-rwxr-xr-x 0/0 "].iter().any(|start| line.starts_with(start));
        assert!(is_ordinary && line.contains(" 1970-01-02 00:00 "), "{line}");
    }
    assert_eq!(listed.iter().filter(|line| line.starts_with("-rwx")).count(), 1, "one program: {listed:?}");

    let files: BTreeSet<String> = list("-tz", &archive).lines().map(str::to_owned).collect();
    let mut expected: Vec<String> = std::fs::read_dir(top().join("docs"))
        .unwrap()
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().display()))
        .collect();
    for file in [
        "act-claude",
        "man/act-claude.1",
        "completions/act-claude.bash",
        "completions/_act-claude",
        "completions/act-claude.fish",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
    ] {
        expected.push(file.to_owned());
    }
    for directory in ["", "docs/", "man/", "completions/"] {
        expected.push(directory.to_owned());
    }
    assert_eq!(files, expected.iter().map(|file| format!("{name}/{file}")).collect());

    let program = Command::new("tar").arg("-xzOf").arg(&archive).arg(format!("{name}/act-claude")).output().unwrap();
    assert!(program.stdout == std::fs::read(built(VERSION)).unwrap());
}
