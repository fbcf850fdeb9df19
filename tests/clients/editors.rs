//! The editors' form, `act-claude /abs/claude ARGS…`: standard streams are claude's own, and the alias is that of the
//! working directory.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::background_lab::{self, BackgroundLab, sessions};
use crate::support::act::refused;
use crate::support::client::BOTH;
use crate::support::eventually;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text, snapshot};

/// The arguments of the VS Code extension: one message on standard input, answers as lines of JSON.
const STREAM: [&str; 6] = ["--output-format", "stream-json", "--input-format", "stream-json", "--verbose", "-p"];
const MESSAGE: &str = "{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":\"hi\"}}\n";

fn talk(mut command: Command, input: &[u8]) -> std::process::Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

#[test]
fn a_real_client_talks_to_its_editor_and_reports_under_the_directorys_alias() {
    for version in BOTH {
        let Some(lab) = background_lab::lab(version) else { return };
        let background_lab = BackgroundLab(&lab);
        let mut bare = lab.claude("one", &STREAM);
        bare.current_dir(lab.sandbox.directory("one"));
        let bare = talk(bare, MESSAGE.as_bytes());
        let claude = lab.claude.to_str().unwrap();
        let ours = talk(lab.act_claude("one", &[&[claude][..], &STREAM].concat()), MESSAGE.as_bytes());
        assert_eq!((shape(&ours.out()), ours.err(), ours.code()), (shape(&bare.out()), bare.err(), 0), "{version}");
        let session = last_line(&ours.out())["session_id"].as_str().unwrap()[..8].to_owned();
        background_lab.assert_reported(&session, "one");
        // The relay ends after claude, too.
        background_lab.assert_gone();
    }
}

/// The type and the keys of each line. Ids and times differ between runs and are left out.
fn shape(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
            format!("{} {} {keys:?} {}", line["type"], line["subtype"], line["result"])
        })
        .collect()
}

