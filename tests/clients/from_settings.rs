//! The guide's recipe in user and project settings is imported by `act setup --from-settings`, and then deleted as it
//! advises. Every directory then reports as the guide intended, with the current client, which ignores project recipes.

use base64::Engine;
use serde_json::{Value, json};

use crate::support::act::{credential, resource_attributes};
use crate::support::client::{Lab, NEW};
use crate::support::sandbox::Text;

struct Place {
    directory: &'static str,
    settings: &'static str,
    account: &'static str,
    user: &'static str,
    token: &'static str,
    id: &'static str,
    kind: &'static str,
}

const PLACES: [Place; 3] = [
    Place {
        directory: "elsewhere",
        settings: ".claude/settings.json",
        account: "acme-A1B2C3",
        user: "dev@acme.com",
        token: "canary-acme",
        id: "id-platform",
        kind: "CUSTOM_PROVIDER",
    },
    Place {
        directory: "billing",
        settings: "billing/.claude/settings.json",
        account: "acme-A1B2C3",
        user: "dev@acme.com",
        token: "canary-acme",
        id: "id-billing",
        kind: "BILLING_PROVIDER",
    },
    Place {
        directory: "labs",
        settings: "labs/.claude/settings.local.json",
        account: "labs-D4E5F6",
        user: "me@labs.com",
        token: "canary-labs",
        id: "id-labs",
        kind: "LAB_PROVIDER",
    },
];

#[test]
fn every_directory_reports_as_the_guide_intends() {
    let Some(lab) = Lab::start(NEW, &["elsewhere", "billing", "labs"]) else { return };
    for place in &PLACES {
        let secret = format!("BOOMI_TOKEN.{}:{}", place.user, place.token);
        let secret = base64::engine::general_purpose::STANDARD.encode(secret);
        let settings = json!({"env": {
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": lab.act.endpoint_of(place.account),
            "OTEL_EXPORTER_OTLP_HEADERS":
                format!("Authorization=Basic {secret},X-Alias-Id={},Origin=https://claude.ai", place.id),
            "OTEL_RESOURCE_ATTRIBUTES":
                format!("providerType={},operation=InvokeAgent,promptType=Interactive", place.kind),
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
            "KEPT": "1"
        }});
        lab.sandbox.write(place.settings, settings.to_string());
    }
    // The current client reports everything under the user's alias, because it ignores the projects' recipes.
    assert_eq!(lab.claude("billing", &["-p", "hi"]).output().unwrap().code(), 0);
    let bare = lab.act.wait_for(1);
    assert!(bare.iter().all(|request| request.header("x-alias-id") == Some("id-platform")));

    let setup = ["act", "setup", "--from-settings", "--yes", "--store", "file", "--json"];
    let output = lab.act_claude("elsewhere", &setup).output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    let result: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!(result["checks"].as_array().unwrap().len(), 3, "each alias was checked: {result}");
    for removal in result["remove"].as_array().unwrap() {
        let file = removal["file"].as_str().unwrap();
        let mut settings: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for variable in removal["variables"].as_array().unwrap() {
            settings["env"].as_object_mut().unwrap().remove(variable["name"].as_str().unwrap()).expect("it is there");
        }
        assert_eq!(settings, json!({"env": {"KEPT": "1"}}), "all of the recipe is named, and nothing else");
        std::fs::write(file, settings.to_string()).unwrap();
    }
    for place in &PLACES {
        let before = lab.act.requests().len();
        let output = lab.act_claude(place.directory, &["-p", "hi"]).output().unwrap();
        assert_eq!((output.code(), output.out().as_str()), (0, "hello there\n"), "{}", output.err());
        for request in &lab.act.wait_for(before + 1)[before..] {
            assert_eq!(request.header("x-alias-id"), Some(place.id), "{}", place.directory);
            assert_eq!(request.path, format!("/metric-ingestion/v1/{}/otlp/public/metrics", place.account));
            assert_eq!(credential(request), format!("BOOMI_TOKEN.{}:{}", place.user, place.token));
            assert_eq!(resource_attributes(&request.json())["providerType"], place.kind);
        }
    }
}
