//! Whether Claude Code sends metrics without act-claude, because its own settings say so (pure).

use std::fmt;

use super::conflicts::is_truthy;
use super::exporters;
use super::settings::{Layer, LayerKind};
use crate::system::environment::Environment;

/// The setting by which Claude Code sends metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByItself {
    /// The variable and where it is set.
    by: String,
    /// Whether every client obeys it. Newer ones ignore a repository's (T3 in docs/observed-claude.md).
    is_certain: bool,
}

impl ByItself {
    /// Finds it in claude's settings and in the environment that claude gets. `None`: nothing there says that metrics are sent.
    pub fn find(environment: &Environment, layers: &[Layer]) -> Option<Self> {
        let is_repository = |layer: &Layer| matches!(layer.kind, LayerKind::Project | LayerKind::Local);
        let value = |name: &str, all: bool| {
            let mut settings = layers.iter().filter(|layer| all || !is_repository(layer));
            let set = settings.find_map(|layer| Some((layer.get(name)?.to_owned(), layer.key(name))));
            set.or_else(|| {
                let value = environment.text(name)?.to_owned();
                Some((value, format!("{name} in the environment")))
            })
        };
        let sends = |all: bool| {
            let (switch, _) = value("CLAUDE_CODE_ENABLE_TELEMETRY", all)?;
            let (exporters, by) = value("OTEL_METRICS_EXPORTER", all)?;
            (is_truthy(switch.trim()) && exporters::has_otlp(&exporters)).then_some(by)
        };
        match (sends(false), sends(true)) {
            (Some(by), Some(_)) => Some(Self { by, is_certain: true }),
            (None, Some(by)) | (Some(by), None) => Some(Self { by, is_certain: false }),
            (None, None) => None,
        }
    }
}

impl fmt::Display for ByItself {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sends = if self.is_certain { "sends" } else { "may send" };
        write!(out, "Claude Code itself {sends} metrics, without act-claude: {}", self.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_where_claude_sends_by_itself() {
        let layer = |kind, switch: &str, exporter: &str| Layer {
            env: [("CLAUDE_CODE_ENABLE_TELEMETRY", switch), ("OTEL_METRICS_EXPORTER", exporter)]
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..Layer::new(kind, "/s.json".into())
        };
        let found = |environment: &[(&str, &str)], layers: &[Layer]| {
            ByItself::find(&environment.iter().copied().collect(), layers).map(|found| found.to_string())
        };
        let sends = |word: &str| format!("Claude Code itself {word} metrics, without act-claude: ");
        let in_file = format!("{}env.OTEL_METRICS_EXPORTER in /s.json", sends("sends"));
        let recipe = [("CLAUDE_CODE_ENABLE_TELEMETRY", "1"), ("OTEL_METRICS_EXPORTER", "otlp")];
        assert_eq!(found(&[], &[layer(LayerKind::User, "1", "otlp")]), Some(in_file));
        assert_eq!(found(&recipe, &[]), Some(sends("sends") + "OTEL_METRICS_EXPORTER in the environment"));
        // Only older clients obey a repository, which may switch on or off.
        let in_project = sends("may send") + "env.OTEL_METRICS_EXPORTER in /s.json";
        assert_eq!(found(&[], &[layer(LayerKind::Project, "1", "otlp")]), Some(in_project));
        let off = layer(LayerKind::Project, "0", "");
        assert_eq!(found(&recipe, &[off]), Some(sends("may send") + "OTEL_METRICS_EXPORTER in the environment"));
        for (switch, exporter) in [("0", "otlp"), ("1", "none"), ("1", ""), ("", "otlp"), ("1", "console")] {
            assert_eq!(found(&[], &[layer(LayerKind::User, switch, exporter)]), None, "{switch} {exporter}");
        }
        assert_eq!(found(&recipe, &[layer(LayerKind::User, "0", "")]), None, "settings override the environment");
        assert_eq!(found(&[], &[]), None);
    }
}
