//! Claude Code's settings layers, as far as they decide about telemetry. They are read, never written.
//!
//! Observed order, strongest first: managed, `--settings`, local, project, user, the environment (docs/observed-claude.md). The
//! reader is as tolerant as claude's own: it skips what claude ignores, and accepts what claude reads. A layer that exists and
//! can't be understood is [`Unread`], never absent.

pub mod argument;
mod coercion;
mod decoding;
mod file;
mod preferences;
mod unread;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::text::json;

pub use argument::Argument;
pub use coercion::variable;
pub use decoding::decode;
pub use unread::{Reason, Unread};

/// The origin of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// The company's, in a directory of the system.
    Managed,
    /// `--settings` on claude's command line.
    Argument,
    /// `.claude/settings.local.json`
    Local,
    /// `.claude/settings.json`
    Project,
    /// The user's.
    User,
    /// The process environment: it is not read from a file, and is weaker than all of them.
    Environment,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its origin.
    pub kind: LayerKind,
    /// The file, or `--settings`.
    pub path: PathBuf,
    /// Its `env`, values as text.
    pub env: Vec<(String, String)>,
    /// `otelHeadersHelper`, where it names one.
    pub headers_helper: Option<String>,
    /// `processWrapper`, where it names one.
    pub process_wrapper: Option<String>,
    /// Set where the layer exists and is not understood; everything else is then empty.
    pub(in crate::claude) unread: Option<Unread>,
}

impl Layer {
    /// A layer without settings yet.
    pub fn new(kind: LayerKind, path: PathBuf) -> Self {
        Self { kind, path, env: Vec::new(), headers_helper: None, process_wrapper: None, unread: None }
    }

    /// A layer that exists and is not understood.
    pub fn of_unread(kind: LayerKind, unread: Unread) -> Self {
        Self { unread: Some(unread.clone()), ..Self::new(kind, unread.path) }
    }

    /// The reason why it is not understood; `None` where it is.
    pub fn unread(&self) -> Option<&Unread> {
        self.unread.as_ref()
    }

    /// The value of `name` in its `env`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The name of one of its variables in a message.
    pub fn key(&self, name: &str) -> String {
        format!("env.{name} in {}", self.path.display())
    }
}

/// The directory of managed settings.
pub const MANAGED_DIRECTORY: &str =
    if cfg!(target_os = "macos") { "/Library/Application Support/ClaudeCode" } else { "/etc/claude-code" };

/// Reads all layers that concern telemetry, the strongest first.
pub fn read(directory: &Path, args: &[OsString], environment: &Environment) -> Vec<Layer> {
    let of_text = |kind, path: PathBuf, text: Result<String, Reason>| match text {
        Ok(text) => layer(kind, path, &text),
        Err(reason) => Some(Layer::of_unread(kind, Unread { path, reason })),
    };
    let from_file = |(kind, path): (LayerKind, PathBuf)| of_text(kind, path.clone(), text(&path)?);
    let mut managed = Vec::new();
    if let Some((path, text)) = preferences::here() {
        managed.extend(of_text(LayerKind::Managed, path, text));
    } else {
        let (files, unlisted) = managed_files();
        managed.extend(unlisted.map(|unread| Layer::of_unread(LayerKind::Managed, unread)));
        managed.extend(files.into_iter().filter_map(from_file));
    }
    let argument = match argument::of(directory, args, environment) {
        Argument::Absent => None,
        Argument::Given { text, .. } => layer(LayerKind::Argument, PathBuf::from("--settings"), &text),
        Argument::Unread(unread) => Some(Layer::of_unread(LayerKind::Argument, unread)),
    };
    managed.into_iter().chain(argument).chain(own_files(directory, environment).filter_map(from_file)).collect()
}

/// The paths where settings files may be, the strongest first.
pub fn files(directory: &Path, environment: &Environment) -> Vec<(LayerKind, PathBuf)> {
    let managed = match preferences::here() {
        Some((path, _)) => vec![(LayerKind::Managed, path)],
        None => managed_files().0,
    };
    managed.into_iter().chain(own_files(directory, environment)).collect()
}

/// The text of a settings file, or why it can't be read; `None` where there is no file.
pub fn text(path: &Path) -> Option<Result<String, Reason>> {
    if preferences::is_one(path) {
        return preferences::text(path);
    }
    file::bytes(path).map(|bytes| bytes.map(decode))
}

/// The company's files, and a directory that can't be listed. On macOS a profile's preferences take their place.
fn managed_files() -> (Vec<(LayerKind, PathBuf)>, Option<Unread>) {
    // Drop-ins are merged over the base file in the order of their names.
    let (drop_ins, unlisted) = drop_ins(&Path::new(MANAGED_DIRECTORY).join("managed-settings.d"));
    let base = Path::new(MANAGED_DIRECTORY).join("managed-settings.json");
    let files = drop_ins.into_iter().rev().chain([base]).map(|path| (LayerKind::Managed, path));
    (files.collect(), unlisted)
}

fn own_files(directory: &Path, environment: &Environment) -> impl Iterator<Item = (LayerKind, PathBuf)> {
    let repository = [
        (LayerKind::Local, directory.join(".claude/settings.local.json")),
        (LayerKind::Project, directory.join(".claude/settings.json")),
    ];
    let user = user_directory(environment).map(|user| (LayerKind::User, user.join("settings.json")));
    repository.into_iter().chain(user)
}

