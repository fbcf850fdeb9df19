//! Monitoring Specs: values found in any document are safe to use.

use act_claude::commands::setup::sources::spec::{Finding, read};
use act_claude::config::{check_endpoint, check_text, check_word};

const WORDS: [&str; 29] = [
    "openapi: 3.0.0\n",
    "{\"openapi\":\"3.1.0\",",
    "servers:\n- url: ",
    "\"servers\":[{\"url\":\"",
    "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics",
    "http://evil.example/metric-ingestion/v1/a/otlp/public/metrics",
    "https://{host}/metric-ingestion/v1/{accountId}",
    "\n  variables:\n    host: {default: a.example}\n    accountId: {enum: [a, b]}\n",
    "paths:\n  /otlp/public/metrics:\n    post:\n      ",
    "\"paths\":{\"/x/{id}/metrics\":{\"post\":{",
    "parameters:\n      - {in: header, name: X-Alias-Id, example: a-1}\n",
    "\"parameters\":[{\"in\":\"path\",\"name\":\"id\",\"schema\":{\"enum\":[",
    "extAccountAliasId: ",
    "\"extAccountAliasId\":{\"const\":\"a-1\"},",
    "providerType: {enum: [A, B], default: CUSTOM_PROVIDER}\n",
    "{\"key\":\"providerType\",\"value\":{\"stringValue\":\"P\"}}",
    "\"$ref\":\"#/x\"",
    "$ref: '#/x'\n",
    "allOf:\n- ",
    "x: &a [",
    "*a, ",
    "<<: *a\n",
    "- ",
    "\n  ",
    "\"{\\\"providerType\\\":\\\"Q\\\"}\"",
    "set the X-Alias-Id to a-2, https://h/metric-ingestion/v1/b/otlp/public/metrics.",
    "}",
    "]",
    ": ",
];

/// Found values are usable and distinct. A JSON document gives the same values in any formatting.
pub fn check(data: &[u8]) {
    let bytes = crate::spelled::spelled(data, &WORDS);
    let found = read(&bytes);
    let spec = match &found {
        Ok(spec) => spec,
        Err(why) => {
            assert!(!why.is_empty() && why.starts_with("it"), "{why}");
            return;
        }
    };
    for (finding, check) in [
        (&spec.endpoint, check_endpoint as fn(&str) -> Result<(), String>),
        (&spec.id, check_word),
        (&spec.provider_type, check_text),
    ] {
        usable(finding, check);
    }
    for endpoint in &spec.endpoint.candidates {
        let host = endpoint.value.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or(rest));
        let is_here = host.is_none_or(|host| host == "localhost" || host.starts_with("127.") || host.starts_with('['));
        assert!(is_here, "plain http to {endpoint:?}");
    }
    let text = std::str::from_utf8(&bytes).expect("it was read");
    if let Ok(document) = serde_json::from_str::<serde_json::Value>(text) {
        let pretty = serde_json::to_vec_pretty(&document).unwrap();
        assert_eq!(read(&pretty), found, "the same document, written in another way");
    }
}

fn usable(finding: &Finding, check: fn(&str) -> Result<(), String>) {
    let guesses = finding.candidates.iter().filter(|candidate| candidate.guess.is_some()).count();
    assert!(guesses == 0 || guesses == finding.candidates.len(), "guesses beside what is stated: {finding:?}");
    for (index, candidate) in finding.candidates.iter().enumerate() {
        assert_eq!(check(&candidate.value), Ok(()), "{candidate:?}");
        assert!(!candidate.value.contains(['{', '<', '$']), "a placeholder: {candidate:?}");
        assert!(!finding.candidates[..index].iter().any(|other| other.value == candidate.value), "twice: {finding:?}");
    }
    assert_eq!(finding.certain().is_some(), finding.candidates.len() == 1 && guesses == 0);
}
