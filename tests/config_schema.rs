//! The JSON Schema and the configuration reader accept and refuse the same configurations.

use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "$schema": "config.schema.json",
        "accounts": {
            "acme": {
                "endpoint": "https://act.example/m", "user": "u@example.com", "token": {"command": ["pass", "x"]},
                "api": "https://api.example", "attribution": false
            },
            "file": {"endpoint": "http://127.0.0.1:1/m", "user": "u@example.com", "token": {"file": "~/t"}},
            "env": {"endpoint": "https://act.example/m", "user": "u@example.com", "token": {"env": "T"}, "api": null}
        },
        "aliases": {"billing": {"account": "acme", "id": "id-1", "provider_type": "P", "attributes": {"team": "a b"}, "attribute": ["repository", "branch"], "notice": {"day": 20}}},
        "copies": {
            "grafana": {
                "endpoint": "https://otlp.example/otlp/v1/metrics", "redact": ["user.email"], "aliases": ["billing"],
                "headers": {"Authorization": {"file": "~/g"}, "X-Scope-OrgID": {"env": "ORG"}, "x-k": {"command": ["pass", "x"]}}
            },
            "collector": {"endpoint": "http://collector.internal:4318/v1/metrics", "plain_http": true, "what": "metrics", "protocol": "http/json"},
            "here": {"endpoint": "http://127.0.0.1:4318/v1/metrics", "headers": {}},
            "old": null
        },
        "directories": {"~/w": "billing", "/x": null, "~": "billing", "file:///h/caf%E9": null},
        "repositories": {"github.com/acme/billing": "billing", "*.acme.com/**": null, "/srv/git/x": null, "**": null},
        "hosts": {"github-work": "github.com"}, "ticket": "[A-Z]+-[0-9]+", "person": {"env": "EMPLOYEE"},
        "default": "billing", "claude": "~/bin/claude", "delivery": "direct", "required": true,
        "own_pipeline": "copy", "replace_endpoint": true, "export_interval_ms": 1000, "exit_wait_ms": 0, "report": "json", "redact": ["user.email"], "spool_files": 100, "spool_mib": 8
    })
}

/// The reader's faults for a configuration.
fn faults(config: &Value) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("config.json");
    std::fs::write(&path, serde_json::to_vec_pretty(config).unwrap()).unwrap();
    let environment = [("HOME", "/h".into()), ("ACT_CLAUDE_CONFIG", path.into_os_string())].into_iter().collect();
    act_claude::config::load(&environment).faults.iter().map(ToString::to_string).collect()
}

