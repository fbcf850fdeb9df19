//! Decides what of a text may be shown: no message repeats a secret, wherever somebody has written it (pure).
//!
//! A word that was typed, or a key of a file, is shown by [`quoted`]. A text from elsewhere, such as a URL in a document, goes
//! through [`removed`].

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::credential::is_credential;
use super::kind;
use crate::text::uuid::{has_uuid, uuids};

/// What stands in place of a word that may be a secret.
pub const NOT_REPEATED: &str = "(not repeated: it may be a token)";
/// What stands in place of a token inside a text.
const TOKEN: &str = "(token)";
/// A text without separators of this length may be a key, where it changes so often between letters and digits.
const RANDOM: usize = 20;
const CHANGES: usize = 4;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// The user and password of a URL, in which the password may have a `/` that is not encoded.
static USERINFO: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"//(?:[^/\x00-\x20"'<>]*|[^/\x00-\x20"'<>@:]+:[0-9]*[^/0-9\x00-\x20"'<>@][^\x00-\x20"'<>@]*)@"#)
});
/// The value of an Authorization header.
static HEADER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)(?-u:\b)(basic|bearer)((?:\x20|\t|%20|\+|:)+)([A-Za-z0-9+/=_.~%-]+)"#));
/// A user with a token behind it, in plain text or as base64; a JSON web token.
static CREDENTIAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i:BOOMI_TOKEN)\.[^\x00-\x20"',;:]*:[^\x00-\x20"',;]+|(?i:BOOMI_TOKEN)\.[0-9A-Fa-f]{8}-[0-9A-Fa-f-]{27}|Qk9PTUlfVE9LRU4u[A-Za-z0-9+/=_%-]*|[^\x00-\x20"'<>(),;:/@]+@[^\x00-\x20"'<>(),;:/@]+:[^\x00-\x20"',;]+|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"#,
    )
});

#[cfg(test)]
thread_local! {
    /// How often this thread has asked: the patterns take longer than a launch, which must not need them where all is well.
    pub static ASKED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// A word in quotes, or [`NOT_REPEATED`] where it may be a secret.
pub fn quoted(word: &str) -> String {
    if is_secret(word) { NOT_REPEATED.to_owned() } else { format!("\"{word}\"") }
}

/// A path, or [`NOT_REPEATED`]. For a file that is not there: somebody may have given the token in its place.
pub fn missing_file(path: &str) -> &str {
    if is_secret(path) { NOT_REPEATED } else { path }
}

/// A setting's value, or [`NOT_REPEATED`] where it may be a secret.
pub fn value(text: &str) -> String {
    if is_secret(text) { NOT_REPEATED.to_owned() } else { text.to_owned() }
}

/// An address of somebody else's, without what may be a secret: user, password, query, and a path that looks like a key.
pub fn address(text: &str) -> String {
    let text = removed(text.trim());
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (rest, query) = rest.split_at(end);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    if is_secret(host) {
        return NOT_REPEATED.to_owned();
    }
    let path = if is_secret(path) { "/…" } else { path };
    let query = if query.is_empty() { "" } else { "?…" };
    format!("{scheme}{host}{path}{query}")
}

/// The program of somebody else's command. Its arguments may hold a secret.
pub fn program(command: &str) -> String {
    let words = shell_words::split(command).unwrap_or_default();
    let program = words.iter().find(|word| !word.contains('=')).map_or("", String::as_str);
    match words.len() {
        _ if is_secret(program) => NOT_REPEATED.to_owned(),
        1 if !program.is_empty() => program.to_owned(),
        _ => format!("{program} …").trim_start().to_owned(),
    }
}

/// Whether a text is a secret, holds one, or looks like one.
pub fn is_secret(text: &str) -> bool {
    holds_credential(text) || has_uuid(text) || text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_random)
}

/// Whether a text is a credential or holds one. A UUID alone is not: an alias id is one, too.
pub fn holds_credential(text: &str) -> bool {
    let is_id = uuids(text).next().is_some_and(|found| found.len() == text.trim().len());
    (is_credential(text) && !is_id) || is_other_key(text.trim()) || matches!(removed(text), Cow::Owned(_))
}

/// The text without credentials: those of URLs are left out, others are replaced. Owned where something was removed.
pub fn removed(text: &str) -> Cow<'_, str> {
    #[cfg(test)]
    ASKED.set(ASKED.get() + 1);
    let mut text = Cow::Borrowed(text);
    let mut replace = |pattern: &Regex, instead: &dyn Fn(&Captures<'_>) -> String| {
        let replaced = pattern.replace_all(&text, |found: &Captures<'_>| instead(found));
        if *replaced != *text {
            text = Cow::Owned(replaced.into_owned());
        }
    };
    replace(&USERINFO, &|_| "//".to_owned());
    replace(&HEADER, &|found| match is_encoded(&found[3]) {
        true => format!("{} {TOKEN}", &found[1]),
        false => found[0].to_owned(),
    });
    replace(&CREDENTIAL, &|_| TOKEN.to_owned());
    text
}

