//! What doctor looked at: the block that people paste into a support ticket (pure).

use std::path::Path;

use anstyle::Style;
use serde_json::{Value, json};

use super::private::Private;
use super::{Facts, checks, facts::is_variable};
use crate::config::{self, Delivery, Pipeline};
use crate::delivery::proxy;
use crate::state::outcome::State;
use crate::state::spool::summary::Waiting;
use crate::text::page::{self, DIM};

/// A row: its name, and its lines.
type Row = (&'static str, Vec<String>);

/// The variables whose presence matters to support. Their values stay here.
const TELLING: [&str; 5] = ["ACT_CLAUDE", "CLAUDE_CODE_", "OTEL_", "SSL_CERT_", "NODE_EXTRA_CA_CERTS"];

/// The rows. What varies from machine to machine goes through [`Private`]; the words between stay as they are.
pub fn rows(facts: &Facts, private: &Private) -> Vec<Row> {
    let program = facts.program.as_deref();
    let program = program.map_or_else(|| "where it is, is not known".to_owned(), |path| shown(path, private));
    let mut rows = vec![
        ("act-claude", vec![concat!("version ", env!("ACT_CLAUDE_VERSION")).to_owned(), program]),
        ("claude", claude(facts, private)),
        ("system", vec![format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)]),
        ("configuration", configuration(facts, private)),
        ("accounts", accounts(facts, private)),
        ("aliases", aliases(facts, private)),
        ("delivery", vec![delivery(facts, private)]),
        ("settings", settings(facts, private)),
        ("variables", variables(facts)),
        ("running", vec![running(facts)]),
        ("spool", spool(facts, private)),
    ];
    rows.extend(copies(facts).map(|lines| ("copies", lines)));
    rows.push(("checks", vec![checks().count().to_string()]));
    rows
}

fn shown(path: &Path, private: &Private) -> String {
    private.removed(&path.display().to_string())
}

fn claude(facts: &Facts, private: &Private) -> Vec<String> {
    match &facts.claude {
        Err(_) => vec!["not found".to_owned()],
        Ok(client) => {
            let version = client.version.map_or("version not known".to_owned(), |version| format!("version {version}"));
            vec![version, shown(&client.path, private)]
        }
    }
}

fn configuration(facts: &Facts, private: &Private) -> Vec<String> {
    let user = config::user_file(&facts.environment);
    let files = user.into_iter().chain([config::SYSTEM_FILE.into()]);
    let state = |path: &Path| match facts.loaded.files.iter().any(|read| read == path) {
        true => "read",
        false if facts.loaded.faults.iter().any(|fault| fault.origin.to_string() == path.display().to_string()) => {
            "can't be read"
        }
        false => "not there",
    };
    let mut lines: Vec<String> = files.map(|path| format!("{}: {}", shown(&path, private), state(&path))).collect();
    match facts.loaded.faults.len() {
        0 => {}
        1 => lines.push("1 fault".to_owned()),
        faults => lines.push(format!("{faults} faults")),
    }
    lines
}

/// How many there are, and which tokens are in variables. That is no problem where no background session is used, as in CI.
fn accounts(facts: &Facts, private: &Private) -> Vec<String> {
    let accounts = &facts.loaded.config.accounts;
    let in_variable = accounts.iter().filter_map(|(name, account)| {
        let variable = is_variable(&account.token)?;
        let words = format!("token of {name}: in the variable {variable}, which background sessions don't have");
        Some(private.removed(&words))
    });
    std::iter::once(accounts.len().to_string()).chain(in_variable).collect()
}

fn aliases(facts: &Facts, private: &Private) -> Vec<String> {
    let count = facts.loaded.config.aliases.len().to_string();
    let here = match &facts.resolution {
        Ok(resolution) => {
            let alias = resolution.alias.as_deref().map_or("none".to_owned(), |alias| private.removed(alias));
            format!("here: {alias} ({})", private.removed(&resolution.reason.to_string()))
        }
        Err(_) => "here: ACT_CLAUDE_ALIAS names one that does not exist".to_owned(),
    };
    vec![count, here]
}

