//! Respects the user's decisions: telemetry that is switched off, and a metrics pipeline of the user's own (pure).
//!
//! Only the settings of the user and the company count (environment, user settings, `--settings`, managed). A repository's
//! settings decide nothing, except that direct delivery is refused where they could leak the token.

use crate::config::typed::secret;
use crate::config::{Config, Delivery, Pipeline, same_endpoint};
use crate::system::environment::Environment;

use super::exporters;
use super::own_pipeline::{self, Unfit};
use super::settings::{Layer, LayerKind, Unread};
use super::switched_off::says_off;
use super::variables::{ENABLE, EXPORTER};

/// The reason why there is no telemetry although an alias was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// The user switched telemetry off.
    Off {
        /// The variable or settings key that says so.
        by: String,
    },
    /// The user has a metrics pipeline of another kind.
    OtherPipeline {
        /// The variable or settings key that names it.
        by: String,
        /// Its endpoint.
        endpoint: String,
        /// Why it can't be copied, although it is to be.
        unfit: Option<String>,
    },
    /// With `direct`, someone else would receive the token.
    WouldLeak {
        /// The setting that redirects it.
        by: String,
    },
    /// With `direct`, a server that poses as ACT could be trusted: a repository's settings say which servers are trusted.
    WouldTrust {
        /// The setting that says so.
        by: String,
    },
    /// With `direct`, someone else might receive the token: this layer is not understood.
    Unread(Unread),
}

impl Objection {
    /// The line for the user.
    pub fn line(&self) -> String {
        match self {
            Self::Off { by } => format!("no telemetry: you switched it off ({by})"),
            Self::OtherPipeline { by, endpoint, unfit: None } => format!(
                "no telemetry to ACT: your metrics go to {endpoint} ({by}); to send them to both, set \"own_pipeline\": \"copy\" in \
                 act-claude's configuration, or \"replace\" to send them to ACT only"
            ),
            Self::OtherPipeline { by, endpoint, unfit: Some(why) } => format!(
                "no telemetry to ACT: your metrics go to {endpoint} ({by}), which can't get a copy: {why}; to send them to ACT \
                 only, set \"own_pipeline\": \"replace\" in act-claude's configuration"
            ),
            Self::WouldTrust { by } => format!(
                "no telemetry: with direct delivery {by} could let another server pose as ACT and receive your token: remove \
                 that, or use the relay (without --direct)"
            ),
            Self::Unread(unread) => format!(
                "no telemetry: {unread}, and with direct delivery it could send your ACT token elsewhere: {}, or use the \
                 relay (without --direct)",
                unread.fix()
            ),
            Self::WouldLeak { by } => format!(
                "no telemetry: with direct delivery {by} would receive your ACT token: remove that, or use the relay (without --direct)"
            ),
        }
    }
}

/// The first objection to `delivery` in any layer.
pub fn objection(
    config: &Config,
    delivery: Delivery,
    account_endpoint: &str,
    environment: &Environment,
    layers: &[Layer],
) -> Option<Objection> {
    own_word(config, environment, layers).or_else(|| match delivery {
        Delivery::Relay => None,
        Delivery::Direct => {
            let stated = Telemetry { environment, layers };
            stated.not_copied(config).or_else(|| stated.leak(account_endpoint))
        }
    })
}

/// The user's own decision: telemetry switched off, or another pipeline.
pub fn own_word(config: &Config, environment: &Environment, layers: &[Layer]) -> Option<Objection> {
    let stated = Telemetry { environment, layers };
    if let Some((value, by)) = stated.value("CLAUDE_CODE_ENABLE_TELEMETRY")
        && says_off(&value)
    {
        return Some(Objection::Off { by: format!("{by} is {value}") });
    }
    if let Some((value, by)) = stated.value("OTEL_METRICS_EXPORTER")
        && exporters::is_none(&value)
    {
        return Some(Objection::Off { by: format!("{by} is {}", value.trim()) });
    }
    match config.own_pipeline() {
        Pipeline::Replace => None,
        Pipeline::Leave => stated.other_pipeline(config),
        Pipeline::Copy => stated.uncopied(config),
    }
}

struct Telemetry<'a> {
    environment: &'a Environment,
    layers: &'a [Layer],
}

