//! B3 and B5: exports are retried if that may help, and never sent again if ACT has them.

use act_claude::state::outcome::State;

use crate::relay::{Relay, export, files, waiting};
use crate::support::act::Act;
use crate::support::http::Reply;
use crate::support::sandbox::Sandbox;

/// The effect of one answer on one export: its state, and the directory of its file.
fn after(reply: Reply) -> (State, usize, usize, act_claude::state::outcome::Outcome) {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    act.answer(reply);
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    assert_eq!(relay.post(&export("a")), Some(200));
    let outcome = relay.outcome(crate::support::DEADLINE);
    let (state, count) = outcome.states.first_key_value().expect("a state");
    assert_eq!((*count, outcome.states.len()), (1, 1), "{outcome:?}");
    let (new, rejected) = (waiting(&sandbox).len(), files(&sandbox, "rejected").len());
    relay.kill();
    (*state, new, rejected, outcome)
}

fn json(status: u16, body: &str) -> Reply {
    Reply::json(status, body)
}

#[test]
fn b3_what_may_be_retried_is_kept() {
    for (reply, state, new, rejected) in [
        (json(200, ""), State::Delivered, 0, 0),
        (json(202, "{}"), State::Delivered, 0, 0),
        (json(200, "<html>"), State::NotUnderstood, 1, 0),
        (json(401, ""), State::Held, 1, 0),
        (json(403, ""), State::Held, 1, 0),
        (json(404, ""), State::Held, 1, 0),
        (json(400, "{\"message\":\"Agent alias x not found\"}"), State::Held, 1, 0),
        (json(302, "").header("Location", "https://login.example/"), State::Held, 1, 0),
        (json(408, ""), State::Waiting, 1, 0),
        (json(429, ""), State::Waiting, 1, 0),
        (json(500, ""), State::Waiting, 1, 0),
        (json(503, ""), State::Waiting, 1, 0),
        (json(400, "{\"message\":\"malformed\"}"), State::Rejected, 0, 1),
        (json(413, ""), State::Rejected, 0, 1),
        (Reply::Close, State::Waiting, 1, 0),
        (Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"part".to_vec()), State::NotUnderstood, 1, 0),
        (Reply::Raw(b"\x16\x03\x01nonsense\r\n\r\n".to_vec()), State::Waiting, 1, 0),
    ] {
        let shown = format!("{reply:?}");
        let (found, left, dead_letters, _) = after(reply);
        assert_eq!((found, left, dead_letters), (state, new, rejected), "{shown}");
    }
}

#[test]
fn b3_no_server_and_no_certificate() {
    let sandbox = Sandbox::new();
    let tls = crate::support::tls::Authority::new();
    let untrusted = Act::start_tls(&tls);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for endpoint in [untrusted.endpoint(), format!("http://{nobody}/m")] {
        sandbox.configure_one(&endpoint);
        let mut relay = Relay::start(&sandbox, &endpoint);
        assert_eq!(relay.post(&export("a")), Some(200));
        let outcome = relay.outcome(crate::support::DEADLINE);
        assert_eq!(outcome.states, [(State::Waiting, 1)].into(), "{endpoint}: {outcome:?}");
        relay.kill();
    }
    assert_eq!(waiting(&sandbox).len(), 2);
}

#[test]
fn b5_a_partial_success_is_counted_and_never_resent() {
    let partial = |rejected: &str| {
        let body = format!("{{\"partialSuccess\":{{\"rejectedDataPoints\":{rejected},\"errorMessage\":\"too old\"}}}}");
        after(json(200, &body))
    };
    let (state, new, _, outcome) = partial("\"0\"");
    assert_eq!((state, new, outcome.warning.as_deref()), (State::Delivered, 0, Some("too old")));
    for rejected in ["1", "\"1\"", "\"99\""] {
        let (state, new, _, outcome) = partial(rejected);
        assert_eq!((state, new, outcome.rejected_points), (State::Partial, 0, 1), "{rejected}");
        assert_eq!(outcome.problems[&State::Partial].said, "too old");
    }
    // A long answer is read.
    let long = "x".repeat(60_000);
    let (state, ..) = after(json(200, &format!("{{\"partialSuccess\":{{\"errorMessage\":\"{long}\"}}}}")));
    assert_eq!(state, State::Delivered);
    // An answer that can't be understood is no success: the export is kept.
    let large = format!("{{\"partialSuccess\":{{\"errorMessage\":\"{}\"}}}}", "x".repeat(100_000));
    let padded = format!("{{}}{}", " ".repeat(100_000));
    for body in ["{\"partialSuccess\":7}", "{\"partialSuccess\":{\"rejectedDataPoints\":\"x\"}}", "[]", &large, &padded]
    {
        let (state, new, ..) = after(json(200, body));
        assert_eq!((state, new), (State::NotUnderstood, 1), "{:.60}", body);
    }
    let cut = after(Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}".to_vec()));
    assert_eq!((cut.0, cut.1), (State::NotUnderstood, 1), "cut short");
}
