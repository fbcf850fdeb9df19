//! The user's own metrics pipeline: where bare claude would send its metrics, if that is not ACT (pure).
//!
//! Only the settings of the user and the company, and the environment, can name it. What claude would send in another way than the
//! relay can is [`Unfit`]: then nothing is copied.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::exporters;
use super::settings::{Layer, LayerKind};
use super::variables::{ENABLE, EXPORTER, INTERVAL, PROTOCOL, TEMPORALITY};
use crate::config::copies::OWN_PIPELINE;
use crate::config::same_endpoint;
use crate::config::token::SecretHeaders;
use crate::config::typed::secret;
use crate::system::environment::{Environment, PipelineDoubt};

/// The name of its copies.
pub const NAME: &str = OWN_PIPELINE;

/// The variables that say where metrics go, and how. Inside a claude, a repository's settings may have set them.
pub const VARIABLES: [&str; 10] = [
    ENABLE,
    EXPORTER,
    PROTOCOL,
    TEMPORALITY,
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_METRIC_EXPORT_INTERVAL",
];

/// The variables that name a certificate of the client, or a server's that only its exporter trusts.
const CERTIFICATES: [&str; 8] = [
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "CLAUDE_CODE_CLIENT_CERT",
    "CLAUDE_CODE_CLIENT_KEY",
];

/// The pipeline.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnPipeline {
    /// The metrics URL.
    pub endpoint: String,
    /// The headers that the user gave it. Their values are secrets.
    pub headers: SecretHeaders,
    /// The variable or settings key that names the endpoint.
    pub by: String,
    /// Whether the headers are in a file, which is there after this session, too; or there are none.
    pub is_lasting: bool,
}

/// Omits the headers.
impl fmt::Debug for OwnPipeline {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OwnPipeline").field("endpoint", &self.endpoint).field("by", &self.by).finish_non_exhaustive()
    }
}

/// The pipeline, as a question about it names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its endpoint, without what may be a secret.
    pub endpoint: String,
    /// The variable or settings key that names it.
    pub by: String,
    /// The time between two exports, where it is set.
    pub interval_ms: Option<u64>,
    /// Whether managed settings name it, which take precedence over act-claude.
    pub is_final: bool,
}

/// Why it can't be copied as claude would send it: what is set, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit(pub String);

/// The values of the user and the company.
struct Stated<'a> {
    environment: &'a Environment,
    layers: &'a [Layer],
}

/// A value, and where it is from.
struct Value {
    text: String,
    place: String,
    /// Its layer; `None`: the environment.
    layer: Option<LayerKind>,
}

