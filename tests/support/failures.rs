//! Failures of ACT and of the connection to it, and act-claude's messages for them: written by hand, from the contract.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::act::{Act, accepted, refused};
use super::http::{Reply, Request, Server};
use super::sandbox::Sandbox;
use super::tls::Authority;

/// One failure, for one export.
pub struct Case {
    pub name: &'static str,
    pub way: Way,
    /// The name in `--report json`.
    pub state: &'static str,
    /// The report after the alias's name. `{points}` and `{port}` are replaced.
    pub text: &'static str,
    /// The fix; empty if there is none.
    pub fix: &'static str,
}

/// What goes wrong.
pub enum Way {
    /// ACT gives this answer.
    Answers(fn() -> Reply),
    /// No process listens on the endpoint.
    Nobody,
    /// The endpoint's host has no address. Only in a network with loopback only: elsewhere a name server may answer.
    NoName,
    /// ACT's certificate is from an unknown authority.
    UnknownCertificate,
    /// The proxy answers CONNECT with this status.
    ProxyAnswers(u16),
    /// No process listens on the proxy's port.
    NoProxy,
}
use Way::{Answers, NoName, NoProxy, Nobody, ProxyAnswers, UnknownCertificate};

const SETUP: &str = "act-claude act setup --account acme";
const ENDPOINT: &str = r#"compare "endpoint" of account acme with the Monitoring Spec"#;