fn delivery(facts: &Facts, private: &Private) -> String {
    let way = match facts.loaded.config.delivery() {
        Delivery::Relay => "by the relay",
        Delivery::Direct => "direct",
    };
    let through = |endpoint: &str| {
        let uri = endpoint.parse().ok()?;
        match proxy::proxy_for(&uri, &facts.network) {
            Ok(None) => None,
            Ok(Some(proxy)) => Some(facts.network.place(proxy.variable)),
            Err(unusable) => Some(facts.network.place(unusable.variable)),
        }
    };
    let mut places: Vec<String> =
        facts.loaded.config.accounts.values().filter_map(|account| through(&account.endpoint)).collect();
    places.sort_unstable();
    places.dedup();
    match places.is_empty() {
        true => format!("{way}, without a proxy"),
        false => format!("{way}, through the proxy of {}", private.removed(&places.join(", "))),
    }
}

fn settings(facts: &Facts, private: &Private) -> Vec<String> {
    let files: Vec<String> = facts.documents.iter().map(|document| shown(&document.source.path, private)).collect();
    if files.is_empty() { vec!["no file of Claude Code's".to_owned()] } else { files }
}

fn variables(facts: &Facts) -> Vec<String> {
    let mut names: Vec<String> = facts
        .environment
        .iter()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| {
            TELLING.iter().any(|start| name.starts_with(start)) || name.to_ascii_uppercase().ends_with("_PROXY")
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    vec![if names.is_empty() { "none that matters".to_owned() } else { names.join(", ") }]
}

fn running(facts: &Facts) -> String {
    match facts.running.len() {
        0 => "no claude".to_owned(),
        1 => "1 claude".to_owned(),
        more => format!("{more} claude"),
    }
}

fn spool(facts: &Facts, private: &Private) -> Vec<String> {
    let Some(state) = &facts.state else { return vec!["no state directory".to_owned()] };
    let content = match &facts.unlisted {
        Some(why) => format!("can't be listed ({})", private.removed(why)),
        None => content(facts.kept.iter()),
    };
    vec![content, shown(state, private)]
}

/// The content of a spool without exports.
const EMPTY: &str = "empty";

/// How many exports wait, and how many are held.
fn content<'a>(kept: impl Iterator<Item = &'a Waiting>) -> String {
    let (mut waiting, mut held) = (0, 0);
    for of_alias in kept {
        let is_held = matches!(of_alias.state, State::Held | State::NotUnderstood);
        *(if is_held { &mut held } else { &mut waiting }) += of_alias.exports;
    }
    if waiting + held == 0 { EMPTY.to_owned() } else { format!("{waiting} waiting, {held} held") }
}

/// The number of destinations, what is kept for them, and what is done with the user's own pipeline. Nothing without all of these.
fn copies(facts: &Facts) -> Option<Vec<String>> {
    let config = &facts.loaded.config;
    let own = match config.own_pipeline() {
        Pipeline::Leave => None,
        Pipeline::Copy => Some("own pipeline: copy".to_owned()),
        Pipeline::Replace => Some("own pipeline: replace".to_owned()),
    };
    let kept = content(facts.kept_copies.values().flat_map(|spool| &spool.waiting));
    let is_some = !config.copies.is_empty() || kept != EMPTY || own.is_some();
    is_some.then(|| [config.copies.len().to_string(), kept].into_iter().chain(own).collect())
}

/// The rows as text, in lines of `width` columns.
pub fn text(rows: &[Row], width: usize) -> String {
    let longest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    // On a narrow page the values are below the names.
    let column = if width < 50 { 2 } else { longest + 2 };
    let mut text = String::new();
    for (name, lines) in rows {
        for (index, line) in lines.iter().enumerate() {
            let name = if index == 0 { *name } else { "" };
            if column > 2 {
                text.push_str(&format!("{DIM}{name:<column$}{DIM:#}"));
            } else if index == 0 {
                text.push_str(&format!("{DIM}{name}{DIM:#}\n  "));
            } else {
                text.push_str("  ");
            }
            page::hang(&mut text, column, width, Style::new(), line);
        }
    }
    text
}

/// The rows as JSON: a text, or a list where there are several lines.
pub fn json(rows: &[Row]) -> Value {
    let value = |lines: &Vec<String>| match &lines[..] {
        [only] => json!(only),
        lines => json!(lines),
    };
    Value::Object(rows.iter().map(|(name, lines)| ((*name).to_owned(), value(lines))).collect())
}
