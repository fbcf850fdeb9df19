//! The stand-in for claude, where claude is not installed: a hidden command of this program. It answers a prompt, and exports the
//! same metrics as claude. Like claude, it follows the documented variables.

use std::ffi::OsString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::messages::REPLY;
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;

/// The hidden command.
pub const COMMAND: &str = "stand-in";

/// The usage of one turn: input and output tokens, and their cost in US dollars.
const TOKENS: [u64; 2] = [10, 5];
const COST: f64 = 0.00014;
const MODEL: &str = "no-model";
/// The time limit of the export. Claude has the same limit for its last export.
const FLUSH: Duration = Duration::from_secs(2);

/// Runs one turn of `-p PROMPT --output-format json --session-id ID`: prints the answer and sends the export.
pub fn run(args: &[OsString], environment: &Environment) -> ExitCode {
    let session = args.windows(2).find(|pair| pair[0] == "--session-id").map(|pair| pair[1].to_string_lossy());
    let session = session.unwrap_or_default();
    println!("{}", result(&session));
    let is = |name: &str, value: &str| environment.text(name) == Some(value);
    let exporters = environment.text("OTEL_METRICS_EXPORTER").unwrap_or_default();
    if is("CLAUDE_CODE_ENABLE_TELEMETRY", "1") && exporters.split(',').any(|name| name == "otlp") {
        export(&payload(&session, environment.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()), environment);
    }
    ExitCode::SUCCESS
}

/// Claude's answer with `--output-format json`. It has only the fields that this program reads.
fn result(session: &str) -> Value {
    let [input, output] = TOKENS;
    json!({
        "type": "result", "subtype": "success", "is_error": false, "num_turns": 1, "result": REPLY,
        "session_id": session, "total_cost_usd": COST,
        "usage": { "input_tokens": input, "output_tokens": output },
        "modelUsage": { MODEL: {
            "inputTokens": input, "outputTokens": output, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0,
            "costUSD": COST
        } }
    })
}

/// Sends the export. Like claude, it does not report whether that succeeded.
fn export(payload: &Value, environment: &Environment) {
    let Some(endpoint) = environment.text("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") else { return };
    let agent = ureq::Agent::config_builder().timeout_global(Some(FLUSH)).proxy(None).build().new_agent();
    let _ = agent
        .post(endpoint)
        .header("Content-Type", "application/json")
        .header("User-Agent", "OTel-OTLP-Exporter-JavaScript/0 (stand-in)")
        .send(payload.to_string().as_bytes());
}

/// The export as OTLP/JSON, with claude's metric names, units, attributes and temporality.
fn payload(session: &str, attributes: &str) -> Value {
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let given: Vec<Value> = attributes
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| attribute(key, value))
        .collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let point = |extra: &[(&str, &str)], value: f64| {
        let mut own = given.clone();
        own.extend([attribute("session.id", session), attribute("terminal.type", "stand-in")]);
        own.extend(extra.iter().map(|(key, value)| attribute(key, value)));
        json!({ "attributes": own, "startTimeUnixNano": now, "timeUnixNano": now, "asDouble": value })
    };
    let metric = |name: &str, unit: &str, points: Vec<Value>| {
        json!({
            "name": format!("claude_code.{name}"), "unit": unit,
            "sum": { "aggregationTemporality": 1, "isMonotonic": true, "dataPoints": points }
        })
    };
    let token = |kind: &str, count: u64| point(&[("model", MODEL), ("type", kind)], count as f64);
    let [input, output] = TOKENS;
    let metrics = [
        metric("session.count", "", vec![point(&[("start_type", "fresh")], 1.0)]),
        metric("cost.usage", "USD", vec![point(&[("model", MODEL)], COST)]),
        metric(
            "token.usage",
            "tokens",
            vec![token("input", input), token("output", output), token("cacheRead", 0), token("cacheCreation", 0)],
        ),
        metric("active_time.total", "s", vec![point(&[("type", "cli")], 0.1)]),
    ];
    let resource: Vec<Value> = given
        .iter()
        .cloned()
        .chain([attribute("service.name", "claude-code"), attribute("service.version", "stand-in")])
        .collect();
    json!({
        "resourceMetrics": [{
            "resource": { "attributes": resource, "droppedAttributesCount": 0 },
            "scopeMetrics": [{ "scope": { "name": "com.anthropic.claude_code", "version": "stand-in" }, "metrics": metrics }]
        }]
    })
}
