//! B4 and B6: retries are spaced. Exports with a problem that the user can fix stay, and are sent once after the fix.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use act_claude::config::TokenSource;
use act_claude::delivery::target::Credentials;
use act_claude::state::outcome::State;

use crate::relay::{Relay, export, leave, name_of, start_of, waiting};
use crate::support::act::{Act, accepted, credential, refused};
use crate::support::eventually;
use crate::support::http::Reply;
use crate::support::sandbox::{Sandbox, Text};

fn renew(sandbox: &Sandbox, token: &str) {
    let path = sandbox.write("token", token);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Accepts exports with the token `new` only.
fn only_new(act: &Act) {
    act.answer_by(
        |request| {
            if credential(request).ends_with(":new") { accepted() } else { refused(401, "Unauthorized") }
        },
    );
}

#[test]
fn b6_a_running_session_delivers_once_with_a_renewed_token() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    only_new(&act);
    let relay = Relay::start(&sandbox, &act.endpoint());
    for name in ["a", "b"] {
        assert_eq!(relay.post(&export(name)), Some(200));
    }
    relay.until(&sandbox, State::Held, 2);
    let refused = act.requests().len();
    assert!(refused <= 2, "{refused} refused requests");
    assert_eq!(relay.post(&export("c")), Some(200));
    renew(&sandbox, "new");
    relay.until(&sandbox, State::Delivered, 3);
    relay.finish();
    let taken: Vec<_> = act.requests().iter().skip(refused).map(|request| name_of(&request.raw)).collect();
    assert_eq!(taken, ["a", "b", "c"], "once each, in order");
}

#[test]
fn b6_the_next_session_delivers_with_a_corrected_alias_id() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    act.answer_by(|request| match request.header("x-alias-id") {
        Some("right") => accepted(),
        other => refused(404, &format!("Agent alias {} not found", other.unwrap_or_default())),
    });
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!(outcome.states, [(State::Held, 1)].into());
    relay.finish();
    assert_eq!(waiting(&sandbox).len(), 1);
    let config = std::fs::read_to_string(sandbox.config_file()).unwrap();
    std::fs::write(sandbox.config_file(), config.replace("id-billing", "right")).unwrap();
    Relay::start(&sandbox, &act.endpoint()).finish();
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
    let record = act_claude::state::record::read_all(&sandbox.state()).pop().unwrap();
    assert_eq!(record.outcome.states, [(State::Delivered, 1)].into(), "its own record says so");
}

#[test]
fn b6_twenty_sessions_against_a_401_ask_once_a_minute() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    act.answer(refused(401, "Unauthorized"));
    let first = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(first.post(&export("first")), Some(200));
    first.until(&sandbox, State::Held, 1);
    let start = Instant::now();
    let relays: Vec<_> = (0..19).map(|_| Relay::start(&sandbox, &act.endpoint())).collect();
    for (number, relay) in relays.iter().enumerate() {
        for export_number in 0..3 {
            assert_eq!(relay.post(&export(&format!("{number}-{export_number}"))), Some(200));
        }
    }
    relays.iter().for_each(|relay| relay.until(&sandbox, State::Held, 3));
    let minutes = start.elapsed().as_secs() / 60;
    let asked = act.requests().len() as u64;
    assert!(asked <= 1 + minutes, "{asked} requests in {minutes} minutes");
}

/// An account whose token command fails. Returns how often it has run.
fn locked(sandbox: &Sandbox, act: &Act) -> impl Fn() -> usize + use<> {
    let count = sandbox.root().join("count");
    let script = sandbox.script("locked", &format!("#!/bin/sh\necho x >>{}\nexit 1\n", count.display()));
    let mut account = sandbox.account(&act.endpoint());
    account["token"] = serde_json::json!({"command": [script]});
    sandbox.configure(&serde_json::json!({
        "accounts": {"acme": account},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P"}},
        "default": "billing"
    }));
    move || std::fs::read_to_string(&count).unwrap_or_default().lines().count()
}

