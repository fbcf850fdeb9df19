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
        ("swagger.json", "it is Swagger 2.0, the version before OpenAPI 3"),
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
        ("two documents", "openapi: 3.0.0\n---\nopenapi: 3.0.0\n".to_owned()),
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
    let url = |index: usize| URL.replace("acme-A1B2C3", &format!("a-{index}"));
    let urls: String = (0..8_000).map(|index| format!("  - {}\n", url(index))).collect();
    let prose: String = (0..8_000).map(|index| format!("  - send it to {} please\n", url(index))).collect();
    for (what, text) in [
        ("chain", format!("{head}c:\n{chain}")),
        ("paths", format!("{head}paths:\n{paths}")),
        ("ids", format!("{head}c:\n{ids}")),
        ("placeholders", format!("{head}c:\n{todo}")),
        ("extensions", format!("{head}x-urls:\n{urls}")),
        ("prose", format!("openapi: 3.0.0\nc:\n{prose}")),
    ] {
        let begun = std::time::Instant::now();
        let result = read(text.as_bytes());
        assert_eq!(result.is_ok(), what == "placeholders", "{what}: {result:?}");
        assert!(begun.elapsed().as_secs() < 20, "{what} took {:?}", begun.elapsed());
    }
    assert!(read(b"a\xff").unwrap_err().contains("not UTF-8"));
}

/// Each kind of file that is given by mistake has its own reason.
#[test]
fn what_is_no_spec_is_refused_by_its_kind() {
    let deep = format!("// a\n{{\"openapi\": \"3.0.3\", \"x\": {}{}}}", "[".repeat(90), "]".repeat(90));
    for (text, reason) in [
        (&b""[..], "it is empty"),
        (b"\xef\xbb\xbf \n", "it is empty"),
        (b"# only a comment\n", "it is empty"),
        (b"\xff\xfeo\0p\0", "it is UTF-16 text"),
        (b"%PDF-1.7", "it is a PDF"),
        (b"PK\x03\x04", "it is a ZIP archive"),
        (b"\x1f\x8b\x08", "it is compressed"),
        (b"openapi: 3.0.0\0", "it is not text"),
        (b"<!DOCTYPE html><title>Sign in</title>", "it is a web page"),
        (b"<?xml version='1.0'?><definitions/>", "it is XML"),
        (b"#%RAML 1.0\ntitle: x\n", "it is RAML"),
        (b"openapi: 3.0.0\n---\nopenapi: 3.0.0\n", "it is 2 YAML documents"),
        (b"// x\n{\"openapi\": \"3.0.3\"}", "it is JSON with comments"),
        (b"{\"openapi\": \"3.0.3\" /* x */}", "it is JSON with comments"),
        (deep.as_bytes(), "it is JSON with comments"),
        (b"{\"openapi\": \"3.0.3\"", "it is not valid JSON"),
        (b"{\"swagger\": \"2.0\"}", "it is Swagger 2.0, the version before"),
        (b"swagger: 2.0\n", "it is Swagger 2.0, the version before"),
        (b"asyncapi: 2.6.0\n", "it is AsyncAPI 2.6.0"),
        (b"openapi: 2.0.0\n", "it is OpenAPI 2.0.0"),
        (b"openapi: 3.0\n", "its \"openapi\" is the number 3.0"),
        (b"openapi: [\n", "it is not usable YAML"),
        (b"[1]", "it is a list"),
        (b"- a\n", "it is a list"),
        (b"{\"info\": {\"_postman_id\": \"x\"}, \"item\": []}", "it is a collection of Postman"),
        (b"{\"env\": {\"OTEL_METRICS_EXPORTER\": \"otlp\"}}", "act-claude act setup --from-settings"),
        (b"{\"accounts\": {}}", "it is a configuration of act-claude"),
        (b"{\"$schema\": \"x\", \"type\": \"object\"}", "it is a JSON Schema"),
        (b"title: x\n", "it has no \"openapi"),
        (b"Dear customer, your alias id is a-1\n", "but text"),
    ] {
        let shown = String::from_utf8_lossy(text).into_owned();
        let error = read(text).expect_err(&shown);
        assert!(error.contains(reason), "{shown}: {error}");
    }
    // YAML's flow style begins as JSON does, and JSON may have a byte order mark.
    assert!(read(b"{openapi: 3.0.3, info: {title: x}}").is_ok());
    assert!(read(b"\xef\xbb\xbf{\"openapi\": \"3.0.3\"}\r\n").is_ok());
    assert!(read(b"%YAML 1.2\n---\nopenapi: 3.0.3\n...\n").is_ok());
}

