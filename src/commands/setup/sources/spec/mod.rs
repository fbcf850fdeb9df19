//! Reads an alias's Monitoring Spec: an OpenAPI 3 document whose exact shape is not public.
//!
//! So endpoint, alias id and provider type are searched for wherever they can be. A value in the document itself (default, const,
//! example, enum, a plain member) is *stated*. A value that was read from prose, or completed, is a *guess*. Only a single stated
//! value is used without a question.

mod document;
mod endpoint;
mod fields;
mod format;
mod tree;

use std::collections::HashSet;

use serde_json::Value;

use crate::config::typed::{placeholder, secret};

pub use document::LARGEST;
use tree::Tree;

/// The most possible values of a field. A document with more is refused, because the user could not choose among them.
const MOST: usize = 50;

/// One possible value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The value.
    pub value: String,
    /// Its place in the document, such as `servers[0].url`.
    pub place: String,
    /// Why it is a guess. `None`: it is stated.
    pub guess: Option<&'static str>,
}

/// The distinct values that a document has for one field. Where there are stated values, guesses are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// The values, in the document's order.
    pub candidates: Vec<Candidate>,
}

impl Finding {
    /// The value, where there is exactly one and it is stated.
    pub fn certain(&self) -> Option<&Candidate> {
        match &self.candidates[..] {
            [only] if only.guess.is_none() => Some(only),
            _ => None,
        }
    }

    fn of(mut candidates: Vec<Candidate>) -> Self {
        if candidates.iter().any(|candidate| candidate.guess.is_none()) {
            candidates.retain(|candidate| candidate.guess.is_none());
        }
        let mut seen = HashSet::new();
        candidates.retain(|candidate| seen.insert(candidate.value.clone()));
        Self { candidates }
    }
}

/// The content of a Monitoring Spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `info.title`
    pub title: Option<String>,
    /// The metrics URL.
    pub endpoint: Finding,
    /// `extAccountAliasId`
    pub id: Finding,
    /// `providerType`
    pub provider_type: Finding,
    /// What was not used, and why.
    pub notes: Vec<String>,
}

/// Reads a Monitoring Spec, JSON or YAML. An error is a reason to refuse the document. Neither it, nor a note, nor a place repeats
/// a credential that is in the document.
pub fn read(bytes: &[u8]) -> Result<Spec, String> {
    let shown = |text: &str| secret::removed(text).into_owned();
    let mut spec = understood(bytes).map_err(|why| shown(&why))?;
    spec.notes.iter_mut().for_each(|note| *note = shown(note));
    for finding in [&mut spec.endpoint, &mut spec.id, &mut spec.provider_type] {
        finding.candidates.iter_mut().for_each(|candidate| candidate.place = shown(&candidate.place));
    }
    Ok(spec)
}

fn understood(bytes: &[u8]) -> Result<Spec, String> {
    let document = document::parse(bytes)?;
    let tree = Tree::new(&document)?;
    let mut notes = Vec::new();
    let id = fields::find(&tree, &fields::ALIAS_ID, &mut notes)?;
    let provider_type = fields::find(&tree, &fields::PROVIDER_TYPE, &mut notes)?;
    let endpoint = endpoint::find(&tree, &mut notes)?;
    notes.dedup();
    let title = document.pointer("/info/title").and_then(Value::as_str).map(str::to_owned);
    Ok(Spec { title, endpoint, id, provider_type, notes })
}

/// Whether a text is a placeholder for a value that is still to be filled in. In a document more texts are than among those that
/// somebody types.
pub(super) fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.is_empty()
        || placeholder::kind(text).is_some()
        || text.contains('$')
        || text.chars().any(char::is_whitespace)
        || ["my-", "my_"].iter().any(|start| lower.starts_with(start))
        || lower.chars().all(|c| matches!(c, 'x' | '-' | '_' | '*' | '0'))
}

#[cfg(test)]
mod tests;
