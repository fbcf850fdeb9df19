//! Where claude's debug log of a session is: `<id>.log` beside the session's record. The log is older than the session's id, so that
//! its name does not hold the id.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{directory, named};
use crate::state;
use crate::system::file;

/// Notes the log of session `id`. Without the note, only `act logs` with the session's id does not find it.
pub fn note(state: &Path, id: &str, log: &Path) {
    let directory = directory(state);
    let written = state::make_private(&directory)
        .and_then(|()| file::create_whole(&directory.join(format!("{id}.log")), log.as_os_str().as_bytes()));
    if let Err(error) = written {
        tracing::debug!(%error, "the place of the log is not noted");
    }
}

/// The log of the latest session whose id starts with `begins`, if it is still there.
pub fn find(state: &Path, begins: &str) -> Option<PathBuf> {
    let ids = named(state, ".log").into_iter().filter(|id| id.starts_with(begins));
    let place = |id: String| state::read_private(&directory(state).join(format!("{id}.log"))).ok();
    ids.filter_map(place).map(|path| PathBuf::from(OsString::from_vec(path))).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_session_s_log_that_is_still_there_is_found() {
        let state = tempfile::tempdir().unwrap();
        let log = |name: &str| state.path().join(name);
        for (id, name) in [("01a1", "one"), ("01a2", "two"), ("01a3", "gone")] {
            if name != "gone" {
                std::fs::write(log(name), "").unwrap();
            }
            note(state.path(), id, &log(name));
        }
        assert_eq!(find(state.path(), "01a1"), Some(log("one")));
        assert_eq!(find(state.path(), "01a"), Some(log("two")));
        assert_eq!(find(state.path(), "02"), None);
    }
}
