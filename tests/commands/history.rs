//! `act history`: what recent sessions delivered and what is kept, at 80 columns and as JSON.

use serde_json::Value;

use crate::support::act::{Act, accepted, refused};
use crate::support::fake_claude;
use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, TOKEN, Text};

fn sandbox(act: &Act) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "post\npost");
    sandbox
}

fn history(sandbox: &Sandbox, args: &[&str]) -> String {
    let output = sandbox.act_claude(&[&["act", "history"][..], args].concat()).output().unwrap();
    assert_eq!((output.err().as_str(), output.code()), ("", 0));
    output.out()
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_str(&history(sandbox, &[&["--json"][..], args].concat())).unwrap()
}

fn run(sandbox: &Sandbox, directory: &str) {
    // CI makes act-claude wait until the relay knows ACT's answer.
    let mut command = sandbox.act_claude(&["-p", "hi", "--report", "never"]);
    assert!(command.env("CI", "1").current_dir(sandbox.directory(directory)).status().unwrap().success());
    ended(sandbox);
}

/// Waits until the latest session's relay has ended.
fn ended(sandbox: &Sandbox) {
    crate::support::eventually("the session's end", || {
        json(sandbox, &[])["sessions"][0]["end"].is_string().then_some(())
    });
}

#[test]
fn nothing_yet() {
    let act = Act::start();
    let sandbox = sandbox(&act);
    let expected = "no session is recorded yet (~/.local/state/act-claude/sessions). To start one: act-claude\n";
    assert_eq!(history(&sandbox, &[]), expected);
    let expected = "no session has failed (~/.local/state/act-claude/sessions). All sessions: act-claude act history\n";
    assert_eq!(history(&sandbox, &["--failed"]), expected);
    let unconfigured = "no session is recorded yet (~/.local/state/act-claude/sessions). First set up account, alias \
                        and token: act-claude act setup\n";
    assert_eq!(history(&Sandbox::new(), &[]), unconfigured);
    assert_eq!(json(&sandbox, &[])["sessions"], serde_json::json!([]));
    assert!(!sandbox.state().exists(), "looking leaves nothing behind");
}

#[test]
fn delivered_held_and_released() {
    let act = Act::start();
    let sandbox = sandbox(&act);
    run(&sandbox, "work");
    act.answer(refused(401, "Unauthorized"));
    run(&sandbox, "other");
    let all = json(&sandbox, &[]);
    let sessions = all["sessions"].as_array().unwrap();
    let states: Vec<_> = sessions.iter().map(|session| session["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["held", "delivered"], "the latest first");
    assert_eq!(sessions[0]["failed"], true);
    assert_eq!((&sessions[1]["failed"], &sessions[1]["outcome"]["exports"]), (&Value::from(false), &Value::from(2)));
    assert_eq!(sessions[1]["totals"]["claude_code.session.count"]["value"], 2.0);
    assert_eq!(
        (&all["spool"]["waiting"][0]["alias"], &all["spool"]["waiting"][0]["exports"]),
        (&"billing".into(), &2.into())
    );
    assert_eq!(json(&sandbox, &["--failed"])["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(json(&sandbox, &["-n", "1"])["sessions"].as_array().unwrap().len(), 1);

    let text = history(&sandbox, &[]);
    assert!(text.contains("  billing  held             2       4      23     -\n         ~/other"), "{text}");
    assert!(text.contains("  billing  delivered        2       4      23     -\n         ~/work"), "{text}");
    assert!(text.contains("ACT answered 401 Unauthorized"), "{text}");
    assert!(text.contains("Kept on this machine\n  billing  2 exports held, the oldest for "), "{text}");
    assert!(text.contains("act-claude act flush"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains(TOKEN), "{text}");
    // On a terminal with colour.
    let mut pty = Pty::start(sandbox.act_claude(&["act", "history"]));
    pty.finish();
    assert!(String::from_utf8_lossy(&pty.raw()).contains("\u{1b}["));

    act.answer(accepted());
    assert!(sandbox.act_claude(&["act", "flush"]).output().unwrap().status.success());
    let text = history(&sandbox, &[]);
    assert_eq!(text.matches("  billing  delivered        2       4      23     -\n").count(), 2, "{text}");
    assert!(!text.contains("Kept on this machine"), "{text}");
    assert_eq!(json(&sandbox, &["--failed"])["sessions"], serde_json::json!([]));
}

#[test]
fn only_the_number_asked_for() {
    let act = Act::start();
    let sandbox = sandbox(&act);
    let wrong = sandbox.act_claude(&["act", "history", "--all", "-n", "3"]).output().unwrap();
    assert_eq!(wrong.code(), 64, "{}", wrong.err());
    for _ in 0..12 {
        run(&sandbox, "work");
    }
    let count = |args: &[&str]| json(&sandbox, args)["sessions"].as_array().unwrap().len();
    assert_eq!((count(&[]), count(&["-n", "3"]), count(&["--all"])), (10, 3, 12));
}

/// `act logs` with the id that a report and `act history` name: the log of that session, and not the latest one.
#[test]
fn a_session_s_log_is_found_by_its_id() {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    let claude = fake_claude::install(&mut sandbox, "post\nexit 0");
    // A version that writes its log where it is told to.
    let program = sandbox.directory(".local/share/claude/versions").join("2.1.330");
    std::fs::copy(&claude, &program).unwrap();
    std::fs::remove_file(&claude).unwrap();
    std::os::unix::fs::symlink(&program, &claude).unwrap();
    let session = |words: &str| {
        let output = sandbox.act_claude(&["--verify", "--report", "json", "-p", "hi"]).output().unwrap();
        let report: Value = serde_json::from_str(&output.err()).unwrap_or_else(|_| panic!("{}", output.err()));
        let log = report["log"]["file"].as_str().unwrap().to_owned();
        std::fs::write(log, format!("[3P telemetry] First metrics export: FAILED ({words})\n")).unwrap();
        report["session"].as_str().unwrap().to_owned()
    };
    let (first, second) = (session("the first"), session("the second"));
    let shown = |id: &str| {
        let output = sandbox.act_claude(&["act", "logs", id]).output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        output.out()
    };
    assert!(shown(&first).contains("FAILED (the first)"), "{}", shown(&first));
    assert!(shown(&second).contains("FAILED (the second)"), "{}", shown(&second));
    assert!(shown(&first[..first.len() - 1]).contains("FAILED (the first)"));
}
