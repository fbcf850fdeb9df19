//! Two accounts, three directories, both real clients, both delivery modes: each session is reported under the alias of
//! its directory and otherwise behaves as claude.

use std::process::Command;

use serde_json::json;

use crate::support::act::{credential, metric_names, resource_attributes};
use crate::support::client::{self, Lab};
use crate::support::sandbox::{TOKEN, Text, USER, snapshot};

const OTHER_TOKEN: &str = "canary-7e44-other";

fn configure(lab: &Lab) {
    let acme = lab.sandbox.account(&lab.act.endpoint_of("acme-A1"));
    let other = json!({"endpoint": lab.act.endpoint_of("other-B2"), "user": "me@other.com", "token": {"command": ["echo", OTHER_TOKEN]}});
    let alias = |account: &str, id: &str, kind: &str| json!({"account": account, "id": id, "provider_type": kind});
    lab.sandbox.configure(&json!({
        "accounts": {"acme": acme, "other": other},
        "aliases": {
            "billing": alias("acme", "id-billing", "CUSTOM_PROVIDER"), "web": alias("acme", "id-web", "WEB_PROVIDER"),
            "labs": alias("other", "id-labs", "LAB_PROVIDER")
        },
        "directories": {"~/billing": "billing", "~/web": "web", "~/labs": "labs"}
    }));
}

/// Runs the client without and with act-claude. Both runs must give the same result, and the one export must have the
/// alias's data.
fn check(lab: &Lab, act_claude: &mut Command, directory: &str, alias: &str) {
    let bare = lab.claude(directory, &["-p", "hi"]).output().unwrap();
    let before = lab.act.requests().len();
    let ours = act_claude.output().unwrap();
    assert_eq!((ours.out(), ours.err(), ours.code()), (bare.out(), bare.err(), bare.code()), "{} {alias}", lab.version);
    assert_eq!(bare.out(), "hello there\n");
    let requests = lab.act.wait_for(before + 1);
    let (id, account, kind, user, token) = match alias {
        "billing" => ("id-billing", "acme-A1", "CUSTOM_PROVIDER", USER, TOKEN),
        "web" => ("id-web", "acme-A1", "WEB_PROVIDER", USER, TOKEN),
        "labs" => ("id-labs", "other-B2", "LAB_PROVIDER", "me@other.com", OTHER_TOKEN),
        _ => panic!("{alias}"),
    };
    // A slow session sends more than one export. The first one has the session counter.
    assert!(metric_names(&requests[before].json()).contains(&"claude_code.session.count".to_owned()));
    for request in &requests[before..] {
        assert_eq!((request.method.as_str(), request.header("x-alias-id")), ("POST", Some(id)), "{}", lab.version);
        assert_eq!(request.path, format!("/metric-ingestion/v1/{account}/otlp/public/metrics"));
        assert_eq!(credential(request), format!("BOOMI_TOKEN.{user}:{token}"));
        assert_eq!(request.header("origin"), Some("https://claude.ai"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        let body = request.json();
        let attributes = resource_attributes(&body);
        let expected = [("providerType", kind), ("operation", "InvokeAgent"), ("promptType", "Interactive")];
        for (name, value) in expected {
            assert_eq!(attributes.get(name).map(String::as_str), Some(value), "{name} of {attributes:?}");
        }
    }
}

fn every_directory(version: &'static str, flags: &[&str]) {
    let Some(lab) = Lab::start(version, &["billing", "web", "labs"]) else { return };
    configure(&lab);
    lab.sandbox.write("web/.claude/settings.json", r#"{"permissions": {"deny": ["WebFetch"]}}"#);
    let settings = |lab: &Lab| {
        let mut files = snapshot(&lab.sandbox.home());
        files.retain(|path, _| path.to_string_lossy().contains("settings"));
        files
    };
    let before = settings(&lab);
    for directory in ["billing", "web", "labs"] {
        check(&lab, &mut lab.act_claude(directory, &[flags, &["-p", "hi"]].concat()), directory, directory);
    }
    assert_eq!(settings(&lab), before);
}

#[test]
fn each_directory_its_alias_direct() {
    client::BOTH.iter().for_each(|version| every_directory(version, &["--direct"]));
}

#[test]
fn each_directory_its_alias_relay() {
    client::BOTH.iter().for_each(|version| every_directory(version, &[]));
}

#[test]
fn what_changes_the_alias() {
    let Some(mut lab) = Lab::start(client::NEW, &["billing", "web", "labs", "web/repo", "tree"]) else { return };
    configure(&lab);
    check(&lab, &mut lab.act_claude("billing", &["--direct", "--alias", "labs", "-p", "hi"]), "billing", "labs");
    check(&lab, &mut lab.act_claude("billing", &["-p", "hi", "--alias", "web"]), "billing", "web");
    lab.sandbox.set("ACT_CLAUDE_ALIAS", "labs");
    check(&lab, &mut lab.act_claude("web", &["-p", "hi"]), "web", "labs");
    lab.sandbox.unset("ACT_CLAUDE_ALIAS");
    lab.sandbox.write("web/repo/.act-claude.json", r#"{"alias": "billing"}"#);
    check(&lab, &mut lab.act_claude("web/repo", &["-p", "hi"]), "web/repo", "billing");
    let git = |args: &[&str]| {
        let mut command = lab.sandbox.command("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args);
        assert!(command.current_dir(lab.sandbox.home().join("labs")).output().unwrap().status.success(), "{args:?}");
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    std::fs::remove_dir(lab.sandbox.home().join("tree")).unwrap();
    git(&["worktree", "add", "-q", "../tree"]);
    check(&lab, &mut lab.act_claude("tree", &["-p", "hi"]), "tree", "labs");

    let count = (lab.act.requests().len(), lab.messages.turns());
    let unknown = lab.act_claude("billing", &["--alias", "biling", "-p", "hi"]).output().unwrap();
    assert_eq!((unknown.code(), unknown.out().as_str()), (64, ""));
    let expected =
        "act-claude: --alias: there is no alias \"biling\"; did you mean \"billing\"? (known: billing, labs, web)\n";
    assert_eq!(unknown.err(), expected);
    assert_eq!((lab.act.requests().len(), lab.messages.turns()), count, "claude did not run");
}
