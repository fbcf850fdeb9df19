//! A row of the ledger (pure).

use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::disposition::Disposition;
use crate::claude::measured::Measured;

/// What was used on one day, by one session and one model, and what became of it. Rows share their texts: a year has many rows and few
/// places.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The user's local day on which it was measured.
    pub day: Date,
    /// The session's id; `None` for what is older than [`super::KEPT`].
    pub session: Option<Arc<str>>,
    /// Where it was used.
    pub place: Arc<Place>,
    /// The model; `None` for what belongs to none, such as lines of code.
    pub model: Option<Arc<str>>,
    /// What became of it.
    pub disposition: Disposition,
    /// The sums.
    pub measured: Measured,
}

/// Where a session was, and under which alias it is reported.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The alias.
    pub alias: String,
    /// The account.
    pub account: String,
    /// Claude's working directory, where it is known.
    #[serde(default, with = "crate::text::paths::optional", skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// The repository as host/path; `None` outside of one, or where its remote is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}
