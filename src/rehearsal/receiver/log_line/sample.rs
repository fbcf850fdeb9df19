//! An export like those of Claude Code, for tests.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::rehearsal::receiver::answer::Answer;
use crate::rehearsal::receiver::event::Export;
use crate::rehearsal::receiver::payload::Payload;

fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

fn sum(name: &str, unit: &str, points: &[(&[(&str, &str)], f64)]) -> Value {
    let points: Vec<Value> =
        points.iter().map(|(pairs, value)| json!({"attributes": attributes(pairs), "asDouble": value})).collect();
    json!({"name": name, "unit": unit, "sum": {"aggregationTemporality": 1, "dataPoints": points}})
}

pub fn body() -> Vec<u8> {
    let model = ("model", "claude-opus-5-5");
    let resource = attributes(&[
        ("providerType", "CUSTOM_PROVIDER"),
        ("operation", "InvokeAgent"),
        ("promptType", "Interactive"),
        ("host.arch", "amd64"),
        ("os.type", "linux"),
        ("service.name", "claude-code"),
        ("team", "payments"),
    ]);
    let metrics = json!([
        sum("claude_code.session.count", "", &[(&[("start_type", "fresh")], 1.0)]),
        sum("claude_code.cost.usage", "USD", &[(&[model], 0.000_140_000_000_000_000_01)]),
        sum(
            "claude_code.token.usage",
            "tokens",
            &[
                (&[model, ("type", "input")], 10.0),
                (&[model, ("type", "output")], 5.0),
                (&[model, ("type", "cacheRead")], 0.0),
                (&[model, ("type", "cacheCreation")], 0.0),
            ]
        ),
        sum("claude_code.active_time.total", "s", &[(&[("type", "cli")], 0.247)]),
        sum("claude_code.commit.count", "", &[(&[], 2.0)]),
    ]);
    let export =
        json!({"resourceMetrics": [{"resource": {"attributes": resource}, "scopeMetrics": [{"metrics": metrics}]}]});
    export.to_string().into_bytes()
}

/// The export, received at 09:41:07.250 UTC and answered with `answer`.
pub fn export(answer: Answer) -> Export {
    let body = body();
    Export {
        received: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_426_867_250),
        account: "acme-A1B2C3".to_owned(),
        alias: Some("a1".to_owned()),
        user: Some("dev@acme.com".to_owned()),
        origin: Some("https://claude.ai".to_owned()),
        sha256: Sha256::digest(&body).into(),
        payload: Some(Payload::read(&body).unwrap()),
        body,
        answer,
    }
}
