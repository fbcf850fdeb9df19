//! Where exports go, and with which user and token.

use serde::{Deserialize, Serialize};

use crate::config::TokenSource;
use crate::config::attribution::Stamp;

/// Where a session's exports go, and which attributes they carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The target.
    pub target: Target,
    /// Resource attributes that every export must carry.
    pub attributes: Vec<(String, String)>,
    /// Why this alias, for the record.
    pub reason: String,
    /// What else each export says, as things are when it arrives.
    #[serde(default)]
    pub stamp: Option<Stamp>,
}

/// Where exports go, and with which user and token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The alias's name.
    pub alias: String,
    /// Its id.
    pub id: String,
    /// The account's name.
    pub account: String,
    /// The metrics URL.
    pub endpoint: String,
    /// The user, without prefix.
    pub user: String,
    /// Where the token comes from.
    pub token: TokenSource,
}
