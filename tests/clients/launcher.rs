//! The launcher form when the configuration changes or is incomplete while claude runs. No message can be printed in
//! this form.

use std::path::Path;
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::background_lab;
use crate::support::act::{Act, resource_attributes};
use crate::support::sandbox::{Sandbox, TOKEN, Text};
use crate::support::{eventually, fake_claude};

/// A claude that exports, waits until the test has changed something, and exports again.
struct Launched {
    sandbox: Sandbox,
    act: Act,
    changed: std::path::PathBuf,
    child: Child,
}

impl Launched {
    /// Starts it in `directory` below the home.
    fn start(directory: &str, prepare: impl Fn(&mut Sandbox)) -> Self {
        let (act, mut sandbox) = (Act::start(), Sandbox::new());
        background_lab::configure(&sandbox, &act.endpoint());
        let (first, changed) = (sandbox.root().join("first"), sandbox.root().join("changed"));
        let script = format!("post\ntouch {}\nwait {}\npost", first.display(), changed.display());
        let claude = fake_claude::install(&mut sandbox, &script);
        prepare(&mut sandbox);
        let mut command: Command = sandbox.act_claude(&[claude.to_str().unwrap(), "--session-id", "x"]);
        command.current_dir(sandbox.directory(directory));
        let child = command.spawn().unwrap();
        eventually("the first export", || first.exists().then_some(()));
        Self { sandbox, act, changed, child }
    }

    /// Continues with the second export and the end; returns the session's record.
    fn finish(&mut self) -> Value {
        std::fs::write(&self.changed, "").unwrap();
        assert!(self.child.wait().unwrap().success());
        eventually("the record's end", || {
            let history = self.sandbox.act_claude(&["act", "history", "--json"]).output().unwrap();
            let history: Value = serde_json::from_str(&history.out()).unwrap();
            Some(history["sessions"][0].clone()).filter(|record| record["end"].is_string())
        })
    }

    fn answers(&self) -> Vec<String> {
        let log = std::fs::read_to_string(fake_claude::log(self.sandbox.root())).unwrap();
        log.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

fn rewrite(config: &Path, change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(config, value.to_string()).unwrap();
}

/// Without an alias the export is acknowledged and dropped. The rules are read again for the next export; a repository
/// adds attributes.
#[test]
fn a_rule_added_later_counts_from_the_next_export_on() {
    let mut launched = Launched::start("repo", |_| {});
    launched.sandbox.write("repo/.act-claude.json", r#"{"alias": "a-two", "attributes": {"service": "checkout"}}"#);
    rewrite(&launched.sandbox.config_file(), |config| config["directories"]["~"] = json!("a-three"));
    let record = launched.finish();
    assert_eq!(launched.answers(), ["200", "200"]);
    let requests = launched.act.requests();
    assert_eq!(requests.len(), 1, "the first was dropped");
    assert_eq!(requests[0].header("x-alias-id"), Some("id-two"));
    let attributes = resource_attributes(&requests[0].json());
    assert_eq!((attributes["providerType"].as_str(), attributes["service"].as_str()), ("P-two", "checkout"));
    assert_eq!((&record["state"], &record["alias"]), (&json!("delivered"), &json!("a-two")), "{record}");
}

/// An unreadable configuration does not mean "no alias": the export is refused, counted and reported.
#[test]
fn an_export_that_meets_a_broken_configuration_is_counted_as_lost() {
    let broken = |sandbox: &mut Sandbox| {
        let text = std::fs::read_to_string(sandbox.config_file()).unwrap();
        std::fs::write(sandbox.config_file(), format!("{text},")).unwrap();
    };
    let mut launched = Launched::start("one", broken);
    background_lab::configure(&launched.sandbox, &launched.act.endpoint());
    let record = launched.finish();
    assert_eq!(launched.answers(), ["503", "200"]);
    assert_eq!(launched.act.wait_for(1)[0].header("x-alias-id"), Some("id-one"));
    assert_eq!(record["outcome"]["states"], json!({"lost": 1, "delivered": 1}), "{record}");
    let file = launched.sandbox.config_file();
    assert!(record["text"].as_str().unwrap().contains(&format!("1 lost: {}:", file.display())), "{record}");
}

/// The variable is missing: the exports are held, and the user is told.
#[test]
fn without_the_variable_that_holds_the_token_exports_are_held() {
    let named = |sandbox: &mut Sandbox| {
        rewrite(&sandbox.config_file(), |config| config["accounts"]["acme"]["token"] = json!({"env": "ACME_TOKEN"}));
    };
    let mut launched = Launched::start("one", named);
    let record = launched.finish();
    assert_eq!(launched.answers(), ["200", "200"]);
    assert_eq!(record["outcome"]["states"], json!({"held": 2}), "{record}");
    assert!(record["text"].as_str().unwrap().contains("ACME_TOKEN"), "{record}");
    assert!(launched.act.requests().is_empty());
    // A later run that has the variable delivers them.
    launched.sandbox.set("ACME_TOKEN", TOKEN);
    launched.sandbox.set("FAKE_CLAUDE", "post");
    let mut command = launched.sandbox.act_claude(&["-p", "hi"]);
    assert!(command.current_dir(launched.sandbox.directory("one")).status().unwrap().success());
    launched.act.wait_for(3);
}

/// The relay has no living parent, runs in its own session, and ends with claude.
#[test]
fn the_relay_has_no_parent_and_ends_with_claude() {
    let mut launched = Launched::start("one", |_| {});
    let claude = launched.child.id();
    let children = std::fs::read_to_string(format!("/proc/{claude}/task/{claude}/children")).unwrap();
    assert_eq!(children, "", "claude has a child it does not know");
    let record = || {
        let history = launched.sandbox.act_claude(&["act", "history", "--json"]).output().unwrap();
        let history: Value = serde_json::from_str(&history.out()).unwrap();
        history["sessions"][0].clone()
    };
    let relay = eventually("a record", || record()["relay_pid"].as_u64());
    assert_eq!(record()["command_pid"].as_u64(), Some(claude.into()));
    let session = nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(relay as i32))).unwrap();
    assert_eq!(session.as_raw() as u64, relay);
    launched.finish();
    eventually("the relay's end", || (!Path::new(&format!("/proc/{relay}")).exists()).then_some(()));
}
