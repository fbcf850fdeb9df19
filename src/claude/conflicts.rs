//! Finds settings that conflict with the variables we set, and their effects (pure).
//!
//! A launch overrides with an overlay what it can, and reports the rest. `act doctor` reports all. The observations behind
//! every row are in docs/observed-claude.md.

use percent_encoding::percent_decode_str;

use crate::config::Delivery;
use crate::config::typed::secret::{self, quoted};
use crate::system::environment::Environment;

use super::conflict::{Conflict, Effect, Reach};
use super::exporters;
use super::other_signals;
use super::settings::{Layer, LayerKind, Unread};
use super::variables::{ATTRIBUTES, ENABLE, ENDPOINT, EXPORTER, INTERVAL, LOG_LEVEL, PROTOCOL, TEMPORALITY, WRAPPER};

/// The values that a launch sets, as far as a settings file can contradict them.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The way of delivery.
    pub delivery: Delivery,
    /// Resource attributes every export must carry.
    pub attributes: &'a [(String, String)],
    /// `--verify`: the exporter's own log is wanted.
    pub debug: bool,
}

/// Names every conflicting key, the strongest layer first.
pub fn find(wanted: &Wanted<'_>, layers: &[Layer]) -> Vec<Conflict> {
    let of_layer = |layer| {
        let keys = Keys { wanted, layer };
        if let Some(unread) = layer.unread() {
            return vec![keys.whole(unread)];
        }
        keys.variables().chain(keys.claims()).chain(keys.other_keys()).collect::<Vec<_>>()
    };
    layers.iter().flat_map(of_layer).collect()
}

/// Names all conflicts of a session: also those of the environment and of the user's other signals. A headers helper that serves
/// no other signal can be switched off, because the relay needs no headers.
pub fn of_session(wanted: &Wanted<'_>, environment: &Environment, layers: &[Layer]) -> Vec<Conflict> {
    let mut conflicts = find(wanted, layers);
    conflicts.extend(other_signals::find(environment, layers));
    let is_ours_alone = wanted.delivery == Delivery::Relay && !other_signals::use_otlp(environment, layers);
    for conflict in conflicts.iter_mut().filter(|conflict| conflict.effect == Effect::Helper) {
        conflict.overridable = is_ours_alone && conflict.kind != LayerKind::Managed;
    }
    conflicts
}

const GENERIC_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const GENERIC_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const GENERIC_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Managed variables that make a current client drop a metrics endpoint of another layer.
const CLAIMS: [&str; 7] = [
    GENERIC_ENDPOINT,
    GENERIC_HEADERS,
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
];

/// An interval within this range is accepted: it is the user's choice.
pub const SANE_INTERVAL_MS: std::ops::RangeInclusive<u64> = 1_000..=60_000;

struct Keys<'a> {
    wanted: &'a Wanted<'a>,
    layer: &'a Layer,
}

