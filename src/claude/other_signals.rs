//! The settings of claude's other signals, logs and traces, as far as metrics depend on them (pure; T11b and T11c in
//! docs/observed-claude.md).
//!
//! One telemetry serves all signals: where one of them can't start, metrics are not exported either. Headers that can't be sent
//! stop metrics, too.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::config::typed::secret::{self, quoted};
use crate::system::environment::Environment;

use super::conflict::{Conflict, Effect, Reach};
use super::exporters;
use super::settings::{Layer, LayerKind};

/// A signal beside metrics.
struct Signal {
    word: &'static str,
    exporter: &'static str,
    protocol: &'static str,
    endpoint: &'static str,
}

const LOGS: Signal = Signal {
    word: "logs",
    exporter: "OTEL_LOGS_EXPORTER",
    protocol: "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    endpoint: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
};
const TRACES: Signal = Signal {
    word: "traces",
    exporter: "OTEL_TRACES_EXPORTER",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
};
/// Traces are exported where one of these is on.
const TRACES_ON: [&str; 2] = ["CLAUDE_CODE_ENHANCED_TELEMETRY_BETA", "ENABLE_ENHANCED_TELEMETRY_BETA"];

/// Headers that are sent with metrics.
const HEADERS: [&str; 2] = [METRICS_HEADERS, "OTEL_EXPORTER_OTLP_HEADERS"];
const METRICS_HEADERS: &str = "OTEL_EXPORTER_OTLP_METRICS_HEADERS";
const PROTOCOLS: [&str; 3] = ["http/json", "http/protobuf", "grpc"];

/// Names what keeps claude from exporting anything because another signal can't start. No overlay changes it, because it is the
/// user's own signal.
pub fn find(environment: &Environment, layers: &[Layer]) -> Vec<Conflict> {
    let said = SignalSettings { layers, environment: of_environment(environment) };
    let traces_on =
        TRACES_ON.iter().any(|name| said.of(name).any(|(_, value)| super::conflicts::is_truthy(value.trim())));
    let signals = [Some(LOGS), traces_on.then_some(TRACES)];
    let signals = signals.iter().flatten();
    let conflicts = signals.filter_map(|signal| said.unknown_exporter(signal).or_else(|| said.protocol(signal)));
    conflicts.chain(HEADERS.into_iter().filter_map(|name| said.headers(name))).collect()
}

/// Whether another signal is exported by OTLP, or may be. `otelHeadersHelper` then serves that signal, too.
pub fn use_otlp(environment: &Environment, layers: &[Layer]) -> bool {
    let said = SignalSettings { layers, environment: of_environment(environment) };
    let is_unknown = layers.iter().any(|layer| layer.unread().is_some());
    is_unknown
        || [LOGS, TRACES].iter().any(|signal| said.of(signal.exporter).any(|(_, value)| exporters::has_otlp(value)))
}

/// The environment as the weakest layer.
fn of_environment(environment: &Environment) -> Layer {
    let names = [LOGS, TRACES].into_iter().flat_map(|signal| [signal.exporter, signal.protocol, signal.endpoint]);
    let names = names.chain(TRACES_ON).chain(HEADERS).chain([GENERIC_PROTOCOL, GENERIC_ENDPOINT]);
    let text = |name: &'static str| Some((name.to_owned(), environment.get(name)?.to_str()?.to_owned()));
    Layer {
        env: names.filter_map(text).collect(),
        ..Layer::new(LayerKind::Environment, PathBuf::from("the environment"))
    }
}

const GENERIC_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const GENERIC_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

struct SignalSettings<'a> {
    layers: &'a [Layer],
    environment: Layer,
}

