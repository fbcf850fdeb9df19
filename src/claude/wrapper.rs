//! The program that Claude Code starts its background processes with (P4 in docs/observed-claude.md).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::claude::ourselves::is_ourselves;
use crate::config::Loaded;
use crate::system::environment::Environment;
use crate::system::inherited;

use super::consent;
use super::settings::Layer;
use super::variables::{self, Relayed, WRAPPER};

/// This program's path, for claude's process-wrapper variable; `None` where the user names a launcher. The PATH of `trusted` is
/// searched.
pub fn own(environment: &Environment, trusted: &Environment, layers: &[Layer]) -> Option<OsString> {
    let named = environment.get(WRAPPER).is_some_and(|value| !value.is_empty())
        || layers.iter().any(|layer| layer.process_wrapper.is_some() || layer.get(WRAPPER).is_some());
    if named { None } else { own_path(trusted).map(PathBuf::into_os_string) }
}

/// For a session without telemetry of its own, in a directory without an alias: its environment, with act-claude as the launcher
/// of background agents, which may run in other directories. `None` where those can't have telemetry either.
pub fn covering(
    environment: &Environment,
    trusted: &Environment,
    loaded: &Loaded,
    layers: &[Layer],
) -> Option<Environment> {
    let can_have_telemetry = loaded.general_fault().is_none()
        && trusted.doubt().everything.is_none()
        && !loaded.config.aliases.is_empty()
        && consent::own_word(&loaded.config, trusted, layers).is_none();
    let wrapper = can_have_telemetry.then(|| own(environment, trusted, layers)).flatten()?;
    let mut with = environment.clone();
    let relayed = Relayed {
        endpoint: None,
        attributes: &[],
        interval_ms: loaded.config.export_interval_ms(),
        wrapper: Some(&wrapper),
        token_variables: &[],
        debug: false,
    };
    variables::set_relayed(&mut with, &relayed);
    Some(with)
}

/// This program as it was found on PATH, with links not resolved: an upgrade removes the file that a link leads to today.
fn own_path(environment: &Environment) -> Option<PathBuf> {
    let name = PathBuf::from(inherited::program_name()?);
    let candidates: Vec<PathBuf> = if name.components().count() > 1 {
        vec![std::env::current_dir().ok()?.join(&name)]
    } else {
        std::env::split_paths(environment.get("PATH")?).map(|directory| directory.join(&name)).collect()
    };
    let found = candidates.into_iter().find(|path| path.is_absolute() && is_ourselves(path));
    found.or_else(|| std::env::current_exe().ok().filter(|path| Path::is_file(path)))
}
