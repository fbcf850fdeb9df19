//! Makes names for accounts and aliases (pure).

use crate::config::typed::endpoint::account_id;

/// A name for an account, from its id in the metrics URL: `acme` for `acme-A1B2C3`.
pub fn of_account(endpoint: &str) -> Option<String> {
    let id = account_id(endpoint)?;
    let name = match id.rsplit_once('-') {
        Some((name, tail)) if tail.len() == 6 && tail.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) => {
            name
        }
        _ => id,
    };
    of(name)
}

/// A name made from a text: in lower case, with its words joined by `-`.
pub fn of(text: &str) -> Option<String> {
    let plain: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._".contains(c) { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").trim_matches(['.', '_']).chars().take(40).collect();
    (!name.is_empty()).then_some(name)
}

/// `name`, with a number appended where it is taken.
pub fn free(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !is_taken(name)).expect("numbers don't end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_free() {
        let url = |id: &str| format!("https://act.example/metric-ingestion/v1/{id}/otlp/public/metrics");
        assert_eq!(of_account(&url("acme-A1B2C3")).unwrap(), "acme");
        assert_eq!(of_account(&url("boomi_dave-hock-T9DKYO")).unwrap(), "boomi_dave-hock");
        assert_eq!(of_account(&url("local")).unwrap(), "local");
        assert_eq!(of_account("https://otel.example/v1/metrics"), None);
        assert_eq!(of("Billing Agent (prod)").unwrap(), "billing-agent-prod");
        assert_eq!(of("日本"), None);
        assert_eq!(free("a", |name| ["a", "a-2"].contains(&name)), "a-3");
    }
}
