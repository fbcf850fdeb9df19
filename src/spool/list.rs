//! What is in the spool.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::entry::{self, Fault, Header};
use super::{Spool, session_of};
use crate::record;

/// Files and their bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How many.
    pub files: u64,
    /// How large together.
    pub bytes: u64,
}

/// How much `new` holds.
pub fn usage(spool: &Spool) -> Usage {
    pile(&spool.waiting())
}

/// How much a directory holds.
pub fn pile(directory: &Path) -> Usage {
    let mut usage = Usage::default();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        usage.files += 1;
        usage.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
    }
    usage
}

/// The names in `new` by session, sessions and names oldest first.
pub fn sessions(spool: &Spool) -> BTreeMap<String, Vec<String>> {
    let mut sessions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(spool.waiting()).into_iter().flatten().flatten() {
        if let Ok(name) = entry.file_name().into_string() {
            sessions.entry(session_of(&name).to_owned()).or_default().push(name);
        }
    }
    sessions.values_mut().for_each(|names| names.sort_unstable());
    sessions
}

/// The header of a file in `new`, unchecked: to look, not to send.
pub fn peek(spool: &Spool, name: &str) -> Result<Header, Fault> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let open = fs::File::options().read(true).custom_flags(flags.bits()).open(spool.waiting().join(name));
    let mut beginning = vec![0; 1024];
    let mut filled = 0;
    let mut file = open.map_err(|_| Fault::Corrupt)?;
    loop {
        match file.read(&mut beginning[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(_) => return Err(Fault::Corrupt),
        }
        // Two lines are there, or more than any two lines have.
        if beginning[..filled].iter().filter(|&&byte| byte == b'\n').count() >= 2 || filled > entry::LONGEST_HEAD * 2 {
            break;
        }
        beginning.resize(filled + 1024, 0);
    }
    entry::peek(&beginning[..filled])
}

/// Removes what sessions that are over left half written.
pub fn clean_tmp(spool: &Spool) {
    for entry in fs::read_dir(spool.tmp()).into_iter().flatten().flatten() {
        if let Ok(name) = entry.file_name().into_string()
            && !record::is_locked(spool.state(), session_of(&name))
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}
