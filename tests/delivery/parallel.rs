//! Many sessions in parallel: each export arrives under its own alias, exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use serde_json::json;

use crate::support::act::{self, Act};
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{eventually, fake_claude};

const SESSIONS: usize = 20;
const EXPORTS: usize = 3;
const NAMES: [&str; 5] = ["billing", "shop", "search", "mobile", "data"];

#[test]
fn twenty_sessions_in_five_directories() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "");
    // Two accounts, so that a wrong account would be noticed, too.
    let account = |name: &str| if name < "h" { "acme" } else { "globex" };
    let aliases: serde_json::Map<String, serde_json::Value> = NAMES
        .iter()
        .map(|name| {
            let alias = json!({"account": account(name), "id": format!("id-{name}"), "provider_type": "P", "attributes": {"team": name}});
            ((*name).to_owned(), alias)
        })
        .collect();
    let directories: BTreeMap<String, &str> = NAMES.iter().map(|name| (format!("~/{name}"), *name)).collect();
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(&act.endpoint_of("acme")), "globex": sandbox.account(&act.endpoint_of("globex"))},
        "aliases": aliases, "directories": directories, "exit_wait_ms": 30_000
    }));
    let go = sandbox.root().join("go");
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let ready = sandbox.root().join(format!("ready-{number}"));
            let script = format!("touch {}\nwait {}\n{}", ready.display(), go.display(), "post\n".repeat(EXPORTS));
            let mut command = sandbox.act_claude(&["-p", "hi"]);
            command.current_dir(sandbox.directory(NAMES[number % NAMES.len()])).env("FAKE_CLAUDE", script);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            (ready, child)
        })
        .collect();
    for (ready, _) in &sessions {
        eventually("a session", || ready.exists().then_some(()));
    }
    std::fs::write(go, "").unwrap();
    for (_, child) in sessions {
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.code(), output.out(), output.err()), (0, String::new(), String::new()));
    }

    let requests = act.requests();
    let mut by_alias: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for request in &requests {
        let body = request.json();
        let team = &act::resource_attributes(&body)["team"];
        assert_eq!(request.header("x-alias-id"), Some(format!("id-{team}").as_str()));
        assert!(request.path.contains(&format!("/v1/{}/", account(team))), "{team}: {}", request.path);
        by_alias.entry(team.clone()).or_default().insert(request.body());
    }
    assert_eq!(requests.len(), SESSIONS * EXPORTS);
    let expected: BTreeMap<String, usize> =
        NAMES.iter().map(|name| ((*name).to_owned(), SESSIONS / NAMES.len() * EXPORTS)).collect();
    let distinct: BTreeMap<String, usize> = by_alias.into_iter().map(|(name, bodies)| (name, bodies.len())).collect();
    assert_eq!(distinct, expected);
}
