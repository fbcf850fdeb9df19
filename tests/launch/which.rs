//! `act which` explains every way in which a directory gets an alias, or gets none.

use std::os::unix::fs::{chown, symlink};
use std::process::Command;

use serde_json::json;

use crate::support::sandbox::{Sandbox, Text};

/// Two accounts: acme with billing and web, other with labs.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let account = |name: &str| sandbox.account(&format!("https://{name}.example/m"));
    let alias = |account: &str, id: &str| json!({"account": account, "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": account("acme"), "other": account("other")},
        "aliases": {"billing": alias("acme", "id-1"), "web": alias("acme", "id-2"), "labs": alias("other", "id-3")},
        "directories": {"~/work": "billing", "~/work/web": "web", "~/oss": null}
    }));
    for directory in ["work/deep/er", "work/web", "oss/theirs", "elsewhere", "work/repo", "work/foreign", "outside"] {
        sandbox.directory(directory);
    }
    sandbox
}

/// What `act which` prints, line by line, for a directory under the home.
fn which(sandbox: &Sandbox, directory: &str, args: &[&str]) -> (i32, String) {
    let mut command = sandbox.act_claude(&[&["act", "which"], args].concat());
    let output = command.current_dir(sandbox.home().join(directory)).output().unwrap();
    assert_eq!(output.err(), "");
    let home = sandbox.home().display().to_string();
    assert!(args.contains(&"--json") || !output.out().contains(&home), "~ for the home: {}", output.out());
    (output.code(), output.out())
}

fn because(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("because    ")).unwrap_or("nothing is said")
}

#[test]
fn the_closest_rule_null_and_no_rule() {
    let sandbox = sandbox();
    let config = "~/.config/act-claude/config.json";
    for (directory, code, alias, words) in [
        ("work/deep/er", 0, "billing", format!("the rule \"~/work\" in {config}:36:5")),
        ("work/web", 0, "web", format!("the rule \"~/work/web\" in {config}:37:5")),
        (
            "oss/theirs",
            1,
            "none: claude runs without telemetry here",
            format!("the rule \"~/oss\": null in {config}:38:5"),
        ),
        (
            "elsewhere",
            1,
            "none: claude runs without telemetry here",
            "no rule covers this directory, and there is no default".to_owned(),
        ),
    ] {
        let (status, text) = which(&sandbox, directory, &[]);
        assert_eq!((status, because(&text)), (code, words.as_str()), "{directory}\n{text}");
        assert!(text.contains(&format!("alias      {alias}\n")), "{text}");
    }
}

#[test]
fn a_default_and_nothing_at_all() {
    let sandbox = Sandbox::new();
    let (code, text) = which(&sandbox, ".", &[]);
    assert_eq!((code, because(&text)), (1, "no alias is configured"), "{text}");
    assert!(text.contains("note       no telemetry: no alias is configured in ~/.config/act-claude/config.json"));

    for (default, code, words) in [
        (json!("billing"), 0, "\"default\" in ~/.config/act-claude/config.json:18:14; no rule covers this directory"),
        (json!(null), 1, "\"default\": null in ~/.config/act-claude/config.json:18:14; no rule covers this directory"),
    ] {
        sandbox.configure(&json!({
            "accounts": {"acme": sandbox.account("https://a.example/m")},
            "aliases": {"billing": {"account": "acme", "id": "1", "provider_type": "P"}},
            "default": default
        }));
        let (status, text) = which(&sandbox, ".", &[]);
        assert_eq!((status, because(&text)), (code, words), "{text}");
    }
}

