//! `act use` and `act aliases --add/--remove`: changes to the configuration without an editor.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, Text, snapshot};

/// Aliases `billing` (for the home) and `web`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let account = sandbox.account("http://127.0.0.1:9/m");
    let alias = |id| json!({"account": "acme", "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": account},
        "aliases": {"billing": alias("id-billing"), "web": alias("id-web")},
        "directories": {"~": "billing"}
    }));
    sandbox
}

fn act(sandbox: &Sandbox, directory: &str, args: &[&str]) -> Output {
    let mut command = sandbox.act_claude(&[&["act"], args].concat());
    command.current_dir(sandbox.directory(directory)).output().unwrap()
}

fn config(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap()
}

/// The answer of `act which` for a directory.
fn alias_of(sandbox: &Sandbox, directory: &str) -> Value {
    let output = act(sandbox, directory, &["which", "--json"]);
    serde_json::from_str::<Value>(&output.out()).unwrap()["alias"].clone()
}

#[test]
fn a_directory_uses_an_alias() {
    let sandbox = sandbox();
    let file = sandbox.config_file();
    let used = act(&sandbox, "work/shop", &["use", "web"]);
    assert_eq!((used.code(), used.err()), (0, String::new()));
    assert_eq!(used.out(), "~/work/shop uses web (~/.config/act-claude/config.json)\n");
    assert_eq!(config(&sandbox)["directories"], json!({"~": "billing", "~/work/shop": "web"}));
    assert_eq!(alias_of(&sandbox, "work/shop/deep"), "web");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    assert_eq!(act(&sandbox, "work/shop", &["use", "--none"]).code(), 0);
    assert_eq!(alias_of(&sandbox, "work/shop"), Value::Null);
    let removed = act(&sandbox, "work/shop", &["use", "--remove"]);
    assert!(removed.out().contains("\nhere: alias billing ("), "{}", removed.out());
    assert_eq!(alias_of(&sandbox, "work/shop"), "billing");

    assert_eq!(act(&sandbox, "work", &["use", "web", "--default"]).code(), 0);
    assert_eq!(config(&sandbox)["default"], "web");
}

#[test]
fn a_rule_is_found_under_another_spelling() {
    let sandbox = sandbox();
    let real = sandbox.directory("work/shop");
    std::os::unix::fs::symlink(&real, sandbox.home().join("link")).unwrap();
    let mut command = sandbox.act_claude(&["act", "use", "web"]);
    command.current_dir(&real).env("PWD", sandbox.home().join("link"));
    assert_eq!(command.output().unwrap().code(), 0);
    assert_eq!(config(&sandbox)["directories"], json!({"~": "billing", "~/link": "web"}));
    assert_eq!(act(&sandbox, "work/shop", &["use", "billing"]).code(), 0);
    assert_eq!(config(&sandbox)["directories"], json!({"~": "billing", "~/link": "billing"}));
}

#[test]
fn a_repository_uses_an_alias() {
    let sandbox = sandbox();
    sandbox.write("work/repo/.git/HEAD", "ref: refs/heads/main\n");
    let file = sandbox.write("work/repo/.act-claude.json", "{\n\t\"attributes\": {\"service\": \"x\"}\n}\n");
    let used = act(&sandbox, "work/repo/src/deep", &["use", "web", "--repo", "--json"]);
    let said: Value = serde_json::from_str(&used.out()).unwrap();
    assert_eq!((&said["alias"], &said["changed"], &said["file"]), (&json!("web"), &json!(true), &json!(file)));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, "{\n\t\"attributes\": {\"service\": \"x\"},\n\t\"alias\": \"web\"\n}\n");
    assert_eq!(alias_of(&sandbox, "work/repo/src"), "web");
    assert_eq!(act(&sandbox, "work/repo", &["use", "--remove", "--repo"]).code(), 0);
    assert_eq!(alias_of(&sandbox, "work/repo/src"), "billing");

    // The user's own rule has precedence, and the answer says so.
    assert_eq!(act(&sandbox, "work/repo", &["use", "--none"]).code(), 0);
    let used = act(&sandbox, "work/repo", &["use", "web", "--repo"]);
    assert!(used.out().contains("\nhere: no telemetry ("), "{}", used.out());
}

