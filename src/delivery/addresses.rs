//! Keeps the addresses of ACT's host. A name is looked up once, and again when the answer is old or a connection failed. The
//! HTTP client alone would look it up before each export, on a thread of its own, even while its connection is open.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The client tries at most this many addresses of a name.
const MOST: usize = 16;
/// How long an answer is used. Many DNS records have such a time to live.
const FRESH: Duration = Duration::from_secs(60);

/// The last answer, for ACT's host or for the proxy's.
#[derive(Debug, Clone, Default)]
pub struct Addresses(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    /// Scheme, host and port.
    place: String,
    addresses: ResolvedSocketAddrs,
    since: Instant,
}

impl Addresses {
    /// A request failed: the name is looked up again next time.
    pub fn forget(&self) {
        *self.last() = None;
    }

    fn known(&self, place: &str) -> Option<ResolvedSocketAddrs> {
        let last = self.last();
        let known = last.as_ref().filter(|known| known.place == place && known.since.elapsed() < FRESH)?;
        Some(known.addresses.clone())
    }

    fn last(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Addresses {
    /// Parses an address, or looks up a name on a thread of its own, because the look-up has no time limit. The HTTP client's own
    /// resolver would panic where the system gives no thread.
    fn look_up(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let place = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => DefaultResolver::host_and_port(scheme, authority),
            _ => None,
        };
        let place = place.ok_or_else(|| Error::BadUri(uri.to_string()))?;
        let found = match place.parse::<SocketAddr>() {
            Ok(address) => vec![address].into_iter(),
            Err(_) => {
                let (sender, answer) = mpsc::sync_channel(1);
                let ask = move || drop(sender.send(place.to_socket_addrs()));
                let thread = std::thread::Builder::new().name("name".to_owned()).spawn(ask);
                thread.map_err(|error| io::Error::other(format!("no thread to look up its name: {error}")))?;
                answer.recv_timeout(*timeout.after).map_err(|_| Error::Timeout(timeout.reason))??
            }
        };
        let mut addresses = self.empty();
        config.ip_family().keep_wanted(found).take(MOST).for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let place = format!("{:?} {:?}", uri.scheme(), uri.authority());
        if let Some(addresses) = self.known(&place) {
            return Ok(addresses);
        }
        let addresses = self.look_up(uri, config, timeout)?;
        let known = Known { place, addresses: addresses.clone(), since: Instant::now() };
        *self.last() = Some(known);
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(addresses: &Addresses, uri: &str) -> String {
        let found = addresses.resolve(&uri.parse().unwrap(), &Config::default(), NextTimeout::default()).unwrap();
        found[0].to_string()
    }

    /// Changes the stored answer, so that the test can tell it from a new one.
    fn change(addresses: &Addresses, age: Duration) {
        let mut known = addresses.last();
        let known = known.as_mut().unwrap();
        known.addresses[0] = "192.0.2.1:9".parse().unwrap();
        known.since = Instant::now().checked_sub(age).unwrap();
    }

    #[test]
    fn a_name_is_asked_again_when_it_is_another_or_the_answer_is_old_or_led_nowhere() {
        let addresses = Addresses::default();
        assert_eq!(resolve(&addresses, "http://127.0.0.1:1/x"), "127.0.0.1:1");
        change(&addresses, FRESH / 2);
        assert_eq!(resolve(&addresses, "http://127.0.0.1:1/y"), "192.0.2.1:9");
        assert_eq!(resolve(&addresses, "http://127.0.0.1:2/x"), "127.0.0.1:2");
        change(&addresses, FRESH);
        assert_eq!(resolve(&addresses, "http://127.0.0.1:2/x"), "127.0.0.1:2");
        change(&addresses, Duration::ZERO);
        addresses.forget();
        assert_eq!(resolve(&addresses, "http://127.0.0.1:2/x"), "127.0.0.1:2");
        assert_eq!(resolve(&addresses, "https://127.0.0.1/x"), "127.0.0.1:443");
    }
}
