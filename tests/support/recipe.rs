//! The variables of Boomi's guide, as people have them in settings of Claude Code.

use base64::Engine;
use serde_json::{Value, json};

/// The guide's `env`, as a settings file.
pub fn recipe(endpoint: &str, user: &str, token: &str, id: &str, kind: &str) -> Value {
    let credential = base64::engine::general_purpose::STANDARD.encode(format!("BOOMI_TOKEN.{user}:{token}"));
    json!({"model": "opus", "env": {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": format!("Authorization=Basic {credential},X-Alias-Id={id},Origin=https://claude.ai"),
        "OTEL_RESOURCE_ATTRIBUTES": format!("providerType={kind},operation=InvokeAgent,promptType=Interactive"),
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"
    }})
}
