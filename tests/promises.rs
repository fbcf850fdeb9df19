//! Compares docs/promises.md and docs/observed-claude.md with the tests that they name and the code that cites them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A table's rows: their number, and their last cell.
fn rows(path: &str) -> Vec<(String, String)> {
    let number = Regex::new(r"^\| ([A-Z][0-9]+[a-z]?) \|").unwrap();
    let text = read(path);
    let row = |line: &str| {
        let last = line.trim_end().trim_end_matches('|').rsplit('|').next().unwrap().trim().to_owned();
        number.captures(line).map(|found| (found[1].to_owned(), last))
    };
    text.lines().filter_map(row).collect()
}

fn numbers(path: &str) -> BTreeSet<String> {
    let rows = rows(path);
    let numbers: BTreeSet<String> = rows.iter().map(|(number, _)| number.clone()).collect();
    assert_eq!(numbers.len(), rows.len(), "{path}: a number stands there twice");
    numbers
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let inside = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    let files = entries.flat_map(inside);
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Whether `reference` (`transparent/ending::a1_*`, `clients/alias`) names something below tests/.
fn exists(reference: &str) -> bool {
    let (file, function) = reference.split_once("::").unwrap_or((reference, ""));
    let tests = root().join("tests");
    let path = tests.join(file).with_extension("rs");
    if function.is_empty() {
        return path.is_file() || tests.join(file).is_dir();
    }
    let Ok(text) = fs::read_to_string(path) else { return false };
    let end = if function.ends_with('*') { "" } else { r"\(" };
    Regex::new(&format!(r"(?m)^fn {}{end}", function.trim_end_matches('*'))).unwrap().is_match(&text)
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let rows = rows("docs/promises.md");
    let expected = |letter: char, count: usize| (1..=count).map(move |number| format!("{letter}{number}"));
    let all: Vec<String> = expected('A', 23).chain(expected('B', 16)).chain(expected('C', 8)).collect();
    assert_eq!(rows.iter().map(|(number, _)| number.clone()).collect::<Vec<_>>(), all);
    let named = Regex::new("`([^`]+)`").unwrap();
    for (number, cell) in rows {
        let references: Vec<&str> = named.captures_iter(&cell).map(|found| found.get(1).unwrap().as_str()).collect();
        assert!(!references.is_empty(), "{number} names no test");
        let missing: Vec<_> = references.into_iter().filter(|reference| !exists(reference)).collect();
        assert_eq!(missing, [""; 0], "{number} names tests that do not exist");
    }
}

#[test]
fn every_observation_names_a_test_that_exists() {
    for (number, cell) in rows("docs/observed-claude.md") {
        let words = cell.split([',', ' ', '`']).filter(|word| word.contains('/') || *word == "transparent");
        for reference in words {
            assert!(exists(reference), "{number} names {reference}, which does not exist");
        }
    }
}

/// `promise A14`, `promises A12, A20`, `promises B7 to B9`, `(T2, T5 in docs/observed-claude.md)`.
#[test]
fn every_citation_leads_to_a_row() {
    let promises = numbers("docs/promises.md");
    let observations = numbers("docs/observed-claude.md");
    let cited = Regex::new(r"\b([ABCSTP][0-9]{1,2}[a-z]?)\b").unwrap();
    let other = Regex::new(r"design\.md|promises\.md B|claude-code\.md|\bfacts? [0-9]|\.\./shared").unwrap();
    let mut count = 0;
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).expect("a source file");
        for (index, line) in text.lines().enumerate() {
            let Some((_, comment)) = line.split_once("//") else { continue };
            let place = format!("{}:{}", path.display(), index + 1);
            assert!(!other.is_match(comment), "{place} cites what is not in the project: {comment}");
            let is_citation = ["promise", "docs/observed-claude.md", "fact "].iter().any(|word| comment.contains(word));
            for found in cited.captures_iter(comment).filter(|_| is_citation) {
                let rows = if found[1].starts_with(['T', 'P', 'S']) { &observations } else { &promises };
                assert!(rows.contains(&found[1]), "{place} cites {}, which is in no table", &found[1]);
                count += 1;
            }
        }
    }
    assert!(count > 30, "only {count} citations were found");
}
