//! Findings about claude's settings files: files that claude can't read, keys that override act-claude, keys that current
//! versions of claude ignore, and tokens in plain text.

use super::facts::Document;
use super::{Check, Facts, Finding};
use crate::claude::conflict::{Conflict, Effect, GUARDS};
use crate::claude::conflicts::{self, Wanted};
use crate::claude::consent::{self, Objection};
use crate::claude::exporters;
use crate::claude::settings::{self, Layer, LayerKind};
use crate::claude::variables::EXPORTER;
use crate::config::Delivery;
use crate::config::resolve::Reason;

pub const CHECKS: [Check; 5] = [ignored_files, unread, tokens, ignored, overriding];

/// Files that claude ignores as a whole, because they are not valid or too large.
fn ignored_files(facts: &Facts) -> Vec<Finding> {
    let finding = |document: &Document| {
        let (what, place, fix) = match document.fault() {
            Some(fault) => (fault.what, fault.origin.to_string(), fault.fix),
            None if document.is_too_large() => {
                let what = format!("it is larger than {} MiB", settings::argument::LARGEST / (1024 * 1024));
                (what, document.source.path.display().to_string(), "make it smaller".to_owned())
            }
            None => return None,
        };
        let effect = match (document.kind, document.fault()) {
            (LayerKind::Managed, _) => "current claude does not start; older claude ignores the whole file",
            (_, Some(_)) => "claude ignores the whole file, usually without a message",
            (_, None) => "current claude ignores the whole file, usually without a message; old claude reads it",
        };
        let fix = if fix.is_empty() { "correct it there" } else { &fix };
        Some(Finding::new("settings-json", what, place).effect(effect).fix(fix))
    };
    facts.documents.iter().filter_map(finding).collect()
}

/// Layers that exist but that act-claude can't read. Whether claude can read them, and what it takes from them, is not known.
fn unread(facts: &Facts) -> Vec<Finding> {
    let direct = facts.loaded.config.delivery() == Delivery::Direct;
    let finding = |layer: &Layer| {
        let unread = layer.unread()?;
        let effect = match layer.kind {
            _ if direct => {
                "no telemetry with direct delivery: claude may read it, and it could send the token elsewhere"
            }
            LayerKind::Managed => {
                "claude may read it, and its telemetry settings can't be overridden: sessions may not be reported, and \
                 under \"required\" none starts"
            }
            _ => {
                "act-claude overrides its telemetry settings for a session in a terminal; background sessions and \
                 editors may follow it"
            }
        };
        let place = unread.path.display().to_string();
        Some(Finding::new("settings-unread", format!("it {}", unread.reason), place).effect(effect).fix(unread.fix()))
    };
    facts.layers.iter().filter_map(finding).collect()
}

/// A credential in a settings file: anyone who reads the file, or clones the repository, has it.
fn tokens(facts: &Facts) -> Vec<Finding> {
    let of_layer = |layer: &Layer| {
        let layer = layer.clone();
        let names = layer.env.iter().filter(|(name, value)| has_token(name, value));
        names
            .map(|(name, _)| {
                let key = format!("env.{name}");
                let shared = if layer.kind == LayerKind::User {
                    ""
                } else {
                    ", and everybody with access to the repository has it"
                };
                Finding::new(
                    "settings-token",
                    format!("a token is in plain text in {key}"),
                    facts.place(&layer.path, &key),
                )
                .effect(format!("every program that reads the file has it{shared}"))
                .fix(match layer.kind {
                    LayerKind::User => format!("remove {key}; act-claude fetches the token itself"),
                    _ => format!("remove {key}, and replace the token if the file was ever shared"),
                })
            })
            .collect::<Vec<_>>()
    };
    // Where nothing is configured, the recipe is what reports, and what a set-up takes the token from.
    if is_unconfigured(facts) {
        return Vec::new();
    }
    facts.layers.iter().filter(|layer| layer.kind != LayerKind::Managed).flat_map(of_layer).collect()
}

fn is_unconfigured(facts: &Facts) -> bool {
    facts.resolution.as_ref().is_ok_and(|resolution| matches!(resolution.reason, Reason::NothingConfigured))
}

