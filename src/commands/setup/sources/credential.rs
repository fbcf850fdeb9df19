//! Reads a pasted credential, corrects common mistakes, and notes each correction (pure).
//!
//! Most first 401 answers come from a doubled `BOOMI_TOKEN.` prefix, or from two values in each other's place.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use crate::config::USER_PREFIX;

/// The longest credential, in bytes.
const LONGEST: usize = 8 * 1024;

/// A token, and its user where the text names one. It is never printed.
#[derive(Clone)]
pub struct Credential {
    /// The platform API token, without user and prefix.
    pub token: Zeroizing<String>,
    /// The user's e-mail.
    pub user: Option<String>,
    /// What was corrected.
    pub notes: Vec<&'static str>,
}

impl Credential {
    /// Reads pasted text: a token, `BOOMI_TOKEN.user:token`, or a whole Authorization header.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut notes = Vec::new();
        let mut text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).trim_matches(['"', '\'']).to_owned());
        if let Some(encoded) = encoded(&text) {
            let decoded = decode(encoded).ok_or("what follows \"Basic\" is not base64 of a user and a token")?;
            text = decoded;
            notes.push("a whole Authorization header was given: user and token were extracted");
        } else if let Some(decoded) = decode(&text).filter(|decoded| decoded.starts_with(USER_PREFIX)) {
            text = decoded;
            notes.push("base64 of user and token was given: both were extracted");
        }
        if text.contains(char::is_whitespace) {
            text = Zeroizing::new(text.split_whitespace().collect());
            notes.push("white space in it was removed");
        }
        let mut rest: &str = &text;
        let mut prefixes = 0;
        while let Some(after) = rest.strip_prefix(USER_PREFIX) {
            rest = after;
            prefixes += 1;
        }
        if prefixes > 1 {
            notes.push("the prefix BOOMI_TOKEN. was doubled");
        }
        let (user, token) = match rest.split_once(':') {
            Some((user, token)) => (Some(user), token),
            None if prefixes > 0 => return Err("BOOMI_TOKEN. must be followed by user:token".to_owned()),
            None => (None, rest),
        };
        let (user, token) = match user {
            Some(user) if is_mail(token) && !is_mail(user) => {
                notes.push("user and token were exchanged");
                (Some(token), user)
            }
            Some(user) => {
                if notes.is_empty() {
                    notes.push("user and token were given: the token was extracted");
                }
                (Some(user), token)
            }
            None => (None, token),
        };
        if token.is_empty() {
            return Err("there is no token in it".to_owned());
        }
        if token.len() > LONGEST || token.chars().any(|c| !c.is_ascii_graphic()) {
            return Err("this is not an API token".to_owned());
        }
        Ok(Self { token: Zeroizing::new(token.to_owned()), user: user.map(str::to_owned), notes })
    }
}

/// The text after "Basic", with or without the header's name before it.
fn encoded(text: &str) -> Option<&str> {
    let text = text.trim();
    let text = match text.get(..13) {
        Some(name) if name.eq_ignore_ascii_case("authorization") => text[13..].trim_start_matches([':', '=', ' ']),
        _ => text,
    };
    let (scheme, rest) = text.split_at_checked(5)?;
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
    (ends && scheme.eq_ignore_ascii_case("basic")).then(|| rest.trim())
}

fn decode(text: &str) -> Option<Zeroizing<String>> {
    let plain = Zeroizing::new(text.split_whitespace().collect::<String>().replace("%3D", "="));
    let bytes = STANDARD.decode(plain.as_bytes()).or_else(|_| STANDARD_NO_PAD.decode(plain.as_bytes())).ok()?;
    let bytes = Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).ok()?;
    // The encoded text may end with a line break, from `echo` instead of `echo -n`.
    Some(Zeroizing::new(text.trim().to_owned()))
}

