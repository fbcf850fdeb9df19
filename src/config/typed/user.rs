//! Reads a token's user: an e-mail address (pure).

use percent_encoding::percent_decode_str;

use super::{Typed, credential, placeholder, secret};
use crate::config::values::{check_word, without_prefix};
use crate::text::pasted::{self, starts_with};
use crate::text::uuid::is_uuid;

/// Whether a text looks like an e-mail address.
pub fn is_mail(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let is_part = |part: &str| !part.is_empty() && !part.contains(|c: char| "@:/,;<>\"()[]{}".contains(c));
    is_part(name)
        && !name.contains(char::is_whitespace)
        && host.contains('.')
        && host.split('.').all(|label| is_part(label) && label.chars().all(|c| c.is_alphanumeric() || c == '-'))
}

/// Whether a name before a value says that the value is a user.
pub(super) fn is_called_user(name: &str) -> bool {
    let plain = pasted::plain_name(name);
    ["user", "mail", "login", "account"].iter().any(|word| plain.contains(word))
}

/// Whether a name is written like a variable's. Other text before `=` may be a part of the address: `prvs=you@example.com`.
fn is_variable(name: &str) -> bool {
    name.contains(|c: char| c == '_' || c.is_ascii_uppercase())
}

/// Reads a user. What surrounds it is left out: the prefix, quotes, `mailto:`, a name and `<…>`. The error continues "it …".
pub fn read(text: &str) -> Result<Typed, String> {
    let mut rest = pasted::bare(text);
    if let Some(named) = pasted::named(rest) {
        let is_called_token = credential::is_called_token(named.name);
        let is_called_user = is_called_user(named.name) && !is_called_token;
        if is_called_user || (named.is_command && !is_called_token && is_mail(named.value)) {
            rest = named.value;
        } else if is_called_token || is_variable(named.name) || !is_mail(rest) {
            return Err("is a name and a value that is not called a user".to_owned());
        }
    }
    let within = rest.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).filter(|inner| is_mail(inner));
    rest = within.unwrap_or(rest);
    rest = if starts_with(rest, "mailto:") { &rest[7..] } else { rest };
    let decoded = percent_decode_str(rest).decode_utf8().ok().filter(|decoded| is_mail(decoded));
    let user = without_prefix(decoded.as_deref().unwrap_or(rest)).trim();
    let user = user.strip_suffix('.').filter(|user| is_mail(user)).unwrap_or(user);
    if user.is_empty() {
        return Err("has no name".to_owned());
    }
    if user.contains("://") {
        return Err("is a URL: the e-mail address of the token's user is needed".to_owned());
    }
    if user.contains(':') {
        return Err("holds ':': only the e-mail address is needed, without the token".to_owned());
    }
    // Somebody may have the address your.name@…: only a part of it that no address has tells a placeholder.
    let kind = if is_mail(user) { placeholder::hidden(user) } else { placeholder::kind(user) };
    if let Some(kind) = kind {
        return Err(format!("is {kind}"));
    }
    let is_other_secret = if is_mail(user) { secret::holds_credential(user) } else { secret::is_secret(user) };
    if is_uuid(user) || is_other_secret {
        return Err("looks like a token or an id: the e-mail address of the token's user is needed".to_owned());
    }
    if user.contains('@') && user.contains(char::is_whitespace) {
        return Err("holds white space: one e-mail address is needed".to_owned());
    }
    check_word(user)?;
    if pasted::has_lone_quote(user) {
        return Err("starts or ends with a quote that has no partner".to_owned());
    }
    if user.contains('@') && !is_mail(user) {
        return Err("is not a complete e-mail address".to_owned());
    }
    Ok(Typed::plain(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_understood_or_refused() {
        for text in [
            "dev@acme.com",
            " BOOMI_TOKEN.BOOMI_TOKEN.dev@acme.com\n",
            "boomi_token.dev@acme.com",
            "mailto:dev@acme.com",
            "Dev <dev@acme.com>",
            "<dev@acme.com>",
            "\"dev@acme.com\",",
            "BOOMI_USER=dev@acme.com",
            "user: dev@acme.com",
            "dev%40acme.com",
            "dev@acme.com.",
            "export X='dev@acme.com'",
            "\"user\": \"dev@acme.com\",",
        ] {
            assert_eq!(read(text).map(|typed| typed.value).as_deref(), Ok("dev@acme.com"), "{text:?}");
        }
        for (text, why) in [
            ("", "has no name"),
            ("BOOMI_TOKEN.", "has no name"),
            ("dev@acme.com:sekret", "holds ':'"),
            ("https://platform.boomi.com", "is a URL"),
            ("b57c3e10-8a41-4b6e-9d0c-5f1a2b3c4d5e", "looks like a token"),
            ("<your e-mail>", "is a placeholder"),
            ("your.name", "is a placeholder"),
            ("de…@acme.com", "is masked"),
            ("export BOOMI_TOKEN=sekret", "not called a user"),
            ("export USER_TOKEN=sekret", "not called a user"),
            ("export X=sekret", "not called a user"),
            ("TOKEN=dev@acme.com", "not called a user"),
            ("MY_ID=dev@acme.com", "not called a user"),
            ("Basic c2VrcmV0OnNla3JldA==", "looks like a token"),
            ("sekret9f8e7d6c5b4a3928", "looks like a token"),
            ("'dev@acme.com", "has no partner"),
            ("****", "is masked"),
            ("none", "is a placeholder"),
            ("dev@acme", "not a complete"),
            ("dev@@acme.com", "not a complete"),
            ("dev@.com", "not a complete"),
            ("a@b.com c@d.com", "one e-mail"),
            ("a@b.com,c@d.com", "holds ','"),
            ("ädmin", "holds 'ä'"),
            ("token=sekret", "not called a user"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(why) && !error.contains("sekret"), "{text:?}: {error}");
        }
        // What can't be judged is taken.
        for text in [
            "acme-A1B2C3",
            "your.name@acme.com",
            "your.mate@acme.com",
            "your-name@acme.com",
            "prvs=abc@acme.com",
            "o'neil@acme.com",
            "user@acme.com",
        ] {
            assert_eq!(read(text).unwrap().value, text);
        }
    }
}