impl SignalSettings<'_> {
    /// The values of a variable in the layers, the strongest first, down to the first layer that every client reads.
    fn of(&self, name: &str) -> impl Iterator<Item = (&Layer, &str)> {
        let all = self.layers.iter().chain([&self.environment]);
        let mut is_decided = false;
        all.filter_map(move |layer| Some((layer, layer.get(name)?))).take_while(move |(layer, _)| {
            !std::mem::replace(&mut is_decided, !matches!(layer.kind, LayerKind::Project | LayerKind::Local))
        })
    }

    fn unknown_exporter(&self, signal: &Signal) -> Option<Conflict> {
        self.of(signal.exporter).find_map(|(layer, value)| {
            let unknown = exporters::unknown(value, &exporters::OTHERS);
            let name = unknown.first()?;
            let (word, name) = (signal.word, quoted(name));
            let why = format!("claude does not know the {word} exporter {name} and exports nothing at all");
            Some(conflict(layer, signal.exporter, value, why))
        })
    }

    /// A protocol that claude does not know for a signal that is exported by OTLP.
    fn protocol(&self, signal: &Signal) -> Option<Conflict> {
        let (layer, exporter) = self.of(signal.exporter).last().filter(|(_, list)| exporters::has_otlp(list))?;
        let stated =
            |name| self.of(name).last().filter(|(_, value)| !value.trim().is_empty()).map(|found| (name, found));
        let Some((name, (layer, value))) = stated(signal.protocol).or_else(|| stated(GENERIC_PROTOCOL)) else {
            // With an endpoint, the newer client finds a protocol by itself.
            let has_endpoint = stated(signal.endpoint).or_else(|| stated(GENERIC_ENDPOINT)).is_some();
            let why =
                format!("claude has neither protocol nor endpoint for {} and exports nothing at all", signal.word);
            return (!has_endpoint).then(|| conflict(layer, signal.exporter, exporter, why));
        };
        if PROTOCOLS.contains(&value.trim()) {
            return None;
        }
        let (word, protocol) = (signal.word, quoted(value));
        let why = format!("claude does not know the protocol {protocol} for {word} and exports nothing at all");
        Some(conflict(layer, name, value, why))
    }

    /// A header that can't be sent. Its value is not shown, because it may be a credential.
    fn headers(&self, name: &str) -> Option<Conflict> {
        let is_encoded = name == METRICS_HEADERS;
        let stops = |list: &str| !can_be_sent(list) || (is_encoded && !can_be_decoded(list));
        let (layer, value) = self.of(name).find(|(_, list)| stops(list))?;
        let why = "a header in it can't be sent, so claude exports nothing".to_owned();
        Some(Conflict { value: "********".to_owned(), ..conflict(layer, name, value, why) })
    }
}

/// Whether every header of a list is valid by HTTP's rules. An item without `=` is ignored, and an empty name is accepted.
fn can_be_sent(list: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_of_value = |c: char| c == '\t' || (' '..='\u{ff}').contains(&c) && c != '\u{7f}';
    list.split(',')
        .filter_map(|item| item.split_once('='))
        .all(|(name, value)| name.trim().bytes().all(is_of_name) && value.trim().chars().all(is_of_value))
}

/// Whether the percent-encoding of a list is correct. Only the list for metrics is encoded.
fn can_be_decoded(list: &str) -> bool {
    let is_complete = |text: &str| {
        text.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
    };
    is_complete(list) && percent_decode_str(list).decode_utf8().is_ok()
}

