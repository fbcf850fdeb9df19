//! Proposes an alias's name: after the repository or the directory that will use it, otherwise after the Spec's file (pure).
//!
//! A document's title is no source: many Specs have the same one, such as "Monitoring API".

use std::path::Path;

use super::facts::Facts;
use super::sources::names;

/// Directories whose names say nothing about what is in them.
const PLACES: [&str; 10] =
    ["desktop", "documents", "downloads", "home", "projects", "root", "src", "temp", "tmp", "workspace"];
/// Names of files that say nothing about the alias.
const FILES: [&str; 12] = [
    "alias",
    "api",
    "api-docs",
    "document",
    "download",
    "index",
    "monitoring",
    "monitoring-api",
    "openapi",
    "schema",
    "spec",
    "swagger",
];
/// Ends of a file's name that say what it is, not whose.
const ENDS: [&str; 4] = ["-monitoring-spec", "-spec", "-openapi", "-monitoring"];

/// The proposed name of an alias of `account`.
pub fn proposal(facts: &Facts<'_>, account: &str) -> String {
    let is_own = !facts.args.default || !facts.directories.is_empty();
    let place = match facts.directories.first() {
        Some(directory) => Some(directory.as_path()),
        None => Some(facts.here.as_path()).filter(|_| is_own && !facts.here_is_broad),
    };
    let repository = facts.repository.as_deref().filter(|_| place.is_some());
    let file = facts.args.spec.as_deref().filter(|path| *path != Path::new("-"));
    repository
        .and_then(of_directory)
        .or_else(|| place.and_then(of_directory))
        .or_else(|| file.and_then(of_file))
        .unwrap_or_else(|| account.to_owned())
}

fn of_directory(directory: &Path) -> Option<String> {
    let name = names::of(&directory.file_name()?.to_string_lossy())?;
    (!PLACES.contains(&name.as_str())).then_some(name)
}

/// The name in a Spec's file name: `billing` of `billing-spec (1).yaml`.
fn of_file(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    let without_number = match stem.rsplit_once('(') {
        Some((name, number)) if number.strip_suffix(')').is_some_and(|number| number.parse::<u32>().is_ok()) => name,
        _ => &stem,
    };
    let name = names::of(without_number)?;
    let name = ENDS.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    (!FILES.contains(&name) && !name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_directories_and_files() {
        let directory = |path: &str| of_directory(Path::new(path));
        assert_eq!(directory("/home/u/work/Billing Agent").as_deref(), Some("billing-agent"));
        assert_eq!((directory("/"), directory("/home/u/Downloads"), directory("/home/u/日本")), (None, None, None));
        for (file, name) in [
            ("billing.yaml", Some("billing")),
            ("/tmp/Billing-Spec (1).json", Some("billing")),
            ("billing-monitoring-spec.yaml", Some("billing")),
            ("billing.v2.yaml", Some("billing.v2")),
            ("openapi.json", None),
            ("openapi (3).json", None),
            ("spec.yaml", None),
            ("日本.yaml", None),
            ("", None),
        ] {
            assert_eq!(of_file(Path::new(file)).as_deref(), name, "{file}");
        }
    }
}
