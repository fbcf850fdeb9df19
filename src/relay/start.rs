//! What a relay is started with, before anything of it works: the supervisor's first line, the session's id and lock.

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

/// How long the supervisor may take to say what is to be relayed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much is looked at in one go.
const CHUNK: usize = 64 * 1024;

/// The supervisor's first line. Nothing behind it is read, so that the rest is the session's.
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

/// What is next in the socket, without taking it; `None`: nothing will come.
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

/// Whether this process is traced by somebody who traces neither its parent nor claude: then it got hold of us in the moment
/// before we were protected. Whoever traces a whole session (`strace -f`) may.
#[cfg(target_os = "linux")]
pub fn is_watched_by_a_stranger(control: &UnixStream) -> bool {
    use crate::launch::fork::tracer_of;
    // From root's own processes nothing is protected anyway.
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

/// Elsewhere that is not known.
#[cfg(not(target_os = "linux"))]
pub fn is_watched_by_a_stranger(_control: &UnixStream) -> bool {
    false
}

/// Gives the session an id, where the journal has none yet, and takes its record's lock: the session is live from here on, and
/// what it stores is this relay's, whichever of its processes ends.
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
            // Not a start: nothing to relay; but read to its end it is.
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
            network: Vec::new(),
            claude: "/c".into(),
        };
        assert!(open(&journal, &start).is_none() && id().is_some());
        let first = id();
        open(&journal, &start);
        assert_eq!(id(), first);
    }
}