/// All of them.
pub fn cases() -> Vec<Case> {
    let case = |name, way, state, text, fix| Case { name, way, state, text, fix };
    vec![
        case(
            "401",
            Answers(|| refused(401, "Unauthorized")),
            "held",
            "1 export held: ACT answered 401 Unauthorized. The API token or its user is wrong: act-claude act setup --account acme",
            SETUP,
        ),
        case(
            "403",
            Answers(|| refused(403, "Forbidden")),
            "held",
            "1 export held: ACT answered 403 Forbidden. The API token lacks the right to write metrics, or the alias is another account's: act-claude act setup --account acme",
            SETUP,
        ),
        case(
            "400, an alias of another account",
            Answers(|| refused(400, "Alias does not belong to the specified account")),
            "held",
            "1 export held: ACT answered: alias does not belong to the specified account. The id of alias billing is another account's, or the endpoint of account acme is: take both from the same Monitoring Spec",
            "take both from the same Monitoring Spec",
        ),
        case(
            "400, an unknown alias",
            Answers(|| refused(400, "Agent alias id-billing not found")),
            "held",
            r#"1 export held: ACT answered: agent alias not found. Its id is wrong, or it is not published (the UK/EU platform has no such monitoring): compare "id" of alias billing with the Monitoring Spec"#,
            r#"compare "id" of alias billing with the Monitoring Spec"#,
        ),
        case(
            "404, an unknown alias",
            Answers(|| refused(404, "Agent alias id-billing not found")),
            "held",
            r#"1 export held: ACT answered: agent alias not found. Its id is wrong, or it is not published (the UK/EU platform has no such monitoring): compare "id" of alias billing with the Monitoring Spec"#,
            r#"compare "id" of alias billing with the Monitoring Spec"#,
        ),
        case(
            "404, another page",
            Answers(|| Reply::with(404, "text/html", "<h1>Not Found</h1>")),
            "held",
            r#"1 export held: ACT answered 404 Not Found. There is no metrics endpoint at this URL: compare "endpoint" of account acme with the Monitoring Spec"#,
            ENDPOINT,
        ),
        case(
            "400, an empty payload",
            Answers(|| refused(400, "Empty resourceMetrics in OTLP payload")),
            "rejected",
            "1 export rejected, moved to the dead letters: ACT answered: empty resourceMetrics in OTLP payload. Claude sent an export without metrics: claude update",
            "claude update",
        ),
        case(
            "400",
            Answers(|| refused(400, "Bad Request")),
            "rejected",
            "1 export rejected, moved to the dead letters: ACT answered 400 Bad Request. ACT does not accept this export: act-claude act doctor",
            "act-claude act doctor",
        ),
        case(
            "429",
            Answers(|| refused(429, "Too Many Requests").header("Retry-After", "2")),
            "waiting",
            "1 export waiting (429 Too Many Requests), kept for the next session",
            "",
        ),
        case(
            "503",
            Answers(|| refused(503, "Service Unavailable")),
            "waiting",
            "1 export waiting (503 Service Unavailable), kept for the next session",
            "",
        ),
        case(
            "302",
            Answers(|| Reply::with(302, "text/html", "").header("Location", "https://login.example/?to=act")),
            "held",
            r#"1 export held: ACT answered 302 Found and points to login.example. The endpoint's URL is wrong, or a proxy wants you to log in: compare "endpoint" of account acme with the Monitoring Spec"#,
            ENDPOINT,
        ),
        case(
            "200 with a page",
            Answers(|| Reply::with(200, "text/html", "<html>Please log in</html>")),
            "not_understood",
            r#"1 export not understood, kept: 127.0.0.1 answered 200 with a web page. That is not ACT, but a wrong URL or a proxy's login page: compare "endpoint" of account acme with the Monitoring Spec"#,
            ENDPOINT,
        ),
        case(
            "partial",
            Answers(|| {
                Reply::json(200, r#"{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"a point too old"}}"#)
            }),
            "partial",
            "1 export delivered; ACT rejected 1 of {points} points (a point too old)",
            "",
        ),
        case(
            "connection refused",
            Nobody,
            "waiting",
            r#"1 export waiting (127.0.0.1 refused the connection), kept for the next session. No server listens there: compare "endpoint" of account acme with the Monitoring Spec"#,
            ENDPOINT,
        ),
        case(
            "DNS failure",
            NoName,
            "waiting",
            "1 export waiting (the address of act.invalid can't be looked up), kept for the next session",
            "",
        ),
        case(
            "unknown certificate",
            UnknownCertificate,
            "waiting",
            "1 export waiting (TLS with 127.0.0.1 failed: the certificate's issuer is not known), kept for the next session. The certificate is not trusted, it may be a company proxy's: export NODE_EXTRA_CA_CERTS=/path/to/company-ca.pem",
            "export NODE_EXTRA_CA_CERTS=/path/to/company-ca.pem",
        ),
        case(
            "proxy refusing",
            ProxyAnswers(403),
            "waiting",
            "1 export waiting (the proxy did not connect to act.test: it answered 403 Forbidden), kept for the next session. The proxy is not the right one, or does not allow connections to ACT: check HTTPS_PROXY, or add act.test to NO_PROXY",
            "check HTTPS_PROXY, or add act.test to NO_PROXY",
        ),
        case(
            "proxy wanting credentials",
            ProxyAnswers(407),
            "held",
            "1 export held: the proxy answered 407 Proxy Authentication Required. The proxy asks for credentials: export HTTPS_PROXY=http://user:password@proxy:port",
            "export HTTPS_PROXY=http://user:password@proxy:port",
        ),
        case(
            "no proxy there",
            NoProxy,
            "waiting",
            "1 export waiting (the proxy did not connect to act.test: 127.0.0.1:{port} refused the connection), kept for the next session. The proxy is not the right one, or does not allow connections to ACT: check HTTPS_PROXY, or add act.test to NO_PROXY",
            "check HTTPS_PROXY, or add act.test to NO_PROXY",
        ),
        case(
            "closed without an answer",
            Answers(|| Reply::Close),
            "waiting",
            "1 export waiting (the connection to 127.0.0.1 broke: it was closed without an answer), kept for the next session",
            "",
        ),
        case(
            "hanging",
            Answers(|| Reply::Hang),
            "under_way",
            "1 export not decided yet: delivery continues in the background",
            "",
        ),
    ]
}

/// The stand-ins for ACT and the proxy. They run until this is dropped.
pub struct Arranged {
    pub act: Act,
    /// The value of `{port}`.
    pub port: u16,
    _proxy: Option<Server>,
}

impl Case {
    /// Configures the sandbox for this case.
    pub fn arrange(&self, sandbox: &mut Sandbox) -> Arranged {
        let act = match &self.way {
            UnknownCertificate => Act::start_tls(&Authority::new()),
            _ => Act::start(),
        };
        act.answer(accepted());
        let (mut endpoint, mut port, mut proxy) = (act.endpoint(), 0, None);
        let at = |host: &str| format!("https://{host}/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics");
        match &self.way {
            Answers(reply) => act.answer(reply()),
            Nobody => endpoint = endpoint.replace(&act.port().to_string(), &unused_port().to_string()),
            NoName => endpoint = at("act.invalid"),
            UnknownCertificate => {}
            ProxyAnswers(status) => {
                let status = *status;
                let server = Server::start(Arc::new(move |request: &Request| {
                    assert_eq!((request.method.as_str(), request.path.as_str()), ("CONNECT", "act.test:443"));
                    Reply::json(status, "{}")
                }));
                endpoint = at("act.test");
                port = server.address().port();
                proxy = Some(server);
            }
            NoProxy => (endpoint, port) = (at("act.test"), unused_port()),
        }
        if port == 0 {
            sandbox.unset("HTTPS_PROXY");
        } else {
            sandbox.set("HTTPS_PROXY", format!("http://127.0.0.1:{port}"));
        }
        // Claude's own requests to its stand-in for the model use no proxy.
        sandbox.set("NO_PROXY", "127.0.0.1");
        configure(sandbox, &endpoint, if self.name == "hanging" { 300 } else { 30_000 });
        Arranged { act, port, _proxy: proxy }
    }

    /// The report's line for an export with this number of points.
    pub fn line(&self, arranged: &Arranged, points: usize) -> String {
        let text = self.text.replace("{points}", &points.to_string()).replace("{port}", &arranged.port.to_string());
        format!("act-claude: billing: {text}\n")
    }
}

/// One account, one alias. act-claude waits `exit_wait_ms` for ACT's answer.
pub fn configure(sandbox: &Sandbox, endpoint: &str, exit_wait_ms: u64) {
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(endpoint)},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "CUSTOM_PROVIDER"}},
        "directories": {"~": "billing"},
        // One export at the end, even if the session takes long on a busy machine.
        "export_interval_ms": 60_000,
        "exit_wait_ms": exit_wait_ms
    }));
}

fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port()
}

/// Asserts that `ours` takes at most half a second longer than `bare`. The best of several rounds counts, because other
/// programs may use the processor meanwhile.
pub fn assert_hardly_slower(bare: impl Fn() -> Duration, ours: impl Fn() -> Duration) {
    let mut least = Duration::MAX;
    for _ in 0..12 {
        // Each run is compared with the bare one just before it: other tests use the processor meanwhile, and the fastest bare run
        // may be the only one of a quiet moment.
        let bare = bare();
        least = least.min(ours().saturating_sub(bare));
        if least < Duration::from_millis(500) {
            return;
        }
    }
    panic!("{least:?} longer");
}
