//! Settings that would override our variables are overridden for one session and never changed. The user's own
//! `--settings` stays in effect, and the resume line that claude prints at its end works with and without act-claude.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::act::resource_attributes;
use crate::support::client::{self, Lab};
use crate::support::pty::Pty;
use crate::support::sandbox::{Text, snapshot};

/// The guide's user-level recipe, for another alias.
pub fn recipe(lab: &Lab) -> Value {
    json!({"env": {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": lab.act.endpoint(),
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic eDp5,X-Alias-Id=id-of-the-recipe,Origin=https://claude.ai",
        "OTEL_RESOURCE_ATTRIBUTES": "providerType=RECIPE,operation=InvokeAgent,promptType=Interactive",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"
    }})
}

/// A rule and a hook that show whether settings are in effect.
fn own_settings(lab: &Lab) -> (PathBuf, String) {
    let hook = json!([{"hooks": [{"type": "command", "command": "touch ~/hook-ran"}]}]);
    let text = json!({"permissions": {"deny": ["Bash"]}, "hooks": {"UserPromptSubmit": hook}}).to_string();
    (lab.sandbox.write("own settings.json", &text), text)
}

fn lab(version: &'static str) -> Option<Lab> {
    let lab = Lab::start(version, &["project"])?;
    lab.sandbox.configure_one(&lab.act.endpoint());
    lab.sandbox.write(".claude/settings.json", recipe(&lab).to_string());
    Some(lab)
}

/// The settings files of the user and the project.
fn settings_files(lab: &Lab) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = snapshot(&lab.sandbox.home());
    files.retain(|path, _| path.to_string_lossy().contains("settings") && !path.starts_with(lab.sandbox.state()));
    files
}

fn overlays(lab: &Lab) -> Vec<(PathBuf, String)> {
    let files = snapshot(&lab.sandbox.state().join("overlay"));
    files.into_iter().map(|(path, content)| (path, String::from_utf8(content).unwrap())).collect()
}

/// Asserts that at least one export arrived since `before`, and that all have the mapped alias.
fn assert_billing(lab: &Lab, before: usize, what: &str) {
    let requests = lab.act.wait_for(before + 1);
    for request in &requests[before..] {
        assert_eq!(request.header("x-alias-id"), Some("id-billing"), "{} {what}", lab.version);
        let attributes = resource_attributes(&request.json());
        assert_eq!(attributes.get("providerType").map(String::as_str), Some("CUSTOM_PROVIDER"), "{what}");
    }
}

/// Whether the hook ran and whether the Bash call was denied, since the last call of this function.
fn in_effect(lab: &Lab) -> (bool, bool) {
    let gone = |name: &str| std::fs::remove_file(lab.sandbox.home().join(name)).is_ok();
    (gone("hook-ran"), !gone("tool-ran"))
}

#[test]
fn the_mapped_alias_wins_and_the_users_own_settings_stay() {
    for version in client::BOTH {
        let Some(lab) = lab(version) else { return };
        lab.messages.call_bash("touch ~/tool-ran");
        let (file, text) = own_settings(&lab);
        let file = file.to_str().unwrap();
        let (files, joined) = (settings_files(&lab), format!("--settings={file}"));
        for (own, expected) in [
            (&[][..], (false, false)),
            (&["--settings", file], (true, true)),
            (&["--settings", &text], (true, true)),
            (&[&joined], (true, true)),
            (&["--settings", "{}", "--settings", file], (true, true)),
        ] {
            let args = [own, &["-p", "hi", "--allowedTools", "Bash"]].concat();
            let before = lab.act.requests().len();
            let output = lab.act_claude("project", &args).output().unwrap();
            assert_eq!(
                (output.out().as_str(), output.code()),
                ("hello there\n", 0),
                "{version} {args:?} {}",
                output.err()
            );
            assert_eq!(output.err(), "", "{version} {args:?}");
            assert_billing(&lab, before, &format!("{own:?}"));
            assert_eq!(in_effect(&lab), expected, "{version} {own:?}: (hook ran, Bash denied)");
            assert_eq!(settings_files(&lab), files, "{version} {own:?}");
        }
        let kept: Vec<String> = overlays(&lab).into_iter().map(|(_, content)| content).collect();
        let mut expected = [text.clone(), text.clone(), text.clone(), text, "{}".to_owned()];
        expected.sort();
        let mut kept_sorted = kept.clone();
        kept_sorted.sort();
        assert_eq!(kept_sorted, expected, "{version}");
    }
}

