//! Removes a credential from an answer that repeats it, because the answer's text goes into reports and records (promise C1; pure).
//!
//! A server may repeat a part of it: the key without its scheme, the password that a `Basic` value holds. It may write it with
//! the escapes of JSON. So each part that is long enough to be a secret is replaced, in the bytes and in the texts of JSON. It may also
//! cut the value, or change its case: so every piece of some length that occurs in it, in either case, is replaced, too.

use base64::Engine;
use memchr::memmem;
use serde_json::Value;
use zeroize::Zeroizing;

use super::verdict::Answer;

/// Shorter parts are no secrets, and replacing them would damage ordinary words.
const SHORTEST: usize = 8;
/// So many bytes in a row that are also in the value are a piece of it. Nothing else has them by chance.
const PIECE: usize = 12;
/// What stands in place of a secret.
const MASKED: &str = "***";

/// Masks `value`, the value of a secret header.
pub fn mask(answer: &mut Answer, value: &str) {
    // Most answers are short, and a relay gets many: for those nothing is allocated.
    if answer.body.len() < SHORTEST && answer.location.is_none() {
        return;
    }
    let parts = parts(value);
    let lower: Vec<_> = parts.iter().map(|part| Zeroizing::new(part.to_ascii_lowercase())).collect();
    if answer.body.contains(&b'\\')
        && let Ok(mut json) = serde_json::from_slice::<Value>(&answer.body)
        && masked(&mut json, &parts, &lower)
    {
        answer.body = json.to_string().into_bytes();
    }
    for part in &parts {
        while let Some(at) = memmem::find(&answer.body, part.as_bytes()) {
            answer.body.splice(at..at + part.len(), MASKED.bytes());
        }
        answer.location = answer.location.take().map(|location| location.replace(part.as_str(), MASKED));
    }
    if let Some(body) = without_pieces(&answer.body, &lower) {
        answer.body = body;
    }
    let location = answer.location.as_deref().and_then(|location| without_pieces(location.as_bytes(), &lower));
    if let Some(location) = location {
        answer.location = Some(String::from_utf8_lossy(&location).into_owned());
    }
}

/// The text without pieces of these parts, which are in lower case, or several that overlap. `None`: it has none. A blank is in no piece:
/// what stands before it may be an ordinary word.
fn without_pieces(text: &[u8], parts: &[Zeroizing<String>]) -> Option<Vec<u8>> {
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    let is_piece = |window: &[u8]| {
        !window.contains(&b' ') && parts.iter().any(|part| memmem::find(part.as_bytes(), window).is_some())
    };
    let found = lower.windows(PIECE).enumerate().filter(|(_, window)| is_piece(window));
    let (mut kept, mut next) = (Vec::new(), 0);
    let mut is_found = false;
    for (at, _) in found {
        if at >= next {
            kept.extend_from_slice(&text[next..at]);
            if at > next || !is_found {
                kept.extend_from_slice(MASKED.as_bytes());
            }
        }
        (next, is_found) = (at + PIECE, true);
    }
    kept.extend_from_slice(&text[next..]);
    is_found.then_some(kept)
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
fn masked(json: &mut Value, parts: &[Zeroizing<String>], lower: &[Zeroizing<String>]) -> bool {
    match json {
        Value::String(text) => {
            let before = text.clone();
            for part in parts {
                *text = text.replace(part.as_str(), MASKED);
            }
            if let Some(without) = without_pieces(text.as_bytes(), lower) {
                *text = String::from_utf8_lossy(&without).into_owned();
            }
            *text != before
        }
        Value::Array(items) => items.iter_mut().map(|item| masked(item, parts, lower)).max() == Some(true),
        Value::Object(members) => members.values_mut().map(|item| masked(item, parts, lower)).max() == Some(true),
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
            // Cut at either end, in the middle, and in another case.
            ("Bearer 0123456789abcdefghij", "no 0123456789abcd.", "no ***."),
            ("Bearer 0123456789abcdefghij", "no 456789abcdefghij", "no ***"),
            ("Bearer 0123456789abcdefghij", "no 456789ABCDEFgh!", "no ***!"),
            ("Bearer 0123456789abcdefghij", "no 01234567\u{7}89abcdefghij", "no 01234567\u{7}***"),
            ("Bearer 0123456789abcdefghij", r#"{"a":"no\n0123456789ABCD"}"#, r#"{"a":"no\n***"}"#),
            ("Basic dXNlcjphYmNkZWZnaA==", "no Basic dXNlcjphYmNk", "no Basic ***"),
            (
                "Bearer 0123456789abcdefghij",
                "0123456789a and 89abcdefghij 0123456789abcdefghi",
                "0123456789a and *** ***",
            ),
            ("on", "on and on", "on and on"),
            ("abcdefgh", r#"{"message":"a\/b"}"#, r#"{"message":"a\/b"}"#),
        ] {
            assert_eq!(masked(value, body), expected, "{value}");
        }
    }
}
