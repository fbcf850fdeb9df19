//! Settings files of Claude Code: which values are read from them, and what an overlay keeps.

use std::path::Path;

use act_claude::claude::overlay::merge;
use act_claude::claude::settings::{LayerKind, decode, layer};
use act_claude::commands::setup::sources::recipe;
use act_claude::commands::setup::sources::recipe::Reading;
use act_claude::commands::setup::sources::settings_file::SettingsFile;
use act_claude::config::{check_endpoint, check_text, check_word};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

const WORDS: [&str; 30] = [
    "{\"env\":{",
    "\"OTEL_METRICS_EXPORTER\":\"otlp\",",
    "\"CLAUDE_CODE_ENABLE_TELEMETRY\":1,",
    "\"CLAUDE_CODE_ENABLE_TELEMETRY\":\"0\",",
    "\"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT\":\"https://a.boomi.com/metric-ingestion/v1/a/otlp/public/metrics\",",
    "\"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT\":\"http://a/metric-ingestion/\",",
    "\"OTEL_EXPORTER_OTLP_HEADERS\":\"",
    "Authorization=Basic Qk9PTUlfVE9LRU4uZGV2QGFjbWUuY29tOnQtMQ==,",
    "Authorization=Basic%20",
    "X-Alias-Id=a-1",
    "x-alias-id=<alias id>",
    "\"OTEL_RESOURCE_ATTRIBUTES\":\"",
    "providerType=P,operation=InvokeAgent,team=a%20b",
    "providerType=%22%ff,",
    "\"otelHeadersHelper\":\"h\",",
    "\"processWrapper\":",
    "\"\\ud800\"",
    "\"\\u0065nv\":",
    "\",",
    "},}",
    "true",
    "12345678901234567890",
    "0.1",
    "null",
    "{",
    "}",
    "[",
    ",,",
    "\"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT\":[null,\"http://a\",{}],",
    "\"permissions\":5,",
];

/// The readers agree, the overlay keeps what it does not set, and a recipe's values are valid in a header.
pub fn check(data: &[u8]) {
    let text = decode(crate::spelled::spelled(data, &WORDS));
    encoded(&text);
    let path = Path::new("/h/.claude/settings.json");
    let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    // Claude accepts numbers, strings and depths that this parser refuses.
    let value: Option<Value> = serde_json::from_str(&text).ok();
    let layer = layer(LayerKind::User, path.into(), &text);
    let file = SettingsFile::parse(path, text.clone());
    match (&layer, &value) {
        (Some(layer), Some(value)) => {
            let none = Map::new();
            let env = value.get("env").and_then(Value::as_object).unwrap_or(&none);
            assert!(env.iter().all(|(name, value)| is_spelled(value, layer.get(name))), "{text}");
            assert!(layer.env.iter().all(|(name, _)| env.contains_key(name)), "{text}");
        }
        (None, Some(value)) => assert!(has_no_keys(value), "{text}"),
        (Some(_), None) => assert!(is_json, "read from what is no JSON: {text}"),
        (None, None) => {}
    }
    match &file {
        Ok(file) => {
            let lines = text.split('\n').count();
            let mut named = file.env.iter().map(|variable| variable.line).chain(file.commas.iter().copied());
            assert!(named.all(|line| (1..=lines).contains(&line)), "{text}");
            assert_eq!(file.commas.is_empty(), is_json, "{text}");
            let mut env = file.env.iter().map(|variable| (variable.name.as_str(), variable.value.as_str()));
            if is_json {
                let is_theirs = |(name, value)| layer.as_ref().is_none_or(|layer| layer.get(name) == Some(value));
                let (bears, seen) = (env.clone().any(|(name, _)| name.starts_with("OTEL_")), layer.is_some());
                assert!(env.all(is_theirs) && (seen || !bears), "the readers differ: {text}");
            }
            recipe_is_sound(&Reading::of(|name| file.get(name)));
        }
        Err(fault) => assert!(fault.starts_with("/h/.claude/settings.json:"), "{fault}"),
    }
    merged(&text, value.as_ref(), is_json);
}

/// Claude reads the same from every encoding of a file.
fn encoded(text: &str) {
    if text.starts_with('\u{feff}') {
        return;
    }
    let marked = format!("\u{feff}{text}");
    assert_eq!(decode(text.as_bytes().to_vec()), text);
    assert_eq!(decode(marked.as_bytes().to_vec()), text);
    assert_eq!(decode(marked.encode_utf16().flat_map(u16::to_le_bytes).collect()), text);
}

