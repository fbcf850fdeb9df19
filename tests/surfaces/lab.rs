//! A home with two projects that have an alias each, and the programs that `tests/run` puts into target/surfaces.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::act::resource_attributes;
use crate::support::client::Lab;
use crate::support::sandbox::Text;
use crate::support::{self, DEADLINE};

/// The client of the pinned SDKs: the version that they bundle.
pub const VERSION: &str = support::client::NEW;

/// A lab in which the home has the alias `home`, and the directories `billing` and `web` have an alias of the same name each.
/// Programs start in the home: an export under `home` has the wrong alias.
pub fn lab(version: &'static str) -> Option<Lab> {
    let mut lab = Lab::start(version, &["billing", "web"])?;
    let alias = |name| json!({"account": "acme", "id": format!("id-{name}"), "provider_type": "CUSTOM_PROVIDER"});
    lab.sandbox.configure(&json!({
        "accounts": {"acme": lab.sandbox.account(&lab.act.endpoint())},
        "aliases": {"home": alias("home"), "billing": alias("billing"), "web": alias("web")},
        "directories": {"~": "home", "~/billing": "billing", "~/web": "web"}
    }));
    let act_claude = support::act_claude();
    lab.sandbox.path_first(act_claude.parent().expect("its directory"));
    Some(lab)
}

/// A file below target/surfaces; without it the test is skipped.
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/surfaces").join(name);
    if !path.exists() {
        support::skip(&format!("{name} is not in target/surfaces: tests/run puts it there"));
        return None;
    }
    Some(path)
}

/// A script of this suite.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/surfaces").join(name)
}

/// Runs a command to its end, within the tests' deadline.
pub fn finish(mut command: Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output().expect("its output")));
    wait.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        let output = wait.recv_timeout(DEADLINE).map(|output| format!("{}\n{}", output.out(), output.err()));
        panic!("{command:?} did not end: {output:?}");
    })
}

/// The lines of JSON that a script has printed.
pub fn lines(output: &Output) -> Vec<Value> {
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    output.out().lines().map(parse).collect()
}

/// Waits until the sessions that a script printed have reported, and asserts that they did so under this alias only.
pub fn assert_reported(lab: &Lab, printed: &[Value], alias: &str) {
    let mut sessions: Vec<&str> = printed.iter().filter_map(|line| line["session_id"].as_str()).collect();
    sessions.dedup();
    assert!(!sessions.is_empty(), "no session: {printed:#?}");
    for session in sessions {
        let exports = support::eventually(&format!("an export of {session}"), || {
            let requests = lab.act.requests();
            let own: Vec<_> =
                requests.into_iter().filter(|it| String::from_utf8_lossy(&it.body()).contains(session)).collect();
            (!own.is_empty()).then_some(own)
        });
        for export in exports {
            assert_eq!(export.header("x-alias-id"), Some(format!("id-{alias}").as_str()), "{session}");
            let attributes = resource_attributes(&export.json());
            assert_eq!(attributes.get("providerType").map(String::as_str), Some("CUSTOM_PROVIDER"));
        }
    }
}
