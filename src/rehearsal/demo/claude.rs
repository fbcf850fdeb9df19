//! Chooses the claude of the rehearsal: the real one or the stand-in.

use std::path::PathBuf;

use crate::claude::locate;
use crate::config::Config;
use crate::system::environment::Environment;

/// The claude of the rehearsal.
pub enum Claude {
    /// The real claude, at this path.
    Real(PathBuf),
    /// The stand-in, with the reason why it is not the real one.
    StandIn(String),
}

impl Claude {
    /// The real claude where there is one, unless the stand-in is requested.
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
