//! The connection to ACT: HTTPS with a company's certificates, through a company's proxy.

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

/// The proxy sees a host name and its own credentials, nothing of ours.
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

/// NO_PROXY is respected.
#[test]
fn without_the_proxy() {
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

/// A proxy setting that is invalid: sessions lose nothing, each one reports the variable, and waiting exports are
/// delivered once the setting is correct.
#[test]
fn a_proxy_that_cannot_be_used() {
    let authority = Authority::for_names(&["act.test"]);
    let act = Act::start_tls(&authority);
    let tunnel = Tunnel::to(act.port());
    let mut sandbox = sandbox("https://act.test/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics");
    let roots = authority.write_to(&sandbox.root().join("ca.pem"));
    sandbox.set("NODE_EXTRA_CA_CERTS", roots);
    sandbox.set("NO_PROXY", "127.0.0.1");
    let settings = [
        ("socks5h://u:pass-canary@127.0.0.1:1080", "claude and act-claude use http and https proxies, not socks5h"),
        ("none", "it is not a URL"),
        ("http://u:pass%ff@127.0.0.1:1", "its user or password is not UTF-8"),
        ("http://", "it is not a URL"),
    ];
    for (value, why) in settings {
        sandbox.set("HTTPS_PROXY", value);
        let said = report(&sandbox);
        assert!(said.contains(&format!("1 export waiting (HTTPS_PROXY can't be used: {why})")), "{said}");
        assert!(said.contains("export HTTPS_PROXY=http://proxy.example.com:8080"), "{said}");
        assert!(!said.contains("pass-canary"), "{said}");
    }
    let history = sandbox.act_claude(&["act", "history"]).output().unwrap().out();
    assert!(history.contains("HTTPS_PROXY can't be used"), "{history}");
    sandbox.set("HTTPS_PROXY", format!("http://{}", tunnel.address()));
    crate::support::eventually("all are delivered", || {
        let flush = sandbox.act_claude(&["act", "flush"]).output().unwrap();
        (flush.code() == 0 && act.requests().len() == settings.len()).then_some(())
    });
}

/// Proxy and certificates from the user's settings are used for ACT, in every form of starting a session. Those of a
/// repository are not.
#[test]
fn proxy_and_certificates_of_settings() {
    let authority = Authority::for_names(&["act.test"]);
    let act = Act::start_tls(&authority);
    let tunnel = Tunnel::to(act.port());
    let foreign = Tunnel::to(act.port());
    let endpoint = "https://act.test/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";
    let mut sandbox = Sandbox::new();
    let claude = fake_claude::install(&mut sandbox, "post");
    configure(&sandbox, endpoint, 30_000);
    let roots = authority.write_to(&sandbox.root().join("ca.pem"));
    let env = |proxy: &Tunnel| {
        serde_json::json!({"env": {"HTTPS_PROXY": format!("http://{}", proxy.address()), "NODE_EXTRA_CA_CERTS": roots}})
            .to_string()
    };
    sandbox.write("project/.claude/settings.json", env(&foreign));
    let project = sandbox.directory("project");
    let run = |sandbox: &Sandbox, args: &[&str]| {
        let output = sandbox.act_claude(args).current_dir(&project).output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        output.err()
    };
    let said = run(&sandbox, &["-p", "hi", "--report", "always"]);
    // Which of the two depends on whether a name server answers here.
    let unknown = ["act.test has no address", "the address of act.test can't be looked up"];
    assert!(unknown.iter().any(|why| said.contains(&format!("1 export waiting ({why})"))), "{said}");
    assert!(foreign.heads().is_empty() && act.requests().is_empty());
    let given = run(&sandbox, &["--report", "always", "-p", "hi", "--settings", &env(&tunnel)]);
    assert!(given.contains("1 export delivered"), "{given}");
    sandbox.write(".claude/settings.json", env(&tunnel));
    let said = run(&sandbox, &["-p", "hi", "--report", "always"]);
    assert!(said.contains("1 export delivered"), "{said}");
    let before = act.requests().len();
    run(&sandbox, &[claude.to_str().unwrap(), "-p", "hi"]);
    act.wait_for(before + 1);
    let check = sandbox.act_claude(&["act", "check", "billing"]).current_dir(&project).output().unwrap().out();
    assert!(check.contains("HTTPS_PROXY in"), "{check}");
    crate::support::eventually("the first session's, too", || {
        let flush = sandbox.act_claude(&["act", "flush"]).current_dir(&project).output().unwrap();
        (flush.code() == 0 && act.requests().len() > before + 1).then_some(())
    });
    assert!(foreign.heads().is_empty(), "a repository does not choose");
}
