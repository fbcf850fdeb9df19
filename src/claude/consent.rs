//! Whose telemetry it is: the user's own "off" and the user's own metrics pipeline count (pure).
//!
//! Only what the user or the company said is asked (environment, user settings, `--settings`, managed): a
//! repository's settings decide nothing here.

use crate::config::{Config, Delivery};
use crate::system::environment::Environment;

use super::exporters;
use super::settings::{Kind, Layer};

/// Why there is no telemetry although an alias was found; or what the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// The user switched telemetry off.
    Off {
        /// What says so: a variable or a settings key.
        by: String,
    },
    /// The user has a metrics pipeline of another kind.
    OtherPipeline {
        /// What names it.
        by: String,
        /// Its endpoint.
        endpoint: String,
    },
    /// `direct` would hand the token to someone else.
    WouldLeak {
        /// What redirects it.
        by: String,
    },
}

impl Objection {
    /// The line for the user.
    pub fn line(&self) -> String {
        match self {
            Self::Off { by } => format!("no telemetry: you switched it off ({by})"),
            Self::OtherPipeline { by, endpoint } => format!(
                "no telemetry to ACT: your metrics go to {endpoint} ({by}); \
                 to replace that, set \"replace_endpoint\": true in act-claude's configuration"
            ),
            Self::WouldLeak { by } => format!(
                "no telemetry: with direct delivery {by} would receive your ACT token: remove that, or use the relay (without --direct)"
            ),
        }
    }
}

/// Asks every layer that may object to `delivery`.
pub fn objection(
    config: &Config,
    delivery: Delivery,
    account_endpoint: &str,
    environment: &Environment,
    layers: &[Layer],
) -> Option<Objection> {
    own_word(config, environment, layers).or_else(|| match delivery {
        Delivery::Relay => None,
        Delivery::Direct => Stated { environment, layers }.leak(account_endpoint),
    })
}

/// The user's own word: switched off, or another pipeline.
pub fn own_word(config: &Config, environment: &Environment, layers: &[Layer]) -> Option<Objection> {
    let stated = Stated { environment, layers };
    if let Some((value, by)) = stated.value("CLAUDE_CODE_ENABLE_TELEMETRY")
        && ["0", "false", "no", "off"].contains(&value.trim().to_ascii_lowercase().as_str())
    {
        return Some(Objection::Off { by: format!("{by} is {value}") });
    }
    if let Some((value, by)) = stated.value("OTEL_METRICS_EXPORTER")
        && exporters::is_none(&value)
    {
        return Some(Objection::Off { by: format!("{by} is {}", value.trim()) });
    }
    let replace = config.replace_endpoint.as_ref().is_some_and(|replace| replace.value);
    if replace { None } else { stated.other_pipeline(config) }
}

struct Stated<'a> {
    environment: &'a Environment,
    layers: &'a [Layer],
}

impl Stated<'_> {
    /// What the user or the company says of a variable, strongest first, and where.
    fn value(&self, name: &str) -> Option<(String, String)> {
        let own = self.layers.iter().filter(|layer| !matches!(layer.kind, Kind::Project | Kind::Local));
        let mut settings = own.filter_map(|layer| Some((layer.get(name)?.to_owned(), layer.key(name))));
        settings.next().or_else(|| {
            let value = self.environment.get(name)?.to_string_lossy().into_owned();
            Some((value, format!("{name} in the environment")))
        })
    }

    fn other_pipeline(&self, config: &Config) -> Option<Objection> {
        let metrics = self.value("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        let exports = || self.value("OTEL_METRICS_EXPORTER").is_some_and(|(value, _)| exporters::has_otlp(&value));
        let generic = || self.value("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|_| exports());
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
        (!has_alias).then_some(Objection::OtherPipeline { by, endpoint })
    }

    /// Whether the generic header variable, which holds the token, would go elsewhere too. Here every layer
    /// is asked: older clients let a repository redirect a signal.
    fn leak(&self, account_endpoint: &str) -> Option<Objection> {
        let everywhere = |name: &str| {
            let settings = self.layers.iter().filter_map(|layer| Some((layer.get(name)?.to_owned(), layer.key(name))));
            let variable = self
                .environment
                .get(name)
                .map(|value| (value.to_string_lossy().into_owned(), format!("{name} in the environment")));
            settings.chain(variable).filter(|(value, _)| !value.trim().is_empty()).collect::<Vec<_>>()
        };
        for name in ["OTEL_LOGS_EXPORTER", "OTEL_TRACES_EXPORTER"] {
            if let Some((_, by)) = everywhere(name).into_iter().find(|(value, _)| exporters::has_otlp(value)) {
                return Some(Objection::WouldLeak { by });
            }
        }
        // What the environment says of the metrics endpoint is replaced; what settings say is not.
        let redirected = self.layers.iter().find_map(|layer| {
            let name = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
            let endpoint = layer.get(name)?;
            (!same_endpoint(endpoint, account_endpoint)).then(|| layer.key(name))
        });
        redirected.map(|by| Objection::WouldLeak { by })
    }
}

fn same_endpoint(one: &str, other: &str) -> bool {
    one.trim().trim_end_matches('/') == other.trim().trim_end_matches('/')
}
