//! The paths that CONTRIBUTING.md names exist, and the issue forms have the structure that GitHub requires.

use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Paths in back quotes and links to files, in the documents for contributors.
#[test]
fn every_path_exists() {
    let path = Regex::new(r"`((?:src|docs|tests|shell|target)/[A-Za-z0-9_./-]*)`|\]\(([A-Za-z0-9_./-]+)\)").unwrap();
    for document in ["CONTRIBUTING.md", "SECURITY.md", "docs/promises.md", "docs/architecture.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for found in path.captures_iter(&text) {
            let place = match (found.get(1), found.get(2)) {
                (Some(path), _) => root().join(path.as_str()),
                (None, link) => root().join(document).parent().unwrap().join(link.unwrap().as_str()),
            };
            // Files that a build makes need not exist.
            let is_made = place.starts_with(root().join("target"));
            assert!(is_made || place.exists(), "{document} names {}", place.display());
        }
    }
}

#[test]
fn the_issue_forms_are_complete() {
    let forms = root().join(".github/ISSUE_TEMPLATE");
    let mut count = 0;
    for entry in fs::read_dir(forms).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let form: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if path.ends_with("config.yml") {
            continue;
        }
        let has = |value: &Value, key: &str| value[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(has(&form, "name") && has(&form, "description"), "{}", path.display());
        for field in form["body"].as_array().expect("a body") {
            let kind = field["type"].as_str().unwrap_or_default();
            let wanted = match kind {
                "markdown" => "value",
                "input" | "textarea" | "dropdown" | "checkboxes" => "label",
                _ => panic!("{}: no such field: {kind:?}", path.display()),
            };
            assert!(has(&field["attributes"], wanted), "{}: {field}", path.display());
            assert_eq!(kind == "markdown", field["id"].is_null(), "{}: {field}", path.display());
        }
        count += 1;
    }
    assert_eq!(count, 2);
}
