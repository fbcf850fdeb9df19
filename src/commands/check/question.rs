//! The requests to ACT: an export without metrics, and control questions that find out what the answer depends on. In these the
//! credential or the alias id is replaced by one that can't exist.

use base64::Engine;

use super::conclusion::{Answers, has_passed};
use crate::delivery::verdict::Verdict;

/// An export without metrics.
pub const EMPTY: &[u8] = br#"{"resourceMetrics":[]}"#;

/// Asks the control questions. `ask` takes a credential and an alias id. Those about the credential are not needed where it is
/// proven already.
pub fn with_controls(
    main: Verdict,
    alias_id: &str,
    authorization: &str,
    is_proven: bool,
    ask: impl Fn(Option<&str>, &str) -> Verdict,
) -> Answers {
    if !has_passed(&main) {
        return Answers { main, no_credential: None, unknown_credential: None, unknown_alias: None };
    }
    if is_proven {
        let unknown_alias = Some(ask(Some(authorization), &unknown_alias(alias_id)));
        return Answers { main, no_credential: None, unknown_credential: None, unknown_alias };
    }
    let no_credential = ask(None, alias_id);
    // That ACT refuses a request without a credential does not show that it looked at this credential. This question is asked only
    // where it can show something, because the operators of ACT may monitor failed logins.
    let can_show = Answers::differs(&main, &no_credential);
    let unknown_credential = can_show.then(|| ask(Some(&unknown_credential()), alias_id));
    let unknown_alias = ask(Some(authorization), &unknown_alias(alias_id));
    Answers { main, no_credential: Some(no_credential), unknown_credential, unknown_alias: Some(unknown_alias) }
}

/// A well-formed credential that nobody has: its user can't exist (RFC 2606).
fn unknown_credential() -> String {
    let plain = "BOOMI_TOKEN.nobody@act-claude.invalid:00000000-0000-0000-0000-000000000000";
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
}

/// An alias id of the same form that nobody has.
fn unknown_alias(id: &str) -> String {
    let other = |zero: char, a: char| -> String {
        id.chars()
            .map(|c| match c {
                '0'..='9' => zero,
                'a'..='z' => a,
                'A'..='Z' => a.to_ascii_uppercase(),
                other => other,
            })
            .collect()
    };
    let unknown = other('0', 'a');
    let unknown = if unknown == id { other('1', 'b') } else { unknown };
    // An id similar to a short one might exist, so a suffix is added.
    if id.len() < 16 { format!("{unknown}-00000000") } else { unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_alias_has_the_shape_of_the_known_one() {
        for (id, expected) in [
            ("550e8400-e29b-41d4-a716-446655440000", "000a0000-a00a-00a0-a000-000000000000"),
            ("00000000-0000-0000-0000-000000000000", "11111111-1111-1111-1111-111111111111"),
            ("Billing_Alias_2026x", "Aaaaaaa_Aaaaa_0000a"),
            ("a1", "a0-00000000"),
        ] {
            assert_eq!(unknown_alias(id), expected);
        }
    }
}
