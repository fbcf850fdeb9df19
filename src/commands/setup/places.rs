//! Decides in which directories an alias is used, and which claude. Pure, except that it looks whether a typed directory exists.

use std::path::{Path, PathBuf};

use super::dialogue::{Dialogue, Offer, Question, Stop};
use super::facts::Facts;
use crate::config::edit;

/// Where an alias is used.
#[derive(Debug, Default)]
pub struct Places {
    /// The configuration keys of directories.
    pub directories: Vec<String>,
    /// A repository, in all its clones.
    pub clones: Option<String>,
    /// All directories without a rule.
    pub default: bool,
}

impl Places {
    fn directories(directories: Vec<String>) -> Self {
        Self { directories, ..Self::default() }
    }
}

/// Decides where the alias is used.
pub fn choose(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>, name: &str) -> Result<Places, Stop> {
    let key = |directory: &Path| edit::directory_key(directory, facts.environment);
    let directories = facts.directories.iter().map(|directory| key(directory)).collect::<Vec<_>>();
    let is_used_here = facts.alias_here.as_deref() == Some(name);
    if !directories.is_empty() || facts.args.default || is_used_here {
        return Ok(Places { directories, default: facts.args.default, clones: None });
    }
    if !dialogue.can_ask() {
        return Ok(Places::directories(without_question(facts, dialogue, name)));
    }
    let mut options = vec![
        (Choice::Here, Offer::noted(format!("in {} and all below", key(&facts.here)), "this directory")),
        (Choice::Default, Offer::plain("in all directories without a rule")),
        (Choice::Elsewhere, Offer::plain("in another directory")),
        (Choice::Nowhere, Offer::plain("nowhere yet")),
    ];
    if let Some(clones) = &facts.clones {
        options.insert(1, (Choice::Clones, Offer::plain(format!("in every clone of {clones}"))));
    }
    let ask = format!("Where should {name} be used");
    let (choices, offers): (Vec<Choice>, Vec<Offer>) = options.into_iter().unzip();
    match choices[dialogue.choose(&Question { ask: &ask, help: "", flag: "" }, offers)?] {
        Choice::Here => Ok(Places::directories(vec![key(&facts.here)])),
        Choice::Clones => Ok(Places { clones: facts.clones.clone(), ..Places::default() }),
        Choice::Default => Ok(Places { default: true, ..Places::default() }),
        Choice::Elsewhere => {
            let question = Question { ask: "Directory", help: "an existing one; ~ is your home directory", flag: "" };
            let home = facts.environment.home();
            let text = dialogue.text(&question, None, |text| {
                let is_there = expanded(text, std::env::home_dir().as_deref()).is_dir();
                if is_there { Ok(()) } else { Err("there is no such directory".to_owned()) }
            })?;
            let directory = facts.here.join(expanded(&text, home.as_deref()));
            Ok(Places::directories(vec![key(&directory.canonicalize().unwrap_or(directory))]))
        }
        Choice::Nowhere => Ok(Places::default()),
    }
}

/// An answer to the question where an alias is used.
#[derive(Debug, Clone, Copy)]
enum Choice {
    Here,
    Clones,
    Default,
    Elsewhere,
    Nowhere,
}

/// With `--yes`: this directory, as the question proposes. It is refused where the rule would apply to everything that the user
/// has, or would replace what the user said about this directory.
fn without_question(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>, name: &str) -> Vec<String> {
    let config = &facts.loaded.config;
    let is_default = config.default.as_ref().is_some_and(|default| default.value.as_deref() == Some(name));
    let is_used = is_default || config.directories.iter().any(|rule| rule.alias.as_deref() == Some(name));
    if !dialogue.takes_defaults() || is_used {
        return Vec::new();
    }
    let here = edit::directory_key(&facts.here, facts.environment);
    let closest = config.directories.iter().filter(|rule| facts.here.starts_with(&rule.path));
    let closest = closest.max_by_key(|rule| rule.path.components().count());
    match closest {
        _ if facts.here_is_broad => dialogue.note_missing(format!(
            "--directory DIR or --default: where the alias is used; --yes does not take {here}, which holds everything else"
        )),
        Some(rule) if rule.alias.is_none() => dialogue.note_missing(format!(
            "--directory DIR or --default: where the alias is used; the rule for {} says that there is no telemetry here",
            rule.written
        )),
        Some(rule) if rule.path == facts.here => dialogue.note_missing(format!(
            "--directory DIR or --default: where the alias is used; {here} uses {} already, which --directory . replaces",
            rule.alias.as_deref().unwrap_or_default()
        )),
        _ => return vec![here],
    }
    Vec::new()
}

/// The path of a claude that is installed but not on PATH, where the user wants it in the configuration.
pub fn claude(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>) -> Result<Option<String>, Stop> {
    let Some(path) = &facts.claude_apart else { return Ok(None) };
    let shown = edit::directory_key(path, facts.environment);
    let ask = format!("claude is not on PATH, but {shown} is there. Name it in the configuration?");
    let question = Question { ask: &ask, help: "otherwise act-claude can't start it until it is on PATH", flag: "" };
    let is_wanted = if dialogue.can_ask() { dialogue.confirm(&question, true)? } else { dialogue.takes_defaults() };
    Ok(is_wanted.then_some(shown))
}

fn expanded(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}
