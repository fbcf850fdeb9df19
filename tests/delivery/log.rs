//! `ACT_CLAUDE_LOG=debug` logs what happened to each export, for troubleshooting; everything else stays the same.

use std::os::unix::fs::PermissionsExt;

use crate::support::act::{Act, accepted, refused};
use crate::support::fake_claude;
use crate::support::process::end_relays;
use crate::support::sandbox::{Sandbox, TOKEN, Text};

/// A session with `value` for the log's variable. Returns claude's environment, standard error, and the log if there is
/// one.
fn session(value: Option<&str>, script: &str, act: &Act) -> (Sandbox, String, String, Option<String>) {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    if let Some(value) = value {
        sandbox.set("ACT_CLAUDE_LOG", value);
    }
    let given = sandbox.root().join("given");
    fake_claude::install(&mut sandbox, &format!("environment {}\ncomplain oops\n{script}", given.display()));
    let output = sandbox.act_claude(&["-p", "my prompt", "--report", "never"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    end_relays(sandbox.root());
    let given = String::from_utf8_lossy(&std::fs::read(given).unwrap()).into_owned();
    let log = std::fs::read_to_string(sandbox.state().join("act-claude.log")).ok();
    (sandbox, given, output.err(), log)
}

#[test]
fn the_log_says_what_happened_to_each_export() {
    let act = Act::start();
    let asked = std::sync::atomic::AtomicBool::new(false);
    act.answer_by(move |request| {
        if asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let sent = request.header("authorization").unwrap_or_default();
            refused(401, &format!("bad credential {sent}"))
        } else {
            accepted()
        }
    });
    let (sandbox, given, complained, log) = session(Some("debug"), "post\npost", &act);
    let log = log.expect("a log");
    assert_eq!(complained, "oops\n", "nothing on claude's standard error");
    let is_given = |entry: &str| given.split('\0').any(|given| given == entry);
    assert!(is_given("ACT_CLAUDE_LOG=debug"), "{given}");
    let mode = std::fs::metadata(sandbox.state().join("act-claude.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let has = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    for words in [
        &["act_claude::run: telemetry", "alias=\"billing\"", "account=\"acme\""][..],
        &["act_claude::run::relayed: claude runs"],
        &["act_claude::run::relayed: claude has ended"],
        &["an export", "sequence=0", "points=2"],
        &["asked ACT", "status=200", "Delivered"],
        &["decided", "sequence=0", "Delivered"],
        &["an export", "sequence=1"],
        &["asked ACT", "status=401", "Held", "401 Unauthorized"],
        &["no export can be sent for now", "exports=1"],
        &["the relay ends"],
    ] {
        assert!(has(words), "{words:?}: {log}");
    }
    // Two processes wrote, each with its pid.
    let mut numbers: Vec<_> = log.lines().filter_map(|line| line.split(['[', ']']).nth(1)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 2, "{log}");
    // The log has no token, no prompt, and not the secret path of the relay's endpoint.
    let endpoint = given.split('\0').find_map(|entry| entry.strip_prefix("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="));
    let secret = endpoint.and_then(|endpoint| endpoint.split('/').nth(3)).expect("a secret");
    for hidden in [TOKEN, secret, "my prompt", "Qk9PTUlfVE9LRU4"] {
        assert!(!log.contains(hidden), "{hidden}: {log}");
    }
}

#[test]
fn without_the_variable_or_a_usable_place_there_is_no_log_and_no_message() {
    for value in [None, Some(""), Some("off")] {
        let act = Act::start();
        let (_sandbox, given, complained, log) = session(value, "post", &act);
        assert_eq!((complained.as_str(), log), ("oops\n", None), "{value:?}");
        assert_eq!(given.contains("ACT_CLAUDE_LOG="), value.is_some(), "{value:?}");
    }
    // A symbolic link is not followed, and its target is unchanged.
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    sandbox.set("ACT_CLAUDE_LOG", "debug");
    fake_claude::install(&mut sandbox, "complain oops\npost");
    let elsewhere = sandbox.write("elsewhere", "mine");
    std::fs::create_dir_all(sandbox.state()).unwrap();
    std::fs::set_permissions(sandbox.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, sandbox.state().join("act-claude.log")).unwrap();
    let output = sandbox.act_claude(&["-p", "hi", "--report", "never"]).output().unwrap();
    assert_eq!((output.code(), output.err().as_str()), (0, "oops\n"));
    assert_eq!(std::fs::read_to_string(elsewhere).unwrap(), "mine");
    end_relays(sandbox.root());
}

/// On a full disk, or where the log can't grow, claude does not notice.
#[test]
fn a_log_that_can_t_be_written_says_nothing() {
    let Some(prlimit) = crate::support::program("prlimit") else { return };
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    sandbox.set("ACT_CLAUDE_LOG", "debug");
    fake_claude::install(&mut sandbox, "complain oops\npost");
    std::fs::create_dir_all(sandbox.state()).unwrap();
    std::fs::set_permissions(sandbox.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let log = sandbox.write(".local/state/act-claude/act-claude.log", "x".repeat(9000));
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = sandbox.command(prlimit);
    // No file may grow beyond 8 KiB: the log stops there, and the signal for it must not kill act-claude.
    command.arg("--fsize=8192").arg(crate::support::act_claude()).args(["-p", "hi", "--report", "never"]);
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.err().as_str()), (Some(0), "oops\n"), "{:?}", output.status);
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 9000);
    act.wait_for(1);
    end_relays(sandbox.root());
}
