//! The adapter of the Agent Client Protocol that editors such as Zed start: `@agentclientprotocol/claude-agent-acp`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::lab::{self, VERSION};
use crate::same::assert_alike;
use crate::support;
use crate::support::client::Lab;
use crate::support::messages::HELLO;

/// One session in the directory `web`; `None`: skipped.
fn run(lab: &Lab, executable: &str) -> Option<Vec<Value>> {
    let node = support::program("node")?;
    let adapter = lab::installed("npm/node_modules/@agentclientprotocol/claude-agent-acp/dist/index.js")?;
    let mut command = lab.sandbox.command(node);
    command.arg(lab::script("acp.mjs")).arg(adapter).arg(lab.sandbox.directory("web"));
    command.env("CLAUDE_CODE_EXECUTABLE", executable);
    Some(lab::lines(&lab::finish(command)))
}

fn session(printed: &[Value]) -> String {
    let session = printed.iter().find_map(|line| line["result"]["sessionId"].as_str());
    session.unwrap_or_else(|| panic!("no session: {printed:#?}")).to_owned()
}

/// The messages in an order of their own: some notifications come twice, or before or after an answer, as it happens.
fn sorted(printed: &[Value]) -> Vec<Value> {
    let session = session(printed);
    let texts: BTreeSet<String> = printed.iter().map(|line| line.to_string().replace(&session, "its id")).collect();
    texts.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
}

/// The process starts in the home, as an editor does; the session is in another directory.
#[test]
fn its_messages_are_the_same_and_exports_arrive_under_the_alias_of_the_session() {
    let Some(lab) = lab::lab(VERSION) else { return };
    // The adapter has claude read the user's settings.
    lab::recipe_in_settings(&lab);
    let Some(bare) = run(&lab, lab.claude.to_str().unwrap()) else { return };
    let Some(ours) = run(&lab, support::act_claude().to_str().unwrap()) else { return };
    assert!(lab.act.wait_for(1)[0].path.contains(lab::RECIPE), "the premise");
    for expected in [HELLO, "end_turn", r#"{"ended":{"code":0,"signal":null}}"#] {
        assert!(ours.iter().any(|line| line.to_string().contains(expected)), "{expected}: {ours:#?}");
    }
    lab::assert_reported(&lab, &[json!({"session_id": session(&ours)})], "web");
    assert_alike(sorted(&ours), sorted(&bare), "the adapter's messages");
}
