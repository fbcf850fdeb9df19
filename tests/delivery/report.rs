//! B14 and B15: the report says what ACT has accepted and what is on disk, and no process waits for it.

use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::relay::{files, waiting};
use crate::support::act::{Act, accepted, refused};
use crate::support::fake_claude;
use crate::support::http::Reply;
use crate::support::sandbox::{Sandbox, Text};

fn session(script: &str) -> (Sandbox, Act) {
    let mut sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    sandbox.set("ACT_CLAUDE_REPORT", "always");
    fake_claude::install(&mut sandbox, script);
    (sandbox, act)
}

#[test]
fn b14_the_report_is_the_server_s_log_and_the_spool() {
    let partial = "{\"partialSuccess\":{\"rejectedDataPoints\":\"1\",\"errorMessage\":\"too old\"}}";
    for (reply, line, kept, dead_letters) in [
        (accepted(), "2 exports delivered (4 points)", 0, 0),
        (Reply::json(200, partial), "2 exports delivered; ACT rejected 2 of 4 points (too old)", 0, 0),
        (refused(503, ""), "2 exports waiting (503 Service Unavailable), kept for the next session", 2, 0),
        (refused(401, ""), "2 exports held: ACT answered 401 Unauthorized", 2, 0),
        (
            refused(400, "malformed"),
            "2 exports rejected, moved to the dead letters: ACT answered 400 Bad Request (malformed)",
            0,
            2,
        ),
        (Reply::json(200, "<html>"), "2 exports not understood, kept: 127.0.0.1 answered 200 with a web page", 2, 0),
    ] {
        let (mut sandbox, act) = session("post\npost");
        // Long enough for every verdict, even on a busy machine.
        sandbox.configure(&serde_json::json!({
            "accounts": {"acme": sandbox.account(&act.endpoint())},
            "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P"}},
            "default": "billing", "exit_wait_ms": 20_000
        }));
        sandbox.set("TZ", "UTC");
        act.answer(reply);
        let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
        assert_eq!(output.code(), 0);
        assert!(output.err().starts_with(&format!("act-claude: billing: {line}")), "{line}: {}", output.err());
        assert_eq!((waiting(&sandbox).len(), files(&sandbox, "rejected").len()), (kept, dead_letters), "{line}");
        let bodies: Vec<_> = act.requests().iter().map(|request| request.raw.clone()).collect();
        if kept == 0 {
            assert_eq!(bodies.len(), 2, "each once: {line}");
        }
    }
}

#[test]
fn b14_nothing_is_called_kept_that_is_not() {
    let (mut sandbox, act) = session("post\npost");
    let file = sandbox.write("file", "");
    sandbox.set("XDG_STATE_HOME", file.join("below"));
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert!(
        output.err().contains("2 exports delivered (4 points); exports could not be stored on this machine"),
        "{}",
        output.err()
    );
    act.answer(refused(503, ""));
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert!(
        output.err().contains("2 exports lost: 503 Service Unavailable, and it could not be stored"),
        "{}",
        output.err()
    );
    assert!(!output.err().contains("kept for"), "{}", output.err());
}

#[test]
fn b15_a_silent_server_delays_nothing_and_the_next_session_delivers() {
    let (mut sandbox, act) = session("post");
    act.answer(Reply::Hang);
    fake_claude::install(&mut sandbox, "post\ntouch ended");
    let mut child = sandbox.act_claude(&["-p", "hi"]).spawn().unwrap();
    crate::support::eventually("claude's end", || sandbox.home().join("ended").exists().then_some(()));
    let ended = Instant::now();
    child.wait().unwrap();
    let took = ended.elapsed();
    // 0.3 s of waiting, and more for a busy machine.
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert_eq!(waiting(&sandbox).len(), 1, "it is on disk");
    act.answer(accepted());
    // The relay of the first session still waits for its answer. It is killed, so the next session delivers the export.
    for process in crate::support::process::with_environment(&sandbox.root().display().to_string()) {
        if process.is_relay() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
    let mut next = sandbox.act_claude(&["-p", "hi"]).spawn().unwrap();
    next.wait().unwrap();
    crate::support::eventually("an empty spool", || waiting(&sandbox).is_empty().then_some(()));
}

#[test]
fn b15_a_container_that_ends_with_us_waits_longer() {
    if crate::support::program("unshare").is_none() {
        return;
    }
    let (sandbox, act) = session("post");
    act.answer(Reply::After(Duration::from_secs(2), Box::new(accepted())));
    // Process 1 of a pid namespace: when it ends, all processes of the namespace end, including the relay.
    let mut command = sandbox.command("unshare");
    command
        .args(["--fork", "--pid", "--mount-proc", "--kill-child"])
        .arg(crate::support::act_claude())
        .args(["-p", "hi"]);
    command.process_group(0);
    let output = command.output().unwrap();
    if output.err().contains("unshare") {
        return crate::support::skip(&format!("no pid namespaces here: {}", output.err()));
    }
    assert!(output.err().contains("billing: 1 export delivered (2 points)"), "{}", output.err());
    assert_eq!((act.requests().len(), waiting(&sandbox).len()), (1, 0));
}

/// act-claude is not process 1 here, but the variable CI says that no process survives. Without that variable
/// the export is counted as under way, which is correct; it is on disk, and the next session delivers it.
#[test]
fn b15_a_container_that_ends_behind_us_delivers_or_counts() {
    if crate::support::program("unshare").is_none() {
        return;
    }
    for (is_ci, line, kept) in [
        (true, "billing: 1 export delivered (2 points)", 0),
        (false, "billing: 1 export not decided yet: delivery continues in the background", 1),
    ] {
        let (sandbox, act) = session("post");
        act.answer(Reply::After(Duration::from_secs(2), Box::new(accepted())));
        let mut command = sandbox.command("unshare");
        command.args(["--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c", "\"$0\" -p hi; exit $?"]);
        command.arg(crate::support::act_claude()).process_group(0);
        if is_ci {
            command.env("CI", "1");
        }
        let output = command.output().unwrap();
        if output.err().contains("unshare") {
            return crate::support::skip(&format!("no pid namespaces here: {}", output.err()));
        }
        assert_eq!(output.code(), 0, "{}", output.err());
        assert!(output.err().contains(line), "{}", output.err());
        assert_eq!(waiting(&sandbox).len(), kept, "{line}");
        act.answer(accepted());
        assert_eq!(sandbox.act_claude(&["-p", "hi"]).output().unwrap().code(), 0);
        crate::support::eventually("an empty spool", || waiting(&sandbox).is_empty().then_some(()));
        crate::support::process::end_relays(sandbox.root());
        // The exports of both sessions arrived.
        let mut bodies: Vec<_> = act.requests().iter().map(|request| request.raw.clone()).collect();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 2, "{line}");
    }
}

