//! The part of Boomi's platform API that `act check` asks: a JWT for a credential and an account (pure). The JWT is a sample that
//! nothing accepts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::answer::Refusal;
use super::check::{Expected, credential};

/// The documented path, before the account id.
const PATH: &str = "/auth/jwt/generate/";

/// The account id in a path, if JWTs are made there.
pub fn account(path: &str) -> Option<&str> {
    path.strip_prefix(PATH).filter(|id| !id.is_empty() && !id.contains('/'))
}

/// Checks a request for a JWT: the user, where it could be read, and why there is no JWT.
pub fn check(account: &str, authorization: Option<&[u8]>, expected: &Expected) -> (Option<String>, Option<Refusal>) {
    let (user, refusal) = credential(account, authorization, expected);
    let is_known = expected.accounts.is_empty() || expected.accounts.iter().any(|known| known.id == account);
    let unknown = || Refusal::unauthorized(format!("account {account} is not known"));
    (user, refusal.err().or_else(|| (!is_known).then(unknown)))
}

/// A sample JWT.
pub fn jwt(user: &str, account: &str) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "RS256", "typ": "JWT" }));
    let claims = part(json!({ "sub": user, "accountId": account, "iss": "act-claude act receive" }));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode("a sample without a signature"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::receiver::check::Account;

    #[test]
    fn only_the_documented_path_has_an_account() {
        assert_eq!(account("/auth/jwt/generate/acme-A1"), Some("acme-A1"));
        for other in ["/auth/jwt/generate/", "/auth/jwt/generate", "/auth/jwt/generate/a/b", "/x/auth/jwt/generate/a"] {
            assert_eq!(account(other), None, "{other}");
        }
    }

    #[test]
    fn a_jwt_for_the_right_credential_and_account() {
        let accounts = vec![Account::new("acme").with_credential("me@acme.com", "t0ken")];
        let expected = Expected { accounts, ..Expected::default() };
        let basic = |token: &str| {
            let plain = format!("BOOMI_TOKEN.me@acme.com:{token}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
        };
        let (right, wrong) = (basic("t0ken"), basic("other"));
        for (account, authorization, expected_user, status) in [
            ("acme", Some(&right), Some("me@acme.com"), None),
            ("acme", Some(&wrong), Some("me@acme.com"), Some(401)),
            ("other", Some(&right), Some("me@acme.com"), Some(401)),
            ("acme", None, None, Some(401)),
        ] {
            let (user, refusal) = check(account, authorization.map(|text| text.as_bytes()), &expected);
            assert_eq!((user.as_deref(), refusal.map(|it| it.status)), (expected_user, status), "{account}");
        }
        assert_eq!(jwt("u", "a").split('.').count(), 3);
    }
}