/// Extensions (`x-…`) state values as other members do, also with a vendor's name.
#[test]
fn extensions_count() {
    let flat = format!(
        "openapi: 3.0.3\nx-extAccountAliasId: {ID}\ninfo:\n  x-boomi-provider-type: {KIND}\nx-boomi-metrics-url: {URL}\n"
    );
    let nested =
        format!("openapi: 3.0.3\nx-act: {{alias: {{x-alias-id: {ID}, providerType: {KIND}}}, endpoint: '{URL}'}}\n");
    let schema = format!(
        "openapi: 3.0.3\nx-provider-type: {{default: {KIND}}}\nx-ext-account-alias-id: {{example: {ID}}}\nx-url: '{URL}'\n"
    );
    for text in [flat, nested, schema] {
        let spec = read(text.as_bytes()).unwrap();
        let found = (shown(&spec.endpoint), shown(&spec.id), shown(&spec.provider_type));
        assert_eq!(found, (format!("={URL}"), format!("={ID}"), format!("={KIND}")), "{text}: {spec:#?}");
    }
    // Two answers are a question; a placeholder is none.
    let two = format!("openapi: 3.0.3\nx-alias-id: {ID}\nextAccountAliasId: {OTHER_ID}\nx-provider-type: <type>\n");
    let spec = read(two.as_bytes()).unwrap();
    assert_eq!((shown(&spec.id), shown(&spec.provider_type)), (format!("?{ID}|{OTHER_ID}"), String::new()));
    // Nor is a URL with a placeholder for the account, or a sample UUID.
    let samples = format!(
        "openapi: 3.0.3\nservers: [{{url: '{}'}}]\nx-alias-id: 3fa85f64-5717-4562-b3fc-2c963f66afa6\n",
        URL.replace("acme-A1B2C3", "ACCOUNT-ID")
    );
    let spec = read(samples.as_bytes()).unwrap();
    assert_eq!((shown(&spec.endpoint), shown(&spec.id)), (String::new(), String::new()), "{spec:#?}");
}

#[test]
fn an_endpoint_that_can_t_work_is_refused_without_its_password() {
    for (server, reason) in [
        ("https://agentcontroltower.boomi.com:80/metric-ingestion/v1/acme-A1B2C3", "has port 80"),
        ("https://agentcontroltower.boomi.com./metric-ingestion/v1/acme-A1B2C3", "at the end of its host"),
        ("https://act.example:70000/metric-ingestion/v1/acme-A1B2C3", "from 1 to 65535"),
        ("https://agentcontroltower.boomi.com/metric-ingestion/v1/acme~x", "holds '~'"),
        ("https://agentcontroltower.boomi.com/../metric-ingestion/v1/acme-A1B2C3", "'.' or '..' in its path"),
        ("https://u:sekret@act.example/metric-ingestion/v1/acme-A1B2C3", "holds a user name or password"),
    ] {
        let document =
            format!("openapi: 3.0.0\nservers: [{{url: '{server}'}}]\npaths: {{/otlp/public/metrics: {{}}}}\n");
        let error = read(document.as_bytes()).expect_err(server);
        assert!(error.contains(reason) && !error.contains("sekret"), "{server}: {error}");
    }
}

#[test]
fn a_provider_type_may_have_any_words() {
    for kind in ["User", "Custom provider", "Custom [beta]"] {
        let document = format!("openapi: 3.0.0\nx-agent: {{providerType: '{kind}'}}\n");
        assert_eq!(
            read(document.as_bytes()).unwrap().provider_type.certain().map(|found| found.value.as_str()),
            Some(kind)
        );
    }
}
