//! `@anthropic-ai/claude-agent-sdk`, in Node.

use serde_json::Value;

use crate::lab::{self, VERSION};
use crate::same::assert_alike;
use crate::support;
use crate::support::client::Lab;

/// Runs a scenario of sdk.mjs in the directory `billing`; `None`: skipped.
fn run(lab: &Lab, scenario: &str, start: &str) -> Option<Vec<Value>> {
    let node = support::program("node")?;
    let sdk = lab::installed("npm/node_modules/@anthropic-ai/claude-agent-sdk/sdk.mjs")?;
    let mut command = lab.sandbox.command(node);
    command.arg(lab::script("sdk.mjs")).arg(sdk).args([scenario, start]).arg(lab.sandbox.directory("billing"));
    Some(lab::lines(&lab::finish(command)))
}

/// Several scenarios, each without act-claude and with it.
#[test]
fn its_messages_are_the_same_and_exports_arrive_under_the_alias_of_cwd() {
    let Some(lab) = lab::lab(VERSION) else { return };
    for scenario in ["once", "turns", "interrupt", "resume"] {
        let Some(bare) = run(&lab, scenario, lab.claude.to_str().unwrap()) else { return };
        let Some(ours) = run(&lab, scenario, "act-claude") else { return };
        lab::assert_reported(&lab, &ours, "billing");
        assert_alike(ours, bare, scenario);
    }
}
