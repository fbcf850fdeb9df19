//! Which proxy is used for ACT. The rules are claude's own (pure; docs/proxies.md says what claude does with each form).
//!
//! A proxy setting that can't be used is an error. The request is never sent without the proxy instead.

use std::ffi::OsStr;
use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::no_proxy;
use crate::claude::network::{EXEMPTIONS, Network, PROXIES};

/// An example of a usable setting.
pub const LIKE: &str = "http://proxy.example.com:8080";

/// A proxy that supports CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Whether the connection to the proxy uses TLS.
    pub is_secure: bool,
    /// Its host, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password, where the setting has them.
    pub credentials: Option<(String, String)>,
    /// The variable that names it.
    pub variable: &'static str,
}

/// Leaves out the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} from {}", self.address(), self.variable)
    }
}

/// A proxy setting that neither claude nor act-claude can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The variable.
    pub variable: &'static str,
    /// Why. It does not repeat the value, which may contain a password.
    pub why: String,
}

/// The proxy for `endpoint`, or none.
pub fn proxy_for(endpoint: &hyper::Uri, network: &Network) -> Result<Option<Proxy>, Unusable> {
    if endpoint.scheme_str() != Some("https") {
        // Plain http is used for this machine only.
        return Ok(None);
    }
    let Some((variable, value)) = network.first(&PROXIES) else { return Ok(None) };
    let host = endpoint.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let exempt = network.first(&EXEMPTIONS).map(|(_, list)| list.to_string_lossy()).unwrap_or_default();
    if no_proxy::covers(&exempt, host, endpoint.port_u16().unwrap_or(443)) {
        return Ok(None);
    }
    parse(variable, value).map(Some).map_err(|why| Unusable { variable, why })
}

