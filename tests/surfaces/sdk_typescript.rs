//! `@anthropic-ai/claude-agent-sdk`, in Node.

use serde_json::{Value, json};

use crate::lab::{self, VERSION};
use crate::same::assert_alike;
use crate::sdk;
use crate::support;
use crate::support::act::accepted;
use crate::support::client::Lab;
use crate::support::pty::Pty;

/// Runs a scenario of sdk.mjs in the directory `billing`; `None`: skipped.
fn run(lab: &Lab, scenario: &str, start: &str) -> Option<Vec<Value>> {
    let node = support::program("node")?;
    let sdk = lab::installed("npm/node_modules/@anthropic-ai/claude-agent-sdk/sdk.mjs")?;
    let mut command = lab.sandbox.command(node);
    command.arg(lab::script("sdk.mjs")).arg(sdk).args([scenario, start]).arg(lab.sandbox.directory("billing"));
    Some(lab::lines(&lab::finish(command)))
}

#[test]
fn its_messages_are_the_same_and_exports_arrive_under_the_alias_of_cwd() {
    sdk::assert_same_messages(run);
}

#[test]
fn the_claude_in_its_package_runs_through_act_claude() {
    sdk::assert_own_claude(run, "spawned");
}

/// The application's own `settings` and the vendor's recipe in the user's: exports still arrive under the alias.
#[test]
fn settings_of_the_application_and_of_the_user_stay_and_exports_arrive() {
    let Some(lab) = lab::lab(VERSION) else { return };
    lab::recipe_in_settings(&lab);
    let Some(bare) = run(&lab, "settings", lab.claude.to_str().unwrap()) else { return };
    assert!(lab.act.wait_for(1)[0].path.contains(lab::RECIPE), "the premise");
    // A script that becomes act-claude, as npm's may.
    let stub = lab.sandbox.script("stub", "#!/bin/sh\nexec act-claude \"$@\"\n").display().to_string();
    for start in ["act-claude", "spawned", &stub] {
        let Some(ours) = run(&lab, "settings", start) else { return };
        lab::assert_reported(&lab, &ours, "billing");
        assert_alike(ours, bare.clone(), start);
    }
}

/// Settings of a repository that would lead telemetry, the program and act-claude's own files elsewhere.
#[test]
fn a_hostile_repository_changes_nothing() {
    let Some(lab) = lab::lab(VERSION) else { return };
    let env = json!({
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": lab.act.endpoint_of(lab::RECIPE), "OTEL_METRICS_EXPORTER": "none",
        "CLAUDE_CODE_ENABLE_TELEMETRY": "0", "OTEL_EXPORTER_OTLP_HEADERS": "X-Alias-Id=id-evil", "HOME": "/nowhere",
        "PATH": "/nowhere", "ACT_CLAUDE_BIN": "/bin/false", "ACT_CLAUDE_ALIAS": "web", "ACT_CLAUDE_CONFIG": "/nowhere"
    });
    let settings = json!({"env": env, "otelHeadersHelper": "/bin/false"});
    lab.sandbox.write("billing/.claude/settings.json", settings.to_string());
    let Some(bare) = run(&lab, "once", lab.claude.to_str().unwrap()) else { return };
    let Some(ours) = run(&lab, "once", "act-claude") else { return };
    lab::assert_reported(&lab, &ours, "billing");
    assert!(lab.act.requests().iter().all(|it| !it.path.contains(lab::RECIPE)), "{:?}", lab.act.requests());
    assert_alike(ours, bare, "all else");
}

#[test]
fn a_failure_is_one_line_in_the_callback_for_standard_error() {
    let Some(lab) = sdk::assert_failure_is_one_line(run) else { return };

    // The application may have shown that line to nobody: the next run in a terminal has it, once.
    lab.act.answer(accepted());
    let run = || {
        let (status, screen) = Pty::start(lab.act_claude("web", &["-p", "hi"])).finish();
        assert_eq!(status.code(), Some(0), "{screen}");
        screen.replace('\n', "")
    };
    let named = "a session in ~/billing: billing: ";
    let first = run();
    assert!(first.contains(named), "{first}");
    let second = run();
    assert!(second.contains("web: ") && !second.contains("billing"), "{second}");
}

/// The application gives up in the middle of an answer.
#[test]
fn an_abort_ends_claude_and_what_it_sent_arrives() {
    let Some(lab) = lab::lab(VERSION) else { return };
    let Some(bare) = run(&lab, "abort", lab.claude.to_str().unwrap()) else { return };
    let Some(ours) = run(&lab, "abort", "act-claude") else { return };
    assert!(ours.last().is_some_and(|line| line["error"].to_string().contains("abort")), "{ours:#?}");
    lab::assert_reported(&lab, &ours, "billing");
    assert_alike(ours, bare, "abort");
}

/// A spare waits in a directory of its own, and moves to the session's: that one decides.
#[test]
fn a_spare_reports_under_the_alias_of_the_directory_it_is_claimed_for() {
    let Some(lab) = lab::lab(VERSION) else { return };
    let Some(bare) = run(&lab, "spare", lab.claude.to_str().unwrap()) else { return };
    let Some(ours) = run(&lab, "spare", "act-claude") else { return };
    lab::assert_reported(&lab, &ours, "billing");
    assert_alike(ours, bare, "a spare");
    assert_eq!(lab::newest(&lab)["directory"], lab.sandbox.directory("billing").display().to_string());
}

/// Several sessions at once in one process of the application.
#[test]
fn sessions_side_by_side_report_under_the_alias_of_their_own_directories() {
    let Some(lab) = lab::lab(VERSION) else { return };
    let Some(ours) = run(&lab, "parallel", "act-claude") else { return };
    for name in ["billing", "web"] {
        let directory = lab.sandbox.directory(name).display().to_string();
        let sessions = ours.iter().filter(|line| line["cwd"] == directory.as_str());
        let sessions: Vec<&str> = sessions.filter_map(|line| line["session_id"].as_str()).collect();
        assert_eq!(sessions.len(), 2, "{ours:#?}");
        for session in sessions {
            assert_eq!(lab::aliases_of(&lab, session), [format!("id-{name}")], "{session}");
        }
    }
}