/// An export of one cost and two kinds of tokens, with this temporality.
fn usage(temporality: u8) -> String {
    let point = |kind: &str, value: &str| {
        format!(r#"{{"attributes":[{{"key":"type","value":{{"stringValue":"{kind}"}}}}],{value}}}"#)
    };
    let metric = |name: &str, points: String| {
        format!(
            r#"{{"name":"claude_code.{name}","sum":{{"aggregationTemporality":{temporality},"isMonotonic":true,"dataPoints":[{points}]}}}}"#
        )
    };
    let tokens = [point("output", r#""asInt":"100""#), point("cacheRead", r#""asInt":"4000""#)].join(",");
    let metrics = [metric("token.usage", tokens), metric("cost.usage", point("", r#""asDouble":0.25"#))].join(",");
    format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#)
}

/// The report as JSON, and the session's entry in the history.
fn report_and_history(sandbox: &Sandbox) -> (Value, Value) {
    let mut command = sandbox.act_claude(&["-p", "hi", "--report", "json"]);
    let report = serde_json::from_str(&command.env("CI", "1").output().unwrap().err()).expect("one JSON object");
    let history = crate::support::eventually("the session's end", || {
        let output = sandbox.act_claude(&["act", "history", "--json"]).output().unwrap();
        let history: Value = serde_json::from_str(&output.out()).unwrap();
        history["sessions"][0]["end"].is_string().then_some(history)
    });
    (report, history)
}

#[test]
fn b14_the_json_report_has_the_session_and_its_usage() {
    let (mut sandbox, _act) = session("");
    let body = sandbox.write("body", usage(1));
    // The same bytes are posted again, as the client does after a 503.
    fake_claude::install(&mut sandbox, &format!("post\npost\npost {0}\npost {0}", body.display()));
    let (report, history) = report_and_history(&sandbox);
    let expected = json!({
        "complete": true, "cost_usd": 0.25,
        "tokens": {"total": 4123, "input": 23, "output": 100, "cache_read": 4000, "cache_creation": null},
        "active_seconds": null, "lines_added": null, "lines_removed": null, "commits": null, "pull_requests": null
    });
    assert_eq!((&report["usage"], &report["exports"]), (&expected, &json!(3)), "{report}");
    assert_eq!((&history["sessions"][0]["id"], &history["sessions"][0]["usage"]), (&report["session"], &expected));
    let today = &history["totals"]["today"];
    assert_eq!((&today["sessions"], &today["exports"], &today["usage"]), (&json!(1), &json!(3), &expected), "{today}");
    assert_eq!(today["states"], json!({"delivered": 3}));
}

/// Running totals can't be added up, and an export that can't be read has unknown content.
#[test]
fn b14_usage_that_is_not_known_is_null() {
    let (mut sandbox, _act) = session("");
    let (running, broken) = (sandbox.write("running", usage(2)), sandbox.write("broken", "{"));
    for (script, exports) in [
        (format!("post {}", running.display()), 1),
        (format!("post\npost {}", running.display()), 2),
        (format!("post {}", broken.display()), 1),
    ] {
        fake_claude::install(&mut sandbox, &script);
        let (report, history) = report_and_history(&sandbox);
        let unknown = |usage: &Value| (usage["complete"].clone(), usage["cost_usd"].clone(), usage["tokens"].clone());
        assert_eq!(unknown(&report["usage"]), (json!(false), Value::Null, Value::Null), "{script}: {report}");
        assert_eq!(history["sessions"][0]["usage"], report["usage"], "{script}");
        assert_eq!(report["exports"], exports, "{script}");
    }
    // No export: nothing is known to be missing, and nothing is claimed to be 0.
    fake_claude::install(&mut sandbox, "exit 0");
    let (report, _) = report_and_history(&sandbox);
    assert_eq!((&report["usage"]["complete"], &report["usage"]["tokens"]), (&json!(true), &Value::Null), "{report}");
}
