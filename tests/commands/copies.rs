//! Copies: each command shows what is configured, a broken one affects nothing else, and no message repeats a header's value.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};

const CANARY: &str = "glc_c4n4ry9f8e7d6c5b4a3928";

/// Two aliases and a claude.
fn sandbox(copies: &Value) -> Sandbox {
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print hello\nexit 0");
    let alias = |id: &str| json!({"account": "acme", "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account("https://act.invalid/m")},
        "aliases": {"billing": alias("1"), "web": alias("2")},
        "copies": copies,
        "directories": {"~/work": "billing", "~/web": "web"}
    }));
    sandbox.directory("work");
    sandbox.directory("web");
    sandbox
}

fn act(sandbox: &Sandbox, directory: &str, args: &[&str]) -> (String, String, i32) {
    let mut command = sandbox.act_claude(&[&["act"], args].concat());
    let output = command.current_dir(sandbox.home().join(directory)).output().unwrap();
    (output.out(), output.err(), output.code())
}

fn json_of(sandbox: &Sandbox, directory: &str, args: &[&str]) -> Value {
    let (out, err, _) = act(sandbox, directory, args);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

fn two() -> Value {
    json!({
        "grafana": {
            "endpoint": "https://otlp.example/otlp/v1/metrics", "aliases": ["billing"],
            "headers": {"Authorization": {"file": "~/grafana"}, "X-Scope-OrgID": {"env": "ORG"}}
        },
        "collector": {"endpoint": "http://collector.internal:4318/v1/metrics", "plain_http": true},
        "old": null
    })
}

/// Writes a header's value to `~/grafana`.
fn written(sandbox: &Sandbox, mode: u32) {
    let path = sandbox.write("grafana", format!("Bearer {CANARY}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn which_and_aliases_name_them() {
    let sandbox = sandbox(&two());
    let (out, ..) = act(&sandbox, "work", &["which"]);
    assert!(out.contains("delivery   relay\nalso to    collector, grafana\n"), "{out}");
    let (out, ..) = act(&sandbox, "web", &["which"]);
    assert!(out.contains("delivery   relay\nalso to    collector\n"), "{out}");
    assert_eq!(json_of(&sandbox, "work", &["which", "--json"])["copies"], json!(["collector", "grafana"]));
    let direct = json_of(&sandbox, "work", &["which", "--direct", "--json"]);
    assert_eq!(direct["copies"], json!([]));
    assert_eq!(direct["notes"], json!(["direct delivery sends no copies: nothing goes to collector, grafana"]));
    let (out, err, code) = act(&sandbox, "work", &["aliases"]);
    let line = "\nalso sent to collector (collector.internal:4318): every alias; grafana (otlp.example): billing\n";
    assert!(out.contains(line) && err.is_empty() && code == 0, "{out}{err}");
    let aliases = json_of(&sandbox, "work", &["aliases", "--json"]);
    assert_eq!(aliases["aliases"][0]["copies"], json!(["collector", "grafana"]));
    assert_eq!(aliases["aliases"][1]["copies"], json!(["collector"]));
}

#[test]
fn an_alias_that_a_copy_lists_is_moved_there_too() {
    let sandbox = sandbox(&two());
    let (_, err, code) = act(&sandbox, "work", &["aliases", "--remove", "billing"]);
    assert!(
        err.contains("billing is used by ~/work, copy grafana: act-claude act aliases --remove") && code == 64,
        "{err}"
    );
    let (_, err, code) = act(&sandbox, "work", &["aliases", "--remove", "billing", "--move-to", "web"]);
    assert_eq!((err.as_str(), code), ("", 0));
    let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    assert_eq!(config["copies"]["grafana"]["aliases"], json!(["web"]));
}

#[test]
fn without_copies_nothing_is_said() {
    let sandbox = sandbox(&json!({"old": null}));
    assert!(!act(&sandbox, "work", &["which"]).0.contains("also"));
    assert!(!act(&sandbox, "work", &["aliases"]).0.contains("also"));
    assert_eq!(json_of(&sandbox, "work", &["which", "--json"])["copies"], json!([]));
}

#[test]
fn a_broken_copy_affects_only_itself() {
    let mut copies = two();
    copies["grafana"]["aliases"] = json!(["biling"]);
    let sandbox = sandbox(&copies);
    let place = "~/.config/act-claude/config.json:27:9";
    let fault = format!("{place}: there is no alias \"biling\": did you mean \"billing\"? (known: billing, web)");
    let (out, err, code) = act(&sandbox, "work", &["which"]);
    assert!(out.contains("also to    collector\n") && out.contains(&format!("note       {fault}")), "{out}");
    assert_eq!((err.as_str(), code), ("", 0));
    let (out, err, code) = act(&sandbox, "work", &["aliases"]);
    assert!(out.contains("also sent to collector (collector.internal:4318): every alias\n"), "{out}");
    assert_eq!((err.as_str(), code), (format!("act-claude: {fault}\n").as_str(), 78));
    let findings = json_of(&sandbox, "work", &["doctor", "--json"]);
    let finding = findings["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == "configuration");
    let finding = finding.unwrap_or_else(|| panic!("{findings}"));
    assert_eq!(finding["where"].as_str().unwrap().rsplit('/').next(), Some("config.json:27:9"));
    assert_eq!(finding["effect"], "this copy gets nothing until this is corrected; ACT gets everything");
    // A session has its telemetry.
    let mut session = sandbox.act_claude(&["-p", "hi"]);
    let session = session.current_dir(sandbox.home().join("work")).output().unwrap();
    assert_eq!((session.out().as_str(), session.code()), ("hello\n", 0));
    assert!(!session.err().contains("no telemetry"), "{}", session.err());
}

#[test]
fn doctor_finds_a_header_without_its_value() {
    let mut sandbox = sandbox(&two());
    let findings = |sandbox: &Sandbox| {
        let report = json_of(sandbox, "work", &["doctor", "--json"]);
        let copies = report["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == "copy");
        copies.cloned().collect::<Vec<_>>()
    };
    let found = findings(&sandbox);
    let file = sandbox.home().join("grafana").display().to_string();
    let shown = |finding: &Value| finding.to_string().replace(&file, "~/grafana");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        shown(&found[0]).contains("the file ~/grafana for header Authorization of a copy does not exist"),
        "{found:?}"
    );
    assert_eq!(
        (found[1]["what"].as_str(), found[1]["command"].as_str(), found[1]["effect"].as_str()),
        (
            Some("the environment variable ORG, which should hold header X-Scope-OrgID of a copy, is not set"),
            Some("export ORG=…"),
            Some("copy grafana gets nothing; ACT gets everything")
        )
    );
    written(&sandbox, 0o644);
    sandbox.set("ORG", "acme");
    let found = findings(&sandbox);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(shown(&found[0]).contains("can be read by others (mode 0644)"), "{found:?}");
    assert_eq!(found[0]["command"].as_str().unwrap(), format!("chmod 600 {file}"));
    assert!(!found[0].to_string().contains(CANARY));
    written(&sandbox, 0o600);
    assert_eq!(findings(&sandbox), [] as [Value; 0]);
}

/// As with a token's: only the relay needs it.
#[test]
fn claude_does_not_get_the_variable_of_a_header() {
    let mut sandbox = sandbox(&two());
    sandbox.set("ORG", CANARY);
    sandbox.script("bin/claude", "#!/bin/sh\necho \"${ORG-none}\"\n");
    sandbox.path_first(&sandbox.home().join("bin"));
    sandbox.set("ACT_CLAUDE_BIN", sandbox.home().join("bin/claude"));
    for (directory, shown) in [("work", "none\n"), (".", &format!("{CANARY}\n"))] {
        let mut session = sandbox.act_claude(&["-p", "hi"]);
        let session = session.current_dir(sandbox.home().join(directory)).output().unwrap();
        assert_eq!((session.out().as_str(), session.code()), (shown, 0), "{directory}: {}", session.err());
    }
}

#[test]
fn no_command_repeats_a_header_s_value() {
    let with = |headers: Value| json!({"x": {"endpoint": "https://h.example/v1/metrics", "headers": headers}});
    for copies in [
        json!(CANARY),
        json!({CANARY: null, "x": 1}),
        json!({"x": CANARY}),
        json!({"x": {"endpoint": format!("https://u:{CANARY}@h.example/v1/metrics")}}),
        json!({"x": {"endpoint": format!("https://h.example/v1/metrics?key={CANARY}")}}),
        json!({"x": {"endpoint": CANARY, CANARY: 1}}),
        with(json!(format!("Authorization=Bearer {CANARY}"))),
        with(json!({"Authorization": format!("Bearer {CANARY}")})),
        with(json!({format!("Authorization: Bearer {CANARY}"): {"env": "A"}})),
        with(json!({CANARY: {"env": "NOT_SET"}})),
        with(json!({"Authorization": {"file": CANARY}})),
        with(json!({"Authorization": {"env": CANARY}})),
        with(json!({"Authorization": {"command": [CANARY]}})),
        with(json!({"Authorization": {CANARY: "x"}})),
    ] {
        let sandbox = sandbox(&copies);
        for args in [
            &["which"][..],
            &["which", "--json"],
            &["aliases"],
            &["aliases", "--json"],
            &["doctor"],
            &["doctor", "--json"],
        ] {
            let (out, err, _) = act(&sandbox, "work", args);
            assert!(!(out + &err).contains(CANARY), "{args:?} {copies}");
        }
        let (_, err, _) = act(&sandbox, "work", &["use", "web"]);
        assert!(!err.contains(CANARY), "{err}");
    }
}
