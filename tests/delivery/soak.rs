//! A day of exports every five seconds through one relay, without the pauses: neither memory nor descriptors grow.

use std::net::TcpStream;
use std::time::Instant;

use act_claude::state::outcome::State;

use crate::relay::{Relay, export, send, start_of, waiting};
use crate::support::act::Act;
use crate::support::sandbox::Sandbox;

const EXPORTS: usize = 17_280;

/// Resident memory and its maximum, in KiB, and the number of open descriptors.
fn measure(pid: u32) -> (u64, u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a field");
        line.split_ascii_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number")
    };
    (field("VmRSS:"), field("VmHWM:"), std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").count())
}

#[test]
fn soak_a_day_in_a_minute() {
    if !cfg!(target_os = "linux") {
        return crate::support::skip("/proc is Linux's");
    }
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    // In memory: the 17,280 syncs of a day would take much longer on a disk than the minute of this test.
    let memory = tempfile::Builder::new().prefix("act-claude-soak-").tempdir_in("/dev/shm");
    let mut start = start_of(&sandbox, &act.endpoint());
    if let Ok(memory) = &memory {
        start.state = Some(memory.path().join("act-claude"));
    }
    let state = start.state.clone().expect("a state directory");
    let mut relay = Relay::start_with(&sandbox, start);
    let (address, path) = relay.place();
    let is_empty = || std::fs::read_dir(state.join("spool/new")).expect("a spool").next().is_none();
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).expect("the relay");
    let mut measured = Vec::new();
    for number in 0..EXPORTS {
        assert_eq!(send(&mut stream, &path, &export(&format!("n{number}"))), Some(200));
        if number % 100 == 99 {
            // A backlog takes memory for each of its exports. A healthy day has none.
            crate::support::eventually("everything delivered", || is_empty().then_some(()));
        }
        if number % (EXPORTS / 8) == EXPORTS / 16 {
            measured.push(measure(relay.worker().as_raw().cast_unsigned()));
        }
    }
    crate::support::eventually("everything delivered", || is_empty().then_some(()));
    let end = measure(relay.worker().as_raw().cast_unsigned());
    println!(
        "{EXPORTS} exports delivered in {:.1} s; resident KiB {:?}, peak {} KiB; descriptors {:?}",
        begun.elapsed().as_secs_f64(),
        measured.iter().map(|(resident, ..)| *resident).collect::<Vec<_>>(),
        end.1,
        measured.iter().map(|(.., descriptors)| *descriptors).collect::<Vec<_>>(),
    );
    let outcome = relay.outcome(crate::support::DEADLINE);
    assert_eq!((outcome.exports, outcome.states.get(&State::Delivered)), (EXPORTS as u64, Some(&(EXPORTS as u64))));
    assert_eq!(act.requests().len(), EXPORTS, "each once");
    assert_eq!(waiting(&sandbox), [] as [String; 0]);
    let (first, last) = (measured[1], end);
    assert!(last.0 < first.0 + 1024, "memory grows: {measured:?} {end:?}");
    assert!(last.2 <= first.2 + 2, "descriptors grow: {measured:?} {end:?}");
}