/// Whether the word behind a header's scheme is no ordinary one: "Basic authentication" is a sentence.
pub(super) fn is_encoded(word: &str) -> bool {
    let has = |is: fn(char) -> bool| word.chars().skip(1).any(is);
    word.len() >= 4 && (has(|c| c.is_ascii_digit() || matches!(c, '=' | '+' | '/')) || has(|c| c.is_ascii_uppercase()))
}

/// Whether a text is another vendor's key. Names such as `npm_agent` begin like one.
fn is_other_key(text: &str) -> bool {
    kind::is_other_key(text) && text.len() >= RANDOM && text.contains(|c: char| c.is_ascii_digit())
}

fn is_random(word: &str) -> bool {
    let changes =
        word.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    word.len() >= RANDOM && changes >= CHANGES
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "b57c3e10-44aa-4f0b-97c1-0a6d2e8f1b99";

    #[test]
    fn what_may_be_a_secret_is_not_quoted() {
        for word in [
            UUID.to_owned(),
            UUID.to_uppercase(),
            format!("--token-{UUID}"),
            format!("x{UUID}"),
            format!("BOOMI_TOKEN.dev@acme.com:{UUID}"),
            format!("dev@acme.com:{UUID}"),
            "dev@acme.com:sekret".to_owned(),
            "Basic dXNlcjpwYXNz".to_owned(),
            "Qk9PTUlfVE9LRU4uZGV2QGFjbWUuY29tOnQtMQ==".to_owned(),
            "https://u:pw@act.example/m".to_owned(),
            "https://u:p/w@act.example/m".to_owned(),
            "//pw@host".to_owned(),
            "ghp_abc123abc123abc123".to_owned(),
            "9f8e7d6c5b4a39281706f5e4d3c2b1a0".to_owned(),
            "eyJhbGciOiJIUzI1NiJ9.e30.abc".to_owned(),
        ] {
            assert_eq!(quoted(&word), NOT_REPEATED, "{word}");
        }
        for word in [
            "billing",
            "billing-agent-2026-production",
            "whch",
            "npm_agent",
            "AmazonBedrockAgentCore2",
            "agent20260101production1",
            "--jsn",
            "acme-A1B2C3",
            "dev@acme.com",
            "https://act.example/a@b",
            "https://act.example:443/@b",
            "Basic plan",
            "Basic authentication",
            "~/work/x",
            "",
        ] {
            assert_eq!(quoted(word), format!("\"{word}\""));
        }
    }

    #[test]
    fn of_a_setting_only_what_is_no_secret_is_shown() {
        for (text, shown) in [
            ("https://otlp.example:4318/v1/metrics", "https://otlp.example:4318/v1/metrics"),
            ("https://otlp.example/v1?api_key=pw&x=1", "https://otlp.example/v1?…"),
            ("https://otlp.example#pw", "https://otlp.example?…"),
            ("https://u:pw@otlp.example/v1", "https://otlp.example/v1"),
            ("u:pw@otlp.example/v1", "otlp.example/v1"),
            ("localhost:4318/a@b", "localhost:4318/a@b"),
            ("https://otlp.example/b57c3e10-44aa-4f0b-97c1-0a6d2e8f1b99/v1", "https://otlp.example/…"),
            ("b57c3e10-44aa-4f0b-97c1-0a6d2e8f1b99", NOT_REPEATED),
            ("", ""),
        ] {
            assert_eq!(address(text), shown);
        }
        for (command, shown) in [
            ("/opt/headers", "/opt/headers"),
            ("'/opt/my headers'", "/opt/my headers"),
            ("/opt/headers --token pw", "/opt/headers …"),
            ("TOKEN=pw /opt/headers", "/opt/headers …"),
            ("TOKEN=pw", "…"),
            ("echo 'pw", "…"),
            (UUID, NOT_REPEATED),
        ] {
            assert_eq!(program(command), shown);
        }
        assert_eq!((value("none").as_str(), value(UUID).as_str()), ("none", NOT_REPEATED));
    }

    #[test]
    fn a_text_keeps_all_but_its_credentials() {
        for (text, shown) in [
            ("servers[0].url: https://u:pw@act.example/m holds", "servers[0].url: https://act.example/m holds"),
            ("ftp://pw@h and //a:b@h/x", "ftp://h and //h/x"),
            ("Authorization: Basic dXNlcjpwYXNz, X=1", "Authorization: Basic (token), X=1"),
            ("bearer%20abc123 x", "bearer (token) x"),
            ("is dev@acme.com:pw, and more", "is (token), and more"),
            ("basic rules, dev@acme.com", "basic rules, dev@acme.com"),
        ] {
            assert_eq!(removed(text), shown);
        }
    }
}
