//! Finds a claude that is installed where installers of Claude Code put it, but that PATH does not lead to.

use std::path::PathBuf;

use crate::system::environment::Environment;

use super::locate::is_executable;
use super::ourselves::is_ourselves;
use super::settings;

/// The claude of the native installer, otherwise that of the older local installation. It is used for a message and a question
/// only: a claude that PATH does not lead to is not started without the user's word.
pub fn apart(environment: &Environment) -> Option<PathBuf> {
    let home = environment.home()?;
    let own = settings::user_directory(environment)?;
    let places = [home.join(".local/bin/claude"), own.join("local/claude"), home.join(".claude/local/claude")];
    places.into_iter().find(|path| path.is_absolute() && is_executable(path) && !is_ourselves(path))
}
