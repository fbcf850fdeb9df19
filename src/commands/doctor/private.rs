//! Removes what must not be in a support ticket: tokens, e-mail addresses, ids of accounts and aliases, credentials of proxies, and
//! the path of the home directory (pure).
//!
//! It is applied to the parts of the report that vary, not to names of keys: no value on this machine changes those.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use regex::Regex;

use super::written;
use super::{Facts, Finding};
use crate::claude::own_pipeline;
use crate::commands::setup::sources::names;
use crate::config::typed::{endpoint, secret};
use crate::config::{Account, is_loopback};
use crate::text::paths;
use crate::text::shell::shell_word;
use crate::text::uuid::uuids;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// Patterns of what is private on any machine, each with what stands in its place. Where a pattern has a group, only that is private.
static PATTERNS: LazyLock<[(Regex, &str); 5]> = LazyLock::new(|| {
    [
        // The value of an Authorization header.
        (pattern("(?:Basic|Bearer)(?: |%20)+([^ ,\"']+)"), "(token)"),
        // The user and password of a URL.
        (pattern("://([^/ \"']*)@"), "(proxy credential)"),
        // The account id in an endpoint that is in no configuration of act-claude's: settings of Claude Code may name one.
        (pattern("metric-ingestion/v[0-9]+/([^/ \"',]+)"), "(account id)"),
        // The id of an alias that is not configured here.
        (pattern("(?:(?i:X-Alias-Id)=|alias of id )([^, \"')]+)"), "(alias id)"),
        // An e-mail address, whoever's it is. Its letters may be those of any script.
        (
            pattern(
                r#"[^\x00-\x20"'`<>(),;:/@\[\]{}|\\=“”„«»]+@[^\x00-\x2c./:-@\[-`{-\x7f“”„«»]+(?:[.][^\x00-\x2c./:-@\[-`{-\x7f“”„«»]+)+"#,
            ),
            "(e-mail)",
        ),
    ]
});

/// The parts of every account's endpoint that are not private.
const PUBLIC_PARTS: [&str; 6] = ["metric-ingestion", "v1", "otlp", "public", "metrics", ""];
/// The account of `act receive`'s endpoint, on every machine.
const LOCAL: &str = "local";
/// A shorter word says nothing as a part of other words.
const SHORT: usize = 4;

