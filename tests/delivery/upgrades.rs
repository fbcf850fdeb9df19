//! Another version of act-claude wrote the state directory, or reads it: see "Between versions" in docs/architecture.md. The texts
//! below are what the first version wrote. They stay as they are: a change that breaks these tests breaks upgrades.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use act_claude::state::record;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};

const BODY: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[]},"scopeMetrics":[{"metrics":[{"name":"claude_code.session.count","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1","asInt":"1"}]}}]}]}]}"#;

/// A file of the state directory, with its directories.
fn write(sandbox: &Sandbox, name: &str, content: &[u8]) -> PathBuf {
    let path = sandbox.write(&format!(".local/state/act-claude/{name}"), content);
    for directory in path.ancestors().skip(1).take_while(|above| above.starts_with(sandbox.state())) {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A spool file with this second line.
fn spooled(header: &str) -> Vec<u8> {
    let rest = format!("{header}\n{BODY}");
    format!("act-claude-export/1 {:x}\n{rest}", Sha256::digest(&rest)).into_bytes()
}

fn arranged() -> (Sandbox, Act) {
    let (mut sandbox, act) = (Sandbox::new(), Act::start());
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "post");
    (sandbox, act)
}

fn history(sandbox: &Sandbox, args: &[&str]) -> String {
    let output = sandbox.act_claude(&[&["act", "history"], args].concat()).output().unwrap();
    assert_eq!((output.err().as_str(), output.code()), ("", 0));
    output.out()
}

/// A session's record of the first version.
fn record_of(id: &str, version: u32, more: &str) -> String {
    format!(
        r#"{{"version":{version},"id":"{id}","kind":"launcher","start":"2026-11-25T10:00:00Z","end":"2026-11-25T10:01:00Z","directory":"/w","alias":"billing","reason":"a rule","account":"acme","claude":"/bin/claude","client_version":"2.1.330","command_pid":7,"relay_pid":8,"outcome":{{"exports":2,"points":4,"states":{{"waiting":1,"delivered":1}},"troubles":{{"waiting":{{"said":"ACT answered 503 Service Unavailable","cause":"","fix":"","code":75}}}},"rejected_points":0,"warning":null{more}}},"totals":{{"claude_code.token.usage":{{"value":11.0,"unit":"tokens"}}}},"trouble":null,"claude_has_gone":true{more}}}"#
    )
}

const LATER: &str = r#","of_a_later_version":{"a":[1]}"#;

#[test]
fn exports_and_records_of_the_first_version_and_of_one_with_more_fields() {
    for more in ["", LATER] {
        let (sandbox, act) = arranged();
        let id = "019ab8f7a1b20a0b0c0d0e";
        let header = format!(
            r#"{{"session":"{id}","sequence":1,"alias":"billing","account":"acme","endpoint":"{}","user":"dev@acme.com","points":1,"captured":"2026-11-25T10:00:05Z"{more}}}"#,
            act.endpoint()
        );
        let name = format!("{id}-00000001");
        write(&sandbox, &format!("spool/new/{name}"), &spooled(&header));
        // Its note and the hold of its alias.
        let problem = r#"{"said":"ACT answered 503 Service Unavailable","cause":"","fix":"","code":75}"#;
        let note = format!(r#"{{"tries":3,"tried_ms":1700000000000,"pause_ms":2000,"trouble":{problem}{more}}}"#);
        write(&sandbox, &format!("spool/deferred/{name}"), note.as_bytes());
        write(&sandbox, &format!("sessions/{id}.json"), record_of(id, 1, more).as_bytes());
        let shown: Value = serde_json::from_str(&history(&sandbox, &["--json"])).unwrap();
        assert_eq!((shown["sessions"][0]["state"].as_str(), &shown["newer"]), (Some("waiting"), &json!(0)), "{shown}");
        assert_eq!(shown["spool"]["waiting"][0]["deferred"][0]["tries"], 3, "{shown}");
        // It did not note the kinds of the tokens, nor when claude's process was started.
        let tokens = json!({"total": 11, "input": null, "output": null, "cache_read": null, "cache_creation": null});
        assert_eq!(shown["sessions"][0]["usage"]["tokens"], tokens, "{shown}");
        assert_eq!(
            (&shown["sessions"][0]["command_started"], &shown["sessions"][0]["running"]),
            (&json!(null), &json!(false))
        );

        let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
        assert_eq!((output.out().as_str(), output.code()), ("billing: 1 export delivered (1 point)\n", 0));
        assert_eq!(act.requests().len(), 1);
        let shown: Value = serde_json::from_str(&history(&sandbox, &["--json"])).unwrap();
        assert_eq!(shown["sessions"][0]["outcome"]["states"], json!({"delivered": 2}), "{shown}");
    }
}

#[test]
fn what_a_newer_version_wrote_is_named_and_stays() {
    let (sandbox, act) = arranged();
    let export =
        write(&sandbox, "spool/new/019ab8f7a1b2ffffffffff-00000001", b"act-claude-export/2 whatever it may be\n");
    let records =
        [("fffffffffff10a0b0c0d0e", record_of("x", 2, "")), ("fffffffffff20a0b0c0d0e", r#"{"version":3}"#.into())]
            .map(|(id, text)| (write(&sandbox, &format!("sessions/{id}.json"), text.as_bytes()), text));
    let newer = "2 sessions were recorded by a newer act-claude: upgrade this one to see them\n";
    let shown = history(&sandbox, &[]);
    assert!(shown.starts_with("no session that this act-claude can read") && shown.contains(newer), "{shown}");
    assert!(shown.contains("1 export written by a newer act-claude, left alone"), "{shown}");
    assert_eq!(serde_json::from_str::<Value>(&history(&sandbox, &["--json"])).unwrap()["newer"], 2);

    // A session runs as always, and tidies up as always.
    let session = sandbox.act_claude(&["-p", "hi", "--report", "always"]).env("CI", "1").output().unwrap();
    assert!(session.err().contains("1 export delivered (2 points)"), "{}", session.err());
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert!(output.out().contains("1 export written by a newer act-claude, left alone"), "{}", output.out());
    let output = sandbox.act_claude(&["act", "flush", "--discard"]).output().unwrap();
    assert!(output.out().contains("1 export written by a newer act-claude, left alone"), "{}", output.out());
    assert_eq!(act.requests().len(), 1);

    assert_eq!(std::fs::read(&export).unwrap(), b"act-claude-export/2 whatever it may be\n");
    for (path, text) in records {
        assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    }
    let shown = history(&sandbox, &[]);
    assert!(shown.contains("billing") && shown.contains(newer), "{shown}");
}

/// The program's file is replaced, as a package manager does it, after the supervisor has started and before it starts a relay;
/// then relay and guard are killed.
#[test]
#[cfg(target_os = "linux")]
fn a_session_keeps_its_own_version_when_the_file_is_replaced() {
    let (mut sandbox, act) = arranged();
    let root = sandbox.root().to_path_buf();
    let (started, go) = (root.join("started"), root.join("go"));
    let script = format!("touch {}\nwait {}\npost\npost", started.display(), go.display());
    fake_claude::install(&mut sandbox, &script);
    let place = sandbox.directory("bin").join("act-claude");
    std::fs::copy(crate::support::act_claude(), &place).unwrap();
    let mut command = sandbox.command(&place);
    command.args(["-p", "hi", "--report", "always"]).stderr(std::process::Stdio::piped());
    let session = command.spawn().unwrap();
    // What is there now is no act-claude that could be a relay.
    let other = sandbox.script("bin/other", "#!/bin/sh\nexit 3\n");
    std::fs::rename(other, &place).unwrap();
    crate::support::eventually("claude", || started.exists().then_some(()));
    let home = format!("HOME={}", sandbox.home().display());
    let relays = || {
        let all = crate::support::process::with_environment(&home);
        let relays: Vec<i32> = all.iter().filter(|process| process.is_relay()).map(|process| process.pid).collect();
        (relays.len() == 2).then_some(relays)
    };
    let first = crate::support::eventually("a relay and its guard", relays);
    for pid in &first {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    std::fs::write(go, "").unwrap();
    let output = session.wait_with_output().unwrap();
    assert!(output.err().contains("2 exports delivered (4 points)"), "{}", output.err());
    assert_eq!(act.requests().len(), 2);
}

/// A newer version's session runs: an older `act uninstall` neither ends its relay nor deletes what it stored.
#[test]
fn an_older_uninstall_leaves_a_newer_session_alone() {
    let (sandbox, _act) = arranged();
    let id = "fffffffffff10a0b0c0d0e";
    let record = write(&sandbox, &format!("sessions/{id}.json"), record_of(id, 2, "").as_bytes());
    let mut relay = std::process::Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
    let lock = record::lock(&sandbox.state(), id).unwrap();
    record::sign(&lock, relay.id());
    let output = sandbox.act_claude(&["act", "uninstall", "--yes", "--discard"]).output().unwrap();
    let still_runs = relay.try_wait().unwrap().is_none();
    relay.kill().unwrap();
    relay.wait().unwrap();
    assert!(output.err().contains("a session still runs under another version"), "{}{}", output.out(), output.err());
    assert!(output.code() != 0 && still_runs && record.exists());
}
