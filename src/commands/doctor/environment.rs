//! Findings about this shell's environment variables, and about the proxy that they name.

use super::{Check, Facts, Finding};
use crate::claude::consent::{self, Objection};
use crate::claude::exporters;
use crate::claude::network::{self, PROXIES};
use crate::claude::own_pipeline;
use crate::claude::settings::Layer;
use crate::claude::variables::{ENABLE, EXPORTER};
use crate::delivery::cause::{self, Whose};
use crate::delivery::roots::Unused;
use crate::delivery::verdict::{Failure, Reason, Verdict};
use crate::text::amount;
use crate::text::nearest::nearest;

pub const CHECKS: [Check; 7] = [
    |facts| switched_off(facts).into_iter().collect(),
    |facts| unknown_exporter(facts).into_iter().collect(),
    |facts| other_pipeline(facts).into_iter().collect(),
    proxies,
    certificates,
    |facts| doubtful(facts).into_iter().collect(),
    of_repositories,
];

/// act-claude runs inside a claude, whose settings may have changed the variables that control act-claude.
fn doubtful(facts: &Facts) -> Option<Finding> {
    let why = facts.environment.doubt().everything.as_ref()?;
    Some(
        Finding::new("inside-claude", why.clone(), "the environment")
            .effect("sessions started from here are not reported, and act-claude commands change nothing here")
            .fix("start it outside of that claude"),
    )
}

/// Telemetry is switched off by an environment variable. Settings files that switch it off are a finding of `settings`.
fn switched_off(facts: &Facts) -> Option<Finding> {
    let environment = &facts.environment;
    let by_name = |name: &'static str| Some((name, environment.text(name)?));
    let is_off = |(name, value): &(&str, &str)| match *name {
        ENABLE => ["0", "false", "no", "off"].contains(&value.trim().to_ascii_lowercase().as_str()),
        EXPORTER => exporters::is_none(value),
        _ => *value == "off",
    };
    let (name, value) = [ENABLE, EXPORTER, "ACT_CLAUDE"].into_iter().filter_map(by_name).find(is_off)?;
    Some(
        Finding::new(
            "off",
            format!("telemetry is switched off: {name} is {value}"),
            format!("{name} in the environment"),
        )
        .effect("sessions started from this shell are not reported")
        .fix("remove the variable, here and where it is set (your shell's rc file)")
        .command(format!("unset {name}")),
    )
}

/// An exporter that claude does not know, in an environment variable.
fn unknown_exporter(facts: &Facts) -> Option<Finding> {
    let unknown = *exporters::left_out(facts.environment.text(EXPORTER)?).first()?;
    let near = nearest(unknown, exporters::METRICS).map(|near| format!(": did you mean {near}?"));
    let what =
        format!("{EXPORTER} names {unknown:?}, an exporter that claude does not know{}", near.unwrap_or_default());
    Some(
        Finding::new("exporter", what, format!("{EXPORTER} in the environment"))
            .effect("act-claude leaves it out; bare claude exports nothing at all with it")
            .fix("correct it where it is set (your shell's rc file), or remove it")
            .command(format!("unset {EXPORTER}")),
    )
}

fn other_pipeline(facts: &Facts) -> Option<Finding> {
    let config = &facts.loaded.config;
    // The endpoint of an account matters to other objections only.
    let objection = consent::objection(config, config.delivery(), "", &facts.environment, &facts.layers)?;
    let Objection::OtherPipeline { by, endpoint, unfit } = objection else { return None };
    let named = own_pipeline::named(&facts.environment, &facts.layers, &config.endpoints());
    let is_final = named.is_some_and(|named| named.is_final);
    let file = crate::config::user_file(&facts.environment).unwrap_or_default();
    Some(
        Finding::new("other-pipeline", format!("your metrics go to {endpoint}"), by)
            .effect(match &unfit {
                Some(why) => format!("it can't get a copy ({why}), and nothing is reported to ACT"),
                None => "act-claude does not change that: nothing is reported to ACT".to_owned(),
            })
            .fix(match unfit {
                _ if is_final => {
                    "managed settings take precedence over act-claude: ask your administrator to take it out of \
                                  them, or to let that receiver send a copy to ACT"
                        .to_owned()
                }
                Some(_) => format!(
                    "correct that; or, to send them to ACT only, set \"own_pipeline\": \"replace\" in {}",
                    file.display()
                ),
                None => format!(
                    "to send them to both, set \"own_pipeline\": \"copy\" in {} (claude then exports every {}); to ACT \
                     only: \"replace\"",
                    file.display(),
                    amount::seconds(config.export_interval_ms())
                ),
            }),
    )
}

fn proxies(facts: &Facts) -> Vec<Finding> {
    let finding = |asked: &super::facts::Asked| {
        let (name, failure) = (&asked.name, asked.blocked.as_ref()?);
        let account = facts.loaded.config.accounts.get(name)?;
        let whose = Whose { account: name, alias: "", endpoint: &account.endpoint };
        let verdict = Verdict::Held(Reason::Failure(failure.clone()));
        let problem = cause::explain(&verdict, &whose).1?;
        let (variable, _) = facts.network.first(&PROXIES)?;
        let place = match facts.network.place(variable) {
            place if place == variable => format!("{variable} in the environment"),
            place => place,
        };
        let finding = Finding::new("proxy", problem.said, place)
            .effect(format!("exports for account {name} wait on this machine"))
            .fix(problem.fix);
        let host = account.endpoint.parse::<hyper::Uri>().ok()?.host().unwrap_or_default().to_owned();
        Some(match failure {
            Failure::Proxy { place, .. } => finding
                .fix(format!("correct {place}, or reach {host} without it"))
                .command(format!("export NO_PROXY=\"$NO_PROXY,{host}\"")),
            _ => finding,
        })
    };
    facts.accounts.iter().filter_map(finding).collect()
}

/// Files of certificates that a variable names, but that can't be read.
fn certificates(facts: &Facts) -> Vec<Finding> {
    let finding = |unused: &Unused| {
        Finding::new("certificates", format!("{} {}", unused.path.display(), unused.why), unused.place.clone())
            .effect("where a company's proxy has a certificate of its own, ACT is not trusted: exports wait")
            .fix(unused.fix())
    };
    facts.unused_roots.iter().map(finding).collect()
}

/// A repository's settings for proxy and certificates: claude follows them, act-claude does not.
fn of_repositories(facts: &Facts) -> Vec<Finding> {
    let finding = |(layer, name): (&Layer, &str)| {
        let place = facts.place(&layer.path, &format!("env.{name}"));
        Finding::new("proxy-of-repository", format!("a repository's settings set {name}"), place)
            .effect("claude uses it; act-claude does not, so that no repository chooses the route of your token")
            .fix(format!("if ACT can only be reached with it, set {name} in your shell or in your own settings.json"))
    };
    network::passed_over(&facts.layers).into_iter().map(finding).collect()
}
