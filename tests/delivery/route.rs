//! The way to ACT: HTTPS with a company's certificates, through a company's proxy.

use std::path::Path;

use crate::support::act::{self, Act};
use crate::support::failures::configure;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text};
use crate::support::tls::Authority;
use crate::support::tunnel::Tunnel;

const DELIVERED: &str = "act-claude: billing: 1 export delivered (2 points)\n\
     act-claude: billing: see it in ACT: AI Agent Registry → Agents → Aliases: Monitoring: Active\n";

fn sandbox(endpoint: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "post");
    configure(&sandbox, endpoint, 30_000);
    sandbox
}

fn report(sandbox: &Sandbox) -> String {
    sandbox.act_claude(&["-p", "hi", "--report", "always"]).output().unwrap().err()
}

#[test]
fn https_with_a_company_authority() {
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
        let authority = Authority::new();
        let act = Act::start_tls(&authority);
        let mut sandbox = sandbox(&act.endpoint());
        let roots = authority.write_to(&sandbox.root().join("ca.pem"));
        sandbox.set(variable, roots);
        assert_eq!(report(&sandbox), DELIVERED, "{variable}");
        let requests = act.wait_for(1);
        assert_eq!(act::credential(&requests[0]), format!("BOOMI_TOKEN.dev@acme.com:{TOKEN}"));
    }
}

/// The proxy sees a name and its own credentials, nothing of ours.
#[test]
fn https_through_a_proxy() {
    let authority = Authority::for_names(&["act.test"]);
    let act = Act::start_tls(&authority);
    let tunnel = Tunnel::to(act.port());
    for (variable, host) in [("HTTPS_PROXY", "me:pass@"), ("https_proxy", "")] {
        let mut sandbox = sandbox("https://act.test/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics");
        let roots = authority.write_to(Path::new(&sandbox.root().join("ca.pem")));
        sandbox.set("NODE_EXTRA_CA_CERTS", roots);
        sandbox.set(variable, format!("http://{host}{}", tunnel.address()));
        assert_eq!(report(&sandbox), DELIVERED, "{variable}");
    }
    assert_eq!(act.requests().len(), 2);
    let heads = tunnel.heads();
    assert!(heads.iter().all(|head| head.starts_with("CONNECT act.test:443 HTTP/1.1\r\n")), "{heads:?}");
    assert!(heads[0].contains("Proxy-Authorization: Basic bWU6cGFzcw==\r\n"), "{heads:?}");
    assert!(!heads.concat().contains("BOOMI") && !heads.concat().contains("X-Alias-Id"), "{heads:?}");
}

/// NO_PROXY is heeded.
#[test]
fn past_the_proxy() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    let mut sandbox = sandbox(&act.endpoint());
    let roots = authority.write_to(&sandbox.root().join("ca.pem"));
    sandbox.set("NODE_EXTRA_CA_CERTS", roots);
    sandbox.set("HTTPS_PROXY", "http://127.0.0.1:9");
    sandbox.set("NO_PROXY", "localhost, 127.0.0.1");
    assert_eq!(report(&sandbox), DELIVERED);
}

/// A certificate for another name, from an authority that is trusted.
#[test]
fn a_certificate_for_another_host() {
    let authority = Authority::for_names(&["other.test"]);
    let act = Act::start_tls(&authority);
    let mut sandbox = sandbox(&act.endpoint());
    let roots = authority.write_to(&sandbox.root().join("ca.pem"));
    sandbox.set("NODE_EXTRA_CA_CERTS", roots);
    let text = report(&sandbox);
    assert!(text.contains("waiting (TLS with 127.0.0.1 failed: the certificate is for another host)"), "{text}");
    assert!(act.requests().is_empty());
}
