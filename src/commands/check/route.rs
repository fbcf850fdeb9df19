//! Tests the way up to a connection: to ACT, or to the proxy that leads there.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::claude::network::Network;
use crate::delivery::upstream::proxy_for;
use crate::delivery::verdict::Failure;

/// The time limit for name resolution, and that for the connection.
const LIMIT: Duration = Duration::from_secs(10);

/// The host to connect to.
#[derive(Debug)]
pub struct Hop {
    /// ACT's host, or the proxy's.
    pub host: String,
    /// Its port.
    port: u16,
    /// The variable or settings key that names the proxy. `None`: no proxy is used.
    pub proxy: Option<String>,
    /// ACT's host.
    pub target: String,
}

/// The first hop on the way to `endpoint`. It does not hold the proxy's user name and password.
pub fn next_hop(endpoint: &str, network: &Network) -> Result<Hop, Failure> {
    let uri: hyper::Uri = endpoint.parse().map_err(|_| Failure::Broken("the endpoint is not a URL".to_owned()))?;
    let bare = |uri: &hyper::Uri| uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let target = bare(&uri);
    let Some(proxy) = proxy_for(&uri, network)? else {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        return Ok(Hop { host: target.clone(), port, proxy: None, target });
    };
    Ok(Hop { host: proxy.host, port: proxy.port, proxy: Some(network.place(proxy.variable)), target })
}

impl Hop {
    /// Whether the host is an IP address, which needs no name resolution.
    pub fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Its addresses.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, Failure> {
        let (sender, answer) = mpsc::channel();
        let name = (self.host.clone(), self.port);
        // The resolver has no time limit, so it runs on its own thread. The thread may live as long as the process.
        std::thread::spawn(move || sender.send(name.to_socket_addrs().map(|found| found.collect::<Vec<_>>())));
        match answer.recv_timeout(LIMIT) {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            answer => {
                let failure = match answer {
                    Ok(Err(error)) => Failure::of_look_up(&error, &self.host),
                    Ok(Ok(_)) => Failure::UnknownHost(self.host.clone()),
                    // It takes too long.
                    Err(_) => Failure::NoNameServer(self.host.clone()),
                };
                Err(self.at_the_proxy(|| format!("its name {} has no address", self.host), failure))
            }
        }
    }

    /// The first address that accepts a connection, or the first failure.
    pub fn connect(&self, addresses: &[SocketAddr]) -> Result<SocketAddr, Failure> {
        let end = Instant::now() + LIMIT;
        let mut first = None;
        for address in addresses {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match TcpStream::connect_timeout(address, left) {
                Ok(_) => return Ok(*address),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        let error = first.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
        let (without, what) = match error.kind() {
            io::ErrorKind::ConnectionRefused => (Failure::Refused, " refused the connection".to_owned()),
            kind => {
                let what = crate::system::error::plain(&error);
                let without = match kind {
                    io::ErrorKind::TimedOut => Failure::TimedOut,
                    io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Failure::NoRoute,
                    _ => Failure::Broken(what.clone()),
                };
                (without, format!(": {what}"))
            }
        };
        Err(self.at_the_proxy(|| format!("{}:{}{what}", self.host, self.port), without))
    }

    /// The failure: a failure of the proxy where one is used, otherwise `without`.
    fn at_the_proxy(&self, what: impl Fn() -> String, without: Failure) -> Failure {
        match &self.proxy {
            Some(place) => Failure::Proxy { place: place.clone(), what: what() },
            None => without,
        }
    }
}

/// The addresses as text, without their ports: the first two, and the number of the others.
pub fn list(addresses: &[SocketAddr]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for address in addresses {
        let address = address.ip().to_string();
        if !shown.contains(&address) {
            shown.push(address);
        }
    }
    let more = shown.len().saturating_sub(2);
    shown.truncate(2);
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hop() {
        let hop = |endpoint: &str, pairs: &[(&'static str, &'static str)]| {
            let hop = next_hop(endpoint, &pairs.iter().copied().collect()).unwrap();
            (hop.host, hop.port, hop.proxy.is_some(), hop.target)
        };
        let act = "https://act.example.com/m";
        for (endpoint, pairs, host, port, is_proxy, target) in [
            (act, &[][..], "act.example.com", 443, false, "act.example.com"),
            ("http://127.0.0.1:8/m", &[], "127.0.0.1", 8, false, "127.0.0.1"),
            ("https://[::1]:8/m", &[], "::1", 8, false, "::1"),
            (act, &[("HTTPS_PROXY", "http://u:secret@p.corp:3128")], "p.corp", 3128, true, "act.example.com"),
            (act, &[("HTTPS_PROXY", "p.corp:3128")], "p.corp", 3128, true, "act.example.com"),
        ] {
            assert_eq!(hop(endpoint, pairs), (host.to_owned(), port, is_proxy, target.to_owned()), "{endpoint}");
        }
        let broken = next_hop(act, &[("HTTPS_PROXY", "http://")].into_iter().collect());
        assert!(matches!(broken, Err(Failure::ProxySetting { .. })), "{broken:?}");
    }
}
