//! Processes that can still send exports: they carry a relay's endpoint in their environment. One example is the daemon that an
//! old client leaves behind.

use crate::system::process;

/// Whether any process but this one carries `secret` in its environment.
pub fn any(secret: &str) -> bool {
    let own = std::process::id().cast_signed();
    process::all().into_iter().any(|pid| pid != own && carries(pid, secret))
}

/// Whether any process that was started after `command` carries `secret`: such a process can outlive `command`. It may
/// report a false positive.
#[cfg(target_os = "linux")]
pub fn any_since(command: u32, secret: &str) -> bool {
    /// More pids than this are not checked.
    const MANY: u32 = 64;
    let mut asked = command;
    // The check is repeated for processes that were started meanwhile.
    loop {
        match newest() {
            Some(newest) if newest == asked => return false,
            Some(newest) if newest > asked && newest - command <= MANY => {
                if (asked + 1..=newest).any(|pid| carries(pid.cast_signed(), secret)) {
                    return true;
                }
                asked = newest;
            }
            // The newest pid is not known, there are too many pids, or their numbering has started again.
            _ => return true,
        }
    }
}

fn carries(pid: i32, secret: &str) -> bool {
    let environment = process::environment_block(pid).unwrap_or_default();
    super::ourselves::contains(&environment, secret.as_bytes())
}

/// The pid that was assigned last in this pid namespace.
#[cfg(target_os = "linux")]
fn newest() -> Option<u32> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next_back()?.parse().ok()
}

/// On other systems this check is no cheaper than starting the relay, which checks all processes.
#[cfg(not(target_os = "linux"))]
pub fn any_since(_command: u32, _secret: &str) -> bool {
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn those_who_carry_it_are_found() {
        let secret = "a-secret-of-this-test";
        let sleeper = |value: &str| {
            let mut command = std::process::Command::new("sleep");
            command.arg("60").env("SECRET", value).spawn().expect("started")
        };
        let mut before = sleeper("none");
        assert!(!any(secret) && !carries(before.id().cast_signed(), secret));
        let mut carrier = sleeper(secret);
        // A child is its parent's copy until it executes.
        while !carries(carrier.id().cast_signed(), secret) {
            std::thread::yield_now();
        }
        assert!(any(secret) && any_since(before.id(), secret));
        for child in [&mut before, &mut carrier] {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
        assert!(!any(secret));
    }
}
