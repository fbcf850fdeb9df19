//! A home with two projects that have an alias each, and the programs that `tests/run` puts into target/surfaces.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::act::resource_attributes;
use crate::support::client::Lab;
use crate::support::http::Request;
use crate::support::sandbox::Text;
use crate::support::{self, DEADLINE};

/// The client of the pinned SDKs: the version that they bundle.
pub const VERSION: &str = support::client::NEW;

/// The account id in [`recipe_in_settings`].
pub const RECIPE: &str = "recipe-0000";

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

/// How long a script may take, which runs several sessions one after the other.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(5 * DEADLINE.as_secs());

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output().expect("its output")));
    wait.recv_timeout(LONGEST).unwrap_or_else(|_| {
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

/// Waits for an export of a session, and returns all its exports.
fn exports_of(lab: &Lab, session: &str) -> Vec<Request> {
    support::eventually(&format!("an export of {session}"), || {
        let contains = |it: &Request| memchr::memmem::find(&it.body(), session.as_bytes()).is_some();
        let own: Vec<Request> = lab.act.requests().into_iter().filter(contains).collect();
        (!own.is_empty()).then_some(own)
    })
}

/// The alias ids under which a session has reported, each once.
pub fn aliases_of(lab: &Lab, session: &str) -> Vec<String> {
    let aliases = exports_of(lab, session).into_iter().map(|it| it.header("x-alias-id").unwrap_or_default().to_owned());
    aliases.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Waits until the sessions that a script printed have reported, and asserts that they did so under this alias only.
pub fn assert_reported(lab: &Lab, printed: &[Value], alias: &str) {
    let mut sessions: Vec<&str> = printed.iter().filter_map(|line| line["session_id"].as_str()).collect();
    sessions.dedup();
    assert!(!sessions.is_empty(), "no session: {printed:#?}");
    for session in sessions {
        for export in exports_of(lab, session) {
            assert_eq!(export.header("x-alias-id"), Some(format!("id-{alias}").as_str()), "{session}");
            let attributes = resource_attributes(&export.json());
            assert_eq!(attributes.get("providerType").map(String::as_str), Some("CUSTOM_PROVIDER"));
        }
    }
    // All others but those of the recipe, and those of `act check`, which are no exports.
    let is_export = |it: &Request| memchr::memmem::find(&it.body(), b"session.id").is_some();
    let all = lab.act.requests().into_iter().filter(|it| is_export(it) && !it.path.contains(RECIPE));
    let aliases: Vec<_> = all.map(|it| it.header("x-alias-id").map(str::to_owned)).collect();
    assert!(aliases.iter().all(|it| it.as_deref() == Some(&format!("id-{alias}"))), "{aliases:?}");
}

/// Asserts that a scenario of sdk.mjs and sdk.py was what it is meant to be.
pub fn assert_premise(lab: &Lab, scenario: &str, printed: &[Value]) {
    let count = |text: &str| printed.iter().filter(|line| line.to_string().contains(text)).count();
    let results = |subtype: &str| {
        let is_result = |line: &&Value| line["num_turns"].is_number() && line["subtype"] == subtype;
        printed.iter().filter(is_result).count()
    };
    let mut sessions: Vec<&str> = printed.iter().filter_map(|line| line["session_id"].as_str()).collect();
    sessions.dedup();
    assert_eq!(sessions.len(), 1, "{scenario}: {printed:#?}");
    match scenario {
        "once" => assert_eq!(results("success"), 1),
        "turns" => assert_eq!(results("success"), 3),
        "interrupt" => {
            assert_eq!((results("error_during_execution"), results("success")), (1, 1), "{printed:#?}");
            assert!(count("[Request interrupted by user]") > 0, "{printed:#?}");
        }
        "resume" => {
            assert_eq!(results("success"), 2);
            let last = lab.messages.conversations().pop().expect("a request").to_string();
            assert!(last.contains("remember this") && last.contains("what was it"), "{last}");
        }
        _ => panic!("{scenario}"),
    }
}

/// Puts a `claude` first on PATH that must not run.
pub fn forbid_claude_on_path(lab: &mut Lab) {
    let claude = lab.sandbox.script("forbidden/claude", "#!/bin/sh\necho 'the claude on PATH ran' >&2\nexit 9\n");
    lab.sandbox.path_first(claude.parent().expect("its directory"));
}

/// The newest session of act-claude's history, when it has ended.
pub fn newest(lab: &Lab) -> Value {
    support::eventually("the end of a session's record", || {
        let history = lab.sandbox.act_claude(&["act", "history", "--json"]).output().expect("act history");
        let history: Value = serde_json::from_str(&history.out()).expect("JSON");
        Some(history["sessions"][0].clone()).filter(|record| record["end"].is_string())
    })
}

/// The vendor's recipe in the user's settings: claude uses it rather than the environment.
pub fn recipe_in_settings(lab: &Lab) {
    let env = json!({
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": lab.act.endpoint_of(RECIPE),
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic eDp5,X-Alias-Id=id-recipe,Origin=https://claude.ai"
    });
    lab.sandbox.write(".claude/settings.json", json!({ "env": env }).to_string());
}

/// Takes the one line that a script's callback for standard error has got, which must be act-claude's about a refused token.
pub fn take_failure(printed: &mut Vec<Value>) {
    let at = printed.iter().position(|line| line["stderr"].is_string()).expect("a line of standard error");
    let text = printed.remove(at)["stderr"].take();
    let text = text.as_str().expect("text");
    // One export, or several where the machine is slow.
    let is_held = text.contains(" held: ACT answered 401 Unauthorized") && text.lines().count() == 1;
    assert!(text.starts_with("act-claude: billing: ") && is_held, "{text}");
}
