//! `act check`: the step at which it stops, and its conclusions, with servers that check a request in different orders.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::act::{Act, credential, refused};
use crate::support::http::{Reply, Request, Server};
use crate::support::network;
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER};
use crate::support::tls::Authority;

/// One thing that a server checks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Look {
    Credential,
    Alias,
    Payload,
}
use Look::{Alias, Credential, Payload};

/// An ACT that checks in `order`. It knows the sandbox's user and token, alias `id-billing`, and `id-foreign` of
/// another account.
pub fn act_in(order: [Look; 3]) -> impl Fn(&Request) -> Reply {
    move |request| {
        for look in order {
            let answer = match look {
                Credential if request.header("authorization").is_none() => Some(refused(401, "Unauthorized")),
                Credential if credential(request) != format!("BOOMI_TOKEN.{USER}:{TOKEN}") => {
                    Some(refused(401, "Unauthorized"))
                }
                Alias => match request.header("x-alias-id").unwrap() {
                    "id-billing" => None,
                    "id-foreign" => Some(refused(400, "Alias does not belong to the specified account")),
                    other => Some(refused(404, &format!("Agent alias {other} not found"))),
                },
                Payload if request.json()["resourceMetrics"] == json!([]) => {
                    Some(refused(400, "Empty resourceMetrics in OTLP payload"))
                }
                _ => None,
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
        panic!("a check sends no data: {request:?}");
    }
}

/// A sandbox that trusts `authority`, with one alias with this id.
pub fn sandbox(authority: &Authority, endpoint: &str, id: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    let roots = authority.write_to(&sandbox.root().join("ca.pem"));
    sandbox.set("NODE_EXTRA_CA_CERTS", roots.to_str().unwrap());
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(endpoint)},
        "aliases": {"billing": {"account": "acme", "id": id, "provider_type": "CUSTOM_PROVIDER"}},
        "directories": {"~": "billing"}
    }));
    sandbox
}