impl Facts {
    /// Whether settings that are not managed have a credential for exports, as the guide's recipe does.
    pub(super) fn has_recipe(&self) -> bool {
        let own = self.layers.iter().filter(|layer| layer.kind != LayerKind::Managed);
        own.flat_map(|layer| &layer.env).any(|(name, value)| has_token(name, value))
    }
}

/// Whether a variable is a list of headers with a credential.
fn has_token(name: &str, value: &str) -> bool {
    name.ends_with("_HEADERS") && has_credential(value)
}

fn has_credential(headers: &str) -> bool {
    headers.split(',').any(|header| {
        let mut parts = header.splitn(2, '=');
        let name = parts.next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("authorization") && parts.next().is_some_and(|value| !value.trim().is_empty())
    })
}

/// The guide's recipe in a project's settings, where the installed version of claude ignores it.
fn ignored(facts: &Facts) -> Vec<Finding> {
    let Some(version) = facts.version().filter(|version| *version >= GUARDS) else { return Vec::new() };
    let of_layer = |layer: &Layer| {
        let keys: Vec<&str> =
            layer.env.iter().map(|(name, _)| name.as_str()).filter(|name| conflicts::is_guarded(name)).collect();
        let first = keys.first()?;
        Some(
            Finding::new(
                "ignored",
                format!("claude {version} ignores the telemetry settings of a project: {}", keys.join(", ")),
                facts.place(&layer.path, &format!("env.{first}")),
            )
            .effect("these settings have no effect; older versions of claude may send your token to the URL in them")
            .fix("remove them; act-claude act use NAME sets the directory's alias"),
        )
    };
    let repository = facts.layers.iter().filter(|layer| matches!(layer.kind, LayerKind::Project | LayerKind::Local));
    repository.filter_map(of_layer).collect()
}

/// Keys that override what act-claude sets.
fn overriding(facts: &Facts) -> Vec<Finding> {
    if is_unconfigured(facts) {
        return Vec::new();
    }
    let config = &facts.loaded.config;
    let alias = facts.resolution.as_ref().ok().and_then(|resolution| config.aliases.get(resolution.alias.as_ref()?));
    let attributes = alias.map(|alias| alias.resource_attributes()).unwrap_or_default();
    let wanted = Wanted { delivery: config.delivery(), attributes: &attributes, debug: false };
    let pipeline = match consent::own_word(config, &facts.environment, &facts.layers) {
        Some(Objection::OtherPipeline { by, .. }) => Some(by),
        _ => None,
    };
    let is_new = |conflict: &Conflict| match conflict.effect {
        // These are reported elsewhere: launchers by `launchers`, unread layers by `unread`, and the user's own pipeline by
        // `environment`.
        Effect::Launcher | Effect::Unread(_) => false,
        Effect::Endpoint => pipeline.as_ref().is_none_or(|by| *by != conflict.place()),
        _ => true,
    };
    let conflicts = conflicts::of_session(&wanted, &facts.environment, &facts.layers).into_iter();
    conflicts
        .filter(|conflict| is_new(conflict) && conflict.concerns(facts.version()))
        .map(|conflict| finding(facts, &conflict, config.delivery()))
        .collect()
}

fn finding(facts: &Facts, conflict: &Conflict, delivery: Delivery) -> Finding {
    let is_own_word = matches!(conflict.kind, LayerKind::User | LayerKind::Managed);
    let is_off =
        conflict.effect == Effect::Off || (conflict.key.ends_with(EXPORTER) && exporters::is_none(&conflict.value));
    let effect = if is_off && is_own_word {
        "act-claude treats it as your decision: no session is reported"
    } else if conflict.overridable && delivery == Delivery::Relay {
        "act-claude overrides it for a session in a terminal; background sessions and editors follow it"
    } else if conflict.kind == LayerKind::Managed {
        "managed settings can't be overridden: no session here is reported as it should be"
    } else if conflict.breaks() {
        "no session here is reported as it should be"
    } else {
        "a session is reported only while act-claude can override this"
    };
    Finding::new("settings", format!("{}: {conflict}", conflict.key), facts.place(&conflict.path, &conflict.key))
        .effect(effect)
        .fix(conflict.fix())
}
