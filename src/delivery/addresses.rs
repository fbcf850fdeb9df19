//! Where ACT's name leads: asked once, and again when the answer is old or led nowhere. The HTTP client would ask before each
//! export, on a thread of its own, although its connection is open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// As long as an answer of the name service is often good for.
const FRESH: Duration = Duration::from_secs(60);

/// The last answer, of ACT's name or the proxy's.
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
    /// They led nowhere: asked again next time.
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

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let place = format!("{:?} {:?}", uri.scheme(), uri.authority());
        if let Some(addresses) = self.known(&place) {
            return Ok(addresses);
        }
        let addresses = DefaultResolver::default().resolve(uri, config, timeout)?;
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

    /// Changes what is known, so that it can be told from a new answer.
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
