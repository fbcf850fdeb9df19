//! `act aliases`: the configured aliases, and which directories use them.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use crate::config;
use crate::environment::Environment;

/// Arguments of `act aliases`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs it. Exit status 78 where the configuration has faults.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let loaded = config::load(environment);
    for fault in &loaded.faults {
        crate::report::fatal(&fault.to_string());
    }
    let config = &loaded.config;
    let is_default = |name: &str| config.default.as_ref().is_some_and(|default| default.value.as_deref() == Some(name));
    let directories = |name: Option<&str>| -> Vec<String> {
        let rules = config.directories.iter().filter(|rule| rule.alias.as_deref() == name);
        rules.map(|rule| rule.written.clone()).collect()
    };
    let text = if args.json {
        let aliases: Vec<_> = config
            .aliases
            .iter()
            .map(|(name, alias)| {
                json!({
                    "name": name, "id": alias.id, "account": alias.account, "provider_type": alias.provider_type,
                    "attributes": alias.attributes, "directories": directories(Some(name)),
                    "default": is_default(name), "origin": alias.origin.to_string(),
                })
            })
            .collect();
        format!("{}\n", json!({ "aliases": aliases, "without_telemetry": directories(None) }))
    } else {
        let mut text = String::new();
        if config.aliases.is_empty() && loaded.faults.is_empty() {
            let file = config::user_file(environment).unwrap_or_default();
            let _ = writeln!(text, "no alias is configured in {}", file.display());
        }
        let width = config.aliases.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        for (name, alias) in &config.aliases {
            let mut used: Vec<String> = directories(Some(name));
            if is_default(name) {
                used.push("everywhere else".to_owned());
            }
            let used = if used.is_empty() { "no directory".to_owned() } else { used.join(", ") };
            let _ = writeln!(text, "{name:<width$}  {}  {}  {used}", alias.account, alias.id);
        }
        let off = directories(None);
        if !off.is_empty() {
            let _ = writeln!(text, "{:<width$}  no telemetry in {}", "-", off.join(", "));
        }
        text
    };
    let printed = crate::act::print(&text);
    if loaded.faults.is_empty() { printed } else { ExitCode::from(crate::CONFIGURATION) }
}
