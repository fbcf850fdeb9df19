//! Checks an export in ACT's order: credential, alias, content type, payload. Pure.

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::answer::Refusal;
use super::payload::Payload;

/// The prefix of ACT's credential, before the user.
const PREFIX: &str = "BOOMI_TOKEN.";

/// Base64 with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An account the receiver knows.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account id, as in the endpoint's path.
    pub id: String,
    /// SHA-256 of `<user>:<token>`; the token itself is not kept.
    credential: Option<[u8; 32]>,
}

impl Account {
    /// An account that takes any well-formed credential.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), credential: None }
    }

    /// Limits the account to this user and token.
    #[must_use]
    pub fn with_credential(mut self, user: &str, token: &str) -> Self {
        self.credential = Some(Sha256::digest(format!("{user}:{token}")).into());
        self
    }
}

/// The accounts and aliases that the receiver accepts. An empty list accepts any.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The known accounts. Empty: any account is accepted.
    pub accounts: Vec<Account>,
    /// The known alias ids, each with the id of its account (`None`: any account). Empty: any alias is accepted.
    pub aliases: BTreeMap<String, Option<String>>,
}

/// The parts of a request that are checked.
#[derive(Debug)]
pub struct Request<'a> {
    /// The account id in the path.
    pub account: &'a str,
    /// The `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The `X-Alias-Id` header.
    pub alias: Option<&'a [u8]>,
    /// The `Content-Type` header.
    pub content_type: Option<&'a [u8]>,
    /// The decompressed body, or why there is none.
    pub body: Result<&'a [u8], &'a Refusal>,
}

/// The parts of the export that could be read, and the first check that failed.
#[derive(Debug)]
pub struct Checked {
    /// The credential's user.
    pub user: Option<String>,
    /// The alias id.
    pub alias: Option<String>,
    /// The payload.
    pub payload: Option<Payload>,
    /// Why the export is refused. `None`: it is accepted.
    pub refusal: Option<Refusal>,
}

/// Checks one export.
pub fn check(request: &Request<'_>, expected: &Expected) -> Checked {
    let (user, credential) = credential(request.account, request.authorization, expected);
    let alias = request.alias.map(|alias| String::from_utf8_lossy(alias).trim().to_owned());
    let alias = alias.filter(|alias| !alias.is_empty());
    let belongs = belongs(alias.as_deref(), request.account, expected);
    let (payload, content) = match content(request) {
        Ok(payload) if payload.resources.is_empty() => {
            let cause = "the export holds no metrics: was telemetry on (CLAUDE_CODE_ENABLE_TELEMETRY=1)?";
            (Some(payload), Err(Refusal::empty_payload(cause)))
        }
        Ok(payload) => (Some(payload), Ok(())),
        Err(refusal) => (None, Err(refusal)),
    };
    Checked { user, alias, payload, refusal: credential.and(belongs).and(content).err() }
}

/// The user, where it could be read, and whether the credential is good.
pub fn credential(
    account: &str,
    authorization: Option<&[u8]>,
    expected: &Expected,
) -> (Option<String>, Result<(), Refusal>) {
    let (user, token) = match read_credential(authorization) {
        Ok(parts) => parts,
        Err(cause) => return (None, Err(Refusal::unauthorized(cause))),
    };
    let known = expected.accounts.iter().find(|known| known.id == account);
    let given = Sha256::digest(format!("{user}:{token}"));
    let good = match known.and_then(|known| known.credential.as_ref()) {
        Some(wanted) if !bool::from(wanted.as_slice().ct_eq(&given)) => {
            let cause = format!("this is not the user and token of account {account}");
            Err(Refusal::unauthorized(cause))
        }
        _ => Ok(()),
    };
    (Some(user), good)
}