fn last_line(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// Every byte value in both directions, and claude's own exit status.
#[test]
fn streams_are_claudes_own_byte_for_byte() {
    let sandbox = Sandbox::new();
    background_lab::configure(&sandbox, "http://127.0.0.1:1/m");
    let claude = sandbox.script("editor/claude", "#!/bin/sh\ncat\nprintf '\\377done' >&2\nexit 5\n");
    let input: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut command = sandbox.act_claude(&[claude.to_str().unwrap(), "--output-format", "stream-json"]);
    command.current_dir(sandbox.directory("one"));
    let output = talk(command, &input);
    assert!(output.stdout == input, "other bytes");
    assert_eq!((output.stderr.as_slice(), output.code()), (&b"\xffdone"[..], 5));
}

/// No argument changes, the user's variable reaches claude, and the token is in none of them.
#[test]
fn arguments_and_variables_are_passed_on() {
    let mut sandbox = Sandbox::new();
    background_lab::configure(&sandbox, "http://127.0.0.1:1/m");
    sandbox.set("MINE", "kept");
    sandbox.set("OTEL_RESOURCE_ATTRIBUTES", "mine=1");
    let claude = sandbox.script("editor/claude", "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexec env\n");
    let args = ["--alias", "x", "--verify", "", "two words", "--no-act"];
    let mut command = sandbox.act_claude(&[&[claude.to_str().unwrap()][..], &args].concat());
    command.current_dir(sandbox.directory("one"));
    let text = command.output().unwrap().out();
    assert!(text.starts_with("--alias\nx\n--verify\n\ntwo words\n--no-act\n"), "{text}");
    for line in ["MINE=kept", "OTEL_RESOURCE_ATTRIBUTES=mine=1", "OTEL_METRICS_EXPORTER=otlp"] {
        assert!(text.lines().any(|own| own == line), "{line} is missing: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}

/// Processes that the daemon starts beside sessions get no endpoint and no relay.
#[test]
fn the_daemon_itself_is_no_session() {
    let sandbox = Sandbox::new();
    background_lab::configure(&sandbox, "http://127.0.0.1:1/m");
    let claude = sandbox.script("editor/claude", "#!/bin/sh\nexec env\n");
    for (args, is_session) in [
        (&["daemon", "run", "--origin", "transient"][..], false),
        (&["--bg-pty-host", "/x", "--", "y"], false),
        (&["--session-id", "x"], true),
        (&["--something-new"], true),
    ] {
        let mut command = sandbox.act_claude(&[&[claude.to_str().unwrap()][..], args].concat());
        command.current_dir(sandbox.directory("one"));
        let text = command.output().unwrap().out();
        assert_eq!(text.contains("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="), is_session, "{args:?}");
        assert!(text.contains("CLAUDE_CODE_PROCESS_WRAPPER=/"), "{args:?}");
    }
}

/// A token in a variable is removed from claude's environment, but the daemon passes it on to later relays.
#[test]
fn a_token_in_a_variable_reaches_relays_only() {
    let mut sandbox = Sandbox::new();
    background_lab::configure(&sandbox, "http://127.0.0.1:1/m");
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["accounts"]["acme"]["token"] = serde_json::json!({"env": "ACME_TOKEN"});
    sandbox.configure(&config);
    sandbox.set("ACME_TOKEN", "canary");
    let claude = sandbox.script("editor/claude", "#!/bin/sh\nexec env\n");
    for (args, passes) in [(&["-p", "hi"][..], false), (&["daemon", "run"], true)] {
        let mut command = sandbox.act_claude(&[&[claude.to_str().unwrap()][..], args].concat());
        command.current_dir(sandbox.directory("one"));
        assert_eq!(command.output().unwrap().out().contains("canary"), passes, "{args:?}");
    }
}

/// No descriptor is left for listener and control socket: claude starts all the same, without a message.
#[test]
fn claude_starts_where_a_relay_can_not() {
    let sandbox = Sandbox::new();
    background_lab::configure(&sandbox, "http://127.0.0.1:1/m");
    for (limit, has_relay) in [(64, true), (5, false)] {
        let mut command = sandbox.command("/bin/sh");
        let script = format!("ulimit -n {limit}; exec \"$0\" /usr/bin/env");
        command.args(["-c", &script]).arg(crate::support::act_claude()).current_dir(sandbox.directory("one"));
        let output = command.output().unwrap();
        assert_eq!((output.code(), output.err().as_str()), (0, ""));
        assert_eq!(output.out().contains("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"), has_relay, "{}", output.out());
    }
}

/// ACT refuses the exports. Nothing is printed at that time; the next run in a terminal reports it, once.
#[test]
fn a_failure_is_named_by_the_next_terminal_run() {
    for version in BOTH {
        let Some(lab) = background_lab::lab(version) else { return };
        let background_lab = BackgroundLab(&lab);
        lab.act.answer(refused(401, "Unauthorized"));
        let claude = lab.claude.to_str().unwrap();
        let output = talk(lab.act_claude("one", &[&[claude][..], &STREAM].concat()), MESSAGE.as_bytes());
        assert_eq!((output.err().as_str(), output.code()), ("", 0));
        background_lab.assert_gone();
        let history = lab.act_claude("one", &["act", "history", "--failed", "--json"]).output().unwrap();
        let history: Value = serde_json::from_str(&history.out()).unwrap();
        assert_eq!(history["sessions"][0]["state"], "held", "{history}");
        assert_eq!(history["sessions"][0]["client_version"], version);

        lab.act.answer(crate::support::act::accepted());
        let named = "a background session in ~/one: a-one: ";
        // With output to a pipe nobody reads the message, so it is not reported yet.
        let piped = lab.act_claude("two", &["-p", "hi"]).output().unwrap();
        assert_eq!((piped.out().as_str(), piped.err().as_str()), ("hello there\n", ""));
        let run = || {
            let mut pty = Pty::start(lab.act_claude("two", &["-p", "hi"]));
            let (status, screen) = pty.finish();
            assert_eq!(status.code(), Some(0), "{screen}");
            screen.replace('\n', "")
        };
        let first = run();
        assert!(first.starts_with("hello there") && first.contains(named), "{first}");
        assert!(first.contains("held: ACT answered 401 Unauthorized"), "{first}");
        let second = run();
        assert!(second.contains("a-two: ") && !second.contains("background"), "{second}");
    }
}

/// The vendor's recipe in the user's settings overrides the environment, and act-claude must not add an argument here.
#[test]
fn the_recipe_in_user_settings_is_named_with_its_key_and_the_remedy() {
    for version in BOTH {
        let Some(lab) = background_lab::lab(version) else { return };
        let background_lab = BackgroundLab(&lab);
        let recipe = lab.act.endpoint_of("recipe-0000");
        let settings = lab.sandbox.write(
            ".claude/settings.json",
            serde_json::json!({"env": {
                "CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRICS_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": recipe,
                "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic eDp5,X-Alias-Id=id-recipe,Origin=https://claude.ai",
                "OTEL_METRIC_EXPORT_INTERVAL": "5000"
            }})
            .to_string(),
        );
        let before = snapshot(&lab.sandbox.home().join(".claude"));
        let claude = lab.claude.to_str().unwrap();
        let output = talk(lab.act_claude("one", &[&[claude][..], &STREAM].concat()), MESSAGE.as_bytes());
        assert_eq!((output.err().as_str(), output.code()), ("", 0));
        assert!(before.iter().all(|(path, content)| std::fs::read(path).unwrap() == *content), "settings were touched");
        background_lab.assert_gone();
        let posts = lab.act.wait_for(1);
        assert!(posts.iter().all(|post| post.path.contains("recipe-0000")), "the premise: {posts:?}");
        let key = format!("env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT in {}", settings.display());
        let records = eventually("a record", || {
            let output = lab.act_claude("one", &["act", "history", "--json"]).output().unwrap();
            let value: Value = serde_json::from_str(&output.out()).unwrap();
            value["sessions"][0].is_object().then_some(value)
        });
        let record = &records["sessions"][0];
        assert_eq!((record["redirected_by"].as_str(), record["alias"].as_str()), (Some(key.as_str()), Some("a-one")));
        assert_eq!((record["failed"].as_bool(), record["exports"].as_u64()), (Some(true), None));
        let text = lab.act_claude("one", &["act", "history"]).output().unwrap().out();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains("went elsewhere"), "{text}");
        assert!(flat.contains(&format!("exports go to {recipe}")), "{text}");
        assert!(settings.ends_with(".claude/settings.json"));
        let fix = "remove env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT from ~/.claude/settings.json";
        assert!(flat.contains(fix), "{text}");
        assert!(!sessions(&posts[0]).is_empty());
    }
}
