//! Finds the documented recipe in Claude Code's settings, and the directories it applies to.
//!
//! The guide puts the recipe into the user's settings, or into each project's. A project's file may come from somebody else, so
//! it can't send the user's own credential to another host.

use std::path::{Path, PathBuf};

use crate::claude::settings;
use crate::config::is_loopback;
use crate::config::typed::endpoint::{address, is_documented};
use crate::system::environment::Environment;
use crate::system::file;

use super::recipe::{self, Reading, Recipe};
use super::settings_file::SettingsFile;

/// The result of one directory's settings.
#[derive(Clone)]
pub struct Entry {
    /// The directory. `None`: the user's own settings, which apply to all other directories.
    pub directory: Option<PathBuf>,
    /// The recipe. `None`: telemetry is switched off there.
    pub recipe: Option<Recipe>,
}

/// What the user has to delete in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The file.
    pub path: PathBuf,
    /// The names of the variables and their line numbers.
    pub variables: Vec<(String, usize)>,
    /// Warnings for the user.
    pub notes: Vec<String>,
}

/// All that was found.
#[derive(Default)]
pub struct Found {
    /// The results. The user's own settings come first.
    pub entries: Vec<Entry>,
    /// Files with variables of the recipe.
    pub removals: Vec<Removal>,
    /// What was not used, and why.
    pub notes: Vec<String>,
}

/// A state file of claude's larger than this is not read.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The working directory and its ancestors, then the directories in which claude has been used.
pub fn directories(here: &Path, environment: &Environment) -> Vec<PathBuf> {
    let state = match environment.path("CLAUDE_CONFIG_DIR") {
        Some(directory) => Some(directory.join(".claude.json")),
        None => environment.home().map(|home| home.join(".claude.json")),
    };
    let text = state.and_then(|path| file::read_regular(&path, LARGEST).ok()).map(settings::decode).unwrap_or_default();
    let known: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let known = known.get("projects").and_then(serde_json::Value::as_object).into_iter().flatten();
    let known = known.map(|(path, _)| PathBuf::from(path)).filter(|path| path.is_absolute());
    let mut all: Vec<PathBuf> = Vec::new();
    for path in here.ancestors().map(Path::to_path_buf).chain(known) {
        if let Ok(path) = path.canonicalize()
            && !all.contains(&path)
        {
            all.push(path);
        }
    }
    all
}

/// Reads the user's settings and those of `directories`.
pub fn find(directories: &[PathBuf], environment: &Environment) -> Found {
    let mut found = Found::default();
    let user_path = settings::user_directory(environment).map(|directory| directory.join("settings.json"));
    let user = user_path.as_deref().and_then(|path| found.file(path));
    let own = Reading::of(|name| user.as_ref()?.get(name));
    let own_endpoint = user.as_ref().and_then(|file| file.get(recipe::ENDPOINT)).map(str::to_owned);
    match own {
        Reading::Recipe(recipe) => found.entries.push(Entry { directory: None, recipe: Some(*recipe) }),
        Reading::Off => {
            let path = user_path.as_deref().unwrap_or(Path::new("settings.json")).display();
            found.notes.push(format!("{path} switches telemetry off: this applies until it is removed"));
        }
        Reading::Nothing => {}
    }
    for directory in directories {
        // In the home directory, the project's settings file is the user's own.
        let is_users = |path: &Path| user_path.as_ref().is_some_and(|user| same_file(user, path));
        let project = directory.join(".claude/settings.json");
        let files = [directory.join(".claude/settings.local.json"), project];
        let files: Vec<SettingsFile> =
            files.iter().filter(|path| !is_users(path)).filter_map(|path| found.file(path)).collect();
        if files.iter().all(|file| recipe::VARIABLES.iter().all(|name| file.get(name).is_none())) {
            continue;
        }
        let layers: Vec<&SettingsFile> = files.iter().chain(&user).collect();
        let reading = Reading::of(|name| layers.iter().find_map(|file| file.get(name)));
        match reading {
            Reading::Nothing => {}
            Reading::Off => found.entries.push(Entry { directory: Some(directory.clone()), recipe: None }),
            Reading::Recipe(recipe) => {
                let endpoint = recipe.endpoint.as_deref().unwrap_or_default();
                let is_moved = match (layer_setting_credential(&layers), layer_setting(&layers, recipe::ENDPOINT)) {
                    (Some(credential), Some(at)) if credential != at => {
                        let meant = layers[credential].get(recipe::ENDPOINT).or(own_endpoint.as_deref());
                        !is_documented(endpoint) && meant.and_then(origin) != origin(endpoint)
                    }
                    _ => false,
                };
                if is_moved {
                    // An endpoint that can't be used is not in the recipe.
                    let written = layers.iter().find_map(|file| host(file.get(recipe::ENDPOINT)?));
                    found.notes.push(format!(
                        "{}: ignored: its settings would send your token to {}",
                        directory.display(),
                        address(endpoint).or(written).unwrap_or_else(|| "an address that can't be used".to_owned())
                    ));
                } else {
                    found.entries.push(Entry { directory: Some(directory.clone()), recipe: Some(*recipe) });
                }
            }
        }
    }
    found
}