/// Whether claude would set this text as the environment variable for the value.
fn is_spelled(value: &Value, text: Option<&str>) -> bool {
    match value {
        // This parser's last digit may be wrong; claude's is not.
        Value::Number(number) => {
            let (near, exact) = (number.as_f64().unwrap(), text.and_then(|text| text.parse::<f64>().ok()));
            exact.is_some_and(|exact| (exact - near).abs() <= exact.abs() * 1e-15)
        }
        _ => as_javascript(value).is_none_or(|expected| text == Some(&expected)),
    }
}

/// `String(value)` in JavaScript; `None` if the value contains a number.
fn as_javascript(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(_) => return None,
        Value::String(text) => text.clone(),
        Value::Object(_) => "[object Object]".to_owned(),
        Value::Array(items) => {
            let item = |item: &Value| if item.is_null() { Some(String::new()) } else { as_javascript(item) };
            items.iter().map(item).collect::<Option<Vec<_>>>()?.join(",")
        }
    })
}

/// Whether it contains no key that concerns telemetry.
fn has_no_keys(value: &Value) -> bool {
    let bears = |name: &str| name.starts_with("OTEL_") || name.starts_with("CLAUDE_CODE_");
    let env = value.get("env").and_then(Value::as_object);
    env.is_none_or(|env| !env.keys().any(|name| bears(name)))
        && !["otelHeadersHelper", "processWrapper"].iter().any(|key| value.get(key).is_some_and(Value::is_string))
}

fn merged(text: &str, own: Option<&Value>, is_json: bool) {
    let ours = [("OTEL_A", "1"), ("B\"", "ä\n")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (merged, alone) = (merge(text, &ours, false), merge("", &ours, false));
    let is_object = own.and_then(Value::as_object).map(|own| own.get("env").is_none_or(Value::is_object));
    let may_be_ignored = own.is_some_and(|own| {
        ["$schema", "cleanupPeriodDays", "model", "otelHeadersHelper", "permissions", "sandbox", "statusLine"]
            .iter()
            .any(|key| own.get(key).is_some())
    });
    if merged == alone {
        assert!(
            is_object != Some(true) || may_be_ignored || own == Some(&Value::Object(Map::new())) || has_just_ours(own)
        );
    } else {
        assert!(is_json, "merged from what is no JSON: {text}");
        if let Some(own) = own {
            let mut expected = own.clone();
            let env = expected.as_object_mut().unwrap().entry("env").or_insert_with(|| Map::new().into());
            ours.iter().for_each(|(name, value)| env[name.as_str()] = value.as_str().into());
            let read: Value = serde_json::from_str(&merged).expect("what was merged is JSON");
            assert_eq!(read, expected);
        }
    }
    assert_eq!(merge(&merged, &ours, false), merged, "once is enough");
    let layer = layer(LayerKind::Argument, "x".into(), &merged).expect("it bears on telemetry");
    assert!(ours.iter().all(|(name, value)| layer.get(name) == Some(value)));
}

/// Settings that contain only an `env`, which contains only our variables.
fn has_just_ours(own: Option<&Value>) -> bool {
    let own = own.and_then(Value::as_object);
    let env = own.filter(|own| own.len() == 1).and_then(|own| own.get("env")).and_then(Value::as_object);
    env.is_some_and(|env| env.keys().all(|name| ["OTEL_A", "B\""].contains(&name.as_str())))
}

fn recipe_is_sound(reading: &Reading) {
    let Reading::Recipe(recipe) = reading else { return };
    assert!(recipe.endpoint.as_deref().is_none_or(|endpoint| check_endpoint(endpoint).is_ok()));
    assert!(recipe.id.as_deref().is_none_or(|id| check_word(id).is_ok()));
    assert!(recipe.provider_type.as_deref().is_none_or(|kind| check_text(kind).is_ok()));
    assert!(recipe.attributes.iter().all(|(name, value)| check_word(name).is_ok() && check_text(value).is_ok()));
    let what =
        [recipe.endpoint.is_some(), recipe.id.is_some(), recipe.provider_type.is_some(), recipe.credential.is_some()];
    assert_eq!(what.iter().filter(|there| !**there).count(), recipe.problems.len(), "what is not there is named");
    if let Some(credential) = &recipe.credential {
        let secret = credential.token.as_str();
        assert!(!secret.is_empty() && !secret.chars().any(char::is_control));
        assert!(
            secret.len() < 8 || !recipe.problems.iter().any(|problem| problem.contains(secret)),
            "a secret in words"
        );
    }
    assert!(recipe::VARIABLES.len() == 11);
}
