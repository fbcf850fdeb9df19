//! B2, with random faults: many sessions, a server that fails in every way, relays killed at random points. After a
//! quiet phase everything that was acknowledged must have arrived as it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use act_claude::usage::Disposition;

use crate::relay::{Relay, export, files, name_of, post, waiting};
use crate::support::act::{Act, accepted, refused};
use crate::support::http::{Reply, Request};
use crate::support::random::Random;
use crate::support::sandbox::Sandbox;
use crate::support::usage::{ledger, points, points_of};

/// The number of relays that are started and killed.
const KILLS: usize = 320;
/// The number of parallel sessions.
const SESSIONS: usize = 4;
/// The number of exports of each session, some of them in parallel.
const EXPORTS: usize = 6;

/// What the server did, by the name of the export.
#[derive(Default)]
struct Log {
    /// When an export was accepted, and whether the answer was sent completely.
    taken: BTreeMap<String, Vec<(Instant, bool)>>,
    bodies: BTreeMap<String, Vec<u8>>,
    refused: BTreeSet<String>,
    failures: usize,
}

/// Accepts, refuses, delays or breaks the connection. One export in sixty is always refused.
fn answer(log: &Mutex<Log>, random: &Mutex<Random>, quiet: &AtomicBool, request: &Request) -> Reply {
    let name = name_of(&request.raw);
    let mut log = log.lock().unwrap();
    if name.ends_with("0.3") {
        log.refused.insert(name);
        return refused(400, "malformed");
    }
    let dice = if quiet.load(Ordering::SeqCst) { 0 } else { random.lock().unwrap().below(100) };
    let mut take = |whole: bool| {
        log.taken.entry(name.clone()).or_default().push((Instant::now(), whole));
        log.bodies.insert(name.clone(), request.raw.clone());
    };
    match dice {
        0..55 => {
            take(true);
            accepted()
        }
        55..65 => {
            take(true);
            Reply::After(Duration::from_millis(15), Box::new(accepted()))
        }
        // Accepted, but the answer is lost.
        65..70 => {
            take(false);
            Reply::Close
        }
        70..73 => {
            take(false);
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-".to_vec())
        }
        other => {
            log.failures += 1;
            match other {
                73..80 => Reply::json(503, ""),
                80..86 => Reply::json(500, "oops"),
                86..90 => Reply::json(429, "").header("Retry-After", "0"),
                90..94 => Reply::Raw(b"HTTP/1.1 5".to_vec()),
                _ => Reply::Close,
            }
        }
    }
}

#[test]
fn b2_oracle_of_kills() {
    let sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let log = Arc::new(Mutex::new(Log::default()));
    let quiet = Arc::new(AtomicBool::new(false));
    {
        let (log, quiet, random) = (log.clone(), quiet.clone(), Mutex::new(Random(seed)));
        act.answer_by(move |request| answer(&log, &random, &quiet, request));
    }
    let acknowledged = Mutex::new(BTreeMap::new());
    let unacknowledged = AtomicUsize::new(0);
    let kills = Mutex::new(Vec::new());
    let left = AtomicUsize::new(KILLS);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for session in 0..SESSIONS {
            let (sandbox, act, acknowledged, unacknowledged, kills, left) =
                (&sandbox, &act, &acknowledged, &unacknowledged, &kills, &left);
            scope.spawn(move || {
                let mut random = Random(seed.rotate_left(session as u32 + 1) | 1);
                let mut round = 0;
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    round += 1;
                    let mut relay = Relay::start(sandbox, &act.endpoint());
                    let (address, path) = relay.place();
                    let (first, got_in) = std::sync::mpsc::channel();
                    std::thread::scope(|posters| {
                        for export_number in 0..EXPORTS {
                            let (path, first, pause) = (path.clone(), first.clone(), random.below(4));
                            posters.spawn(move || {
                                std::thread::sleep(Duration::from_millis(pause * export_number as u64 * 3));
                                let name = format!("{session}.{round}.{export_number}");
                                let body = export(&name);
                                match post(address, &path, &body) {
                                    Some(200) => {
                                        let _ = first.send(());
                                        acknowledged.lock().unwrap().insert(name, body);
                                    }
                                    _ => drop(unacknowledged.fetch_add(1, Ordering::SeqCst)),
                                }
                            });
                        }
                        // At any moment of the relay's life: at its start, or around its first exports.
                        if random.below(8) > 0 {
                            let _ = got_in.recv_timeout(Duration::from_secs(2));
                            std::thread::sleep(Duration::from_millis(random.below(80)));
                        } else {
                            std::thread::sleep(Duration::from_millis(random.below(100)));
                        }
                        let before = Instant::now();
                        relay.kill();
                        kills.lock().unwrap().push((before, Instant::now()));
                    });
                }
            });
        }
    });
    let noise = start.elapsed();
    quiet.store(true, Ordering::SeqCst);
    let left_in_spool = waiting(&sandbox).len();
    for _ in 0..3 {
        sandbox.act_claude(&["act", "flush", "--json"]).output().unwrap();
    }
    assert_eq!(waiting(&sandbox), [] as [String; 0], "the quiet phase delivers everything");

    let (acknowledged, log) = (acknowledged.into_inner().unwrap(), log.lock().unwrap());
    let kills = kills.into_inner().unwrap();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|(name, body)| log.bodies.get(*name) != Some(*body) && !log.refused.contains(*name))
        .map(|(name, _)| name)
        .collect();
    // A duplicate: the answer to the first request was lost, or the relay was killed between the answer and the unlink.
    let (mut duplicates, mut by_server, mut by_kill) = (0, 0, 0);
    for taken in log.taken.values() {
        for pair in taken.windows(2) {
            duplicates += 1;
            let (at, whole) = pair[0];
            if !whole {
                by_server += 1;
            } else if kills.iter().any(|(before, after)| *after >= at && *before <= pair[1].0) {
                by_kill += 1;
            }
        }
    }
    println!(
        "seed {seed}: {} relays killed in {:.1} s; {} exports acknowledged, {} not; {} taken by the server, {} refused \
         for good (set aside: {}), {} failures; {left_in_spool} left for the quiet phase; lost: {}; \
         duplicates: {duplicates} (answer lost on the way: {by_server}, killed before the unlink: {by_kill})",
        kills.len(),
        noise.as_secs_f64(),
        acknowledged.len(),
        unacknowledged.load(Ordering::SeqCst),
        log.bodies.len(),
        log.refused.len(),
        files(&sandbox, "rejected").len(),
        log.failures,
        lost.len(),
    );
    assert!(kills.len() >= 300);
    assert!(acknowledged.len() > KILLS, "most sessions got something in: {}", acknowledged.len());
    assert_eq!(lost, [] as [&String; 0], "acknowledged, and never arrived");
    assert_eq!(duplicates, by_server + by_kill, "every duplicate has its reason");
    for name in &log.refused {
        assert!(!log.taken.contains_key(name));
    }
    assert_eq!(files(&sandbox, "corrupt"), [] as [String; 0]);
    let bodies = log.bodies.values().map(Vec::as_slice);
    let expected = [(Disposition::Delivered, points_of(bodies)), (Disposition::Rejected, log.refused.len() as u64)];
    let expected = expected.into_iter().filter(|(_, points)| *points > 0).collect();
    let ledger = ledger(&sandbox.state());
    assert_eq!(
        (points(&ledger.rows), &ledger.faults[..]),
        (expected, &[][..]),
        "the usage ledger has each export once"
    );
}
