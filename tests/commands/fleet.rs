//! docs/fleet.md: a company's configuration in the system directory, and an OpenTelemetry Collector as the endpoint.
//! This file runs every command block of it.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::act::{Act, metric_names, resource_attributes};
use crate::support::receivers::Rotel;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{self, eventually, fake_claude, network, system};

const FLEET: &str = include_str!("../../docs/fleet.md");

/// The first block of this kind in a section.
fn block(section: &str, kind: &str) -> &'static str {
    let section = FLEET.split(&format!("\n## {section}\n")).nth(1).unwrap_or_else(|| panic!("no section {section}"));
    let section = section.split("\n## ").next().unwrap();
    let block = section.split(&format!("```{kind}\n")).nth(1).unwrap_or_else(|| panic!("no {kind} block"));
    block.split("```").next().unwrap()
}

/// The system configuration of the docs with another `endpoint`.
fn system_configuration(endpoint: &str) -> String {
    let printed = block("The system configuration", "json");
    let mut config: Value = serde_json::from_str(printed).expect("JSON");
    config["accounts"]["acme"]["endpoint"] = json!(endpoint);
    config.to_string()
}

fn in_company(sandbox: &Sandbox, endpoint: &str, directory: &str, args: &[&str]) -> Option<Command> {
    let mut command = sandbox.act_claude(args);
    command.current_dir(sandbox.directory(directory));
    system::with_files(sandbox, &[("/etc/act-claude/config.json", &system_configuration(endpoint))], &command)
}

#[test]
fn a_company_s_defaults_apply_until_a_user_replaces_them() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print claude ran\npost\nexit 0");
    sandbox.set("ACT_CLAUDE_REPORT", "always");
    let run =
        |sandbox: &Sandbox, args: &[&str]| Some(in_company(sandbox, &act.endpoint(), "work", args)?.output().unwrap());
    // Without a token no session starts, because telemetry is required. The message names the variable where the token
    // is expected.
    let Some(output) = run(&sandbox, &["-p", "hi"]) else { return };
    assert_eq!((output.code(), output.out().as_str()), (78, ""), "{}", output.err());
    assert!(output.err().contains("ACT_TOKEN"), "{}", output.err());
    sandbox.set("ACT_TOKEN", "t-company");
    let output = run(&sandbox, &["-p", "hi"]).unwrap();
    assert_eq!((output.code(), output.out().as_str()), (0, "claude ran\n"), "{}", output.err());
    assert!(output.err().contains("company: 1 export delivered"), "{}", output.err());
    assert_eq!(act.wait_for(1)[0].header("x-alias-id"), Some("EXT-ACCOUNT-ALIAS-ID"));

    // A guard rail: no user file and no flag lifts the requirement.
    sandbox.configure(&json!({"required": false}));
    let output = run(&sandbox, &["--no-act", "-p", "hi"]).unwrap();
    assert_eq!(output.code(), 78);
    assert!(output.err().contains("required by /etc/act-claude/config.json"), "{}", output.err());
    // It is no security boundary: the user can run claude directly without telemetry.
    let claude = sandbox.command(sandbox.root().join("fake/claude")).output().unwrap();
    assert_eq!(claude.out(), "claude ran\n");

    // Users may replace entries, one by one.
    let mut account = json!({"user": "dev@acme.com", "token": {"env": "OWN_TOKEN"}});
    account["endpoint"] = json!(act.endpoint());
    sandbox.configure(&json!({"accounts": {"acme": account}, "directories": {"~/work": "company"}}));
    sandbox.set("OWN_TOKEN", "t-own");
    let output = run(&sandbox, &["-p", "hi"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    let requests = act.wait_for(2);
    assert_eq!(support::act::credential(&requests[1]), "BOOMI_TOKEN.dev@acme.com:t-own");
    // `act setup` adds a user's account for a company's alias, and writes only the user's file.
    let setup = [
        "act",
        "setup",
        "--account",
        "acme",
        "--user",
        "me@acme.com",
        "--token-env",
        "OWN_TOKEN",
        "--yes",
        "--no-check",
    ];
    let output = run(&sandbox, &setup).unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    assert_eq!(config["accounts"]["acme"]["user"], "me@acme.com");
}

/// A new user, a clone, a token: the first session is reported under the repository's alias.
#[test]
fn rules_by_repository_need_nothing_of_a_new_user() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print claude ran\npost\nexit 0");
    sandbox.set("ACT_TOKEN", "t-company");
    let mut config: Value = serde_json::from_str(&system_configuration(&act.endpoint())).unwrap();
    config["aliases"]["billing"] = json!({"account": "acme", "id": "id-billing", "provider_type": "P"});
    config["repositories"] = json!({"github.com/acme/billing": "billing"});
    let clone = sandbox.directory("src/here/billing");
    for args in [&["init", "-q"][..], &["remote", "add", "origin", "git@github.com:acme/billing.git"]] {
        assert!(sandbox.command("git").args(args).current_dir(&clone).status().unwrap().success());
    }
    let mut command = sandbox.act_claude(&["-p", "hi"]);
    command.current_dir(clone);
    let files = [("/etc/act-claude/config.json", &*config.to_string())];
    let Some(mut command) = system::with_files(&sandbox, &files, &command) else { return };
    let output = command.output().unwrap();
    assert_eq!((output.code(), output.out().as_str()), (0, "claude ran\n"), "{}", output.err());
    assert_eq!(act.wait_for(1)[0].header("x-alias-id"), Some("id-billing"));
}