/// A private text, with what stands in its place.
pub type Word = (String, &'static str);

/// What is private on this machine.
#[derive(Debug)]
pub struct Private {
    words: Vec<Word>,
    /// The home, as HOME names it and as it is without links, in each way in which a path is written.
    homes: Vec<String>,
}

impl Private {
    /// Collects it.
    pub fn of(facts: &Facts) -> Self {
        let mut words: Vec<Word> = facts.written.iter().flat_map(written::words).collect();
        let config = &facts.loaded.config;
        for (name, account) in &config.accounts {
            words.extend(of_account(name, account));
        }
        for (name, copy) in &config.copies {
            words.extend(of_receiver(&copy.endpoint));
            words.push((name.clone(), "(copy)"));
        }
        // What is kept may be for a destination of an earlier configuration.
        let kept = facts.kept_copies.keys().filter(|name| *name != own_pipeline::NAME);
        words.extend(kept.chain(config.broken.copies.keys()).map(|name| (name.clone(), "(copy)")));
        let values = config.token_variables().into_iter().filter_map(|name| facts.environment.text(name));
        words.extend(values.map(|secret| (secret.to_owned(), "(token)")));
        words.extend(config.aliases.values().map(|alias| (alias.id.clone(), "(alias id)")));
        let of_environment =
            facts.environment.iter().map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy()));
        let of_settings = facts.layers.iter().flat_map(|layer| layer.env.iter());
        let of_settings = of_settings.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        for (name, value) in of_environment.chain(of_settings) {
            if name.to_ascii_lowercase().ends_with("_proxy") {
                words.extend(credentials(&value).into_iter().map(|word| (word, "(proxy credential)")));
            }
            // The user's own pipeline.
            if ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"].contains(&&*name) {
                words.extend(of_receiver(&value));
            }
            if name.starts_with("OTEL_") && name.ends_with("_HEADERS") {
                words.extend(of_headers(&value));
            }
        }
        let homes = facts.environment.home().into_iter().chain(facts.real_home.clone());
        Self::new(words, &homes.collect::<Vec<_>>())
    }

    fn new(mut words: Vec<Word>, homes: &[PathBuf]) -> Self {
        words.retain(|(word, _)| !word.is_empty());
        Self { words, homes: homes.iter().flat_map(|home| spellings(home)).collect() }
    }

    /// The text without it.
    pub fn removed(&self, text: &str) -> String {
        let mut spans: Vec<Span> = Vec::new();
        for home in &self.homes {
            spans.extend(found(text, home, is_path).map(|range| (range, "~")));
        }
        for (word, instead) in &self.words {
            let fits = if is_ordinary(word) { is_whole } else { |_: &str, _: &str| true };
            spans.extend(found(text, word, fits).map(|range| (range, *instead)));
        }
        let mut patterns: Vec<Span> = Vec::new();
        for (pattern, instead) in &*PATTERNS {
            let private = pattern.captures_iter(text).filter_map(|found| found.get(1).or_else(|| found.get(0)));
            // What begins inside of another one ends with it: in `u:p@w@host.example`, no e-mail address begins with `w`.
            let is_inside = |start: usize| patterns.iter().any(|(range, _): &Span| range.contains(&start));
            let new: Vec<Span> =
                private.map(|found| (found.range(), *instead)).filter(|(range, _)| !is_inside(range.start)).collect();
            patterns.extend(new);
        }
        spans.extend(patterns);
        spans.extend(uuids(text).map(|range| (range, "(id)")));
        secret::removed(&replaced(text, spans)).into_owned()
    }

    /// A finding without it.
    pub fn removed_from(&self, finding: &Finding) -> Finding {
        let Finding { id, what, place, effect, fix, command } = finding;
        Finding {
            id,
            what: self.removed(what),
            place: self.removed(place),
            effect: self.removed(effect),
            fix: self.removed(fix),
            command: command.as_deref().map(|command| self.removed(command)),
        }
    }
}

/// The private words of an account: its user, its id, and names that were made from the id.
fn of_account(name: &str, account: &Account) -> Vec<Word> {
    let mut words = of_endpoint(&account.endpoint);
    let made = names::of_account(&account.endpoint).filter(|_| !words.is_empty());
    if let Some(made) = made {
        if name.to_ascii_lowercase().starts_with(&made) {
            words.push((name.to_owned(), "(account)"));
        }
        words.push((made, "(account)"));
    }
    words.push((account.user.clone(), "(e-mail)"));
    words
}

/// The private words of the URL of a receiver other than ACT: a host's name may be that of its customer, and so may a part of the path.
fn of_receiver(url: &str) -> Vec<Word> {
    let host = url.parse::<hyper::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let is_private = !is_loopback(&host) && !endpoint::is_documented(url);
    let host = is_private.then_some((host, "(host)"));
    of_endpoint(url).into_iter().chain(host).collect()
}

/// The values of a list of headers, as they stand there and decoded. One that is an ordinary word is none by itself.
fn of_headers(list: &str) -> Vec<Word> {
    let values = list.split([',', ';']).filter_map(|header| header.split_once('=')).map(|(_, value)| value.trim());
    let values = values.filter(|value| !is_ordinary(value));
    let decoded = |value: &str| percent_decode_str(value).decode_utf8_lossy().into_owned();
    values.flat_map(|value| [value.to_owned(), decoded(value)]).map(|value| (value, "(token)")).collect()
}