#[test]
fn schema_and_reader_agree() {
    let schema: Value = serde_json::from_str(include_str!("../docs/config.schema.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    assert!(schema.is_valid(&good()), "{:?}", schema.iter_errors(&good()).map(|e| e.to_string()).collect::<Vec<_>>());
    assert_eq!(faults(&good()), [] as [String; 0]);

    // The good configuration has every key of the schema, so the reader knows them all.
    let known: Vec<String> = schema_keys();
    for key in &known {
        assert!(good().get(key).is_some(), "{key} is missing in this test's good configuration");
    }

    let change = |pointer: &str, value: Value| {
        let mut config = good();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        config
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("{parent}"))
            .as_object_mut()
            .unwrap()
            .insert(key.replace("~1", "/"), value);
        config
    };
    for (pointer, value) in [
        ("/unknown", json!(1)),
        ("/accounts", json!([])),
        ("/accounts/acme", json!({"endpoint": "https://a/m", "user": "u"})),
        ("/accounts/acme/endpoint", json!("ftp://a/m")),
        ("/accounts/acme/endpoint", json!("https://a/m?x=1")),
        ("/accounts/acme/user", json!("a:b")),
        ("/accounts/acme/user", json!("BOOMI_TOKEN.")),
        ("/accounts/acme/token", json!({})),
        ("/accounts/acme/token", json!({"env": "T", "file": "~/t"})),
        ("/accounts/acme/token", json!({"command": []})),
        ("/accounts/acme/token", json!({"command": "pass x"})),
        ("/accounts/acme/token", json!({"file": "t"})),
        ("/accounts/acme/api", json!("ftp://a")),
        ("/accounts/acme/api", json!("https://a?x=1")),
        ("/accounts/acme/api", json!("https://me@a")),
        ("/accounts/acme/api", json!(false)),
        ("/accounts/acme/extra", json!(1)),
        ("/aliases/billing/id", json!("a b")),
        ("/aliases/billing/id", json!(5)),
        ("/aliases/billing/attributes", json!({"team": 5})),
        ("/aliases/billing/Id", json!("x")),
        ("/copies", json!([])),
        ("/copies/old", json!("https://otlp.example/v1/metrics")),
        ("/copies/old", json!({})),
        ("/copies/a~1b", json!(null)),
        ("/copies/.x", json!(null)),
        ("/copies/a b", json!(null)),
        ("/copies/grafana/endpoint", json!("otlp.example:4318/v1/metrics")),
        ("/copies/grafana/endpoint", json!("http://otlp.example/v1/metrics")),
        ("/copies/grafana/endpoint", json!("http://localhost:4318")),
        ("/copies/grafana/endpoint", json!("https://otlp.example/")),
        ("/copies/grafana/endpoint", json!("https://me@otlp.example/v1/metrics")),
        ("/copies/grafana/endpoint", json!("https://otlp.example/v1/metrics?key=x")),
        ("/copies/collector/plain_http", json!(false)),
        ("/copies/collector/plain_http", json!("true")),
        ("/copies/collector/what", json!("traces")),
        ("/copies/collector/protocol", json!("grpc")),
        ("/copies/collector/protocol", json!(null)),
        ("/copies/collector/Endpoint", json!("x")),
        ("/copies/grafana/headers", json!("Authorization=x")),
        ("/copies/grafana/headers/Authorization", json!("Bearer x")),
        ("/copies/grafana/headers/Authorization", json!({"file": "x"})),
        ("/copies/grafana/headers/Authorization", json!({"env": "A-B"})),
        ("/copies/grafana/headers/Authorization", json!({"file": "~/g", "env": "A"})),
        ("/copies/grafana/headers/Content-Type", json!({"env": "T"})),
        ("/copies/grafana/headers/a b", json!({"env": "T"})),
        ("/copies/grafana/redact", json!("user.email")),
        ("/copies/grafana/aliases", json!([])),
        ("/copies/grafana/aliases", json!("billing")),
        ("/directories/relative", json!("billing")),
        ("/directories/~1y", json!(true)),
        ("/repositories/github.com", json!("billing")),
        ("/repositories/git@github.com:acme~1x", json!("billing")),
        ("/repositories/github.com~1acme~1x", json!(1)),
        ("/hosts/a:b", json!("github.com")),
        ("/hosts/work", json!("https://github.com")),
        ("/hosts/work", json!(1)),
        ("/aliases/billing/attribute", json!(["branches"])),
        ("/aliases/billing/attribute", json!("branch")),
        ("/aliases/billing/notice", json!(20)),
        ("/aliases/billing/notice", json!({})),
        ("/aliases/billing/notice", json!({"day": 0})),
        ("/aliases/billing/notice", json!({"day": 20, "week": 90})),
        ("/accounts/acme/attribution", json!("no")),
        ("/ticket", json!("")),
        ("/person", json!({"file": "x"})),
        ("/person", json!("")),
        ("/person", json!({"env": "OTEL_PERSON"})),
        ("/default", json!(false)),
        ("/claude", json!("claude")),
        ("/delivery", json!("both")),
        ("/required", json!("true")),
        ("/own_pipeline", json!("both")),
        ("/own_pipeline", json!(null)),
        ("/replace_endpoint", json!(1)),
        ("/export_interval_ms", json!(99)),
        ("/export_interval_ms", json!(1000.5)),
        ("/exit_wait_ms", json!(-1)),
        ("/report", json!("sometimes")),
        ("/redact", json!("user.email")),
        ("/spool_files", json!(-1)),
        ("/spool_mib", json!(65537)),
    ] {
        let config = change(pointer, value.clone());
        assert!(!schema.is_valid(&config), "the schema accepts {pointer} = {value}");
        assert_eq!(faults(&config).len(), 1, "the reader on {pointer} = {value}: {:?}", faults(&config));
    }
}

fn schema_keys() -> Vec<String> {
    let schema: Value = serde_json::from_str(include_str!("../docs/config.schema.json")).unwrap();
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}
