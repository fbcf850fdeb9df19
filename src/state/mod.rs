//! The state on disk: the spool, session records, the log; and the private directory that contains them.

pub mod directory;
pub mod log;
pub mod outcome;
pub mod prune;
pub mod record;
pub mod session;
pub mod spool;
pub mod total;

pub use directory::{
    NOWHERE, check, directory, fix, is_due, is_first, is_usable, make_private, prepare, read_private, write_private,
};
