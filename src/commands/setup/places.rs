//! Where an alias is used.

use std::path::{Path, PathBuf};

use super::Setup;
use super::ask::{Asker, Offer, Question, Stop};
use crate::config::resolve::{self, Explicit, Place};
use crate::config::{Config, edit};
use crate::system::error::plain;

/// Keys of the directories that get the alias, and whether it becomes the default.
pub fn choose(setup: &Setup<'_>, asker: &mut Asker, name: &str) -> Result<(Vec<String>, bool), Stop> {
    let key = |directory: &Path| edit::directory_key(directory, setup.environment);
    let mut directories = Vec::new();
    for directory in &setup.args.directories {
        let found = setup.here.join(directory).canonicalize();
        let why = |error| Stop::Usage(vec![format!("--directory {}: {}", directory.display(), plain(&error))]);
        directories.push(key(&found.map_err(why)?));
    }
    if !directories.is_empty() || setup.args.default || !asker.can_ask() || resolved_here(setup) == Some(name) {
        return Ok((directories, setup.args.default));
    }
    let options = vec![
        Offer::noted(format!("in {} and all below", key(&setup.here)), "this directory"),
        Offer::plain("wherever no directory says otherwise"),
        Offer::plain("in another directory"),
        Offer::plain("nowhere yet"),
    ];
    let ask = format!("Where should {name} be used");
    match asker.choose(&Question { ask: &ask, help: "", flag: "" }, options)? {
        0 => Ok((vec![key(&setup.here)], false)),
        1 => Ok((Vec::new(), true)),
        2 => {
            let question = Question { ask: "Directory", help: "an existing one; ~ is your home directory", flag: "" };
            let home = setup.environment.home();
            let text = asker.text(&question, None, |text| {
                let is_there = expanded(text, std::env::home_dir().as_deref()).is_dir();
                if is_there { Ok(()) } else { Err("there is no such directory".to_owned()) }
            })?;
            let directory = setup.here.join(expanded(&text, home.as_deref()));
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

/// The alias that this directory has already.
fn resolved_here<'a>(setup: &Setup<'a>) -> Option<&'a str> {
    let config: &'a Config = &setup.loaded.config;
    let place = Place::of(&setup.here, setup.environment, config);
    let name = resolve::resolve(Explicit::default(), config, &place).ok()?.alias?;
    config.aliases.get_key_value(&name).map(|(name, _)| name.as_str())
}
