//! Claude Code's settings layers, as far as they decide about telemetry. Read only, never written.
//!
//! Observed order, strongest first: managed, `--settings`, local, project, user, the environment
//! (docs/observed-claude.md). An invalid file counts for nothing, as it does for claude.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::arguments::argument_value;
use crate::system::environment::Environment;
use crate::text::json;

/// Where settings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The company's, in the system.
    Managed,
    /// `--settings` on claude's command line.
    Argument,
    /// `.claude/settings.local.json`
    Local,
    /// `.claude/settings.json`
    Project,
    /// The user's.
    User,
    /// The process environment: never read from a file, weaker than all of them.
    Environment,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Which.
    pub kind: Kind,
    /// The file, or `--settings`.
    pub path: PathBuf,
    /// Its `env`, values as text.
    pub env: Vec<(String, String)>,
    /// `otelHeadersHelper`, where it names one.
    pub headers_helper: Option<String>,
    /// `processWrapper`, where it names one.
    pub process_wrapper: Option<String>,
}

impl Layer {
    /// The value its `env` gives `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// How to name a key of it.
    pub fn key(&self, name: &str) -> String {
        format!("env.{name} in {}", self.path.display())
    }
}

/// The directory of managed settings.
pub const MANAGED_DIRECTORY: &str =
    if cfg!(target_os = "macos") { "/Library/Application Support/ClaudeCode" } else { "/etc/claude-code" };

/// A file larger than this is not read.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Reads all layers that bear on telemetry, strongest first.
pub fn read(directory: &Path, args: &[OsString], environment: &Environment) -> Vec<Layer> {
    let (managed, own): (Vec<_>, Vec<_>) =
        files(directory, environment).into_iter().partition(|(kind, _)| *kind == Kind::Managed);
    let from_file = |(kind, path)| file(kind, path);
    let managed = managed.into_iter().filter_map(from_file);
    let argument = argument_text(directory, args, environment);
    let argument = argument.and_then(|text| layer(Kind::Argument, PathBuf::from("--settings"), &text));
    managed.chain(argument).chain(own.into_iter().filter_map(from_file)).collect()
}

