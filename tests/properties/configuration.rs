//! The configuration: every fault has a place in the file, accepted configurations have the promised properties, and a
//! change leaves the rest unchanged.

use std::path::Path;

use act_claude::config;
use act_claude::config::edit::{Change, text};
use act_claude::config::{Config, TokenSource, check_endpoint, check_text, check_word};
use act_claude::text::json::Fault;
use serde_json::json;

const WORDS: [&str; 35] = [
    "\"accounts\":{",
    "\"acme\":{",
    "\"endpoint\":\"https://act.example/m\",",
    "\"endpoint\":\"http://127.0.0.1:1/m\",",
    "\"endpoint\":\"http://act.example/m\",",
    "\"user\":\"dev@acme.com\",",
    "\"user\":\"BOOMI_TOKEN.",
    "\"token\":{\"command\":[\"pass\",\"x\"]}}",
    "\"token\":{\"file\":\"~/t\"}}",
    "\"token\":{\"env\":\"T\"}}",
    "\"aliases\":{",
    "\"web\":{\"account\":\"acme\",\"id\":\"i\",\"provider_type\":\"P\"}",
    "\"account\":",
    "\"id\":",
    "\"provider_type\":",
    "\"attributes\":{",
    "\"copies\":{",
    "\"grafana\":{\"endpoint\":\"https://otlp.example/v1/metrics\",",
    "\"plain_http\":true,\"what\":\"metrics\",\"protocol\":\"http/json\",",
    "\"headers\":{\"Authorization\":{\"env\":\"T\"},",
    "\"x-key\":{\"file\":\"~/t\"}},",
    "\"aliases\":[\"web\"]}",
    "\"directories\":{\"~/w\":\"web\",\"/x\":null}",
    "\"default\":\"web\"",
    "\"claude\":\"~/bin/../c\"",
    "\"delivery\":\"direct\",\"required\":true",
    "\"export_interval_ms\":5000,\"exit_wait_ms\":0",
    "\"report\":\"json\",\"redact\":[\"user.email\"]",
    "\"spool_files\":1,\"spool_mib\":65536",
    "\"\\ud800\"",
    "\"ä\\u0061\"",
    "null",
    "{",
    "}",
    ",",
];

/// Reading, reading again, and changing.
pub fn check(data: &[u8]) {
    let path = Path::new("/c/config.json");
    let bytes = crate::spelled::spelled(data, &WORDS);
    let (config, faults) = config::read(path, bytes.clone(), Some(Path::new("/h")));
    faults.iter().for_each(|fault| has_a_place(fault, path, &bytes));
    sound(&config);
    let Ok(before) = String::from_utf8(bytes) else {
        assert!(!faults.is_empty());
        return;
    };
    let changes = [
        Change::set(
            ["accounts", "new-account"],
            json!({"endpoint": "https://e/m", "user": "u", "token": {"env": "T"}}),
        ),
        Change::set(["aliases", "new-alias"], json!({"account": "acme", "id": "1", "provider_type": "ä b"})),
        Change::set(["directories", "~/ä \\"], "new-alias"),
        Change::remove(["default"]),
    ];
    for change in changes {
        changed(path, &before, change, !faults.is_empty());
    }
}

/// Every fault names this file, and a place in it.
fn has_a_place(fault: &Fault, path: &Path, bytes: &[u8]) {
    let said = fault.to_string();
    assert_eq!(fault.origin.path(), path);
    assert!(said.starts_with("/c/config.json:") && !fault.what.is_empty(), "{said}");
    assert!(!fault.what.starts_with("the configuration must be an object, not an object"), "{said}");
    match (std::str::from_utf8(bytes), fault.origin.line_and_column()) {
        (Ok(text), Some((line, column))) => {
            let lines: Vec<&str> = text.split('\n').collect();
            assert!((1..=lines.len()).contains(&line), "{said}: line {line} of {}", lines.len());
            assert!((1..=lines[line - 1].chars().count() + 1).contains(&column), "{said}: column {column}");
        }
        (Err(error), None) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            assert_eq!(fault.what, format!("line {line} is not UTF-8"));
        }
        (_, place) => panic!("{said}: {place:?}"),
    }
}

