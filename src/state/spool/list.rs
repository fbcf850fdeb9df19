//! Lists the spool.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use nix::errno::Errno;

use super::claim::errno;
use super::entry::{self, Fault, Header};
use super::{Spool, session_of};
use crate::state::record;
use crate::system::file::{self, OpenError};

/// A number of files, and their size.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How many.
    pub files: u64,
    /// Their bytes in all.
    pub bytes: u64,
}

/// How much is in `new` and in `tmp`, where files are that could not be unlinked; of copies also their bodies, which the
/// destination alone may keep on disk.
pub fn usage(spool: &Spool) -> io::Result<Usage> {
    let (waiting, tmp) = (pile(&spool.queue())?, pile(&spool.tmp())?);
    let bodies = if spool.destination().is_some() { pile(&spool.bodies())?.bytes } else { 0 };
    Ok(Usage { files: waiting.files + tmp.files, bytes: waiting.bytes + tmp.bytes + bodies })
}

/// How much is in a directory; nothing if it does not exist.
pub fn pile(directory: &Path) -> io::Result<Usage> {
    let mut usage = Usage::default();
    for entry in file::entries(directory)? {
        usage.files += 1;
        usage.bytes += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(usage)
}

/// The names in `new` by session, sessions and names oldest first. For a spool that can't be read it is an error, because it
/// may not be empty.
pub fn sessions(spool: &Spool) -> io::Result<BTreeMap<String, Vec<String>>> {
    let mut sessions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in file::entries(&spool.queue())? {
        if let Ok(name) = entry?.file_name().into_string() {
            sessions.entry(session_of(&name).to_owned()).or_default().push(name);
        }
    }
    sessions.values_mut().for_each(|names| names.sort_unstable());
    Ok(sessions)
}

/// The header of a file in `new`, without a check of the checksum. It serves to list exports, not to send them.
pub fn peek(spool: &Spool, name: &str) -> Result<Header, Fault> {
    let (mut file, _) = file::open_regular(&spool.queue().join(name)).map_err(|error| of_error(&error))?;
    let mut beginning = vec![0; 1024];
    let mut filled = 0;
    loop {
        match file.read(&mut beginning[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::Unreadable(errno(&error))),
        }
        // Two lines are complete, or there is more than the longest two lines.
        if beginning[..filled].iter().filter(|&&byte| byte == b'\n').count() >= 2 || filled > entry::LONGEST_HEAD * 2 {
            break;
        }
        beginning.resize(filled + 1024, 0);
    }
    entry::peek(&beginning[..filled])
}

/// The fault of a file that can't be opened. A link or a special file is corrupt: act-claude makes none. Any other file may be
/// intact.
fn of_error(error: &OpenError) -> Fault {
    match error {
        OpenError::Link | OpenError::Special => Fault::Corrupt,
        OpenError::System(error) => match errno(error) {
            Errno::ENOENT => Fault::Gone,
            errno => Fault::Unreadable(errno),
        },
    }
}

/// Removes unfinished files of sessions that have ended.
pub fn clean_tmp(spool: &Spool) {
    for entry in fs::read_dir(spool.tmp()).into_iter().flatten().flatten() {
        if let Ok(name) = entry.file_name().into_string()
            && !record::is_locked(spool.state(), session_of(&name))
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::spool::{Limits, Store};

    fn store() -> (tempfile::TempDir, Store) {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path(), Limits::default()).unwrap();
        (state, store)
    }

    #[test]
    fn oldest_first_within_a_session() {
        let (state, store) = store();
        assert_eq!(usage(store.spool()).unwrap(), Usage::default(), "no directory yet");
        for (session, sequence) in [("b", 2), ("a", 10), ("b", 1), ("a", 9)] {
            store.append(&entry::sample(session, sequence), b"{}").unwrap();
        }
        let [a, b] = [["a-00000009", "a-00000010"], ["b-00000001", "b-00000002"]].map(|names| names.map(String::from));
        assert_eq!(
            sessions(store.spool()).unwrap(),
            [("a".to_owned(), a.to_vec()), ("b".to_owned(), b.to_vec())].into()
        );
        let length = |name: &str| fs::metadata(store.spool().queue().join(name)).unwrap().len();
        let bytes = a.iter().chain(&b).map(|name| length(name)).sum();
        assert_eq!(usage(store.spool()).unwrap(), Usage { files: 4, bytes });
        assert_eq!(pile(state.path()).unwrap().files, 1);
        // A file that could not be unlinked counts, too.
        fs::write(store.spool().tmp().join("a-00000008"), "xy").unwrap();
        assert_eq!(usage(store.spool()).unwrap(), Usage { files: 5, bytes: bytes + 2 });
    }

    #[test]
    fn a_header_of_any_length_can_be_looked_at() {
        let (_state, store) = store();
        let mut largest = Header { alias: String::new(), ..entry::sample("s", 4) };
        let rest = serde_json::to_vec(&largest).unwrap().len() + 1;
        for (sequence, alias) in [(1, 0), (2, 900), (3, 5_000), (4, entry::LONGEST_HEAD - rest)] {
            largest = Header { sequence, alias: "a".repeat(alias), ..largest };
            store.append(&largest, b"{}\n\n").unwrap();
            assert_eq!(
                peek(store.spool(), &crate::state::spool::name("s", sequence)).as_ref(),
                Ok(&largest),
                "{alias}"
            );
        }
        let path = |name: &str| store.spool().queue().join(name);
        std::os::unix::fs::symlink(path("s-00000001"), path("link")).unwrap();
        fs::write(path("no-lines"), vec![b' '; entry::LONGEST_HEAD * 3]).unwrap();
        fs::create_dir(path("directory")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for name in ["link", "no-lines", "directory", "pipe"] {
            assert_eq!(peek(store.spool(), name), Err(Fault::Corrupt), "{name}");
        }
        assert_eq!(peek(store.spool(), "none"), Err(Fault::Gone));
    }

    #[test]
    fn a_spool_that_can_t_be_read_is_not_an_empty_one() {
        let (_state, store) = store();
        store.prepare().unwrap();
        fs::remove_dir(store.spool().queue()).unwrap();
        fs::write(store.spool().queue(), "").unwrap();
        assert!(sessions(store.spool()).is_err() && usage(store.spool()).is_err());
        assert_eq!(peek(store.spool(), "s-00000001"), Err(Fault::Unreadable(Errno::ENOTDIR)));
    }

    #[test]
    fn what_is_half_written_goes_once_its_session_is_over() {
        let (state, store) = store();
        store.prepare().unwrap();
        let _lock = record::lock(state.path(), "live").unwrap();
        for name in ["live-00000001", "over-00000001", "stray"] {
            fs::write(store.spool().tmp().join(name), "").unwrap();
        }
        clean_tmp(store.spool());
        let names: Vec<_> =
            fs::read_dir(store.spool().tmp()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["live-00000001"]);
    }
}
