//! The configuration's values, checked on their own (pure).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::attribution::Attribution;
use crate::text::json::{Fault, Origin};
use crate::text::pasted::starts_with;

/// Attribute names that classify an export; a repository's file may never set them.
pub const RESERVED_ATTRIBUTES: [&str; 3] = ["providerType", "operation", "promptType"];

/// The way of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Through the relay.
    Relay,
    /// Straight from claude, with the documented variables.
    Direct,
}

/// What happens with a metrics pipeline of the user's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pipeline {
    /// It stays as it is, and ACT gets nothing.
    #[default]
    Leave,
    /// It gets what it got before, and ACT does, too.
    Copy,
    /// ACT takes its place.
    Replace,
}

impl Pipeline {
    /// The names in the configuration.
    pub const NAMES: [&'static str; 3] = ["leave", "copy", "replace"];

    /// The value with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Leave, Self::Copy, Self::Replace].into_iter().find(|value| value.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let [leave, copy, replace] = Self::NAMES;
        match self {
            Self::Leave => leave,
            Self::Copy => copy,
            Self::Replace => replace,
        }
    }
}

/// Whether two URLs name the same place: scheme and host ignore case (RFC 3986, section 6.2.2.1), and a `/` at the end means nothing.
pub fn same_endpoint(one: &str, other: &str) -> bool {
    let parts = |url: &'_ str| -> (String, String) {
        let url = url.trim().trim_end_matches('/');
        let host = url.find("://").map_or(0, |at| at + 3);
        let (place, path) = url.split_at(url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at));
        (place.to_ascii_lowercase(), path.to_owned())
    };
    parts(one) == parts(other)
}

/// The prefix of the user in the credential that ACT gets; it occurs once.
pub const USER_PREFIX: &str = "BOOMI_TOKEN.";

/// A user, or a credential, without the prefix, however often and in whichever case it was written.
pub fn without_prefix(text: &str) -> &str {
    let mut text = text;
    while starts_with(text, USER_PREFIX) {
        text = &text[USER_PREFIX.len()..];
    }
    text
}

/// An ACT account, and the user who writes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The metrics URL.
    pub endpoint: String,
    /// The user's e-mail, without [`USER_PREFIX`].
    pub user: String,
    /// The source of the platform API token.
    pub token: TokenSource,
    /// Boomi's platform API, which `act check` and `act setup` ask whether it accepts the token.
    pub api: Api,
    /// Whether exports may have the attributes that an alias's `attribute` asks for.
    pub attribution: bool,
}

/// The address of an account's platform API: the only one that a token may go to besides the endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Api {
    /// The one that Boomi documents for the endpoint's host, where it documents one.
    #[default]
    Documented,
    /// None: the configuration has `null`.
    Off,
    /// This URL.
    At(String),
}

/// The source of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenSource {
    /// The trimmed standard output of a command.
    Command(Vec<String>),
    /// A file of the user's own, mode 0600.
    File(#[serde(with = "crate::text::paths")] PathBuf),
    /// An environment variable.
    Env(String),
}

/// An alias: the agent, and the account, that an export is counted for in ACT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The account's name.
    pub account: String,
    /// The place of the account's name.
    pub account_origin: Origin,
    /// `extAccountAliasId` of the Monitoring Spec.
    pub id: String,
    /// `providerType` of the Monitoring Spec.
    pub provider_type: String,
    /// Further resource attributes; may replace `operation` and `promptType`.
    pub attributes: BTreeMap<String, String>,
    /// What each export says about the work it was sent from.
    pub attribute: Vec<Attribution>,
    /// From this many US dollars a day on, the session that passes them says so.
    pub notice: Option<u64>,
}

impl Alias {
    /// The resource attributes every export must carry, in the documented order, then the alias's own.
    pub fn resource_attributes(&self) -> Vec<(String, String)> {
        let mut own = self.attributes.clone();
        let mut attributes = vec![("providerType".to_owned(), self.provider_type.clone())];
        for (name, documented) in [("operation", "InvokeAgent"), ("promptType", "Interactive")] {
            let value = own.remove(name).unwrap_or_else(|| documented.to_owned());
            attributes.push((name.to_owned(), value));
        }
        attributes.extend(own);
        attributes
    }
}

/// A directory and its alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// As written, for messages.
    pub written: String,
    /// Absolute, `~` expanded, without `.` or trailing slashes.
    pub path: PathBuf,
    /// The alias; `None` for `null`: no telemetry here.
    pub alias: Option<String>,
    /// The place of the alias's name.
    pub alias_origin: Origin,
    /// What is wrong with the rule. Such a rule still keeps rules for directories above from applying.
    pub fault: Option<Fault>,
}

/// Whether a URL's host is this machine, where plain http is allowed.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How a URL's host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Over TLS, or without leaving this machine.
    Private,
    /// By plain http to another machine.
    Plain,
}

/// ACT's documented host.
pub const ACT_HOST: &str = "agentcontroltower.boomi.com";

