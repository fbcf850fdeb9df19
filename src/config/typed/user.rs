//! Reads a token's user: an e-mail address (pure).

use percent_encoding::percent_decode_str;

use super::{Typed, placeholder};
use crate::config::values::{check_word, without_prefix};
use crate::text::pasted::{self, is_uuid, starts_with};

/// Whether a text looks like an e-mail address.
pub fn is_mail(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let is_part = |part: &str| !part.is_empty() && !part.contains(|c: char| "@:/,;<>\"()[]{}".contains(c));
    is_part(name)
        && !name.contains(char::is_whitespace)
        && host.contains('.')
        && host.split('.').all(|label| is_part(label) && label.chars().all(|c| c.is_alphanumeric() || c == '-'))
}

/// Reads a user. What surrounds it is left out: the prefix, quotes, `mailto:`, a name and `<…>`. The error continues "it …".
pub fn read(text: &str) -> Result<Typed, String> {
    let mut rest = pasted::bare(text);
    if let Some(named) = pasted::named(rest) {
        let name = pasted::plain_name(named.name);
        if !["user", "mail", "login", "account"].iter().any(|word| name.contains(word)) && !named.is_command {
            return Err("is a name and a value that is not called a user".to_owned());
        }
        rest = named.value;
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
    if let Some(kind) = placeholder::kind(user) {
        return Err(format!("is {kind}"));
    }
    if is_uuid(user) {
        return Err("looks like a token or an id: the e-mail address of the token's user is needed".to_owned());
    }
    if user.contains('@') && user.contains(char::is_whitespace) {
        return Err("holds white space: one e-mail address is needed".to_owned());
    }
    check_word(user)?;
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
            ("your.name@acme.com", "is a placeholder"),
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
        assert_eq!(read("acme-A1B2C3").unwrap().value, "acme-A1B2C3");
    }
}