/// User and token, or what is wrong with the header. The error text does not repeat any part of the header.
fn read_credential(header: Option<&[u8]>) -> Result<(String, String), &'static str> {
    let header = header.ok_or("there is no Authorization header")?;
    let header = std::str::from_utf8(header).map_err(|_| "the Authorization header is not text")?.trim();
    if header.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Basic%20")) {
        return Err("the Authorization header is percent-encoded; it is used without decoding");
    }
    let (scheme, encoded) = header.split_once(' ').ok_or("the Authorization header is not: Basic <base64>")?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err("the Authorization header is not Basic");
    }
    let decoded = BASE64.decode(encoded.trim()).map_err(|_| "the credential is not base64")?;
    let decoded = String::from_utf8(decoded).map_err(|_| "the credential is not text once decoded")?;
    let rest = decoded.strip_prefix(PREFIX).ok_or("the credential does not start with BOOMI_TOKEN.")?;
    if rest.starts_with(PREFIX) {
        return Err("the credential's prefix BOOMI_TOKEN. is doubled");
    }
    if rest.contains(char::is_control) {
        return Err("the credential holds a line break or control character (echo without -n?)");
    }
    match rest.split_once(':') {
        None => Err("the credential is not BOOMI_TOKEN.<user>:<token>: it has no colon"),
        Some(("", _)) => Err("the credential has no user"),
        Some((_, "")) => Err("the credential has no token"),
        Some((user, token)) => Ok((user.to_owned(), token.to_owned())),
    }
}

/// Checks that the alias exists and belongs to this account.
fn belongs(alias: Option<&str>, account: &str, expected: &Expected) -> Result<(), Refusal> {
    let alias = alias.ok_or_else(|| Refusal::bad_request("there is no X-Alias-Id header"))?;
    match expected.aliases.get(alias) {
        None if expected.aliases.is_empty() => Ok(()),
        None => Err(Refusal::unknown_alias(alias, "it is not one of the receiver's --alias ids")),
        Some(Some(owner)) if owner != account => {
            Err(Refusal::foreign_alias(format!("alias {alias} is account {owner}'s, the endpoint is {account}'s")))
        }
        Some(_) => Ok(()),
    }
}

