//! Proxy settings: a named proxy is used or refused, never bypassed; its credentials are not shown; nothing panics.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use act_claude::claude::network::Network;
use act_claude::delivery::upstream::{Limits, Upstream};
use act_claude::delivery::verdict::Failure;
use act_claude::delivery::{no_proxy, proxy};
use act_claude::system::environment::Environment;

const WORDS: [&str; 16] = [
    "http://",
    "https://",
    "socks5h://",
    "secret",
    "user:secret@",
    "proxy.test",
    "10.9.0.2",
    "[fd00::2]",
    ":3128",
    ":99999",
    "%40",
    "%e4",
    "//",
    "*.",
    "act.corp.test",
    "/8",
];

/// A proxy, then the list of exempt hosts.
pub fn check(data: &[u8]) {
    let data = crate::spelled::spelled(data, &WORDS);
    let at = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let (value, list) = (&data[..at], String::from_utf8_lossy(data.get(at + 1..).unwrap_or_default()));
    let network = network(value);
    for endpoint in ["https://act.corp.test/m", "https://10.9.0.1:8443/m", "https://[fd00::1]/m"] {
        chosen(endpoint, value, &network);
    }
    for (host, port) in [("act.corp.test", 443), ("10.9.0.1", 8443), ("fd00::1", 443)] {
        let covered = no_proxy::covers(&list, host, port);
        assert_eq!(no_proxy::covers(&list.to_ascii_uppercase(), host, port), covered, "{list:?}");
        assert!(no_proxy::covers(&format!("{list},*"), host, port), "{list:?}");
    }
}

fn network(value: &[u8]) -> Network {
    let mut environment = Environment::default();
    let value: Vec<u8> = value.iter().copied().filter(|&byte| byte != 0).collect();
    environment.set("HTTPS_PROXY", OsStr::from_bytes(&value));
    Network::new(environment, Vec::new(), Path::new("/"))
}

fn chosen(endpoint: &str, value: &[u8], network: &Network) {
    let chosen = proxy::proxy_for(&endpoint.parse().unwrap(), network);
    let is_empty = value.iter().all(|&byte| byte == 0);
    assert_eq!(chosen == Ok(None), is_empty, "{}", value.escape_ascii());
    match &chosen {
        Ok(None) => {}
        Ok(Some(proxy)) => {
            assert!(!format!("{proxy:?}").contains("secret") || proxy.host.contains("secret"), "{proxy:?}");
            // The client uses the chosen proxy, or refuses it with a message.
            let client = proxy.for_client();
            assert!(client.is_err() || client.is_ok_and(|client| client.port() == proxy.port), "{proxy:?}");
        }
        Err(unusable) => {
            assert!(!unusable.why.contains("secret"), "{unusable:?}");
            let upstream = Upstream::new(endpoint, network, Limits::default());
            assert!(matches!(upstream, Err(Failure::ProxySetting { .. })));
        }
    }
}
