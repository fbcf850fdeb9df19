//! What is true of the Agent SDK in each of its languages: a scenario of its script sees the same without act-claude and with
//! it.

use serde_json::Value;

use crate::lab::{self, VERSION};
use crate::same::assert_alike;
use crate::support::act::refused;
use crate::support::client::Lab;

/// Runs a scenario of the language's script, which starts the given program; `None`: skipped.
pub type Run = fn(&Lab, scenario: &str, start: &str) -> Option<Vec<Value>>;

/// Several scenarios, each without act-claude and with it.
pub fn assert_same_messages(run: Run) {
    let Some(lab) = lab::lab(VERSION) else { return };
    for scenario in ["once", "turns", "interrupt", "resume"] {
        let Some(bare) = run(&lab, scenario, lab.claude.to_str().unwrap()) else { return };
        let Some(ours) = run(&lab, scenario, "act-claude") else { return };
        lab::assert_premise(&lab, scenario, &ours);
        lab::assert_reported(&lab, &ours, "billing");
        assert_alike(ours, bare, scenario);
    }
}

/// The SDK's own claude runs where `start` is used, and not another on PATH.
pub fn assert_own_claude(run: Run, start: &str) {
    let Some(mut lab) = lab::lab(VERSION) else { return };
    lab::forbid_claude_on_path(&mut lab);
    let Some(bare) = run(&lab, "interrupt", "bundled") else { return };
    let Some(ours) = run(&lab, "interrupt", start) else { return };
    lab::assert_premise(&lab, "interrupt", &ours);
    lab::assert_reported(&lab, &ours, "billing");
    assert_alike(ours, bare, "its own claude");
}

/// ACT refuses the exports: the callback for standard error gets one line, after claude's end, and nothing else changes. Returns
/// the lab, in which ACT still refuses.
pub fn assert_failure_is_one_line(run: Run) -> Option<Lab> {
    let lab = lab::lab(VERSION)?;
    let bare = run(&lab, "once", lab.claude.to_str().unwrap())?;
    lab.act.answer(refused(401, "Unauthorized"));
    let mut ours = run(&lab, "once", "act-claude")?;
    lab::take_failure(&mut ours);
    assert_alike(ours, bare, "all else");
    assert_eq!(lab::newest(&lab)["state"], "held");
    Some(lab)
}