impl Stated<'_> {
    fn own(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(|layer| !matches!(layer.kind, LayerKind::Project | LayerKind::Local))
    }

    /// The value of a variable that claude uses: one that is empty counts as not set.
    fn value(&self, name: &str) -> Option<Value> {
        let of_layer = |layer: &Layer| Some((layer.get(name)?.to_owned(), layer.key(name), Some(layer.kind)));
        let of_environment = || {
            if name.starts_with("OTEL_") && self.environment.doubt().pipeline == PipelineDoubt::Removed {
                return None;
            }
            let text = self.environment.get(name)?.to_string_lossy().into_owned();
            Some((text, format!("{name} in the environment"), None))
        };
        let (text, place, layer) = self.own().find_map(of_layer).or_else(of_environment)?;
        Some(Value { text: text.trim().to_owned(), place, layer }).filter(|value| !value.text.is_empty())
    }

    fn endpoint(&self) -> Option<Value> {
        let generic = || {
            let base = self.value("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            let slash = if base.text.ends_with('/') { "" } else { "/" };
            Some(Value { text: format!("{}{slash}v1/metrics", base.text), ..base })
        };
        self.value("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").or_else(generic)
    }

    /// The endpoint that bare claude would use, if it is none of `accounts`.
    fn used(&self, accounts: &[&str]) -> Option<Value> {
        let (switch, list) = (self.value(ENABLE)?, self.value(EXPORTER)?);
        let endpoint = self.endpoint().filter(|_| exporters::sends_metrics(&switch.text, &list.text))?;
        let has_alias = self.headers().0.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-alias-id"));
        (!has_alias && !accounts.iter().any(|account| same_endpoint(account, &endpoint.text))).then_some(endpoint)
    }

    /// Whether managed settings name the endpoint for metrics. That for all signals gives way to act-claude's.
    fn is_final(&self) -> bool {
        let of_metrics = self.value("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        of_metrics.is_some_and(|value| value.layer == Some(LayerKind::Managed))
    }

    fn unfit(&self) -> Option<Unfit> {
        if let Some(layer) = self.own().find(|layer| layer.headers_helper.is_some()) {
            return Some(Unfit(format!("otelHeadersHelper in {} gives its headers", layer.path.display())));
        }
        if let Some(unread) = self.own().find_map(Layer::unread) {
            return Some(Unfit(unread.to_string()));
        }
        match self.value(PROTOCOL).or_else(|| self.value("OTEL_EXPORTER_OTLP_PROTOCOL")) {
            Some(protocol) if protocol.text == "http/json" => {}
            Some(Value { text, place, .. }) => {
                let text = secret::quoted(&text);
                return Some(Unfit(format!("its protocol is {text} ({place}), and only http/json can be copied")));
            }
            None => return Some(Unfit("it has no protocol, and only http/json can be copied".to_owned())),
        }
        if let Some(Value { place, .. }) =
            self.value(TEMPORALITY).filter(|value| !value.text.eq_ignore_ascii_case("delta"))
        {
            return Some(Unfit(format!("it gets running totals ({place}), and ACT needs changes")));
        }
        let certificate = CERTIFICATES.iter().find_map(|name| self.value(name));
        certificate.map(|Value { place, .. }| Unfit(format!("it has a certificate of its own ({place})")))
    }

    /// The headers as claude joins them, and whether they are in files. Observed (clients/copies): of a name that both lists spell
    /// alike, the value for all signals is sent, and of one list the last; of names that differ in case only, the one that is set
    /// last.
    fn headers(&self) -> (SecretHeaders, bool) {
        let (mut headers, mut is_lasting) = (SecretHeaders::new(), true);
        let generic = self.value("OTEL_EXPORTER_OTLP_HEADERS").map(|value| (raw(&value.text), value));
        let metrics = self.value("OTEL_EXPORTER_OTLP_METRICS_HEADERS").map(|value| (decoded(&value.text), value));
        for (pairs, value) in generic.into_iter().chain(metrics) {
            is_lasting &= matches!(value.layer, Some(LayerKind::User | LayerKind::Managed));
            let earlier = headers.len();
            for (name, value) in pairs {
                match headers.iter().position(|(other, _)| *other == name) {
                    Some(at) if at < earlier => {}
                    Some(at) => headers[at].1 = value,
                    None => headers.push((name, value)),
                }
            }
        }
        let mut sent = SecretHeaders::with_capacity(headers.len());
        for (name, value) in headers {
            sent.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            sent.push((name, value));
        }
        (sent, is_lasting)
    }
}

/// The headers of the list for all signals, which claude reads itself: it decodes nothing.
fn raw(list: &str) -> SecretHeaders {
    let pairs = list.split(',').filter_map(|item| item.split_once('=')).filter(|(name, _)| !name.trim().is_empty());
    pairs.map(|(name, value)| (name.trim().to_owned(), Zeroizing::new(value.trim().to_owned()))).collect()
}

/// The headers of the list for metrics, which OpenTelemetry's library reads: percent-encoded, without
/// what follows a `;`, and only those that have a value.
fn decoded(list: &str) -> SecretHeaders {
    let decode = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(Cow::into_owned);
    let pair = |item: &str| {
        let (name, value) = item.split(';').next()?.split_once('=')?;
        Some((decode(name)?, Zeroizing::new(decode(value)?)))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
    };
    list.split(',').filter_map(pair).collect()
}

/// The pipeline by name, where bare claude would send metrics to a URL of none of `accounts`.
pub fn named(environment: &Environment, layers: &[Layer], accounts: &[&str]) -> Option<Named> {
    let stated = Stated { environment, layers };
    let endpoint = stated.used(accounts)?;
    Some(Named {
        endpoint: secret::address(&endpoint.text),
        by: endpoint.place,
        interval_ms: stated.value(INTERVAL).and_then(|value| value.text.parse().ok()),
        is_final: stated.is_final(),
    })
}

/// The pipeline, where bare claude would send metrics to a URL of none of `accounts`.
pub fn find(environment: &Environment, layers: &[Layer], accounts: &[&str]) -> Option<Result<OwnPipeline, Unfit>> {
    let stated = Stated { environment, layers };
    let endpoint = stated.used(accounts)?;
    let (headers, is_lasting) = stated.headers();
    let is_of_environment = |name: &&str| stated.value(name).is_some_and(|value| value.layer.is_none());
    if environment.doubt().pipeline == PipelineDoubt::Changed && VARIABLES.iter().any(is_of_environment) {
        let why = "this runs inside claude, whose settings may have named it";
        return Some(Err(Unfit(why.to_owned())));
    }
    if stated.is_final() {
        return Some(Err(Unfit(format!("{} takes precedence over act-claude", endpoint.place))));
    }
    if let Some(unfit) = stated.unfit() {
        return Some(Err(unfit));
    }
    let Value { text, place, .. } = endpoint;
    let is_url = text
        .parse::<hyper::Uri>()
        .is_ok_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
    if !is_url || text.contains('@') {
        return Some(Err(Unfit(format!("{place} is not a URL that can be copied to"))));
    }
    Some(Ok(OwnPipeline { endpoint: text, headers, by: place, is_lasting }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::settings::{Reason, Unread};
    use crate::system::environment::Doubt;

    const ON: [(&str, &str); 4] = [
        (ENABLE, "1"),
        (EXPORTER, "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.example:4318"),
    ];

    fn found(more: &[(&str, &str)]) -> Option<Result<OwnPipeline, Unfit>> {
        let environment: Environment =
            ON.iter().chain(more).copied().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect();
        find(&environment, &[], &["https://act.example/m"])
    }

    #[test]
    fn where_bare_claude_sends_its_metrics() {
        for (more, expected) in [
            (&[][..], Some("http://c.example:4318/v1/metrics")),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.example:4318/")], Some("http://c.example:4318/v1/metrics")),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example/otlp")], Some("https://c.example/otlp/v1/metrics")),
            (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m.example/x")], Some("https://m.example/x")),
            (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", " ")], Some("http://c.example:4318/v1/metrics")),
            (&[(EXPORTER, "console")], None),
            (&[(ENABLE, "0")], None),
            (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://act.example/m/")], None),
            (&[("OTEL_EXPORTER_OTLP_HEADERS", "X-Alias-Id=a")], None),
        ] {
            let found = found(more).map(|found| found.expect("fit").endpoint);
            assert_eq!(found.as_deref(), expected, "{more:?}");
        }
    }

    #[test]
    fn what_claude_sends_otherwise_is_not_copied() {
        for (more, expected) in [
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..], "its protocol is \"grpc\""),
            (&[(PROTOCOL, "http/protobuf")], "its protocol is \"http/protobuf\""),
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "")], "it has no protocol"),
            (&[(TEMPORALITY, "cumulative")], "it gets running totals"),
            (&[("CLAUDE_CODE_CLIENT_CERT", "/c.pem")], "it has a certificate of its own"),
            (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "c.example:4318")], "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT in"),
            (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://u:p@c.example")], "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
        ] {
            let why = found(more).expect("a pipeline").expect_err("unfit").0;
            assert!(why.starts_with(expected) && !why.contains("u:p"), "{why}");
        }
        let helper = Layer { headers_helper: Some("h".to_owned()), ..Layer::new(LayerKind::User, "s".into()) };
        let environment: Environment = ON.into_iter().collect();
        assert!(find(&environment, &[helper], &[]).expect("a pipeline").is_err());
    }

    #[test]
    fn a_repository_names_no_pipeline() {
        let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let layer = |kind, env| Layer { env, ..Layer::new(kind, "s".into()) };
        for kind in [LayerKind::Project, LayerKind::Local] {
            assert_eq!(find(&Environment::default(), &[layer(kind, env(&ON))], &[]), None);
            let environment: Environment = ON.into_iter().collect();
            let evil = layer(kind, env(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://evil.example")]));
            let found = find(&environment, &[evil], &[]).expect("a pipeline").expect("fit");
            assert_eq!(found.endpoint, "http://c.example:4318/v1/metrics");
        }
        let in_claude = ON.into_iter().collect::<Environment>();
        let doubted = |pipeline| in_claude.clone().doubted(Doubt { pipeline, ..Doubt::default() });
        assert!(find(&doubted(PipelineDoubt::Changed), &[], &[]).expect("a pipeline").is_err());
        assert_eq!(find(&doubted(PipelineDoubt::Removed), &[], &[]), None);
        // The user's own settings name one that nobody else has set.
        let user = layer(LayerKind::User, env(&ON));
        for pipeline in [PipelineDoubt::Changed, PipelineDoubt::Removed] {
            assert!(find(&doubted(pipeline), std::slice::from_ref(&user), &[]).expect("a pipeline").is_ok());
        }
        // What can't be read in a repository is of no interest: it names nothing.
        let unread = Unread { path: "/s.json".into(), reason: Reason::TooLarge { limit: 1 } };
        for (kind, is_fit) in [(LayerKind::Project, true), (LayerKind::Local, true), (LayerKind::Managed, false)] {
            let found = find(&in_claude, &[Layer::of_unread(kind, unread.clone())], &[]).expect("a pipeline");
            assert_eq!(found.is_ok(), is_fit, "{kind:?}");
        }
    }

    #[test]
    fn a_question_names_it() {
        let layer = |kind, name: &str, value: &str| Layer {
            env: vec![(name.to_owned(), value.to_owned())],
            ..Layer::new(kind, "s".into())
        };
        let environment: Environment = ON.into_iter().chain([("OTEL_METRIC_EXPORT_INTERVAL", "60000")]).collect();
        let expected = Named {
            endpoint: "http://c.example:4318/v1/metrics".to_owned(),
            by: "OTEL_EXPORTER_OTLP_ENDPOINT in the environment".to_owned(),
            interval_ms: Some(60_000),
            is_final: false,
        };
        assert_eq!(named(&environment, &[], &[]), Some(expected));
        assert_eq!(named(&environment, &[], &["http://c.example:4318/v1/metrics/"]), None);
        let is_final = |name: &str| {
            let layers = [layer(LayerKind::Managed, name, "https://u:p@m.example/x?key=1")];
            named(&environment, &layers, &[]).map(|named| (named.endpoint, named.is_final))
        };
        let shown = |path: &str| format!("https://m.example/x?…{path}");
        assert_eq!(is_final("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"), Some((shown(""), true)));
        let managed = layer(LayerKind::Managed, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m.example/x");
        let Some(Err(Unfit(why))) = find(&environment, &[managed], &[]) else { panic!("fit") };
        assert_eq!(why, "env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT in s takes precedence over act-claude");
        // act-claude's variable is for metrics alone, and takes precedence over that for all signals.
        assert!(is_final("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|(_, is_final)| !is_final));
    }

    #[test]
    fn headers_are_joined() {
        let headers = |more: &[(&str, &str)]| {
            let found = found(more).expect("a pipeline").expect("fit");
            let headers = found.headers.iter().map(|(name, value)| format!("{name}={}", value.as_str()));
            (headers.collect::<Vec<_>>(), found.is_lasting)
        };
        assert_eq!(headers(&[]), (vec![], true));
        let all = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer x, A = b ,none,C=d;e=f");
        assert_eq!(headers(&[all]).0, ["Authorization=Bearer x", "A=b", "C=d;e=f"]);
        let metrics = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "authorization=Basic y=");
        let expected = ["A=b", "C=d;e=f", "authorization=Basic y="].map(str::to_owned).to_vec();
        let same = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "A=metrics,D=a%2Cb;c");
        assert_eq!(headers(&[all, same]).0, ["Authorization=Bearer x", "A=b", "C=d;e=f", "D=a,b"]);
        assert_eq!(headers(&[all, metrics]), (expected, false));
        let same = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "Authorization=Basic y=,B=1,B=2,b=3");
        let expected = ["Authorization=Bearer x", "A=b", "C=d;e=f", "b=3"].map(str::to_owned).to_vec();
        assert_eq!(headers(&[all, same]).0, expected, "that of all signals goes first");
        let env = ON.iter().chain(&[all]).map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let user = Layer { env, ..Layer::new(LayerKind::User, "s".into()) };
        let found = find(&Environment::default(), &[user], &[]).expect("a pipeline").expect("fit");
        assert!(found.is_lasting && !format!("{found:?}").contains("Bearer"));
    }
}
