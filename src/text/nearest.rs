//! The nearest valid name, for error messages.

/// The candidate most similar to `given`; `None` where none is similar enough.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = given.to_lowercase();
    candidates
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= 1 + name.chars().count() / 4 || (lower.len() >= 3 && name.to_lowercase().starts_with(&lower))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let names = ["accounts", "aliases", "directories", "default"];
        assert_eq!(nearest("acounts", names), Some("accounts"));
        assert_eq!(nearest("Default", names), Some("default"));
        assert_eq!(nearest("dir", names), Some("directories"));
        assert_eq!(nearest("report", names), None);
    }
}
