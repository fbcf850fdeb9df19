//! Sessions and relays that still run when act-claude is to be removed.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::relay::protocol::RELAY_COMMAND;
use crate::state::record::{self, Record};
use crate::system::process;

/// How long a relay may take to end.
const RELAY_TIMEOUT: Duration = Duration::from_secs(5);

/// Fails where sessions run that have sent something, or may at any time. The user has to end them.
pub fn fail_if_any(state: &Path) -> Result<(), String> {
    if let Some(id) = record::live_and_unread(state).first() {
        let record = record::directory(state).join(format!("{id}.json"));
        let who = "a session still runs under another version of act-claude";
        return Err(format!("{who}, and its record can't be read: end it first ({})", record.display()));
    }
    let live = live(state);
    let (run, them) = match live.len() {
        0 => return Ok(()),
        1 => ("1 session still runs".to_owned(), "it"),
        count => (format!("{count} sessions still run"), "them"),
    };
    let names = live.iter().map(|record| {
        let alias = record.alias.as_deref().unwrap_or("claude");
        let place = if is_here(record) { format!("pid {}", pid(record)) } else { ELSEWHERE.to_owned() };
        format!("{alias} in {} ({place})", record.directory.display())
    });
    let names: Vec<String> = names.collect();
    let pids: Vec<String> =
        live.iter().filter(|record| is_here(record)).map(|record| pid(record).to_string()).collect();
    let how = if pids.is_empty() { String::new() } else { format!(": kill {}", pids.join(" ")) };
    Err(format!("{run} under act-claude: {}; end {them} first{how}", names.join(", ")))
}

/// Another container may use the same state directory. Its pids mean nothing here.
const ELSEWHERE: &str = "not visible here, perhaps in a container";

fn is_here(record: &Record) -> bool {
    is_relay(record.relay_pid.cast_signed())
}

/// Whether this pid is that of a relay, as it is seen here.
fn is_relay(pid: i32) -> bool {
    let words = process::arguments(pid);
    let is = |index: usize, word: &str| words.get(index).is_some_and(|own| own == word.as_bytes());
    pid > 1 && is(1, "act") && is(2, RELAY_COMMAND)
}

fn live(state: &Path) -> Vec<Record> {
    record::read_all(state).into_iter().filter(|record| record.is_live(state)).collect()
}

/// The process with which the session ends. Where claude has ended, and its background processes may still send, that is the relay.
fn pid(record: &Record) -> i32 {
    let claude = record.command_pid.filter(|_| record.has_running_claude());
    claude.unwrap_or(record.relay_pid.cast_signed())
}

/// Ends the relays that only deliver what is left of a session that has ended. What they have not delivered is in the spool.
pub fn end_draining(state: &Path) -> Result<(), String> {
    for record in live(state).into_iter().filter(|record| record.claude_has_gone) {
        end(state, &record.id, record.relay_pid.cast_signed(), Signal::SIGTERM)?;
    }
    Ok(())
}

/// Ends the relays of background sessions that have sent nothing, because a later export would create the state directory again.
/// Those sessions go on without being reported. Returns the pids.
pub fn end_idle(state: &Path) -> Result<Vec<i32>, String> {
    let idle = record::idle(state);
    // Exports that the relay has acknowledged are stored, so none is lost.
    idle.iter().try_for_each(|(id, pid)| end(state, id, *pid, Signal::SIGKILL))?;
    Ok(idle.into_iter().map(|(_, pid)| pid).collect())
}

/// Ends the relay of session `id`.
fn end(state: &Path, id: &str, pid: i32, signal: Signal) -> Result<(), String> {
    let end = Instant::now() + RELAY_TIMEOUT;
    while record::is_locked(state, id) {
        if Instant::now() > end {
            return Err(format!(
                "the relay of a claude that has ended or sent nothing (pid {pid}) does not end: kill -9 {pid}"
            ));
        }
        if !is_relay(pid) {
            return Err(format!("a relay of act-claude still runs ({ELSEWHERE}): end it first"));
        }
        // To the whole process group: the guard and its relay. It is sent again, because a relay takes a SIGTERM before it begins to
        // deliver for the request to do that.
        let _ = killpg(Pid::from_raw(pid), signal);
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
