//! Reads a metrics URL, or an account id, for which the documented URL is made (pure).

use hyper::Uri;
use percent_encoding::percent_decode_str;

use super::{Typed, placeholder, secret, user};
use crate::config::values::{ACT_HOST as HOST, check_endpoint, check_word, is_loopback};
use crate::text::pasted;
use crate::text::uuid::is_uuid;

/// Whether this is ACT's documented host, at its port. Other hosts of Boomi's domain may run what customers put there.
pub fn is_documented(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| {
        let is_https = url.scheme_str() == Some("https") && matches!(url.port_u16(), None | Some(443));
        is_https && url.host().is_some_and(|host| host.eq_ignore_ascii_case(HOST))
    })
}

/// The parts of the documented metrics URL's path before and after the account id.
pub const START: &str = "/metric-ingestion/v1/";
/// See [`START`].
pub const END: &str = "/otlp/public/metrics";
/// Hosts of Boomi's that have no metrics URL.
const OTHER_HOSTS: [&str; 7] = ["platform.", "api.", "developer.", "help.", "community.", "www.", "boomi.com"];

const ID: &str = "give the metrics URL of the Monitoring Spec, or the account id alone, like acme-A1B2C3";

/// Reads a metrics URL or an account id. The error continues "it …".
pub fn read(text: &str) -> Result<Typed, String> {
    let text = given(text)?;
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let is_bad = |c: char| c.is_control() || c.is_whitespace() || !c.is_ascii() || "\"'`\\^|".contains(c);
    if let Some(bad) = text.chars().find(|c| is_bad(*c)) {
        return Err(format!("holds {bad:?}"));
    }
    if let Some(kind) = placeholder::kind(text).filter(|_| !text.contains(['/', '['])) {
        return Err(format!("is {kind}"));
    }
    if text.contains(['{', '}', '<', '>', '$']) {
        return Err(format!("still holds a placeholder: {ID}"));
    }
    if !text.contains(['/', '@', '.', ':', '=', '#', '?']) {
        return account(text);
    }
    if user::is_mail(text) {
        return Err(format!("is an e-mail address: {ID}"));
    }
    if let Some(account) = platform_account(text) {
        return Err(format!("is a page of the platform; the account id in it is {account}: give that alone"));
    }
    let (url, note) = match with_scheme(text) {
        Some(url) => (url, Some("the scheme was missing: it was added to the URL")),
        None => (text.to_owned(), None),
    };
    let whole = whole(&url)?;
    let typed = match (whole, note) {
        (Some(typed), _) => typed,
        (None, Some(note)) => Typed::noted(url, note),
        (None, None) => Typed::plain(&url),
    };
    check_endpoint(&typed.value)?;
    Ok(typed)
}

/// The value alone: without what surrounds it, a variable's name, an HTTP method.
fn given(text: &str) -> Result<&str, String> {
    let mut text = pasted::bare(text);
    if let Some(named) = pasted::named(text).filter(|named| !text[..named.name.len()].contains("://")) {
        let name = pasted::plain_name(named.name);
        if let Some(other) = ["traces", "logs"].into_iter().find(|other| name.contains(other)) {
            return Err(format!("is the endpoint for {other}: {ID}"));
        }
        if !named.is_command
            && !["endpoint", "url", "uri", "server", "host", "account"].iter().any(|word| name.contains(word))
        {
            return Err(format!("is the value of something else: {ID}"));
        }
        text = named.value;
    }
    let without_method = ["POST ", "PUT ", "GET "].iter().find_map(|method| text.strip_prefix(method));
    text = pasted::bare(without_method.unwrap_or(text));
    let within = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).filter(|inner| inner.contains("://"));
    Ok(within.unwrap_or(text))
}

/// The documented URL of an account.
fn account(id: &str) -> Result<Typed, String> {
    if is_uuid(id) {
        return Err(format!("is a UUID, and no account id: {ID}"));
    }
    check_account(id)?;
    Ok(Typed::plain(&format!("https://{HOST}{START}{id}{END}")))
}

