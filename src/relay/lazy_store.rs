//! A spool that is opened for the first export.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::state::spool::Store;

/// The spool of a session's exports, or of its copies for one destination.
#[derive(Debug)]
pub struct LazyStore {
    state: Option<PathBuf>,
    store: OnceLock<Store>,
}

impl LazyStore {
    /// The spool in this state directory, if there is one. It is not opened yet.
    pub fn new(state: Option<PathBuf>) -> Self {
        Self { state, store: OnceLock::new() }
    }

    /// The state directory, if there is one.
    pub fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// The spool, which `open` opens in the state directory where it is not open yet.
    pub fn get(&self, open: impl FnOnce(&Path) -> io::Result<Store>) -> io::Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let missing = || io::Error::other("there is no state directory: neither HOME nor XDG_STATE_HOME");
        let store = open(self.state().ok_or_else(missing)?)?;
        Ok(self.store.get_or_init(|| store))
    }
}
