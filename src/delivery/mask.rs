//! Removes a credential from an answer that repeats it, because the answer's text goes into reports and records (promise C1; pure).
//!
//! A server may repeat a part of it: the key without its scheme, the password that a `Basic` value holds. It may write it with
//! the escapes of JSON. So each part that is long enough to be a secret is replaced, in the bytes and in the texts of JSON.

use base64::Engine;
use memchr::memmem;
use serde_json::Value;
use zeroize::Zeroizing;

use super::verdict::Answer;

/// Shorter parts are no secrets, and replacing them would damage ordinary words.
const SHORTEST: usize = 8;
/// What stands in place of a secret.
const MASKED: &str = "***";

/// Masks `value`, the value of a secret header.
pub fn mask(answer: &mut Answer, value: &str) {
    let parts = parts(value);
    if answer.body.contains(&b'\\')
        && let Ok(mut json) = serde_json::from_slice::<Value>(&answer.body)
        && masked(&mut json, &parts)
    {
        answer.body = json.to_string().into_bytes();
    }
    for part in &parts {
        while let Some(at) = memmem::find(&answer.body, part.as_bytes()) {
            answer.body.splice(at..at + part.len(), MASKED.bytes());
        }
        answer.location = answer.location.take().map(|location| location.replace(part.as_str(), MASKED));
    }
}

/// The parts of a header's value that may be secret, the longest first.
fn parts(value: &str) -> Vec<Zeroizing<String>> {
    let mut parts = vec![value.to_owned()];
    for word in value.split([' ', ',', ';', '"']) {
        parts.push(word.to_owned());
        parts.extend(word.split_once('=').map(|(_, rest)| rest.to_owned()));
        // Of an answer that is cut, the JSON can't be read: there, too, what is between the characters that JSON escapes.
        parts.extend(word.split(|c: char| !c.is_ascii_alphanumeric() && !"-._~".contains(c)).map(str::to_owned));
        let decoded = base64::engine::general_purpose::STANDARD.decode(word).ok().map(Zeroizing::new);
        if let Some((_, password)) = decoded.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok()?.split_once(':'))
        {
            parts.push(password.to_owned());
        }
    }
    let mut parts: Vec<Zeroizing<String>> = parts.into_iter().map(Zeroizing::new).collect();
    parts.retain(|part| part.len() >= SHORTEST);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

/// Masks the parts in all texts of a JSON value. False: they are in none.
fn masked(json: &mut Value, parts: &[Zeroizing<String>]) -> bool {
    match json {
        Value::String(text) => parts.iter().fold(false, |found, part| {
            let is_here = text.contains(part.as_str());
            if is_here {
                *text = text.replace(part.as_str(), MASKED);
            }
            found || is_here
        }),
        Value::Array(items) => items.iter_mut().map(|item| masked(item, parts)).max() == Some(true),
        Value::Object(members) => members.values_mut().map(|item| masked(item, parts)).max() == Some(true),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(value: &str, body: &str) -> String {
        let mut answer = Answer { body: body.as_bytes().to_vec(), ..Answer::default() };
        mask(&mut answer, value);
        String::from_utf8(answer.body).unwrap()
    }

    #[test]
    fn c1_each_part_of_a_credential_is_masked() {
        for (value, body, expected) in [
            ("Bearer abcdefgh", "no abcdefgh here", "no *** here"),
            ("bearer abcdefgh", "no abcdefgh here", "no *** here"),
            ("Api-Token abcdefgh", "no Api-Token abcdefgh", "no ***"),
            ("Token token=abcdefgh, x=1", "no abcdefgh", "no ***"),
            ("Token token=\"abcdefgh\"", "no abcdefgh", "no ***"),
            ("abcdefgh/ijkl", r#"{"message":"no abcdefgh\/ijkl"}"#, r#"{"message":"no ***"}"#),
            ("abcdefgh+ijkl", r#"{"a":[{"b":"no abcdefgh\u002bijkl"}]}"#, r#"{"a":[{"b":"no ***"}]}"#),
            ("abcdefgh/ijkl", r#"{"message":"no abcdefgh\/ij"#, r#"{"message":"no ***\/ij"#),
            ("Basic dXNlcjphYmNkZWZnaA==", "user:abcdefgh", "user:***"),
            ("basic dXNlcjphYmNkZWZnaA==", "no dXNlcjphYmNkZWZnaA==", "no ***"),
            ("on", "on and on", "on and on"),
            ("abcdefgh", r#"{"message":"a\/b"}"#, r#"{"message":"a\/b"}"#),
        ] {
            assert_eq!(masked(value, body), expected, "{value}");
        }
    }
}
