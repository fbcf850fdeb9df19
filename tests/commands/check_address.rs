//! When and where Boomi's platform API is asked about a credential: at the documented or configured address, once for each account
//! and run, never in a session.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::check::Look::{Alias, Credential, Payload};
use super::check::{act_in, sandbox};
use super::check_boomi::{Api, JWT, boomi, name_api, text};
use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER, snapshot};
use crate::support::tls::Authority;
use crate::support::tunnel::Tunnel;

/// Boomi's own hosts, behind a proxy that leads every connection to one server: the API's address is the documented one.
#[test]
fn the_documented_hosts() {
    let authority = Authority::for_names(&[
        "agentcontroltower.boomi.com",
        "agentcontroltower.boomi.com.evil.test",
        "api.boomi.com",
    ]);
    let act = Act::start_tls(&authority);
    act.answer_by(
        |request| if request.method == "GET" { boomi(request) } else { act_in([Payload, Credential, Alias])(request) },
    );
    for (host, asked) in [("agentcontroltower.boomi.com", true), ("agentcontroltower.boomi.com.evil.test", false)] {
        let proxy = Tunnel::to(act.port());
        let endpoint = format!("https://{host}/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics");
        let mut sandbox = sandbox(&authority, &endpoint, "id-billing");
        sandbox.set("HTTPS_PROXY", format!("http://{}", proxy.address()));
        // No variable names the API.
        for name in ["ACT_CLAUDE_API", "BOOMI_API_URL", "BOOMI_BASE_URL", "API"] {
            sandbox.set(name, "https://evil.test");
        }
        let (text, _) = text(&sandbox);
        let accepted = format!("credential ok Boomi accepts {USER} for acme-A1B2C3");
        assert_eq!(text.contains(&accepted), asked, "{text}");
        let mut hosts: Vec<String> =
            proxy.heads().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect();
        hosts.sort();
        hosts.dedup();
        let expected = [Some(format!("{host}:443")), asked.then(|| "api.boomi.com:443".to_owned())];
        assert_eq!(hosts, expected.into_iter().flatten().collect::<Vec<_>>());
    }
}

#[test]
fn once_for_each_credential_and_run() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    act.answer_by(act_in([Credential, Alias, Payload]));
    let api = Api::start(&authority, boomi);
    let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    let mut account = sandbox.account(&act.endpoint());
    account["api"] = json!(api.url());
    let alias = |account: &str| json!({"account": account, "id": "id-billing", "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": account, "second": account},
        "aliases": {"a": alias("acme"), "b": alias("acme"), "c": alias("second"), "d": alias("acme")}
    }));
    let output = sandbox.act_claude(&["act", "check", "--all"]).output().unwrap();
    assert_eq!((output.code(), output.out().matches("Boomi accepts").count()), (0, 4), "{}", output.out());
    assert_eq!(api.count(), 1, "two accounts with one credential");
}

/// Neither a session nor another command sends the token to the API.
#[test]
fn never_in_a_session() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    let api = Api::start(&authority, boomi);
    let mut sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    name_api(&sandbox, &json!(api.url()));
    fake_claude::install(&mut sandbox, "post");
    for args in [
        &["-p", "hi"][..],
        &["--verify", "-p", "hi"],
        &["--direct", "-p", "hi"],
        &["act", "doctor"],
        &["act", "flush"],
        &["act", "which", "--env"],
        &["act", "history"],
        &["act", "aliases"],
        &["act", "statusline"],
    ] {
        let _ = sandbox.act_claude(args).output().unwrap();
    }
    assert_eq!(api.count(), 0);
    assert!(!act.requests().is_empty(), "the session was delivered");
}

/// The JWT is neither shown nor stored, with the debug log either, and the token is only where it was.
#[test]
fn the_jwt_is_thrown_away() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    act.answer_by(act_in([Credential, Alias, Payload]));
    let api = Api::start(&authority, boomi);
    let mut sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    name_api(&sandbox, &json!(api.url()));
    sandbox.set("ACT_CLAUDE_LOG", "debug");
    sandbox.set("RUST_LOG", "trace");
    fake_claude::install(&mut sandbox, "post");
    for args in [&["-p", "hi"][..], &["act", "check"], &["act", "check", "--all", "--json"]] {
        let output = sandbox.act_claude(args).output().unwrap();
        for secret in [JWT, TOKEN, "c2lnbmF0dXJl", "signature-canary"] {
            assert!(!output.out().contains(secret) && !output.err().contains(secret), "{args:?}");
        }
    }
    assert_eq!(api.count(), 2);
    for (path, content) in snapshot(sandbox.root()) {
        let holds = |secret: &str| memchr::memmem::find(&content, secret.as_bytes()).is_some();
        assert!(!holds(JWT) && !holds("c2lnbmF0dXJl"), "{}", path.display());
        assert!(!holds(TOKEN) || path.ends_with("token"), "{}", path.display());
    }
}

/// `act setup` says where the token goes before it goes there, once; with `--no-check` it goes nowhere.
#[test]
fn setup_says_so_before_its_first_request() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    act.answer_by(act_in([Payload, Credential, Alias]));
    let asked = Arc::new(AtomicUsize::new(0));
    let noted = asked.clone();
    let api = Api::start(&authority, move |request| {
        noted.fetch_add(1, Ordering::SeqCst);
        boomi(request)
    });
    let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    name_api(&sandbox, &json!(api.url()));
    let setup = |more: &[&str]| {
        let args = ["act", "setup", "--yes", "--account", "acme", "--token-stdin"];
        let mut command = sandbox.act_claude(&[&args[..], more].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), TOKEN.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.code(), 0, "{}", output.err());
        output.out().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(!setup(&["--no-check"]).contains("goes to") && asked.load(Ordering::SeqCst) == 0);
    let said = setup(&[]);
    let address = |url: &str| url.split('/').nth(2).unwrap().to_owned();
    let before = format!(
        "Now checking: the token of acme goes to {}, and once to {}, which says whether Boomi accepts it.",
        address(&act.endpoint()),
        address(&api.url())
    );
    let after = format!("credential ok Boomi accepts {USER} for acme-A1B2C3");
    let (before, after) = (said.find(&before), said.find(&after));
    assert!(before.is_some() && before < after, "{said}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(act.requests().len(), 2, "the export without metrics, and one with an unknown alias");
}

/// The local ACT offers the same path, and the configuration that it prints names it.
#[test]
fn act_receive_offers_the_same_path() {
    use std::io::{BufRead, BufReader};
    let sandbox = Sandbox::new();
    let mut receive =
        sandbox.act_claude(&["act", "receive"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(receive.stdout.take().unwrap()).lines().map(Result::unwrap);
    let shown: Vec<String> = lines.by_ref().take_while(|line| line != "Ctrl-C ends.").collect();
    let shown = shown.join("\n");
    let configuration = &shown[shown.find('{').unwrap()..=shown.rfind('}').unwrap()];
    sandbox.configure(&serde_json::from_str(configuration).unwrap());
    let output = sandbox.act_claude(&["act", "check", "trial"]).output().unwrap();
    let said = output.out().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("credential ok Boomi accepts you@example.com for local") && output.code() == 0, "{said}");
    let seen = lines.find(|line| line.contains("JWT")).unwrap();
    assert!(seen.ends_with("  200 JWT  local  you@example.com"), "{seen}");
    receive.kill().unwrap();
    receive.wait().unwrap();
}
