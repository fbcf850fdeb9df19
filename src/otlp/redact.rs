//! Removes attributes anywhere in an export: in resources, scopes, points, exemplars or inside other attributes.

use super::edit::{Edited, NoResult};
use super::scan::{elements, member, members};

/// The text without the attributes that have these keys. `None`: there are none.
pub fn redacted(text: &str, keys: &[String]) -> Result<Option<String>, NoResult> {
    let mut edited = Edited::new(text, text.len());
    redact(text, keys, &mut edited)?;
    edited.finish()
}

/// The text without the resource attributes that have these keys. `None`: there are none.
pub fn stripped(text: &str, keys: &[String]) -> Result<Option<String>, NoResult> {
    let mut edited = Edited::new(text, text.len());
    let entries = member(text, "resourceMetrics").and_then(elements);
    for resource in entries.into_iter().flatten().filter_map(|entry| member(entry, "resource")) {
        if let Some(attributes) = member(resource, "attributes") {
            redact(attributes, keys, &mut edited)?;
        }
    }
    edited.finish()
}

/// Goes through one value of the edited text.
fn redact<'a>(value: &'a str, keys: &[String], edited: &mut Edited<'a>) -> Result<(), NoResult> {
    for (_, inner) in members(value).into_iter().flatten() {
        redact(inner, keys, edited)?;
    }
    // The end of the last element, and whether any element was kept, or removed, so far.
    let (mut end, mut is_kept, mut is_cut) = (0, false, false);
    for element in elements(value).into_iter().flatten() {
        let start = edited.offset(element);
        match (is_attribute_of(element, keys), is_kept) {
            // Remove the comma before it, too.
            (true, true) => edited.replace_range(end, start + element.len(), "")?,
            (true, false) => {
                let from = if is_cut { end } else { start };
                edited.replace_range(from, start + element.len(), "")?;
                is_cut = true;
            }
            (false, _) => {
                if is_cut && !is_kept {
                    // Remove the comma after the elements that were removed before it.
                    edited.replace_range(end, start, "")?;
                }
                is_kept = true;
                redact(element, keys, edited)?;
            }
        }
        end = start + element.len();
    }
    Ok(())
}

/// Any member "key" counts: where it is repeated, ACT may use another one than we would.
fn is_attribute_of(element: &str, keys: &[String]) -> bool {
    members(element)
        .into_iter()
        .flatten()
        .any(|(name, value)| name == "key" && serde_json::from_str(value).is_ok_and(|key: String| keys.contains(&key)))
}