/// The payload, if it is OTLP/JSON.
fn content(request: &Request<'_>) -> Result<Payload, Refusal> {
    let kind = request.content_type.map(String::from_utf8_lossy);
    let Some(kind) = kind else { return Err(Refusal::bad_request("there is no Content-Type header")) };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::bad_request(format!(
            "the content is {essence}, not application/json (protocol http/json)"
        )));
    }
    let body = request.body.map_err(Clone::clone)?;
    Payload::read(body).map_err(|error| Refusal::bad_request(format!("the body is not OTLP/JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = br#"{"resourceMetrics":[{"scopeMetrics":[]}]}"#;

    fn basic(credential: &str) -> String {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credential))
    }

    fn expected() -> Expected {
        Expected {
            accounts: vec![Account::new("acme").with_credential("dev@acme.com", "t0k:en"), Account::new("open")],
            aliases: [("a1", Some("acme")), ("b1", Some("open")), ("any", None)]
                .into_iter()
                .map(|(alias, account)| (alias.to_owned(), account.map(str::to_owned)))
                .collect(),
        }
    }

    /// Status, message and cause of the refusal of one export to `account`.
    fn refused(
        account: &str,
        authorization: Option<&str>,
        alias: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Option<(u16, String, String)> {
        let request = Request {
            account,
            authorization: authorization.map(str::as_bytes),
            alias: alias.map(str::as_bytes),
            content_type: content_type.map(str::as_bytes),
            body: Ok(body),
        };
        let refusal = check(&request, &expected()).refusal?;
        Some((refusal.status, refusal.message, refusal.cause))
    }

    #[test]
    fn credentials() {
        let right = basic("BOOMI_TOKEN.dev@acme.com:t0k:en");
        let unpadded = right.trim_end_matches('=').to_owned();
        for good in [&right, &unpadded, &right.replace("Basic", "basic")] {
            assert_eq!(refused("acme", Some(good), Some("a1"), Some("application/json"), GOOD), None, "{good}");
        }
        let table = [
            (None, "no Authorization header"),
            (Some("Bearer x".to_owned()), "not Basic"),
            (Some("Basic".to_owned()), "not: Basic <base64>"),
            (Some(right.replace(' ', "%20")), "percent-encoded"),
            (Some("Basic $$$".to_owned()), "not base64"),
            (Some(basic("dev@acme.com:t0k:en")), "does not start with BOOMI_TOKEN."),
            (Some(basic("BOOMI_TOKEN.BOOMI_TOKEN.dev@acme.com:t0k:en")), "doubled"),
            (Some(basic("BOOMI_TOKEN.dev@acme.com:t0k:en\n")), "line break"),
            (Some(basic("BOOMI_TOKEN.dev@acme.com")), "no colon"),
            (Some(basic("BOOMI_TOKEN.:t0k:en")), "no user"),
            (Some(basic("BOOMI_TOKEN.dev@acme.com:")), "no token"),
            (Some(basic("BOOMI_TOKEN.dev@acme.com:wrong")), "not the user and token of account acme"),
            (Some(basic("BOOMI_TOKEN.eve@acme.com:t0k:en")), "not the user and token of account acme"),
        ];
        for (header, why) in table {
            let (status, message, cause) =
                refused("acme", header.as_deref(), Some("a1"), Some("application/json"), GOOD).expect(why);
            assert_eq!((status, message.as_str()), (401, "Unauthorized"), "{why}");
            assert!(cause.contains(why), "{cause:?} lacks {why:?}");
            assert!(!cause.contains("t0k"), "a cause shows the token: {cause}");
        }
        let other = basic("BOOMI_TOKEN.dev@acme.com:whatever");
        assert_eq!(refused("open", Some(&other), Some("b1"), Some("application/json"), GOOD), None);
    }

    #[test]
    fn aliases_content_and_payload() {
        let json = Some("application/json");
        let empty = br#"{"resourceMetrics":[]}"#.as_slice();
        let foreign = "Alias does not belong to the specified account";
        let table = [
            (None, json, GOOD, 400, "Bad Request", "no X-Alias-Id"),
            (Some(" "), json, GOOD, 400, "Bad Request", "no X-Alias-Id"),
            (Some("zz"), json, GOOD, 404, "Agent alias zz not found", "not one of the receiver's --alias ids"),
            (Some("b1"), json, GOOD, 400, foreign, "alias b1 is account open's"),
            (Some("a1"), None, GOOD, 400, "Bad Request", "no Content-Type"),
            (Some("a1"), Some("application/x-protobuf"), GOOD, 400, "Bad Request", "protocol http/json"),
            (Some("a1"), json, b"{".as_slice(), 400, "Bad Request", "not OTLP/JSON"),
            (Some("a1"), json, b"[]".as_slice(), 400, "Bad Request", "not OTLP/JSON"),
            (Some("a1"), json, b"".as_slice(), 400, "Bad Request", "not OTLP/JSON"),
            (Some("a1"), json, empty, 400, "Empty resourceMetrics in OTLP payload", "no metrics"),
            (Some("any"), json, b"{}".as_slice(), 400, "Empty resourceMetrics in OTLP payload", "no metrics"),
        ];
        let right = basic("BOOMI_TOKEN.dev@acme.com:t0k:en");
        for (alias, kind, body, status, message, why) in table {
            let got = refused("acme", Some(&right), alias, kind, body).expect(why);
            assert_eq!((got.0, got.1.as_str()), (status, message), "{why}");
            assert!(got.2.contains(why), "{:?} lacks {why:?}", got.2);
        }
        for good in ["application/json; charset=utf-8", "Application/JSON"] {
            assert_eq!(refused("acme", Some(&right), Some("any"), Some(good), GOOD), None, "{good}");
        }
    }

    #[test]
    fn the_first_failing_check_answers() {
        let right = basic("BOOMI_TOKEN.dev@acme.com:t0k:en");
        let status = |authorization, alias, kind| {
            refused("acme", authorization, alias, kind, b"{}").map(|(status, message, _)| (status, message))
        };
        assert_eq!(status(None, Some("zz"), None).unwrap().0, 401);
        assert_eq!(status(Some(right.as_str()), Some("zz"), None).unwrap().0, 404);
        assert_eq!(status(Some(right.as_str()), Some("a1"), None).unwrap(), (400, "Bad Request".to_owned()));
    }

    #[test]
    fn a_refused_export_is_read_all_the_same() {
        let header = basic("BOOMI_TOKEN.eve@acme.com:x");
        let request = Request {
            account: "acme",
            authorization: Some(header.as_bytes()),
            alias: Some(b"zz"),
            content_type: Some(b"application/json"),
            body: Ok(GOOD),
        };
        let checked = check(&request, &expected());
        assert_eq!(checked.user.as_deref(), Some("eve@acme.com"));
        assert_eq!(checked.alias.as_deref(), Some("zz"));
        assert_eq!(checked.payload.unwrap().resources.len(), 1);
        assert_eq!(checked.refusal.unwrap().status, 401);
    }

    #[test]
    fn a_receiver_without_lists_takes_any_account_and_alias() {
        let header = basic("BOOMI_TOKEN.a@b.c:t");
        let request = Request {
            account: "whatever",
            authorization: Some(header.as_bytes()),
            alias: Some(b"some"),
            content_type: Some(b"application/json"),
            body: Ok(GOOD),
        };
        assert_eq!(check(&request, &Expected::default()).refusal, None);
    }
}
