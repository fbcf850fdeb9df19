//! `act aliases`: lists the configured aliases with the directories that use them, adds aliases, and removes them.

use std::path::Path;

use anstyle::Style;
use serde_json::{Value, json};

use crate::commands::configured;
use crate::commands::here::{self, Here, is_here};
use crate::config::copies::Destination;
use crate::config::edit::{self, Change};
use crate::config::typed::secret::{is_secret, quoted};
use crate::config::typed::{self, Read};
use crate::config::{self, Config, Located};
use crate::system::environment::Environment;
use crate::system::exit::{ExitCode, USAGE};
use crate::text::home;
use crate::text::page::{self, BOLD};
use crate::text::paths;
use crate::text::table::{Table, cell, styled, words};

/// Arguments of `act aliases`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Add an alias, or change the given values of an existing one
    #[arg(long, value_name = "NAME", conflicts_with = "remove")]
    add: Option<String>,
    /// Its account; may be left out where there is only one
    #[arg(long, value_name = "NAME", requires = "add")]
    account: Option<String>,
    /// Its extAccountAliasId
    #[arg(long, requires = "add")]
    id: Option<String>,
    /// Its providerType
    #[arg(long, value_name = "TYPE", requires = "add")]
    provider_type: Option<String>,
    /// A resource attribute of its exports; may be repeated
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute, requires = "add")]
    attributes: Vec<(String, String)>,
    /// Remove an alias
    #[arg(long, value_name = "NAME")]
    remove: Option<String>,
    /// The alias that the directories of the removed one use from then on
    #[arg(long, value_name = "NAME", requires = "remove")]
    move_to: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether it changes the configuration.
    pub fn changes(&self) -> bool {
        self.add.is_some() || self.remove.is_some()
    }
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the command. Exit status 64 where the requested change is not possible, 78 where the configuration has faults.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    if !args.changes() {
        return list(args, environment);
    }
    let loaded = match configured::load(environment) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let changes = match (&args.add, &args.remove) {
        (Some(name), _) => add(args, name, &loaded.config).map_err(|why| (USAGE, why)),
        (_, name) => {
            let name = name.as_deref().unwrap_or_default();
            let refused = configured::unusable(&loaded.config, name);
            refused.map_or(Ok(()), Err).and_then(|()| {
                remove(name, args.move_to.as_deref(), &loaded.config, environment).map_err(|why| (USAGE, why))
            })
        }
    };
    let changes = match changes {
        Ok(changes) => changes,
        Err(refused) => return configured::refuse(refused),
    };
    match edit::commit(environment, &changes) {
        Ok(edited) if args.json => super::print_json(&edited.json()),
        Ok(edited) => {
            let said = match (&args.add, edited.changed) {
                (_, false) => "nothing to change",
                (Some(name), true) if loaded.config.aliases.contains_key(name) => "changed",
                (Some(_), true) => "added",
                (None, true) => "removed",
            };
            let name = args.add.as_ref().or(args.remove.as_ref()).map_or("", String::as_str);
            super::print(&format!("{name}: {said} ({})\n", here::shown(&edited.path, environment)))
        }
        Err(refused) => configured::refuse((refused.code(), refused.to_string())),
    }
}

/// The changes that add the alias `name`. Where it exists, only the fields given are changed.
fn add(args: &Args, name: &str, config: &Config) -> Result<Vec<Change>, String> {
    if let Some(fault) = config.broken.aliases.get(name) {
        return Err(fault.to_string());
    }
    let existing = config.aliases.get(name);
    let mut missing = Vec::new();
    if existing.is_none() {
        typed::name::read(name).map_err(|why| format!("--add: it {why}"))?;
    }
    let is_new = |account: &&str| !config.accounts.contains_key(*account) && is_secret(account);
    if let Some(account) = args.account.as_deref().filter(is_new) {
        typed::name::read(account).map_err(|why| format!("--account: it {why}"))?;
    }
    let account = match (&args.account, existing) {
        (Some(account), _) => {
            config.account(account).map_err(|why| format!("--account: {why}"))?;
            Some(account.as_str())
        }
        (None, Some(_)) => None,
        (None, None) => only_account(config, &mut missing)?,
    };
    let read = |flag: &str, given: &Option<String>, read: Read| {
        let typed = given.as_deref().map(read).transpose();
        typed.map(|typed| typed.map(|typed| typed.value)).map_err(|why| format!("{flag}: it {why}"))
    };
    let id = read("--id", &args.id, typed::alias::id)?;
    let provider_type = read("--provider-type", &args.provider_type, typed::alias::provider_type)?;
    for (flag, given) in [("--id ID", &id), ("--provider-type TYPE", &provider_type)] {
        if given.is_none() && existing.is_none() {
            missing.push(flag);
        }
    }
    if let Some((last, before)) = missing.split_last() {
        let list = if before.is_empty() { (*last).to_owned() } else { format!("{} and {last}", before.join(", ")) };
        let known = config.accounts.keys().map(String::as_str).collect::<Vec<_>>();
        let which = if known.len() > 1 { format!("; the accounts are {}", known.join(", ")) } else { String::new() };
        return Err(format!("a new alias needs {list}: ID and TYPE are in its Monitoring Spec{which}"));
    }
    let fields = [("account", account), ("id", id.as_deref()), ("provider_type", provider_type.as_deref())];
    let given = fields.into_iter().filter_map(|(key, value)| Some((key, Value::from(value?))));
    let attributes = args.attributes.iter().map(|(key, value)| (key.as_str(), Value::from(value.as_str())));
    if existing.is_none() {
        let attributes = (!args.attributes.is_empty()).then(|| ("attributes", edit::object(attributes)));
        return Ok(vec![Change::set(["aliases", name], edit::object(given.chain(attributes)))]);
    }
    let given = given.map(|(key, value)| Change::set(["aliases", name, key], value));
    let attributes = attributes.map(|(key, value)| Change::set(["aliases", name, "attributes", key], value));
    Ok(given.chain(attributes).collect())
}