impl Keys<'_> {
    /// A layer that is not understood may contain anything. An overlay overrides it, unless that layer is the user's own
    /// `--settings`, which an overlay would have to replace.
    fn whole(&self, unread: &Unread) -> Conflict {
        let conflict = self.conflict("", "", Effect::Unread(unread.clone()), Reach::Every);
        Conflict {
            overridable: conflict.overridable && self.layer.kind != LayerKind::Argument,
            key: String::new(),
            ..conflict
        }
    }

    /// Variables we set that this layer sets, too.
    fn variables(&self) -> impl Iterator<Item = Conflict> {
        let names = [
            ENABLE,
            EXPORTER,
            ENDPOINT,
            PROTOCOL,
            GENERIC_PROTOCOL,
            GENERIC_HEADERS,
            TEMPORALITY,
            INTERVAL,
            ATTRIBUTES,
            LOG_LEVEL,
        ];
        names.into_iter().filter_map(|name| {
            let value = self.layer.get(name)?;
            let effect = self.effect(name, value.trim())?;
            Some(self.conflict(name, value, effect, self.reach(name)))
        })
    }

    fn effect(&self, name: &str, value: &str) -> Option<Effect> {
        let direct = self.wanted.delivery == Delivery::Direct;
        let differs = |is_ours: bool, effect| (!is_ours).then_some(effect);
        match name {
            ENABLE => differs(is_truthy(value), Effect::Off),
            EXPORTER => self.exporters(value),
            // Observed: an empty value overrides the environment's, too, and exports go to 127.0.0.1:4318.
            ENDPOINT => Some(Effect::Endpoint),
            // An empty value is not "http/json" either: observed with 2.1.197, which then exports nothing.
            PROTOCOL => differs(value == "http/json", Effect::Protocol),
            GENERIC_PROTOCOL if direct => differs(value == "http/json", Effect::Protocol),
            GENERIC_HEADERS if direct => Some(Effect::Credential),
            TEMPORALITY => differs(value.eq_ignore_ascii_case("delta"), Effect::Temporality),
            INTERVAL => {
                let is_sane = value.parse().is_ok_and(|interval| SANE_INTERVAL_MS.contains(&interval));
                differs(is_sane || value.is_empty(), Effect::Interval)
            }
            ATTRIBUTES => {
                let names = self.displaced(value);
                (!names.is_empty()).then_some(Effect::Attributes { names })
            }
            LOG_LEVEL if self.wanted.debug => {
                differs(matches!(value.to_ascii_lowercase().as_str(), "debug" | "verbose" | "all"), Effect::LogLevel)
            }
            _ => None,
        }
    }

    fn exporters(&self, list: &str) -> Option<Effect> {
        let unknown = exporters::unknown(list, &exporters::METRICS);
        match (exporters::names(list).filter(|name| *name == "otlp").count(), unknown.first()) {
            (_, Some(name)) => {
                let why = format!("claude does not know the exporter {} and exports nothing at all", quoted(name));
                Some(Effect::Stops { why })
            }
            (0, None) => Some(Effect::Exporter),
            (1, None) => None,
            (_, None) => Some(Effect::Twice),
        }
    }

    /// Our attributes that `list` sets to another value. With direct delivery also those that it lacks: no relay adds them there.
    fn displaced(&self, list: &str) -> Vec<String> {
        let direct = self.wanted.delivery == Delivery::Direct;
        let displaced = self.wanted.attributes.iter().filter(|(name, value)| {
            let theirs = list.split(',').filter_map(|item| item.split_once('='));
            match theirs.rev().find(|(key, _)| key.trim() == name) {
                Some((_, theirs)) => percent_decode_str(theirs.trim()).ne(value.bytes()),
                None => direct,
            }
        });
        displaced.map(|(name, _)| name.clone()).collect()
    }

    /// The variables that a managed layer claims for itself.
    fn claims(&self) -> impl Iterator<Item = Conflict> {
        let relay = self.wanted.delivery == Delivery::Relay;
        let managed = self.layer.kind == LayerKind::Managed;
        let stated = move |name| self.layer.get(name).filter(|value| managed && !value.trim().is_empty());
        let endpoint = CLAIMS
            .into_iter()
            .filter_map(move |name| Some(self.conflict(name, stated(name)?, Effect::DropsEndpoint, Reach::Current)));
        let protocol = stated(GENERIC_PROTOCOL).filter(|value| relay && value.trim() != "http/json");
        let protocol =
            protocol.map(|value| self.conflict(GENERIC_PROTOCOL, value, Effect::DropsProtocol, Reach::Current));
        endpoint.chain(protocol)
    }

    /// Keys outside of `env`.
    fn other_keys(&self) -> impl Iterator<Item = Conflict> {
        let of_key = |key: &str, value: &str, effect, reach| Conflict {
            key: key.to_owned(),
            overridable: false,
            ..self.conflict(key, value, effect, reach)
        };
        let helper = self.layer.headers_helper.as_deref();
        let drops = helper.filter(|_| self.layer.kind == LayerKind::Managed);
        let drops = drops.map(|helper| of_key("otelHeadersHelper", helper, Effect::DropsEndpoint, Reach::Current));
        let reach = if drops.is_some() { Reach::Older } else { Reach::Every };
        let helper = helper.map(|helper| of_key("otelHeadersHelper", helper, Effect::Helper, reach));
        let key = self.layer.process_wrapper.as_deref();
        let key = key.map(|wrapper| of_key("processWrapper", wrapper, Effect::Launcher, Reach::Every));
        let variable = self.layer.get(WRAPPER).filter(|value| !value.is_empty());
        let variable = variable.map(|wrapper| Conflict {
            overridable: false,
            ..self.conflict(WRAPPER, wrapper, Effect::Launcher, Reach::Every)
        });
        drops.into_iter().chain(helper).chain(key).chain(variable)
    }

    fn conflict(&self, name: &str, value: &str, effect: Effect, reach: Reach) -> Conflict {
        let may_hold_a_credential = name.ends_with("HEADERS") || name.ends_with("CLIENT_KEY");
        Conflict {
            kind: self.layer.kind,
            path: self.layer.path.clone(),
            key: format!("env.{name}"),
            value: match effect {
                _ if may_hold_a_credential => "********".to_owned(),
                Effect::Helper => secret::program(value),
                Effect::Endpoint => secret::address(value),
                _ => secret::value(value),
            },
            effect,
            reach,
            overridable: self.layer.kind != LayerKind::Managed && self.wanted.delivery == Delivery::Relay,
        }
    }

    /// Current clients ignore variables of a repository that say where telemetry goes.
    fn reach(&self, name: &str) -> Reach {
        match self.layer.kind {
            LayerKind::Project | LayerKind::Local if is_guarded(name) => Reach::Older,
            _ => Reach::Every,
        }
    }
}

