//! Finds the alias id and the provider type, wherever they are in the document.

use serde_json::Value;

use crate::config::typed::alias::{check_id, check_provider_type};
use crate::config::typed::placeholder;
use crate::config::typed::secret::quoted;
use crate::text::pasted::{plain_name, starts_with};

use super::tree::{Tree, without_placeholders};
use super::{Candidate, Finding, MOST, is_placeholder};

/// A field to look for.
pub struct Field {
    /// Its names, in lower case and without `-` and `_`.
    names: &'static [&'static str],
    check: fn(&str) -> Result<(), String>,
    /// Whether a text stands for a value that is still to be filled in.
    is_placeholder: fn(&str) -> bool,
    /// Whether an `enum` may list all kinds there are. A value stated outside an `enum` then takes precedence.
    is_kind: bool,
    /// Its names in prose, in lower case.
    prose_names: &'static [&'static str],
    /// Whether a word in prose can be a value.
    looks_right: fn(&str) -> bool,
}

/// `extAccountAliasId`, which is also the header X-Alias-Id.
pub const ALIAS_ID: Field = Field {
    names: &["extaccountaliasid", "xaliasid"],
    check: check_id,
    is_placeholder,
    is_kind: false,
    prose_names: &["extaccountaliasid", "x-alias-id", "alias id"],
    looks_right: |word| word.len() >= 3 && word.contains(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_')),
};
/// `providerType`
pub const PROVIDER_TYPE: Field = Field {
    names: &["providertype"],
    check: check_provider_type,
    is_placeholder: |text| text.is_empty() || placeholder::of_provider_type(text).is_some(),
    is_kind: true,
    prose_names: &["providertype", "provider type"],
    looks_right: |word| {
        word.len() >= 3 && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    },
};

const PROSE: &str = "found in descriptive text";

impl Field {
    fn is_named(&self, name: &str) -> bool {
        let plain = plain_name(name);
        // An extension may have a vendor's name before the field's, as in `x-boomi-provider-type`.
        let is_extension = starts_with(name, "x-");
        self.names.contains(&plain.as_str()) || (is_extension && self.names.iter().any(|own| plain.ends_with(own)))
    }
}

/// Finds a field's values.
pub fn find(tree: &Tree<'_>, field: &Field, notes: &mut Vec<String>) -> Result<Finding, String> {
    let mut found = Vec::new();
    let mut fault = None;
    tree.visit(&mut |place, node| match search(tree, field, place, node) {
        Ok(more) => found.extend(more),
        Err(error) => fault = Some(error),
    });
    if let Some(fault) = fault {
        return Err(fault);
    }
    let mut found = without_placeholders(found, field.is_placeholder, notes);
    found.retain(|Candidate { value, place, .. }| match (field.check)(value) {
        Ok(()) => true,
        Err(why) => {
            notes.push(format!("{place}: {} {why}", quoted(value)));
            false
        }
    });
    if field.is_kind && found.iter().any(|candidate| !in_enum(candidate)) {
        found.retain(|candidate| !in_enum(candidate));
    }
    let finding = Finding::of(found);
    match finding.candidates.len() {
        count if count > MOST => Err(format!("it names {count} values for {}", field.prose_names[0])),
        _ => Ok(finding),
    }
}

fn in_enum(candidate: &Candidate) -> bool {
    candidate.place.ends_with(']') && candidate.place.contains(".enum[")
}

fn search<'a>(tree: &Tree<'a>, field: &Field, place: &str, node: &'a Value) -> Result<Vec<Candidate>, String> {
    let mut found = Vec::new();
    match node {
        Value::Object(members) => {
            let text = |key: &str| members.get(key).and_then(Value::as_str);
            // A parameter.
            if text("in").is_some() && text("name").is_some_and(|name| field.is_named(name)) {
                found.extend(tree.values(place, node)?);
            }
            // A resource attribute in an OTLP example.
            if text("key").is_some_and(|key| field.is_named(key))
                && let Some(value) = members.get("value").and_then(|value| value.get("stringValue")?.as_str())
            {
                let place = format!("{place}.value.stringValue");
                found.push(Candidate { value: value.to_owned(), place, guess: None });
            }
            for (key, inner) in members.iter().filter(|(key, _)| field.is_named(key)) {
                let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                found.extend(tree.values(&place, inner)?);
            }
        }
        Value::String(text) => match embedded(text) {
            Some(value) => found.extend(within(tree, field, place, &value)?),
            None => found.extend(prose(field, place, text)),
        },
        _ => {}
    }
    Ok(found)
}

/// A JSON payload that an example holds as text.
fn embedded(text: &str) -> Option<Value> {
    text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

fn within(tree: &Tree<'_>, field: &Field, place: &str, value: &Value) -> Result<Vec<Candidate>, String> {
    let tree = tree.inner(value);
    let mut found = Ok(Vec::new());
    tree.visit(&mut |inner, node| {
        if let Ok(list) = &mut found {
            match search(&tree, field, inner, node) {
                Ok(more) => list.extend(more),
                Err(error) => found = Err(error),
            }
        }
    });
    let outside = |candidate: Candidate| Candidate { place: format!("{place} ({})", candidate.place), ..candidate };
    found.map(|found| found.into_iter().map(outside).collect())
}

/// Values that follow the field's name in a sentence, as in "set X-Alias-Id to `a-1`".
fn prose(field: &Field, place: &str, text: &str) -> Vec<Candidate> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for name in field.prose_names {
        for (at, _) in lower.match_indices(name) {
            let words = text[at + name.len()..].split(|c: char| !(c.is_ascii_alphanumeric() || "._:-".contains(c)));
            let word = words
                .map(|word| word.trim_matches(['.', ':', '-', '_']))
                .filter(|word| !word.is_empty())
                .take(5)
                .find(|word| !FILLERS.contains(&word.to_ascii_lowercase().as_str()));
            if let Some(word) = word.filter(|word| (field.looks_right)(word)) {
                found.push(Candidate { value: word.to_owned(), place: place.to_owned(), guess: Some(PROSE) });
            }
        }
    }
    found
}

const FILLERS: [&str; 14] =
    ["a", "as", "be", "equals", "for", "header", "is", "must", "of", "set", "the", "this", "to", "value"];
