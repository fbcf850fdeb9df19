//! Which proxy leads to ACT, as claude itself would choose (pure).

use crate::system::environment::Environment;

/// The proxy's URL for `endpoint`, or none.
pub fn proxy_for(endpoint: &hyper::Uri, environment: &Environment) -> Option<String> {
    let host = endpoint.host()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if endpoint.scheme_str() != Some("https") {
        // Plain http goes to this machine only.
        return None;
    }
    let port = endpoint.port_u16().unwrap_or(443);
    let exempt = environment.text("no_proxy").or_else(|| environment.text("NO_PROXY")).unwrap_or("");
    if exempt.split([',', ' ', '\t']).any(|entry| covers(entry, &host, port)) {
        return None;
    }
    let proxy =
        ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"].iter().find_map(|name| environment.text(name))?;
    Some(if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") })
}

/// Whether an entry of NO_PROXY covers the host: `*`, a name, a domain with or without a leading dot or `*.`,
/// each with or without a port.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, number)) if !name.contains(':') => match number.parse::<u16>() {
            Ok(number) => (name.to_owned(), Some(number)),
            Err(_) => (entry.clone(), None),
        },
        _ => (entry.clone(), None),
    };
    if name.is_empty() || wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let domain = name.trim_start_matches('*').trim_start_matches('.');
    name == "*"
        || host == domain
        || host.strip_suffix(domain).is_some_and(|rest| !domain.is_empty() && rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_claude_chooses() {
        let proxy = |endpoint: &str, pairs: &[(&str, &str)]| {
            proxy_for(&endpoint.parse().unwrap(), &pairs.iter().copied().collect())
        };
        let act = "https://act.example.com/m";
        for (endpoint, pairs, expected) in [
            (act, &[][..], None),
            (act, &[("HTTPS_PROXY", "http://p:1"), ("HTTP_PROXY", "http://q:1")], Some("http://p:1")),
            (act, &[("https_proxy", "r:1"), ("HTTPS_PROXY", "http://p:1")], Some("http://r:1")),
            (act, &[("HTTP_PROXY", "http://q:1")], Some("http://q:1")),
            ("http://127.0.0.1:1/m", &[("HTTPS_PROXY", "http://p:1"), ("HTTP_PROXY", "http://q:1")], None),
            (act, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "other.com example.com")], None),
            (act, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "other.com,.example.com")], None),
            (act, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "*.example.com")], None),
            (act, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "*")], None),
            (act, &[("HTTPS_PROXY", "http://p:1"), ("no_proxy", "act.example.com:443")], None),
            (act, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "act.example.com:8443")], Some("http://p:1")),
            (act, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "ample.com")], Some("http://p:1")),
            ("https://[::1]:8443/m", &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "::1")], None),
        ] {
            assert_eq!(proxy(endpoint, pairs).as_deref(), expected, "{endpoint} {pairs:?}");
        }
    }
}