/// Runs `act check --json`; returns each step with its state, and the exit status. Asserts that the output does not
/// contain the token.
pub fn steps(sandbox: &Sandbox) -> (String, i32, Value) {
    let plain = sandbox.act_claude(&["act", "check"]).output().unwrap();
    let output = sandbox.act_claude(&["act", "check", "--json"]).output().unwrap();
    assert_eq!(plain.code(), output.code());
    for text in [plain.out(), plain.err(), output.out(), output.err()] {
        assert!(!text.contains(TOKEN), "{text}");
    }
    let printed: Value = serde_json::from_str(&output.out()).unwrap_or_else(|_| panic!("{}", output.err()));
    let check = printed["checks"][0].clone();
    assert_eq!(check["exit_status"], output.code());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps: Vec<String> = check["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("{}:{}", text(&step["step"]), text(&step["state"])))
        .collect();
    (steps.join(" "), output.code(), check)
}

/// The steps before ACT's answer, over TLS to an IP address.
const REACHED: &str = "token:ok connection:ok TLS:ok";

#[test]
fn with_every_order_of_act_s_checks() {
    let authority = Authority::new();
    let good = "credential:ok alias:ok";
    let unclear = "credential:unclear alias:unclear";
    for (order, id, wrong_token, expected, code) in [
        ([Credential, Alias, Payload], "id-billing", false, good, 0),
        ([Credential, Alias, Payload], "id-billing", true, "credential:stopped", 77),
        ([Credential, Alias, Payload], "id-typo", false, "credential:ok alias:stopped", 78),
        ([Credential, Alias, Payload], "id-foreign", false, "credential:ok alias:stopped", 78),
        ([Alias, Credential, Payload], "id-billing", false, good, 0),
        ([Alias, Credential, Payload], "id-billing", true, "credential:stopped alias:ok", 77),
        ([Alias, Credential, Payload], "id-typo", false, "credential:unclear alias:stopped", 78),
        ([Alias, Credential, Payload], "id-foreign", false, "credential:unclear alias:stopped", 78),
        ([Payload, Credential, Alias], "id-billing", false, unclear, 69),
        ([Payload, Credential, Alias], "id-billing", true, unclear, 69),
        ([Payload, Credential, Alias], "id-typo", false, unclear, 69),
        ([Credential, Payload, Alias], "id-billing", false, "credential:ok alias:unclear", 0),
        ([Credential, Payload, Alias], "id-billing", true, "credential:stopped", 77),
        ([Alias, Payload, Credential], "id-billing", false, "credential:unclear alias:ok", 0),
        ([Alias, Payload, Credential], "id-foreign", false, "credential:unclear alias:stopped", 78),
    ] {
        let act = Act::start_tls(&authority);
        act.answer_by(act_in(order));
        let sandbox = sandbox(&authority, &act.endpoint(), id);
        if wrong_token {
            sandbox.write("token", "another-token");
        }
        let (steps, exit, check) = steps(&sandbox);
        let case = format!("{order:?} {id} {wrong_token}: {check}");
        assert_eq!((steps, exit), (format!("{REACHED} {expected}"), code), "{case}");
        for request in act.requests() {
            assert_eq!(request.body(), br#"{"resourceMetrics":[]}"#);
            assert_eq!(request.header("origin"), Some("https://claude.ai"));
        }
    }
}

#[test]
fn texts_for_people() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    let text = || {
        let mut command = sandbox.act_claude(&["act", "check", "billing"]);
        command.env("COLUMNS", "80");
        let output = command.output().unwrap();
        assert!(output.out().lines().all(|line| line.chars().count() <= 80), "{}", output.out());
        assert!(!output.out().contains('\x1b'), "no colours where nobody sees them");
        // The output as one line, without line breaks.
        output.out().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    act.answer_by(act_in([Credential, Alias, Payload]));
    let good = text();
    assert!(good.contains(
        "credential ok ACT knows it (without a credential, and with an unknown one, it answers: 401 Unauthorized)"
    ));
    assert!(good.contains("Endpoint, token and alias are correct. see it in ACT: AI Agent Registry"), "{good}");
    act.answer_by(act_in([Payload, Credential, Alias]));
    let unclear = text();
    let open = "credential, alias ? Boomi documents no API for 127.0.0.1 a session shows them: \
                act-claude --alias billing --verify -p hi * billing is the alias of this directory";
    assert!(unclear.ends_with(open) && !unclear.contains("unclear"), "{unclear}");
    act.answer(refused(401, "Unauthorized"));
    let stopped = text();
    let said = format!("credential stopped 401 Unauthorized The API token is wrong, or its user, {USER}.");
    assert!(stopped.contains(&said), "{stopped}");
    assert!(stopped.contains("fix: act-claude act setup --account acme"), "{stopped}");
    act.answer(Reply::with(200, "text/html", "<html>please log in</html>"));
    let page = text();
    assert!(page.contains("answer stopped 200 with a web page"), "{page}");
}

#[test]
fn no_address_for_the_name() {
    if !network::isolate() {
        return;
    }
    let sandbox = sandbox(&Authority::new(), "https://act.invalid/metric-ingestion/v1/a/otlp/public/metrics", "i");
    let (steps, code, check) = steps(&sandbox);
    assert_eq!((steps.as_str(), code), ("token:ok DNS:stopped", 75), "{check}");
    assert_eq!(check["said"], "act.invalid has no address");
}

#[test]
fn no_listener() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sandbox = sandbox(&Authority::new(), &format!("https://127.0.0.1:{port}/m"), "i");
    let (steps, code, check) = steps(&sandbox);
    assert_eq!((steps.as_str(), code), ("token:ok connection:stopped", 75), "{check}");
    assert_eq!(check["said"], "127.0.0.1 refused the connection");
}

#[test]
fn the_certificate_is_not_trusted() {
    for (authority, is_trusted, expected) in [
        (Authority::new(), false, ["the certificate's issuer is not known", "it may be a company proxy's"]),
        (
            Authority::for_names(&["elsewhere.example.com"]),
            true,
            ["the certificate is for another host", "Another server answers under this name"],
        ),
    ] {
        let act = Act::start_tls(&authority);
        let mut sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
        if !is_trusted {
            sandbox.unset("NODE_EXTRA_CA_CERTS");
        }
        let (steps, code, check) = steps(&sandbox);
        assert_eq!((steps.as_str(), code), ("token:ok connection:ok TLS:stopped", 75), "{check}");
        assert!(check["said"].as_str().unwrap().contains(expected[0]), "{check}");
        assert!(check["cause"].as_str().unwrap().contains(expected[1]), "{check}");
        assert!(act.requests().is_empty());
    }
}

#[test]
fn a_proxy_that_refuses() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    for (status, code, said) in [
        (403, 75, "the proxy did not connect to 127.0.0.1: it answered 403 Forbidden"),
        (407, 78, "the proxy answered 407 Proxy Authentication Required"),
    ] {
        let proxy = Server::start(Arc::new(move |request: &Request| {
            assert_eq!(request.method, "CONNECT");
            Reply::json(status, "{}")
        }));
        let mut sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
        sandbox.set("HTTPS_PROXY", format!("http://user:pass-canary@{}", proxy.address()));
        let (steps, exit, check) = steps(&sandbox);
        assert_eq!((steps.as_str(), exit), ("token:ok connection:ok proxy:stopped", code), "{check}");
        assert_eq!(check["said"], said);
        assert!(!check.to_string().contains("pass-canary"));
    }
    let mut sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    sandbox.set("HTTPS_PROXY", format!("http://127.0.0.1:{port}"));
    let (found, code, check) = steps(&sandbox);
    assert_eq!((found.as_str(), code), ("token:ok connection:stopped", 75), "{check}");
    let said = format!("the proxy did not connect to 127.0.0.1: 127.0.0.1:{port} refused the connection");
    assert_eq!(check["said"], said);
    // Proxies that act-claude can't use, in the environment and in the user's settings.
    let mut sandbox = self::sandbox(&authority, &act.endpoint(), "id-billing");
    sandbox.set("HTTPS_PROXY", "socks5h://user:pass-canary@127.0.0.1:1080");
    let (found, code, check) = steps(&sandbox);
    assert_eq!((found.as_str(), code), ("token:ok route:stopped", 75), "{check}");
    assert_eq!(
        check["said"],
        "HTTPS_PROXY can't be used: claude and act-claude use http and https proxies, not socks5h"
    );
    assert_eq!(check["fix"], "export HTTPS_PROXY=http://proxy.example.com:8080");
    sandbox.unset("HTTPS_PROXY");
    let settings = sandbox.write(".claude/settings.json", r#"{"env": {"HTTPS_PROXY": "none"}}"#);
    let (_, _, check) = steps(&sandbox);
    let place = format!("env.HTTPS_PROXY in {}", settings.display());
    assert_eq!(check["said"], format!("{place} can't be used: it is not a URL"));
    assert_eq!(check["fix"], format!("set {place} to \"http://proxy.example.com:8080\""));
    assert!(!check.to_string().contains("pass-canary"));
    assert!(act.requests().is_empty());
}

/// A proxy that accepts every CONNECT.
fn tunnel() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = through(client);
            });
        }
    });
    address
}

