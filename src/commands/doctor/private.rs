//! Removes what must not be in a support ticket: tokens, e-mail addresses, ids of accounts and aliases, credentials of proxies, and
//! the path of the home directory (pure).

use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::Facts;
use crate::config::TokenSource;
use crate::text::replace::replaced;

/// An e-mail address, whoever's it is.
static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:[.][A-Za-z0-9-]+)+").expect("a pattern"));
/// The user and password of a URL.
static USERINFO: LazyLock<Regex> = LazyLock::new(|| Regex::new("://[^/ \"']*@").expect("a pattern"));
/// The value of an Authorization header.
static BASIC: LazyLock<Regex> = LazyLock::new(|| Regex::new("(Basic|Bearer)(?: |%20)+[^ ,\"']+").expect("a pattern"));

/// The account id in an endpoint that is in no configuration of act-claude's: settings of Claude Code may name one.
static ACCOUNT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(metric-ingestion/v[0-9]+/)[^/ \"',]+").expect("a pattern"));
/// The id of an alias that is not configured here.
static ALIAS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(X-Alias-Id=|alias of id )[^, \"')]+").expect("a pattern"));

/// The parts of every account's endpoint that are not private.
const PUBLIC_PARTS: [&str; 6] = ["metric-ingestion", "v1", "otlp", "public", "metrics", ""];
/// Of a shorter word only whole words are replaced: as a part of other words it says nothing.
const SHORT: usize = 4;

/// What is private on this machine, the longest first, each with what stands in its place.
#[derive(Debug)]
pub struct Private {
    words: Vec<(String, &'static str)>,
    /// The home, as HOME names it and as it is without links.
    homes: Vec<String>,
}

impl Private {
    /// Collects it.
    pub fn of(facts: &Facts) -> Self {
        let mut words = Vec::new();
        for account in facts.loaded.config.accounts.values() {
            words.push((account.user.clone(), "(e-mail)"));
            let path = account.endpoint.split("://").nth(1).unwrap_or(&account.endpoint);
            let parts = path.split(['/', '?', '&', '=']).skip(1).filter(|part| !PUBLIC_PARTS.contains(part));
            words.extend(parts.map(|part| (part.to_owned(), "(account id)")));
            if let TokenSource::Env(name) = &account.token {
                words.extend(facts.environment.text(name).map(|token| (token.to_owned(), "(token)")));
            }
        }
        words.extend(facts.loaded.config.aliases.values().map(|alias| (alias.id.clone(), "(alias id)")));
        let of_environment =
            facts.environment.iter().map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy()));
        let of_settings = facts.layers.iter().flat_map(|layer| layer.env.iter());
        let of_settings = of_settings.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        for (name, value) in of_environment.chain(of_settings) {
            if name.to_ascii_lowercase().ends_with("_proxy") {
                words.extend(credentials(&value).into_iter().map(|word| (word, "(proxy credential)")));
            }
        }
        let homes = facts.environment.home().into_iter().chain(facts.real_home.clone());
        Self::new(words, &homes.collect::<Vec<_>>())
    }

    fn new(mut words: Vec<(String, &'static str)>, homes: &[PathBuf]) -> Self {
        words.retain(|(word, _)| !word.is_empty());
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        let homes = homes.iter().filter_map(|home| home.to_str()).map(|home| home.trim_end_matches('/').to_owned());
        Self { words, homes: homes.filter(|home| !home.is_empty()).collect() }
    }

    /// The text without it.
    pub fn removed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, instead) in &self.words {
            let is_short = word.chars().count() < SHORT;
            let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
            text = replaced(&text, word, instead, |before, after| !(is_short && (is_part(before) || is_part(after))));
        }
        text = BASIC.replace_all(&text, "$1 (token)").into_owned();
        text = USERINFO.replace_all(&text, "://(proxy credential)@").into_owned();
        text = EMAIL.replace_all(&text, "(e-mail)").into_owned();
        text = ACCOUNT.replace_all(&text, "${1}(account id)").into_owned();
        text = ALIAS.replace_all(&text, "${1}(alias id)").into_owned();
        self.homes.iter().fold(text, |text, home| with_tilde(&text, home))
    }

    /// JSON whose texts are without it.
    pub fn removed_from(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.removed(&text)),
            Value::Array(values) => values.into_iter().map(|value| self.removed_from(value)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(key, value)| (self.removed(&key), self.removed_from(value))).collect()
            }
            other => other,
        }
    }
}

/// The parts of a proxy's credential, as they stand in the variable.
fn credentials(proxy: &str) -> Vec<String> {
    let rest = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
    let Some((userinfo, _)) = rest.rsplit_once('@') else { return Vec::new() };
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    [userinfo, user, password].map(str::to_owned).into()
}

/// The text with `~` in place of the home directory, where a path begins or ends with it.
pub fn with_tilde(text: &str, home: &str) -> String {
    replaced(text, home, "~", |before, after| {
        let begins = !before.is_some_and(|c| c.is_alphanumeric() || "/._-~".contains(c));
        let ends = !after.is_some_and(|c| c.is_alphanumeric() || "._-".contains(c));
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_replaced_and_nothing_else() {
        let words = [("acme-A1B2C3", "(account id)"), ("id-1", "(alias id)"), ("me", "(alias id)"), ("", "(token)")];
        let words = words.map(|(word, instead)| (word.to_owned(), instead)).into();
        let private = Private::new(words, &["/home/you/".into(), "/data/you".into()]);
        for (text, expected) in [
            ("nothing", "nothing"),
            ("https://h/v1/acme-A1B2C3/otlp", "https://h/v1/(account id)/otlp"),
            ("id-1, id-12", "(alias id), (alias id)2"),
            ("alias me: some of them, me", "alias (alias id): some of them, (alias id)"),
            ("you@example.com's, BOOMI_TOKEN.a.b@c-d.example", "(e-mail)'s, (e-mail)"),
            ("http://u:p@proxy:3128", "http://(proxy credential)@proxy:3128"),
            ("http://u:p@w@proxy.example:3128", "http://(proxy credential)@proxy.example:3128"),
            ("Authorization=Basic Zm9v,X=y", "Authorization=Basic (token),X=y"),
            ("Bearer%20abc", "Bearer (token)"),
            ("/home/you/a in /home/you: /home/your/b /x/home/you/c", "~/a in ~: /home/your/b /x/home/you/c"),
            ("/data/you/work", "~/work"),
            ("git@github", "git@github"),
            ("https://h/metric-ingestion/v1/other-X/otlp", "https://h/metric-ingestion/v1/(account id)/otlp"),
            ("X-Alias-Id=other,Origin=x", "X-Alias-Id=(alias id),Origin=x"),
            ("runs under alias of id other-1", "runs under alias of id (alias id)"),
        ] {
            assert_eq!(private.removed(text), expected, "{text}");
        }
        let value = serde_json::json!({"acme-A1B2C3": ["/home/you", 1, null]});
        assert_eq!(private.removed_from(value), serde_json::json!({"(account id)": ["~", 1, null]}));
    }

    #[test]
    fn credentials_of_a_proxy() {
        for (proxy, expected) in [
            ("http://user:secret@proxy:1", &["user:secret", "user", "secret"][..]),
            ("user:se@cret@proxy:1", &["user:se@cret", "user", "se@cret"]),
            ("http://token@proxy", &["token", "token", ""]),
            ("http://proxy:1", &[]),
        ] {
            assert_eq!(credentials(proxy), expected, "{proxy}");
        }
    }
}