/// The only account. Where there are several, the flag that names one is added to `missing`.
fn only_account<'a>(config: &'a Config, missing: &mut Vec<&str>) -> Result<Option<&'a str>, String> {
    let accounts: Vec<&str> = config.accounts.keys().map(String::as_str).collect();
    match accounts[..] {
        [] => Err("there is no account yet: act-claude act setup".to_owned()),
        [only] => Ok(Some(only)),
        _ => {
            missing.push("--account NAME");
            Ok(None)
        }
    }
}

/// The changes that remove the alias `name`, which there is. Rules that use it are moved to another alias. Without one, the removal is refused:
/// a directory without its rule would come under another alias, which nobody asked for.
fn remove(
    name: &str,
    move_to: Option<&str>,
    config: &Config,
    environment: &Environment,
) -> Result<Vec<Change>, String> {
    let alias = &config.aliases[name];
    let is_own = |origin: &crate::text::json::Origin| config::user_file(environment).as_deref() == Some(origin.path());
    if !is_own(&alias.origin) {
        return Err(format!("{}: only its owner can remove it", alias.origin));
    }
    if let Some(other) = move_to
        && (other == name || !config.aliases.contains_key(other))
    {
        return Err(format!("--move-to: there is no other alias {}; {}", quoted(other), config.suggest_alias(other)));
    }
    let rules = config.directories.iter().filter(|rule| rule.alias.as_deref() == Some(name) && is_own(&rule.origin));
    let mut uses: Vec<Vec<&str>> = rules.map(|rule| vec!["directories", rule.written.as_str()]).collect();
    let clones = config.repositories.iter();
    let clones = clones.filter(|rule| rule.alias.as_deref() == Some(name) && is_own(&rule.origin));
    let clones: Vec<String> = clones.map(|rule| rule.value.written).collect();
    uses.extend(clones.iter().map(|written| vec!["repositories", written.as_str()]));
    if config.default.as_ref().is_some_and(|default| default.value.as_deref() == Some(name) && is_own(&default.origin))
    {
        uses.push(vec!["default"]);
    }
    let copies: Vec<_> = config.copies.iter().filter(|(_, copy)| is_own(&copy.origin) && copy.is_of(name)).collect();
    if let (None, false) = (move_to, uses.is_empty() && copies.is_empty()) {
        let rules = uses.iter().filter_map(|path| path.last()).map(|rule| (*rule).to_owned());
        let uses: Vec<String> = rules.chain(copies.iter().map(|(copy, _)| format!("copy {copy}"))).collect();
        return Err(format!(
            "{name} is used by {}: act-claude act aliases --remove {name} --move-to OTHER, or remove the rules first \
             (there: act-claude act use --remove, or --clones --remove)",
            uses.join(", ")
        ));
    }
    let Some(other) = move_to else { return Ok(vec![Change::remove(["aliases", name])]) };
    let moved = uses.into_iter().map(|path| Change::set(path, other));
    let copied = copies.into_iter().map(|(copy, destination)| {
        let rest =
            destination.aliases.iter().flatten().map(String::as_str).filter(|alias| ![name, other].contains(alias));
        Change::set(["copies", copy, "aliases"], json!(rest.chain([other]).collect::<Vec<_>>()))
    });
    Ok(moved.chain(copied).chain([Change::remove(["aliases", name])]).collect())
}