#[test]
fn explicit_choices() {
    let mut sandbox = sandbox();
    let (code, text) = which(&sandbox, "work", &["--alias", "labs"]);
    assert_eq!((code, because(&text)), (0, "--alias on the command line"));
    assert!(text.contains("alias      labs\n") && text.contains("id         id-3\n"), "{text}");
    sandbox.set("ACT_CLAUDE_ALIAS", "web");
    assert_eq!(because(&which(&sandbox, "elsewhere", &[]).1), "the environment variable ACT_CLAUDE_ALIAS");
    sandbox.set("ACT_CLAUDE_ALIAS", "wev");
    let (code, text) = which(&sandbox, "elsewhere", &[]);
    assert_eq!(code, 64);
    let expected = "ACT_CLAUDE_ALIAS: there is no alias \"wev\"; did you mean \"web\"? (known: billing, labs, web)";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_repositorys_file_and_its_limits() {
    let sandbox = sandbox();
    let file = "~/work/repo/.act-claude.json";
    let rule = "the rule \"~/work\" in ~/.config/act-claude/config.json:36:5";
    for (content, alias, words, note) in [
        (
            r#"{"alias": "web", "attributes": {"service": "x"}}"#,
            "web",
            format!("the repository's own {file}:1:11 (within the account given by {rule})"),
            None,
        ),
        (
            r#"{"alias": "labs"}"#,
            "billing",
            rule.to_owned(),
            Some(format!(
                "{file}:1:11: ignored: alias \"labs\" belongs to account \"other\", but your rules give this directory account \"acme\""
            )),
        ),
        (
            r#"{"alias": "wep"}"#,
            "billing",
            rule.to_owned(),
            Some(format!(
                "{file}:1:11: ignored: there is no alias \"wep\" on this machine; did you mean \"web\"? (known: billing, labs, web)"
            )),
        ),
        (
            r#"{"alias": "web", "endpoint": "https://evil.example"}"#,
            "billing",
            rule.to_owned(),
            Some(format!(
                "{file}:1:18: a repository may not set \"endpoint\": only your own configuration names an endpoint, a token or a command: valid here: alias, attributes (the file is ignored)"
            )),
        ),
        (
            r#"{"attributes": {"providerType": "X"}}"#,
            "billing",
            rule.to_owned(),
            Some(format!("{file}:1:16: a repository may not set providerType (the file is ignored)")),
        ),
        (
            "{,}",
            "billing",
            rule.to_owned(),
            Some(format!("{file}:1:2: not valid JSON (key must be a string) (the file is ignored)")),
        ),
    ] {
        sandbox.write("work/repo/.act-claude.json", content);
        let (_, text) = which(&sandbox, "work/repo", &[]);
        assert_eq!(because(&text), words, "{content}\n{text}");
        assert!(text.contains(&format!("alias      {alias}\n")), "{content}\n{text}");
        let said: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("note       "))
            .filter(|line| line.contains(file))
            .collect();
        assert_eq!(said.first().copied().map(str::to_owned), note, "{content}\n{text}");
    }
}

#[test]
fn a_strangers_file_a_null_above_and_an_unknown_account() {
    let sandbox = sandbox();
    sandbox.write("oss/theirs/.act-claude.json", r#"{"alias": "web"}"#);
    let (code, text) = which(&sandbox, "oss/theirs", &[]);
    assert_eq!(code, 1);
    assert!(text.contains("ignored: your own configuration says no telemetry here"), "{text}");

    sandbox.write("outside/.act-claude.json", r#"{"alias": "web"}"#);
    let (code, text) = which(&sandbox, "outside", &[]);
    assert_eq!(code, 1);
    assert!(
        text.contains("none of your rules gives this directory an account, and 2 accounts are configured"),
        "{text}"
    );

    let file = sandbox.write("work/foreign/.act-claude.json", r#"{"alias": "web"}"#);
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("giving a file away needs root");
    }
    chown(&file, Some(54_321), None).unwrap();
    let (_, text) = which(&sandbox, "work/foreign", &[]);
    assert!(text.contains("alias      billing\n"), "{text}");
    assert!(text.contains("it belongs to user 54321, neither to you nor to root"), "{text}");
}

#[test]
fn pwd_and_worktree() {
    let mut sandbox = sandbox();
    let home = sandbox.home();
    // ~/work/link is physically elsewhere; $PWD tells the path the user took.
    symlink(home.join("elsewhere"), home.join("work/link")).unwrap();
    sandbox.set("PWD", home.join("work/link").to_str().unwrap());
    let (code, text) = which(&sandbox, "work/link", &[]);
    assert_eq!(code, 0);
    assert!(because(&text).ends_with("which covers this directory as $PWD spells it (~/work/link)"), "{text}");
    // A $PWD that names another directory is ignored.
    sandbox.set("PWD", home.join("work/web").to_str().unwrap());
    assert_eq!(which(&sandbox, "elsewhere", &[]).0, 1);
    sandbox.unset("PWD");

    let git = |args: &[&str]| {
        let mut command: Command = sandbox.command("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args);
        assert!(command.current_dir(home.join("work/repo")).output().unwrap().status.success(), "git {args:?}");
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    git(&["worktree", "add", "-q", "../../outside/tree"]);
    let (code, text) = which(&sandbox, "outside/tree", &[]);
    assert_eq!(code, 0);
    assert!(because(&text).ends_with("which covers ~/work/repo, the main checkout of this git worktree"), "{text}");
}

#[test]
fn as_json_and_with_the_variables() {
    let sandbox = sandbox();
    let (code, text) = which(&sandbox, "work", &["--json", "--env"]);
    assert_eq!(code, 0);
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&read["alias"], &read["id"], &read["account"]), (&json!("billing"), &json!("id-1"), &json!("acme")));
    assert_eq!(read["env"]["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"], "http://127.0.0.1:PORT/********/v1/metrics");
    assert!(!text.contains(crate::support::sandbox::TOKEN));
    let (_, text) = which(&sandbox, "work", &["--direct", "--env"]);
    let expected = "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic ********,X-Alias-Id=id-1,Origin=https://claude.ai\n";
    assert!(text.contains(expected), "{text}");
}
