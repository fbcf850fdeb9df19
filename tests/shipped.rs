//! The program that is shipped is the one that was tested. Cargo builds tests with the features that any dependency of the tests
//! asks for, and the program gets them, too; without tests it has only those that it names itself. A pattern that needs one of the
//! others would compile in every test, and end the shipped program.

use std::collections::BTreeMap;
use std::process::Command;

/// Features that only the tests have, and why they change nothing.
const NO_DIFFERENCE: [(&str, &str, &str); 11] = [
    ("getrandom", "std", "act-claude only prints its errors"),
    ("getrandom", "sys_rng", "a generator that act-claude does not use"),
    ("regex", "default", "a name for the others"),
    ("regex", "unicode", "a name for the others"),
    ("regex", "unicode-age", "no pattern names the age of a character"),
    ("regex", "unicode-bool", "no pattern names such a property"),
    ("regex", "unicode-gencat", "no pattern names such a property"),
    ("regex", "unicode-perl", "patterns of users are about bytes, and no own one names a digit or a letter so"),
    ("regex", "unicode-script", "no pattern names a script"),
    ("regex", "unicode-segment", "no pattern names a place between characters"),
    ("serde", "alloc", "std holds it"),
];

/// The features of each dependency of act-claude's own, by its name and version.
fn features(edges: &str) -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--depth", "1", "--prefix", "none", "--format", "{p}|{f}"])
        .args(["--edges", edges])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once('|'));
    let features = |list: &str| list.trim_end_matches(" (*)").split(',').map(str::to_owned).collect();
    lines.map(|(package, list)| (package.to_owned(), features(list))).collect()
}

#[test]
fn the_shipped_program_has_the_features_that_the_tests_have() {
    let (shipped, tested) = (features("normal,build"), features("normal,build,dev"));
    assert!(shipped.len() > 20 && tested.len() > shipped.len(), "{shipped:?}");
    let mut missing = Vec::new();
    for (package, own) in &shipped {
        let name = package.split(' ').next().unwrap_or_default();
        let is_known = |feature: &str| NO_DIFFERENCE.iter().any(|(of, known, _)| (*of, *known) == (name, feature));
        let tested = tested.get(package).unwrap_or_else(|| panic!("{package}"));
        let more = tested.iter().filter(|feature| !own.contains(feature) && !is_known(feature));
        missing.extend(more.map(|feature| format!("{name}: {feature}")));
    }
    assert_eq!(missing, Vec::<String>::new(), "name these features in [dependencies]");
}
