//! `act check` and `act setup` ask Boomi's platform API whether it accepts the credential, with a stand-in that knows the
//! documented request. They claim what its answer shows, and nothing else.

use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::check::Look::{Alias, Credential, Payload};
use super::check::{act_in, sandbox, steps};
use crate::support::act::{Act, credential, refused};
use crate::support::fake_claude;
use crate::support::http::{Reply, Request, Server};
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER, snapshot};
use crate::support::tls::Authority;
use crate::support::tunnel::Tunnel;

/// A JWT of the stand-in: `{"alg":"RS256"}`, `{"sub":"x"}` and a signature.
const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLWNhbmFyeQ";
/// The only path that the stand-in knows.
const PATH: &str = "/auth/jwt/generate/acme-A1B2C3";
/// The steps around the credential, where it is asked for first.
const REACHED: &str = "connection:ok TLS:ok";

/// The platform API as Boomi documents it. It knows one account, with one user and token.
fn boomi(request: &Request) -> Reply {
    assert_eq!((request.method.as_str(), request.body().len()), ("GET", 0), "{request:?}");
    let is_right = credential(request) == format!("BOOMI_TOKEN.{USER}:{TOKEN}");
    match request.path.as_str() {
        PATH if is_right => Reply::with(200, "text/plain", JWT),
        PATH => refused(401, "Unauthorized"),
        _ => refused(403, "Forbidden"),
    }
}

/// An API with scripted answers. It notes every request.
struct Api {
    server: Server,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Api {
    fn start(authority: &Authority, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let noted = requests.clone();
        let handler = move |request: &Request| {
            noted.lock().unwrap().push(request.clone());
            answer(request)
        };
        Self { server: Server::start_with(Arc::new(handler), authority.wrap()), requests }
    }

    fn url(&self) -> String {
        format!("https://{}", self.server.address())
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// Names the API of the sandbox's account.
fn name_api(sandbox: &Sandbox, api: &Value) {
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["accounts"]["acme"]["api"] = api.clone();
    sandbox.configure(&config);
}

/// The text of `act check` as one line, without line breaks, and the exit status.
fn text(sandbox: &Sandbox) -> (String, i32) {
    let output = sandbox.act_claude(&["act", "check"]).output().unwrap();
    (output.out().split_whitespace().collect::<Vec<_>>().join(" "), output.code())
}

/// Where the alias is not shown.
const OPEN_ALIAS: &str = "? alias: a session shows it: act-claude --alias billing --verify -p hi";

#[test]
fn a_good_credential_is_proved_and_nothing_more() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    let api = Api::start(&authority, boomi);
    let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    name_api(&sandbox, &json!(api.url()));
    // ACT looks at the content first: its answers show nothing.
    act.answer_by(act_in([Payload, Credential, Alias]));
    let (found, code, check) = steps(&sandbox);
    assert_eq!((found, code), (format!("token:ok credential:ok {REACHED} alias:unclear"), 0), "{check}");
    assert_eq!(
        (&check["result"], &check["open"], &check["unproven"]),
        (&json!("unclear"), &json!(["alias"]), &json!(null))
    );
    let (said, code) = text(&sandbox);
    assert!(said.contains(&format!("ok credential: Boomi accepts {USER} for acme-A1B2C3 ok connection:")), "{said}");
    assert!(said.ends_with(OPEN_ALIAS) && said.matches('?').count() == 1 && code == 0, "{said}");
    for claim in ["correct", "unclear", "right", "publish"] {
        assert!(!said.contains(claim), "{claim}: {said}");
    }
    // ACT shows the alias, too.
    act.answer_by(act_in([Credential, Alias, Payload]));
    let (found, code, check) = steps(&sandbox);
    assert_eq!((found, code), (format!("token:ok credential:ok {REACHED} alias:ok"), 0), "{check}");
    assert_eq!((&check["result"], &check["open"]), (&json!("good"), &json!([])));
    assert_eq!(api.count(), 5, "one request in each run");
    // No credential but the user's is sent where it is proved already.
    assert!(act.requests().iter().all(|request| credential(request) == format!("BOOMI_TOKEN.{USER}:{TOKEN}")));
}

#[test]
fn a_wrong_token_stops_before_act_is_asked() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    let api = Api::start(&authority, boomi);
    let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    name_api(&sandbox, &json!(api.url()));
    sandbox.write("token", "another-token");
    let (found, code, check) = steps(&sandbox);
    assert_eq!((found.as_str(), code), ("token:ok credential:stopped", 77), "{check}");
    assert_eq!(check["said"], format!("Boomi refuses {USER} for acme-A1B2C3: 401 Unauthorized"));
    assert_eq!(check["cause"], "The API token, its user or the account id is wrong");
    assert_eq!(check["fix"], "act-claude act setup --account acme");
    assert_eq!((act.requests().len(), api.count()), (0, 2), "one failed login in each run");
    assert!(!check.to_string().contains("another-token"));
}

/// A token that is good for one account only. Boomi does not document its answer: 401 is taken as it is documented, and names the
/// account id as one of the causes; anything else shows nothing.
#[test]
fn another_account() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    act.answer_by(act_in([Payload, Credential, Alias]));
    for (status, state, code) in [(401, "credential:stopped", 77), (403, "unclear", 69)] {
        let api = Api::start(&authority, move |request| match boomi(request) {
            Reply::Full { status: 403, .. } => refused(status, "No"),
            other => other,
        });
        let sandbox = sandbox(&authority, &act.endpoint_of("other-Z9"), "id-billing");
        name_api(&sandbox, &json!(api.url()));
        let (found, exit, check) = steps(&sandbox);
        assert!(found.contains(state) && exit == code, "{check}");
        assert!(!check.to_string().contains("Boomi accepts"), "{check}");
        assert!(check.to_string().contains("other-Z9"), "{check}");
        assert_eq!(api.requests.lock().unwrap()[0].path, "/auth/jwt/generate/other-Z9");
    }
}