/// The set-up of a dev container or CI as the docs show it: a script without a terminal, the token in a variable.
#[test]
fn containers_and_ci() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print claude ran\npost\nexit 0");
    sandbox.path_first(support::act_claude().parent().unwrap());
    for (name, value) in [("ACT_USER", "ci@acme.com"), ("ACT_TOKEN", "t-ci"), ("CI", "true")] {
        sandbox.set(name, value);
    }
    for section in ["Dev containers", "CI"] {
        let script = block(section, "sh").replace("https://agentcontroltower.boomi.com", &act.origin());
        // A placeholder is refused.
        let script = script.replace("ACCOUNT-ID", "acme-A1B2C3").replace("EXT-ACCOUNT-ALIAS-ID", "id-ci");
        sandbox.directory("work/billing");
        let before = act.requests().len();
        let output = sandbox.command("sh").args(["-eu", "-c", &script]).output().unwrap();
        assert_eq!(output.code(), 0, "{section}: {} {}", output.out(), output.err());
        let exports = eventually("an export", || {
            let requests = act.requests();
            let exports = requests[before..].iter().filter(|request| request.json()["resourceMetrics"] != json!([]));
            let ids: Vec<_> = exports.map(|request| request.header("x-alias-id").unwrap().to_owned()).collect();
            (!ids.is_empty()).then_some(ids)
        });
        assert!(exports.iter().all(|id| id == "id-ci"), "{section}: {exports:?}");
    }
}

/// The collector's configuration from the docs: its answer counts as ACT's, and it forwards the exports.
#[test]
fn a_collector_as_the_endpoint() {
    if !network::isolate() {
        return;
    }
    let upstream = Act::start();
    let header = Some("Authorization=Basic Y29tcGFueQ==");
    let Some(_rotel) = Rotel::forwarding(|| 4318, &upstream.endpoint(), header) else { return };
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "post\nexit 0");
    sandbox.set("ACT_CLAUDE_REPORT", "always");
    sandbox.set("COLLECTOR_TOKEN", "t-collector");
    sandbox.write(".config/act-claude/config.json", block("An OpenTelemetry Collector as the endpoint", "json"));
    let output = sandbox.act_claude(&["-p", "hi"]).current_dir(sandbox.directory("work")).output().unwrap();
    let said = output.err();
    assert!(said.starts_with("act-claude: billing: 1 export delivered (2 points)\n"), "{said}");
    // The collector forwards claude's data with the alias's attributes.
    let request = &upstream.wait_for(1)[0];
    assert_eq!(request.header("authorization"), Some("Basic Y29tcGFueQ=="), "the collector's own credential");
    let text = String::from_utf8_lossy(&request.body()).into_owned();
    match serde_json::from_slice::<Value>(&request.body()) {
        Ok(body) => {
            assert_eq!(resource_attributes(&body)["providerType"], "CUSTOM_PROVIDER");
            assert!(!metric_names(&body).is_empty());
        }
        // Protocol Buffers contain strings unencoded.
        Err(_) => {
            for expected in ["providerType", "CUSTOM_PROVIDER", "claude_code."] {
                assert!(text.contains(expected), "{expected}: {text}");
            }
        }
    }
}
