//! A real client's exports that could not be delivered are stored, reported, and delivered later, byte for byte as
//! claude sent them. Failures: ACT answers 503 for a whole session, no connection, no answer, no host name, no trusted
//! certificate.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::act::{Act, accepted};
use crate::support::client::{self, Lab};
use crate::support::http::Reply;
use crate::support::process;
use crate::support::sandbox::Text;
use crate::support::system;
use crate::support::tls::Authority;

/// Runs one session that can't deliver, and returns act-claude's message. Claude's own output and status are unchanged,
/// and it is delayed for at most `exit_wait_ms`.
fn session(lab: &Lab) -> String {
    let start = Instant::now();
    let bare = lab.claude("project", &["-p", "hi"]).output().unwrap();
    let alone = start.elapsed();
    let start = Instant::now();
    let ours = lab.act_claude("project", &["--report", "always", "-p", "hi"]).output().unwrap();
    let wrapped = start.elapsed();
    assert_eq!((ours.out(), ours.code()), (bare.out(), bare.code()), "{}", ours.err());
    assert!(wrapped < alone * 3 + Duration::from_secs(3), "{wrapped:?}, alone {alone:?}");
    process::end_relays(lab.sandbox.root());
    ours.err()
}

fn flush(lab: &Lab) -> String {
    let output = lab.act_claude("project", &["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    output.out()
}

/// The bodies that an endpoint got.
fn bodies(act: &Act) -> BTreeSet<Vec<u8>> {
    act.requests().iter().map(|request| request.body()).collect()
}

#[test]
fn answered_503_for_a_whole_session() {
    let Some(lab) = Lab::start(client::NEW, &["project"]) else { return };
    lab.sandbox.configure_one(&lab.act.endpoint());
    lab.act.answer(Reply::json(503, "{}"));
    let said = session(&lab);
    assert!(said.contains("waiting (503 Service Unavailable), kept for the next session"), "{said}");
    let refused = bodies(&lab.act);
    assert!(!refused.is_empty());
    lab.act.answer(accepted());
    let before = lab.act.requests().len();
    flush(&lab);
    let delivered: BTreeSet<Vec<u8>> =
        lab.act.wait_for(before + 1)[before..].iter().map(|request| request.body()).collect();
    assert_eq!(delivered, refused, "byte for byte");
    assert!(flush(&lab).contains("othing"), "nothing stays");
}

#[test]
fn the_next_session_delivers_what_the_last_one_kept() {
    let Some(lab) = Lab::start(client::NEW, &["project"]) else { return };
    lab.sandbox.configure_one(&lab.act.endpoint());
    lab.act.answer(Reply::Hang);
    let said = session(&lab);
    assert!(said.contains("not decided yet"), "{said}");
    let kept = bodies(&lab.act);
    lab.act.answer(accepted());
    let before = lab.act.requests().len();
    let output = lab.act_claude("project", &["-p", "hi"]).output().unwrap();
    assert_eq!(output.code(), 0);
    let requests = lab.act.wait_for(before + kept.len() + 1);
    let delivered: BTreeSet<Vec<u8>> = requests[before..].iter().map(|request| request.body()).collect();
    assert!(delivered.is_superset(&kept), "byte for byte");
}

#[test]
fn no_connection() {
    let Some(lab) = Lab::start(client::NEW, &["project"]) else { return };
    // A port on which nothing listens until later.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    lab.sandbox.configure_one(&format!("http://127.0.0.1:{port}/metrics"));
    let said = session(&lab);
    assert!(said.contains("waiting (127.0.0.1 refused the connection), kept for the next session"), "{said}");
    let act = Act::start_at(port);
    flush(&lab);
    assert!(!act.requests().is_empty());
}

#[test]
fn an_unknown_certificate() {
    let Some(mut lab) = Lab::start(client::NEW, &["project"]) else { return };
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    lab.sandbox.configure_one(&act.endpoint());
    let said = session(&lab);
    assert!(said.contains("waiting (TLS with 127.0.0.1 failed"), "{said}");
    assert!(act.requests().is_empty());
    let pem = authority.write_to(&lab.sandbox.root().join("company-ca.pem"));
    lab.sandbox.set("NODE_EXTRA_CA_CERTS", &pem);
    flush(&lab);
    assert!(!act.requests().is_empty());
}

#[test]
fn an_unknown_name() {
    let Some(mut lab) = Lab::start(client::NEW, &["project"]) else { return };
    let authority = Authority::for_names(&["act.test"]);
    let act = Act::start_tls(&authority);
    let pem = authority.write_to(&lab.sandbox.root().join("company-ca.pem"));
    lab.sandbox.set("NODE_EXTRA_CA_CERTS", &pem);
    lab.sandbox.configure_one(&format!("https://act.test:{}/metrics", act.port()));
    let said = session(&lab);
    assert!(said.contains("waiting (the address of act.test can't be looked up), kept for the next session"), "{said}");
    let command = lab.act_claude("project", &["act", "flush"]);
    let hosts = [("/etc/hosts", "127.0.0.1 localhost act.test\n"), ("/etc/nsswitch.conf", "hosts: files\n")];
    let Some(mut command) = system::with_files(&lab.sandbox, &hosts, &command) else { return };
    let output = command.output().unwrap();
    assert_eq!(output.code(), 0, "{}{}", output.out(), output.err());
    assert!(!act.requests().is_empty());
}

#[test]
fn no_route() {
    let Some(lab) = Lab::start(client::NEW, &["project"]) else { return };
    // A network with loopback only has no route to this address.
    lab.sandbox.configure_one("https://192.0.2.1/metrics");
    let said = session(&lab);
    assert!(said.contains("waiting (no route to 192.0.2.1), kept for the next session"), "{said}");
    let output = lab.act_claude("project", &["act", "flush"]).output().unwrap();
    assert_eq!(output.code(), 75, "it waits on: {}", output.out());
}