#[test]
fn without_a_conflict_no_argument_is_added() {
    let Some(lab) = Lab::start(client::NEW, &["project"]) else { return };
    lab.sandbox.configure_one(&lab.act.endpoint());
    // Settings that the relay corrects or accepts anyway are no conflict.
    let env = json!({"OTEL_RESOURCE_ATTRIBUTES": "team=x", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_METRIC_EXPORT_INTERVAL": "10000"});
    lab.sandbox.write("project/.claude/settings.json", json!({"env": env}).to_string());
    let output = lab.act_claude("project", &["-p", "hi"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("hello there\n", 0), "{}", output.err());
    assert_billing(&lab, 0, "gzip");
    assert_eq!(resource_attributes(&lab.act.requests()[0].json()).get("team").map(String::as_str), Some("x"));
    assert_eq!(overlays(&lab), []);
}

/// Sends one prompt, quits, and returns the arguments of the resume line that claude prints at its end.
fn interactive(lab: &Lab, args: &[&str]) -> Vec<String> {
    let mut command = lab.act_claude("project", args);
    command.env("ACT_CLAUDE_REPORT", "never");
    let mut terminal = Pty::start(command);
    terminal.resize(50, 400);
    terminal.wait_until("a prompt", |screen| screen.contains("? for shortcuts") || screen.contains("❯"));
    terminal.send("hi");
    terminal.wait_for("hi");
    terminal.send("\r");
    terminal.wait_for("hello there");
    terminal.send("/exit");
    terminal.wait_for("/exit");
    terminal.send("\r");
    let (status, screen) = terminal.finish();
    assert!(status.success(), "{status}\n{screen}");
    let line = screen
        .lines()
        .find(|line| line.trim().starts_with("claude --"))
        .unwrap_or_else(|| panic!("no hint:\n{screen}"));
    let words = line.trim().strip_prefix("claude ").expect("the command");
    words.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_resume_line_works_with_and_without_act_claude() {
    for version in client::BOTH {
        let Some(lab) = lab(version) else { return };
        let (file, text) = own_settings(&lab);
        let hint = interactive(&lab, &["--settings", file.to_str().unwrap()]);
        assert_billing(&lab, 0, "the session");
        assert!(in_effect(&lab).0, "{version}: the hook");
        // The older client prints no settings in that line, so only the rest is checked.
        let named = version == client::NEW;
        assert_eq!(hint.contains(&"--settings".to_owned()), named, "{version} {hint:?}");
        if named {
            assert_eq!(hint[0], "--settings", "{hint:?}");
            assert!(Path::new(&hint[1]).starts_with(lab.sandbox.state()), "{hint:?}");
            assert_eq!(std::fs::read_to_string(&hint[1]).unwrap(), text, "{version}");
        }
        // The user moves or edits the own file: the resume line does not depend on it.
        std::fs::remove_file(&file).unwrap();
        let args: Vec<&str> = hint.iter().map(String::as_str).chain(["-p", "again"]).collect();

        let bare = lab.claude("project", &args).output().unwrap();
        assert_eq!((bare.out().as_str(), bare.code()), ("hello there\n", 0), "{version} {}", bare.err());
        assert_eq!(in_effect(&lab).0, named, "{version}: the hook, without act-claude");

        let before = lab.act.requests().len();
        let ours = lab.act_claude("project", &args).output().unwrap();
        assert_eq!((ours.out().as_str(), ours.code()), ("hello there\n", 0), "{version} {}", ours.err());
        assert_eq!(in_effect(&lab).0, named, "{version}: the hook, with act-claude");
        assert_billing(&lab, before, "the resumed session");
        let kept: Vec<String> = overlays(&lab).into_iter().map(|(_, content)| content).collect();
        let expected = if named { [text.clone(), text] } else { [text, "{}".to_owned()] };
        assert!(kept.len() == 2 && expected.iter().all(|content| kept.contains(content)), "{version}: {kept:?}");
    }
}