#[test]
fn boomi_accepts_and_act_does_not() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    act.answer(refused(403, "Forbidden"));
    let api = Api::start(&authority, boomi);
    let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    name_api(&sandbox, &json!(api.url()));
    let (found, code, check) = steps(&sandbox);
    assert_eq!((found, code), (format!("token:ok credential:ok {REACHED} right:stopped"), 77), "{check}");
    let cause = "Boomi accepts the token for acme-A1B2C3: the user may lack the right in ACT";
    assert!(check["cause"].as_str().unwrap().starts_with(cause), "{check}");
}

/// Whatever else the API does, the credential stays open, with the reason, and the check goes on.
#[test]
fn answers_that_show_nothing() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    act.answer_by(act_in([Payload, Credential, Alias]));
    let elsewhere = Api::start(&authority, |_| Reply::with(200, "text/plain", JWT));
    let redirect = |status: u16, to: String| Reply::with(status, "text/plain", JWT).header("Location", &to);
    let huge = JWT.to_owned() + &"x".repeat(1 << 20);
    let slow = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{JWT}", JWT.len() + 1);
    let no_jwt = "answered 200, but not with a JWT";
    for (reply, said) in [
        (refused(403, "Forbidden"), "answered 403 Forbidden for acme-A1B2C3"),
        (refused(404, "Not Found"), "answered 404 Not Found for acme-A1B2C3"),
        (refused(429, "Too Many Requests"), "answered 429 Too Many Requests for acme-A1B2C3"),
        (Reply::with(503, "text/html", "\x1b[2J"), "answered 503 Service Unavailable for acme-A1B2C3"),
        (redirect(302, format!("{}{PATH}", elsewhere.url())), "answered 302 Found; a redirect is not followed"),
        (
            redirect(307, format!("{}{PATH}", elsewhere.url())),
            "answered 307 Temporary Redirect; a redirect is not followed",
        ),
        (
            redirect(308, "/auth/jwt/generate/other".to_owned()),
            "answered 308 Permanent Redirect; a redirect is not followed",
        ),
        (Reply::with(200, "text/html", "<html>please log in</html>"), no_jwt),
        (Reply::with(200, "text/plain", ""), no_jwt),
        (Reply::json(200, r#"{"errors":[{"message":"Unauthorized"}]}"#), no_jwt),
        (Reply::with(200, "text/plain", &huge), no_jwt),
        (Reply::Raw(slow.clone().into_bytes()), no_jwt),
        (Reply::Close, "broke: it was closed without an answer"),
        (Reply::Raw(b"\x16\x03garbage\r\n\r\n".to_vec()), "the connection to 127.0.0.1 broke"),
    ] {
        let api = Api::start(&authority, move |_| reply.clone());
        let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
        name_api(&sandbox, &json!(api.url()));
        let (text, code) = text(&sandbox);
        assert_eq!(api.count(), 1, "no second try: {said}");
        assert!(text.contains("? credential, alias: ") && text.contains(said) && code == 69, "{said}: {text}");
        assert!(!text.contains("Boomi accepts") && !text.contains(JWT) && !text.contains('\x1b'), "{text}");
        assert_eq!(text.matches('?').count(), 1, "{text}");
    }
    assert_eq!(elsewhere.count(), 0, "no redirect is followed");
}

#[test]
fn an_api_that_is_not_reached() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    act.answer_by(act_in([Payload, Credential, Alias]));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let untrusted = Api::start(&Authority::new(), boomi);
    let hanging = Api::start(&authority, |_| Reply::Hang);
    for (api, said) in [
        (json!(format!("https://{free}")), "127.0.0.1 refused the connection"),
        (json!(untrusted.url()), "TLS with 127.0.0.1 failed: the certificate is not signed by the authority it names"),
        (json!(hanging.url()), "no answer from 127.0.0.1"),
        (json!(null), "\"api\" is null"),
    ] {
        let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
        name_api(&sandbox, &api);
        let (text, code) = text(&sandbox);
        assert!(
            text.contains(&format!("? credential, alias: {said}; a session shows them: act-claude --alias billing"))
                && code == 69,
            "{text}"
        );
    }
    assert_eq!(untrusted.count(), 0, "nothing is sent to a server that is not trusted");
    // ACT's own answers are as good as without an API.
    act.answer_by(act_in([Credential, Alias, Payload]));
    let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    name_api(&sandbox, &json!(format!("https://{free}")));
    let (found, code, check) = steps(&sandbox);
    assert_eq!((found, code), (format!("token:ok {REACHED} credential:ok alias:ok"), 0), "{check}");
    // Without ACT, the proof stands all the same.
    let api = Api::start(&authority, boomi);
    let sandbox =
        self::sandbox(&authority, &format!("https://{free}/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics"), "i");
    name_api(&sandbox, &json!(api.url()));
    let (found, code, check) = steps(&sandbox);
    assert_eq!((found.as_str(), code), ("token:ok credential:ok connection:stopped", 75), "{check}");
}

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
        let accepted = format!("ok credential: Boomi accepts {USER} for acme-A1B2C3");
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
fn once_for_each_account_and_run() {
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
    assert_eq!(api.count(), 2, "two accounts");
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
    let before = "Now checking: the token of acme goes to 127.0.0.1, and once to 127.0.0.1, which says whether Boomi accepts it.";
    let after = format!("ok credential: Boomi accepts {USER} for acme-A1B2C3");
    let (before, after) = (said.find(before), said.find(&after));
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
    assert!(said.contains("ok credential: Boomi accepts you@example.com for local") && output.code() == 0, "{said}");
    let seen = lines.find(|line| line.contains("JWT")).unwrap();
    assert!(seen.ends_with("  200 JWT  local  you@example.com"), "{seen}");
    receive.kill().unwrap();
    receive.wait().unwrap();
}