impl Proxy {
    /// Host and port.
    pub fn address(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// The proxy in the HTTP client's form. The client is never given any other kind of proxy, because it panics on one that it
    /// does not support.
    pub fn for_client(&self) -> Result<ureq::Proxy, ureq::Error> {
        let protocol = if self.is_secure { ureq::ProxyProtocol::Https } else { ureq::ProxyProtocol::Http };
        let proxy = ureq::Proxy::builder(protocol).host(&bracketed(&self.host)).port(self.port);
        match &self.credentials {
            Some((user, password)) => proxy.username(user).password(password).build(),
            None => proxy.build(),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn parse(variable: &'static str, value: &OsStr) -> Result<Proxy, String> {
    let value = value.to_str().ok_or("it is not UTF-8")?;
    let url = match without_scheme(value) {
        Some(url) => url,
        None if !has_ascii_host(value) => return Err("its host name is not ASCII: write it as xn--…".to_owned()),
        None => Url::parse(value).map_err(|_| "it is not a URL")?,
    };
    let is_secure = match url.scheme() {
        "http" => false,
        "https" => true,
        scheme => return Err(format!("claude and act-claude use http and https proxies, not {}", plain(scheme))),
    };
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err("it names no host".to_owned()),
    };
    let port = url.port_or_known_default().unwrap_or(if is_secure { 443 } else { 80 });
    Ok(Proxy { is_secure, host, port, credentials: credentials(&url)?, variable })
}

/// Reads `host:port`, which claude uses as an http proxy.
fn without_scheme(value: &str) -> Option<Url> {
    let (host, port) = value.strip_suffix('/').unwrap_or(value).rsplit_once(':')?;
    let is_port = !port.starts_with('0') && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_of_address = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'[' | b']');
    let is_address = host.starts_with('[') && host.ends_with(']') && host.bytes().all(is_of_address);
    if !is_port || port.is_empty() || host.is_empty() || !(is_address || host.bytes().all(is_plain)) {
        return None;
    }
    let url = Url::parse(&format!("http://{host}:{port}")).ok()?;
    url.host_str().is_some_and(|own| own.eq_ignore_ascii_case(host)).then_some(url)
}

/// Whether the host is ASCII, once it is unescaped: this program has no tables for others.
fn has_ascii_host(value: &str) -> bool {
    // A URL's reader removes these wherever they are.
    let value = value.replace(['\t', '\n', '\r'], "");
    let rest = value.split_once(':').map_or(&*value, |(_, rest)| rest).trim_start_matches(['/', '\\']);
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    percent_decode_str(host).all(|byte| byte.is_ascii())
}

/// User and password. If one of them has a `%` that does not begin an escape, claude sends neither.
fn credentials(url: &Url) -> Result<Option<(String, String)>, String> {
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    if (user.is_empty() && password.is_empty()) || !(is_escaped(user) && is_escaped(password)) {
        return Ok(None);
    }
    let decoded = |part| percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned);
    match (decoded(user), decoded(password)) {
        (Ok(user), Ok(password)) => Ok(Some((user, password))),
        _ => Err("its user or password is not UTF-8".to_owned()),
    }
}

fn is_escaped(part: &str) -> bool {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    part.split('%').skip(1).all(is_escape)
}

/// The scheme as it is named in messages. An unknown one is not repeated, because it may be a user name or a host name.
fn plain(scheme: &str) -> &str {
    match scheme {
        "socks" | "socks4" | "socks4a" | "socks5" | "socks5h" | "ftp" | "ws" | "wss" | "file" | "direct" => scheme,
        _ => "other kinds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACT: &str = "https://act.example.com/m";

    fn proxy(endpoint: &str, pairs: &[(&'static str, &'static str)]) -> Result<Option<Proxy>, Unusable> {
        proxy_for(&endpoint.parse().unwrap(), &pairs.iter().copied().collect())
    }

    /// The proxy as a URL, `direct`, or why it can't be used.
    fn said(endpoint: &str, pairs: &[(&'static str, &'static str)]) -> String {
        match proxy(endpoint, pairs) {
            Ok(None) => "direct".to_owned(),
            Ok(Some(proxy)) => {
                let scheme = if proxy.is_secure { "https" } else { "http" };
                let credentials = proxy.credentials.as_ref().map(|(user, password)| format!("{user}:{password}@"));
                format!("{scheme}://{}{}", credentials.unwrap_or_default(), proxy.address())
            }
            Err(unusable) => format!("{}: {}", unusable.variable, unusable.why),
        }
    }

    #[test]
    fn the_first_variable_that_is_set_and_not_empty() {
        for (pairs, expected) in [
            (&[][..], "direct"),
            (&[("HTTPS_PROXY", "http://p:1"), ("HTTP_PROXY", "http://q:1")], "http://p:1"),
            (&[("https_proxy", "http://r:1"), ("HTTPS_PROXY", "http://p:1")], "http://r:1"),
            (&[("https_proxy", ""), ("HTTP_PROXY", "http://q:1")], "http://q:1"),
            (&[("http_proxy", "http://r:1"), ("HTTP_PROXY", "http://q:1")], "http://r:1"),
            (&[("ALL_PROXY", "http://q:1"), ("HTTP_PROXY", "http://p:1")], "http://p:1"),
            (&[("ALL_PROXY", "http://q:1")], "http://q:1"),
            (&[("HTTPS_PROXY", ""), ("NO_PROXY", "x")], "direct"),
            (&[("HTTPS_PROXY", "none"), ("HTTP_PROXY", "http://p:1")], "HTTPS_PROXY: it is not a URL"),
            (&[("HTTPS_PROXY", "none"), ("https_proxy", "http://p:1")], "http://p:1"),
            (&[("HTTPS_PROXY", "none"), ("NO_PROXY", "example.com")], "direct"),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "example.com"), ("no_proxy", "x")], "http://p:1"),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "x"), ("no_proxy", "example.com")], "direct"),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "example.com"), ("no_proxy", "")], "direct"),
        ] {
            assert_eq!(said(ACT, pairs), expected, "{pairs:?}");
        }
        let both = [("HTTPS_PROXY", "http://p:1"), ("HTTP_PROXY", "http://q:1")];
        assert_eq!(said("http://127.0.0.1:1/m", &both), "direct");
        assert_eq!(said("https://127.0.0.1:1/m", &both), "http://p:1");
        assert_eq!(said("https://[::1]:8443/m", &[both[0], ("NO_PROXY", "::1")]), "direct");
        assert_eq!(said(ACT, &[both[0], ("NO_PROXY", "act.example.com:443")]), "direct");
    }

    #[test]
    fn every_form_of_a_proxy() {
        let no_url = "HTTPS_PROXY: it is not a URL";
        let no_ascii = "HTTPS_PROXY: its host name is not ASCII: write it as xn--…";
        let no_kind =
            |scheme: &str| format!("HTTPS_PROXY: claude and act-claude use http and https proxies, not {scheme}");
        for (value, expected) in [
            ("http://p:3128", "http://p:3128"),
            ("HtTp://P.Corp:3128", "http://p.corp:3128"),
            ("https://p", "https://p:443"),
            ("http://p", "http://p:80"),
            ("http://p:", "http://p:80"),
            ("http://p:3128/path?q#f", "http://p:3128"),
            ("http:p:3128", "http://p:3128"),
            ("http:///p:3128", "http://p:3128"),
            (" http://p:3128\n", "http://p:3128"),
            ("p:3128", "http://p:3128"),
            ("p.corp:3128/", "http://p.corp:3128"),
            ("10.9.0.2:3128", "http://10.9.0.2:3128"),
            ("[fd00::2]:3128", "http://[fd00::2]:3128"),
            ("http://[fd00::2]:3128", "http://[fd00::2]:3128"),
            ("http://0x0a090002:3128", "http://10.9.0.2:3128"),
            ("http://u:p@p:1", "http://u:p@p:1"),
            ("http://u%40d:p%3Ay%25@p:1", "http://u@d:p:y%@p:1"),
            ("http://u:p@x@p:1", "http://u:p@x@p:1"),
            ("http://u:p x@p:1", "http://u:p x@p:1"),
            ("http://u+x:p+y@p:1", "http://u+x:p+y@p:1"),
            ("http://ü:pä@p:1", "http://ü:pä@p:1"),
            ("http://Pä:1", no_ascii),
            ("http:/\t/P%C3%\nA4:1", no_ascii),
            ("http://u:@p:1", "http://u:@p:1"),
            ("http://u@p:1", "http://u:@p:1"),
            ("http://:p@p:1", "http://:p@p:1"),
            ("http://@p:1", "http://p:1"),
            ("http://:@p:1", "http://p:1"),
            ("http://u:p%zz@p:1", "http://p:1"),
            ("http://u:p%@p:1", "http://p:1"),
            ("http://u:p%E4@p:1", "HTTPS_PROXY: its user or password is not UTF-8"),
            ("socks5h://p:1080", &no_kind("socks5h")),
            ("SOCKS5://p:1080", &no_kind("socks5")),
            ("ftp://p:1", &no_kind("ftp")),
            ("u:secret@p:1", &no_kind("other kinds")),
            ("direct://", &no_kind("direct")),
            ("p", no_url),
            ("10.9.0.2", no_url),
            ("//p:1", no_url),
            (" ", no_url),
            ("none", no_url),
            ("http://", no_url),
            ("http://:3128", no_url),
            ("http://p:99999", no_url),
            ("http://p:x", no_url),
            ("http://u:p/x@p:1", no_url),
            ("http://a b:1", no_url),
            ("http://[::1", no_url),
            ("http://p:1,http://q:1", no_url),
            ("\"http://p:1\"", no_url),
        ] {
            assert_eq!(said(ACT, &[("HTTPS_PROXY", value)]), expected, "{value:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_not_taken_for_unset() {
        use std::os::unix::ffi::OsStrExt;
        let mut environment = crate::system::environment::Environment::default();
        environment.set("HTTPS_PROXY", OsStr::from_bytes(b"http://caf\xe9:1"));
        let network = Network::new(environment.clone(), Vec::new(), std::path::Path::new("/"));
        let why = proxy_for(&ACT.parse().unwrap(), &network).unwrap_err().why;
        assert_eq!(why, "it is not UTF-8");
        environment.set("NO_PROXY", OsStr::from_bytes(b"caf\xe9,example.com"));
        let network = Network::new(environment, Vec::new(), std::path::Path::new("/"));
        assert_eq!(proxy_for(&ACT.parse().unwrap(), &network), Ok(None));
    }

    #[test]
    fn the_client_takes_each_that_is_usable() {
        for value in ["http://p:1", "https://u:p@p", "http://[fd00::2]:1", "http://ü:%00%0d%0a@p:0", "http://a_b-:1"] {
            let proxy = proxy(ACT, &[("HTTPS_PROXY", value)]).unwrap().unwrap();
            let client = proxy.for_client().unwrap();
            assert_eq!((client.port(), client.host()), (proxy.port, bracketed(&proxy.host).as_str()), "{value}");
            let credentials = client.username().zip(client.password());
            assert_eq!(credentials, proxy.credentials.as_ref().map(|(u, p)| (u.as_str(), p.as_str())), "{value}");
            assert!(!format!("{proxy:?}").contains('ü'), "{proxy:?}");
        }
    }
}