/// The managed drop-ins by name: claude reads the files that end in `.json` and are not hidden. A directory that can't be listed
/// is not understood.
fn drop_ins(directory: &Path) -> (Vec<PathBuf>, Option<Unread>) {
    let refused = |error: &std::io::Error| {
        let is_absent = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
        let unread = || Unread { path: directory.to_path_buf(), reason: Reason::Refused(plain(error)) };
        (!is_absent).then(unread)
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return (Vec::new(), refused(&error)),
    };
    let (mut paths, mut unlisted) = (Vec::new(), None);
    for entry in entries {
        match entry {
            Ok(entry) => {
                let name = entry.file_name();
                let counts = name.as_bytes().ends_with(b".json") && !name.as_bytes().starts_with(b".");
                paths.extend(counts.then(|| entry.path()));
            }
            Err(error) => unlisted = refused(&error),
        }
    }
    paths.sort();
    (paths, unlisted)
}

/// The directory of the user's own settings.
pub fn user_directory(environment: &Environment) -> Option<PathBuf> {
    match environment.get("CLAUDE_CONFIG_DIR") {
        Some(directory) if !directory.is_empty() => Some(PathBuf::from(directory)),
        _ => Some(environment.home()?.join(".claude")),
    }
}

/// Reads the settings that concern telemetry (pure). `None` where there are none, or where the text is not a JSON object, which
/// claude ignores as a whole. Most settings files contain none of these words, and are not parsed at all.
pub fn layer(kind: LayerKind, path: PathBuf, text: &str) -> Option<Layer> {
    const WORDS: [&str; 4] = ["\"env\"", "otelHeadersHelper", "processWrapper", POLICY_HELPER];
    // Escapes can spell the words otherwise, and claude reads those.
    if !WORDS.iter().any(|word| text.contains(word)) && !text.contains("\\u") {
        return None;
    }
    // The text is not parsed as a `Value`, which refuses numbers, strings and depths that claude accepts. Of repeated members
    // the last is effective.
    let members = json::members(text)?;
    let member = |name: &str| members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
    let has_program = members.iter().any(|(key, value)| key.starts_with(POLICY_HELPER) && value.starts_with('{'));
    if kind == LayerKind::Managed && has_program {
        return Some(Layer::of_unread(kind, Unread { path, reason: Reason::Program }));
    }
    let text =
        |name| member(name).filter(|value| value.starts_with('"')).map(|value| json::text_of(value).into_owned());
    let word = |name| text(name).filter(|text| !text.is_empty());
    let mut env = member("env").and_then(json::members).unwrap_or_default();
    // This keeps the last one, whatever its value.
    let mut seen = HashSet::new();
    env.reverse();
    env.retain(|(name, _)| seen.insert(name.clone()));
    env.reverse();
    Some(Layer {
        env: env.into_iter().map(|(name, value)| (name.into_owned(), variable(value))).collect(),
        headers_helper: word("otelHeadersHelper"),
        process_wrapper: word("processWrapper"),
        ..Layer::new(kind, path)
    })
}

/// The managed key, alone or with an `s` at its end, that lets a program supply the managed settings.
const POLICY_HELPER: &str = "policyHelper";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_hold_what_bears_on_telemetry() {
        let layer = |text: &str| layer(LayerKind::User, "s".into(), text);
        assert_eq!(layer(r#"{"model": "x"}"#), None);
        assert_eq!(layer(r#"{"env": {"OTEL_X": "1",}}"#), None, "an invalid file counts for nothing");
        let repeated = layer(r#"{"env": {"OTEL_X": "1", "OTEL_X": null, "B": "1", "B": "2"}}"#).unwrap();
        assert_eq!((repeated.get("OTEL_X"), repeated.get("B")), (Some("null"), Some("2")), "the last one counts");
        // Values that claude accepts and a stricter reader refuses.
        let nested = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for odd in ["1e400", r#""\ud800""#, nested.as_str()] {
            let text = format!(r#"{{"x": {odd}, "env": {{"A": {odd}}}, "env": {{"B": {odd}, "OTEL_X": 1.0}}}}"#);
            assert_eq!(layer(&text).unwrap().get("OTEL_X"), Some("1"), "{odd}");
        }
        let hidden = layer(r#"{"env": {"\u004fTEL_X": "1"}, "\u006ftelHeadersHelper": "h"}"#).unwrap();
        assert_eq!((hidden.get("OTEL_X"), hidden.headers_helper.as_deref()), (Some("1"), Some("h")));
        let program = r#"{"policyHelper": {"path": "/x"}, "env": {}}"#;
        assert_eq!(layer(program).unwrap().unread(), None, "only managed settings can");
        let managed = super::layer(LayerKind::Managed, "m".into(), program).unwrap();
        assert_eq!(managed.unread().unwrap().to_string(), "m takes the managed settings from a program (policyHelper)");
        let layer = layer(r#"{"env": {"OTEL_X": 5, "A": "b"}, "otelHeadersHelper": ""}"#).unwrap();
        assert_eq!(layer.get("OTEL_X"), Some("5"));
        assert_eq!(layer.headers_helper, None);
        assert_eq!(layer.key("OTEL_X"), "env.OTEL_X in s");
    }
}