/// The account id in an endpoint. In another form of endpoint, every part of its path may be one.
pub fn of_endpoint(url: &str) -> Vec<Word> {
    let (host, path) = url.split_once("://").map_or(url, |(_, rest)| rest).split_once('/').unwrap_or_default();
    let is_private = |part: &&str| {
        let is_local = *part == LOCAL && is_loopback(host.rsplit_once(':').map_or(host, |(host, _)| host));
        !PUBLIC_PARTS.contains(part) && !is_local
    };
    let parts: Vec<&str> = match endpoint::account_id(url) {
        Some(account) => vec![account],
        None => path.split(['/', '?', '&', '=']).collect(),
    };
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let private = parts.into_iter().filter(is_private).flat_map(|part| [part.to_owned(), decoded(part)]);
    private.map(|part| (part, "(account id)")).collect()
}

/// The parts of a proxy's credential, as they stand in the variable and decoded. An ordinary word is none by itself: it would be
/// removed wherever a sentence has it.
fn credentials(proxy: &str) -> Vec<String> {
    let rest = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
    let Some((userinfo, _)) = rest.rsplit_once('@') else { return Vec::new() };
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let alone = [user, password].into_iter().filter(|part| !is_ordinary(part));
    let pair = std::iter::once(userinfo).filter(|pair| pair.contains(':') || !is_ordinary(pair));
    let written: Vec<&str> = pair.chain(alone).collect();
    let decoded = written.iter().map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
    let mut all: Vec<String> = written.iter().map(|part| (*part).to_owned()).chain(decoded).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a word may be one of a sentence, or is too short to be looked for in other words.
fn is_ordinary(word: &str) -> bool {
    word.chars().count() < SHORT || word.chars().all(char::is_alphabetic)
}

/// A private part of a text, with what stands in its place.
type Span = (Range<usize>, &'static str);

/// The text with all spans replaced. Of spans that overlap, the whole is replaced, with the words of the longest: so nothing is
/// left of the others, and nothing is replaced in what stands in their place.
fn replaced(text: &str, mut spans: Vec<Span>) -> String {
    spans.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut merged: Vec<(Range<usize>, usize, &str)> = Vec::new();
    for (range, instead) in spans {
        match merged.last_mut() {
            Some((last, longest, words)) if range.start < last.end => {
                last.end = last.end.max(range.end);
                if range.len() > *longest {
                    (*longest, *words) = (range.len(), instead);
                }
            }
            _ => merged.push((range.clone(), range.len(), instead)),
        }
    }
    let (mut result, mut at) = (String::with_capacity(text.len()), 0);
    for (range, _, instead) in merged {
        result.push_str(&text[at..range.start]);
        result.push_str(instead);
        at = range.end;
    }
    result + &text[at..]
}

/// Where a text has a word, in any case, if the texts before and after it fit.
fn found(text: &str, word: &str, fits: fn(&str, &str) -> bool) -> impl Iterator<Item = Range<usize>> {
    let (lower, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let ranges = lower.match_indices(&word).map(|(at, _)| at..at + word.len());
    ranges.filter(|range| fits(&text[..range.start], &text[range.end..])).collect::<Vec<_>>().into_iter()
}

/// Whether a word stands alone: `local`, but not that in `~/.local`.
fn is_whole(before: &str, after: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !before.ends_with(|c: char| continues(c) || c == '.') && !after.starts_with(continues)
}

/// Whether a path begins or ends with a directory.
fn is_path(before: &str, after: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "._-".contains(c);
    !before.ends_with(|c: char| continues(c) || c == '~') && !after.starts_with(continues)
}

/// A home in each way in which a path is written: for people, as a word of a shell command, and as a URL.
fn spellings(home: &Path) -> Vec<String> {
    let word = shell_word(home);
    let word = word.strip_prefix('$').unwrap_or(&word);
    let word = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')).unwrap_or(word);
    let url = paths::to_text(home);
    let url = url.strip_prefix("file://").unwrap_or(&url);
    let all = [&home.to_string_lossy(), word, url].map(|home| home.trim_end_matches('/').to_owned());
    let mut all: Vec<String> = all.into_iter().filter(|home| !home.is_empty()).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
