//! Who could still send something: processes that carry a relay's endpoint in their environment, such as the daemon an old
//! client leaves behind.

/// Whether any process but this one carries `secret` in its environment.
#[cfg(target_os = "linux")]
pub fn any(secret: &str) -> bool {
    let own = std::process::id();
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let mut pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.any(|pid| pid != own && carries(pid, secret))
}

/// Whether anything started since `command` carries `secret`: what that has left behind, once it has ended. May say yes for
/// none.
#[cfg(target_os = "linux")]
pub fn any_since(command: u32, secret: &str) -> bool {
    /// More are not worth asking.
    const MANY: u32 = 64;
    let mut asked = command;
    // Again for those that were started meanwhile.
    loop {
        match newest() {
            Some(newest) if newest == asked => return false,
            Some(newest) if newest > asked && newest - command <= MANY => {
                if (asked + 1..=newest).any(|pid| carries(pid, secret)) {
                    return true;
                }
                asked = newest;
            }
            // Unknown, or pids have begun anew.
            _ => return true,
        }
    }
}

#[cfg(target_os = "linux")]
fn carries(pid: u32, secret: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    super::ourselves::contains(&environment, secret.as_bytes())
}

/// The last pid given in this pid namespace.
#[cfg(target_os = "linux")]
fn newest() -> Option<u32> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next_back()?.parse().ok()
}

/// Elsewhere `ps` shows the environments of the user's own processes.
#[cfg(not(target_os = "linux"))]
pub fn any(secret: &str) -> bool {
    let output = std::process::Command::new("/bin/ps").args(["-axwwE", "-o", "pid=,command="]).output();
    let own = std::process::id().to_string();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .any(|line| line.contains(secret) && line.split_ascii_whitespace().next() != Some(&own))
    })
}

/// Elsewhere that is no cheaper than starting the relay, which asks all.
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
        assert!(!any(secret) && !carries(before.id(), secret));
        let mut carrier = sleeper(secret);
        // A child is its parent's copy until it executes.
        while !carries(carrier.id(), secret) {
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
