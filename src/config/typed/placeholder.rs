//! Tells a placeholder, or the sample of a documentation tool, from a value (pure).

use crate::text::pasted::plain_name;

const MASKED: &str = "masked: copy it where it is shown in full";
const PLACEHOLDER: &str = "a placeholder";
const BRACKETS: [char; 6] = ['<', '>', '{', '}', '[', ']'];

/// Words that stand for any value, without separators, in lower case.
const NOTHING: [&str; 19] = [
    "changeme",
    "changethis",
    "fixme",
    "n/a",
    "na",
    "nan",
    "nil",
    "none",
    "null",
    "placeholder",
    "providertype",
    "redacted",
    "replaceme",
    "string",
    "tba",
    "tbd",
    "todo",
    "undefined",
    "unknown",
];
/// Names of values that stand in their place, written in the same way. A provider type may be called like one.
const NAMES: [&str; 31] = [
    "aliasid",
    "alias",
    "accountname",
    "apikey",
    "apitoken",
    "apitokenhere",
    "base64",
    "boomitoken",
    "boomiapitoken",
    "credential",
    "credentials",
    "email",
    "empty",
    "endpoint",
    "example",
    "extaccountaliasid",
    "guid",
    "hidden",
    "id",
    "insert",
    "key",
    "password",
    "sample",
    "secret",
    "sometoken",
    "token",
    "tokenhere",
    "user",
    "username",
    "uuid",
    "value",
];

/// UUIDs that documentation and its tools print as samples: Swagger, Redoc, SwaggerHub, RFC 4122, Wikipedia, and counted ones.
const SAMPLES: [&str; 8] = [
    "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "497f6eca-6276-4993-bfeb-53cbbbba6f08",
    "095be615-a8ad-4c33-8e9c-c7612fbf6c9f",
    "d290f1ee-6c54-4b01-90e6-d701748f0851",
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "550e8400-e29b-41d4-a716-446655440000",
    "123e4567-e89b-12d3-a456-426614174000",
    "12345678-1234-1234-1234-123456789012",
];

/// Why a text is no value: the words after "it is". `None` where it may be one.
pub fn kind(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    if is_masked(text) {
        return Some(MASKED);
    }
    if SAMPLES.contains(&lower.as_str()) {
        return Some("the sample of a documentation tool");
    }
    let plain = plain_name(text);
    let is_filled = plain.len() >= 3 && plain.chars().all(|c| c == 'x' || c == '0');
    let is_addressed = ["your-", "your_", "your ", "your."].iter().any(|start| lower.starts_with(start))
        || text.strip_prefix("your").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    let is_word = |words: &[&str]| words.contains(&plain.as_str());
    let is_named = is_word(&NOTHING) || is_word(&NAMES) || plain.ends_with("accountid") || plain.ends_with("aliasid");
    let is_bracketed = text.contains(BRACKETS);
    (is_filled || is_addressed || is_named || is_variable(text) || is_bracketed).then_some(PLACEHOLDER)
}

/// Why a text is no provider type. Its values are words of any kind, such as `User` or `Custom [beta]`.
pub fn of_provider_type(text: &str) -> Option<&'static str> {
    let plain = plain_name(text);
    let is_nothing = NOTHING.contains(&plain.as_str()) || text.starts_with('[') && text.ends_with(']');
    if is_nothing { Some(PLACEHOLDER) } else { hidden(&text.replace(['[', ']'], "")) }
}

/// Why a text is no value, by the signs in it and not by its words.
pub fn hidden(text: &str) -> Option<&'static str> {
    match () {
        () if is_masked(text) => Some(MASKED),
        () if is_variable(text) || text.contains(BRACKETS) => Some(PLACEHOLDER),
        () => None,
    }
}

/// Whether a text is a shell's reference to a variable, or Windows' one.
pub fn is_variable(text: &str) -> bool {
    text.starts_with('$') || (text.len() > 2 && text.starts_with('%') && text.ends_with('%'))
}

/// Whether a part of the text is hidden or left out.
fn is_masked(text: &str) -> bool {
    let dots = ['•', '●', '∙', '·', '…', '█', '＊'];
    text.contains("**")
        || text.contains("...")
        || text.contains(dots)
        || (!text.is_empty() && text.chars().all(|c| c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_values() {
        for text in [
            "<your API token>",
            "{accountId}",
            "${TOKEN}",
            "$TOKEN",
            "%ALIAS%",
            "[redacted]",
            "ACCOUNT-ID",
            "account_id",
            "none",
            "None",
            "N/A",
            "null",
            "uuid",
            "UUID",
            "your-token",
            "YOUR_API_TOKEN",
            "yourToken",
            "xxx",
            "XXXX-XXXX",
            "TODO",
            "00000000-0000-0000-0000-000000000000",
            "3FA85F64-5717-4562-B3FC-2C963F66AFA6",
            "EXT-ACCOUNT-ALIAS-ID",
            "boomi-account-id",
            "string",
            "changeme",
            "id",
        ] {
            assert!(kind(text).is_some_and(|why| !why.contains("masked")), "{text}");
        }
        for text in ["****", "*", "••••••", "b57c***4d5e", "b57c…", "b57c...4d5e"] {
            assert!(kind(text).is_some_and(|why| why.contains("masked")), "{text}");
        }
        for text in [
            "acme-A1B2C3",
            "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e",
            "CUSTOM_PROVIDER",
            "dev@acme.com",
            "yourk-A1B2C3",
            "x",
            "0",
            "t-1",
            "id-billing",
            "my-agent",
            "nonesuch",
            "token-1",
            "",
        ] {
            assert_eq!(kind(text), None, "{text}");
        }
    }

    #[test]
    fn a_provider_type_may_be_called_like_anything() {
        for text in ["User", "Secret", "value", "Custom [beta]", "CUSTOM_PROVIDER", "Your agent"] {
            assert_eq!(of_provider_type(text), None, "{text}");
        }
        for text in ["string", "<providerType>", "{type}", "[type]", "n/a", "TODO", "${TYPE}", "Custom <type>"] {
            assert_eq!(of_provider_type(text), Some(PLACEHOLDER), "{text}");
        }
        assert_eq!(of_provider_type("CUS***"), Some(MASKED));
    }
}
