//! Decides in which directories an alias is used. Pure, except that it looks whether a typed directory exists.

use std::path::{Path, PathBuf};

use super::dialogue::{Dialogue, Offer, Question, Stop};
use super::facts::Facts;
use crate::config::edit;

/// The configuration keys of the directories that get the alias, and whether the alias becomes the default.
pub fn choose(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>, name: &str) -> Result<(Vec<String>, bool), Stop> {
    let key = |directory: &Path| edit::directory_key(directory, facts.environment);
    let directories = facts.directories.iter().map(|directory| key(directory)).collect::<Vec<_>>();
    let is_used_here = facts.alias_here.as_deref() == Some(name);
    if !directories.is_empty() || facts.args.default || !dialogue.can_ask() || is_used_here {
        return Ok((directories, facts.args.default));
    }
    let options = vec![
        Offer::noted(format!("in {} and all below", key(&facts.here)), "this directory"),
        Offer::plain("in all directories without a rule"),
        Offer::plain("in another directory"),
        Offer::plain("nowhere yet"),
    ];
    let ask = format!("Where should {name} be used");
    match dialogue.choose(&Question { ask: &ask, help: "", flag: "" }, options)? {
        0 => Ok((vec![key(&facts.here)], false)),
        1 => Ok((Vec::new(), true)),
        2 => {
            let question = Question { ask: "Directory", help: "an existing one; ~ is your home directory", flag: "" };
            let home = facts.environment.home();
            let text = dialogue.text(&question, None, |text| {
                let is_there = expanded(text, std::env::home_dir().as_deref()).is_dir();
                if is_there { Ok(()) } else { Err("there is no such directory".to_owned()) }
            })?;
            let directory = facts.here.join(expanded(&text, home.as_deref()));
            Ok((vec![key(&directory.canonicalize().unwrap_or(directory))], false))
        }
        _ => Ok((Vec::new(), false)),
    }
}

fn expanded(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}