fn conflict(layer: &Layer, name: &str, value: &str, why: String) -> Conflict {
    let is_repository = matches!(layer.kind, LayerKind::Project | LayerKind::Local);
    Conflict {
        kind: layer.kind,
        path: layer.path.clone(),
        key: if layer.kind == LayerKind::Environment { name.to_owned() } else { format!("env.{name}") },
        value: secret::value(value),
        effect: Effect::Stops { why },
        reach: if is_repository { Reach::Older } else { Reach::Every },
        overridable: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: LayerKind, pairs: &[(&str, &str)]) -> Layer {
        let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Layer { env, ..Layer::new(kind, "s.json".into()) }
    }

    fn found(environment: &[(&str, &str)], layers: &[Layer]) -> Vec<(String, Reach)> {
        let environment: Environment = environment.iter().copied().collect();
        find(&environment, layers).into_iter().map(|conflict| (conflict.place(), conflict.reach)).collect()
    }

    #[test]
    fn a_signal_that_cannot_start_stops_metrics() {
        let logs = "OTEL_LOGS_EXPORTER in the environment".to_owned();
        let traces = "OTEL_TRACES_EXPORTER in the environment".to_owned();
        for (environment, expected) in [
            (&[("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..], vec![]),
            (&[("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h")], vec![]),
            (&[("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", " ")], vec![&logs]),
            (&[("OTEL_LOGS_EXPORTER", "OTLP")], vec![&logs]),
            (&[("OTEL_LOGS_EXPORTER", "otlp,None")], vec![&logs]),
            (&[("OTEL_LOGS_EXPORTER", " console , none ")], vec![]),
            (&[("OTEL_TRACES_EXPORTER", "zipkin")], vec![]),
            (&[("OTEL_TRACES_EXPORTER", "zipkin"), ("ENABLE_ENHANCED_TELEMETRY_BETA", "true")], vec![&traces]),
            (&[("OTEL_TRACES_EXPORTER", "zipkin"), ("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA", "0")], vec![]),
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "json")], vec![]),
            (&[("OTEL_LOGS_EXPORTER", "console"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "json")], vec![]),
        ] {
            let places: Vec<String> = found(environment, &[]).into_iter().map(|(place, _)| place).collect();
            assert_eq!(places.iter().collect::<Vec<_>>(), expected, "{environment:?}");
        }
        for (name, value) in [("OTEL_EXPORTER_OTLP_PROTOCOL", "json"), ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "JSON")] {
            let expected = [(format!("{name} in the environment"), Reach::Every)];
            assert_eq!(found(&[("OTEL_LOGS_EXPORTER", "otlp"), (name, value)], &[]), expected);
        }
    }

    #[test]
    fn a_header_that_cannot_be_sent_stops_metrics() {
        for (list, expected) in [
            ("A=b", true),
            ("noequals,=b,A=", true),
            ("A=b c, B = d\u{e9}\t", true),
            ("A B=c", false),
            ("Authorization: Bearer=x", false),
            ("A=b\nc", false),
            ("A=\u{20ac}", false),
        ] {
            assert_eq!(can_be_sent(list), expected, "{list:?}");
        }
        for (list, expected) in
            [("A=b%20c", true), ("A=%zz", false), ("A=b%", false), ("A=%e9", false), ("A=%c3%a9", true)]
        {
            assert_eq!(can_be_decoded(list), expected, "{list:?}");
            let is_found = |name: &str| !found(&[(name, list)], &[]).is_empty();
            assert_eq!((is_found(METRICS_HEADERS), is_found("OTEL_EXPORTER_OTLP_HEADERS")), (!expected, false));
        }
        let environment: Environment = [("OTEL_EXPORTER_OTLP_HEADERS", "Bearer secret=x")].into_iter().collect();
        let conflicts = find(&environment, &[]);
        assert_eq!(conflicts[0].place(), "OTEL_EXPORTER_OTLP_HEADERS in the environment");
        assert!(!format!("{conflicts:?}").contains("secret"));
    }

    #[test]
    fn the_strongest_layer_that_every_client_heeds_decides() {
        let wrong = [("OTEL_LOGS_EXPORTER", "x")];
        let right = [("OTEL_LOGS_EXPORTER", "console")];
        let place = "env.OTEL_LOGS_EXPORTER in s.json".to_owned();
        assert_eq!(found(&wrong, &[layer(LayerKind::User, &right)]), []);
        assert_eq!(found(&right, &[layer(LayerKind::User, &wrong)]), [(place.clone(), Reach::Every)]);
        assert_eq!(found(&right, &[layer(LayerKind::Managed, &right), layer(LayerKind::User, &wrong)]), []);
        assert_eq!(found(&right, &[layer(LayerKind::Project, &wrong)]), [(place, Reach::Older)]);
    }

    #[test]
    fn whether_another_signal_needs_the_headers_helper() {
        let environment = |value| [("OTEL_LOGS_EXPORTER", value)].into_iter().collect::<Environment>();
        assert!(!use_otlp(&Environment::default(), &[]));
        assert!(!use_otlp(&environment("console"), &[]));
        assert!(use_otlp(&environment("console, otlp"), &[]));
        let traces = layer(LayerKind::Project, &[("OTEL_TRACES_EXPORTER", "otlp")]);
        assert!(use_otlp(&Environment::default(), &[traces]));
    }
}
