//! The version of a claude executable, found without running it while someone waits: from its path, from its npm package, from
//! the head of its script, or from what a relay recorded once (P7 in docs/observed-claude.md). Where it is not known, claude gets
//! no argument that some version refuses.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state;
use crate::system::child::{self, Bounds, Kept};
use crate::system::descriptors::no_input_or_output;
use crate::system::environment::Environment;
use crate::system::file;
use crate::text::paths;

/// A native claude has 245 MB. A script, or a program that merely starts others, is smaller, and may do anything when it runs.
const NATIVE: u64 = 150 * 1024 * 1024;

/// The largest `package.json` that is read; that of claude has a few thousand bytes.
const LARGEST_PACKAGE: u64 = 1024 * 1024;

/// How long a native claude may take to say its version, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether it is large enough to be a native claude, and not a script or a small program, which may start anything.
pub fn is_native(claude: &Path) -> bool {
    fs::metadata(claude).is_ok_and(|metadata| metadata.len() >= NATIVE)
}

/// The record of an executable. Another size or time means that it was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    size: u64,
    modified: i64,
    version: String,
}

/// The version, where it is known.
pub fn known(claude: &Path, state: Option<&Path>) -> Option<String> {
    let path = fs::canonicalize(claude).ok()?;
    by_place(&path).or_else(|| by_package(&path)).or_else(|| by_head(&path)).or_else(|| noted(&path, state?))
}

/// The version of `claude` as numbers, which can be compared. `None` where it is not known.
pub fn of(claude: &Path, state: Option<&Path>) -> Option<Version> {
    Version::parse(&known(claude, state)?)
}

/// Finds the version by running a native claude, and records it. The relay calls it once claude has started.
pub fn learn(claude: &Path, state: &Path) -> Option<String> {
    let path = fs::canonicalize(claude).ok()?;
    let metadata = fs::metadata(&path).ok().filter(|metadata| metadata.len() >= NATIVE)?;
    // Claude does not get our environment, which may hold the token.
    let mut command = Command::new(&path);
    let version = answer(command.env_clear().current_dir("/"), PATIENCE)?;
    let mut cache = read(state);
    cache.retain(|path, _| paths::from_text(path).exists());
    let noted = Noted { size: metadata.len(), modified: metadata.mtime(), version: version.clone() };
    cache.insert(paths::to_text(&path).into_owned(), noted);
    let _ = state::write_private(&cache_file(state), &serde_json::to_vec(&cache).ok()?);
    Some(version)
}

/// Asks claude itself, for `act doctor`. It may be a script, so it gets the user's environment.
pub fn ask(claude: &Path, environment: &Environment, limit: Duration) -> Option<String> {
    let mut command = Command::new(claude);
    answer(command.env_clear().envs(environment.iter()), limit)
}

/// What a claude says of its version, within `limit`.
fn answer(claude: &mut Command, limit: Duration) -> Option<String> {
    let bounds = Bounds { time: limit, bytes: 4096 };
    claude.arg("--version").stderr(no_input_or_output());
    let finished = child::run(claude, b"", Kept::Output, bounds).ok()?;
    first_version(&String::from_utf8_lossy(&finished.bytes))
}

