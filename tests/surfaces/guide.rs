//! docs/sdk.md: its two programs run as they stand there, with the claude that the SDK bundles.

use std::process::Command;

use crate::lab::{self, VERSION};
use crate::support;
use crate::support::client::Lab;
use crate::support::messages::HELLO;
use crate::support::sandbox::Text;

/// The block of this language in docs/sdk.md, for the directory `billing`, as a file in the sandbox.
fn block(lab: &Lab, language: &str, name: &str) -> std::path::PathBuf {
    let guide = include_str!("../../docs/sdk.md");
    let (_, rest) = guide.split_once(&format!("```{language}\n")).expect("a block");
    let (block, _) = rest.split_once("```").expect("its end");
    let billing = lab.sandbox.directory("billing").display().to_string();
    assert!(block.contains("/home/you/work/billing"), "{block}");
    lab.sandbox.write(name, block.replace("/home/you/work/billing", &billing))
}

fn check(lab: &Lab, command: Command) {
    let output = lab::finish(command);
    assert_eq!((output.out(), output.err(), output.code()), (format!("{HELLO}\n"), String::new(), 0));
    let exports = lab.act.wait_for(1);
    assert_eq!(exports[0].header("x-alias-id"), Some("id-billing"));
}

#[test]
fn the_program_in_typescript_runs_as_it_stands_there() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    lab::forbid_claude_on_path(&mut lab);
    let (Some(node), Some(modules)) = (support::program("node"), lab::installed("npm/node_modules")) else { return };
    let file = block(&lab, "js", "app/main.mjs");
    std::os::unix::fs::symlink(modules, file.with_file_name("node_modules")).unwrap();
    let mut command = lab.sandbox.command(node);
    command.arg(file);
    check(&lab, command);
}

#[test]
fn the_program_in_python_runs_as_it_stands_there() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    lab::forbid_claude_on_path(&mut lab);
    let Some(python) = lab::installed("python/bin/python") else { return };
    let file = block(&lab, "python", "app/main.py");
    let mut command = lab.sandbox.command(python);
    command.arg(file);
    check(&lab, command);
}
