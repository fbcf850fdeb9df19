//! Asks Boomi's platform API for a JWT, which shows whether Boomi accepts a credential. The JWT itself is thrown away.
//!
//! There is one request for each credential and URL in a run, without a second try, because Boomi may lock a user after failed logins.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::platform::{self, Question};
use crate::claude::network::Network;
use crate::config::Account;
use crate::config::token::{Token, TokenError};
use crate::delivery::cause::{self, Whose};
use crate::delivery::upstream::{Limits, Upstream};
use crate::delivery::verdict::{Answer, Failure, Reason, Verdict};
use crate::state::outcome::Problem;

/// How long the API may take. It is one question on the side: without an answer, the check goes on.
const LIMITS: Limits = Limits { connect: Duration::from_secs(5), whole: Duration::from_secs(10) };

/// What is known about the credential before ACT is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Boomi accepts it for this account id.
    Accepted(String),
    /// Boomi refuses it for this account id.
    Refused(String),
    /// Nothing, for this reason.
    Open(String),
}

/// A request to Boomi about a credential.
pub struct Ask<'a> {
    /// The account's name in the configuration.
    account: &'a str,
    question: Question,
    authorization: Zeroizing<String>,
}

/// What Boomi is to be asked about an account; or why it is not asked. The reason is empty where there is no token to ask about.
pub fn prepare<'a>(name: &'a str, account: &Account, token: &Result<Token, TokenError>) -> Result<Ask<'a>, String> {
    let token = token.as_ref().map_err(|_| String::new())?;
    let question = platform::question(account)?;
    Ok(Ask { account: name, question, authorization: token.authorization(&account.user) })
}

impl Ask<'_> {
    /// Whether both are the same request: the same credential, to the same URL.
    pub fn is_same(&self, other: &Self) -> bool {
        self.question.url == other.question.url && self.authorization == other.authorization
    }

    /// Asks Boomi.
    pub fn carry_out(&self, network: &Network) -> Proof {
        let asked =
            Upstream::new(&self.question.url, network, LIMITS).and_then(|upstream| upstream.get(&self.authorization));
        match asked {
            Ok(mut answer) => {
                let proof = judge(&answer, &self.question);
                answer.body.zeroize();
                proof
            }
            Err(failure) => Proof::Open(said(failure, self.account, &self.question)),
        }
    }
}

/// The meaning of an answer (pure). Boomi documents two: 200 with a JWT as plain text, and 401 for a wrong user or token.
fn judge(answer: &Answer, question: &Question) -> Proof {
    let Question { host, account_id, .. } = question;
    let phrase = || {
        let phrase = hyper::StatusCode::from_u16(answer.status).ok().and_then(|code| code.canonical_reason());
        format!("{} {}", answer.status, phrase.unwrap_or_default()).trim_end().to_owned()
    };
    match answer.status {
        200 if !answer.cut && is_jwt(&answer.body) => Proof::Accepted(account_id.clone()),
        200 => Proof::Open(format!("{host} answered 200, but not with a JWT")),
        401 => Proof::Refused(account_id.clone()),
        300..=399 => Proof::Open(format!("{host} answered {}; a redirect is not followed", phrase())),
        _ => Proof::Open(format!("{host} answered {} for {account_id}", phrase())),
    }
}

/// Whether a text is a signed JWT: three parts, of which the first is a JSON object that names the algorithm (RFC 7519).
fn is_jwt(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    let parts: Vec<&str> = text.trim().split('.').collect();
    let [header, claims, signature] = &parts[..] else { return false };
    let object = |part: &str| -> Option<Value> {
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(part).ok()?);
        serde_json::from_slice(&decoded).ok().filter(Value::is_object)
    };
    let is_signature = !signature.is_empty() && URL_SAFE_NO_PAD.decode(signature).is_ok();
    is_signature && object(claims).is_some() && object(header).is_some_and(|header| header["alg"].is_string())
}

fn said(failure: Failure, account: &str, question: &Question) -> String {
    let verdict = Verdict::Waiting { reason: Reason::Failure(failure), retry_after: None };
    let whose = Whose { account, alias: "", endpoint: &question.url };
    cause::explain(&verdict, &whose).1.map_or_else(String::new, |problem| problem.said)
}

