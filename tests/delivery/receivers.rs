//! The OTLP receivers of other authors take in what claude sends. Other tests of copies rely on that.

use crate::relay::post;
use crate::support::receivers::{Receiver, Rotel, Taken, TestAgent};

/// What claude 2.1.330 sent at the end of a session.
const EXPORT: &str = include_str!("claude_export.json");

/// Posts the export twice, and looks at what the receiver took in.
fn takes_in_what_claude_sends(receiver: &dyn Receiver) {
    let url = receiver.metrics_url();
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    assert_eq!(receiver.taken(), Taken::new());
    for _ in 0..2 {
        assert_eq!(post(host.parse().unwrap(), &format!("/{path}"), EXPORT.as_bytes()), Some(200));
    }
    let expected = [
        ("claude_code.active_time.total", (2, 0.922)),
        ("claude_code.cost.usage", (2, 0.000_56)),
        ("claude_code.session.count", (2, 2.0)),
        ("claude_code.token.usage", (8, 60.0)),
    ];
    let taken = receiver.wait_for(14);
    let names: Vec<&str> = taken.keys().map(String::as_str).collect();
    assert_eq!(names, expected.map(|(name, _)| name));
    for (name, (points, sum)) in expected {
        let (own_points, own_sum) = taken[name];
        assert!(own_points == points && (own_sum - sum).abs() < 1e-9, "{name}: {taken:?}");
    }
}

#[test]
fn rotel() {
    let Some(rotel) = Rotel::start() else { return };
    takes_in_what_claude_sends(&rotel);
}

#[test]
fn datadog_s_test_agent() {
    let Some(agent) = TestAgent::start() else { return };
    takes_in_what_claude_sends(&agent);
    let requests = agent.requests();
    assert_eq!(requests.len(), 2);
    for (headers, body) in requests {
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(body, EXPORT.as_bytes());
    }
}