impl Found {
    /// Reads a settings file, and notes what the user has to delete in it.
    fn file(&mut self, path: &Path) -> Option<SettingsFile> {
        match SettingsFile::read(path)? {
            Err(fault) => {
                self.notes.push(format!("ignored: {fault}"));
                None
            }
            Ok(file) => {
                self.removals.extend(removal(&file));
                for line in &file.commas {
                    self.notes.push(format!(
                        "{}:{line}: a trailing comma: claude ignores the whole file, so none of its settings worked",
                        file.path.display()
                    ));
                }
                Some(file)
            }
        }
    }
}

/// What to delete in a file. `None` where the file by itself does not hold the recipe or a part of it.
fn removal(file: &SettingsFile) -> Option<Removal> {
    if !matches!(Reading::of(|name| file.get(name)), Reading::Recipe(_)) {
        return None;
    }
    let has_others = ["OTEL_LOGS_EXPORTER", "OTEL_TRACES_EXPORTER"].iter().any(|name| file.get(name).is_some());
    let is_shared = |name: &str| has_others && [recipe::PROTOCOL, recipe::HEADERS].contains(&name);
    let own = file.env.iter().filter(|variable| recipe::VARIABLES.contains(&variable.name.as_str()));
    let (shared, own): (Vec<_>, Vec<_>) = own.partition(|variable| is_shared(&variable.name));
    let mut notes = Vec::new();
    if !shared.is_empty() {
        notes.push(format!(
            "your logs or traces use {} and {} too: from the headers remove only Authorization and X-Alias-Id",
            recipe::PROTOCOL,
            recipe::HEADERS
        ));
    }
    let is_project = file.path.parent().is_some_and(|directory| directory.ends_with(".claude"))
        && file.path.file_name().is_some_and(|name| name == "settings.json");
    if is_project && file.get(recipe::HEADERS).is_some_and(|headers| headers.contains("Basic")) {
        notes.push("if this file is in a repository, the token is in its history: make a new token".to_owned());
    }
    let variables = own.into_iter().map(|variable| (variable.name.clone(), variable.line)).collect();
    Some(Removal { path: file.path.clone(), variables, notes })
}

/// The index of the first layer that sets a variable.
fn layer_setting(layers: &[&SettingsFile], name: &str) -> Option<usize> {
    layers.iter().position(|file| file.get(name).is_some())
}

/// The index of the layer that sets the credential: of the two lists of headers, the first that has one.
fn layer_setting_credential(layers: &[&SettingsFile]) -> Option<usize> {
    let has_credential = |at: &usize, name: &str| {
        layers[*at].get(name).is_some_and(|list| recipe::header([list], "Authorization").is_some())
    };
    [recipe::HEADERS, recipe::METRICS_HEADERS]
        .into_iter()
        .find_map(|name| layer_setting(layers, name).filter(|at| has_credential(at, name)))
}

/// Whether the user's token may be sent to `endpoint` without a question: it is ACT's documented host, or one of the user's own
/// endpoints has the same host and port, or, if `may_be_here`, it is this machine.
pub fn is_expected<'a>(endpoint: &str, mut own: impl Iterator<Item = &'a str>, may_be_here: bool) -> bool {
    is_documented(endpoint)
        || own.any(|own| origin(own) == origin(endpoint))
        || (may_be_here && host(endpoint).is_some_and(|host| is_loopback(&host)))
}

/// A URL's host, in lower case, and its port: who receives what is sent there.
pub fn origin(endpoint: &str) -> Option<(String, u16)> {
    let url = endpoint.parse::<hyper::Uri>().ok()?;
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
    Some((url.host()?.to_ascii_lowercase(), port))
}

/// A URL's host, in lower case.
pub fn host(endpoint: &str) -> Option<String> {
    endpoint.parse::<hyper::Uri>().ok()?.host().map(str::to_ascii_lowercase)
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
