//! Files that a session writes: no settings file is changed, and nothing is written outside the state directory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::http::Reply;
use crate::support::sandbox::{Sandbox, Text, snapshot};

/// Everything below the sandbox's root except the fake claude's files and the state directory.
fn outside(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let own = [sandbox.state(), fake_claude::log(sandbox.root())];
    let mut found = snapshot(sandbox.root());
    found.retain(|path, _| !own.iter().any(|own| path.starts_with(own)));
    found
}

#[test]
fn nothing_outside_the_state_directory() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "print hi\npost\nexit 0");
    let settings = r#"{"env": {"OTEL_RESOURCE_ATTRIBUTES": "a=b"}, "permissions": {"deny": ["WebFetch"]}}"#;
    for file in [".claude/settings.json", "project/.claude/settings.json", "project/.claude/settings.local.json"] {
        sandbox.write(file, settings);
    }
    sandbox.write("project/.act-claude.json", r#"{"attributes": {"service": "x"}}"#);
    // Programs that use a temporary directory get one that the test can inspect.
    let temporary = sandbox.root().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    sandbox.set("TMPDIR", &temporary);
    let before = outside(&sandbox);
    for (status, body) in [(200, "{}"), (401, "{}"), (503, "{}")] {
        act.answer(Reply::json(status, body));
        for args in [&["-p", "hi"][..], &["--direct", "-p", "hi"], &["--no-act", "-p", "hi"], &["mcp", "list"]] {
            let output = sandbox.act_claude(args).current_dir(sandbox.home().join("project")).output().unwrap();
            assert_eq!((output.out().as_str(), output.code()), ("hi\n", 0), "{args:?}");
        }
    }
    for args in [&["act", "which"][..], &["act", "aliases"], &["act", "history"], &["act", "usage"], &["act", "doctor"]]
    {
        sandbox.act_claude(args).current_dir(sandbox.home().join("project")).output().unwrap();
    }
    let after = outside(&sandbox);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(after == before, "a file has changed");
}

#[test]
fn claude_runs_without_a_place_to_write() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "print hi\npost\nexit 0");
    // A file in place of the state directory: not even root can write there.
    sandbox.write(".local/state", "");
    let output = sandbox.act_claude(&["--report", "always", "-p", "hi"]).output().unwrap();
    assert_eq!((output.out().as_str(), output.code()), ("hi\n", 0));
    let requests = act.wait_for(1);
    assert_eq!(requests[0].header("x-alias-id"), Some("id-billing"));
    assert!(output.err().contains("billing: 1 export delivered (2 points)"), "{}", output.err());
}
