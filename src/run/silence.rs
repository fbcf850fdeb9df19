//! Decides whether a session in which nothing arrived should have exported, and finds the reason (pure).
//!
//! Claude exports at every interval, and when it ends by itself. It does not export where it refuses its arguments, prints a help
//! text, is left at its first screens (trust, login: status 1), or gets a signal in its first moments (T1a in
//! docs/observed-claude.md). So "nothing sent" is reported for a `-p` run that ended with status 0, and for a session longer than
//! two intervals.

use std::ffi::OsString;
use std::time::Duration;

use crate::claude::arguments::{self, Call};
use crate::claude::conflict::{Conflict, Effect};
use crate::claude::conflicts::SANE_INTERVAL_MS;
use crate::claude::settings::Layer;
use crate::claude::variables::INTERVAL;
use crate::claude::version::Version;
use crate::delivery::cause;
use crate::launch::child::Ended;
use crate::plan::line::Line;
use crate::state::outcome::Problem;

/// How claude ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// Its exit status, or the signal that ended it.
    pub ended: Ended,
    /// How long it ran.
    pub lasted: Duration,
    /// The time between two exports.
    pub interval: Duration,
}

/// The facts to report where nothing arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Whether claude must have exported something.
    pub owed: bool,
    /// The reason why it did not, as far as that is known.
    pub cause: Option<Problem>,
}

impl Silence {
    /// Whether `line` is about the setting that is the cause.
    pub fn names(&self, line: &Line, conflicts: &[&Conflict]) -> bool {
        let Some(cause) = &self.cause else { return false };
        let mut places = conflicts.iter().map(|conflict| conflict.place());
        places.any(|place| cause.said.contains(&place) && line.text.contains(&place))
    }
}

/// The conflicts that remain where an overlay overrides some.
pub fn remaining(conflicts: &[Conflict], has_overlay: bool) -> Vec<&Conflict> {
    conflicts.iter().filter(|conflict| !(has_overlay && conflict.overridable)).collect()
}

/// Whether claude must have exported something.
pub fn is_owed(args: &[OsString], end: End) -> bool {
    if arguments::call(args) != Call::Session || arguments::is_background(args) || arguments::asks_for_help(args) {
        return false;
    }
    let is_print = arguments::is_print(args);
    let is_long = end.lasted > end.interval * 2;
    match end.ended {
        Ended::Code(0) => is_print || is_long,
        Ended::Code(1) => is_print && is_long,
        Ended::Code(_) | Ended::Signal(_) => is_long,
    }
}

/// The interval that claude exports at: the longest that may apply. A setting applies where no overlay overrides it, or
/// where its value is in the accepted range, so that it is no conflict.
pub fn interval(ours: Duration, layers: &[Layer], left: &[&Conflict]) -> Duration {
    let counts = |layer: &&Layer, ms: u64| {
        let is_left = left.iter().any(|conflict| conflict.effect == Effect::Interval && conflict.path == layer.path);
        is_left || SANE_INTERVAL_MS.contains(&ms)
    };
    let stated = layers.iter().filter_map(|layer| {
        let ms = layer.get(INTERVAL)?.trim().parse().ok()?;
        counts(&layer, ms).then(|| Duration::from_millis(ms))
    });
    stated.max().map_or(ours, |stated| stated.max(ours))
}

/// The reason why nothing arrived: of the settings that no overlay overrides, the one that most certainly keeps this client from
/// exporting to the relay. Its text follows "claude sent no metrics".
pub fn cause<'a>(conflicts: impl IntoIterator<Item = &'a Conflict>, client: Option<Version>) -> Option<Problem> {
    let candidates = conflicts.into_iter().filter(|conflict| conflict.silences() && conflict.concerns(client));
    candidates.min_by_key(|conflict| conflict.doubt()).map(cause::silence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::conflict::Reach;
    use crate::claude::settings::LayerKind;
    use crate::claude::version::Version;

    fn end(ended: Ended, seconds: u64) -> End {
        End { ended, lasted: Duration::from_secs(seconds), interval: Duration::from_secs(5) }
    }

    fn args(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn what_must_have_exported() {
        let code = Ended::Code;
        for (line, ended, seconds, owed) in [
            ("-p hi", code(0), 0, true),
            ("-c --print", code(0), 0, true),
            ("-cp hi", code(0), 0, true),
            ("", code(0), 10, false),
            ("", code(0), 11, true),
            ("", code(1), 3600, false),
            ("-p hi", code(1), 3, false),
            ("-p hi", code(1), 11, true),
            ("-p hi", code(143), 3, false),
            ("", code(143), 11, true),
            ("", Ended::Signal(9), 11, true),
            ("-p hi", Ended::Signal(9), 3, false),
            ("mcp list", code(0), 60, false),
            ("-p --help", code(0), 60, false),
            ("-p hi -v", code(0), 60, false),
            ("--bg -p hi", code(0), 60, false),
            ("--resume x -- -p", code(0), 3, false),
        ] {
            assert_eq!(is_owed(&args(line), end(ended, seconds)), owed, "{line:?} {ended:?} {seconds}");
        }
    }

    fn conflict(effect: Effect, reach: Reach) -> Conflict {
        let (path, key) = ("s.json".into(), "k".to_owned());
        Conflict { kind: LayerKind::User, path, key, value: "v".to_owned(), effect, reach, overridable: false }
    }

    #[test]
    fn the_most_certain_cause_of_this_client_counts() {
        let stops = || conflict(Effect::Stops { why: "it stops".to_owned() }, Reach::Every);
        let helper = || conflict(Effect::Helper, Reach::Every);
        let said = |conflicts: &[Conflict], client| cause(conflicts, client).map(|problem| problem.said);
        assert_eq!(said(&[], None), None);
        assert_eq!(said(&[conflict(Effect::Launcher, Reach::Every)], None), None);
        assert_eq!(said(&[helper(), stops()], None).as_deref(), Some("it stops (k in s.json)"));
        let (old, new) = (Some(Version::new(2, 1, 197)), Some(Version::new(2, 1, 330)));
        let managed = [conflict(Effect::DropsEndpoint, Reach::Current), conflict(Effect::Helper, Reach::Older)];
        assert!(said(&managed, old).is_some_and(|said| said.contains("succeeds")));
        assert!(said(&managed, new).is_some_and(|said| said.contains("drops act-claude's endpoint")));
    }

    #[test]
    fn settings_decide_the_interval_where_they_may() {
        let layer = |kind, value: &str| {
            let mut layer = Layer::new(kind, "s.json".into());
            layer.env.push((INTERVAL.to_owned(), value.to_owned()));
            layer
        };
        let ours = Duration::from_secs(5);
        let left = conflict(Effect::Interval, Reach::Every);
        for (value, left, expected) in [
            ("30000", &[][..], 30),
            ("2000", &[], 5),
            ("abc", &[], 5),
            ("0", &[], 5),
            ("3600000", &[], 5),
            ("3600000", &[&left], 3600),
            ("0", &[&left], 5),
        ] {
            let interval = interval(ours, &[layer(LayerKind::User, value)], left);
            assert_eq!(interval.as_secs(), expected, "{value} {left:?}");
        }
    }
}
