//! All that is known before claude starts. Reading it is done here; what is decided from it is pure.

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
    /// Own flags.
    pub flags: &'a Flags,
    /// Claude's arguments.
    pub args: &'a [OsString],
    /// The environment, originals restored.
    pub environment: &'a Environment,
    /// The configuration and its faults.
    pub loaded: &'a Loaded,
    /// The working directory.
    pub directory: &'a Path,
    /// What the file system says of it.
    pub place: Directory,
    /// Claude's settings.
    pub layers: Vec<Layer>,
}

impl<'a> Situation<'a> {
    /// Looks at `directory`, and reads the settings that claude would read there.
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
