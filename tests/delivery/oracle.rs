//! B2, with random faults: many sessions, a server that fails in every way, relays killed at random points. After a
//! quiet phase everything that was acknowledged must have arrived as it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use act_claude::usage::Disposition;

use act_claude::relay::protocol::Start;

use crate::copies::{self, Receiver};
use crate::relay::{Relay, export, files, name_of, new_secret, post, waiting};
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

/// So late a server may log a request, where the machine has much to do: the relay that sent it may be killed already.
const LATE: Duration = Duration::from_secs(1);

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

/// Lets a server fail in every way until `quiet`; returns its log.
fn faulty(act: &Act, seed: u64, quiet: &Arc<AtomicBool>) -> Arc<Mutex<Log>> {
    let log = Arc::new(Mutex::new(Log::default()));
    let (noted, quiet, random) = (log.clone(), quiet.clone(), Mutex::new(Random(seed)));
    act.answer_by(move |request| answer(&noted, &random, &quiet, request));
    log
}

/// When a relay was killed: before and after.
type Kills = [(Instant, Instant)];

/// Everything that was acknowledged has arrived as it was sent, and nothing arrived twice without a reason. Returns a summary.
fn check(log: &Log, acknowledged: &BTreeMap<String, Vec<u8>>, kills: &Kills) -> String {
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
            } else if kills.iter().any(|(before, after)| *after + LATE >= at && *before <= pair[1].0) {
                by_kill += 1;
            }
        }
    }
    let summary = format!(
        "{} taken, {} refused for good, {} failures; lost: {}; duplicates: {duplicates} (answer lost on the way: {by_server}, \
         killed before the unlink: {by_kill})",
        log.bodies.len(),
        log.refused.len(),
        log.failures,
        lost.len()
    );
    assert_eq!(lost, [] as [&String; 0], "acknowledged, and never arrived: {summary}");
    assert_eq!(duplicates, by_server + by_kill, "every duplicate has its reason: {summary}");
    assert!(log.refused.iter().all(|name| !log.taken.contains_key(name)), "{summary}");
    summary
}

#[test]
fn b2_oracle_of_kills() {
    oracle(KILLS, &[]);
}

/// The same with two other receivers, each with faults of its own.
#[test]
fn b2_oracle_of_kills_with_two_copies() {
    oracle(KILLS / 2, &[Receiver::start("one"), Receiver::start("two")]);
}

fn oracle(number: usize, receivers: &[Receiver]) {
    let sandbox = Sandbox::new();
    let act = Act::start();
    copies::configure(&sandbox, &act, &receivers.iter().collect::<Vec<_>>(), &serde_json::Value::Null);
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let quiet = Arc::new(AtomicBool::new(false));
    let log = faulty(&act, seed, &quiet);
    let logs_of_copies: Vec<_> =
        receivers.iter().zip(1..).map(|(receiver, more)| faulty(&receiver.act, seed ^ (more << 8), &quiet)).collect();
    let template = copies::start(&sandbox, &act);
    let acknowledged = Mutex::new(BTreeMap::new());
    let unacknowledged = AtomicUsize::new(0);
    let kills = Mutex::new(Vec::new());
    let left = AtomicUsize::new(number);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for session in 0..SESSIONS {
            let (sandbox, template, acknowledged, unacknowledged, kills, left) =
                (&sandbox, &template, &acknowledged, &unacknowledged, &kills, &left);
            scope.spawn(move || {
                let mut random = Random(seed.rotate_left(session as u32 + 1) | 1);
                let mut round = 0;
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    round += 1;
                    let mut relay = Relay::start_with(sandbox, secret_of(template));
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
    println!(
        "seed {seed}: {} relays killed in {:.1} s; {} exports acknowledged, {} not; {left_in_spool} left for the quiet phase",
        kills.len(),
        noise.as_secs_f64(),
        acknowledged.len(),
        unacknowledged.load(Ordering::SeqCst),
    );
    // The repetition of what was not acknowledged may be another export for the server: ACT adds the route's attributes.
    let as_act_gets_it = |body: &[u8]| with_attributes(body);
    let expected = acknowledged.iter().map(|(name, body)| (name.clone(), as_act_gets_it(body))).collect();
    println!("ACT: {}", check(&log, &expected, &kills));
    for (receiver, log) in receivers.iter().zip(&logs_of_copies) {
        println!("{}: {}", receiver.name, check(&log.lock().unwrap(), &acknowledged, &kills));
        assert_eq!(receiver.waiting(&sandbox), [] as [String; 0]);
        assert_eq!(copies::files(&receiver.spool(&sandbox).join("corrupt")), [] as [String; 0]);
        let bodies = copies::files(&receiver.spool(&sandbox).join("bodies"));
        assert!(bodies.len() <= kills.len(), "what a killed process left over is bounded: {}", bodies.len());
    }
    assert!(kills.len() >= number - SESSIONS);
    assert!(acknowledged.len() > number / 2, "most sessions got something in: {}", acknowledged.len());
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

/// An export as ACT gets it.
fn with_attributes(body: &[u8]) -> Vec<u8> {
    let added = r#""attributes":[{"key":"providerType","value":{"stringValue":"CUSTOM_PROVIDER"}}]"#;
    String::from_utf8(body.to_vec()).expect("text").replacen("\"attributes\":[]", added, 1).into_bytes()
}

/// The same session with an endpoint of its own.
fn secret_of(template: &Start) -> Start {
    Start { secret: new_secret(), ..template.clone() }
}