fn through(mut client: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut server = TcpStream::connect(head.split(' ').nth(1).unwrap())?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    std::io::copy(&mut server, &mut client).map(drop)
}

#[test]
fn through_a_proxy() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    act.answer_by(act_in([Credential, Alias, Payload]));
    let mut good = sandbox(&authority, &act.endpoint(), "id-billing");
    good.set("HTTPS_PROXY", format!("http://{}", tunnel()));
    let (found, code, check) = steps(&good);
    let through = "token:ok connection:ok proxy:ok TLS:ok credential:ok alias:ok";
    assert_eq!((found.as_str(), code), (through, 0), "{check}");
    // A proxy that replaces certificates: the proxy step succeeds, and the TLS step fails as not trusted.
    let mut inspected = sandbox(&Authority::new(), &act.endpoint(), "id-billing");
    inspected.set("HTTPS_PROXY", format!("http://{}", tunnel()));
    let (found, code, check) = steps(&inspected);
    assert_eq!((found.as_str(), code), ("token:ok connection:ok proxy:ok TLS:stopped", 75), "{check}");
}

#[test]
fn no_token() {
    let act = Act::start();
    let sandbox = Sandbox::new();
    sandbox.configure(&json!({
        "accounts": {"acme": {"endpoint": act.endpoint(), "user": USER, "token": {"command": ["false"]}}},
        "aliases": {"billing": {"account": "acme", "id": "i", "provider_type": "P"}}, "default": "billing"
    }));
    let (steps, code, check) = steps(&sandbox);
    assert_eq!((steps.as_str(), code), ("token:stopped", 77), "{check}");
    assert!(act.requests().is_empty());
}

#[test]
fn all_aliases() {
    let act = Act::start();
    act.answer_by(act_in([Credential, Alias, Payload]));
    let sandbox = Sandbox::new();
    let log = sandbox.root().join("asked");
    let command = format!("echo x >> {}; echo {TOKEN}", log.display());
    let alias = |id: &str| json!({"account": "acme", "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": {"endpoint": act.endpoint(), "user": USER, "token": {"command": ["sh", "-c", command]}}},
        "aliases": {"a-good": alias("id-billing"), "b-typo": alias("id-typo"), "c-good": alias("id-billing")}
    }));
    let output = sandbox.act_claude(&["act", "check", "--all", "--json"]).output().unwrap();
    let printed: Value = serde_json::from_str(&output.out()).unwrap();
    let checks = printed["checks"].as_array().unwrap().iter();
    let results: Vec<(&str, &str)> =
        checks.map(|check| (check["alias"].as_str().unwrap(), check["result"].as_str().unwrap())).collect();
    assert_eq!(results, [("a-good", "good"), ("b-typo", "stopped"), ("c-good", "good")]);
    assert_eq!(output.code(), 78, "the worst of all");
    assert_eq!(std::fs::read_to_string(log).unwrap(), "x\n", "one account, one token");
}

#[test]
fn aliases_to_check() {
    let sandbox = Sandbox::new();
    let run = |args: &[&str]| {
        let output = sandbox.act_claude(&[&["act", "check"], args].concat()).output().unwrap();
        (output.code(), output.err())
    };
    assert_eq!(run(&[]), (78, "act-claude: no alias is configured: act-claude act setup\n".to_owned()));
    let act = Act::start();
    sandbox.configure(&json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P"}}
    }));
    let (code, error) = run(&[]);
    assert!(code == 78 && error.contains("act-claude act check NAME, or --all"), "{error}");
    let (code, error) = run(&["biling"]);
    assert!(code == 64 && error.contains("did you mean \"billing\"?"), "{error}");
}
