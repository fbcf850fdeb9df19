//! Rules by repository, and what exports say about the work they were sent from: a real client in real clones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::act::resource_attributes;
use crate::support::client::{self, Lab};
use crate::support::http::Request;
use crate::support::sandbox::Text;

/// Runs git in a directory below the home.
fn git(lab: &Lab, directory: &str, args: &[&str]) {
    let mut command = lab.sandbox.command("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]).args(args);
    let output = command.current_dir(lab.sandbox.home().join(directory)).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", output.err());
}

/// What git says.
fn said(lab: &Lab, directory: &str, args: &[&str]) -> String {
    let output =
        lab.sandbox.command("git").args(args).current_dir(lab.sandbox.home().join(directory)).output().unwrap();
    output.out().trim_end().to_owned()
}

fn configure(lab: &Lab, more: &Value) {
    let alias = |id: &str| json!({"account": "acme", "id": id, "provider_type": "P", "attribute": ["repository", "branch", "ticket"]});
    let mut config = json!({
        "accounts": {"acme": lab.sandbox.account(&lab.act.endpoint_of("acme-A1"))},
        "aliases": {"billing": alias("id-billing"), "platform": alias("id-platform"), "web": alias("id-web")},
        "repositories": {"github.com/acme/billing": "billing", "github.com/acme/*": "platform"},
        "export_interval_ms": 1000
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    lab.sandbox.configure(&config);
}

/// The attributes of an export that are about the work.
fn work(request: &Request) -> BTreeMap<String, String> {
    let mut attributes = resource_attributes(&request.json());
    attributes.retain(|key, _| key.starts_with("vcs.") || key == "ticket.id");
    attributes
}

/// Runs a session in `directory`; the alias id and the attributes of its exports.
fn session(lab: &Lab, directory: &str) -> (String, BTreeMap<String, String>) {
    let before = lab.act.requests().len();
    let output = lab.act_claude(directory, &["-p", "hi"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("hello there\n", 0), "{}", output.err());
    let requests = lab.act.wait_for(before + 1);
    (requests[before].header("x-alias-id").unwrap().to_owned(), work(&requests[before]))
}

fn pairs(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

const BILLING: [(&str, &str); 4] = [
    ("vcs.repository.name", "billing"),
    ("vcs.repository.url.full", "https://github.com/acme/billing"),
    ("vcs.owner.name", "acme"),
    ("vcs.provider.name", "github"),
];

#[test]
fn each_export_has_the_branch_of_its_moment() {
    let Some(lab) = Lab::start(client::NEW, &["clone"]) else { return };
    configure(&lab, &json!({}));
    git(&lab, "clone", &["init", "-q", "-b", "feature/BILL-1-start"]);
    git(&lab, "clone", &["remote", "add", "origin", "https://you:ghp_canary@github.com/acme/billing.git"]);
    git(&lab, "clone", &["commit", "-q", "--allow-empty", "-m", "x"]);
    let revision = said(&lab, "clone", &["rev-parse", "HEAD"]);
    lab.messages.call_bash("until [ -e go ]; do sleep 0.1; done; git checkout -q -b feature/BILL-2-end");
    let child = lab.act_claude("clone", &["-p", "hi", "--allowedTools", "Bash"]).spawn().unwrap();
    lab.act.wait_for(1);
    lab.sandbox.write("clone/go", "");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let requests = lab.act.requests();
    let with = |branch: &str, ticket: &str| {
        let mut all = pairs(&BILLING);
        all.extend(pairs(&[
            ("vcs.ref.head.name", branch),
            ("vcs.ref.head.revision", &revision),
            ("ticket.id", ticket),
        ]));
        all
    };
    let (first, last) = (work(&requests[0]), work(requests.last().unwrap()));
    assert_eq!(first, with("feature/BILL-1-start", "BILL-1"));
    assert_eq!(last, with("feature/BILL-2-end", "BILL-2"));
    assert!(requests.iter().all(|request| !String::from_utf8_lossy(&request.raw).contains("canary")));
}

#[test]
fn worktrees_detached_heads_fresh_repositories_and_no_repository() {
    let Some(lab) = Lab::start(client::NEW, &["clone", "tree", "fresh", "plain"]) else { return };
    configure(&lab, &json!({"default": "web"}));
    git(&lab, "clone", &["init", "-q"]);
    git(&lab, "clone", &["remote", "add", "origin", "git@github.com:acme/billing.git"]);
    git(&lab, "clone", &["commit", "-q", "--allow-empty", "-m", "x"]);
    let revision = said(&lab, "clone", &["rev-parse", "HEAD"]);
    std::fs::remove_dir(lab.sandbox.home().join("tree")).unwrap();
    git(&lab, "clone", &["worktree", "add", "-q", "-b", "side", "../tree"]);
    git(&lab, "clone", &["checkout", "-q", "--detach"]);
    git(&lab, "fresh", &["init", "-q"]);
    let with = |more: &[(&str, &str)]| {
        let mut all = pairs(&BILLING);
        all.extend(pairs(more));
        all
    };
    let head = [("vcs.ref.head.revision", revision.as_str())];
    assert_eq!(session(&lab, "clone"), ("id-billing".to_owned(), with(&head)));
    let side = [("vcs.ref.head.name", "side"), head[0]];
    assert_eq!(session(&lab, "tree"), ("id-billing".to_owned(), with(&side)));
    assert_eq!(session(&lab, "fresh"), ("id-web".to_owned(), pairs(&[("vcs.ref.head.name", "main")])));
    assert_eq!(session(&lab, "plain"), ("id-web".to_owned(), pairs(&[])));
}

#[test]
fn two_clones_a_fork_and_a_monorepo_without_directory_rules_of_their_own() {
    let Some(lab) = Lab::start(client::NEW, &["one", "deep/er/two", "fork", "mono/web"]) else { return };
    configure(&lab, &json!({}));
    for (directory, url) in [
        ("one", "https://github.com/acme/billing"),
        ("deep/er/two", "git@github.com:acme/billing.git"),
        ("fork", "https://github.com/you/billing"),
        ("mono", "https://github.com/acme/mono"),
    ] {
        git(&lab, directory, &["init", "-q"]);
        git(&lab, directory, &["remote", "add", "origin", url]);
    }
    lab.sandbox.write("mono/web/.act-claude.json", r#"{"alias": "web"}"#);
    assert_eq!(session(&lab, "one").0, "id-billing");
    assert_eq!(session(&lab, "deep/er/two").0, "id-billing");
    assert_eq!(session(&lab, "mono/web").0, "id-web");
    std::fs::remove_file(lab.sandbox.home().join("mono/web/.act-claude.json")).unwrap();
    assert_eq!(session(&lab, "mono/web").0, "id-platform");
    let mut fork = lab.act_claude("fork", &["-p", "hi"]);
    let fork = fork.env("ACT_CLAUDE_REPORT", "always").output().unwrap();
    assert_eq!((fork.out().as_str(), fork.code()), ("hello there\n", 0));
    let line = "act-claude: no telemetry: no rule covers ~/fork: act-claude act use NAME (known: ";
    assert!(fork.err().starts_with(line), "a fork of another owner has no rule: {}", fork.err());
}

/// `OTEL_METRICS_INCLUDE_REPOSITORY` makes claude write some of these attributes at each data point. They stay, and nothing is
/// added beside them.
#[test]
fn what_claude_says_itself_stays() {
    let Some(mut lab) = Lab::start(client::NEW, &["clone"]) else { return };
    configure(&lab, &json!({}));
    git(&lab, "clone", &["init", "-q"]);
    git(&lab, "clone", &["remote", "add", "origin", "https://github.com/acme/billing"]);
    lab.sandbox.set("OTEL_METRICS_INCLUDE_REPOSITORY", "true");
    let (_, added) = session(&lab, "clone");
    assert_eq!(added, pairs(&[("vcs.ref.head.name", "main")]));
    let body = String::from_utf8(lab.act.requests()[0].raw.clone()).unwrap();
    assert!(body.contains(r#"{"key":"vcs.repository.name","value":{"stringValue":"billing"}}"#), "{body}");
}
