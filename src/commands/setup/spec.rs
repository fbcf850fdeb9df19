//! Shows a Monitoring Spec to the user, and takes values from it or from questions (pure).

use std::fmt::Write as _;

use serde_json::json;

use super::dialogue::{Dialogue, Offer, Question, Stop};
use super::sources::spec::{self, Finding, Spec};
use crate::config::typed::Read;
use crate::text::page::{self, BOLD, DIM};

/// The values found in the Spec and their places, as text.
pub fn shown(name: &str, spec: &Spec) -> String {
    let mut text = format!("The Monitoring Spec {name} says:\n");
    let fields = [("endpoint", &spec.endpoint), ("alias id", &spec.id), ("provider type", &spec.provider_type)];
    for (field, finding) in fields {
        if finding.candidates.is_empty() {
            let _ = writeln!(text, "  {field:<14} nothing");
        }
        for candidate in &finding.candidates {
            let guess = candidate.guess.map(|why| format!("; {why}")).unwrap_or_default();
            let _ = write!(text, "  {field:<14} {BOLD}{}{BOLD:#}\n{:INDENT$}", page::visible(&candidate.value), "");
            page::hang(&mut text, INDENT, page::width(), DIM, &format!("{}{guess}", candidate.place));
        }
    }
    for note in spec.notes.iter().take(NOTES) {
        let _ = write!(text, "  {:<14} ", "ignored");
        page::hang(&mut text, INDENT, page::width(), DIM, note);
    }
    if spec.notes.len() > NOTES {
        let _ = writeln!(text, "  {:<14} {DIM}{} more{DIM:#}", "", spec.notes.len() - NOTES);
    }
    text
}

/// How many of the values that were not used are shown.
const NOTES: usize = 10;

/// Columns before a value.
const INDENT: usize = 17;

/// The values found for one field and their places, as JSON.
pub fn places_of(finding: &Finding) -> serde_json::Value {
    let one = |candidate: &spec::Candidate| json!({"value": candidate.value, "place": candidate.place, "guess": candidate.guess});
    finding.candidates.iter().map(one).collect()
}

/// A field's value: the flag's, the only certain one found, one chosen among those found, or one typed in.
pub fn field(
    dialogue: &mut Dialogue<'_>,
    flag: Option<&str>,
    finding: Option<&Finding>,
    question: &Question<'_>,
    read: Read,
) -> Result<String, Stop> {
    let named = question.flag.split(' ').next().unwrap_or_default();
    if let Some(value) = flag {
        return understood(dialogue, named, value, read);
    }
    let check = move |text: &str| read(text).map(drop).map_err(|why| format!("it {why}"));
    let candidates = finding.map(|finding| finding.candidates.as_slice()).unwrap_or_default();
    if let Some(certain) = finding.and_then(Finding::certain) {
        return Ok(certain.value.clone());
    }
    if !dialogue.can_ask() {
        dialogue.note_missing(missing(question.flag, candidates));
        return Ok(String::new());
    }
    if candidates.len() < 2 {
        let text = dialogue.text(question, candidates.first().map(|only| only.value.as_str()), check)?;
        return understood(dialogue, named, &text, read);
    }
    let values = candidates.iter().map(|candidate| Offer::plain(page::visible(&candidate.value)));
    let options = values.chain([Offer::plain("another one")]).collect();
    let chosen = dialogue.choose(question, options)?;
    match candidates.get(chosen) {
        Some(candidate) => Ok(candidate.value.clone()),
        None => {
            let text = dialogue.text(question, None, check)?;
            understood(dialogue, named, &text, read)
        }
    }
}

/// The value of a text that `flag` gave, or that was typed. What was corrected is told. The error does not repeat the text,
/// because it may be a secret in the wrong place.
pub fn understood(dialogue: &mut Dialogue<'_>, flag: &str, text: &str, read: Read) -> Result<String, Stop> {
    let typed = read(text).map_err(|why| Stop::usage(format!("{flag}: it {why}")))?;
    if let Some(note) = typed.note {
        dialogue.tell(format!("{flag}: {note}"));
    }
    Ok(typed.value)
}

fn missing(flag: &str, candidates: &[spec::Candidate]) -> String {
    let values: Vec<&str> = candidates.iter().map(|candidate| candidate.value.as_str()).collect();
    match (candidates, &values[..]) {
        ([only], _) => {
            format!("{flag}: the Spec may mean {} ({}; {})", only.value, only.place, only.guess.unwrap_or_default())
        }
        (_, []) => flag.to_owned(),
        _ => format!("{flag}: the Spec has several: {}", values.join(", ")),
    }
}
