//! Rules by repository: what is seen on the way through the configuration is what a closer look says.

use std::path::Path;

use act_claude::config;
use act_claude::config::repositories::{Pattern, plain_end};
use act_claude::text::json::Origin;
use proptest::collection::vec;
use proptest::prelude::*;

/// Keys that are patterns, almost patterns, and none.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c/._+,-]{0,20}",
        "[a-c/.A*%:~@ é`{]{0,12}",
        "((ssh\\.)?github|altssh\\.gitlab|dev\\.azure|a\\.visualstudio)\\.com(/[a-z._-]{0,10}){1,3}(\\.git)?",
    ]
}

/// Values of rules, as they are written.
fn alias() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["\"web\"", "\"web\"", "\"webs\"", "\"we\"", "\"\\u0077eb\"", "null", "1"][..])
}

proptest! {
    #[test]
    fn a_plain_key_is_read_as_it_is_written(key in key(), before in "[{, ä]{0,9}", after in "[:\", /a-z.]{0,20}") {
        let text = format!("{before}\"{key}\"{after}");
        if let Some(end) = plain_end(text.as_bytes(), before.len()) {
            prop_assert_eq!(&text[before.len()..end], format!("\"{key}\""));
            let pattern = Pattern::read(&key, None);
            prop_assert_eq!(pattern.as_ref().map(Pattern::text), Ok(&key[..]));
        }
    }

    #[test]
    fn each_unknown_alias_is_named(rules in vec((key(), alias()), 0..12), known in prop::sample::subsequence(vec!["web", "webs", "we"], 0..3)) {
        let rules: Vec<String> = rules.iter().map(|(key, alias)| format!("\"{key}\": {alias}")).collect();
        let text = format!("{{\"repositories\": {{{}}}}}", rules.join(", "));
        let (config, _) = config::read(Path::new("/c.json"), text.into_bytes(), None);
        let alias = |rule: config::Located<config::repositories::RepositoryRule>| {
            Some((rule.value.alias?, rule.value.alias_origin))
        };
        let all = config.repositories.iter().filter_map(alias);
        let expected: Vec<(String, Origin)> = all.filter(|(name, _)| !known.contains(&name.as_str())).collect();
        let unknown: Vec<(String, Origin)> = config.repositories.unknown(|name| known.contains(&name)).collect();
        prop_assert_eq!(unknown, expected);
    }
}
