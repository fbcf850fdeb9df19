use std::path::Path;

use super::*;

const URL: &str = "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";
const ID: &str = "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";
const OTHER_ID: &str = "77777777-8a41-4b6e-9d0c-5f1a2b3c4d5e";
const KIND: &str = "CUSTOM_PROVIDER";

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs").join(name)).unwrap()
}

/// `=value` for a certain value, `?a|b` for a question, an empty text for no value.
fn shown(finding: &Finding) -> String {
    let values: Vec<&str> = finding.candidates.iter().map(|candidate| candidate.value.as_str()).collect();
    match finding.certain() {
        Some(certain) => format!("={}", certain.value),
        None if values.is_empty() => String::new(),
        None => format!("?{}", values.join("|")),
    }
}

#[test]
fn the_right_values_or_a_question() {
    let is = |value: &str| format!("={value}");
    let ask = |values: &[&str]| format!("?{}", values.join("|"));
    let staging = URL.replace("tower.", "tower-staging.");
    let eu = URL.replace("tower.", "tower-eu.");
    let public = URL.replace("otlp/", "");
    let good = (is(URL), is(ID), is(KIND));
    for (name, expected) in [
        ("literal.json", good.clone()),
        ("templated.yaml", good.clone()),
        ("path-parameter.yaml", good.clone()),
        ("operation-servers.yaml", good.clone()),
        ("examples-3.1.json", good.clone()),
        ("anchors.yaml", good.clone()),
        ("several-servers.yaml", (ask(&[URL, &staging]), is(ID), is(KIND))),
        ("region-variable.yaml", (ask(&[URL, &eu]), is(ID), is(KIND))),
        ("two-aliases.yaml", (is(URL), ask(&[ID, OTHER_ID]), is(KIND))),
        ("two-defaults.yaml", (is(URL), ask(&[ID, OTHER_ID]), is(KIND))),
        ("provider-choice.yaml", (is(URL), is(ID), ask(&[KIND, "OPENAI", "BEDROCK"]))),
        ("prose.yaml", (ask(&[URL]), ask(&[ID]), ask(&[KIND]))),
        ("numbers.yaml", (is(URL), String::new(), is(KIND))),
        ("other-metrics-path.yaml", (ask(&[&public, URL]), is(ID), is(KIND))),
        ("placeholders.yaml", Default::default()),
    ] {
        let spec = read(&bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = (shown(&spec.endpoint), shown(&spec.id), shown(&spec.provider_type));
        assert_eq!(found, expected, "{name}: {spec:#?}");
    }
}

#[test]
fn what_was_found_has_a_place() {
    let spec = read(&bytes("templated.yaml")).unwrap();
    assert_eq!(
        spec.endpoint.certain().unwrap().place,
        "servers[0].url with host from servers[0].variables.host.default \
         with accountId from servers[0].variables.accountId.default, paths./otlp/public/metrics"
    );
    assert_eq!(spec.id.certain().unwrap().place, "paths./otlp/public/metrics.post.parameters[0].example");
    assert_eq!(spec.title.as_deref(), Some("Billing agent"));
    let spec = read(&bytes("path-parameter.yaml")).unwrap();
    assert_eq!(spec.id.certain().unwrap().place, "components.schemas.AliasId.const");
    let notes = read(&bytes("placeholders.yaml")).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("\"your-account-id\"")), "{notes:?}");
    let notes = read(&bytes("numbers.yaml")).unwrap().notes;
    assert!(
        notes.iter().any(|note| note.contains("x-agent.extAccountAliasId: it is written as a number")),
        "{notes:?}"
    );
    let notes = read(&bytes("hostile/header-break.yaml")).unwrap();
    assert!(notes.id.candidates.is_empty() && notes.provider_type.candidates.is_empty(), "{notes:?}");
    assert!(notes.notes.iter().any(|note| note.contains("holds ','")), "{notes:?}");
}

#[test]
fn hostile_documents_are_refused_with_the_reason() {
    for (name, reason) in [
        ("http.yaml", "would send the token unencrypted"),
        ("user-in-url.yaml", "holds a user name or password"),
        ("cyclic-ref.yaml", "leads back to itself"),
        ("cyclic-all-of.yaml", "leads back to itself"),
        ("bomb.yaml", "not usable YAML"),
        ("twice.json", "the key \"extAccountAliasId\" occurs twice in one object"),
        ("swagger.json", "not an OpenAPI 3 document"),
        ("many-servers.yaml", "more than 50 metrics URLs"),
        ("ref-bomb.yaml", "need more steps than a Monitoring Spec does"),
    ] {
        let begun = std::time::Instant::now();
        let error = read(&bytes(&format!("hostile/{name}"))).unwrap_err();
        assert!(error.contains(reason), "{name}: {error}");
        assert!(begun.elapsed().as_secs() < 20, "{name} took {:?}", begun.elapsed());
    }
    let deep = |open: &str, close: &str| format!("openapi: 3.0.0\nx: {}{}", open.repeat(5000), close.repeat(5000));
    let json = format!("{{\"openapi\": \"3.0.0\", \"x\": {}{}}}", "[".repeat(5000), "]".repeat(5000));
    for (what, text) in [
        ("huge", format!("openapi: 3.0.0\nx: {}", "x".repeat(document::LARGEST))),
        ("many nodes", format!("openapi: 3.0.0\nx: [{}]", "a, ".repeat(200_000))),
        ("deep", deep("[", "]")),
        ("deep JSON", json),
        ("many documents", "---\nopenapi: 3.0.0\n".repeat(3)),
        ("nothing", String::new()),
        ("a page", "<!doctype html><title>Sign in</title>".to_owned()),
        ("twice", "openapi: 3.0.0\nx: 1\nx: 2\n".to_owned()),
    ] {
        let begun = std::time::Instant::now();
        let error = read(text.as_bytes()).expect_err(what);
        assert!(error.starts_with("it is "), "{what}: {error}");
        assert!(begun.elapsed().as_secs() < 20, "{what} took {:?}", begun.elapsed());
    }
    // Large numbers of each element whose cost could multiply.
    let head = "openapi: 3.0.0\nservers: [{url: 'https://act.example/metric-ingestion/v1/a-1'}]\n";
    let chain: String = (0..8_000).map(|index| format!("    S{index}: {{$ref: '#/c/S{}'}}\n", index + 1)).collect();
    let paths: String = (0..8_000).map(|index| format!("  /metrics/{index}: {{}}\n")).collect();
    let ids: String = (0..8_000).map(|index| format!("  - {{extAccountAliasId: a-{index}}}\n")).collect();
    let todo: String = (0..8_000).map(|index| format!("  - {{extAccountAliasId: <{index}>}}\n")).collect();
    for (what, text) in [
        ("chain", format!("{head}c:\n{chain}")),
        ("paths", format!("{head}paths:\n{paths}")),
        ("ids", format!("{head}c:\n{ids}")),
        ("placeholders", format!("{head}c:\n{todo}")),
    ] {
        let begun = std::time::Instant::now();
        let result = read(text.as_bytes());
        assert_eq!(result.is_ok(), what == "placeholders", "{what}: {result:?}");
        assert!(begun.elapsed().as_secs() < 20, "{what} took {:?}", begun.elapsed());
    }
    assert!(read(b"\xff\xfe").unwrap_err().contains("not UTF-8"));
}
