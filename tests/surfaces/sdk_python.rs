//! `claude-agent-sdk`, in Python.

use serde_json::Value;

use crate::lab;
use crate::sdk;
use crate::support::client::Lab;

/// Runs a scenario of sdk.py in the directory `billing`; `None`: skipped.
fn run(lab: &Lab, scenario: &str, start: &str) -> Option<Vec<Value>> {
    let mut command = lab.sandbox.command(lab::installed("python/bin/python")?);
    command.arg(lab::script("sdk.py")).args([scenario, start]).arg(lab.sandbox.directory("billing"));
    Some(lab::lines(&lab::finish(command)))
}

#[test]
fn its_messages_are_the_same_and_exports_arrive_under_the_alias_of_cwd() {
    sdk::assert_same_messages(run);
}

#[test]
fn the_claude_in_its_wheel_runs_through_act_claude() {
    sdk::assert_own_claude(run, "own");
}

#[test]
fn a_failure_is_one_line_in_the_callback_for_standard_error() {
    let _ = sdk::assert_failure_is_one_line(run);
}
