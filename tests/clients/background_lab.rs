//! Helpers for background agents: a sandbox with three directories with an alias each and one without, and every
//! process with its HOME.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use crate::support::act::{self, resource_attributes};
use crate::support::client::Lab;
use crate::support::http::Request;
use crate::support::process::{self, Process};
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{DEADLINE, eventually};

/// The directory without an alias.
pub const UNMAPPED: &str = "elsewhere";

/// A lab with the directories one, two, three and [`UNMAPPED`].
pub fn lab(version: &'static str) -> Option<Lab> {
    let lab = Lab::start(version, &["one", "two", "three", UNMAPPED])?;
    configure(&lab.sandbox, &lab.act.endpoint());
    Some(lab)
}

/// Directory `one` has alias `a-one`, id `id-one` and provider type `P-one`; the others accordingly.
pub fn configure(sandbox: &Sandbox, endpoint: &str) {
    let alias = |name| json!({"account": "acme", "id": format!("id-{name}"), "provider_type": format!("P-{name}")});
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(endpoint)},
        "aliases": {"a-one": alias("one"), "a-two": alias("two"), "a-three": alias("three")},
        "directories": {"~/one": "a-one", "~/two": "a-two", "~/three": "a-three"},
        "export_interval_ms": 500
    }));
}

/// On drop, ends the processes that a real client left running in its sandbox, whether the test passed or failed.
pub struct BackgroundLab<'a>(pub &'a Lab);

impl BackgroundLab<'_> {
    /// Starts an agent with `act-claude --bg` and returns its id.
    pub fn agent(&self, directory: &str) -> String {
        let output = self.0.act_claude(directory, &["--bg", "hello"]).output().unwrap();
        // The output must come from claude only.
        let err = output.err();
        assert!(["", "Starting background service…\n"].contains(&err.as_str()), "{err}");
        assert_eq!(output.code(), 0);
        agent_id(&output.out())
    }

    /// Waits for an export of the agent with this id, and returns all its exports.
    pub fn exports_of(&self, agent: &str) -> Vec<Request> {
        eventually(&format!("an export of agent {agent}"), || {
            let requests = self.0.act.requests();
            let own: Vec<_> = requests.into_iter().filter(|request| sessions(request).contains(agent)).collect();
            (!own.is_empty()).then_some(own)
        })
    }

    /// Asserts that the agent reports under the alias of `directory` only.
    pub fn assert_reported(&self, agent: &str, directory: &str) {
        for request in self.exports_of(agent) {
            assert_eq!(request.header("x-alias-id"), Some(format!("id-{directory}").as_str()), "agent {agent}");
            assert_eq!(act::credential(&request), "BOOMI_TOKEN.dev@acme.com:canary-51f0a9c2-token");
            let attributes = resource_attributes(&request.json());
            let ours = ["providerType", "operation", "promptType"].map(|name| attributes.get(name).map(String::as_str));
            let provider = format!("P-{directory}");
            assert_eq!(ours, [Some(provider.as_str()), Some("InvokeAgent"), Some("Interactive")]);
        }
    }

    /// All processes of the sandbox: pid and command line.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let home = format!("HOME={}", self.0.sandbox.home().display());
        let is_own = |environ: &[u8]| environ.split(|byte| *byte == 0).any(|entry| entry == home.as_bytes());
        let pids =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| is_own(&environ)))
            .map(|pid: i32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                (pid, String::from_utf8_lossy(&line).replace('\0', " "))
            })
            .collect()
    }

    /// The relays of the sandbox: for each, the process that was executed, not its child.
    pub fn relays(&self) -> Vec<i32> {
        let all = process::with_environment(&format!("HOME={}", self.0.sandbox.home().display()));
        let relays: Vec<_> = all.into_iter().filter(Process::is_relay).collect();
        let is_child = |relay: &Process| relay.parent().is_some_and(|parent| relays.iter().any(|it| it.pid == parent));
        relays.iter().filter(|relay| !is_child(relay)).map(|relay| relay.pid).collect()
    }

    /// Stops the daemon with all its agents.
    pub fn stop(&self) {
        let _ = self.0.claude("one", &["daemon", "stop", "--any"]).output();
    }

    /// Waits until no process of the sandbox runs any more.
    pub fn assert_gone(&self) {
        let end = std::time::Instant::now() + DEADLINE;
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            assert!(std::time::Instant::now() < end, "still there: {left:#?}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Asserts that none of the sandbox's processes has a zombie child.
    pub fn assert_no_zombies(&self) {
        let own: BTreeSet<i32> = self.processes().into_iter().map(|(pid, _)| pid).collect();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let Some((name, rest)) = stat.rsplit_once(") ") else { continue };
            let mut fields = rest.split(' ');
            let (state, parent) = (fields.next(), fields.next().and_then(|parent| parent.parse().ok()));
            assert!(state != Some("Z") || !own.contains(&parent.unwrap_or(0)), "a zombie: {name}");
        }
    }
}

impl Drop for BackgroundLab<'_> {
    fn drop(&mut self) {
        self.stop();
        for (pid, _) in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// `backgrounded · 02825c1a`
pub fn agent_id(output: &str) -> String {
    let line = output.lines().find_map(|line| line.strip_prefix("backgrounded · "));
    line.unwrap_or_else(|| panic!("no agent: {output}")).trim().to_owned()
}

/// The first eight letters of each session id in an export, which is how agents are named.
pub fn sessions(request: &Request) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&request.body()).into_owned();
    let values = text.split(r#""key":"session.id","value":{"stringValue":""#).skip(1);
    values.map(|value| value.chars().take(8).collect()).collect()
}