/// Whether a variable says where telemetry goes. Current clients ignore such a variable of a repository.
pub fn is_guarded(name: &str) -> bool {
    let is_exporter = name.starts_with("OTEL_") && name.ends_with("_EXPORTER");
    let names_route = ["_ENDPOINT", "_HEADERS", "_PROTOCOL"].iter().any(|end| name.ends_with(end));
    name == ENABLE || is_exporter || (name.starts_with("OTEL_EXPORTER_OTLP") && names_route)
}

pub(super) fn is_truthy(value: &str) -> bool {
    ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: LayerKind, name: &str, value: &str) -> Layer {
        Layer { env: vec![(name.to_owned(), value.to_owned())], ..Layer::new(kind, "s.json".into()) }
    }

    fn found(delivery: Delivery, layer: Layer) -> Vec<(Effect, Reach, bool)> {
        let attributes = [("providerType".to_owned(), "P Q".to_owned()), ("team".to_owned(), "a".to_owned())];
        let wanted = Wanted { delivery, attributes: &attributes, debug: true };
        let conflicts = find(&wanted, &[layer]).into_iter();
        conflicts.map(|conflict| (conflict.effect, conflict.reach, conflict.overridable)).collect()
    }

    #[test]
    fn what_each_key_does() {
        use Effect::*;
        let provider = || Attributes { names: vec!["providerType".into()] };
        let unknown =
            |name| Stops { why: format!("claude does not know the exporter {name:?} and exports nothing at all") };
        for (name, value, effect) in [
            (ENABLE, "0", Some(Off)),
            (ENABLE, "", Some(Off)),
            (ENABLE, "yes", None),
            (EXPORTER, "console", Some(Exporter)),
            (EXPORTER, "console, otlp", None),
            (EXPORTER, "otlp,otlp", Some(Twice)),
            (EXPORTER, "otlp,OTLP", Some(unknown("OTLP"))),
            (EXPORTER, "otpl", Some(unknown("otpl"))),
            (ENDPOINT, "https://x", Some(Endpoint)),
            (ENDPOINT, "", Some(Endpoint)),
            (PROTOCOL, "grpc", Some(Protocol)),
            (PROTOCOL, "", Some(Protocol)),
            (PROTOCOL, "http/json", None),
            (GENERIC_PROTOCOL, "grpc", None),
            (GENERIC_HEADERS, "Authorization=Basic x", None),
            (GENERIC_ENDPOINT, "https://x", None),
            (TEMPORALITY, "cumulative", Some(Temporality)),
            (TEMPORALITY, "DELTA", None),
            (INTERVAL, "0", Some(Interval)),
            (INTERVAL, "10000", None),
            (INTERVAL, "3600000", Some(Interval)),
            (ATTRIBUTES, "a=b", None),
            (ATTRIBUTES, "providerType=P%20Q,team=a", None),
            (ATTRIBUTES, "team=a, providerType=X", Some(provider())),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", None),
            (LOG_LEVEL, "error", Some(LogLevel)),
            (WRAPPER, "/bin/other", Some(Launcher)),
        ] {
            let expected: Vec<_> =
                effect.into_iter().map(|effect| (effect.clone(), Reach::Every, effect != Launcher)).collect();
            assert_eq!(found(Delivery::Relay, layer(LayerKind::User, name, value)), expected, "{name}={value}");
        }
    }

    #[test]
    fn current_clients_pass_over_what_a_repository_says() {
        for kind in [LayerKind::Project, LayerKind::Local] {
            assert_eq!(found(Delivery::Relay, layer(kind, EXPORTER, "none")), [(Effect::Exporter, Reach::Older, true)]);
            assert_eq!(
                found(Delivery::Relay, layer(kind, TEMPORALITY, "cumulative")),
                [(Effect::Temporality, Reach::Every, true)]
            );
        }
    }

    #[test]
    fn managed_settings_can_not_be_overridden() {
        for (name, value, effect, reach) in [
            (ENDPOINT, "https://x", Effect::Endpoint, Reach::Every),
            (GENERIC_HEADERS, "a=b", Effect::DropsEndpoint, Reach::Current),
            (GENERIC_ENDPOINT, "https://x", Effect::DropsEndpoint, Reach::Current),
            (GENERIC_PROTOCOL, "grpc", Effect::DropsProtocol, Reach::Current),
        ] {
            assert_eq!(
                found(Delivery::Relay, layer(LayerKind::Managed, name, value)),
                [(effect, reach, false)],
                "{name}"
            );
        }
        assert_eq!(found(Delivery::Relay, layer(LayerKind::Managed, GENERIC_PROTOCOL, "http/json")), []);
        let helper = Layer { headers_helper: Some("h".into()), ..layer(LayerKind::Managed, "X", "") };
        let expected = [(Effect::DropsEndpoint, Reach::Current, false), (Effect::Helper, Reach::Older, false)];
        assert_eq!(found(Delivery::Relay, helper), expected);
    }

    #[test]
    fn what_is_not_understood_may_do_anything() {
        use crate::claude::settings::Reason;
        let unread = Unread { path: "/s.json".into(), reason: Reason::Refused("Permission denied".into()) };
        for (kind, overridable) in [
            (LayerKind::Managed, false),
            (LayerKind::Argument, false),
            (LayerKind::Local, true),
            (LayerKind::Project, true),
            (LayerKind::User, true),
        ] {
            let conflicts = found(Delivery::Relay, Layer::of_unread(kind, unread.clone()));
            assert_eq!(conflicts, [(Effect::Unread(unread.clone()), Reach::Every, overridable)], "{kind:?}");
        }
        let wanted = Wanted { delivery: Delivery::Relay, attributes: &[], debug: false };
        let conflict = find(&wanted, &[Layer::of_unread(LayerKind::User, unread)]).remove(0);
        assert!(conflict.breaks() && conflict.leads_past() && conflict.is_certain());
        assert_eq!(conflict.place(), "/s.json");
        assert_eq!(conflict.fix(), "make /s.json readable for you, or remove it");
        let words = "it can't be read (Permission denied), so its effect on telemetry is not known";
        assert_eq!(conflict.to_string(), words);
    }

    #[test]
    fn direct_delivery_has_nobody_to_repair_anything() {
        let missing = Effect::Attributes { names: vec!["providerType".into(), "team".into()] };
        for (name, value, effect) in [
            (ATTRIBUTES, "a=b", missing),
            (GENERIC_HEADERS, "Authorization=Basic x", Effect::Credential),
            (GENERIC_PROTOCOL, "grpc", Effect::Protocol),
        ] {
            let expected = [(effect, Reach::Every, false)];
            assert_eq!(found(Delivery::Direct, layer(LayerKind::User, name, value)), expected, "{name}");
        }
    }

    #[test]
    fn a_helper_that_serves_another_signal_stays() {
        let helper = |kind| Layer { headers_helper: Some("h".into()), ..layer(kind, "X", "") };
        for (logs, kind, delivery, overridable) in [
            ("", LayerKind::User, Delivery::Relay, true),
            ("console", LayerKind::Project, Delivery::Relay, true),
            ("otlp", LayerKind::User, Delivery::Relay, false),
            ("", LayerKind::Managed, Delivery::Relay, false),
            ("", LayerKind::User, Delivery::Direct, false),
        ] {
            let environment: Environment = [("OTEL_LOGS_EXPORTER", logs)].into_iter().collect();
            let wanted = Wanted { delivery, attributes: &[], debug: false };
            let conflicts = of_session(&wanted, &environment, &[helper(kind)]);
            let helper = conflicts.iter().find(|conflict| conflict.effect == Effect::Helper).expect("a conflict");
            assert_eq!(helper.overridable, overridable, "{logs:?} {kind:?} {delivery:?}");
        }
    }

    #[test]
    fn words_name_the_key_and_hide_credentials() {
        let wanted = Wanted { delivery: Delivery::Direct, attributes: &[], debug: false };
        let conflict =
            find(&wanted, &[layer(LayerKind::User, GENERIC_HEADERS, "Authorization=Basic secret")]).remove(0);
        assert!(!format!("{conflict:?}").contains("secret"));
        assert_eq!(conflict.place(), "env.OTEL_EXPORTER_OTLP_HEADERS in s.json");
        assert_eq!(conflict.fix(), "remove env.OTEL_EXPORTER_OTLP_HEADERS from s.json");
        assert_eq!(conflict.to_string(), "exports carry another credential or alias id");
    }
}
