//! Which hosts NO_PROXY exempts from the proxy, as claude reads it (pure; docs/proxies.md).

use std::net::IpAddr;

/// Whether `list` names the host, given without brackets, and its port.
pub fn covers(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let entries = list.split(|byte: char| byte == ',' || byte.is_ascii_whitespace());
    entries.filter(|entry| !entry.is_empty()).any(|entry| entry_covers(&entry.to_ascii_lowercase(), &host, port))
}

/// An entry is `*`, a name, a domain with or without `.` or `*.` before it, an address, or a range of addresses. A name or an
/// address may be followed by a port.
fn entry_covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let Some((name, wanted)) = split_port(entry) else { return false };
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    match host.parse::<IpAddr>() {
        Ok(address) => address_covers(name, address),
        Err(_) => domain_covers(name, host),
    }
}

/// The name without brackets, and the port. `None`: the text after the colon is not a port.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    if let Some(bracketed) = entry.strip_prefix('[') {
        let (name, rest) = bracketed.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((name, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((name, None)),
        };
    }
    match entry.split_once(':') {
        // More than one colon: an IPv6 address.
        Some((_, rest)) if rest.contains(':') => Some((entry, None)),
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
        None => Some((entry, None)),
    }
}

fn domain_covers(name: &str, host: &str) -> bool {
    let domain = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).unwrap_or(name).trim_end_matches('.');
    let is_below = || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    !domain.is_empty() && (host == domain || is_below())
}

/// An address, or a range such as 10.0.0.0/8.
fn address_covers(name: &str, address: IpAddr) -> bool {
    let (network, length) = match name.split_once('/') {
        Some((network, length)) => (network, Some(length)),
        None => (name, None),
    };
    let Ok(network) = network.parse::<IpAddr>() else { return false };
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits().into(), address.to_bits().into(), 32),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let length = match length {
        Some(length) => length.parse::<u32>().ok().filter(|length| *length <= width),
        None => Some(width),
    };
    let differing: u128 = network ^ address;
    length.is_some_and(|length| differing.checked_shr(width - length).unwrap_or(0) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_claude_reads_it() {
        for (list, covered) in [
            ("act.corp.test", true),
            ("corp.test", true),
            (".corp.test", true),
            ("*.corp.test", true),
            ("test", true),
            (".act.corp.test", true),
            ("*.act.corp.test", true),
            ("ACT.Corp.Test", true),
            ("act.corp.test.", true),
            ("act.corp.test:8443", true),
            ("corp.test:8443", true),
            ("*.corp.test:8443", true),
            ("*", true),
            ("x,*", true),
            (" * ", true),
            ("a,act.corp.test,b", true),
            ("a, act.corp.test , b", true),
            ("a act.corp.test b", true),
            ("a\tact.corp.test", true),
            (",,act.corp.test,,", true),
            ("!act.corp.test,*", true),
            ("", false),
            ("orp.test", false),
            ("*corp.test", false),
            ("**", false),
            ("*:8443", false),
            ("act.*", false),
            ("..corp.test", false),
            (".", false),
            ("*.", false),
            ("act.corp.test:443", false),
            ("act.corp.test:", false),
            ("act.corp.test:x", false),
            ("act.corp.test/", false),
            ("https://act.corp.test", false),
            ("a;act.corp.test;b", false),
            ("\"act.corp.test\"", false),
            ("<local>", false),
            ("10.9.0.1", false),
        ] {
            assert_eq!(covers(list, "act.corp.test", 8443), covered, "{list:?}");
        }
        assert!(covers("act.corp.test", "ACT.corp.test.", 443));
    }

    #[test]
    fn addresses_and_their_ranges() {
        for (list, host, covered) in [
            ("10.9.0.1", "10.9.0.1", true),
            ("10.9.0.0/24", "10.9.0.1", true),
            ("10.0.0.0/8", "10.9.0.1", true),
            ("0.0.0.0/0", "10.9.0.1", true),
            ("10.9.0.1/32", "10.9.0.1", true),
            ("10.9.0.1:8443", "10.9.0.1", true),
            ("10.9.0.1:443", "10.9.0.1", false),
            ("10.8.0.0/16", "10.9.0.1", false),
            ("10.9.0.0/33", "10.9.0.1", false),
            ("10.", "10.9.0.1", false),
            ("10.*", "10.9.0.1", false),
            (".0.1", "10.9.0.1", false),
            ("0.1", "10.9.0.1", false),
            ("0x0a090001", "10.9.0.1", false),
            ("fd00::1", "fd00::1", true),
            ("FD00:0::1", "fd00::1", true),
            ("[fd00::1]", "fd00::1", true),
            ("[fd00::1]:8443", "fd00::1", true),
            ("fd00::/8", "fd00::1", true),
            ("::/0", "fd00::1", true),
            ("[fd00::1]:443", "fd00::1", false),
            ("[fd00::1", "fd00::1", false),
            ("::1", "fd00::1", false),
            ("10.0.0.0/8", "fd00::1", false),
        ] {
            assert_eq!(covers(list, host, 8443), covered, "{list:?} {host}");
        }
    }
}
