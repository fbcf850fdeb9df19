//! Where Boomi is asked whether it accepts a credential (pure).
//!
//! This is the only address besides the account's endpoint that a token may go to. So it is the one below, or one in the user's or
//! the system's configuration; a repository, a variable or a server can't name or change it.

use hyper::Uri;

use crate::config::typed::endpoint::{END, START, address, is_documented};
use crate::config::{Account, Api};

/// The platform API of the region of ACT's documented host.
///
/// Boomi documents the host of the metrics URL (help.boomi.com, "Enabling metrics for Claude Code") and that of the API
/// (developer.boomi.com, "Agent Control Tower GraphQL APIs": US). For its platform in Europe it documents an API,
/// `https://api.platform.gb.boomi.com`, but says that there is no such metrics URL: an account there names its API itself.
const API: &str = "https://api.boomi.com";

/// The documented path, before the account id.
const PATH: &str = "/auth/jwt/generate/";

/// A request that shows whether Boomi accepts a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The URL to get.
    pub url: String,
    /// Its host, and its port where the URL names one.
    pub host: String,
    /// The account that the credential is to be good for.
    pub account_id: String,
}

/// The question for an account, or why there is none.
pub fn question(account: &Account) -> Result<Question, String> {
    let endpoint: Uri = account.endpoint.parse().map_err(|_| "the endpoint is not a URL".to_owned())?;
    let base = match &account.api {
        Api::Off => return Err("\"api\" is null".to_owned()),
        Api::At(url) => url.trim_end_matches('/'),
        Api::Documented if is_documented(&account.endpoint) => API,
        Api::Documented => {
            let host = endpoint.host().unwrap_or_default().trim_matches(['[', ']']);
            return Err(format!("Boomi documents no API for {host}"));
        }
    };
    let id = account_id(endpoint.path()).ok_or("the endpoint names no account id")?;
    let host = address(base).ok_or("\"api\" is not a URL")?;
    Ok(Question { url: format!("{base}{PATH}{id}"), host, account_id: id.to_owned() })
}

/// The account id in the path of a metrics URL. One that could mean another path is none.
fn account_id(path: &str) -> Option<&str> {
    let id = path.strip_prefix(START)?.strip_suffix(END)?;
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (is_plain && id.bytes().any(|byte| byte.is_ascii_alphanumeric())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TokenSource;

    fn account(endpoint: &str, api: Api) -> Account {
        let token = TokenSource::Env("T".to_owned());
        Account { endpoint: endpoint.to_owned(), user: "u@x.test".to_owned(), token, api, attribution: true }
    }

    const ACT: &str = "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";
    const API: &str = "https://api.boomi.com/auth/jwt/generate/acme-A1B2C3";

    #[test]
    fn only_exactly_documented_hosts_have_an_api() {
        let path = "/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";
        for (origin, is_known) in [
            ("https://agentcontroltower.boomi.com", true),
            ("https://AgentControlTower.Boomi.com", true),
            ("https://agentcontroltower.boomi.com:443", true),
            ("https://agentcontroltower.boomi.com:8443", false),
            ("http://agentcontroltower.boomi.com", false),
            ("https://agentcontroltower.boomi.com.", false),
            ("https://agentcontroltower.boomi.com.evil.example", false),
            ("https://agentcontroltower.boomi.com@evil.example", false),
            ("https://evil-agentcontroltower.boomi.com", false),
            ("https://x.agentcontroltower.boomi.com", false),
            ("https://boomi.com", false),
            ("https://api.boomi.com", false),
            ("https://agentcontroltower.gb.boomi.com", false),
            ("http://127.0.0.1:4318", false),
        ] {
            let found = question(&account(&format!("{origin}{path}"), Api::Documented));
            assert_eq!(found.clone().ok().map(|found| found.url), is_known.then(|| API.to_owned()), "{origin}");
            if let Err(why) = found {
                assert!(why.starts_with("Boomi documents no API for "), "{why}");
            }
        }
    }

    #[test]
    fn the_configuration_decides() {
        let at = |url: &str| question(&account(ACT, Api::At(url.to_owned())));
        let gb = at("https://api.platform.gb.boomi.com/").unwrap();
        assert_eq!(gb.url, "https://api.platform.gb.boomi.com/auth/jwt/generate/acme-A1B2C3");
        assert_eq!((gb.host.as_str(), gb.account_id.as_str()), ("api.platform.gb.boomi.com", "acme-A1B2C3"));
        assert_eq!(at("http://127.0.0.1:4318").unwrap().url, "http://127.0.0.1:4318/auth/jwt/generate/acme-A1B2C3");
        assert_eq!(question(&account(ACT, Api::Off)), Err("\"api\" is null".to_owned()));
    }

    #[test]
    fn an_account_id_never_leads_to_another_path() {
        for id in ["", "..", ".", "a/../b", "a%2Fb", "a;b", "a b", "-", "a/b", "%2e%2e"] {
            let path = format!("/metric-ingestion/v1/{id}/otlp/public/metrics");
            assert_eq!(account_id(&path), None, "{id}");
        }
        for path in
            ["/m", "/metric-ingestion/v1/a/otlp/public/metrics/", "/x/metric-ingestion/v1/a/otlp/public/metrics"]
        {
            assert_eq!(account_id(path), None, "{path}");
        }
        assert_eq!(account_id("/metric-ingestion/v1/a_b.c-1/otlp/public/metrics"), Some("a_b.c-1"));
    }
}
