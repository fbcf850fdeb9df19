//! As far as a connection: to ACT, or to the proxy that leads there.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::delivery::proxy::proxy_for;
use crate::delivery::verdict::Failure;
use crate::system::environment::Environment;

/// For the name, and for the connection.
const LIMIT: Duration = Duration::from_secs(10);

/// Whom to connect to.
#[derive(Debug)]
pub struct Hop {
    /// The host: ACT's, or the proxy's.
    pub host: String,
    /// Its port.
    port: u16,
    /// Whether it is a proxy.
    pub is_proxy: bool,
    /// ACT's host.
    pub target: String,
}

/// The first hop on the way to `endpoint`. A proxy's user name and password stay out of it.
pub fn next_hop(endpoint: &str, environment: &Environment) -> Result<Hop, Failure> {
    let uri: hyper::Uri = endpoint.parse().map_err(|_| Failure::Broken("the endpoint is not a URL".to_owned()))?;
    let bare = |uri: &hyper::Uri| uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let target = bare(&uri);
    let Some(proxy) = proxy_for(&uri, environment) else {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        return Ok(Hop { host: target.clone(), port, is_proxy: false, target });
    };
    let proxy = proxy.parse::<hyper::Uri>().ok().filter(|proxy| proxy.host().is_some());
    let proxy = proxy.ok_or_else(|| Failure::Proxy("its URL is not one".to_owned()))?;
    let port = proxy.port_u16().unwrap_or(if proxy.scheme_str() == Some("https") { 443 } else { 80 });
    Ok(Hop { host: bare(&proxy), port, is_proxy: true, target })
}

impl Hop {
    /// Whether the host is an address already.
    pub fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Its addresses.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, Failure> {
        let (sender, answer) = mpsc::channel();
        let name = (self.host.clone(), self.port);
        // A thread of its own, because the resolver knows no time limit; it ends with the process.
        std::thread::spawn(move || sender.send(name.to_socket_addrs().map(|found| found.collect::<Vec<_>>())));
        match answer.recv_timeout(LIMIT) {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            _ if self.is_proxy => Err(Failure::Proxy(format!("its name {} has no address", self.host))),
            _ => Err(Failure::UnknownHost(self.host.clone())),
        }
    }

    /// The first of the addresses that takes a connection, or the first failure.
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
        Err(match (error.kind(), self.is_proxy) {
            (io::ErrorKind::ConnectionRefused, false) => Failure::Refused,
            (io::ErrorKind::TimedOut, false) => Failure::TimedOut,
            (io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable, false) => Failure::NoRoute,
            (_, false) => Failure::Broken(crate::system::error::plain(&error)),
            (io::ErrorKind::ConnectionRefused, true) => {
                Failure::Proxy(format!("{}:{} refused the connection", self.host, self.port))
            }
            (_, true) => {
                Failure::Proxy(format!("{}:{}: {}", self.host, self.port, crate::system::error::plain(&error)))
            }
        })
    }
}

/// Addresses without their port, the first few.
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
        let hop = |endpoint: &str, pairs: &[(&str, &str)]| {
            let hop = next_hop(endpoint, &pairs.iter().copied().collect()).unwrap();
            (hop.host, hop.port, hop.is_proxy, hop.target)
        };
        let act = "https://act.example.com/m";
        for (endpoint, pairs, host, port, is_proxy, target) in [
            (act, &[][..], "act.example.com", 443, false, "act.example.com"),
            ("http://127.0.0.1:8/m", &[], "127.0.0.1", 8, false, "127.0.0.1"),
            ("https://[::1]:8/m", &[], "::1", 8, false, "::1"),
            (act, &[("HTTPS_PROXY", "http://u:secret@p.corp:3128")], "p.corp", 3128, true, "act.example.com"),
            (act, &[("HTTPS_PROXY", "p.corp")], "p.corp", 80, true, "act.example.com"),
        ] {
            assert_eq!(hop(endpoint, pairs), (host.to_owned(), port, is_proxy, target.to_owned()), "{endpoint}");
        }
        let broken = next_hop(act, &[("HTTPS_PROXY", "http://")].into_iter().collect());
        assert!(matches!(broken, Err(Failure::Proxy(_))), "{broken:?}");
    }
}
