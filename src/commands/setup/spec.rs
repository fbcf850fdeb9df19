//! The Monitoring Spec as it is read and shown, and values out of it, or typed in.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use serde_json::json;

use super::Setup;
use super::ask::{Asker, Check, Offer, Question, Stop};
use crate::commands::setup::sources::spec::{self, Finding, Spec};
use crate::system::error::plain;
use crate::text::page::{self, BOLD, DIM};

/// Reads the Monitoring Spec; what to call it, and its content.
pub fn read(setup: &Setup<'_>, path: &Path) -> Result<(String, Spec), Stop> {
    let (name, bytes) = if path == Path::new("-") {
        if setup.args.token_stdin {
            return Err(Stop::Usage(vec!["--spec - and --token-stdin both want standard input".to_owned()]));
        }
        let mut bytes = Vec::new();
        let limit = spec::LARGEST as u64 + 1;
        let read = std::io::stdin().take(limit).read_to_end(&mut bytes);
        ("standard input".to_owned(), read.map(|_| bytes))
    } else {
        let bytes = std::fs::File::open(path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(spec::LARGEST as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        (path.display().to_string(), bytes)
    };
    let refuse = |why: String| Stop::Usage(vec![format!("the Monitoring Spec {name} is refused: {why}")]);
    let bytes = bytes.map_err(|error| Stop::Usage(vec![format!("{name}: {}", plain(&error))]))?;
    let spec = spec::read(&bytes).map_err(refuse)?;
    Ok((name, spec))
}

/// What was found where, for people.
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
        let _ = write!(text, "  {:<14} ", "passed over");
        page::hang(&mut text, INDENT, page::width(), DIM, note);
    }
    if spec.notes.len() > NOTES {
        let _ = writeln!(text, "  {:<14} {DIM}{} more{DIM:#}", "", spec.notes.len() - NOTES);
    }
    text
}

/// So many of the values that were passed over are shown.
const NOTES: usize = 10;

/// Columns before a value.
const INDENT: usize = 17;

/// The same for JSON.
pub fn places_of(finding: &Finding) -> serde_json::Value {
    let one = |candidate: &spec::Candidate| json!({"value": candidate.value, "place": candidate.place, "guess": candidate.guess});
    finding.candidates.iter().map(one).collect()
}

/// A value: the flag's, the only one found, one of those found, or typed in.
pub fn field(
    asker: &mut Asker,
    flag: Option<&str>,
    finding: Option<&Finding>,
    question: &Question<'_>,
    check: Check,
) -> Result<String, Stop> {
    if let Some(value) = flag {
        let named = question.flag.split(' ').next().unwrap_or_default();
        check(value).map_err(|why| Stop::Usage(vec![format!("{named}: {value:?} {why}")]))?;
        return Ok(value.to_owned());
    }
    let check = move |text: &str| check(text).map_err(|why| format!("it {why}"));
    let candidates = finding.map(|finding| finding.candidates.as_slice()).unwrap_or_default();
    if let Some(certain) = finding.and_then(Finding::certain) {
        return Ok(certain.value.clone());
    }
    if !asker.can_ask() {
        asker.miss(missing(question.flag, candidates));
        return Ok(String::new());
    }
    if candidates.len() < 2 {
        return asker.text(question, candidates.first().map(|only| only.value.as_str()), check);
    }
    let values = candidates.iter().map(|candidate| Offer::plain(page::visible(&candidate.value)));
    let options = values.chain([Offer::plain("another one")]).collect();
    let chosen = asker.choose(question, options)?;
    match candidates.get(chosen) {
        Some(candidate) => Ok(candidate.value.clone()),
        None => asker.text(question, None, check),
    }
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
