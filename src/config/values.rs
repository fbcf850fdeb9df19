//! The configuration's values, checked on their own (pure).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::text::json::{Fault, Origin};

/// Attribute names that say what kind of export this is; a repository's file may never set them.
pub const RESERVED_ATTRIBUTES: [&str; 3] = ["providerType", "operation", "promptType"];

/// How exports travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Through the relay.
    Relay,
    /// Straight from claude, with the documented variables.
    Direct,
}

/// In front of the user, in the credential ACT gets; once.
pub const USER_PREFIX: &str = "BOOMI_TOKEN.";

/// An ACT account as one user may write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The metrics URL.
    pub endpoint: String,
    /// The user's e-mail, without [`USER_PREFIX`].
    pub user: String,
    /// Where the platform API token comes from.
    pub token: TokenSource,
}

/// Where a token comes from.
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

/// An alias: which agent, on which account, an export is accounted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The account's name.
    pub account: String,
    /// Where the account's name stands.
    pub account_origin: Origin,
    /// `extAccountAliasId` of the Monitoring Spec.
    pub id: String,
    /// `providerType` of the Monitoring Spec.
    pub provider_type: String,
    /// Further resource attributes; may replace `operation` and `promptType`.
    pub attributes: BTreeMap<String, String>,
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
    /// Where the alias's name stands.
    pub alias_origin: Origin,
    /// What is wrong with it: then it says just that nothing above it counts.
    pub fault: Option<Fault>,
}

/// Whether a URL's host is this machine, where plain http is good enough.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why an endpoint can't be one.
pub fn check_endpoint(endpoint: &str) -> Result<(), String> {
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
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback(host) => Ok(()),
        Some("http") => Err("would send the token unencrypted; plain http only goes to this machine".to_owned()),
        _ => Err("must start with https://".to_owned()),
    }
}

/// Why a text can't stand in a header or a list of headers or attributes (promise C6).
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

/// Why a text can't be a header's value or a name: beyond [`check_text`] ASCII without white space.
pub fn check_word(text: &str) -> Result<(), String> {
    check_text(text)?;
    match text.chars().find(|c| !c.is_ascii_graphic()) {
        Some(bad) => Err(format!("holds {bad:?}")),
        None => Ok(()),
    }
}