#[test]
fn b6_a_source_that_gives_no_token_is_asked_by_one_session_only() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    let runs = locked(&sandbox, &act);
    leave(&sandbox, "0a", &["a", "b", "c"], &act.endpoint());
    let output = sandbox.act_claude(&["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 77, "{}", output.out());
    assert!(output.out().contains("billing: 3 exports held: the token command"), "{}", output.out());
    assert_eq!((runs(), act.requests().len(), waiting(&sandbox).len()), (1, 0, 3));
}

/// A file in place of `held`: only this makes a write fail for root, too. The session looks at what is held every second.
#[test]
fn b6_where_no_hold_can_be_written_a_session_asks_once_a_minute() {
    let mut sandbox = Sandbox::new();
    let act = Act::start();
    let runs = locked(&sandbox, &act);
    sandbox.set("ACT_CLAUDE_LOG", "debug");
    act_claude::system::file::create_directories(&sandbox.state()).unwrap();
    std::fs::write(sandbox.state().join("held"), "").unwrap();
    let mut start = start_of(&sandbox, &act.endpoint());
    let target = &mut start.route.as_mut().unwrap().target;
    let command = vec![sandbox.home().join("locked").display().to_string()];
    target.credentials = Credentials::Act {
        id: "id-billing".to_owned(),
        user: crate::support::sandbox::USER.to_owned(),
        token: TokenSource::Command(command),
    };
    let relay = Relay::start_with(&sandbox, start);
    assert_eq!(relay.post(&export("a")), Some(200));
    let log = sandbox.state().join("act-claude.log");
    eventually("five looks", || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        (log.matches("no export can be sent for now").count() >= 5).then_some(())
    });
    assert_eq!((runs(), act.requests().len()), (1, 0));
    relay.finish();
}

#[test]
fn b4_retry_after_is_respected() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let first = Arc::new(AtomicBool::new(true));
    let is_first = first.clone();
    act.answer_by(move |_| {
        if is_first.swap(false, Ordering::SeqCst) {
            Reply::json(429, "").header("Retry-After", "3")
        } else {
            accepted()
        }
    });
    let relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    act.wait_for(1);
    let asked = Instant::now();
    assert_eq!(relay.post(&export("b")), Some(200));
    act.wait_for(2);
    assert!(asked.elapsed() >= Duration::from_millis(2900), "{:?}", asked.elapsed());
    act.wait_for(3);
}

/// Claude has ended, but a process it started still has the endpoint, so the relay lives: it notices the fix as usual.
#[test]
fn b6_a_relay_that_outlives_its_session_delivers_after_a_fix() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    only_new(&act);
    let start = start_of(&sandbox, &act.endpoint());
    let mut carrier = sandbox.command("sleep").arg("600").env("CARRIES", &start.secret).spawn().unwrap();
    let mut relay = Relay::start_with(&sandbox, start);
    assert_eq!(relay.post(&export("a")), Some(200));
    assert_eq!(relay.outcome(crate::support::DEADLINE).states, [(State::Held, 1)].into());
    relay.end();
    let refused = act.requests().len();
    renew(&sandbox, "new");
    let mended = Instant::now();
    relay.until(&sandbox, State::Delivered, 1);
    // The relay notices the fix itself, without waiting for the next retry at ACT.
    assert!(mended.elapsed() < Duration::from_secs(40), "{:?}", mended.elapsed());
    assert_eq!(act.requests().len(), refused + 1, "once");
    carrier.kill().unwrap();
    carrier.wait().unwrap();
    relay.wait();
}

/// A token file may be repaired without a new token: by the file mode that the refusal demanded.
#[test]
fn b6_a_running_session_delivers_after_a_mode_is_corrected() {
    for (what, spoilt, good) in [("token", 0o644, 0o600), (".", 0o777, 0o755)] {
        let sandbox = Sandbox::new();
        let act = Act::start();
        sandbox.configure_one(&act.endpoint());
        let path = sandbox.home().join(what);
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        set(spoilt);
        let relay = Relay::start(&sandbox, &act.endpoint());
        assert_eq!(relay.post(&export("a")), Some(200));
        relay.until(&sandbox, State::Held, 1);
        set(good);
        let mended = Instant::now();
        relay.until(&sandbox, State::Delivered, 1);
        assert!(mended.elapsed() < Duration::from_secs(40), "{what}: {:?}", mended.elapsed());
        relay.finish();
    }
}

/// The relay can't watch what a token command returns; `act flush` tells it to run the command again.
#[test]
fn b6_a_flush_makes_running_sessions_read_their_tokens_again() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    let mut account = sandbox.account(&act.endpoint());
    account["token"] = serde_json::json!({"command": ["cat", sandbox.home().join("token")]});
    sandbox.configure(&serde_json::json!({
        "accounts": {"acme": account},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P"}},
        "default": "billing"
    }));
    only_new(&act);
    let relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    relay.until(&sandbox, State::Held, 1);
    renew(&sandbox, "new");
    let mended = Instant::now();
    sandbox.act_claude(&["act", "flush"]).output().unwrap();
    relay.until(&sandbox, State::Delivered, 1);
    assert!(mended.elapsed() < Duration::from_secs(40), "{:?}", mended.elapsed());
    relay.finish();
}
