use std::fmt::Write;
use std::path::Path;

use super::*;
use crate::config::layer;

const ACCOUNTS: &str = r#"
  "accounts": { "acme": { "endpoint": "https://act.example/m", "user": "dev@acme.com", "token": { "env": "T" } } },
  "aliases": { "billing": { "account": "acme", "id": "1", "provider_type": "P" },
               "web": { "account": "acme", "id": "2", "provider_type": "P" } }"#;
const CANARY: &str = "glc_c4n4ry9f8e7d6c5b4a3928";

/// The configuration of a file with these copies, and its faults.
fn read_at(path: &str, copies: &str) -> (Config, Vec<Fault>) {
    let text = format!("{{\"copies\": {copies},{ACCOUNTS}}}");
    layer::read(Path::new(path), text.into_bytes(), Some(Path::new("/h")))
}

fn read(copies: &str) -> (Config, Vec<String>) {
    let (mut config, mut faults) = read_at("c.json", copies);
    faults.extend(config.settle(|_| false));
    assert!(faults.iter().all(|fault| config.broken.holds(fault) && config.broken.is_of_copy(fault)), "{faults:?}");
    assert!(config.broken.is_empty() && config.aliases.len() == 2, "nothing else is affected: {faults:?}");
    (config, faults.iter().map(ToString::to_string).collect())
}

#[test]
fn a_destination_is_read() {
    let (config, faults) = read(
        r#"{
        "grafana": { "endpoint": "https://otlp.example/otlp/v1/metrics", "redact": ["user.email"], "aliases": ["billing"],
                     "headers": { "Authorization": { "file": "~/g" }, "X-Scope-OrgID": { "env": "ORG" } } },
        "collector": { "endpoint": "http://collector.internal:4318/v1/metrics", "plain_http": true, "what": "metrics",
                       "protocol": "http/json" },
        "here": { "endpoint": "http://[::1]:4318/v1/metrics", "headers": { "x": { "command": ["pass", "x"] } } },
        "old": null }"#,
    );
    assert_eq!(faults, [] as [String; 0]);
    assert_eq!(crate::config::typed::secret::ASKED.get(), 0, "nothing is looked for in what is never shown");
    let grafana = Destination {
        endpoint: "https://otlp.example/otlp/v1/metrics".to_owned(),
        headers: vec![
            ("Authorization".to_owned(), TokenSource::File("/h/g".into())),
            ("X-Scope-OrgID".to_owned(), TokenSource::Env("ORG".to_owned())),
        ],
        redact: vec!["user.email".to_owned()],
        aliases: Some(vec!["billing".to_owned()]),
    };
    assert_eq!(config.copies["grafana"].value, grafana);
    assert_eq!(config.copies["grafana"].origin.to_string(), "c.json:2:9");
    let names = |alias| config.copies_of(alias).map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("billing"), ["collector", "grafana", "here"]);
    assert_eq!(names("web"), ["collector", "here"]);
    assert_eq!(config.token_variables(), ["T", "ORG"]);
}