/// A copy's name can be a directory's, and its headers can be sent.
fn sound_copies(config: &Config) {
    for (name, copy) in &config.copies {
        assert!(check_word(name).is_ok() && !name.contains('/') && !name.starts_with('.'), "{name}");
        let scheme = copy.endpoint.get(..4).map(str::to_ascii_lowercase);
        assert!(scheme.as_deref() == Some("http") && !copy.endpoint.contains(['@', '#', '?']), "{}", copy.endpoint);
        assert!(copy.headers.len() <= 16 && copy.aliases.as_ref().is_none_or(|aliases| !aliases.is_empty()));
        let mut names: Vec<String> = copy.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
        for (name, source) in &copy.headers {
            assert!(name.parse::<hyper::header::HeaderName>().is_ok(), "{name}");
            if let TokenSource::File(file) = source {
                absolute(file);
            }
        }
        assert!(!config.broken.copies.contains_key(name), "{name}");
    }
}

/// Properties on which other parts rely.
fn sound(config: &Config) {
    sound_copies(config);
    for (name, account) in &config.accounts {
        assert_eq!(
            (check_word(name), check_word(&account.user), check_endpoint(&account.endpoint)),
            (Ok(()), Ok(()), Ok(()))
        );
        assert!(!account.user.starts_with("BOOMI_TOKEN.") && !account.user.contains(':'), "{}", account.user);
        match &account.token {
            TokenSource::Command(argv) => assert!(!argv[0].is_empty() && argv.iter().all(|arg| !arg.contains('\0'))),
            TokenSource::File(file) => absolute(file),
            TokenSource::Env(name) => assert!(!name.is_empty() && !name.contains(['=', '\0'])),
        }
    }
    for (name, alias) in &config.aliases {
        assert_eq!(
            (check_word(name), check_word(&alias.id), check_text(&alias.provider_type)),
            (Ok(()), Ok(()), Ok(()))
        );
        let attributes = alias.resource_attributes();
        let mut names: Vec<&str> = attributes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..3], config::RESERVED_ATTRIBUTES);
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
        for (name, value) in &attributes {
            assert_eq!((check_word(name), check_text(value)), (Ok(()), Ok(())), "{name}={value}");
            assert!(!name.contains(['=', ';', '%']), "{name}");
        }
    }
    config.directories.iter().for_each(|rule| absolute(&rule.path));
    config.claude.iter().for_each(|path| absolute(path));
    assert!((100..=3_600_000).contains(&config.export_interval_ms()));
    assert!(config.spool_limits().bytes <= 65_536 << 20 && config.spool_limits().files <= 1_000_000);
}

fn absolute(path: &Path) {
    assert!(path.is_absolute() && !path.to_string_lossy().contains('\0'), "{path:?}");
    assert!(!path.components().any(|part| part.as_os_str() == ".."), "{path:?}");
}

/// A change has exactly its effect: the other members keep their values, and the text stays the same except for the
/// removed or new member.
fn changed(path: &Path, before: &str, change: Change, had_faults: bool) {
    let Ok(after) = text::apply(path, before, std::slice::from_ref(&change)) else {
        assert!(had_faults, "no change could be made: {before}");
        return;
    };
    assert_eq!(
        text::apply(path, &after, std::slice::from_ref(&change)).as_ref(),
        Ok(&after),
        "once is enough: {before}"
    );
    let (_, faults) = config::read(path, after.clone().into_bytes(), Some(Path::new("/h")));
    assert!(had_faults || faults.is_empty(), "{faults:?}\n{before}\n{after}");
    // White space in an object without members is replaced by the first member.
    let (before, after) = (squeezed(before), squeezed(&after));
    let is_within = |inner: &str, outer: &str| {
        let mut outer = outer.chars();
        inner.chars().all(|c| outer.any(|other| other == c))
    };
    let is_new = !["new-", "ä \\\\"].iter().any(|name| before.contains(name)) && !before.trim().is_empty();
    assert!(!is_new || is_within(&before, &after) || is_within(&after, &before), "{before}\n{after}");
}

/// Without white space between braces.
fn squeezed(text: &str) -> String {
    let mut parts = text.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let rest = part.trim_start();
        all + "{" + if rest.starts_with('}') { rest } else { part }
    })
}
