//! Reads all that is known before claude starts. The decisions that are based on it are pure functions in other files.

use std::ffi::OsString;
use std::path::Path;

use crate::claude::settings::{self, Layer};
use crate::config::Loaded;
use crate::config::resolve::Directory;
use crate::plan::flags::Flags;
use crate::system::environment::Environment;

/// All that is known before claude starts.
#[derive(Debug)]
pub struct Situation<'a> {
    /// act-claude's own flags.
    pub flags: &'a Flags,
    /// Claude's arguments.
    pub args: &'a [OsString],
    /// The environment. Variables that act-claude set for an enclosing claude have the user's values again.
    pub environment: &'a Environment,
    /// The configuration and its faults.
    pub loaded: &'a Loaded,
    /// The working directory.
    pub directory: &'a Path,
    /// The facts of the file system about the working directory: its parents, links and git worktree.
    pub place: Directory,
    /// Claude's settings.
    pub layers: Vec<Layer>,
}

impl<'a> Situation<'a> {
    /// Reads the facts about `directory`, and the settings that claude would read there.
    pub fn of(
        flags: &'a Flags,
        args: &'a [OsString],
        environment: &'a Environment,
        loaded: &'a Loaded,
        directory: &'a Path,
    ) -> Self {
        let place = Directory::of(directory, environment, &loaded.config);
        let layers = settings::read(directory, args, environment);
        Self { flags, args, environment, loaded, directory, place, layers }
    }
}
