//! `act use`: sets the alias of this directory, of this repository for everybody, or of all its clones on this machine.

mod repository;

use std::path::Path;

use serde_json::{Value, json};

use crate::commands::here::shown;
use crate::commands::{clones, configured};
use crate::config::edit::{self, Change, Edited};
use crate::config::resolve::{self, Directory, Explicit};
use crate::config::{self, Config};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::{CONFIGURATION, ExitCode};
use crate::text::paths;

use repository::Own;

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
    /// Set it for every clone of this repository, wherever it is, by its remote
    #[arg(long, conflicts_with_all = ["repo", "default"])]
    clones: bool,
    /// Set the default alias instead of this directory's
    #[arg(long)]
    default: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit status 64 for an unknown alias, 78 where the file has faults or can't be written, and with `--repo` outside
/// of a repository.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let loaded = match configured::load(environment) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if let Some(refused) = args.name.as_ref().and_then(|name| configured::unusable(&loaded.config, name)) {
        return configured::refuse(refused);
    }
    let directory = match std::env::current_dir() {
        Ok(directory) => directory,
        Err(error) => {
            let why = format!("this directory: {}: cd to one that exists", plain(&error));
            return configured::refuse((CONFIGURATION, why));
        }
    };
    let place = Directory::of(&directory, environment, &loaded.config);
    let done = if args.repo {
        in_repository(args, &loaded.config, &place, &directory, environment)
    } else {
        in_configuration(args, &loaded.config, &place, &directory, environment)
    };
    match done {
        Ok(done) => say(args, &done, &directory, environment),
        Err(refused) => configured::refuse(refused),
    }
}

fn refused(refused: edit::Refused) -> (u8, String) {
    (refused.code(), refused.to_string())
}

/// A change that was made, and how it is said.
struct Done {
    said: String,
    edited: Edited,
    /// Why the change has no effect in this directory; `None` where it has one, or where it is not known.
    ignored: Option<String>,
}

/// Changes the file of the repository that contains this directory.
fn in_repository(
    args: &Args,
    config: &Config,
    place: &Directory,
    directory: &Path,
    environment: &Environment,
) -> Result<Done, (u8, String)> {
    let own = Own::find(place, directory, args.remove).map_err(|why| (CONFIGURATION, why))?;
    let ignored = args.name.as_ref().and_then(|name| own.ignored(name, config, place));
    let edited = own.change(args.name.as_deref()).map_err(refused)?;
    let file = shown(own.path(), environment);
    let top = shown(own.path().parent().unwrap_or(directory), environment);
    let said = match (&args.name, &ignored) {
        (Some(name), None) => format!("{top} uses {name} ({file})"),
        (Some(name), Some(why)) => format!("{file} names {name}, but here it is ignored: {why}"),
        (None, _) => format!("{file} names no alias any more"),
    };
    Ok(Done { said, edited, ignored })
}

/// Changes the user's configuration.
fn in_configuration(
    args: &Args,
    config: &Config,
    place: &Directory,
    directory: &Path,
    environment: &Environment,
) -> Result<Done, (u8, String)> {
    let key = if args.clones {
        let address = clones::address(place, config, environment)
            .map_err(|why| (CONFIGURATION, format!("nothing was changed: {why}")))?;
        clones::key(&address, config, config::user_file(environment).as_deref())
    } else {
        key(place, directory, config, environment)
    };
    let path = match args {
        Args { default: true, .. } => vec!["default"],
        Args { clones: true, .. } => vec!["repositories", &key],
        _ => vec!["directories", &key],
    };
    let change = match &args.name {
        _ if args.remove => Change::remove(path),
        Some(name) => Change::set(path, name.as_str()),
        None => Change::set(path, Value::Null),
    };
    let edited = edit::commit(environment, &[change]).map_err(refused)?;
    let said = match &args.name {
        _ if args.remove && args.default => "there is no default alias any more".to_owned(),
        _ if args.remove => format!("{key} has no rule of its own"),
        name => {
            let subject = match args {
                Args { default: true, .. } => "every directory without a rule".to_owned(),
                Args { clones: true, .. } => format!("every clone of {key}"),
                _ => key.clone(),
            };
            let what = name.as_ref().map_or("has no telemetry".to_owned(), |name| format!("uses {name}"));
            format!("{subject} {what}")
        }
    };
    let file = shown(&edited.path, environment);
    Ok(Done { said: format!("{said} ({file})"), edited, ignored: None })
}

/// Prints what was changed, and which alias this directory uses now.
fn say(args: &Args, done: &Done, directory: &Path, environment: &Environment) -> ExitCode {
    let config = config::load(environment).config;
    let place = Directory::of(directory, environment, &config);
    let resolution = resolve::resolve(Explicit::of(None, environment), &config, &place).ok();
    let alias = resolution.as_ref().and_then(|resolution| resolution.alias.clone());
    let because = resolution.as_ref().map(|resolution| resolution.reason.to_string()).unwrap_or_default();
    let passed_over: Vec<String> = resolution.map(|resolution| resolution.passed_over).unwrap_or_default();
    if args.json {
        let mut answer = done.edited.json();
        answer["directory"] = json!(paths::to_text(directory));
        answer["alias"] = json!(alias);
        answer["because"] = json!(because);
        answer["passed_over"] = json!(passed_over);
        answer["ignored"] = json!(done.ignored);
        return super::print_json(&answer);
    }
    let mut text = format!("{}\n", done.said);
    // Something else may take precedence: a variable, a closer rule, or the repository's file.
    let differs = alias != args.name && !args.default;
    if differs || args.remove {
        let here = alias.map_or("no telemetry".to_owned(), |alias| format!("alias {alias}"));
        text.push_str(&format!("here: {here} ({because})\n"));
    }
    if done.ignored.is_none() {
        passed_over.iter().for_each(|word| text.push_str(&format!("{word}\n")));
    }
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
