//! B2, in use: relays are killed, stopped and starved of descriptors while their sessions go on, in both forms. The
//! whole run: `ACT_CLAUDE_TEST_KILLS=300 cargo test --test delivery in_use -- --nocapture`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use act_claude::state::record;
use act_claude::usage::Disposition;
#[cfg(target_os = "linux")]
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::relay::waiting;
use crate::support::act::{Act, accepted};
use crate::support::http::Reply;
use crate::support::process::{Process, relays, relays_with};
use crate::support::random::Random;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::usage::{ledger, points, points_of};
use crate::support::{eventually, fake_claude};

/// The number of killed processes by default.
const KILLS: usize = 16;
/// The number of kills in one session.
const KILLS_OF_A_SESSION: usize = 4;
/// The number of exports of each session, and the pause between them.
const EXPORTS: usize = 200;
const PAUSE_MS: usize = 60;
/// The number of parallel sessions.
const SESSIONS: usize = 4;

#[derive(Debug, Default)]
struct Figures {
    relays: AtomicUsize,
    guards: AtomicUsize,
    stopped: AtomicUsize,
    starved: AtomicUsize,
}

impl Figures {
    fn kills(&self) -> usize {
        self.relays.load(Ordering::SeqCst) + self.guards.load(Ordering::SeqCst)
    }
}

/// A session under test.
struct Session<'a> {
    name: String,
    is_launcher: bool,
    log: PathBuf,
    child: Child,
    random: Random,
    figures: &'a Figures,
    /// How many of this session's relays were killed.
    deaths: u64,
    is_guarded: bool,
}

impl Session<'_> {
    /// The names of the exports that claude has sent so far, with the answers.
    fn answers(log: &Path) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let pair = |line: &str| {
            let (name, answer) = line.split_once(' ')?;
            Some((name.to_owned(), answer.to_owned()))
        };
        text.lines().filter_map(pair).collect()
    }

    fn goes_on(&self) -> bool {
        Self::answers(&self.log).len() + 12 < EXPORTS
    }

    /// The session's working relay, and its guard if that lives; `None` when claude is about to end.
    fn relays(&self) -> Option<(Process, Option<Process>)> {
        eventually("a relay", || {
            if !self.goes_on() {
                return Some(None);
            }
            let (mut guards, mut relays) = relays_with(&format!("FAKE_CLAUDE_NAME={}\0", self.name));
            let is_whole = relays.len() == 1 && guards.len() == usize::from(self.is_guarded);
            is_whole.then(|| Some((relays.remove(0), guards.pop())))
        })
    }

    fn disturb(&mut self) {
        let mut kills = 0;
        while kills < KILLS_OF_A_SESSION {
            std::thread::sleep(Duration::from_millis(200 + self.random.below(2000)));
            let Some((relay, guard)) = self.relays() else { return };
            match (self.random.below(100), guard) {
                (0..10, _) => self.stop(&relay),
                (10..20, _) => self.starve(&relay),
                // Not in the launcher form, where no process would replace the relay after that.
                (20..35, Some(guard)) if !self.is_launcher || kills + 1 == KILLS_OF_A_SESSION => {
                    self.kill(&guard, false);
                    self.is_guarded = false;
                    kills += 1;
                }
                (35..50, Some(guard)) if !self.is_launcher => {
                    self.kill(&guard, false);
                    self.kill(&relay, true);
                    self.is_guarded = true;
                    kills += 2;
                }
                (_, None) if self.is_launcher => return,
                _ => {
                    self.kill(&relay, true);
                    // Without a guard, the supervisor starts guard and relay again.
                    self.is_guarded = true;
                    kills += 1;
                }
            }
        }
    }

    fn kill(&mut self, process: &Process, is_relay: bool) {
        kill(Pid::from_raw(process.pid), Signal::SIGKILL).expect("a process of the test");
        eventually("its end", || (!process.is_alive()).then_some(()));
        self.deaths += u64::from(is_relay);
        let counted = if is_relay { &self.figures.relays } else { &self.figures.guards };
        counted.fetch_add(1, Ordering::SeqCst);
    }

    fn stop(&mut self, relay: &Process) {
        let signal = |signal| kill(Pid::from_raw(relay.pid), signal);
        if signal(Signal::SIGSTOP).is_ok() {
            std::thread::sleep(Duration::from_millis(50 + self.random.below(250)));
            let _ = signal(Signal::SIGCONT);
            self.figures.stopped.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// For a while the relay can open no descriptor.
    fn starve(&mut self, relay: &Process) {
        if !limit_descriptors(relay.pid, 4) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50 + self.random.below(250)));
        limit_descriptors(relay.pid, 1024);
        self.figures.starved.fetch_add(1, Ordering::SeqCst);
    }
}

fn name_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once(r#""session.id","value":{"stringValue":""#).expect("one of ours");
    rest.split_once('"').expect("an end").0.to_owned()
}

/// The totals of a run.
#[derive(Default)]
struct Tally {
    sent: usize,
    acknowledged: BTreeSet<String>,
    deaths: u64,
    said: u64,
}

