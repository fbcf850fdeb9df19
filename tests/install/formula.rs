//! The formula for Homebrew: its syntax, and what is in it. Homebrew itself is not tried.

use std::process::Command;

use crate::packages::{TARGET, VERSION, pack, packing, releases};
use crate::support::program;
use crate::support::sandbox::{Sandbox, Text};

#[test]
fn names_each_archive_with_its_checksum() {
    if program("bash").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let mac = format!("{}  act-claude-{VERSION}-aarch64-apple-darwin.tar.gz\n", "a".repeat(64));
    let own = std::fs::read_to_string(releases().join(format!("v{VERSION}/SHA256SUMS"))).unwrap();
    let sums = sandbox.write("SHA256SUMS", own.clone() + &mac);
    let mut formula = packing("formula", VERSION);
    formula.arg("--sums").arg(sums).arg(sandbox.root()).env("RELEASE_URL", "https://releases.example/act-claude/");
    let file = &pack(&mut formula)[0];
    let text = std::fs::read_to_string(file).unwrap();
    let sum = own.split(' ').next().unwrap();
    for (target, sum) in [(TARGET, sum), ("aarch64-apple-darwin", &"a".repeat(64))] {
        let url = format!("https://releases.example/act-claude/v{VERSION}/act-claude-{VERSION}-{target}.tar.gz");
        assert!(text.contains(&format!("      url \"{url}\"\n      sha256 \"{sum}\"\n")), "{text}");
    }
    assert_eq!(text.matches("sha256").count(), 2, "only what there is: {text}");
    if program("ruby").is_some() {
        let output = Command::new("ruby").args(["-wc"]).arg(file).output().unwrap();
        assert_eq!((output.out(), output.err()), ("Syntax OK\n".to_owned(), String::new()));
    }
}

#[test]
fn without_an_address_there_is_none() {
    if program("bash").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let output = packing("formula", VERSION).arg(sandbox.root().join("out")).output().unwrap();
    assert_eq!((output.code(), output.out()), (0, String::new()));
    assert!(output.err().contains("nothing to do without RELEASE_URL"), "{}", output.err());
    assert!(!sandbox.root().join("out").exists());
}