#[test]
fn invalid_requests_change_nothing() {
    let sandbox = sandbox();
    let before = snapshot(&sandbox.home());
    for (args, code, expected) in [
        (&["use", "bill"][..], 64, "there is no alias \"bill\"; did you mean \"billing\"?"),
        (&["use"], 64, "--none"),
        (&["use", "web", "--none"], 64, "NAME can't be given together with --none"),
        (
            &["aliases", "--add", "new"],
            64,
            "act-claude: a new alias needs --id ID and --provider-type TYPE: ID and TYPE are in its Monitoring Spec\n",
        ),
        (&["aliases", "--add", "new", "--id", "a b", "--provider-type", "P"], 64, "--id: it holds ' '"),
        (
            &["aliases", "--add", "new", "--account", "acne", "--id", "a", "--provider-type", "P"],
            64,
            "act-claude: --account: there is no account \"acne\"; did you mean \"acme\"? (known: acme)\n",
        ),
        (
            &["aliases", "--add", "a b", "--id", "a", "--provider-type", "P"],
            64,
            "act-claude: --add: it holds ' ': a name is one word of ASCII characters that does not begin with '-'\n",
        ),
        (
            &["aliases", "--add", "new", "--id", "a", "--provider-type", "P", "--attribute", "a;b=c"],
            64,
            "act-claude: nothing was changed: the attribute name \"a;b\" holds '=', ';' or '%'\n",
        ),
        (&["aliases", "--remove", "wbe"], 64, "did you mean \"web\"?"),
        (
            &["aliases", "--remove", "billing"],
            64,
            "billing is used by ~: act-claude act aliases --remove billing --move-to OTHER",
        ),
        (&["aliases", "--remove", "billing", "--move-to", "billing"], 64, "there is no other alias"),
        (&["aliases", "--id", "x"], 64, "--add"),
    ] {
        let output = act(&sandbox, ".", args);
        assert_eq!(output.code(), code, "{args:?}: {}", output.err());
        assert!(output.err().contains(expected), "{args:?}: {}", output.err());
        assert_eq!(output.out(), "", "{args:?}");
    }
    assert_eq!(snapshot(&sandbox.home()), before);
}

#[test]
fn aliases_are_added_and_removed() {
    let sandbox = sandbox();
    let add = ["aliases", "--add", "ops", "--id", "id-ops", "--provider-type", "P Q", "--attribute", "team=a=b"];
    let added = act(&sandbox, ".", &add);
    assert_eq!(added.out(), "ops: added (~/.config/act-claude/config.json)\n", "{}", added.err());
    let expected = json!({"account": "acme", "id": "id-ops", "provider_type": "P Q", "attributes": {"team": "a=b"}});
    assert_eq!(config(&sandbox)["aliases"]["ops"], expected);
    assert!(act(&sandbox, ".", &add).out().starts_with("ops: nothing to change ("));

    let changed = act(&sandbox, ".", &["aliases", "--add", "ops", "--id", "id-2", "--attribute", "floor=3"]);
    assert!(changed.out().starts_with("ops: changed ("), "{}", changed.err());
    let expected =
        json!({"account": "acme", "id": "id-2", "provider_type": "P Q", "attributes": {"team": "a=b", "floor": "3"}});
    assert_eq!(config(&sandbox)["aliases"]["ops"], expected);

    let removed = act(&sandbox, ".", &["aliases", "--remove", "billing", "--move-to", "ops"]);
    assert!(removed.out().starts_with("billing: removed ("), "{}", removed.err());
    assert_eq!(config(&sandbox)["directories"], json!({"~": "ops"}));
    assert_eq!(config(&sandbox)["aliases"].as_object().unwrap().keys().collect::<Vec<_>>(), ["web", "ops"]);
    let removed = act(&sandbox, ".", &["aliases", "--remove", "web", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&removed.out()).unwrap()["changed"], true);
}
