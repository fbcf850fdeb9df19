//! `claude-agent-sdk`, in Python.

use serde_json::Value;

use crate::lab::{self, VERSION};
use crate::same::assert_alike;
use crate::support::act::refused;
use crate::support::client::Lab;

/// Runs a scenario of sdk.py in the directory `billing`; `None`: skipped.
fn run(lab: &Lab, scenario: &str, start: &str) -> Option<Vec<Value>> {
    let mut command = lab.sandbox.command(lab::installed("python/bin/python")?);
    command.arg(lab::script("sdk.py")).args([scenario, start]).arg(lab.sandbox.directory("billing"));
    Some(lab::lines(&lab::finish(command)))
}

/// Several scenarios, each without act-claude and with it.
#[test]
fn its_messages_are_the_same_and_exports_arrive_under_the_alias_of_cwd() {
    let Some(lab) = lab::lab(VERSION) else { return };
    for scenario in ["once", "turns", "interrupt", "resume"] {
        let Some(bare) = run(&lab, scenario, lab.claude.to_str().unwrap()) else { return };
        let Some(ours) = run(&lab, scenario, "act-claude") else { return };
        lab::assert_premise(&lab, scenario, &ours);
        lab::assert_reported(&lab, &ours, "billing");
        assert_alike(ours, bare, scenario);
    }
}

/// The SDK's own claude runs, and not another on PATH.
#[test]
fn the_claude_in_its_wheel_runs_through_act_claude() {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    lab::forbid_claude_on_path(&mut lab);
    let Some(bare) = run(&lab, "interrupt", "bundled") else { return };
    let Some(ours) = run(&lab, "interrupt", "own") else { return };
    lab::assert_premise(&lab, "interrupt", &ours);
    lab::assert_reported(&lab, &ours, "billing");
    assert_alike(ours, bare, "its own claude");
}

/// ACT refuses the exports: the callback for standard error gets one line, after claude's end, and nothing else changes.
#[test]
fn a_failure_is_one_line_in_the_callback_for_standard_error() {
    let Some(lab) = lab::lab(VERSION) else { return };
    let Some(bare) = run(&lab, "once", lab.claude.to_str().unwrap()) else { return };
    lab.act.answer(refused(401, "Unauthorized"));
    let Some(mut ours) = run(&lab, "once", "act-claude") else { return };
    lab::take_failure(&mut ours);
    assert_alike(ours, bare, "all else");
    assert_eq!(lab::newest(&lab)["state"], "held");
}