impl Telemetry<'_> {
    /// The value of a variable in the strongest layer of the user or the company, and its place.
    fn value(&self, name: &str) -> Option<(String, String)> {
        let own = self.layers.iter().filter(|layer| !matches!(layer.kind, LayerKind::Project | LayerKind::Local));
        let mut settings = own.filter_map(|layer| Some((layer.get(name)?.to_owned(), layer.key(name))));
        settings.next().or_else(|| {
            let value = self.environment.get(name)?.to_string_lossy().into_owned();
            Some((value, format!("{name} in the environment")))
        })
    }

    fn other_pipeline(&self, config: &Config) -> Option<Objection> {
        // Without these two claude sends nothing, and the endpoint may be meant for other programs.
        let ((switch, _), (list, _)) = (self.value(ENABLE)?, self.value(EXPORTER)?);
        if !exporters::sends_metrics(&switch, &list) {
            return None;
        }
        let metrics = self.value("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        let generic = || self.value("OTEL_EXPORTER_OTLP_ENDPOINT");
        let (endpoint, by) = metrics.or_else(generic).filter(|(endpoint, _)| !endpoint.trim().is_empty())?;
        if config.accounts.values().any(|account| same_endpoint(&account.endpoint, &endpoint)) {
            return None;
        }
        let has_alias = ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]
            .iter()
            .filter_map(|name| self.value(name))
            .any(|(headers, _)| {
                headers.split(',').any(|header| {
                    header.split('=').next().is_some_and(|key| key.trim().eq_ignore_ascii_case("x-alias-id"))
                })
            });
        // It is only shown.
        let endpoint = secret::address(&endpoint);
        (!has_alias).then_some(Objection::OtherPipeline { by, endpoint, unfit: None })
    }

    /// The pipeline, where it is to be copied: only the relay can do that.
    fn not_copied(&self, config: &Config) -> Option<Objection> {
        if config.own_pipeline() != Pipeline::Copy {
            return None;
        }
        let Objection::OtherPipeline { by, endpoint, .. } = self.other_pipeline(config)? else { return None };
        let why = "direct delivery makes no copies".to_owned();
        Some(Objection::OtherPipeline { by, endpoint, unfit: Some(why) })
    }

    /// The pipeline, where it is to be copied and can't be.
    fn uncopied(&self, config: &Config) -> Option<Objection> {
        let Objection::OtherPipeline { by, endpoint, .. } = self.other_pipeline(config)? else { return None };
        match own_pipeline::find(self.environment, self.layers, &config.endpoints())? {
            Ok(_) => None,
            Err(Unfit(why)) => Some(Objection::OtherPipeline { by, endpoint, unfit: Some(why) }),
        }
    }

    /// Whether the generic header variable, which holds the token, would be sent elsewhere, too. Every layer is checked here,
    /// because older clients let a repository redirect a signal.
    fn leak(&self, account_endpoint: &str) -> Option<Objection> {
        let everywhere = |name: &str| {
            let settings = self.layers.iter().filter_map(|layer| Some((layer.get(name)?.to_owned(), layer.key(name))));
            let variable = self
                .environment
                .get(name)
                .map(|value| (value.to_string_lossy().into_owned(), format!("{name} in the environment")));
            settings.chain(variable).filter(|(value, _)| !value.trim().is_empty()).collect::<Vec<_>>()
        };
        if let Some(unread) = self.layers.iter().find_map(Layer::unread) {
            return Some(Objection::Unread(unread.clone()));
        }
        for name in ["OTEL_LOGS_EXPORTER", "OTEL_TRACES_EXPORTER"] {
            if let Some((_, by)) = everywhere(name).into_iter().find(|(value, _)| exporters::has_otlp(value)) {
                return Some(Objection::WouldLeak { by });
            }
        }
        // Observed: claude's own tracing sends the generic header, too.
        let tracing = everywhere("BETA_TRACING_ENDPOINT").into_iter().next();
        if let Some((_, by)) = tracing {
            return Some(Objection::WouldLeak { by });
        }
        let repository = self.layers.iter().filter(|layer| matches!(layer.kind, LayerKind::Project | LayerKind::Local));
        let trusted = |layer: &Layer| TRUST.iter().find(|name| layer.get(name).is_some()).map(|name| layer.key(name));
        if let Some(by) = repository.filter_map(trusted).next() {
            return Some(Objection::WouldTrust { by });
        }
        // A launch replaces the metrics endpoint in the environment, but not the one in settings.
        let redirected = self.layers.iter().find_map(|layer| {
            let name = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
            let endpoint = layer.get(name)?;
            (!same_endpoint(endpoint, account_endpoint)).then(|| layer.key(name))
        });
        redirected.map(|by| Objection::WouldLeak { by })
    }
}

/// Variables that decide which servers are trusted.
const TRUST: [&str; 6] = [
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::settings::Reason;

    fn objection_to(layer: Layer) -> Option<Objection> {
        let environment = Environment::default();
        objection(&Config::default(), Delivery::Direct, "https://act.example/m", &environment, &[layer])
    }

    fn layer(kind: LayerKind, name: &str, value: &str) -> Layer {
        Layer { env: vec![(name.to_owned(), value.to_owned())], ..Layer::new(kind, "s.json".into()) }
    }

    #[test]
    fn direct_delivery_hands_the_token_to_nobody_else() {
        let leak = |name: &str| Some(Objection::WouldLeak { by: format!("env.{name} in s.json") });
        for (name, value) in [
            ("OTEL_LOGS_EXPORTER", "console,otlp"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("BETA_TRACING_ENDPOINT", "http://x"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://x"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", ""),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "null"),
        ] {
            assert_eq!(objection_to(layer(LayerKind::Project, name, value)), leak(name), "{name}={value}");
        }
        assert_eq!(
            objection_to(layer(LayerKind::Project, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://act.example/m")),
            None
        );
        for name in TRUST {
            let by = format!("env.{name} in s.json");
            assert_eq!(objection_to(layer(LayerKind::Local, name, "x")), Some(Objection::WouldTrust { by }), "{name}");
            assert_eq!(objection_to(layer(LayerKind::User, name, "x")), None, "{name}: the user's own choice");
        }
        for kind in [LayerKind::Managed, LayerKind::Argument, LayerKind::Local, LayerKind::Project, LayerKind::User] {
            let unread = Unread { path: "/s.json".into(), reason: Reason::TooLarge { limit: 1 << 24 } };
            let found = objection_to(Layer::of_unread(kind, unread.clone())).unwrap();
            assert_eq!(found, Objection::Unread(unread));
            let line = "no telemetry: /s.json is larger than 16 MiB, and with direct delivery it could send your ACT token \
                        elsewhere: make /s.json smaller, or use the relay (without --direct)";
            assert_eq!(found.line(), line);
        }
    }
}
