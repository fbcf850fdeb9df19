//! The nearest valid name, for error messages.

/// The candidate most similar to `given`; `None` where none is similar enough.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = given.to_lowercase();
    candidates
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= 1 + name.chars().count() / 4
                || (lower.len() >= 3 && is_shortened(&lower, &name.to_lowercase()))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Whether `given` is the beginning of `name`, or its first and its last letter with some of those between.
fn is_shortened(given: &str, name: &str) -> bool {
    let mut rest = name.chars();
    let is_within = given.chars().all(|letter| rest.any(|other| other == letter));
    let has_ends = given.chars().next() == name.chars().next() && given.chars().last() == name.chars().last();
    name.starts_with(given) || (is_within && has_ends)
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
        assert_eq!(nearest("dflt", names), Some("default"));
        assert_eq!(nearest("dft", ["adept", "drafts"]), None);
        assert_eq!(nearest("report", names), None);
    }
}