/// The words for a credential that Boomi accepts: exactly what the answer shows, token and account, and no right in ACT.
pub fn accepted(user: &str, account_id: &str) -> String {
    format!("Boomi accepts {user} for {account_id}")
}

/// The problem of a credential that Boomi refuses.
pub fn refused(user: &str, account_id: &str, account: &str) -> Problem {
    Problem {
        said: format!("Boomi refuses {user} for {account_id}: 401 Unauthorized"),
        cause: "The API token, its user or the account id is wrong".to_owned(),
        fix: format!("act-claude act setup --account {account}"),
        code: 77,
    }
}

/// The problem of a credential that ACT refuses, with the user: a mistake in the e-mail is seen only where it is shown.
pub fn with_user(problem: Problem, main: &Verdict, proof: &Proof, account: &Account) -> Problem {
    match (main, proof) {
        (Verdict::Held(Reason::Status { status: 401, .. }), Proof::Open(_)) => {
            Problem { cause: format!("The API token is wrong, or its user, {}", account.user), ..problem }
        }
        _ => problem,
    }
}

/// The problem of a credential that Boomi accepts and ACT does not.
pub fn without_right(problem: Problem, account_id: &str) -> Problem {
    let cause = format!(
        "Boomi accepts token and user for {account_id}, so the user lacks the right in ACT, or the alias is another account's"
    );
    let fix = "compare the alias with the Monitoring Spec, and ask your administrator for the right".to_owned();
    Problem { cause, fix, ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer { status, body: body.to_vec(), ..Answer::default() }
    }

    fn judged(answer: &Answer) -> Proof {
        let (url, host) = ("https://api.test/auth/jwt/generate/a-1".to_owned(), "api.test".to_owned());
        judge(answer, &Question { url, host, account_id: "a-1".to_owned() })
    }

    /// `{"alg":"RS256"}` and `{"sub":"x"}`, with a signature.
    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";

    #[test]
    fn only_a_jwt_proves_and_only_401_refutes() {
        assert_eq!(judged(&answer(200, JWT.as_bytes())), Proof::Accepted("a-1".to_owned()));
        assert_eq!(judged(&answer(200, format!("{JWT}\n").as_bytes())), Proof::Accepted("a-1".to_owned()));
        assert_eq!(judged(&answer(401, b"")), Proof::Refused("a-1".to_owned()));
        for (status, words) in [
            (403, "api.test answered 403 Forbidden for a-1"),
            (404, "api.test answered 404 Not Found for a-1"),
            (429, "api.test answered 429 Too Many Requests for a-1"),
            (503, "api.test answered 503 Service Unavailable for a-1"),
            (302, "api.test answered 302 Found; a redirect is not followed"),
            (204, "api.test answered 204 No Content for a-1"),
            (799, "api.test answered 799 for a-1"),
        ] {
            assert_eq!(judged(&answer(status, JWT.as_bytes())), Proof::Open(words.to_owned()));
        }
    }

    #[test]
    fn what_is_no_jwt_proves_nothing() {
        let no = Proof::Open("api.test answered 200, but not with a JWT".to_owned());
        let quoted = format!("\"{JWT}\"");
        let unsigned = JWT.trim_end_matches("c2lnbmF0dXJl");
        for body in [
            "",
            "\n",
            "<html>please log in</html>",
            "{\"errors\":[{\"message\":\"Unauthorized\"}]}",
            "a.b.c",
            "..",
            &quoted,
            unsigned,
            "e30.e30.c2ln",
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0",
            &format!("{JWT}.x"),
            &format!("{JWT} {JWT}"),
            "\u{fffd}",
        ] {
            assert_eq!(judged(&answer(200, body.as_bytes())), no, "{body}");
        }
        assert_eq!(judged(&answer(200, b"\xff.\xff.\xff")), no);
        let cut = Answer { cut: true, ..answer(200, JWT.as_bytes()) };
        assert_eq!(judged(&cut), no, "an answer that ended early");
    }
}
