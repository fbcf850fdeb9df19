//! The messages between supervisor and relay over their socket: one JSON object a line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::claude::network;
use crate::delivery::target::Route;
use crate::state::outcome::{Outcome, Problem};
use crate::state::total::Total;
use crate::system::environment::PipelineDoubt;

/// The hidden command that makes this program the relay.
pub const RELAY_COMMAND: &str = "relay";
/// The argument of this command that says: the process to watch is behind descriptor [`WATCHED`].
pub const WATCH: &str = "watch";
/// The pidfd of claude, or of the process that becomes claude. It is opened while the pid can't belong to another process.
pub const WATCHED: i32 = 3;
/// The argument of this command that says: the session's journal is behind descriptor [`JOURNAL`].
pub const CONTINUE: &str = "continue";
/// The session's journal: shared memory, which the supervisor keeps for a relay that has to be started again.
pub const JOURNAL: i32 = 4;

/// A message from the supervisor to the relay.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToRelay {
    /// The first message: what to relay, and where.
    Start(Box<Start>),
    /// Claude runs, under this pid.
    Command {
        /// Its pid.
        pid: i32,
    },
    /// Claude has ended; the supervisor waits this long for the outcome.
    Ended {
        /// How long the supervisor waits, in milliseconds.
        wait_ms: u64,
        /// Set if claude must have exported something.
        #[serde(default)]
        owed: Option<ExpectedExport>,
    },
}

/// Claude must have exported something: if nothing arrived, the record says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExpectedExport {
    /// Why nothing arrived, as far as that is known.
    pub cause: Option<Problem>,
}

/// A message from the relay to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromRelay {
    /// The session so far.
    Outcome(Box<Answer>),
}

/// What a relay knows of its session. Without a relay it is empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The outcome of the session's exports.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The outcome of the copies, by destination.
    #[serde(default)]
    pub copies: BTreeMap<String, Outcome>,
    /// The session's id.
    #[serde(default)]
    pub session: Option<String>,
    /// The sums of claude's metrics that are known, by name.
    #[serde(default)]
    pub totals: BTreeMap<String, Total>,
}

/// A session to relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// The path component that only claude knows.
    pub secret: String,
    /// Where exports go. `None` in the launcher form: claude's working directory at the first export decides it.
    pub route: Option<Route>,
    /// Keys of the attributes that are never sent.
    pub redact: Vec<String>,
    /// The state directory, where there is one.
    #[serde(default, with = "crate::text::paths::optional")]
    pub state: Option<PathBuf>,
    /// `--verify`: claude is to see ACT's answers.
    pub verify: bool,
    /// The working directory claude starts in.
    #[serde(with = "crate::text::paths")]
    pub directory: PathBuf,
    /// Whether claude is a warm spare, which moves to its session's directory later.
    pub moves: bool,
    /// Whether claude's arguments ask for a session, so that missing exports are reported.
    pub is_session: bool,
    /// Claude's executable, for the record.
    #[serde(with = "crate::text::paths")]
    pub claude: PathBuf,
    /// Claude's `--settings` argument, which may have the headers of the user's own pipeline.
    #[serde(default, with = "crate::text::paths::optional")]
    pub settings: Option<PathBuf>,
    /// What the environment's variables of a metrics pipeline are worth.
    #[serde(default)]
    pub pipeline: PipelineDoubt,
    /// Proxy and certificates from claude's settings, as far as they apply to the relay.
    pub network: Vec<network::Setting>,
}

/// The path of the relay's endpoint under its secret.
pub fn path(secret: &str) -> String {
    format!("/{secret}/v1/metrics")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::outcome::State;

    /// Where there is no `/proc`, a supervisor starts the relay by its path, which may lead to another version meanwhile.
    #[test]
    fn messages_of_another_version_are_understood() {
        let start = r#"{"start":{"secret":"s","route":null,"redact":[],"verify":false,"directory":"/w","moves":false,
            "is_session":true,"claude":"/bin/claude","network":[],"of_a_later_version":{"a":1}}}"#;
        let ToRelay::Start(start) = serde_json::from_str(start).unwrap() else { panic!("{start}") };
        assert_eq!((start.secret.as_str(), start.state), ("s", None));
        let ended = r#"{"ended":{"wait_ms":300,"of_a_later_version":1}}"#;
        assert!(matches!(serde_json::from_str(ended).unwrap(), ToRelay::Ended { wait_ms: 300, owed: None }));
    }

    #[test]
    fn an_answer_is_understood_with_and_without_the_fields_of_a_later_version() {
        let outcome = r#""exports":2,"points":4,"states":{"delivered":1,"held":1},
            "troubles":{"held":{"said":"401","cause":"","fix":"","code":77}},"rejected_points":0,"warning":null"#;
        let more = r#","session":"s","totals":{"t":{"value":7.0,"unit":"tokens","kinds":{"input":7.0}}},"later":[1]"#;
        for (more, session, sum) in [("", None, None), (more, Some("s"), Some(7.0))] {
            let line = format!(r#"{{"outcome":{{{outcome}{more}}}}}"#);
            let FromRelay::Outcome(answer) = serde_json::from_str(&line).unwrap();
            assert_eq!((answer.outcome.exports, answer.outcome.state()), (2, State::Held));
            assert_eq!((answer.session.as_deref(), answer.totals.get("t").and_then(Total::known)), (session, sum));
            // An earlier version reads only the outcome.
            let written = serde_json::to_value(FromRelay::Outcome(answer.clone())).unwrap();
            assert_eq!(serde_json::from_value::<Outcome>(written["outcome"].clone()).unwrap(), answer.outcome);
            assert_eq!(serde_json::from_value::<Answer>(written["outcome"].clone()).unwrap(), *answer);
        }
    }
}
