//! A setting that conflicts with act-claude's: its effect, the clients it affects, and the fix (pure).

use std::fmt;
use std::path::PathBuf;

use super::settings::{LayerKind, Unread};
use super::version::Version;

/// The first client that does not let a repository's settings decide about telemetry.
pub const GUARDS: Version = Version::new(2, 1, 282);

/// The clients that a key has its effect in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All.
    Every,
    /// Those that accept it from a repository's settings (before 2.1.282).
    Older,
    /// Those that guard managed telemetry against other layers (observed with 2.1.330, not with 2.1.197).
    Current,
}

/// The effect of a key on a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Claude collects no metrics.
    Off,
    /// Metrics go to other exporters only.
    Exporter,
    /// Exports go to another URL.
    Endpoint,
    /// Exports are encoded in a way that ACT does not accept.
    Protocol,
    /// Counters are sent as running totals, which ACT would add up.
    Temporality,
    /// Claude's exporter does not start, or exports so seldom that a killed session loses much.
    Interval,
    /// Exports carry other attributes than the alias's.
    Attributes {
        /// Which ones.
        names: Vec<String>,
    },
    /// Exports carry another credential (direct delivery).
    Credential,
    /// Claude's telemetry does not start, or no export can be sent.
    Stops {
        /// Why.
        why: String,
    },
    /// Everything is exported twice, which ACT would add up.
    Twice,
    /// Claude drops our endpoint, because a managed layer claims the signal.
    DropsEndpoint,
    /// Claude drops our protocol, because a managed layer claims it, and uses the managed one.
    DropsProtocol,
    /// Claude exports only while this command succeeds; the headers it prints are ignored by the relay.
    Helper,
    /// Background sessions are started by another launcher, so not under an alias.
    Launcher,
    /// The exporter's debug lines are missing from the log.
    LogLevel,
    /// The layer is not understood, so its effect is not known.
    Unread(Unread),
}

/// A key that conflicts with act-claude's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its layer.
    pub kind: LayerKind,
    /// The file, or `--settings`.
    pub path: PathBuf,
    /// The key: `env.OTEL_METRICS_EXPORTER`, `otelHeadersHelper`.
    pub key: String,
    /// Its value, masked where it may hold a credential.
    pub value: String,
    /// Its effect.
    pub effect: Effect,
    /// The clients that it has this effect in.
    pub reach: Reach,
    /// Whether an overlay (`--settings`) overrides it.
    pub overridable: bool,
}

impl Conflict {
    /// Whether metrics would not reach ACT under the alias as they should. Any other conflict only deserves a note.
    pub fn breaks(&self) -> bool {
        !matches!(self.effect, Effect::Helper | Effect::Launcher | Effect::LogLevel)
    }

    /// Whether claude's telemetry does not start because of it.
    pub fn stops(&self) -> bool {
        matches!(self.effect, Effect::Stops { .. })
    }

    /// Whether no export at all reaches our relay because of it.
    pub fn leads_past(&self) -> bool {
        use Effect::{DropsEndpoint, DropsProtocol, Endpoint, Exporter, Off, Protocol, Unread};
        let leads =
            matches!(self.effect, Off | Exporter | Endpoint | Protocol | DropsEndpoint | DropsProtocol | Unread(_));
        leads && self.reach != Reach::Older
    }

    /// Whether it breaks all clients or those of today: enough not to start where telemetry is `required`.
    pub fn is_certain(&self) -> bool {
        self.breaks() && self.reach != Reach::Older
    }

    /// Whether it may be the reason that nothing arrives: exports go elsewhere, or claude can't send any.
    pub fn silences(&self) -> bool {
        use Effect::{
            DropsEndpoint, DropsProtocol, Endpoint, Exporter, Helper, Interval, Off, Protocol, Stops, Unread,
        };
        match &self.effect {
            Off
            | Exporter
            | Endpoint
            | Protocol
            | DropsEndpoint
            | DropsProtocol
            | Stops { .. }
            | Unread(_)
            | Helper => true,
            Interval => self.value.trim() == "0",
            _ => false,
        }
    }

    /// Whether it affects a client of this version; an unknown version may be affected.
    pub fn concerns(&self, client: Option<Version>) -> bool {
        match (self.reach, client) {
            (Reach::Older, Some(version)) => version < GUARDS,
            (Reach::Current, Some(version)) => version >= GUARDS,
            _ => true,
        }
    }

    /// How uncertain it is that it keeps this client from exporting to us. The most uncertain ones are shown last.
    pub fn doubt(&self) -> u8 {
        match self.effect {
            Effect::Helper => 2,
            Effect::Unread(_) => 1,
            _ => 0,
        }
    }

    /// Whether it stands for a layer that exists and is not understood.
    pub fn is_unread(&self) -> bool {
        matches!(self.effect, Effect::Unread(_))
    }

    /// "env.OTEL_METRICS_EXPORTER in /home/x/.claude/settings.json"; the file alone where it is not understood.
    pub fn place(&self) -> String {
        match &self.effect {
            Effect::Unread(_) => self.path.display().to_string(),
            _ => format!("{} in {}", self.key, self.path.display()),
        }
    }

    /// What the user can do about it.
    pub fn fix(&self) -> String {
        if let Effect::Unread(unread) = &self.effect {
            return unread.fix();
        }
        if self.effect == Effect::Helper && self.kind != LayerKind::Managed {
            let (value, key, path) = (&self.value, &self.key, self.path.display());
            return format!("remove {key} from {path}, or let {value:?} print a JSON object of headers");
        }
        match self.kind {
            LayerKind::Environment => format!("correct {key}, or: unset {key}", key = self.key),
            LayerKind::Managed => format!("ask whoever manages {} to remove {}", self.path.display(), self.key),
            LayerKind::Argument => format!("remove {} from your --settings", self.key),
            LayerKind::Local | LayerKind::Project | LayerKind::User => {
                format!("remove {} from {}", self.key, self.path.display())
            }
        }
    }
}

impl fmt::Display for Conflict {
    /// Its effect, as the rest of a sentence about the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = &self.value;
        match self.reach {
            Reach::Every => {}
            Reach::Older => out.write_str("in Claude Code before 2.1.282: ")?,
            Reach::Current => out.write_str("in current Claude Code: ")?,
        }
        match &self.effect {
            Effect::Off => write!(out, "claude collects no metrics ({value:?})"),
            Effect::Exporter => write!(out, "metrics go to {value:?} only"),
            Effect::Endpoint => write!(out, "exports go to {value}"),
            Effect::Protocol => write!(out, "exports are sent as {value}, which ACT does not accept"),
            Effect::Temporality => write!(out, "counters are sent as running totals ({value}), not as changes"),
            Effect::Interval => write!(out, "claude can't export every {value} ms"),
            Effect::Attributes { names } => write!(out, "exports carry another {}", names.join(", ")),
            Effect::Stops { why } => out.write_str(why),
            Effect::Twice => write!(out, "every export is sent twice ({value:?})"),
            Effect::Credential => out.write_str("exports carry another credential or alias id"),
            Effect::DropsEndpoint => out.write_str("claude drops act-claude's endpoint"),
            Effect::DropsProtocol => write!(out, "exports are sent as {value}, which ACT does not accept"),
            Effect::Helper => write!(out, "claude exports only while {value:?} succeeds"),
            Effect::Launcher => write!(out, "background sessions are started by {value}, without act-claude"),
            Effect::Unread(unread) => write!(out, "it {}, so its effect on telemetry is not known", unread.reason),
            Effect::LogLevel => write!(out, "the log lacks the exporter's own lines (level {value})"),
        }
    }
}
