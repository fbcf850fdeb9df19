//! What supervisor and relay say to each other over their socket: one JSON object a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::claude::network;
use crate::delivery::target::Route;
use crate::state::outcome::{Outcome, Problem};

/// The hidden command that makes this program the relay.
pub const RELAY_COMMAND: &str = "relay";
/// Its argument where it finds a descriptor of the process it watches under [`WATCHED`].
pub const WATCH: &str = "watch";
/// The pidfd of claude, or of the process that becomes claude, opened while that can't be another's pid.
pub const WATCHED: i32 = 3;
/// Its argument where it finds the session's journal under [`JOURNAL`].
pub const CONTINUE: &str = "continue";
/// Shared memory, which the supervisor keeps for a relay that has to be started again.
pub const JOURNAL: i32 = 4;

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToRelay {
    /// First of all: what to relay, and where.
    Start(Box<Start>),
    /// Claude runs, under this pid.
    Command {
        /// Its pid.
        pid: i32,
    },
    /// Claude has gone; the supervisor waits this long for the outcome.
    Ended {
        /// Milliseconds.
        wait_ms: u64,
        /// Where claude must have exported something.
        #[serde(default)]
        owed: Option<ExpectedExport>,
    },
}

/// Claude must have exported something: where nothing arrived, the record says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExpectedExport {
    /// Why nothing arrived, as far as that is known.
    pub cause: Option<Problem>,
}

/// From the relay.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromRelay {
    /// What became of the session's exports so far.
    Outcome(Box<Outcome>),
}

/// A session to relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// The path component only claude knows.
    pub secret: String,
    /// Where exports go. `None` in the launcher form: that is decided when the first export arrives, by the
    /// working directory claude has then.
    pub route: Option<Route>,
    /// Attribute keys never sent.
    pub redact: Vec<String>,
    /// The state directory, where there is one.
    #[serde(default, with = "crate::text::paths::optional")]
    pub state: Option<PathBuf>,
    /// `--verify`: claude is to see ACT's answers.
    pub verify: bool,
    /// The working directory claude starts in.
    #[serde(with = "crate::text::paths")]
    pub directory: PathBuf,
    /// A warm spare: it moves to its session's directory later.
    pub moves: bool,
    /// Whether claude's arguments ask for a session: one whose exports are missed.
    pub is_session: bool,
    /// Claude's executable, for the record.
    #[serde(with = "crate::text::paths")]
    pub claude: PathBuf,
    /// Proxy and certificates of claude's settings, as far as they count.
    pub network: Vec<network::Setting>,
}

/// The path of the relay's endpoint under its secret.
pub fn path(secret: &str) -> String {
    format!("/{secret}/v1/metrics")
}
