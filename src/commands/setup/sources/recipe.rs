//! Reads the variables of the documented recipe (pure).

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::config::typed::{Read, alias, credential::Credential, endpoint};
use crate::config::{check_text, check_word};

/// Switches telemetry on.
pub const ENABLE: &str = "CLAUDE_CODE_ENABLE_TELEMETRY";
/// The metrics exporter.
pub const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
/// The metrics URL.
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
/// The headers in which the guide puts credential and alias id.
pub const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// The headers for metrics only, in which credential and alias id work as well.
pub const METRICS_HEADERS: &str = "OTEL_EXPORTER_OTLP_METRICS_HEADERS";
/// The resource attributes, which hold the provider type.
pub const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// The protocol. The user's logs and traces may use it, too.
pub const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";

/// All variables of the recipe, in the guide's order, followed by those for debugging.
pub const VARIABLES: [&str; 11] = [
    ENABLE,
    EXPORTER,
    PROTOCOL,
    ENDPOINT,
    HEADERS,
    METRICS_HEADERS,
    ATTRIBUTES,
    INTERVAL,
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_LOG_LEVEL",
];

/// The meaning of a set of variables.
pub enum Reading {
    /// They are not about ACT.
    Nothing,
    /// Telemetry is switched off.
    Off,
    /// The recipe.
    Recipe(Box<Recipe>),
}

/// The recipe's content. A value that is missing or not usable is `None` and has an entry in `problems`.
#[derive(Clone)]
pub struct Recipe {
    /// The metrics URL.
    pub endpoint: Option<String>,
    /// User and token.
    pub credential: Option<Credential>,
    /// The alias id.
    pub id: Option<String>,
    /// The provider type.
    pub provider_type: Option<String>,
    /// Further attributes.
    pub attributes: BTreeMap<String, String>,
    /// What is missing or wrong.
    pub problems: Vec<String>,
}

/// The value of a header, from the first of these lists that has it.
pub fn header<'a>(lists: impl IntoIterator<Item = &'a str>, name: &str) -> Option<String> {
    lists.into_iter().flat_map(|list| list.split(',')).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

impl Reading {
    /// Reads variables by name.
    pub fn of<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let value = |name: &str| get(name).map(str::trim).filter(|value| !value.is_empty());
        let is_off = |value: &str| ["0", "false", "no", "off"].contains(&value.to_ascii_lowercase().as_str());
        if value(ENABLE).is_some_and(is_off) || value(EXPORTER) == Some("none") {
            return Self::Off;
        }
        // Where both lists name a header, the generic list takes precedence, as in claude.
        let lists = [value(HEADERS), value(METRICS_HEADERS)];
        let header = |name: &str| header(lists.iter().flatten().copied(), name);
        let attributes = value(ATTRIBUTES).map(pairs).unwrap_or_default();
        let provider_type = attributes.iter().find(|(name, _)| name == "providerType").map(|(_, value)| value.clone());
        let (id, endpoint) = (header("X-Alias-Id"), value(ENDPOINT));
        let is_ours = id.is_some() || endpoint.is_some_and(|endpoint| endpoint.contains("/metric-ingestion/"));
        if !is_ours {
            return Self::Nothing;
        }
        let mut recipe = Recipe {
            endpoint: None,
            credential: None,
            id: None,
            provider_type: None,
            attributes: BTreeMap::new(),
            problems: Vec::new(),
        };
        let mut problem = |name: &str, why: String| recipe.problems.push(format!("{name} {why}"));
        let mut value = |name: &str, given: Option<&str>, read: Read| match given.map(read) {
            Some(Ok(typed)) => Some(typed.value),
            Some(Err(why)) => {
                problem(name, why);
                None
            }
            None => {
                problem(name, "is missing".to_owned());
                None
            }
        };
        recipe.endpoint = value(ENDPOINT, endpoint, endpoint::read);
        recipe.id = value("X-Alias-Id", id.as_deref(), alias::id);
        recipe.provider_type = value("providerType", provider_type.as_deref(), alias::provider_type);
        match header("Authorization").map(|header| Credential::read(&header)) {
            Some(Ok(credential)) => recipe.credential = Some(credential),
            Some(Err(refused)) => problem("Authorization", format!("holds {}", refused.what)),
            None => problem("Authorization", "is missing".to_owned()),
        }
        let documented = [("operation", "InvokeAgent"), ("promptType", "Interactive")];
        for (name, value) in attributes {
            let is_kept = name != "providerType" && !documented.contains(&(name.as_str(), value.as_str()));
            if is_kept && check_word(&name).is_ok() && check_text(&value).is_ok() {
                recipe.attributes.insert(name, value);
            }
        }
        Self::Recipe(Box::new(recipe))
    }
}

/// Parses `name=value,…`. Values are percent-decoded, as in claude.
fn pairs(list: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let decoded = percent_decode_str(value.trim()).decode_utf8();
        Some((name.trim().to_owned(), decoded.map_or_else(|_| value.trim().to_owned(), Into::into)))
    };
    list.split(',').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Reading {
        Reading::of(|name| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| *value))
    }

    const URL: &str = "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";

    #[test]
    fn the_guide_s_recipe_is_read() {
        // BOOMI_TOKEN.dev@acme.com:t-1
        let headers =
            "Authorization=Basic Qk9PTUlfVE9LRU4uZGV2QGFjbWUuY29tOnQtMQ==,X-Alias-Id=a-1,Origin=https://claude.ai";
        let attributes = "providerType=CUSTOM_PROVIDER,operation=InvokeAgent,promptType=Batch,team=a%20b";
        let Reading::Recipe(recipe) = read(&[(ENDPOINT, URL), (HEADERS, headers), (ATTRIBUTES, attributes)]) else {
            panic!("a recipe");
        };
        let credential = recipe.credential.as_ref().unwrap();
        assert_eq!((credential.token.as_str(), credential.user.as_deref()), ("t-1", Some("dev@acme.com")));
        assert_eq!(recipe.endpoint.as_deref(), Some(URL));
        assert_eq!((recipe.id.as_deref(), recipe.provider_type.as_deref()), (Some("a-1"), Some("CUSTOM_PROVIDER")));
        let kept: Vec<_> = recipe.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(kept, ["promptType=Batch", "team=a b"]);
        assert_eq!(recipe.problems, [] as [String; 0]);
    }

    #[test]
    fn what_is_no_recipe_or_a_broken_one() {
        assert!(matches!(read(&[(ENABLE, "1"), (ENDPOINT, "https://otel.example/v1/metrics")]), Reading::Nothing));
        assert!(matches!(read(&[(ENABLE, "0"), (ENDPOINT, URL)]), Reading::Off));
        assert!(matches!(read(&[(EXPORTER, "none"), (ENDPOINT, URL)]), Reading::Off));
        let headers = "Authorization=Basic <token>,X-Alias-Id=<alias id>";
        let Reading::Recipe(recipe) = read(&[(ENDPOINT, &URL.replace("https", "http")), (HEADERS, headers)]) else {
            panic!("a recipe");
        };
        assert_eq!(
            recipe.problems,
            [
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT would send the token unencrypted; plain http is allowed only to this machine",
                "X-Alias-Id is a placeholder",
                "providerType is missing",
                "Authorization holds \"Basic\" without base64 of a user and a token after it",
            ]
        );
    }
}
