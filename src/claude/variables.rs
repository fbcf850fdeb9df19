//! The variables that claude gets (pure).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::config::{Account, Alias};
use crate::system::environment::Environment;
use crate::text::fingerprint;

use super::conflict::Conflict;
use super::exporters;
use super::settings::{Layer, LayerKind};

/// Holds the user's own values of the variables that relay mode sets.
pub const ORIGINALS: &str = "ACT_CLAUDE_ORIG";

/// Claude's switch for telemetry.
pub const ENABLE: &str = "CLAUDE_CODE_ENABLE_TELEMETRY";
/// The exporters that metrics go to.
pub const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
/// The encoding of metrics.
pub const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL";
/// Whether counters are sent as changes or as running totals.
pub const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
/// Milliseconds between exports.
pub const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
/// The exporter's level of detail in the debug log.
pub const LOG_LEVEL: &str = "OTEL_LOG_LEVEL";
/// The metrics endpoint.
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
/// Resource attributes of every signal.
pub const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// The program that starts background agents.
pub const WRAPPER: &str = "CLAUDE_CODE_PROCESS_WRAPPER";

/// Whether an application of the Agent SDK starts claude. The application gets what is written to standard error.
pub fn is_of_application(environment: &Environment) -> bool {
    environment.text("CLAUDE_CODE_ENTRYPOINT").is_some_and(|entry| entry.starts_with("sdk-"))
}

/// Sets the eight documented variables in `environment`, exactly (direct delivery). `authorization` is the header's value.
pub fn set_direct(
    environment: &mut Environment,
    account: &Account,
    alias: &Alias,
    attributes: &[(String, String)],
    authorization: &str,
    interval_ms: u64,
) {
    let attributes = attribute_list(text(environment, ATTRIBUTES), attributes);
    let headers = format!("Authorization={authorization},X-Alias-Id={},Origin=https://claude.ai", alias.id);
    for (name, value) in [
        (ENABLE, "1"),
        (EXPORTER, "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        (ENDPOINT, &account.endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
        (ATTRIBUTES, &attributes),
        (INTERVAL, &interval_ms.to_string()),
        (TEMPORALITY, "delta"),
    ] {
        environment.set(name, value);
    }
    // A signal-specific variable of the user's would override a documented one.
    if environment.get(PROTOCOL).is_some() {
        environment.set(PROTOCOL, "http/json");
    }
    environment.remove("ACT_CLAUDE_ALIAS");
}

/// The values that relay mode sets.
#[derive(Debug)]
pub struct Relayed<'a> {
    /// The relay's loopback URL; without one only the wrapper is set (the background daemon's own case).
    pub endpoint: Option<&'a str>,
    /// The alias's attributes; in the launcher form they are not known yet, and the relay adds them.
    pub attributes: &'a [(String, String)],
    /// Milliseconds between exports.
    pub interval_ms: u64,
    /// This program's path, where it is used to start background agents.
    pub wrapper: Option<&'a OsStr>,
    /// The variables that hold tokens, of any account. They are removed: only the relay needs them.
    pub token_variables: &'a [&'a str],
    /// `--verify`
    pub debug: bool,
}

/// Sets the variables of relay mode in `environment`, and notes their previous values.
pub fn set_relayed(environment: &mut Environment, relayed: &Relayed<'_>) {
    let exporter = exporters::with_otlp(text(environment, EXPORTER));
    let attributes = attribute_list(text(environment, ATTRIBUTES), relayed.attributes);
    let interval = relayed.interval_ms.to_string();
    let mut set: Vec<(&str, &OsStr)> = Vec::new();
    if let Some(endpoint) = relayed.endpoint {
        let values = [
            (ENABLE, "1"),
            (EXPORTER, &exporter),
            (PROTOCOL, "http/json"),
            (ENDPOINT, endpoint),
            (TEMPORALITY, "delta"),
            (INTERVAL, &interval),
        ];
        set.extend(values.map(|(name, value)| (name, OsStr::new(value))));
        if !relayed.attributes.is_empty() {
            set.push((ATTRIBUTES, OsStr::new(&attributes)));
        }
    }
    if let Some(wrapper) = relayed.wrapper {
        set.push((WRAPPER, wrapper));
    }
    if relayed.debug {
        set.push((LOG_LEVEL, OsStr::new("debug")));
    }
    let mut originals = Originals::default();
    for (name, value) in set {
        originals.note(name, environment.get(name), Some(value));
        environment.set(name, value);
    }
    environment.remove("ACT_CLAUDE_ALIAS");
    relayed.token_variables.iter().for_each(|name| environment.remove(name));
    environment.set(ORIGINALS, originals.to_json());
}

