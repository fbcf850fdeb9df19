use std::path::Path;

use super::*;

const GOOD: &str = r#"{
  "accounts": { "acme": { "endpoint": "https://act.example/v1/a/otlp/public/metrics", "user": "BOOMI_TOKEN.dev@acme.com",
                          "token": { "env": "T" } } },
  "aliases": { "billing": { "account": "acme", "id": "id-1", "provider_type": "CUSTOM_PROVIDER",
                            "attributes": { "team": "payments", "operation": "Other" } } },
  "directories": { "~/work/./billing/": "billing", "~/oss": null },
  "default": null, "required": true
}"#;

fn read(text: &str) -> (Config, Vec<String>) {
    let (mut config, mut faults) = layer::read(Path::new("c.json"), text.as_bytes().to_vec(), Some(Path::new("/h")));
    faults.extend(config.settle(|_| false));
    let faults = faults.iter().map(ToString::to_string).collect();
    (config, faults)
}

#[test]
fn a_good_file_is_read() {
    let (config, faults) = read(GOOD);
    assert_eq!(faults, [] as [String; 0]);
    assert_eq!(crate::config::typed::secret::ASKED.get(), 0, "nothing is looked for in what is never shown");
    assert_eq!(config.accounts["acme"].user, "dev@acme.com");
    assert_eq!(config.directories[0].path, Path::new("/h/work/billing"));
    assert_eq!(config.directories[1].alias, None);
    assert_eq!(config.default.as_ref().unwrap().value, None);
    let attributes = config.aliases["billing"].resource_attributes();
    let attributes: Vec<_> = attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        attributes,
        [
            ("providerType", "CUSTOM_PROVIDER"),
            ("operation", "Other"),
            ("promptType", "Interactive"),
            ("team", "payments")
        ]
    );
}

#[test]
fn every_fault_names_place_and_way_out() {
    for (replace, with, expected) in [
        (r#""default""#, r#""defualt""#, "c.json:7:3: unknown key \"defualt\": did you mean \"default\"?"),
        (r#""required": true"#, r#""required": "yes""#, "c.json:7:32: required must be true or false, not \"yes\""),
        (
            r#"oss": null"#,
            r#"oss": "biling""#,
            "c.json:6:61: there is no alias \"biling\": did you mean \"billing\"? (known: billing)",
        ),
        (
            r#""account": "acme""#,
            r#""account": "acne""#,
            "c.json:4:40: there is no account \"acne\": did you mean \"acme\"?",
        ),
        (r#""~/oss""#, r#""oss""#, "c.json:6:52: \"oss\" is not an absolute path: start it with / or ~/"),
        (r#""~/oss""#, r#""~joe/oss""#, "c.json:6:52: \"~joe/oss\": only ~ and ~/… are expanded: write the full path"),
        (r#"{ "env": "T" }"#, r#"{ "evn": "T" }"#, "c.json:3:38: unknown key \"evn\": did you mean \"env\"?"),
        (
            r#"{ "env": "T" }"#,
            r#"{ "env": "T" }, "api": "http://api.example""#,
            "c.json:3:59: api would send the token unencrypted; plain http is allowed only to this machine",
        ),
        (r#""id": "id-1""#, r#""id": "a,X-Evil=1""#, "c.json:4:54: id holds ','"),
        (r#""BOOMI_TOKEN.dev@acme.com""#, r#""BOOMI_TOKEN.""#, "c.json:2:95: user has no name after BOOMI_TOKEN."),
        (r#""id": "id-1""#, r#""ID": "id-1""#, "c.json:4:48: unknown key \"ID\": did you mean \"id\"?"),
        (
            "https://act.example",
            "http://act.example",
            "c.json:2:39: endpoint would send the token unencrypted; plain http is allowed only to this machine",
        ),
        (r#""default": null,"#, r#""default": null"#, "c.json:7:19: not valid JSON (expected `,` or `}`)"),
        (r#""payments""#, r#""pay\nments""#, "c.json:5:53: attribute \"team\" holds '\\n'"),
    ] {
        let (_, faults) = read(&GOOD.replacen(replace, with, 1));
        assert_eq!(faults, [expected], "{replace} → {with}");
    }
}

#[test]
fn required_survives_every_fault() {
    for (replace, with) in [(r#""default": null,"#, r#""default": null"#), ("\"aliases\"", "\"alaises\"")] {
        let (config, faults) = read(&GOOD.replacen(replace, with, 1));
        assert!(!faults.is_empty());
        assert!(config.required_by().is_some(), "{with}");
    }
}

#[test]
fn layers_merge_entry_by_entry() {
    let (system, _) = read(&GOOD.replace("id-1", "sys").replace("\"default\": null", "\"default\": \"billing\""));
    let (user, _) =
        read(r#"{"directories": {"~/oss": "billing", "~/x": "billing"}, "required": false, "report": "never"}"#);
    let merged = user.over(system);
    assert_eq!(merged.aliases["billing"].id, "sys");
    let rules: Vec<_> = merged.directories.iter().map(|rule| (rule.written.as_str(), rule.alias.as_deref())).collect();
    assert_eq!(rules, [("~/oss", Some("billing")), ("~/x", Some("billing")), ("~/work/./billing/", Some("billing"))]);
    assert!(merged.required_by().is_some(), "the system's required can't be lowered");
    assert_eq!(merged.default.unwrap().value.as_deref(), Some("billing"));
    assert!(merged.report.is_some());
}

/// A value of the wrong kind does not let claude run without telemetry where the company wants that it doesn't.
#[test]
fn what_was_meant_as_required_is_required() {
    for (written, is_required) in [
        ("\"true\"", Some(true)),
        ("\"yes\"", Some(true)),
        ("1", Some(true)),
        ("2.0", Some(true)),
        ("\"TRUE \"", Some(true)),
        ("0", None),
        ("\"false\"", None),
        ("null", None),
        ("[]", None),
        ("false", Some(false)),
    ] {
        let (config, faults) = read(&format!("{{\"required\": {written}}}"));
        assert_eq!(config.required.map(|required| required.value), is_required, "{written}");
        assert_eq!(faults.is_empty(), written == "false", "{written}: {faults:?}");
    }
}
