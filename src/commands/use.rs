//! `act use`: sets the alias of this directory or of this repository.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::edit::{self, Change, Edited, Refused, file};
use crate::config::resolve::{self, Directory, Explicit, LARGEST_FILE};
use crate::config::{self, Config};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::{CONFIGURATION, ExitCode, USAGE};
use crate::system::file::read_regular;
use crate::text::paths;

/// Arguments of `act use`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["name", "none", "remove"])))]
pub struct Args {
    /// The alias
    name: Option<String>,
    /// act-claude adds no telemetry in this directory
    #[arg(long)]
    none: bool,
    /// Remove this directory's rule; rules of parent directories apply again
    #[arg(long)]
    remove: bool,
    /// Set it for everybody, in the repository's .act-claude.json
    #[arg(long, conflicts_with_all = ["none", "default"])]
    repo: bool,
    /// Set the default alias instead of this directory's
    #[arg(long)]
    default: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit status 64 for an unknown alias, 78 where the file has faults or can't be written.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let loaded = config::load(environment);
    if let Some(name) = &args.name
        && !loaded.config.aliases.contains_key(name)
    {
        let faults = loaded.faults.iter().map(ToString::to_string);
        let unknown = format!("there is no alias \"{name}\"; {}", loaded.config.suggest_alias(name));
        faults.chain([unknown]).for_each(|line| crate::run::report::fatal(&line));
        return ExitCode::from(USAGE);
    }
    let directory = match std::env::current_dir() {
        Ok(directory) => directory,
        Err(error) => {
            crate::run::report::fatal(&format!("this directory: {}: cd to one that exists", plain(&error)));
            return ExitCode::from(CONFIGURATION);
        }
    };
    let place = Directory::of(&directory, environment, &loaded.config);
    let (subject, edited) = if args.repo {
        let top = top(&place, &directory);
        (top.display().to_string(), in_repository(&top, args.name.as_deref()))
    } else {
        let key = key(&place, &directory, &loaded.config, environment);
        let path = if args.default { vec!["default"] } else { vec!["directories", &key] };
        let change = match &args.name {
            _ if args.remove => Change::remove(path),
            Some(name) => Change::set(path, name.as_str()),
            None => Change::set(path, Value::Null),
        };
        let subject = if args.default { "every directory without a rule".to_owned() } else { key.clone() };
        (subject, edit::commit(environment, &[change]))
    };
    match edited {
        Ok(edited) => say(args, &subject, &edited, &directory, environment),
        Err(refused) => {
            crate::run::report::fatal(&refused.to_string());
            ExitCode::from(CONFIGURATION)
        }
    }
}

/// Prints what was changed, and which alias this directory uses now.
fn say(args: &Args, subject: &str, edited: &Edited, directory: &Path, environment: &Environment) -> ExitCode {
    let config = config::load(environment).config;
    let place = Directory::of(directory, environment, &config);
    let resolution = resolve::resolve(Explicit::of(None, environment), &config, &place).ok();
    let alias = resolution.as_ref().and_then(|resolution| resolution.alias.clone());
    let because = resolution.as_ref().map(|resolution| resolution.reason.to_string()).unwrap_or_default();
    let passed_over: Vec<String> = resolution.map(|resolution| resolution.passed_over).unwrap_or_default();
    if args.json {
        let mut answer = edited.json();
        answer["directory"] = json!(paths::to_text(directory));
        answer["alias"] = json!(alias);
        answer["because"] = json!(because);
        answer["passed_over"] = json!(passed_over);
        return super::print_json(&answer);
    }
    let said = match &args.name {
        _ if args.remove => "has no rule of its own".to_owned(),
        Some(name) => format!("uses {name}"),
        None => "has no telemetry".to_owned(),
    };
    let mut text = format!("{subject} {said} ({})\n", edited.path.display());
    // Something else may take precedence: a variable, a closer rule, or the repository's file.
    let differs = alias != args.name && !args.default;
    if differs || args.remove {
        let here = alias.map_or("no telemetry".to_owned(), |alias| format!("alias {alias}"));
        text.push_str(&format!("here: {here} ({because})\n"));
    }
    passed_over.iter().for_each(|word| text.push_str(&format!("{word}\n")));
    super::print(&text)
}

/// The key of this directory's rule. Where the user's file has a rule for this directory, under any spelling of its path, this is
/// that rule's key. Otherwise it is the path as `$PWD` spells it.
fn key(place: &Directory, directory: &Path, config: &Config, environment: &Environment) -> String {
    let here = place.levels.first().map(|level| level.identity);
    let own = config::user_file(environment);
    let rules = config.directories.iter().zip(&place.rules);
    let existing = rules
        .filter(|(rule, identity)| here.is_some() && **identity == here && Some(rule.origin.path()) == own.as_deref())
        .map(|(rule, _)| rule.written.clone())
        .next();
    existing.unwrap_or_else(|| edit::directory_key(place.logical.as_deref().unwrap_or(directory), environment))
}

/// The top directory of the repository that contains this directory. Without a repository, the directory itself.
fn top(place: &Directory, directory: &Path) -> PathBuf {
    let mut levels = place.levels.iter().map(|level| &level.path);
    levels.find(|path| path.join(".git").exists()).cloned().unwrap_or_else(|| directory.to_path_buf())
}

/// Changes the repository's file. Without a name, the file's alias is removed.
fn in_repository(top: &Path, name: Option<&str>) -> Result<Edited, Refused> {
    let path = top.join(resolve::FILE);
    let refuse = |error: std::io::Error| Refused::File { path: path.clone(), why: plain(&error) };
    let before = match read_regular(&path, LARGEST_FILE) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => String::from_utf8(read.map_err(refuse)?).map_err(|_| refuse(std::io::ErrorKind::InvalidData.into()))?,
    };
    let change = name.map_or_else(|| Change::remove(["alias"]), |name| Change::set(["alias"], name));
    let after = edit::text::apply(&path, &before, &[change]).map_err(|fault| Refused::Faults(vec![fault]))?;
    let changed = after != before && !(before.is_empty() && name.is_none());
    if changed {
        // The file is meant for everybody who has the repository. The repository's history is its backup.
        file::replace(&path, after.as_bytes(), 0o644).map_err(refuse)?;
    }
    Ok(Edited { path, changed, backup: None })
}
