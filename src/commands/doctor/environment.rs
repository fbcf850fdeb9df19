//! Variables of this shell, and the proxy they name.

use super::{Facts, Finding};
use crate::claude::consent::{self, Objection};
use crate::claude::exporters;
use crate::claude::variables::{ENABLE, EXPORTER};
use crate::delivery::cause::{self, Whose};
use crate::delivery::verdict::{Failure, Reason, Verdict};

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = switched_off(facts).into_iter().chain(other_pipeline(facts)).collect();
    findings.extend(proxies(facts));
    findings
}

/// Off by a variable; what settings say is looked at with the settings.
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

fn other_pipeline(facts: &Facts) -> Option<Finding> {
    let objection = consent::own_word(&facts.loaded.config, &facts.environment, &facts.layers)?;
    let Objection::OtherPipeline { by, endpoint } = objection else { return None };
    let file = crate::config::user_file(&facts.environment).unwrap_or_default();
    Some(
        Finding::new("other-pipeline", format!("your metrics go to {endpoint}"), by)
            .effect("act-claude leaves them alone: nothing is reported to ACT")
            .fix(format!("to send them to ACT instead, set \"replace_endpoint\": true in {}", file.display())),
    )
}

fn proxies(facts: &Facts) -> Vec<Finding> {
    let finding = |asked: &super::facts::Asked| {
        let (name, failure) = (&asked.name, asked.blocked.as_ref()?);
        let account = facts.loaded.config.accounts.get(name)?;
        let whose = Whose { account: name, alias: "", endpoint: &account.endpoint };
        let verdict = Verdict::Held(Reason::Failure(failure.clone()));
        let trouble = cause::explain(&verdict, &whose).1?;
        let variable = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];
        let variable = variable.iter().find(|name| facts.environment.text(name).is_some()).unwrap_or(&variable[1]);
        let finding = Finding::new("proxy", trouble.said, format!("{variable} in the environment"))
            .effect(format!("what sessions send for account {name} waits on this machine"))
            .fix(trouble.fix);
        let host = account.endpoint.parse::<hyper::Uri>().ok()?.host().unwrap_or_default().to_owned();
        Some(match failure {
            Failure::Proxy(_) => finding.command(format!("export NO_PROXY=\"$NO_PROXY,{host}\"")),
            _ => finding,
        })
    };
    facts.accounts.iter().filter_map(finding).collect()
}