fn check_account(id: &str) -> Result<(), String> {
    check_word(id)?;
    if let Some(bad) = id.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_".contains(*c))) {
        return Err(format!("holds {bad:?}, which no account id does"));
    }
    match id.contains(|c: char| c.is_ascii_alphanumeric()) && !secret::is_secret(id) {
        true => Ok(()),
        false => Err(format!("is no account id: {ID}")),
    }
}

/// Refuses what a URL that works does not have.
fn check_parts(uri: &Uri, host: &str) -> Result<(), String> {
    let leave_out = |what: &str| Err(format!("{what}: leave it out"));
    let port = uri.port_u16();
    if host.ends_with('.') {
        return leave_out("has a '.' at the end of its host");
    }
    if uri.scheme_str() == Some("https") && port == Some(80) {
        return leave_out("has port 80, which is for http");
    }
    if host == HOST && uri.port().is_some() && port != Some(443) {
        return leave_out("has a port, which ACT's address has not");
    }
    if uri.path().split('/').any(|part| matches!(part, "." | "..")) {
        return Err(format!("has '.' or '..' in its path: {ID}"));
    }
    Ok(())
}

/// The account id in the address of a page of Boomi's platform, which has it behind `accountId=`.
fn platform_account(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("accountId=")?;
    let id: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    let is_platform = text.contains("boomi.com");
    (is_platform && !id.is_empty() && id.len() <= 64 && !is_uuid(&id)).then_some(id)
}

