//! C5, from the start of the process: another process of the same user tries to read each relay's memory, descriptors
//! and environment as the relay starts, and to attach to it as a debugger. The whole run: `ACT_CLAUDE_TEST_RACES=500
//! cargo test --test secrets c5_races -- --nocapture`.

use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;

use crate::support::act::Act;
use crate::support::sandbox::{self, Sandbox, TOKEN, Text};
use crate::support::user::{self, USER};
use crate::support::{fake_claude, process, skip};

/// The number of sessions by default.
const RACES: usize = 24;
/// The number of parallel sessions, and of parallel snoop processes.
const PARALLEL: usize = 4;

#[test]
fn c5_no_relay_can_be_read_while_it_starts() {
    if !nix::unistd::geteuid().is_root() {
        return skip("becoming an ordinary user needs root");
    }
    let wanted = std::env::var("ACT_CLAUDE_TEST_RACES").ok().and_then(|races| races.parse().ok()).unwrap_or(RACES);
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(&act.endpoint());
    fake_claude::install(&mut sandbox, "post\nposts 24 60");
    let snoop = sandbox.root().join("snoop");
    std::fs::copy(crate::support::example("snoop"), &snoop).unwrap();
    let program = user::give(&sandbox);
    let stop = sandbox.root().join("stop");
    let plain = format!("BOOMI_TOKEN.{}:{TOKEN}", sandbox::USER);
    let authorization = base64::engine::general_purpose::STANDARD.encode(plain);
    let snoops: Vec<_> = (0..PARALLEL)
        .map(|_| {
            let mut command = sandbox.command(&snoop);
            command.arg(&stop).args([TOKEN, &authorization]).uid(USER).gid(USER);
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let left = AtomicUsize::new(wanted);
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    let mut command = sandbox.command(&program);
                    command.args(["-p", "hi"]).uid(USER).gid(USER).stdout(Stdio::null()).stderr(Stdio::piped());
                    let output = command.output().unwrap();
                    assert_eq!(output.code(), 0, "{}", output.err());
                }
            });
        }
    });
    process::end_relays(sandbox.root());
    std::fs::write(&stop, "").unwrap();
    let got: String = snoops.into_iter().map(|snoop| snoop.wait_with_output().unwrap().out()).collect();
    let count = |text: &str| got.lines().filter(|line| line.contains(text)).count();
    let attempts: usize = got.lines().filter_map(|line| line.strip_prefix("attempts ")?.parse::<usize>().ok()).sum();
    println!(
        "{wanted} races, {attempts} attempts: secrets read {}; relays got into {}; guards, before they held anything, {}",
        count("secret in memory"),
        count(" of relay "),
        count(" of guard "),
    );
    assert!(attempts >= wanted, "the snoop saw them");
    assert_eq!((count("secret in memory"), count(" of relay ")), (0, 0), "{got}");
}
