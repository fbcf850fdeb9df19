//! C6: each value of the configuration becomes exactly one header or attribute, or is refused with the reason.

use serde_json::{Value, json};

use crate::support::act::{Act, credential, resource_attributes};
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, TOKEN, Text, USER};

/// Values that try to break out of a header, a list of headers, or a list of attributes.
const NASTY: [&str; 16] = [
    "a,X-Alias-Id=evil",
    "a\r\nX-Evil: 1",
    "a\nb",
    "a\0b",
    "a\tb",
    "\"quoted\"",
    " leading",
    "trailing ",
    "a b",
    "a=b",
    "a;b",
    "a%2Cb",
    "a\\b",
    "ä€",
    "\u{202e}x",
    "\u{7f}",
];

/// No value may contain a character that ends a value anywhere. A header or a name must be ASCII without white space.
fn is_refused(place: &str, value: &str) -> bool {
    let ends = |c: char| c.is_control() || c == ',' || c == '"';
    let is_word = ["id", "user", "attribute name"].contains(&place);
    let is_name = place == "attribute name" && value.contains(['=', ';', '%']);
    is_name || value.contains(ends) || value.trim() != value || is_word && !value.chars().all(|c| c.is_ascii_graphic())
}

fn sandbox(act: &Act, change: impl Fn(&mut Value)) -> Sandbox {
    let mut sandbox = Sandbox::new();
    let mut config = json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())}, "default": "billing",
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P", "attributes": {}}}
    });
    change(&mut config);
    sandbox.configure(&config);
    fake_claude::install(&mut sandbox, "post\nexit 0");
    sandbox
}

#[test]
fn c6_one_header_or_attribute_each_or_an_error() {
    let mut taken = Vec::new();
    let mut refused = 0;
    for value in NASTY {
        for place in ["id", "user", "provider_type", "attribute", "attribute name"] {
            let act = Act::start();
            let sandbox = sandbox(&act, |config| match place {
                "user" => config["accounts"]["acme"]["user"] = json!(value),
                "attribute" => config["aliases"]["billing"]["attributes"]["team"] = json!(value),
                "attribute name" => config["aliases"]["billing"]["attributes"][value] = json!("x"),
                place => config["aliases"]["billing"][place] = json!(value),
            });
            let output = sandbox.act_claude(&["-p", "hi"]).output().unwrap();
            assert_eq!(output.code(), 0);
            let requests = act.requests();
            assert_eq!(requests.is_empty(), is_refused(place, value), "{place} {value:?}: {}", output.err());
            if requests.is_empty() {
                let line = output.err();
                assert!(line.contains("config.json:") && line.lines().count() == 1, "{place} {value:?}: {line:?}");
                assert!(!line.trim_end().chars().any(char::is_control), "{place} {value:?}: {line:?}");
                refused += 1;
                continue;
            }
            let request = &requests[0];
            taken.push((place, value));
            assert!(request.headers.iter().all(|(name, _)| name != "x-evil"), "{place} {value:?}");
            let expected_id = if place == "id" { value } else { "id-billing" };
            assert_eq!(request.header("x-alias-id"), Some(expected_id), "{place}");
            let expected_user = if place == "user" { value } else { USER };
            assert_eq!(credential(request), format!("BOOMI_TOKEN.{expected_user}:{TOKEN}"), "{place}");
            let attributes = resource_attributes(&request.json());
            let expected = match place {
                "provider_type" => ("providerType", value),
                "attribute" => ("team", value),
                "attribute name" => (value, "x"),
                _ => ("providerType", "P"),
            };
            assert_eq!(attributes.get(expected.0).map(String::as_str), Some(expected.1), "{place} {value:?}");
        }
    }
    assert!(refused > 30, "{refused} refused, taken: {taken:?}");
    assert!(taken.contains(&("attribute", "a=b")) && taken.contains(&("attribute", "ä€")), "{taken:?}");
}
