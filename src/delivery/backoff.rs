//! When to try again (pure; promise B4): full jitter between half a second and 1 s, 2 s, … 60 s, or the pause that the server
//! asked for, if that is longer.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
/// No pause is shorter, so that an export whose answer was lost is not sent again at once.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// Counts failures in a row.
#[derive(Debug, Default, Clone, Copy)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure. `random` is uniform in 0..1.
    pub fn pause(&mut self, retry_after: Option<Duration>, random: f64) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(random.clamp(0.0, 1.0)).max(SHORTEST).max(retry_after.unwrap_or_default())
    }

    /// A success: the next failure counts as the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A random number, uniform in 0..1.
pub fn random() -> f64 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_grows_to_a_minute_and_heeds_the_server() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<u64> = (0..9).map(|_| backoff.pause(None, 1.0).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.pause(Some(Duration::from_secs(600)), 0.5).as_secs(), 600);
        assert_eq!(backoff.pause(Some(Duration::from_secs(1)), 0.5).as_secs(), 30);
        backoff.reset();
        assert_eq!(backoff.pause(None, 1.0).as_secs(), 1);
        assert_eq!(backoff.pause(None, 0.0).as_millis(), 500, "never at once");
    }

    #[test]
    fn b4_a_hundred_clients_spread_out() {
        let mut slots = [0; 10];
        for _ in 0..100 {
            let pause = Backoff { failures: 6 }.pause(None, random());
            slots[(pause.as_secs_f64() / 6.0) as usize % 10] += 1;
        }
        assert!(slots.iter().all(|clients| *clients < 30), "{slots:?}");
    }
}
