//! What is private in the text of the configuration, also in entries that can't be used (pure).

use serde_json::Value;

use super::private::{Word, of_endpoint};

/// Keys whose values are names, paths and choices of act-claude's own. Any other value may be a secret in the wrong place.
const PUBLIC: [&str; 14] = [
    "$schema",
    "account",
    "attributes",
    "claude",
    "command",
    "default",
    "delivery",
    "directories",
    "env",
    "file",
    "own_pipeline",
    "provider_type",
    "redact",
    "report",
];

/// The private words of a configuration.
pub fn words(configuration: &Value) -> Vec<Word> {
    let mut words = Vec::new();
    collect("", configuration, &mut words);
    words
}

fn collect(key: &str, value: &Value, words: &mut Vec<Word>) {
    match value {
        Value::Object(members) if !PUBLIC.contains(&key) => {
            members.iter().for_each(|(key, value)| collect(key, value, words));
        }
        Value::Array(values) if !PUBLIC.contains(&key) => values.iter().for_each(|value| collect(key, value, words)),
        Value::String(text) => match key {
            "endpoint" | "api" => words.extend(of_endpoint(text)),
            // The names in a copy's list, and the only words that its choices have.
            "aliases" => {}
            "what" if text == "metrics" => {}
            "protocol" if text == "http/json" => {}
            "user" => words.push((text.clone(), "(e-mail)")),
            "id" => words.push((text.clone(), "(alias id)")),
            "token" => words.push((text.clone(), "(token)")),
            // What stands in these places of an account's token can be the token itself.
            "file" if text.starts_with(['/', '~']) || text.starts_with("file:") => {}
            "env" if text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') => {}
            "file" | "env" | "command" => words.push((text.clone(), "(token)")),
            key if PUBLIC.contains(&key) => {}
            _ => words.push((text.clone(), "(value)")),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_to_be_public_is_private() {
        let configuration = json!({
            "accounts": {
                "acme": {
                    "endpoint": "https://act.example/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics",
                    "user": "dev",
                    "tokn": "a",
                    "token": "b",
                },
                "other": {"token": {"env": "BOOMI", "file": "/run/x", "command": ["pass", "show"]}},
                "third": {"token": {"env": "c-d", "file": "e", "command": "f", "value": ["g"]}},
            },
            "aliases": {"web": {"account": "x", "id": "id-web", "provider_type": "P", "attributes": {"team": "y"}}},
            "directories": {"~/w": "web"},
            "default": "web",
            "delivery": "direct",
            "required": true,
        });
        let found: Vec<String> =
            words(&configuration).into_iter().map(|(word, what)| format!("{word} {what}")).collect();
        let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(
            found,
            [
                "a (value)",
                "acme-A1B2C3 (account id)",
                "b (token)",
                "c-d (token)",
                "dev (e-mail)",
                "e (token)",
                "f (token)",
                "g (value)",
                "id-web (alias id)",
            ]
        );
    }
}