/// Prints the list of aliases.
fn list(args: &Args, environment: &Environment) -> ExitCode {
    let loaded = config::load(environment);
    for fault in &loaded.faults {
        crate::run::report::fatal(&fault.to_string());
    }
    let here = Here::of(environment, &loaded.config);
    let printed = if args.json {
        super::print_json(&as_json(&loaded.config, here.as_ref()))
    } else if loaded.config.aliases.is_empty() && loaded.faults.is_empty() {
        let file = here::shown(&config::user_file(environment).unwrap_or_default(), environment);
        super::print(&format!("no alias is configured in {file}. To set one up: act-claude act setup\n"))
    } else {
        let _ = page::write(&mut anstream::stdout(), &as_text(&loaded.config, here.as_ref(), environment));
        ExitCode::SUCCESS
    };
    if loaded.faults.is_empty() { printed } else { ExitCode::from(crate::system::exit::CONFIGURATION) }
}

/// The directories whose rule names this alias; `None`: those without telemetry.
fn directories<'a>(config: &'a Config, name: Option<&str>) -> Vec<&'a Path> {
    let rules = config.directories.iter().filter(|rule| rule.alias.as_deref() == name);
    rules.map(|rule| rule.path.as_path()).collect()
}

/// The repositories whose rule names this alias, as written; `None`: those without telemetry.
fn repositories(config: &Config, name: Option<&str>) -> Vec<String> {
    let rules = config.repositories.iter().filter(|rule| rule.alias.as_deref() == name);
    rules.map(|rule| rule.value.written).collect()
}

/// Each copy with its address, and the aliases that it is of.
fn copies(config: &Config) -> String {
    let shown = |(name, copy): (&String, &Located<Destination>)| {
        let address = typed::endpoint::address(&copy.endpoint).unwrap_or_default();
        let whose = copy.aliases.as_ref().map_or_else(|| "every alias".to_owned(), |aliases| aliases.join(", "));
        format!("{name} ({address}): {whose}")
    };
    config.copies.iter().map(shown).collect::<Vec<_>>().join("; ")
}

fn is_default(config: &Config, name: &str) -> bool {
    config.default.as_ref().is_some_and(|default| default.value.as_deref() == Some(name))
}

/// Paths for programs: whole, because they don't expand `~`.
fn full(directories: Vec<&Path>) -> Vec<String> {
    directories.into_iter().map(|directory| paths::to_text(directory).into_owned()).collect()
}

fn as_json(config: &Config, here: Option<&Here>) -> Value {
    let aliases: Vec<_> = config
        .aliases
        .iter()
        .map(|(name, alias)| {
            json!({
                "name": name, "id": alias.id, "account": alias.account, "provider_type": alias.provider_type,
                "attributes": alias.attributes, "directories": full(directories(config, Some(name))),
                "repositories": repositories(config, Some(name)),
                "copies": config.copies_of(name).map(|(copy, _)| copy).collect::<Vec<_>>(),
                "default": is_default(config, name), "origin": alias.origin.to_string(),
                "this_directory": is_here(here, name),
            })
        })
        .collect();
    json!({
        "aliases": aliases,
        "without_telemetry": full(directories(config, None)),
        "repositories_without_telemetry": repositories(config, None),
    })
}

fn as_text(config: &Config, here: Option<&Here>, environment: &Environment) -> String {
    let (width, home) = (page::table_width(), environment.home());
    let listed = |directories: Vec<&Path>| {
        let directories =
            directories.iter().map(|directory| home::shortened(&paths::to_text(directory), home.as_deref()));
        directories.collect::<Vec<_>>()
    };
    let mut table = Table::new(["Alias", "Account", "Id", "Used in"].map(words));
    for (name, alias) in &config.aliases {
        let mut used = listed(directories(config, Some(name)));
        used.extend(repositories(config, Some(name)));
        if is_default(config, name) {
            used.push("all other directories".to_owned());
        }
        let used = if used.is_empty() { "no directory".to_owned() } else { used.join(", ") };
        table.row(is_here(here, name), [styled(name, BOLD), cell(&alias.account), cell(&alias.id), cell(used)]);
    }
    let mut text = table.text(width);
    let mut line = |words: &str| {
        if !text.is_empty() {
            text.push('\n');
        }
        page::hang(&mut text, 2, width, Style::new(), words);
    };
    let mut off = listed(directories(config, None));
    off.extend(repositories(config, None));
    if !off.is_empty() {
        line(&format!("no telemetry in {}", off.join(", ")));
    }
    if !config.copies.is_empty() {
        line(&format!("also sent to {}", copies(config)));
    }
    if let Some(here) = here {
        line(&here.words());
    }
    text
}