/// Where settings files may be, strongest first.
pub fn files(directory: &Path, environment: &Environment) -> Vec<(Kind, PathBuf)> {
    let managed = Path::new(MANAGED_DIRECTORY);
    let mut drop_ins: Vec<PathBuf> = std::fs::read_dir(managed.join("managed-settings.d"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    // Drop-ins are merged over the base file in the order of their names.
    drop_ins.sort();
    let managed = drop_ins.into_iter().rev().chain([managed.join("managed-settings.json")]);
    let user = user_directory(environment).map(|user| (Kind::User, user.join("settings.json")));
    managed
        .map(|path| (Kind::Managed, path))
        .chain([
            (Kind::Local, directory.join(".claude/settings.local.json")),
            (Kind::Project, directory.join(".claude/settings.json")),
        ])
        .chain(user)
        .collect()
}

/// Where the user's own settings are.
pub fn user_directory(environment: &Environment) -> Option<PathBuf> {
    match environment.get("CLAUDE_CONFIG_DIR") {
        Some(directory) if !directory.is_empty() => Some(PathBuf::from(directory)),
        _ => Some(environment.home()?.join(".claude")),
    }
}

/// What the user gives to `--settings`: JSON, or a file's content; `None` where there is no such argument or
/// no such file. An overlay of ours stands for what the user had.
pub fn argument_text(directory: &Path, args: &[OsString], environment: &Environment) -> Option<String> {
    let value = argument_value(args)?;
    match value.to_str() {
        Some(json) if json.trim_start().starts_with('{') => Some(json.to_owned()),
        _ => {
            let path = directory.join(value);
            let state = crate::state::directory(environment);
            let own = state.and_then(|state| super::overlay::own_beside(&state, &path));
            read_bounded(&own.unwrap_or(path))
        }
    }
}

fn file(kind: Kind, path: PathBuf) -> Option<Layer> {
    let text = read_bounded(&path)?;
    layer(kind, path, &text)
}

/// The text of a settings file of sensible size.
pub fn read_bounded(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    (metadata.is_file() && metadata.len() <= LARGEST).then(|| std::fs::read_to_string(path).ok()).flatten()
}

/// Reads what bears on telemetry (pure). Most settings files hold none of it and are not parsed at all.
pub fn layer(kind: Kind, path: PathBuf, text: &str) -> Option<Layer> {
    const WORDS: [&str; 4] = ["OTEL_", "CLAUDE_CODE_", "otelHeadersHelper", "processWrapper"];
    // Escapes can spell them otherwise, and claude would read them.
    if !WORDS.iter().any(|word| text.contains(word)) && !text.contains("\\u") {
        return None;
    }
    // Not as a `Value`, which refuses numbers, strings and depths that are nothing to claude. Of repeated members the
    // last counts.
    let members = json::members(text)?;
    let member = |name: &str| members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
    let text =
        |name| member(name).filter(|value| value.starts_with('"')).map(|value| json::text_of(value).into_owned());
    let word = |name| text(name).filter(|text| !text.is_empty());
    let mut env = member("env").and_then(json::members).unwrap_or_default();
    // The last one, even if it is a null that takes the name back.
    let mut seen = HashSet::new();
    env.reverse();
    env.retain(|(name, _)| seen.insert(name.clone()));
    env.reverse();
    Some(Layer {
        kind,
        path,
        env: env.into_iter().filter_map(|(name, value)| Some((name.into_owned(), variable(value)?))).collect(),
        headers_helper: word("otelHeadersHelper"),
        process_wrapper: word("processWrapper"),
    })
}

/// What claude puts into the environment for a value of `env`, as JSON; `None` for what it puts nothing in for.
pub fn variable(value: &str) -> Option<String> {
    match value.as_bytes().first()? {
        b'"' => Some(json::text_of(value).into_owned()),
        b't' | b'f' => Some(value.to_owned()),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.parse::<f64>().map_or_else(|_| value.to_owned(), |number| number.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_hold_what_bears_on_telemetry() {
        let layer = |text: &str| layer(Kind::User, "s".into(), text);
        assert_eq!(layer(r#"{"model": "x"}"#), None);
        assert_eq!(layer(r#"{"env": {"OTEL_X": "1",}}"#), None, "an invalid file counts for nothing");
        let repeated = layer(r#"{"env": {"OTEL_X": "1", "OTEL_X": null, "B": "1", "B": "2"}}"#).unwrap();
        assert_eq!((repeated.get("OTEL_X"), repeated.get("B")), (None, Some("2")), "the last one counts");
        // What claude takes and a stricter reader would not.
        let nested = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for odd in ["1e400", r#""\ud800""#, nested.as_str()] {
            let text = format!(r#"{{"x": {odd}, "env": {{"A": {odd}}}, "env": {{"B": {odd}, "OTEL_X": 1.0}}}}"#);
            assert_eq!(layer(&text).unwrap().get("OTEL_X"), Some("1"), "{odd}");
        }
        let hidden = layer(r#"{"env": {"\u004fTEL_X": "1"}, "\u006ftelHeadersHelper": "h"}"#).unwrap();
        assert_eq!((hidden.get("OTEL_X"), hidden.headers_helper.as_deref()), (Some("1"), Some("h")));
        let layer = layer(r#"{"env": {"OTEL_X": 5, "A": "b"}, "otelHeadersHelper": ""}"#).unwrap();
        assert_eq!(layer.get("OTEL_X"), Some("5"));
        assert_eq!(layer.headers_helper, None);
        assert_eq!(layer.key("OTEL_X"), "env.OTEL_X in s");
    }
}