/// Whether a text looks like an e-mail address.
pub fn is_mail(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

/// Reads a typed user, without prefix and surrounding white space.
pub fn user(text: &str) -> Result<String, String> {
    let mut user = text.trim();
    while let Some(rest) = user.strip_prefix(USER_PREFIX) {
        user = rest;
    }
    if user.contains(':') {
        return Err("that holds ':': only the e-mail is needed, without the token".to_owned());
    }
    crate::config::check_word(user).map_err(|why| format!("that {why}"))?;
    Ok(user.to_owned())
}

/// The user and the endpoint with their values exchanged, where the endpoint holds an e-mail address in place of the account id
/// and the user is not an e-mail address. Otherwise `None`.
pub fn exchanged(user: &str, endpoint: &str) -> Option<(String, String)> {
    let account = account_id(endpoint)?;
    let decoded = account.replace("%40", "@");
    (is_mail(&decoded) && !is_mail(user)).then(|| (decoded.clone(), endpoint.replace(account, user)))
}

/// The account id in a metrics URL of the documented form.
pub fn account_id(endpoint: &str) -> Option<&str> {
    let (_, rest) = endpoint.split_once("/metric-ingestion/v1/")?;
    rest.split('/').next().filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String, String), String> {
        Credential::read(text).map(|found| {
            (found.token.to_string(), found.user.unwrap_or_default(), found.notes.join("; ").chars().take(40).collect())
        })
    }

    #[test]
    fn what_was_meant_is_recognised() {
        let encode = |text: &str| STANDARD.encode(text);
        let token = "b57c3e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";
        let full = format!("BOOMI_TOKEN.dev@acme.com:{token}");
        let (whole, base64) = ("a whole Authorization header was given: ", "base64 of user and token was given: both");
        for (text, user, note) in [
            (token.to_owned(), "", ""),
            (format!("{token}\r\n"), "", ""),
            (format!("'{token}'"), "", ""),
            (format!("  {token} "), "", "white space in it was removed"),
            (token.replace("-9d", "\n-9d"), "", "white space in it was removed"),
            (full.clone(), "dev@acme.com", "user and token were given: the token was"),
            (full.replace(USER_PREFIX, ""), "dev@acme.com", "user and token were given: the token was"),
            (format!("{USER_PREFIX}{full}"), "dev@acme.com", "the prefix BOOMI_TOKEN. was doubled"),
            (format!("Basic {}", encode(&full)), "dev@acme.com", whole),
            (format!("basic {}", encode(&full).trim_end_matches('=')), "dev@acme.com", whole),
            (format!("Authorization: Basic {}\n", encode(&format!("{full}\n"))), "dev@acme.com", whole),
            (format!("Authorization=Basic {}", encode(&full)), "dev@acme.com", whole),
            (format!("Basic {}", encode(&format!("{USER_PREFIX}{full}"))), "dev@acme.com", whole),
            (encode(&full), "dev@acme.com", base64),
            (format!("BOOMI_TOKEN.{token}:dev@acme.com"), "dev@acme.com", "user and token were exchanged"),
        ] {
            assert_eq!(read(&text), Ok((token.to_owned(), user.to_owned(), note.to_owned())), "{text:?}");
        }
        for text in ["", "  ", "BOOMI_TOKEN.x", "Basic x", "Basic", "Authorization: Basic !!", "dev@acme.com:", "ä"] {
            assert!(read(text).is_err_and(|error| !error.contains("dev@")), "{text:?}");
        }
    }

    #[test]
    fn users_and_account_ids_are_told_apart() {
        assert_eq!(user(" BOOMI_TOKEN.BOOMI_TOKEN.dev@acme.com\n").unwrap(), "dev@acme.com");
        assert!(user("dev@acme.com:secret").is_err_and(|why| !why.contains("secret")));
        let endpoint = |account: &str| format!("https://act.example/metric-ingestion/v1/{account}/otlp/public/metrics");
        let right = Some(("dev@acme.com".to_owned(), endpoint("acme-A1B2C3")));
        assert_eq!(exchanged("acme-A1B2C3", &endpoint("dev@acme.com")), right);
        assert_eq!(exchanged("acme-A1B2C3", &endpoint("dev%40acme.com")), right);
        assert_eq!(exchanged("dev@acme.com", &endpoint("acme-A1B2C3")), None);
    }
}
