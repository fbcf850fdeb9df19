//! The first steps of a relay: it reads the supervisor's first line, and determines the session's id and takes its lock.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::Flock;
use nix::sys::socket::{MsgFlags, recv};

use super::book::{Book, Event};
use super::journal::Journal;
use crate::relay::protocol::{Start, ToRelay};
use crate::state::{self, record};

/// How long the supervisor may take to send its first line.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many bytes are peeked at once.
const CHUNK: usize = 64 * 1024;

/// Reads the supervisor's first line and nothing after it, because the session reads the rest.
pub fn read(control: &UnixStream) -> Option<Start> {
    control.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let seen = peek(control, MsgFlags::empty())?;
        let length = seen.iter().position(|&byte| byte == b'\n').map_or(seen.len(), |end| end + 1);
        let read = line.len();
        line.resize(read + length, 0);
        (&mut &*control).read_exact(&mut line[read..]).ok()?;
    }
    control.set_read_timeout(None).ok()?;
    match serde_json::from_slice(&line).ok()? {
        ToRelay::Start(start) => Some(*start),
        _ => None,
    }
}

/// The next bytes in the socket, which stay there; `None`: nothing will come.
fn peek(control: &UnixStream, flags: MsgFlags) -> Option<Vec<u8>> {
    let mut bytes = vec![0; CHUNK];
    loop {
        match recv(control.as_raw_fd(), &mut bytes, MsgFlags::MSG_PEEK | flags) {
            Ok(0) => return None,
            Ok(length) => {
                bytes.truncate(length);
                return Some(bytes);
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Whether this process is traced by one that traces neither its parent nor claude. Such a tracer attached in the moment
/// before this process was protected. A tracer of the whole session (`strace -f`) is allowed.
#[cfg(target_os = "linux")]
pub fn is_traced_by_a_stranger(control: &UnixStream) -> bool {
    use crate::launch::fork::tracer_of;
    // Root's other processes can read everything anyway.
    if nix::unistd::geteuid().is_root() {
        return false;
    }
    let own = std::process::id().cast_signed();
    let Some(tracer) = tracer_of(own).filter(|&tracer| tracer != 0) else { return false };
    let parent = nix::unistd::getppid().as_raw();
    let command = || {
        let next = peek(control, MsgFlags::MSG_DONTWAIT)?;
        let line = next.split(|&byte| byte == b'\n').next()?;
        let Ok(ToRelay::Command { pid }) = serde_json::from_slice(line) else { return None };
        tracer_of(pid)
    };
    tracer != parent && tracer_of(parent) != Some(tracer) && command() != Some(tracer)
}

/// This is not known on other systems.
#[cfg(not(target_os = "linux"))]
pub fn is_traced_by_a_stranger(_control: &UnixStream) -> bool {
    false
}

/// Gives the session an id, where the journal has none yet, and takes the lock of its record. From now on the session is live,
/// and the exports it stores belong to this relay, whichever of its processes (guard or child) ends.
pub fn open(journal: &Journal, start: &Start) -> Option<Flock<File>> {
    let known = Book::read(&journal.read()).session;
    let (id, _) = known.or_else(|| {
        let now = Timestamp::now();
        let id = record::new_id(now).ok()?;
        let event = serde_json::to_vec(&Event::Opened(id.clone(), now)).ok()?;
        journal.append(&event);
        Some((id, now))
    })?;
    let state = start.state.as_ref().filter(|state| state::is_usable(state))?;
    record::lock(state, &id).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_the_first_line_is_taken() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let long = "x".repeat(CHUNK * 2);
        let writer = std::thread::spawn(move || {
            // This is not a `Start`, so there is nothing to relay; but the whole line is read.
            ours.write_all(format!("\"{long}\"\nrest").as_bytes()).unwrap();
        });
        assert!(read(&theirs).is_none());
        writer.join().unwrap();
        assert_eq!(peek(&theirs, MsgFlags::empty()).unwrap(), b"rest");
        let mut rest = String::new();
        (&mut &theirs).read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), peek(&theirs, MsgFlags::empty())), ("rest", None));
    }

    #[test]
    fn a_session_keeps_its_id() {
        let journal = Journal::new().unwrap();
        let id = || Book::read(&journal.read()).session;
        let start = Start {
            secret: String::new(),
            route: None,
            redact: Vec::new(),
            state: None,
            verify: false,
            directory: "/".into(),
            moves: false,
            is_session: true,
            settings: None,
            pipeline: Default::default(),
            network: Vec::new(),
            claude: "/c".into(),
        };
        assert!(open(&journal, &start).is_none() && id().is_some());
        let first = id();
        open(&journal, &start);
        assert_eq!(id(), first);
    }
}
