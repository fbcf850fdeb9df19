//! B14: an export that the relay refuses because of its form is counted as lost, and its cause is reported.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use act_claude::state::outcome::State;

use crate::relay::{Relay, export};
use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};

const JSON: &str = "Content-Type: application/json\r\n";

/// The statuses of the answers to what `text` contains; the client leaves only once it has them.
fn answers(relay: &Relay, text: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(relay.place().0).unwrap();
    stream.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
    let _ = stream.write_all(text);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).into_owned();
    said.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

fn post(relay: &Relay, headers: &str, body: &[u8]) -> Vec<u8> {
    let path = relay.place().1;
    [format!("POST {path} HTTP/1.1\r\nHost: relay\r\n{headers}\r\n").as_bytes(), body].concat()
}

#[test]
fn b14_each_kind_of_refusal_is_counted_once_and_said() {
    let whole = format!("{JSON}Content-Length: {}\r\n", export("a").len());
    let whole = |header: &str| format!("{whole}Connection: close\r\n{header}");
    let untyped = |kind: &str| whole("").replace(JSON, kind);
    let no_export = "what claude sent is no OTLP export in JSON";
    for (headers, status, said, fix) in [
        (
            whole("Content-Encoding: gzip\r\n"),
            400,
            "an export is not gzip, but its Content-Encoding is",
            "Content-Encoding",
        ),
        (whole("Content-Encoding: br\r\n"), 415, "an export's Content-Encoding is not gzip", "Content-Encoding"),
        (
            untyped("Content-Type: text/plain\r\n"),
            415,
            "an export's Content-Type is not application/json",
            "Content-Type",
        ),
        (untyped(""), 415, "an export's Content-Type is not application/json", "Content-Type"),
        (
            untyped("Content-Type: application/x-protobuf\r\n"),
            415,
            "an export's Content-Type is not application/json but protobuf's",
            "http/json",
        ),
        // The rest of the body is no request: it is not counted again.
        (format!("{JSON}Content-Length: 5\r\n"), 400, no_export, "Content-Length"),
        (format!("{JSON}Content-Length: 0\r\n"), 400, no_export, "Content-Length"),
        (
            format!("{JSON}Transfer-Encoding: chunked\r\n"),
            400,
            "an export is no valid HTTP request",
            "Transfer-Encoding",
        ),
    ] {
        let sandbox = Sandbox::new();
        let act = Act::start();
        sandbox.configure_one(&act.endpoint());
        let mut relay = Relay::start(&sandbox, &act.endpoint());
        let statuses = answers(&relay, &post(&relay, &headers, &export("a")));
        assert_eq!(statuses.first(), Some(&status), "{headers}");
        let outcome = relay.outcome(crate::support::DEADLINE);
        assert_eq!((outcome.exports, outcome.states), (1, [(State::Lost, 1)].into()), "{headers}");
        let problem = &outcome.problems[&State::Lost];
        assert_eq!((problem.said.as_str(), problem.code), (said, 74), "{headers}");
        assert!(problem.fix.contains(fix) && problem.fix.contains("OTEL_EXPORTER_OTLP_METRICS"), "{}", problem.fix);
        relay.finish();
    }
}

/// A request that can't be parsed counts where its connection has named the secret path.
#[test]
fn b14_what_is_no_request_counts_on_the_session_s_connection_only() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    let whole = post(&relay, &format!("{JSON}Content-Length: {}\r\n", export("a").len()), &export("a"));
    let broken = post(&relay, &format!("{JSON}Content-Length: x\r\n"), b"");
    assert_eq!(answers(&relay, &broken), [400], "it could be anyone's");
    assert_eq!(answers(&relay, &[whole, broken].concat()), [200, 400]);
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!(outcome.states, [(State::Delivered, 1), (State::Lost, 1)].into());
    assert_eq!(outcome.problems[&State::Lost].said, "an export is no valid HTTP request");
}

/// A request that ends too early is not counted as lost, because claude sends it again; nor is a request without the secret.
#[test]
fn b14_a_client_that_goes_away_and_requests_without_the_secret_are_not_counted() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let mut relay = Relay::start(&sandbox, &act.endpoint());
    for headers in ["Content-Length: 9999\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = TcpStream::connect(relay.place().0).unwrap();
        stream.write_all(&post(&relay, &format!("{JSON}{headers}"), b"ff\r\n{")).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let other = b"POST /v1/metrics HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(answers(&relay, other), [404]);
    assert_eq!(relay.post(&export("a")), Some(200));
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!((outcome.exports, outcome.states), (1, [(State::Delivered, 1)].into()));
}

#[test]
fn b14_a_refused_export_is_said_in_a_pipe_in_json_and_in_the_history() {
    let mut sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "post-as Content-Encoding: gzip\npost\npost");
    let line = "billing: 2 exports lost: an export is not gzip, but its Content-Encoding is. A header that claude's \
                environment or settings add may be the reason: remove Content-Encoding from \
                OTEL_EXPORTER_OTLP_METRICS_HEADERS and OTEL_EXPORTER_OTLP_HEADERS";
    let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
    assert_eq!((output.code(), output.err()), (0, format!("act-claude: {line}\n")));
    // The relay writes the record once a second at most, so the second export may be noted later.
    crate::support::eventually("the history", || {
        let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
        history.contains("2 exports lost: an export is not gzip").then_some(())
    });
    let json = sandbox.act_claude(&["act", "history", "--json"]).output().unwrap();
    assert!(json.out().contains("an export is not gzip"), "{}", json.out());
    let reported = sandbox.act_claude(&["-p", "hi", "--report", "json"]).output().unwrap().err();
    assert!(reported.contains(r#""said":"an export is not gzip"#) && reported.contains(r#""lost":2"#), "{reported}");
}
