//! The launcher form without a relay. It prints nothing, so claude runs only if telemetry is not required, and the next run at a
//! terminal says what happened.
#![cfg(target_os = "linux")]

use std::process::Output;

use nix::libc;
use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, Text};
use crate::support::seccomp::forbid;
use crate::support::{eventually, fake_claude};

const CANNOT_START: &str = "no telemetry: the relay cannot start (Operation not permitted)";

struct Lab {
    sandbox: Sandbox,
    claude: String,
}

impl Lab {
    fn new(change: impl Fn(&mut Value)) -> Self {
        let mut sandbox = Sandbox::new();
        let claude = fake_claude::install(&mut sandbox, "print claude ran").display().to_string();
        let mut config = json!({
            "accounts": {"acme": sandbox.account("https://act.example/m")},
            "aliases": {"billing": {"account": "acme", "id": "1", "provider_type": "P"}},
            "directories": {"~/work": "billing"}
        });
        change(&mut config);
        sandbox.configure(&config);
        sandbox.directory("work");
        sandbox.directory("elsewhere");
        Self { sandbox, claude }
    }

    /// Runs the launcher form; `call` is the system call that fails.
    fn run(&self, directory: &str, call: Option<i64>, args: &[&str]) -> Output {
        let mut command = self.sandbox.act_claude(&[&[self.claude.as_str()], args].concat());
        command.current_dir(self.sandbox.home().join(directory));
        call.into_iter().for_each(|call| forbid(&mut command, call));
        command.output().unwrap()
    }

    /// The terminal form's output, when each line is wanted.
    fn at_a_terminal(&self, directory: &str) -> Output {
        let mut command = self.sandbox.act_claude(&["--report", "always", "-p", "hi"]);
        command.current_dir(self.sandbox.home().join(directory)).output().unwrap()
    }

    fn sessions(&self) -> Vec<Value> {
        let output = self.sandbox.act_claude(&["act", "history", "--json"]).output().unwrap();
        let history: Value = serde_json::from_str(&output.out()).unwrap();
        history["sessions"].as_array().unwrap().clone()
    }
}

fn ran(output: &Output) {
    assert_eq!((output.out().as_str(), output.err().as_str(), output.code()), ("claude ran\n", "", 0));
}

fn refused(output: &Output, why: &str) {
    assert_eq!((output.out().as_str(), output.code()), ("", 78), "{}", output.err());
    assert!(output.err().contains(why), "{why}: {}", output.err());
    assert!(output.err().contains("required by") && output.err().lines().count() == 1, "{}", output.err());
}

/// Exit status and words are those of the terminal form.
#[test]
fn required_and_nothing_to_report_with() {
    type Change = fn(&mut Value);
    let empty: Change = |config| *config = json!({});
    let null: Change = |config| *config = json!({"default": null});
    let broken: Change = |config| config["alliases"] = json!({});
    let off: Change = |_| {};
    for (change, why, variable) in [
        (empty, "no telemetry: no alias is configured in ", ""),
        (null, "no telemetry here: ", ""),
        (broken, "unknown key \"alliases\": did you mean \"aliases\"?", ""),
        (off, "telemetry can't be switched off: it is required by ", "off"),
    ] {
        let mut lab = Lab::new(|config| {
            change(config);
            config["required"] = json!(true);
        });
        lab.sandbox.set("ACT_CLAUDE", variable);
        let output = lab.run("work", None, &["--session-id", "x"]);
        refused(&output, why);
        assert_eq!(output.err(), lab.at_a_terminal("work").err());
        // It is no session.
        ran(&lab.run("work", None, &["--version"]));
    }
    // The daemon may run: each of its sessions is refused.
    let lab = Lab::new(|config| *config = json!({"required": true}));
    ran(&lab.run("work", None, &["daemon", "run"]));
}

#[test]
fn required_and_no_relay() {
    let lab = Lab::new(|config| config["required"] = json!(true));
    for call in [libc::SYS_bind, libc::SYS_socket, libc::SYS_socketpair] {
        refused(&lab.run("work", Some(call), &["-p", "hi"]), CANNOT_START);
    }
    // What needs no relay runs.
    ran(&lab.run("work", Some(libc::SYS_bind), &["--version"]));
    ran(&lab.run("work", None, &["-p", "hi"]));
    assert_eq!(lab.sessions(), [] as [Value; 0]);
}

#[test]
fn a_relay_that_can_t_start_is_recorded_and_reported_once() {
    let lab = Lab::new(|_| {});
    ran(&lab.run("work", Some(libc::SYS_bind), &["-p", "hi"]));
    let sessions = lab.sessions();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    let expected = json!(["billing", "not_observed", true, CANNOT_START]);
    let session = &sessions[0];
    assert_eq!(json!([session["alias"], session["state"], session["failed"], session["text"]]), expected, "{session}");
    let said = format!("a background session in ~/work: billing: {CANNOT_START}");
    assert!(lab.at_a_terminal("elsewhere").err().contains(&said), "{}", lab.at_a_terminal("elsewhere").err());
    assert!(!lab.at_a_terminal("elsewhere").err().contains("background"), "reported before");
    // Nothing would have been sent from there, or by that command.
    ran(&lab.run("elsewhere", Some(libc::SYS_bind), &["-p", "hi"]));
    ran(&lab.run("work", Some(libc::SYS_bind), &["mcp", "list"]));
    // The directory of a warm spare says nothing about its alias.
    ran(&lab.run("elsewhere", Some(libc::SYS_bind), &["--bg-spare", "x"]));
    let sessions = lab.sessions();
    assert_eq!((sessions.len(), &sessions[0]["alias"], &sessions[0]["text"]), (2, &json!(null), &json!(CANNOT_START)));
}

/// The relay is started, and can't work.
#[test]
fn a_relay_that_ends_at_its_start_is_recorded() {
    let lab = Lab::new(|_| {});
    ran(&lab.run("work", Some(libc::SYS_epoll_create1), &["-p", "hi"]));
    let session = eventually("a record", || lab.sessions().first().cloned());
    let text = session["text"].as_str().unwrap();
    assert!(text.starts_with("no telemetry: the relay cannot start (it ended unexpectedly 1"), "{session}");
    assert_eq!((&session["alias"], &session["state"]), (&json!("billing"), &json!("not_observed")), "{session}");
}
