//! Processes that can still send exports: they carry a relay's endpoint in their environment. One example is the daemon that an
//! old client leaves behind.

use crate::system::process::{self, Block};

/// Whether any process but this one carries `secret` in its environment, or may carry it.
pub fn any(secret: &str) -> bool {
    others().any(|pid| carries(pid, secret) != Some(false))
}

/// The processes that carry `secret` in their environment, without this one.
pub fn all(secret: &str) -> impl Iterator<Item = i32> {
    others().filter(move |pid| carries(*pid, secret) == Some(true))
}

fn others() -> impl Iterator<Item = i32> {
    let own = std::process::id().cast_signed();
    process::all().into_iter().filter(move |pid| *pid != own)
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
                if (asked + 1..=newest).any(|pid| carries(pid.cast_signed(), secret) != Some(false)) {
                    return true;
                }
                asked = newest;
            }
            // The newest pid is not known, there are too many pids, or their numbering has started again.
            _ => return true,
        }
    }
}

/// Whether a process has `secret` in its environment. `None`: that is not known yet, because it executes a program.
fn carries(pid: i32, secret: &str) -> Option<bool> {
    match process::environment_block(pid) {
        Block::Shown(environment) => Some(super::ourselves::contains(&environment, secret.as_bytes())),
        Block::NotYet => None,
        Block::Hidden => Some(false),
    }
}

/// The pid that was assigned last in this pid namespace.
#[cfg(target_os = "linux")]
fn newest() -> Option<u32> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next_back()?.parse().ok()
}

/// macOS does not tell which pid was assigned last, but when each process was started.
#[cfg(not(target_os = "linux"))]
pub fn any_since(_command: u32, secret: &str) -> bool {
    // The command was started after this process.
    let own = process::started(std::process::id().cast_signed());
    let may_carry = |pid: i32| match process::environment_block(pid) {
        Block::Shown(environment) => super::ourselves::contains(&environment, secret.as_bytes()),
        Block::NotYet | Block::Hidden => process::look(pid).is_some_and(|process| !process.is_ending),
    };
    since(own, others().map(|pid| (pid, process::started(pid)))).any(may_carry)
}

/// The processes that were not started before `own`. The time of one that belongs to another user is not shown; such a process
/// can't be read, either. If `own` is not known, every process may be later.
#[cfg(any(test, not(target_os = "linux")))]
fn since<T: Ord>(own: Option<T>, processes: impl Iterator<Item = (i32, Option<T>)>) -> impl Iterator<Item = i32> {
    processes.filter(move |(_, started)| started.is_some() && *started >= own).map(|(pid, _)| pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_that_are_not_older_can_outlive_the_command() {
        let processes = || [(1, Some(10)), (2, Some(20)), (3, Some(30)), (4, None)].into_iter();
        assert_eq!(since(Some(20), processes()).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(since(None, processes()).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn those_who_carry_it_are_found() {
        let secret = "a-secret-of-this-test";
        let started = |environment: Option<&str>| {
            let mut command = std::process::Command::new("/bin/sleep");
            command.arg("60").env_clear().envs(environment.map(|value| ("SECRET", value)));
            let child = command.spawn().expect("started");
            // Until then it may have it.
            while process::arguments(child.id().cast_signed()).first().is_none_or(|name| name != b"/bin/sleep") {
                std::thread::yield_now();
            }
            child
        };
        // Programs that other tests execute may have it for a moment.
        let has_none = || (0..1000).any(|_| !any(secret));
        let (mut before, mut without) = (started(Some("none")), started(None));
        assert!(has_none());
        assert!([&before, &without].iter().all(|child| carries(child.id().cast_signed(), secret) == Some(false)));
        let mut carrier = started(Some(secret));
        assert_eq!(carries(carrier.id().cast_signed(), secret), Some(true));
        assert!(any(secret) && any_since(before.id(), secret));
        for child in [&mut before, &mut without, &mut carrier] {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
        assert!(has_none());
    }

    /// A process that executes one program after the other is at no moment taken for one without the secret.
    #[cfg(target_os = "linux")]
    #[test]
    fn while_it_executes_a_program_it_may_carry_it() {
        let secret = "a-secret-of-a-chain";
        let script = "n=$((${n:-0} + 1)); export n; [ $n -gt 500 ] || exec /bin/sh -c \"$s\"";
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script]).env_clear().envs([("SECRET", secret), ("s", script)]);
        let mut chain = command.spawn().expect("started");
        let pid = chain.id().cast_signed();
        while carries(pid, secret) != Some(true) {}
        let mut seen = [0; 3];
        while process::look(pid).is_some_and(|process| !process.is_ending) {
            let carries = carries(pid, secret);
            // It may have ended since.
            if carries == Some(false) && process::look(pid).is_some_and(|process| !process.is_ending) {
                panic!("taken for one without it");
            }
            seen[carries.map_or(2, usize::from)] += 1;
        }
        chain.wait().expect("ended");
        assert!(seen[1] > 0, "{seen:?}");
    }
}
