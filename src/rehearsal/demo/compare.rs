//! Compares what ACT received with what claude says it used (pure).

use std::collections::BTreeSet;

use serde_json::Value;

use super::sandbox::{DemoDirectory, PROVIDER_TYPE};
use crate::rehearsal::receiver::Export;
use crate::rehearsal::receiver::payload::Resource;

/// Claude's own statement about a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Used {
    /// The session's id.
    pub session: String,
    /// The number of tokens, of all kinds and models.
    pub tokens: u64,
    /// The cost in US dollars.
    pub cost: f64,
}

impl Used {
    /// Reads claude's `--output-format json`. `None` where it is not the answer of session `id`, or an error.
    pub fn read(result: &Value, id: &str) -> Option<Self> {
        if result["session_id"] != id || result["is_error"] != false {
            return None;
        }
        let kinds = ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"];
        let models = result["modelUsage"].as_object()?.values();
        let tokens = models.flat_map(|model| kinds.iter().map(|kind| model[*kind].as_u64().unwrap_or(0))).sum();
        Some(Self { session: id.to_owned(), tokens, cost: result["total_cost_usd"].as_f64()? })
    }
}

/// What claude used and what the relay acknowledged, for one directory.
#[derive(Debug)]
pub struct Sent<'a> {
    /// The directory.
    pub place: &'a DemoDirectory,
    /// Claude's own statement.
    pub used: &'a Used,
    /// The number of exports that the relay acknowledged.
    pub exports: u64,
    /// The number of data points in them.
    pub points: u64,
}

