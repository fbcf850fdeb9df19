//! The body of a copy that is made from ACT's export.
//!
//! A copy differs from what ACT gets only by attributes that it lacks. So it is not stored a second time: `bodies/NAME` in its
//! spool is another name (a hard link) of ACT's file, which stays on disk until the last of its names is removed. The copy's own
//! file in `new` has a header and no body. It is written last and removed first. A body without it is left over from a process
//! that was killed.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::claim::{LARGEST, Refusal, errno};
use super::{Spool, session_of};
use crate::state::record;
use crate::system::file::{self, OpenError};

/// How a copy's body is made from ACT's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Where the body begins in ACT's file, in bytes.
    pub start: u64,
    /// The SHA-256 of the body in it. The file's own first line may be overwritten once ACT has the export.
    pub digest: String,
    /// Keys of the resource attributes that only ACT gets.
    pub strip: Vec<String>,
    /// Keys of the attributes that the copy lacks wherever they stand.
    pub redact: Vec<String>,
}

impl Shared {
    /// A copy of the export with this body, which begins at `start`.
    pub fn of(body: &[u8], start: u64, strip: Vec<String>, redact: Vec<String>) -> Self {
        Self { start, digest: format!("{:x}", Sha256::digest(body)), strip, redact }
    }
}

/// The content of ACT's file for a copy, checked. The body begins at [`Shared::start`].
pub(super) fn read(spool: &Spool, name: &str, shared: &Shared) -> Result<Vec<u8>, Refusal> {
    let (mut file, metadata) = file::open_regular(&spool.bodies().join(name)).map_err(|error| match error {
        OpenError::Link | OpenError::Special => Refusal::Corrupt,
        // Somebody removed it: a copy that is delivered loses its own file first.
        OpenError::System(error) if error.kind() == io::ErrorKind::NotFound => Refusal::Corrupt,
        OpenError::System(error) => Refusal::Unreadable(errno(&error)),
    })?;
    if metadata.len() > LARGEST {
        return Err(Refusal::Corrupt);
    }
    let mut bytes = Vec::new();
    let size = usize::try_from(metadata.len()).unwrap_or_default();
    bytes.try_reserve_exact(size).map_err(|_| Refusal::Unreadable(Errno::ENOMEM))?;
    (&mut file).take(LARGEST).read_to_end(&mut bytes).map_err(|error| Refusal::Unreadable(errno(&error)))?;
    let body = usize::try_from(shared.start).ok().and_then(|start| bytes.get(start..)).ok_or(Refusal::Corrupt)?;
    if format!("{:x}", Sha256::digest(body)) != shared.digest {
        return Err(Refusal::Corrupt);
    }
    Ok(bytes)
}

/// Gives ACT's file `from` the name of a copy, too. What had that name before is left over.
pub(super) fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(to)?;
            fs::hard_link(from, to)
        }
        linked => linked,
    }
}

/// Removes a copy's name of ACT's file.
pub(super) fn unlink(spool: &Spool, name: &str) {
    if spool.destination().is_some() {
        let _ = fs::remove_file(spool.bodies().join(name));
    }
}

/// Moves ACT's file under a copy's name to `to`: a dead letter with its body. False: the copy has none.
pub(super) fn rename(spool: &Spool, name: &str, to: &Path) -> bool {
    spool.destination().is_some() && fs::rename(spool.bodies().join(name), to).is_ok()
}

/// Removes the bodies that no copy of an ended session needs.
pub fn prune(spool: &Spool) {
    for entry in fs::read_dir(spool.bodies()).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_gone = || {
            let found = fs::symlink_metadata(spool.queue().join(&name));
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        if !record::is_locked(spool.state(), session_of(&name)) && is_gone() {
            let _ = fs::remove_file(entry.path());
        }
    }
}