#[test]
fn b2_oracle_in_use() {
    let wanted = std::env::var("ACT_CLAUDE_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut sandbox = Sandbox::new();
    let act = Act::start();
    sandbox.configure_one(&act.endpoint());
    let claude = fake_claude::install(&mut sandbox, &format!("posts {EXPORTS} {PAUSE_MS}"));
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let dice = Mutex::new(Random(seed));
    act.answer_by(move |_| match dice.lock().unwrap().below(100) {
        0..80 => accepted(),
        80..90 => Reply::After(Duration::from_millis(15), Box::new(accepted())),
        90..94 => Reply::json(503, "").header("Retry-After", "0"),
        94..97 => Reply::json(500, "oops"),
        _ => Reply::Close,
    });
    let (figures, tally, number) = (Figures::default(), Mutex::new(Tally::default()), AtomicUsize::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| {
                while figures.kills() < wanted {
                    let number = number.fetch_add(1, Ordering::SeqCst);
                    one_session(&sandbox, &claude, (number, seed), &figures, &tally);
                }
            });
        }
    });
    let noise = begun.elapsed();
    eventually("the relays' end", || {
        let (guards, relays) = relays(sandbox.root());
        (guards.is_empty() && relays.is_empty()).then_some(())
    });
    act.answer(accepted());
    for _ in 0..3 {
        sandbox.act_claude(&["act", "flush"]).output().unwrap();
    }
    assert_eq!(waiting(&sandbox), [] as [String; 0], "everything goes out at last");
    let tally = tally.into_inner().unwrap();
    let arrived: BTreeSet<String> = act.requests().iter().map(|request| name_of(&request.raw)).collect();
    let lost: Vec<_> = tally.acknowledged.difference(&arrived).collect();
    let records = record::read_all(&sandbox.state());
    let count = |of: fn(&act_claude::state::outcome::Outcome) -> u64| -> u64 {
        records.iter().map(|record| of(&record.outcome)).sum()
    };
    let (deaths, cut_off) = (count(|outcome| outcome.deaths), count(|outcome| outcome.cut_off));
    let missing = tally.sent - arrived.len();
    println!(
        "seed {seed}: {} relays and {} guards killed, {} stopped, {} starved, in {} sessions, {:.1} s; sent {}, \
         acknowledged {}, lost {}; arrived {} ({:.2} %), missing {missing}, of which {cut_off} were said to be possible; \
         deaths {}, in the records {deaths}, said by reports {} of {}",
        figures.relays.load(Ordering::SeqCst),
        figures.guards.load(Ordering::SeqCst),
        figures.stopped.load(Ordering::SeqCst),
        figures.starved.load(Ordering::SeqCst),
        records.len(),
        noise.as_secs_f64(),
        tally.sent,
        tally.acknowledged.len(),
        lost.len(),
        arrived.len(),
        arrived.len() as f64 * 100.0 / tally.sent as f64,
        figures.relays.load(Ordering::SeqCst),
        tally.said,
        tally.deaths,
    );
    assert_eq!(lost, [] as [&String; 0], "acknowledged, and never arrived");
    // With few kills, each may happen during an export, so the share of missing exports is checked for many kills only.
    assert!(arrived.len() * 100 >= tally.sent * 99 || wanted < 100, "{missing} of {} are missing", tally.sent);
    assert_eq!(deaths, figures.relays.load(Ordering::SeqCst) as u64, "each death is counted");
    assert_eq!(tally.said, tally.deaths, "and said");
    let bodies: Vec<_> = act.requests().into_iter().map(|request| request.raw).collect();
    let ledger = ledger(&sandbox.state());
    let noted = points(&ledger.rows);
    println!("in the usage ledger: {noted:?}");
    assert_eq!(noted[&Disposition::Delivered], points_of(bodies.iter().map(Vec::as_slice)), "what ACT has: {noted:?}");
    let outcome_points = count(|outcome| outcome.points);
    assert_eq!(noted.values().sum::<u64>(), outcome_points, "all that was taken in: {noted:?}");
    assert_eq!(ledger.faults, []);
    let lost = count(|outcome| outcome.count(act_claude::state::outcome::State::Lost));
    assert!(missing as u64 <= cut_off + lost, "{missing} are missing, {cut_off} were cut off, {lost} lost");
}

fn one_session(
    sandbox: &Sandbox,
    claude: &Path,
    (number, seed): (usize, u64),
    figures: &Figures,
    tally: &Mutex<Tally>,
) {
    let is_launcher = number % 2 == 1;
    let name = format!("s{number}");
    let log = sandbox.root().join(format!("{name}.log"));
    let arguments: &[&str] = match is_launcher {
        true => &[claude.to_str().unwrap(), "--session-id", "x"],
        false => &["-p", "hi", "--report", "always"],
    };
    let mut command = sandbox.act_claude(arguments);
    command.env("FAKE_CLAUDE_NAME", &name).env("FAKE_CLAUDE_LOG", &log);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let random = Random((seed ^ (number as u64 + 1)).rotate_left(number as u32) | 1);
    let (deaths, is_guarded) = (0, true);
    let mut session = Session { name, is_launcher, log, child, random, figures, deaths, is_guarded };
    eventually("its first export", || (!Session::answers(&session.log).is_empty()).then_some(()));
    session.disturb();
    let Session { child, log, deaths, .. } = session;
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    let answers = Session::answers(&log);
    let mut tally = tally.lock().unwrap();
    tally.sent += answers.len();
    let acknowledged = answers.into_iter().filter(|(_, answer)| answer.starts_with("200"));
    tally.acknowledged.extend(acknowledged.map(|(name, _)| name));
    if !is_launcher {
        tally.deaths += deaths;
        let report = output.err();
        let times = report
            .split_once("the relay ended unexpectedly ")
            .map_or(0, |(_, rest)| rest.split_once(" times").and_then(|(times, _)| times.parse().ok()).unwrap_or(1));
        tally.said += times;
        assert_eq!(times, deaths, "{report}");
    }
}

/// Limits the descriptors of another process, where the system can.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn limit_descriptors(pid: i32, most: libc::rlim_t) -> bool {
    let new = libc::rlimit { rlim_cur: most, rlim_max: 1024 };
    // SAFETY: the call only reads a local struct.
    unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &new, std::ptr::null_mut()) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn limit_descriptors(_pid: i32, _most: u64) -> bool {
    false
}