/// The variables of an overlay, as `environment` has them after [`set_relayed`]. Where the user's own values are kept in a
/// variable, they are taken from the settings. A repository does not choose exporters.
pub fn of_overlay(
    environment: &Environment,
    layers: &[Layer],
    attributes: &[(String, String)],
    conflicts: &[Conflict],
) -> Vec<(String, String)> {
    let stated = |name: &str, of_repository: bool| {
        let layers = layers.iter().filter(|layer| match layer.kind {
            LayerKind::Managed => false,
            LayerKind::Project | LayerKind::Local => of_repository,
            LayerKind::Argument | LayerKind::User | LayerKind::Environment => true,
        });
        layers.filter_map(|layer| layer.get(name)).next().unwrap_or_else(|| text(environment, name)).to_owned()
    };
    // A layer that is not understood may set any of them.
    let is_in_conflict = |name: &str| {
        let is_set = environment.get(name).is_some();
        conflicts.iter().any(|conflict| conflict.key == format!("env.{name}") || (conflict.is_unread() && is_set))
    };
    let names = [ENABLE, EXPORTER, PROTOCOL, ENDPOINT, TEMPORALITY, INTERVAL, ATTRIBUTES, LOG_LEVEL];
    let wanted = names.into_iter().filter(|name| ![INTERVAL, LOG_LEVEL].contains(name) || is_in_conflict(name));
    wanted
        .map(|name| {
            let value = match name {
                EXPORTER => exporters::with_otlp(&stated(EXPORTER, false)),
                ATTRIBUTES => attribute_list(&stated(ATTRIBUTES, true), attributes),
                _ => text(environment, name).to_owned(),
            };
            (name.to_owned(), value)
        })
        .collect()
}

/// Restores the values in [`ORIGINALS`] of each variable that still has the value we set, or that was removed: claude's Bash
/// tool removes some. A value that was changed since then counts as the user's. Variables other than ours are never changed,
/// whatever [`ORIGINALS`] contains.
pub fn restore_originals(environment: &mut Environment) {
    let Some(text) = environment.text(ORIGINALS) else {
        return;
    };
    let originals = serde_json::from_str::<Originals>(text).unwrap_or_default();
    environment.remove(ORIGINALS);
    for (name, original) in originals.0.into_iter().filter(|(name, _)| SET.contains(&name.as_str())) {
        let current = environment.get(&name);
        if current.is_none() || current.map(|value| fingerprint::of(value.as_bytes())) == Some(original.set) {
            let was = original.was.map(Bytes::into_os_string);
            environment.put(&name, was.as_deref());
        }
    }
}

/// The variables that relay mode may set.
const SET: [&str; 9] = [ENABLE, EXPORTER, PROTOCOL, ENDPOINT, TEMPORALITY, INTERVAL, ATTRIBUTES, LOG_LEVEL, WRAPPER];

/// The user's own values, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Originals(BTreeMap<String, Original>);

#[derive(Debug, Serialize, Deserialize)]
struct Original {
    /// The user's own value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<Bytes>,
    /// A fingerprint of our value: tells whether the variable was changed since.
    set: u64,
}

/// A value: text, or bytes where it is not UTF-8.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Raw(Vec<u8>),
}

impl Bytes {
    fn new(value: &OsStr) -> Self {
        match value.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Raw(value.as_bytes().to_vec()),
        }
    }

    fn into_os_string(self) -> std::ffi::OsString {
        use std::os::unix::ffi::OsStringExt;
        match self {
            Self::Text(text) => text.into(),
            Self::Raw(bytes) => std::ffi::OsString::from_vec(bytes),
        }
    }
}