/// All differences between sent and received, as text. Empty: everything arrived once, and under the right alias.
pub fn differences(sent: &[Sent<'_>], received: &[Export]) -> Vec<String> {
    let known: BTreeSet<&str> = sent.iter().map(|sent| sent.place.id.as_str()).collect();
    let strays = received.iter().filter(|export| export.alias.as_deref().is_none_or(|alias| !known.contains(alias)));
    let strays = strays.map(|export| format!("an export arrived under alias {:?}, which sent none", export.alias));
    sent.iter().flat_map(|sent| of_one(sent, received)).chain(strays).collect()
}

fn of_one(sent: &Sent<'_>, received: &[Export]) -> Vec<String> {
    let Sent { place, used, .. } = sent;
    let exports: Vec<&Export> =
        received.iter().filter(|export| export.alias.as_deref() == Some(place.id.as_str())).collect();
    let resources: Vec<&Resource> =
        exports.iter().filter_map(|export| export.payload.as_ref()).flat_map(|payload| &payload.resources).collect();
    let points: u64 = exports.iter().map(|export| export.points()).sum();
    let mut words = Vec::new();
    let mut differ = |what: &str, sent: String, received: String| {
        if sent != received {
            words.push(format!("{}: {what}: sent {sent}, received {received}", place.alias));
        }
    };
    differ("exports", sent.exports.to_string(), exports.len().to_string());
    differ("data points", sent.points.to_string(), points.to_string());
    // With `-p` clients up to 2.1.20, at least, count no sessions.
    if exports.is_empty() || counts(&resources, "claude_code.session.count") {
        differ("sessions", "1".to_owned(), whole(sum(&resources, "claude_code.session.count")));
    }
    differ("tokens", used.tokens.to_string(), whole(sum(&resources, "claude_code.token.usage")));
    differ("US dollars", money(used.cost), money(sum(&resources, "claude_code.cost.usage")));
    for export in &exports {
        differ("account", place.account_id.clone(), export.account.clone());
        differ("user", place.user.to_owned(), export.user.clone().unwrap_or_default());
    }
    for resource in &resources {
        let provider = resource.attributes.get("providerType").and_then(Value::as_str).unwrap_or_default();
        differ("providerType", PROVIDER_TYPE.to_owned(), provider.to_owned());
        for session in sessions(resource) {
            differ("session", used.session.clone(), session.to_owned());
        }
    }
    words.dedup();
    words
}

fn counts(resources: &[&Resource], name: &str) -> bool {
    resources.iter().any(|resource| resource.metrics.iter().any(|metric| metric.name == name))
}

fn sum(resources: &[&Resource], name: &str) -> f64 {
    let metrics = resources.iter().flat_map(|resource| &resource.metrics).filter(|metric| metric.name == name);
    let values = metrics.flat_map(|metric| &metric.points).map(|point| point.value.as_f64());
    // Not `sum`: for no values it returns -0.
    values.fold(0.0, |sum, value| sum + value)
}

fn sessions(resource: &Resource) -> BTreeSet<&str> {
    let points = resource.metrics.iter().flat_map(|metric| &metric.points);
    let ids = points.map(|point| point.attributes.get("session.id"));
    ids.map(|id| id.and_then(Value::as_str).unwrap_or_default()).collect()
}

fn whole(number: f64) -> String {
    format!("{number:.0}")
}

/// Dollars as text, rounded to a millionth of a cent: sums of doubles may differ in later digits.
pub fn money(dollars: f64) -> String {
    let text = format!("{dollars:.8}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::demo::sandbox::places;
    use crate::rehearsal::receiver::Answer;
    use crate::rehearsal::receiver::payload::Payload;
    use serde_json::json;

    fn export(place: &DemoDirectory, session: &str, tokens: f64) -> Export {
        let point = |value: f64| json!({"attributes": [{"key": "session.id", "value": {"stringValue": session}}], "asDouble": value});
        let metric = |name: &str, value| json!({"name": name, "sum": {"dataPoints": [point(value)]}});
        let body = json!({"resourceMetrics": [{
            "resource": {"attributes": [{"key": "providerType", "value": {"stringValue": PROVIDER_TYPE}}]},
            "scopeMetrics": [{"metrics": [
                metric("claude_code.session.count", 1.0), metric("claude_code.token.usage", tokens),
                metric("claude_code.cost.usage", 0.1 + 0.2)
            ]}]
        }]});
        let body = body.to_string().into_bytes();
        Export {
            received: std::time::SystemTime::now(),
            account: place.account_id.clone(),
            alias: Some(place.id.clone()),
            user: Some(place.user.to_owned()),
            origin: None,
            payload: Some(Payload::read(&body).unwrap()),
            body,
            sha256: [0; 32],
            answer: Answer::Accepted,
        }
    }

    #[test]
    fn what_is_missing_doubled_or_astray_is_named() {
        let [billing, shop] = places().unwrap();
        let used = |session: &str| Used { session: session.to_owned(), tokens: 15, cost: 0.3 };
        let (one, other) = (used("s1"), used("s2"));
        let sent = [(&billing, &one), (&shop, &other)].map(|(place, used)| Sent { place, used, exports: 1, points: 3 });
        let (good, too) = (export(&billing, "s1", 15.0), export(&shop, "s2", 15.0));
        let none: [&str; 0] = [];
        assert_eq!(differences(&sent, &[good.clone(), too.clone()]), none);
        assert_eq!(
            differences(&sent, std::slice::from_ref(&good)),
            [
                "shop: exports: sent 1, received 0",
                "shop: data points: sent 3, received 0",
                "shop: sessions: sent 1, received 0",
                "shop: tokens: sent 15, received 0",
                "shop: US dollars: sent 0.3, received 0",
            ]
        );
        assert_eq!(
            differences(&sent, &[good.clone(), export(&shop, "s2", 14.0)]),
            ["shop: tokens: sent 15, received 14"]
        );
        assert_eq!(differences(&sent, &[good.clone(), too.clone(), too.clone()]).len(), 5);
        let mut old = too.clone();
        let resource = &mut old.payload.as_mut().unwrap().resources[0];
        resource.metrics.retain(|metric| metric.name != "claude_code.session.count");
        let of_old = Sent { place: &shop, used: &other, exports: 1, points: 2 };
        assert_eq!(differences(&[of_old], &[old]), none, "an old client counts no sessions");
        // Under the other alias: one export is missing there, and one too many is here, of another session.
        let crossed = differences(&sent, &[good.clone(), export(&billing, "s2", 15.0)]);
        assert!(crossed.contains(&"billing: session: sent s1, received s2".to_owned()), "{crossed:?}");
        let stranger = Export { alias: Some("nobody".to_owned()), ..good.clone() };
        assert_eq!(
            differences(&sent, &[good, too, stranger]),
            ["an export arrived under alias Some(\"nobody\"), which sent none"]
        );
    }

    #[test]
    fn claudes_own_word_is_read_for_this_session_only() {
        let result = json!({
            "session_id": "s", "is_error": false, "total_cost_usd": 0.25,
            "modelUsage": {"a": {"inputTokens": 10, "outputTokens": 5}, "b": {"cacheReadInputTokens": 7}}
        });
        assert_eq!(Used::read(&result, "s"), Some(Used { session: "s".to_owned(), tokens: 22, cost: 0.25 }));
        assert_eq!(Used::read(&result, "t"), None);
        assert_eq!(Used::read(&Value::Null, "s"), None);
    }
}
