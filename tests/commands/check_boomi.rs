//! `act check` and `act setup` ask Boomi's platform API whether it accepts the credential, with a stand-in that knows the
//! documented request. They claim what its answer shows, and nothing else.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::check::Look::{Alias, Credential, Payload};
use super::check::{act_in, sandbox, steps};
use crate::support::act::{Act, credential, refused};
use crate::support::http::{Reply, Request, Server};
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER};
use crate::support::tls::Authority;

/// A JWT of the stand-in: `{"alg":"RS256"}`, `{"sub":"x"}` and a signature.
pub const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLWNhbmFyeQ";
/// The only path that the stand-in knows.
const PATH: &str = "/auth/jwt/generate/acme-A1B2C3";
/// The steps around the credential, where it is asked for first.
const REACHED: &str = "connection:ok TLS:ok";

/// The platform API as Boomi documents it. It knows one account, with one user and token.
pub fn boomi(request: &Request) -> Reply {
    assert_eq!((request.method.as_str(), request.body().len()), ("GET", 0), "{request:?}");
    let is_right = credential(request) == format!("BOOMI_TOKEN.{USER}:{TOKEN}");
    match request.path.as_str() {
        PATH if is_right => Reply::with(200, "text/plain", JWT),
        PATH => refused(401, "Unauthorized"),
        _ => refused(403, "Forbidden"),
    }
}

/// An API with scripted answers. It notes every request.
pub struct Api {
    server: Server,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Api {
    pub fn start(authority: &Authority, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let noted = requests.clone();
        let handler = move |request: &Request| {
            noted.lock().unwrap().push(request.clone());
            answer(request)
        };
        Self { server: Server::start_with(Arc::new(handler), authority.wrap()), requests }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.server.address())
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// Names the API of the sandbox's account.
pub fn name_api(sandbox: &Sandbox, api: &Value) {
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["accounts"]["acme"]["api"] = api.clone();
    sandbox.configure(&config);
}

/// The text of `act check` as one line, without line breaks, and the exit status.
pub fn text(sandbox: &Sandbox) -> (String, i32) {
    let output = sandbox.act_claude(&["act", "check"]).output().unwrap();
    (output.out().split_whitespace().collect::<Vec<_>>().join(" "), output.code())
}

/// Where the alias is not shown.
const OPEN_ALIAS: &str = "alias ? ACT's answers do not show it a session shows it: act-claude --alias billing --verify -p hi * billing is the alias of this directory";

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
    assert!(said.contains(&format!("credential ok Boomi accepts {USER} for acme-A1B2C3 connection ok ")), "{said}");
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
    let cause = "Boomi accepts token and user for acme-A1B2C3, so the user lacks the right in ACT";
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
        assert!(text.contains("credential, alias ? ") && text.contains(said) && code == 69, "{said}: {text}");
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
            text.contains(&format!("credential, alias ? {said} a session shows them: act-claude --alias billing"))
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

/// Boomi may lock a user after failed logins: several accounts with one credential are one question.
#[test]
fn one_credential_is_asked_about_once() {
    let authority = Authority::new();
    let act = Act::start_tls(&authority);
    let api = Api::start(&authority, boomi);
    let sandbox = sandbox(&authority, &act.endpoint(), "id-billing");
    name_api(&sandbox, &json!(api.url()));
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    for (name, user) in [("same", USER), ("other", "somebody@else.test")] {
        config["accounts"][name] = config["accounts"]["acme"].clone();
        config["accounts"][name]["user"] = json!(user);
        config["aliases"][name] = config["aliases"]["billing"].clone();
        config["aliases"][name]["account"] = json!(name);
    }
    sandbox.configure(&config);
    let output = sandbox.act_claude(&["act", "check", "--all"]).output().unwrap();
    let said = output.out().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(said.matches(&format!("Boomi accepts {USER} for acme-A1B2C3")).count(), 2, "{said}");
    assert_eq!(said.matches("Boomi refuses somebody@else.test for acme-A1B2C3").count(), 1, "{said}");
    assert_eq!(api.count(), 2, "{said}");
}