/// A version; versions are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    /// A version.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self(major, minor, patch)
    }

    /// Reads "2.1.330".
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        Some(Self(numbers.next()??, numbers.next()??, numbers.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The native installer names the executable by its version: `…/claude/versions/2.1.330`; Homebrew names the directory:
/// `…/claude-code/2.1.330/claude`.
fn by_place(path: &Path) -> Option<String> {
    let is_homebrew = path.ends_with("claude") && path.ancestors().nth(2).is_some_and(|it| it.ends_with("claude-code"));
    let named = if is_homebrew { path.parent()? } else { path };
    first_version(named.file_name()?.to_str()?).filter(|version| named.ends_with(version))
}

/// `package.json` beside the executable, or one directory up.
fn by_package(path: &Path) -> Option<String> {
    let package = path.ancestors().skip(1).take(2).find_map(|directory| {
        let package = beginning(&directory.join("package.json"), LARGEST_PACKAGE)?;
        let package: Value = serde_json::from_slice(&package).ok()?;
        package.get("name")?.as_str()?.starts_with("@anthropic-ai/claude-code").then_some(package)
    })?;
    first_version(package.get("version")?.as_str()?)
}

/// Up to 2.1.112 claude is a script of Node; one of its first lines is `// Version: 2.0.77`. The first line of a copy may be
/// another one.
fn by_head(path: &Path) -> Option<String> {
    let head = beginning(path, 1024)?;
    let head = String::from_utf8_lossy(&head);
    let is_claude = head.starts_with("#!") && head.contains("\n// (c) Anthropic PBC.");
    let version = head.lines().find_map(|line| line.strip_prefix("// Version: ")).filter(|_| is_claude)?;
    first_version(version).filter(|found| found == version)
}

/// The first bytes of a regular file.
fn beginning(path: &Path, most: u64) -> Option<Vec<u8>> {
    let (file, _) = file::open_regular_through_links(path).ok()?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn noted(path: &Path, state: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let noted = read(state).remove(&*paths::to_text(path))?;
    (noted.size == metadata.len() && noted.modified == metadata.mtime()).then_some(noted.version)
}

fn cache_file(state: &Path) -> PathBuf {
    state.join("clients.json")
}

/// The records by path, as it is written in JSON.
fn read(state: &Path) -> BTreeMap<String, Noted> {
    state::read_private(&cache_file(state))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// The first word that consists of three numbers: "2.1.330 (Claude Code)".
fn first_version(text: &str) -> Option<String> {
    let is_version = |word: &&str| {
        let numbers: Vec<&str> = word.split('.').collect();
        numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
    };
    text.split_whitespace().find(is_version).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_running_it() {
        let root = tempfile::tempdir().unwrap();
        let claude = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let native = claude("versions/2.1.330");
        let link = root.path().join("claude");
        std::os::unix::fs::symlink(&native, &link).unwrap();
        assert_eq!(known(&link, None).as_deref(), Some("2.1.330"));

        let keg = claude("Caskroom/claude-code/2.1.331/claude");
        assert_eq!(known(&keg, None).as_deref(), Some("2.1.331"));
        assert_eq!(known(&claude("other/2.1.331/claude"), None), None);
        assert_eq!(known(&claude("versions/2.1.330-beta.1"), None), None);

        let npm = claude("node_modules/@anthropic-ai/claude-code/bin/claude.exe");
        let package = |name: &str| format!(r#"{{"name":"{name}","version":"2.1.197"}}"#);
        let place = npm.parent().unwrap().parent().unwrap().join("package.json");
        fs::write(&place, package("@anthropic-ai/claude-code-linux-x64")).unwrap();
        assert_eq!(known(&npm, None).as_deref(), Some("2.1.197"));
        fs::write(&place, package("another")).unwrap();
        assert_eq!(known(&npm, Some(root.path())), None);
        for unreadable in ["", "{", "[]", r#"{"name":"@anthropic-ai/claude-code"}"#, r#"{"version":"2.1.1"}"#] {
            fs::write(&place, unreadable).unwrap();
            assert_eq!(known(&npm, None), None, "{unreadable}");
        }
    }

    #[test]
    fn the_head_of_a_script() {
        let root = tempfile::tempdir().unwrap();
        let script = root.path().join("cli.js");
        let licence = "// (c) Anthropic PBC. All rights reserved.";
        for (text, expected) in [
            (format!("#!/usr/bin/env node\n{licence}\n\n// Version: 2.0.77\n\nimport"), Some("2.0.77")),
            (format!("#!/opt/node\n{licence}\n// Version: 2.0.77"), Some("2.0.77")),
            (format!("#!/usr/bin/env node\n{licence}\n// Version: 2.0.77-beta.1\n"), None),
            (format!("#!/usr/bin/env node\n{licence}\n// Version: next\n"), None),
            (format!("#!/usr/bin/env node\n{licence}\n{}// Version: 2.0.77\n", "\n".repeat(2048)), None),
            ("#!/bin/sh\n// Version: 2.0.77\n".to_owned(), None),
            (String::new(), None),
        ] {
            fs::write(&script, &text).unwrap();
            assert_eq!(known(&script, None).as_deref(), expected, "{text:.60}");
        }
    }

    #[test]
    fn a_note_is_good_for_the_same_file_only() {
        let root = tempfile::tempdir().unwrap();
        let claude = fs::canonicalize(root.path()).unwrap().join("claude");
        fs::write(&claude, "x").unwrap();
        let modified = fs::metadata(&claude).unwrap().mtime();
        let note = Noted { size: 1, modified, version: "2.1.330".to_owned() };
        fs::write(cache_file(root.path()), serde_json::to_vec(&BTreeMap::from([(claude.clone(), note)])).unwrap())
            .unwrap();
        assert_eq!(known(&claude, Some(root.path())).as_deref(), Some("2.1.330"));
        fs::write(&claude, "xy").unwrap();
        assert_eq!(known(&claude, Some(root.path())), None);
        // A script is not run.
        assert_eq!(learn(&claude, root.path()), None);
    }

    #[test]
    fn versions_in_texts() {
        for (text, expected) in [
            ("2.1.330 (Claude Code)\n", Some("2.1.330")),
            ("claude 2.1.330", Some("2.1.330")),
            ("2.1", None),
            ("claude", None),
            ("2.1.x", None),
        ] {
            assert_eq!(first_version(text).as_deref(), expected, "{text}");
        }
    }
}
