//! `ACT_CLAUDE_LOG=debug`: writes what supervisor and relay do to `act-claude.log` in the state directory, one line an event.
//!
//! The log serves to find faults, and is never written to the terminal. Without the variable no file is opened, and an event
//! costs one comparison. An event never contains a token, the loopback address, claude's arguments or a payload. Where the
//! file can't be written to, no message is given: the log is not promised.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::state;
use crate::system::environment::Environment;
use crate::system::file;

/// The variable.
pub const VARIABLE: &str = "ACT_CLAUDE_LOG";
/// The file in the state directory.
pub const FILE: &str = "act-claude.log";

/// Starts to log, if that is asked for. Several processes write to the file: each line is one appending write.
pub fn start(environment: &Environment) {
    if environment.get(VARIABLE).is_none_or(|value| value != "debug") {
        return;
    }
    let Some(Ok(file)) = state::directory(environment).map(|state| open(&state)) else { return };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_timer(Stamp(std::process::id()))
        // Otherwise it would write to claude's terminal that it can't write the log.
        .log_internal_errors(false)
        .with_writer(Mutex::new(file))
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Opens the file. It has to be a regular file of the user's own that nobody else can read; any other file is left as it is.
fn open(state: &Path) -> io::Result<File> {
    state::prepare(state)?;
    let file = file::open(&state.join(FILE), File::options().append(true).create(true).mode(0o600))?;
    let metadata = file.metadata()?;
    let is_usable = metadata.is_file() && file::is_own(&metadata) && file::is_private(&metadata);
    if is_usable { Ok(file) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// The time and the pid at the beginning of a line.
struct Stamp(u32);

impl FormatTime for Stamp {
    fn format_time(&self, to: &mut Writer<'_>) -> std::fmt::Result {
        write!(to, "{:.3} [{}]", Timestamp::now(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_a_file_of_the_user_s_own_is_written_to() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        let mode = open(&state).unwrap().metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        let path = state.join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open(&state).is_err());
        fs::remove_file(&path).unwrap();
        symlink(root.path().join("elsewhere"), &path).unwrap();
        assert!(open(&state).is_err());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open(&state).is_err());
    }
}