impl Originals {
    fn note(&mut self, name: &str, was: Option<&OsStr>, set: Option<&OsStr>) {
        let set = set.map(|value| fingerprint::of(value.as_bytes())).unwrap_or_default();
        self.0.insert(name.to_owned(), Original { was: was.map(Bytes::new), set });
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn text<'a>(environment: &'a Environment, name: &str) -> &'a str {
    environment.get(name).and_then(OsStr::to_str).unwrap_or("")
}

/// The user's own attributes, then ours; for the same name, ours replace the user's.
fn attribute_list(own: &str, ours: &[(String, String)]) -> String {
    let is_ours = |item: &str| {
        let name = item.split('=').next().unwrap_or("").trim();
        ours.iter().any(|(ours, _)| ours == name)
    };
    let own = own.split(',').filter(|item| !item.trim().is_empty() && !is_ours(item)).map(str::to_owned);
    let ours = ours.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED)));
    own.chain(ours).collect::<Vec<_>>().join(",")
}

/// The characters that are percent-encoded in a value, because they would end it; claude decodes them (observed on both clients).
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b',').add(b';').add(b'=').add(b'\\');

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    fn relayed(environment: &mut Environment) {
        let attributes = [("providerType".to_owned(), "P Q".to_owned())];
        let relayed = Relayed {
            endpoint: Some("http://127.0.0.1:1/s/v1/metrics"),
            attributes: &attributes,
            interval_ms: 5000,
            wrapper: None,
            token_variables: &["TOKEN"],
            debug: false,
        };
        set_relayed(environment, &relayed);
    }

    #[test]
    fn originals_come_back() {
        let before = environment(&[
            ("OTEL_METRICS_EXPORTER", "console,otlp"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=1,providerType=X"),
            ("OTHER", "x"),
        ]);
        let mut inside = before.clone();
        inside.set("TOKEN", "secret");
        inside.set("ACT_CLAUDE_ALIAS", "x");
        relayed(&mut inside);
        assert_eq!(inside.get("OTEL_METRICS_EXPORTER").unwrap(), "otlp,console");
        assert_eq!(inside.get("OTEL_RESOURCE_ATTRIBUTES").unwrap(), "a=1,providerType=P%20Q");
        assert_eq!((inside.get("TOKEN"), inside.get("ACT_CLAUDE_ALIAS")), (None, None));
        let mut after = inside.clone();
        restore_originals(&mut after);
        assert_eq!(after, before);
        // A variable that was removed on the way is restored; one that was changed stays.
        inside.remove("OTEL_METRICS_EXPORTER");
        inside.set("OTEL_METRIC_EXPORT_INTERVAL", "777");
        restore_originals(&mut inside);
        assert_eq!(inside.get("OTEL_METRICS_EXPORTER").unwrap(), "console,otlp");
        assert_eq!(inside.get("OTEL_METRIC_EXPORT_INTERVAL").unwrap(), "777");
        assert_eq!(inside.get(ENDPOINT), None);
    }

    /// A daemon may have been started by another version, long ago.
    #[test]
    fn what_another_version_noted_comes_back() {
        let noted = r#"{"CLAUDE_CODE_ENABLE_TELEMETRY":{"set":12638134423997487868},
            "OTEL_METRICS_EXPORTER":{"was":"console","set":15318395673077592722,"of_a_later_version":[1]},
            "OTEL_OF_A_LATER_VERSION":{"was":"x","set":1}}"#;
        let mut inside = environment(&[(ORIGINALS, noted), (ENABLE, "1"), (EXPORTER, "otlp")]);
        restore_originals(&mut inside);
        assert_eq!(inside, environment(&[(EXPORTER, "console")]));
    }

    #[test]
    fn originals_bring_back_our_own_variables_only() {
        let forged =
            r#"{"HTTPS_PROXY": {"was": "http://evil", "set": 0}, "OTEL_METRICS_EXPORTER": {"was": "x", "set": 0}}"#;
        let mut inside = environment(&[(ORIGINALS, forged)]);
        restore_originals(&mut inside);
        assert_eq!(inside, environment(&[(EXPORTER, "x")]));
    }
}