/// A URL without a scheme, with the one that is meant.
fn with_scheme(text: &str) -> Option<String> {
    let host = text.split('/').next()?;
    if text.contains("://") || host.contains('@') || host.is_empty() || text.starts_with("//") {
        return None;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if is_loopback(name) {
        return Some(format!("http://{text}"));
    }
    name.contains('.').then(|| format!("https://{text}"))
}

/// The URL with its path completed or cut to the documented one. `None` where it stays as it is.
fn whole(url: &str) -> Result<Option<Typed>, String> {
    let Ok(uri) = url.parse::<Uri>() else { return Ok(None) };
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@'))
        || uri.query().is_some()
        || url.contains('#')
    {
        return Ok(None);
    }
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let is_boomi = host == "boomi.com" || host.ends_with(".boomi.com");
    let path = uri.path().trim_end_matches('/');
    if is_boomi && OTHER_HOSTS.iter().any(|other| host.starts_with(other)) {
        return Err(format!("is another address of Boomi's: {ID}"));
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    if decoded.contains(['{', '}', '<', '>', '$']) {
        return Err(format!("still holds a placeholder: {ID}"));
    }
    check_parts(&uri, &host)?;
    if account_id(url).and_then(placeholder::kind).is_some() {
        return Err(format!("still holds a placeholder for the account id: {ID}"));
    }
    if path.is_empty() {
        return Err(format!("is only a host, without the path that names the account: {ID}"));
    }
    if let Some(signal) = ["traces", "logs"].into_iter().find(|signal| path.ends_with(&format!("/{signal}"))) {
        return Err(format!("is for {signal}: {ID}"));
    }
    let base = &url[..url.trim_end_matches('/').len() - path.len()];
    // At ACT's own host, the documented path is the only one that takes metrics.
    let other = || match host == HOST {
        true => Err(format!("is an address of ACT's with another path than {START}ACCOUNT-ID{END}: {ID}")),
        false => Ok(None),
    };
    let Some(account) = path.strip_prefix(START).and_then(|rest| rest.split('/').next()).filter(|id| !id.is_empty())
    else {
        return other();
    };
    // An e-mail address may stand in the account id's place: the two are exchanged where the account id is the user's.
    let is_exchanged = percent_decode_str(account).decode_utf8().is_ok_and(|decoded| user::is_mail(&decoded));
    if host == HOST && !is_exchanged {
        check_account(account).map_err(|why| format!("names an account that can't be one, which {why}"))?;
    }
    let documented = format!("{START}{account}{END}");
    let rest = &path[START.len() + account.len()..];
    if rest == END {
        let is_cut = url.ends_with('/');
        return Ok(
            is_cut.then(|| Typed::noted(format!("{base}{documented}"), "the slash at the end of the URL was left out"))
        );
    }
    if rest.strip_prefix(END) == Some("/v1/metrics") {
        return Ok(Some(Typed::noted(format!("{base}{documented}"), "/v1/metrics at the end of the URL was left out")));
    }
    let is_beginning = END.strip_prefix(rest).is_some_and(|left| left.is_empty() || left.starts_with('/'));
    match is_boomi && is_beginning {
        true => {
            Ok(Some(Typed::noted(format!("{base}{documented}"), "the URL's path was completed from the documentation")))
        }
        false => other(),
    }
}

/// A URL's host in lower case, and its port where the URL names one: where a message says that something goes.
pub fn address(url: &str) -> Option<String> {
    let url = url.parse::<hyper::Uri>().ok()?;
    let host = url.host()?.to_ascii_lowercase();
    Some(url.port_u16().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// The account id in a metrics URL of the documented form.
pub fn account_id(endpoint: &str) -> Option<&str> {
    let (_, rest) = endpoint.split_once(START)?;
    rest.split('/').next().filter(|account| !account.is_empty())
}

/// The user and the endpoint with their values exchanged, where the endpoint holds an e-mail address in place of the account id
/// and the user is not an e-mail address. Otherwise `None`.
pub fn exchanged(user: &str, endpoint: &str) -> Option<(String, String)> {
    let account = account_id(endpoint)?;
    let decoded = account.replace("%40", "@");
    (user::is_mail(&decoded) && !user::is_mail(user)).then(|| (decoded.clone(), endpoint.replace(account, user)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";

    #[test]
    fn metrics_urls_are_understood() {
        let bare = URL.trim_start_matches("https://");
        for (text, note) in [
            (URL.to_owned(), ""),
            ("acme-A1B2C3".to_owned(), ""),
            (" \"acme-A1B2C3\"\n".to_owned(), ""),
            ("accountId: acme-A1B2C3".to_owned(), ""),
            (format!("\u{feff}{URL}\r\n"), ""),
            (format!("\"{URL}\","), ""),
            (format!("<{URL}>"), ""),
            (format!("POST {URL}"), ""),
            (format!("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT={URL}"), ""),
            (format!("  \"url\": \"{URL}\","), ""),
            (bare.to_owned(), "scheme"),
            (format!("{URL}/"), "slash"),
            (format!("{URL}/v1/metrics"), "/v1/metrics"),
            (URL.replace(END, ""), "completed"),
            (URL.replace("/public/metrics", ""), "completed"),
            (URL.replace("/metrics", "/"), "completed"),
        ] {
            let typed = read(&text).unwrap_or_else(|why| panic!("{text:?}: {why}"));
            assert_eq!(typed.value, URL, "{text:?}");
            let said = typed.note.unwrap_or_default();
            assert!(said.is_empty() == note.is_empty() && said.contains(note), "{text:?}: {said}");
        }
        let collector = "https://collector.example:4318/v1/metrics";
        assert_eq!(read(collector).unwrap().value, collector);
        assert_eq!(read("localhost:4318/v1/metrics").unwrap().value, "http://localhost:4318/v1/metrics");
        assert_eq!(read("http://[::1]:4318/v1/metrics").unwrap().value, "http://[::1]:4318/v1/metrics");
    }

    #[test]
    fn what_is_no_metrics_url_is_refused_with_its_kind() {
        let with = |account: &str| URL.replace("acme-A1B2C3", account);
        for (text, why) in [
            (String::new(), "is empty"),
            ("agentcontroltower.boomi.com".to_owned(), "only a host"),
            ("https://agentcontroltower.boomi.com/".to_owned(), "only a host"),
            ("https://collector.example".to_owned(), "only a host"),
            (with("{accountId}"), "placeholder"),
            (with("%7BaccountId%7D"), "placeholder"),
            (with("ACCOUNT-ID"), "placeholder for the account id"),
            (with("<account>"), "placeholder"),
            (with("your-account-id"), "placeholder for the account id"),
            (with("${ACCOUNT}"), "placeholder"),
            ("ACCOUNT-ID".to_owned(), "a placeholder"),
            ("none".to_owned(), "a placeholder"),
            ("3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e".to_owned(), "a UUID"),
            ("dev@acme.com".to_owned(), "an e-mail"),
            (URL.replace("/metrics", "/traces"), "is for traces"),
            ("https://collector.example/v1/logs".to_owned(), "is for logs"),
            (format!("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={URL}"), "for traces"),
            (URL.replace("https", "http"), "unencrypted"),
            (URL.replace("https://", "https://u:pw@"), "user name or password"),
            (format!("{URL}?token=pw"), "query or fragment"),
            (
                "https://platform.boomi.com/AtomSphere.html#build;accountId=acme-A1B2C3".to_owned(),
                "acme-A1B2C3: give that",
            ),
            ("https://api.boomi.com/auth/jwt/generate/acme-A1B2C3".to_owned(), "another address of Boomi's"),
            ("ftp://act.example/metrics".to_owned(), "must start with https://"),
            ("https://act.example/a b".to_owned(), "holds ' '"),
            ("https://\u{430}gentcontroltower.boomi.com/m".to_owned(), "holds 'а'"),
            ("acme/A1B2C3".to_owned(), "is not a URL"),
            ("user=pw".to_owned(), "something else"),
            (URL.replace("/otlp", "//otlp"), "another path than"),
            (format!("{URL}/.."), "'.' or '..'"),
            (format!("{URL}/foo"), "another path than"),
            (format!("{URL}x"), "another path than"),
            (format!("{URL};x"), "another path than"),
            (format!("{URL}\\"), "holds '\\\\'"),
            (format!("\"{URL}"), "holds '\"'"),
            (URL.replace("/metric-ingestion", ""), "another path than"),
            ("https://agentcontroltower.boomi.com/foo".to_owned(), "another path than"),
            (URL.replace(".com", ".com:80"), "port 80"),
            ("https://collector.example:80/v1/metrics".to_owned(), "port 80"),
            (URL.replace(".com", ".com:8443"), "has a port"),
            (URL.replace(".com", ".com:70000"), "has a port"),
            (URL.replace(".com", ".com."), "'.' at the end of its host"),
            ("https://collector.example:70000/m".to_owned(), "from 1 to 65535"),
            ("https://collector.example:0/m".to_owned(), "from 1 to 65535"),
            ("https://collector..example/m".to_owned(), "no host name"),
            ("https://-collector.example/m".to_owned(), "no host name"),
            ("https://1.2.3.400/m".to_owned(), "no host name"),
            (format!("https://{}.example/m", "x".repeat(64)), "no host name"),
            ("acme~x".to_owned(), "holds '~'"),
            (with("acme~x"), "holds '~'"),
            (with("--"), "is no account id"),
            ("id".to_owned(), "a placeholder"),
            ("https:///metrics".to_owned(), ""),
            ("//act.example/metrics".to_owned(), ""),
        ] {
            let error = read(&text).expect_err(&text);
            assert!(error.contains(why) && !error.contains("pw"), "{text:?}: {error}");
        }
    }

    #[test]
    fn users_and_account_ids_are_told_apart() {
        let endpoint = |account: &str| format!("https://act.example/metric-ingestion/v1/{account}/otlp/public/metrics");
        let right = Some(("dev@acme.com".to_owned(), endpoint("acme-A1B2C3")));
        assert_eq!(exchanged("acme-A1B2C3", &endpoint("dev@acme.com")), right);
        assert_eq!(exchanged("acme-A1B2C3", &endpoint("dev%40acme.com")), right);
        assert_eq!(exchanged("dev@acme.com", &endpoint("acme-A1B2C3")), None);
    }
}