/// A destination with one more key.
fn with(key: &str, value: &str) -> String {
    format!(r#"{{"x": {{"endpoint": "https://h/m", "{key}": {value}}}}}"#)
}

/// These copies have one fault, where the text begins with `at`.
fn is_the_fault(copies: &str, at: &str, fault: &str) {
    let (mut config, mut faults) = read_at("c.json", copies);
    faults.extend(config.settle(|_| false));
    let [found] = &faults[..] else { panic!("{copies}: {faults:?}") };
    assert_eq!(found.to_string(), format!("{}: {fault}", found.origin), "{copies}");
    let text = format!("{{\"copies\": {copies}");
    assert!(text[found.origin.offset().unwrap()..].starts_with(at), "{copies}: {found}");
    assert!(config.copies.is_empty() && read(copies).1.len() == 1, "{copies}");
}

#[test]
fn every_fault_names_place_and_way_out() {
    let at = |endpoint: &str| format!(r#"{{"x": {{"endpoint": "{endpoint}"}}}}"#);
    for (copies, at, fault) in [
        (with("headrs", "{}"), r#""headrs""#, "unknown key \"headrs\": did you mean \"headers\"?"),
        ("{\"x\": {}}".to_owned(), r#"{}"#, "copy \"x\" lacks \"endpoint\""),
        ("{\"x\": 1}".to_owned(), r#"1"#, "copy \"x\" must be an object or null"),
        ("[]".to_owned(), r#"[]"#, "copies must be an object of names and destinations"),
        (
            "{\"x\": null, \"x\": null}".to_owned(),
            r#""x": null}"#,
            "\"x\" occurs twice in this object: remove one of the two",
        ),
        (
            "{\"-x\": null}".to_owned(),
            r#""-x""#,
            "the name \"-x\" begins with '-': a name is one word of ASCII characters that does not begin with '-'",
        ),
        ("{\"..\": null}".to_owned(), r#""..""#, "the name \"..\" begins with '.'"),
        ("{\"a/b\": null}".to_owned(), r#""a/b""#, "the name \"a/b\" holds a slash"),
        (
            "{\"Own-Pipeline\": null}".to_owned(),
            r#""Own-Pipeline""#,
            "the name \"Own-Pipeline\" is that of your own pipeline's copies",
        ),
        (
            at("http://h/m"),
            r#""http:"#,
            "endpoint would send exports and headers unencrypted to another machine: write https://, or add \
             \"plain_http\": true",
        ),
        (at("http://localhost:4318"), r#""http:"#, "endpoint has no path: write http://localhost:4318/v1/metrics"),
        (at("https://h/"), r#""https:"#, "endpoint has no path: write https://h/v1/metrics"),
        (at("https://u:pw@h/m"), r#""https:"#, "endpoint holds a user name or password"),
        (at("https://h/m#x"), r#""https:"#, "endpoint has a query or fragment"),
        (at("h/m"), r#""h/m""#, "endpoint is not a URL"),
        (with("plain_http", "1"), r#"1"#, "plain_http must be true or false"),
        (
            with("what", "\"traces\""),
            r#""traces""#,
            "what must be \"metrics\": only metrics are copied: write \"metrics\", or remove it",
        ),
        (
            with("protocol", "\"grpc\""),
            r#""grpc""#,
            "protocol must be \"http/json\": claude's exports are JSON, and no other is supported: name a receiver that \
             takes OTLP as JSON, and write \"http/json\"",
        ),
        (with("redact", "\"user.email\""), r#""user"#, "redact must be a list of texts"),
        (with("redact", "[1]"), r#"1]"#, "redact must be a list of texts"),
        (
            with("aliases", "[]"),
            r#"[]"#,
            "aliases is empty, so that nothing is copied: name an alias, or remove it: all",
        ),
        (
            with("aliases", "[\"web\", \"biling\"]"),
            r#""biling""#,
            "there is no alias \"biling\": did you mean \"billing\"? (known: billing, web)",
        ),
    ] {
        is_the_fault(&copies, at, fault);
    }
}

/// Some file systems don't tell upper from lower case: both would have one directory.
#[test]
fn names_differ_in_more_than_upper_and_lower_case() {
    let (config, faults) = read(r#"{"g": {"endpoint": "https://h/m"}, "G": {"endpoint": "https://i/m"}}"#);
    assert_eq!(config.copies.keys().collect::<Vec<_>>(), ["g"]);
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    let what = "the name \"G\" differs from \"g\" in upper and lower case only: rename one of the two";
    assert!(fault.to_string().ends_with(what), "{fault}");
}

#[test]
fn faults_of_headers_name_place_and_way_out() {
    let header = |header: &str| with("headers", &format!("{{{header}}}"));
    for (copies, at, fault) in [
        (with("headers", "[]"), r#"[]"#, "headers must be an object of names and sources"),
        (header(r#""Host": {"env": "A"}"#), r#""Host""#, "the header Host is set by act-claude itself: remove it"),
        (
            header(r#""content-TYPE": {"env": "A"}"#),
            r#""content"#,
            "the header content-TYPE is set by act-claude itself: remove it",
        ),
        (
            header(r#""A": {"env": "A"}, "a": {"env": "A"}"#),
            r#""a": {"#,
            "the header \"a\" occurs twice: upper and lower case are the same: remove one of the two",
        ),
        (
            header(r#""A: b": {"env": "A"}"#),
            r#""A: b""#,
            "this is not the name of an HTTP header: write it as in \"Authorization\": {\"file\": \"…\"}",
        ),
        (
            header(r#""A": "b""#),
            r#""b""#,
            "header \"A\" must be one of {\"command\": […]}, {\"file\": \"…\"}, {\"env\": \"…\"}: the value itself does not \
             belong into this file: keep it in a file of mode 600, a command's output or a variable",
        ),
        (header(r#""A": {"flie": "/x"}"#), r#""flie""#, "unknown key \"flie\": did you mean \"file\"?"),
        (header(r#""A": {"file": "x"}"#), r#""x""#, "file is not an absolute path: start it with / or ~/"),
        (header(r#""A": {"env": "a b"}"#), r#""a b""#, "env is not the name of an environment variable"),
        (
            header(r#""A": {"env": "ANTHROPIC_API_KEY"}"#),
            r#""ANTHROPIC"#,
            "claude itself needs ANTHROPIC_API_KEY, and the variable of a header is kept from claude: name another \
             variable",
        ),
    ] {
        is_the_fault(&copies, at, fault);
    }
}

#[test]
fn only_so_many_are_sent() {
    let list = |count: usize| {
        let copies = (0..count).map(|at| format!(r#""c{at:02}": {{"endpoint": "https://h/m"}}"#));
        format!("{{{}}}", copies.rev().collect::<Vec<_>>().join(", "))
    };
    assert_eq!(read(&list(MOST)).1, [] as [String; 0]);
    let (config, faults) = read(&list(MOST + 2));
    assert_eq!((config.copies.len(), faults.len()), (MOST, 2));
    assert!(faults.iter().all(|fault| fault.ends_with("there are more than 16 copies: remove some of them")));
    assert_eq!(config.broken.copies.keys().collect::<Vec<_>>(), ["c00", "c01"], "the last ones of the file");
    let mut headers = String::new();
    (0..=MOST_HEADERS).for_each(|at| write!(headers, r#""h{at}": {{"env": "A"}},"#).unwrap());
    let headers = headers.trim_end_matches(',');
    let (_, faults) = read(&format!(r#"{{"x": {{"endpoint": "https://h/m", "headers": {{{headers}}}}}}}"#));
    assert!(faults[0].ends_with("headers has more than 16 headers: remove some of them"), "{faults:?}");
}

#[test]
fn the_user_s_entry_takes_precedence() {
    let merged = |user: &str, system: &str| {
        let (user, _) = read_at("u.json", user);
        let mut config = user.over(read_at("s.json", system).0);
        let faults = config.settle(|_| false);
        let kept = config.copies.iter().map(|(name, copy)| format!("{name} {}", copy.origin.path().display()));
        (kept.collect::<Vec<_>>(), config.broken.copies.keys().cloned().collect::<Vec<_>>(), faults.len())
    };
    let good = |name: &str| format!(r#""{name}": {{"endpoint": "https://h/m", "aliases": ["web"]}}"#);
    let unknown = r#""a": {"endpoint": "https://h/m", "aliases": ["x"]}"#;
    for (user, system, kept, broken, faults) in [
        (good("a"), good("b"), &["a u.json", "b s.json"][..], &[][..], 0),
        (good("a"), good("a"), &["a u.json"], &[], 0),
        ("\"a\": null".to_owned(), good("a"), &[], &[], 0),
        ("\"a\": 1".to_owned(), good("a"), &[], &["a"], 0),
        ("\"a\": null".to_owned(), "\"a\": 1".to_owned(), &[], &[], 0),
        (good("a"), "\"a\": 1".to_owned(), &["a u.json"], &[], 0),
        (good("b"), "\"a\": 1".to_owned(), &["b u.json"], &["a"], 0),
        (good("a"), unknown.to_owned(), &["a u.json"], &[], 0),
        (unknown.to_owned(), good("a"), &[], &["a"], 1),
        (good("b"), unknown.to_owned(), &["b u.json"], &["a"], 1),
        // One of the two may be meant to replace the system's.
        ("\"b\": null, \"b\": null".to_owned(), good("a"), &[], &[], 0),
    ] {
        let (user, system) = (format!("{{{user}}}"), format!("{{{system}}}"));
        let expected = (
            kept.iter().map(|name| (*name).to_owned()).collect(),
            broken.iter().map(|name| (*name).to_owned()).collect(),
            faults,
        );
        assert_eq!(merged(&user, &system), expected, "{user} over {system}");
    }
}

/// An alias that has a fault of its own breaks no copy.
#[test]
fn a_broken_alias_breaks_no_copy() {
    let text = r#"{"copies": {"x": {"endpoint": "https://h/m", "aliases": ["web"]}}, "aliases": {"web": 1}}"#;
    let (mut config, faults) = layer::read(Path::new("c.json"), text.as_bytes().to_vec(), None);
    assert_eq!((faults.len(), config.settle(|_| false).len(), config.copies.len()), (1, 0, 1));
}

#[test]
fn no_fault_repeats_a_value() {
    let quoted = format!("\"{CANARY}\"");
    let header = |header: &str| format!(r#"{{"x": {{"endpoint": "https://h/m", "headers": {header}}}}}"#);
    for copies in [
        quoted.clone(),
        format!("{{{quoted}: 1}}"),
        format!("{{{quoted}: null, {quoted}: null}}"),
        format!("{{\"a {CANARY}\": null}}"),
        format!("{{\"x\": {quoted}}}"),
        format!("{{\"x\": {{{quoted}: 1}}}}"),
        format!("{{\"x\": {{\"endpoint\": {quoted}}}}}"),
        format!("{{\"x\": {{\"endpoint\": [{quoted}]}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://u:{CANARY}@h/m\"}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://{CANARY}@h\"}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://h/m?key={CANARY}\"}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://{}\"}}}}", CANARY.replace('_', "-")),
        format!("{{\"x\": {{\"endpoint\": \"https://h/m\", \"what\": {quoted}}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://h/m\", \"protocol\": {quoted}}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://h/m\", \"plain_http\": {quoted}}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://h/m\", \"redact\": {quoted}}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://h/m\", \"aliases\": {quoted}}}}}"),
        format!("{{\"x\": {{\"endpoint\": \"https://h/m\", \"aliases\": [{quoted}]}}}}"),
        header(&quoted),
        header(&format!("{{\"Authorization\": {quoted}}}")),
        header(&format!("{{\"Authorization\": \"Bearer {CANARY}\"}}")),
        header(&format!("{{\"Authorization: Bearer {CANARY}\": {{\"env\": \"A\"}}}}")),
        header(&format!("{{{quoted}: \"x\"}}")),
        header(&format!("{{{quoted}: {{\"env\": \"A\"}}, {quoted}: {{\"env\": \"A\"}}}}")),
        header(&format!("{{{quoted}: {{\"env\": \"A\"}}, \"{}\": {{\"env\": \"A\"}}}}", CANARY.to_uppercase())),
        header(&format!("{{\"A\": {{{quoted}: \"x\"}}}}")),
        header(&format!("{{\"A\": [{quoted}]}}")),
        header(&format!("{{\"A\": {{\"file\": {quoted}}}}}")),
        header(&format!("{{\"A\": {{\"file\": \"~{CANARY}\"}}}}")),
        header(&format!("{{\"A\": {{\"file\": [{quoted}]}}}}")),
        header(&format!("{{\"A\": {{\"env\": \"Bearer {CANARY}\"}}}}")),
        header(&format!("{{\"A\": {{\"env\": \"ANTHROPIC_{CANARY}\"}}}}")),
        header(&format!("{{\"A\": {{\"command\": {quoted}}}}}")),
        header(&format!("{{\"A\": {{\"command\": [\"Bearer {CANARY}\"]}}}}")),
    ] {
        let (_, faults) = read(&copies);
        let said = faults.join("\n").to_lowercase().replace('-', "_");
        assert!(faults.len() == 1 && !said.contains(CANARY), "{copies}: {faults:?}");
    }
}