/// Whether a host is ACT's with a mistake in it: whoever owns that name would get the token. A number makes another host.
fn is_nearly_acts(host: &str) -> bool {
    // Each launch comes here, and the distance is only looked at where it can be so small.
    host.len().abs_diff(ACT_HOST.len()) <= 2
        && !host.eq_ignore_ascii_case(ACT_HOST)
        && !host.contains(|c: char| c.is_ascii_digit())
        && strsim::damerau_levenshtein(&host.to_ascii_lowercase(), ACT_HOST) <= 2
}

/// Checks an endpoint; the error says what is wrong with it.
pub fn check_endpoint(endpoint: &str) -> Result<(), String> {
    match check_url(endpoint)? {
        Security::Private => Ok(()),
        Security::Plain => {
            Err("would send the token unencrypted; plain http is allowed only to this machine".to_owned())
        }
    }
}

/// Checks the URL of an endpoint; the error says what is wrong with it.
pub fn check_url(endpoint: &str) -> Result<Security, String> {
    if let Some(bad) = endpoint.chars().find(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("holds {bad:?}"));
    }
    let uri: hyper::Uri = endpoint.parse().map_err(|_| "is not a URL".to_owned())?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("has no host")?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("holds a user name or password".to_owned());
    }
    if uri.query().is_some() || endpoint.contains('#') {
        return Err("has a query or fragment".to_owned());
    }
    if endpoint.contains(['{', '}', '<', '>']) {
        return Err("still holds a placeholder".to_owned());
    }
    check_host(host)?;
    if is_nearly_acts(host) {
        return Err(format!("has the host {host}, and ACT's is {ACT_HOST}"));
    }
    let port = uri.authority().and_then(|authority| authority.as_str().strip_prefix(host)).unwrap_or_default();
    let number = port.strip_prefix(':').and_then(|port| port.parse::<std::num::NonZeroU16>().ok());
    if !port.is_empty() && number.is_none() {
        return Err("has a port that is no number from 1 to 65535".to_owned());
    }
    match uri.scheme_str() {
        Some("https") => Ok(Security::Private),
        Some("http") if is_loopback(host) => Ok(Security::Private),
        Some("http") => Ok(Security::Plain),
        _ => Err("must start with https://".to_owned()),
    }
}

/// Checks that a host is an address or a name that can be looked up.
fn check_host(host: &str) -> Result<(), String> {
    let is_label = |label: &str| {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len())
            && label.chars().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_number = name.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    let is_good = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None if is_number => name.parse::<std::net::Ipv4Addr>().is_ok(),
        None => name.len() <= 253 && name.split('.').all(is_label),
    };
    if is_good { Ok(()) } else { Err("has no host name that can exist".to_owned()) }
}

/// Checks that a text can be part of a header, or of a list of headers or attributes (promise C6).
pub fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.trim() != text {
        return Err("starts or ends with white space".to_owned());
    }
    match text.chars().find(|c| c.is_control() || matches!(c, ',' | '"')) {
        Some(bad) => Err(format!("holds {bad:?}")),
        None => Ok(()),
    }
}

/// Checks that a text can be the name of an alias or an account. The error continues "it …" or "the name …".
pub fn check_name(text: &str) -> Result<(), String> {
    const RULE: &str = "a name is one word of ASCII characters that does not begin with '-'";
    let why = match check_word(text) {
        Ok(()) if text.starts_with('-') => "begins with '-'".to_owned(),
        checked => return checked.map_err(|why| format!("{why}: {RULE}")),
    };
    Err(format!("{why}: {RULE}"))
}

/// Checks that a text can be a header's value or a part of a name: in addition to [`check_text`] it must be ASCII without white space.
pub fn check_word(text: &str) -> Result<(), String> {
    check_text(text)?;
    match text.chars().find(|c| !c.is_ascii_graphic()) {
        Some(bad) => Err(format!("holds {bad:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_host_gets_no_token() {
        for host in ["agentcontroltowr.boomi.com", "AgentControlTower.boomi.co", "agent-controltower.boomi.com"] {
            let error = check_endpoint(&format!("https://{host}/m")).unwrap_err();
            assert_eq!(error, format!("has the host {host}, and ACT's is {ACT_HOST}"));
        }
        for host in
            [ACT_HOST, "AgentControlTower.boomi.com", "agentcontroltower2.boomi.com", "act.example", "127.0.0.1"]
        {
            assert_eq!(check_endpoint(&format!("https://{host}/m")), Ok(()));
        }
    }

    #[test]
    fn urls_are_compared_as_servers_compare_them() {
        for other in ["https://act.example/M?x=Y", " https://ACT.Example/M?x=Y ", "HTTPS://act.example/M?x=Y/"] {
            assert!(same_endpoint("https://act.example/M?x=Y", other), "{other}");
        }
        assert!(same_endpoint("http://H:4318", "http://h:4318/"));
        for other in ["https://act.example/m?x=Y", "https://act.example/M?x=y", "http://act.example/M?x=Y", ""] {
            assert!(!same_endpoint("https://act.example/M?x=Y", other), "{other}");
        }
    }
}
