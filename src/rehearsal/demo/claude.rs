//! Which claude plays in the rehearsal.

use std::path::PathBuf;

use crate::claude::locate;
use crate::config::Config;
use crate::system::environment::Environment;

/// Which claude plays.
pub enum Claude {
    /// The one on PATH.
    Real(PathBuf),
    /// Why not the real one.
    StandIn(String),
}

impl Claude {
    /// The real one where there is one, unless a stand-in is asked for.
    pub fn choose(stand_in: bool, environment: &Environment) -> Self {
        if stand_in {
            return Self::StandIn("a stand-in that sends the metrics claude sends".to_owned());
        }
        match locate::locate(environment, &Config::default()) {
            Ok(path) => Self::Real(std::path::absolute(&path).unwrap_or(path)),
            Err(error) if error.code == 127 => {
                Self::StandIn("none on PATH: a stand-in that sends the metrics claude sends".to_owned())
            }
            Err(error) => Self::StandIn(format!("{}: a stand-in instead", error.message)),
        }
    }
}
